//! Which worker had which trial, from when to when, and how that ended.

use super::WIDTH;
use crate::format;
use crate::page::clean;
use crate::svg::figure::Plot;
use crate::svg::node::{Node, group, rect, text};
use crate::svg::text::shortened;
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, ticks};
use bomf_study::{Attempt, Ending};
use indexmap::IndexMap;

/// Most bars, the last ones.
const MOST_BARS: usize = 600;

/// Most rows: the workers that took a trial last.
pub(crate) const MOST_WORKERS: usize = 40;

/// Height of a row, and of the bar in it.
const ROW: f64 = 18.0;
const BAR: f64 = 10.0;

/// Letters of a worker's name.
const LETTERS: usize = 24;

/// The attempts that are shown, by worker, in the order in which these first took one.
pub(crate) fn by_worker(attempts: &[Attempt]) -> IndexMap<&str, Vec<&Attempt>> {
    let mut workers: IndexMap<&str, Vec<&Attempt>> = IndexMap::new();
    for attempt in attempts {
        workers.entry(&attempt.worker).or_default().push(attempt);
    }
    let mut last: Vec<f64> = workers
        .values()
        .filter_map(|own| Some(own.last()?.began))
        .collect();
    last.sort_by(f64::total_cmp);
    if let Some(&from) = last
        .len()
        .checked_sub(MOST_WORKERS)
        .and_then(|k| last.get(k))
    {
        workers.retain(|_, own| own.last().is_some_and(|a| a.began >= from));
    }
    workers
}

/// The figure; `None` without attempts. `now` is the time, in seconds since 1970.
pub(crate) fn timeline(attempts: &[Attempt], now: f64) -> Option<Node> {
    let from = attempts.len().saturating_sub(MOST_BARS);
    let attempts = &attempts[from..];
    let workers = by_worker(attempts);
    let start = attempts.iter().map(|a| a.began).reduce(f64::min)?;
    let end = |a: &Attempt| a.ended.unwrap_or(now).max(a.began);
    let last = attempts.iter().map(end).reduce(f64::max)?;
    let (unit, seconds) = match last - start {
        span if span < 600.0 => ("seconds", 1.0),
        span if span < 36_000.0 => ("minutes", 60.0),
        _ => ("hours", 3600.0),
    };
    let place = |time: f64| (time - start) / seconds;
    let plot = Plot {
        left: 170.0,
        top: 10.0,
        right: WIDTH - 24.0,
        bottom: 10.0 + ROW * workers.len() as f64,
    };
    let across = Extent::of([0.0, place(last)])?;
    let sx = Scale::linear(across, plot.left, plot.right);
    let mut figure = Figure::new(
        "timeline",
        WIDTH,
        plot.bottom + 46.0,
        "Workers over time",
        format!(
            "{} workers and the {} trials that they had, one bar a trial.",
            workers.len(),
            attempts.len()
        ),
    );
    let title = format!("{unit} since the first of these trials");
    figure.push(axis::below(&plot, &sx, &ticks::ticks(&sx, 8), &title));
    for (row, (name, own)) in workers.iter().enumerate() {
        let y = plot.top + ROW * (row as f64 + 0.5);
        let label = shortened(&clean(name), LETTERS);
        figure.push(text(plot.left - 10.0, y + 4.0, "end", "tl", label));
        for attempt in own {
            figure.push(bar(attempt, end(attempt), y, &sx, place)?);
        }
    }
    Some(figure.finish())
}

fn bar(
    attempt: &Attempt,
    end: f64,
    y: f64,
    sx: &Scale,
    place: impl Fn(f64) -> f64,
) -> Option<Node> {
    let (class, words) = match attempt.ending {
        None => ("k-checkpoint", "under way"),
        Some(Ending::Finished) => ("k-swa", "finished"),
        Some(Ending::GivenBack) => ("k-ensemble", "given back"),
        Some(Ending::Lost) => ("k-bomf", "lost"),
    };
    let (left, right) = (sx.at(place(attempt.began))?, sx.at(place(end))?);
    let tip = format!(
        "trial {}, {words}\n{}\n{}",
        attempt.number + 1,
        format::duration(end - attempt.began),
        clean(&attempt.worker)
    );
    let width = (right - left - 1.0).max(1.0);
    let mut g = group(class);
    let pale = if attempt.ending.is_none() {
        "bar pale"
    } else {
        "bar"
    };
    g.push(rect(left, y - BAR / 2.0, width, BAR, pale).tip(tip));
    // Not by its colour alone.
    if attempt.ending == Some(Ending::Lost) {
        g.push(mark::mark(Shape::Cross, left + width, y, 4.0, "cross"));
    }
    Some(g)
}
