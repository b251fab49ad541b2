//! The report split's verdict: `bomf` − other method with its interval, a panel
//! for each objective, turned so that right of zero is better.

use super::WIDTH;
use crate::names;
use crate::svg::figure::Plot;
use crate::svg::node::{Node, line, rect, text};
use crate::svg::{Extent, Figure, Scale, axis, ticks};
use crate::view::{self, Standing, View};
use bomf_study::{Direction, Method, MethodName, Objective};

/// Width of the column of names.
const NAMES: f64 = 168.0;
/// Height of a row.
const ROW: f64 = 30.0;
/// Room above the rows.
const HEAD: f64 = 44.0;
/// At most so many panels fit side by side.
const MOST_PANELS: usize = 4;

/// The figure; `None` where no difference is recorded.
pub(crate) fn differences(view: &View<'_>) -> Option<Node> {
    let rows: Vec<&Method> = view
        .results
        .methods
        .iter()
        .filter(|m| m.name != MethodName::Bomf && !m.bomf_minus_this.is_empty())
        .collect();
    let panels: Vec<(&Objective, Extent)> = view
        .objectives()
        .into_iter()
        .filter_map(|o| {
            let known = rows.iter().filter_map(|m| difference(m, o)).flatten();
            Some((o, Extent::of(known)?.with(0.0)))
        })
        .take(MOST_PANELS)
        .collect();
    if panels.is_empty() {
        return None;
    }
    let bottom = HEAD + rows.len() as f64 * ROW;
    let mut figure = Figure::new(
        "differences",
        WIDTH,
        bottom + 44.0,
        "bomf against every other method on the report split",
        "For each method and objective the difference bomf minus that method with its 95 percent interval; right of the line at zero bomf is better. The table of methods has the numbers.",
    );
    for (k, method) in rows.iter().enumerate() {
        let y = HEAD + (k as f64 + 0.5) * ROW;
        let style = names::style(method.name);
        if k % 2 == 0 {
            figure.push(rect(0.0, y - ROW / 2.0, WIDTH, ROW, "shade"));
        }
        figure.push(style.mark(14.0, y, 5.0).set("data-m", method.name.as_str()));
        figure.push(text(30.0, y + 4.5, "start", "row", style.label));
    }
    let width = (WIDTH - NAMES) / panels.len() as f64;
    for (k, &(objective, extent)) in panels.iter().enumerate() {
        let left = NAMES + k as f64 * width;
        let plot = Plot {
            left: left + 14.0,
            top: HEAD,
            right: left + width - 14.0,
            bottom,
        };
        panel(&mut figure, view, &rows, objective, extent, plot);
    }
    Some(figure.finish())
}

/// A method's difference in an objective, if all of it is numbers.
fn difference(method: &Method, objective: &Objective) -> Option<[f64; 3]> {
    let d = *method.bomf_minus_this.get(&objective.name)?;
    d.iter().all(|v| v.is_finite()).then_some(d)
}

fn panel(
    figure: &mut Figure,
    view: &View<'_>,
    rows: &[&Method],
    objective: &Objective,
    extent: Extent,
    plot: Plot,
) {
    let domain = extent.padded(0.07);
    let scale = match objective.direction {
        Direction::Maximize => Scale::linear(domain, plot.left, plot.right),
        Direction::Minimize => Scale::linear(domain, plot.right, plot.left),
    };
    let label = view::label(objective);
    let title = match objective.direction {
        Direction::Maximize => format!("Δ {label}"),
        Direction::Minimize => format!("Δ {label}{}(axis reversed)", axis::ASIDE),
    };
    figure.push(axis::heading(plot.left, 16.0, "start", &title));
    let ticks = ticks::ticks(&scale, if plot.width() > 320.0 { 5 } else { 3 });
    for tick in &ticks {
        if let Some(x) = scale.inside(tick.value) {
            figure.push(line((x, plot.top), (x, plot.bottom), "grid"));
        }
    }
    figure.push(axis::below(&plot, &scale, &ticks, ""));
    if let Some(zero) = scale.at(0.0) {
        figure.push(line((zero, plot.top - 6.0), (zero, plot.bottom), "zero"));
        figure.push(text(
            zero + 6.0,
            plot.top - 9.0,
            "start",
            "note",
            "bomf better →",
        ));
        let room = zero - plot.left;
        if room > 84.0 {
            figure.push(text(zero - 6.0, plot.top - 9.0, "end", "note", "← worse"));
        }
    }
    for (k, method) in rows.iter().enumerate() {
        let y = plot.top + (k as f64 + 0.5) * ROW;
        let Some(d) = difference(method, objective) else {
            figure.push(text(plot.left, y + 4.0, "start", "note", "not recorded"));
            continue;
        };
        let [Some(x), Some(low), Some(high)] = d.map(|v| scale.at(v)) else {
            continue;
        };
        let class = match View::standing(objective, &d) {
            Some(Standing::Level) | None => "k-plain",
            Some(Standing::Better | Standing::Worse) => "k-bomf",
        };
        let of = |v| view.difference(&objective.name, v);
        let tip = format!(
            "bomf − {}\n{label} {} [{}, {}]",
            names::style(method.name).label,
            of(d[0]),
            of(d[1]),
            of(d[2])
        );
        figure.push(line((low, y), (high, y), &format!("stroke {class}")));
        for end in [low, high] {
            figure.push(line(
                (end, y - 4.0),
                (end, y + 4.0),
                &format!("stroke thin {class}"),
            ));
        }
        let fill = if class == "k-bomf" { "dot" } else { "dot open" };
        figure.push(
            crate::svg::mark::mark(
                crate::svg::Shape::Disc,
                x,
                y,
                4.5,
                &format!("{fill} {class}"),
            )
            .tip(tip),
        );
    }
}
