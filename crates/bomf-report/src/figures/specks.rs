//! Many small dots as one element: thousands of elements are what makes a page slow.

use crate::svg::node::{Node, el, number};
use std::collections::HashSet;

/// Dots nearer than this in both directions are one.
const GRID: f64 = 0.5;

/// Dots at these places, drawn once each; `None` where there are none.
pub(super) fn specks(places: impl IntoIterator<Item = (f64, f64)>, class: &str) -> Option<Node> {
    let mut seen = HashSet::new();
    let mut d = String::new();
    for (x, y) in places {
        let cell = ((x / GRID).round() as i64, (y / GRID).round() as i64);
        if seen.insert(cell) {
            // A line of no length with round ends.
            d.extend(["M", &number(x), " ", &number(y), "h0"]);
        }
    }
    let path = || {
        el("path")
            .set("class", format!("specks {class}"))
            .set("d", d)
    };
    (!seen.is_empty()).then(path)
}
