//! Path data from points, with gaps where a point is missing.

use super::node::number;

/// Straight lines through the points; a `None` ends one line and starts another.
pub(crate) fn line(points: impl IntoIterator<Item = Option<(f64, f64)>>) -> String {
    let mut d = String::new();
    let mut pen_down = false;
    for point in points {
        match point {
            Some((x, y)) => {
                d.push(if pen_down { 'L' } else { 'M' });
                push(&mut d, x, y);
                pen_down = true;
            }
            None => pen_down = false,
        }
    }
    d
}

/// Like [`line`], but level from each point to the next one's x: the course of a
/// value that holds until it changes.
pub(crate) fn steps(points: impl IntoIterator<Item = Option<(f64, f64)>>) -> String {
    let mut d = String::new();
    let mut before: Option<f64> = None;
    for point in points {
        match (before, point) {
            (Some(level), Some((x, y))) => {
                d.push('L');
                push(&mut d, x, level);
                if y != level {
                    d.push('L');
                    push(&mut d, x, y);
                }
            }
            (None, Some((x, y))) => {
                d.push('M');
                push(&mut d, x, y);
            }
            (_, None) => {}
        }
        before = point.map(|(_, y)| y);
    }
    d
}

/// A closed outline.
pub(crate) fn closed(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut d = line(points.into_iter().map(Some));
    if !d.is_empty() {
        d.push('Z');
    }
    d
}

fn push(d: &mut String, x: f64, y: f64) {
    d.push_str(&number(x));
    d.push(' ');
    d.push_str(&number(y));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_point_breaks_the_line() {
        let points = [Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.0))];
        assert_eq!(line(points), "M0 1L1 2M3 4");
        assert_eq!(line([None, None]), "");
    }

    #[test]
    fn steps_hold_their_level_until_the_next_point() {
        let points = [Some((0.0, 9.0)), Some((1.0, 9.0)), Some((2.0, 5.0))];
        assert_eq!(steps(points), "M0 9L1 9L2 9L2 5");
    }
}
