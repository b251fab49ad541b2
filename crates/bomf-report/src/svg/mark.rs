//! Marks: shapes that stay apart without colour.

use super::node::{Node, el};
use super::path;

/// The shape of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A disc.
    Disc,
    /// A square standing on its side.
    Square,
    /// A triangle, point up.
    Up,
    /// A triangle, point down.
    Down,
    /// A square standing on its corner.
    Diamond,
    /// An upright cross.
    Plus,
    /// A slanting cross.
    Cross,
}

/// A mark of about the area of a disc of radius `r`, centred on a place.
pub(crate) fn mark(shape: Shape, x: f64, y: f64, r: f64, class: &str) -> Node {
    let polygon = |corners: usize, start: f64, r: f64| {
        let corner = |k: usize| {
            let angle = start + std::f64::consts::TAU * k as f64 / corners as f64;
            (x + r * angle.cos(), y + r * angle.sin())
        };
        path::closed((0..corners).map(corner))
    };
    let quarter = std::f64::consts::FRAC_PI_2;
    let arms = |angle: f64| {
        let (dx, dy) = (r * angle.cos(), r * angle.sin());
        path::line([
            Some((x - dx, y - dy)),
            Some((x + dx, y + dy)),
            None,
            Some((x + dy, y - dx)),
            Some((x - dy, y + dx)),
        ])
    };
    let d = match shape {
        Shape::Disc => {
            return el("circle")
                .set("class", class)
                .set("cx", x)
                .set("cy", y)
                .set("r", r);
        }
        // Circumradii that give each polygon about the disc's area.
        Shape::Square => polygon(4, quarter / 2.0, r * 1.25),
        Shape::Diamond => polygon(4, 0.0, r * 1.3),
        Shape::Up => polygon(3, -quarter, r * 1.45),
        Shape::Down => polygon(3, quarter, r * 1.45),
        Shape::Plus => arms(0.0),
        Shape::Cross => arms(quarter / 2.0),
    };
    el("path").set("class", class).set("d", d)
}

/// An arrow around a place, of `length` to each side, pointing along `angle`.
pub(crate) fn arrow(x: f64, y: f64, angle: f64, length: f64, class: &str) -> Node {
    let turn = |by: f64, r: f64| {
        let angle = angle + by;
        Some((x + r * angle.cos(), y + r * angle.sin()))
    };
    let (tip, tail) = (turn(0.0, length), turn(std::f64::consts::PI, length));
    // The barbs end a little behind the middle.
    let (left, right) = (turn(1.9, length * 0.5), turn(-1.9, length * 0.5));
    let d = path::line([tail, tip, None, left, tip, right]);
    el("path").set("class", class).set("d", d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_drawn_differently() {
        let shapes = [
            Shape::Disc,
            Shape::Square,
            Shape::Up,
            Shape::Down,
            Shape::Diamond,
            Shape::Plus,
            Shape::Cross,
        ];
        let mut drawn: Vec<String> = shapes
            .iter()
            .map(|&s| mark(s, 0.0, 0.0, 5.0, "m").to_string())
            .collect();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), shapes.len());
    }
}
