//! The loss along the segments between members: flat or sunken where they lie in one basin,
//! a hill where they do not.

use super::WIDTH;
use crate::format;
use crate::svg::figure::Plot;
use crate::svg::label::spread;
use crate::svg::node::{Node, el, group, text};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path, ticks};
use crate::view::View;
use bomf_study::{Basin, Segment};

/// The most segments that have a label; the highest barriers do.
const LABELLED: usize = 8;

/// The figure; `None` where no segment was looked at.
pub(crate) fn basin(view: &View<'_>) -> Option<Node> {
    let basin = view.results.stage2.basin.as_ref()?;
    let losses = basin.segments.iter().flat_map(|s| s.loss.iter().flatten());
    let extent = Extent::of(losses.copied())?;
    let across = Extent::of(basin.places.iter().copied())?;
    let plot = Plot {
        left: 62.0,
        top: 34.0,
        right: WIDTH - 176.0,
        bottom: 246.0,
    };
    let sx = Scale::linear(across, plot.left, plot.right);
    let sy = Scale::linear(extent.padded(0.08), plot.bottom, plot.top);
    let mut figure = Figure::new(
        "basin",
        WIDTH,
        288.0,
        "The loss between members",
        "The select loss of mixtures of two members, over the share of the second one, a line for each pair.",
    );
    let title = "loss on the select split  ↓ better";
    figure.push(axis::left(&plot, &sy, &ticks::ticks(&sy, 5), title));
    let share = "share of the second member";
    figure.push(axis::below(&plot, &sx, &ticks::ticks(&sx, 5), share));
    let mut ends = Vec::new();
    // Those that are told apart lie above the others.
    for is_separated in [false, true] {
        for segment in basin
            .segments
            .iter()
            .filter(|s| s.separated == is_separated)
        {
            figure.push(drawn(view, basin, segment, &sx, &sy));
            let last = segment.loss.last().copied().flatten();
            if let Some(y) = last.and_then(|loss| sy.at(loss)) {
                ends.push((y, segment));
            }
        }
    }
    let height = |s: &Segment| s.barrier.unwrap_or(f64::INFINITY);
    ends.sort_by(|a, b| height(b.1).total_cmp(&height(a.1)));
    ends.truncate(LABELLED);
    let wanted: Vec<f64> = ends.iter().map(|e| e.0).collect();
    let places = spread(&wanted, 15.0, plot.top, plot.bottom);
    for (y, (_, segment)) in places.into_iter().zip(&ends) {
        let label = format!("to {}", name(view, segment.to));
        let class = format!("lab {}", class(segment));
        figure.push(text(plot.right + 10.0, y + 4.0, "start", &class, label));
    }
    Some(figure.finish())
}

fn class(segment: &Segment) -> &'static str {
    match segment.separated {
        true => "k-bomf",
        false => "k-checkpoint",
    }
}

fn drawn(view: &View<'_>, basin: &Basin, segment: &Segment, sx: &Scale, sy: &Scale) -> Node {
    let mut g = group(class(segment));
    let at = |(place, loss): (&f64, &Option<f64>)| Some((sx.at(*place)?, sy.at((*loss)?)?));
    let points = || basin.places.iter().zip(&segment.loss);
    let dash = if segment.separated { "" } else { " thin" };
    g.push(
        el("path")
            .set("class", format!("stroke{dash}"))
            .set("d", path::line(points().map(at))),
    );
    let (from, to) = (name(view, segment.from), name(view, segment.to));
    for (place, loss) in points() {
        if let (Some((x, y)), Some(loss)) = (at((place, loss)), loss) {
            let tip = format!(
                "{from} to {to}\nshare {} loss {}{}",
                format::fixed(*place, 2),
                view.score("loss", *loss),
                barrier(segment).map_or(String::new(), |b| format!("\nbarrier {b}"))
            );
            g.push(mark::mark(Shape::Disc, x, y, 3.0, "dot open").tip(tip));
        }
    }
    g
}

/// A segment's barrier in words; `None` where it is not known.
pub(crate) fn barrier(segment: &Segment) -> Option<String> {
    let barrier = format::fixed(segment.barrier?, 4);
    Some(match segment.std_error {
        Some(error) => format!("{barrier} ± {}", format::fixed(error, 4)),
        None => barrier,
    })
}

/// What a member is called: its run, where there are several, and its step.
pub(crate) fn name(view: &View<'_>, member: usize) -> String {
    match view.results.finetune.members.get(member) {
        Some(record) => {
            let step = format!("step {}", format::grouped(record.step as f64));
            match record.run {
                Some(run) => format!("run {run}, {step}"),
                None => step,
            }
        }
        None => format!("member {}", member.saturating_add(1)),
    }
}
