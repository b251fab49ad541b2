//! The labels of a figure: what stands beside which mark.

use crate::svg::Node;
use crate::svg::figure::Plot;
use crate::svg::label::{LEADER_FROM, Rect, Wanted, place};
use crate::svg::node::{group, line, text};
use crate::svg::text as measure;

/// Labels to be placed, in order of importance.
#[derive(Default)]
pub(super) struct Labels {
    wanted: Vec<(Wanted, String, String)>,
    /// Marks that labels keep off.
    pub(super) marks: Vec<Rect>,
    first: usize,
}

/// Length of the pieces into which a line is cut that labels keep off.
const PIECE: f64 = 12.0;

/// Type size of the labels.
const LABEL_SIZE: f64 = 12.0;

impl Labels {
    fn make(at: (f64, f64), r: f64, label: &str) -> Wanted {
        Wanted {
            at,
            r,
            width: measure::width(label, LABEL_SIZE) + 4.0,
            height: LABEL_SIZE + 3.0,
        }
    }

    /// Asks for a label.
    pub(super) fn want(&mut self, at: (f64, f64), r: f64, label: String, class: String) {
        self.wanted.push((Self::make(at, r, &label), label, class));
    }

    /// Asks for a label before all of the other kind.
    pub(super) fn want_first(&mut self, at: (f64, f64), r: f64, label: String, class: String) {
        let wanted = Self::make(at, r, &label);
        self.wanted.insert(self.first, (wanted, label, class));
        self.first += 1;
    }

    /// Keeps labels off a level or upright line inside a plot, piece by piece.
    pub(super) fn keep_off(&mut self, a: (f64, f64), b: (f64, f64), plot: &Plot) {
        let inside = |(x, y): (f64, f64)| {
            (
                x.clamp(plot.left, plot.right),
                y.clamp(plot.top, plot.bottom),
            )
        };
        let (a, b) = (inside(a), inside(b));
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let pieces = (length / PIECE).ceil();
        for k in 0..pieces as usize {
            let part = (k as f64 + 0.5) / pieces;
            let (x, y) = (a.0 + part * (b.0 - a.0), a.1 + part * (b.1 - a.1));
            self.marks.push(Rect::around(x, y, 1.5, 1.5));
        }
    }

    /// Draws the labels into and around the plot, with leaders to those that stand
    /// off.
    pub(super) fn draw(self, plot: &Plot) -> Node {
        let mut g = group("labels");
        let bounds = Rect {
            x0: plot.left + 2.0,
            y0: plot.top - 4.0,
            x1: plot.right + 16.0,
            y1: plot.bottom - 2.0,
        };
        let wanted: Vec<Wanted> = self.wanted.iter().map(|w| w.0).collect();
        let places = place(&wanted, &self.marks, bounds);
        for ((wanted, label, class), rect) in self.wanted.iter().zip(places) {
            let Some(rect) = rect else { continue };
            let (px, py) = wanted.at;
            let (nx, ny) = (
                px.clamp(rect.x0, rect.x1),
                py.clamp(rect.y0 + 2.0, rect.y1 - 2.0),
            );
            let distance = (nx - px).hypot(ny - py);
            if distance > wanted.r + LEADER_FROM {
                let part = wanted.r / distance;
                let from = (px + (nx - px) * part, py + (ny - py) * part);
                g.push(line(from, (nx, ny), "leader"));
            }
            // Anchored on the side of the point, so that a wrong estimate of the
            // width does not part label and mark.
            let (anchor, x) = if rect.x0 >= px {
                ("start", rect.x0 + 2.0)
            } else if rect.x1 <= px {
                ("end", rect.x1 - 2.0)
            } else {
                ("middle", (rect.x0 + rect.x1) / 2.0)
            };
            g.push(text(x, rect.y1 - 4.0, anchor, class, label.as_str()));
        }
        g
    }
}
