//! The Pareto front in the plane of two objectives: what was found, what the
//! baselines reached, and the region that the front dominates.

use super::labels::Labels;
use super::plane;
use super::specks::specks;
use super::staircase::staircase;
use crate::names;
use crate::svg::figure::Plot;
use crate::svg::label::Rect;
use crate::svg::node::{Node, el, group};
use crate::svg::ticks::ticks;
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path};
use crate::view::{self, View, score};
use bomf_study::{Direction, MethodName, Objective, Scores};

/// One panel: `y` against `x`.
pub(super) struct Panel<'v, 'a> {
    view: &'v View<'a>,
    x: &'a Objective,
    y: &'a Objective,
    plot: Plot,
    sx: Scale,
    sy: Scale,
    id: &'static str,
    /// Whether there is room for labels.
    large: bool,
    /// Whether it is a close-up, which leaves the reference point far outside.
    near: bool,
}

/// How many points of each kind lie outside the frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    /// Members.
    pub(crate) members: usize,
    /// Mixtures that were evaluated on the way.
    pub(crate) evaluated: usize,
}

impl<'v, 'a> Panel<'v, 'a> {
    /// A panel over the plane of two objectives; `None` where no point has both.
    pub(super) fn new(
        view: &'v View<'a>,
        (x, y): (&'a Objective, &'a Objective),
        plot: Plot,
        id: &'static str,
        large: bool,
    ) -> Option<Self> {
        let domain = |o: &Objective| plane::domain(view, o, (x, y));
        let (dx, dy) = (domain(x)?.padded(0.06), domain(y)?.padded(0.08));
        Some(Self::over(view, (x, dx), (y, dy), plot, id, large))
    }

    /// A large panel over the front alone; `None` where [`Panel::new`] shows it
    /// as well.
    pub(super) fn close_up(
        view: &'v View<'a>,
        (x, y): (&'a Objective, &'a Objective),
        plot: Plot,
        id: &'static str,
    ) -> Option<Self> {
        let near = |o: &Objective| plane::close_up(view, o, (x, y));
        let whole = |o: &Objective| plane::domain(view, o, (x, y));
        let (dx, dy) = (near(x)?, near(y)?);
        let small = plane::is_small(dx, whole(x)?) || plane::is_small(dy, whole(y)?);
        small.then(|| Panel {
            near: true,
            ..Self::over(view, (x, dx), (y, dy), plot, id, true)
        })
    }

    fn over(
        view: &'v View<'a>,
        (x, dx): (&'a Objective, Extent),
        (y, dy): (&'a Objective, Extent),
        plot: Plot,
        id: &'static str,
        large: bool,
    ) -> Self {
        Panel {
            view,
            x,
            y,
            plot,
            sx: Scale::linear(dx, plot.left, plot.right),
            sy: Scale::linear(dy, plot.bottom, plot.top),
            id,
            large,
            near: false,
        }
    }

    fn at(&self, scores: &Scores) -> Option<(f64, f64)> {
        let x = self.sx.at(score(scores, &self.x.name)?)?;
        let y = self.sy.at(score(scores, &self.y.name)?)?;
        Some((x, y))
    }

    fn is_inside(&self, (x, y): (f64, f64)) -> bool {
        (self.plot.left..=self.plot.right).contains(&x)
            && (self.plot.top..=self.plot.bottom).contains(&y)
    }

    fn tip(&self, what: &str, scores: &Scores) -> String {
        let mut tip = what.to_string();
        for o in self.view.objectives() {
            if let Some(value) = score(scores, &o.name) {
                let value = self.view.score(&o.name, value);
                tip.push_str(&format!("\n{} {value}", view::label(o)));
            }
        }
        tip
    }

    /// Draws everything onto the figure, and counts what lies outside.
    pub(super) fn draw(&self, figure: &mut Figure) -> Outside {
        let clip = format!("{}-clip", self.id);
        figure.push(el("defs").add(self.plot.clip(&clip, 0.0)));
        self.axes(figure);
        let mut labels = Labels::default();
        let clipped = format!("url(#{clip})");
        let region = self.region(&mut labels);
        figure.push(region.set("clip-path", &*clipped));
        let mut outside = Outside::default();
        figure.push(self.cloud(&mut outside));
        figure.push(self.members(&mut outside).set("clip-path", &*clipped));
        if !self.near {
            figure.push(self.reference(&mut labels));
        }
        figure.push(self.front(&mut labels));
        figure.push(self.methods(&mut labels));
        if self.large {
            self.member_ends(&mut labels);
            figure.push(labels.draw(&self.plot));
        }
        outside
    }

    fn axes(&self, figure: &mut Figure) {
        let (nx, ny) = if self.large { (7, 6) } else { (4, 4) };
        let title = |o: &Objective, arrow: &str| {
            if self.large {
                format!("{} on the select split  {arrow} better", view::label(o))
            } else {
                format!("{}  {arrow}", view::label(o))
            }
        };
        let arrow = |d: Direction, low: &'static str, high: &'static str| match d {
            Direction::Minimize => low,
            Direction::Maximize => high,
        };
        let y_title = title(self.y, arrow(self.y.direction, "↓", "↑"));
        let x_title = title(self.x, arrow(self.x.direction, "←", "→"));
        figure.push(axis::left(
            &self.plot,
            &self.sy,
            &ticks(&self.sy, ny),
            &y_title,
        ));
        figure.push(axis::below(
            &self.plot,
            &self.sx,
            &ticks(&self.sx, nx),
            &x_title,
        ));
    }

    /// The staircase of the front and the reference point, as places; the frame's
    /// worst corner stands in for a reference point that is not there.
    fn stairs(&self) -> (Vec<(f64, f64)>, (f64, f64)) {
        let front = self.view.results.front.iter();
        // Turned so that both coordinates are maximised.
        let sign = |d: Direction| if d == Direction::Maximize { 1.0 } else { -1.0 };
        let (su, sv) = (sign(self.x.direction), -sign(self.y.direction));
        let turned: Vec<(f64, f64)> = front
            .filter_map(|p| self.at(&p.select))
            .map(|(x, y)| (su * x, sv * y))
            .collect();
        let corner = |o: &Objective, scale: &Scale, s: f64| {
            let (from, to) = scale.range();
            let worst = (s * from).min(s * to);
            let place = self.view.reference(o).and_then(|value| scale.at(value));
            place.map_or(worst, |place| (s * place).max(worst - FAR))
        };
        let reference = (corner(self.x, &self.sx, su), corner(self.y, &self.sy, sv));
        let back = |(u, v): (f64, f64)| (su * u, sv * v);
        let corners = staircase(&turned, reference).into_iter().map(back);
        (corners.collect(), back(reference))
    }

    /// The region that the front dominates, down to the reference point.
    fn region(&self, labels: &mut Labels) -> Node {
        let mut g = group("k-bomf");
        let (corners, reference) = self.stairs();
        if corners.is_empty() {
            return g;
        }
        let outline = path::closed(corners.iter().copied().chain([reference]));
        g.push(el("path").set("class", "wash").set("d", outline));
        let edge = path::line(corners.iter().copied().map(Some));
        g.push(el("path").set("class", "stroke hairline").set("d", edge));
        for pair in corners.windows(2) {
            labels.keep_off(pair[0], pair[1], &self.plot);
        }
        g
    }

    /// Everything that was evaluated, faintly.
    fn cloud(&self, outside: &mut Outside) -> Node {
        let mut g = group("evaluated");
        for (name, class) in [
            (MethodName::RandomSimplex, "k-random"),
            (MethodName::Bomf, "k-bomf"),
        ] {
            let places = || {
                let all = self.view.evaluated(name);
                all.filter_map(|scores| self.at(scores))
            };
            outside.evaluated += places().filter(|&p| !self.is_inside(p)).count();
            let inside = || places().filter(|&p| self.is_inside(p));
            if inside().count() > MOST_DOTS {
                g.extend(specks(inside(), class));
                continue;
            }
            for (x, y) in inside() {
                g.push(mark::mark(
                    Shape::Disc,
                    x,
                    y,
                    2.0,
                    &format!("cloud {class}"),
                ));
            }
        }
        g
    }

    /// The members, joined in the order of training.
    fn members(&self, outside: &mut Outside) -> Node {
        let mut g = group("k-member");
        let members = &self.view.results.finetune.members;
        let track = path::line(members.iter().map(|m| self.at(&m.select)));
        if self.large && !track.is_empty() {
            g.push(
                el("path")
                    .set("class", "stroke hairline dots")
                    .set("d", track),
            );
        }
        for member in members {
            let Some((x, y)) = self.at(&member.select) else {
                continue;
            };
            if !self.is_inside((x, y)) {
                outside.members += 1;
                continue;
            }
            let tip = self.tip(&format!("member of step {}", member.step), &member.select);
            let r = if self.large { 3.0 } else { 2.2 };
            g.push(mark::mark(Shape::Disc, x, y, r, "dot open").tip(tip));
        }
        g
    }

    fn member_ends(&self, labels: &mut Labels) {
        let members = &self.view.results.finetune.members;
        for member in members {
            if let Some((x, y)) = self.at(&member.select).filter(|&p| self.is_inside(p)) {
                labels.marks.push(Rect::around(x, y, 3.0, 3.0));
            }
        }
        let ends = members
            .first()
            .into_iter()
            .chain(members.last().filter(|_| members.len() > 1));
        for member in ends {
            if let Some(p) = self.at(&member.select).filter(|&p| self.is_inside(p)) {
                labels.want(p, 3.0, format!("step {}", member.step), "lab plain".into());
            }
        }
    }

    /// The reference point, or an arrow towards it where it is outside.
    fn reference(&self, labels: &mut Labels) -> Node {
        let mut g = group("k-plain");
        let (Some(rx), Some(ry)) = (self.view.reference(self.x), self.view.reference(self.y))
        else {
            return g;
        };
        let (Some(x), Some(y)) = (self.sx.at(rx), self.sy.at(ry)) else {
            return g;
        };
        let value = format!(
            "({}, {})",
            self.view.score(&self.x.name, rx),
            self.view.score(&self.y.name, ry)
        );
        let tip = format!("reference point of the hypervolume\n{value}");
        if self.is_inside((x, y)) {
            g.push(mark::mark(Shape::Plus, x, y, 6.0, "cross").tip(tip));
            labels.want((x, y), 6.0, "reference point".into(), "lab plain".into());
            return g;
        }
        let cx = x.clamp(self.plot.left + 7.0, self.plot.right - 7.0);
        let cy = y.clamp(self.plot.top + 7.0, self.plot.bottom - 7.0);
        let angle = (y - cy).atan2(x - cx);
        g.push(mark::arrow(cx, cy, angle, 8.0, "stroke thin").tip(tip));
        labels.want(
            (cx, cy),
            8.0,
            format!("reference point {value}"),
            "lab plain".into(),
        );
        g
    }

    fn front(&self, labels: &mut Labels) -> Node {
        let mut g = group("k-bomf");
        let r = if self.large { 4.0 } else { 3.0 };
        for (k, point) in self.view.results.front.iter().enumerate() {
            let Some((x, y)) = self.at(&point.select).filter(|&p| self.is_inside(p)) else {
                continue;
            };
            labels.marks.push(Rect::around(x, y, r, r));
            let what = match point.dominated {
                false => format!("front point {}", k + 1),
                true => "the chosen mixture, off the front".into(),
            };
            let tip = self.tip(&what, &point.select);
            g.push(
                mark::mark(Shape::Disc, x, y, r, "mark solid")
                    .set("data-k", k)
                    .tip(tip),
            );
        }
        g
    }

    /// The methods' models, `bomf` last; those that fall together share a label.
    fn methods(&self, labels: &mut Labels) -> Node {
        let mut g = group("methods");
        let mut groups: Vec<((f64, f64), Vec<MethodName>)> = Vec::new();
        for method in &self.view.results.methods {
            let Some(p) = self.at(&method.select).filter(|&p| self.is_inside(p)) else {
                continue;
            };
            let near = |q: &(f64, f64)| (q.0 - p.0).hypot(q.1 - p.1) < SAME_PLACE;
            match groups.iter_mut().find(|(q, _)| near(q)) {
                Some((_, names)) => names.push(method.name),
                None => groups.push((p, vec![method.name])),
            }
            let style = names::style(method.name);
            let us = method.name == MethodName::Bomf;
            let r = match (us, self.large) {
                (true, true) => 7.0,
                (false, true) => 5.0,
                (true, false) => 5.0,
                (false, false) => 3.8,
            };
            let tip = self.tip(&names::capital(style.label), &method.select);
            let mark = style
                .mark(p.0, p.1, r)
                .set("data-m", method.name.as_str())
                .tip(tip);
            labels.marks.push(Rect::around(p.0, p.1, r, r));
            if us {
                g.push(mark::mark(Shape::Disc, p.0, p.1, r + 3.0, "halo k-bomf"));
            }
            g.push(mark);
        }
        // The model that was made gets the first pick of places.
        groups.sort_by_key(|(_, names)| !names.contains(&MethodName::Bomf));
        for (p, mut names) in groups {
            names.sort_by_key(|&n| n != MethodName::Bomf);
            let label: Vec<&str> = names
                .iter()
                .map(|&n| {
                    if n == MethodName::Bomf {
                        "bomf (chosen)"
                    } else {
                        names::style(n).label
                    }
                })
                .collect();
            let class = names.first().map_or("", |&n| names::style(n).class);
            let r = if names.contains(&MethodName::Bomf) {
                12.0
            } else {
                6.0
            };
            labels.want_first(p, r, label.join(" · "), format!("lab {class}"));
        }
        g
    }
}

/// Most evaluated mixtures of a kind that are an element each.
const MOST_DOTS: usize = 2000;

/// How far outside the frame a region's corner may lie.
const FAR: f64 = 1e3;

/// Marks nearer than this look like one.
const SAME_PLACE: f64 = 3.0;
