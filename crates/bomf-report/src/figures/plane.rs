//! Which planes of two objectives are drawn, and what part of them.

use crate::svg::Extent;
use crate::view::{View, score};
use bomf_study::{Direction, Objective, Scores};

/// Other points widen the frame by at most this part of what the front and the
/// methods span; those beyond it are shown as arrows at its edge.
const MOST_WIDENING: f64 = 0.9;

/// The pairs (x, y) of objectives to draw: the chosen metric against the loss
/// first; at most [`MOST_PAIRS`].
pub(crate) fn pairs<'a>(view: &View<'a>) -> Vec<(&'a Objective, &'a Objective)> {
    let mut all = view.objectives();
    // The loss is the natural x of the first pair.
    if let Some(loss) = all.iter().skip(1).position(|o| o.name == "loss") {
        let loss = all.remove(loss + 1);
        all.insert(1, loss);
    }
    let mut pairs = Vec::new();
    for (i, &y) in all.iter().enumerate() {
        for &x in &all[i + 1..] {
            // A loss goes along x, whichever comes first.
            let minimised = |o: &Objective| o.direction == Direction::Minimize;
            pairs.push(if minimised(y) && !minimised(x) {
                (y, x)
            } else {
                (x, y)
            });
        }
    }
    pairs.truncate(MOST_PAIRS);
    pairs
}

/// Four objectives have six pairs; more would be wallpaper.
const MOST_PAIRS: usize = 10;

/// What a frame covers: the front and the methods; the reference point and the
/// members too as far as they do not widen it much.
pub(super) fn domain(
    view: &View<'_>,
    o: &Objective,
    (x, y): (&Objective, &Objective),
) -> Option<Extent> {
    let both =
        |scores: &Scores| score(scores, &x.name).is_some() && score(scores, &y.name).is_some();
    let values = |scores: &Scores| both(scores).then(|| score(scores, &o.name)).flatten();
    let results = view.results;
    let front = results.front.iter().filter_map(|p| values(&p.select));
    let methods = results.methods.iter().filter_map(|m| values(&m.select));
    let members = || {
        results
            .finetune
            .members
            .iter()
            .filter_map(|m| values(&m.select))
    };
    let core = Extent::of(front.chain(methods)).or_else(|| Extent::of(members()))?;
    let near = |part: f64| {
        let room = core.span() * part;
        move |v: &f64| (core.low - room..=core.high + room).contains(v)
    };
    let seen = members()
        .filter(near(MOST_WIDENING))
        .fold(core, Extent::with);
    // The reference point lies a little beyond the worst members.
    let reference = view.reference(o).filter(near(MOST_WIDENING * 1.3));
    Some(reference.map_or(seen, |v| seen.with(v)))
}

/// The front alone has to span less than this part of the frame, in one direction
/// or the other, for a close-up to show more.
const SMALL: f64 = 0.4;

/// Room around the front in a close-up, in parts of its span.
const CLOSE_UP_ROOM: f64 = 0.45;

/// What a close-up of the front covers in an objective; `None` where there are not
/// two different points.
pub(super) fn close_up(
    view: &View<'_>,
    o: &Objective,
    (x, y): (&Objective, &Objective),
) -> Option<Extent> {
    let front = view.results.front.iter();
    let both = front.filter(|p| {
        score(&p.select, &x.name)
            .and(score(&p.select, &y.name))
            .is_some()
    });
    let extent = Extent::of(both.filter_map(|p| score(&p.select, &o.name)))?;
    (!extent.is_point()).then(|| extent.padded(CLOSE_UP_ROOM))
}

/// Whether a close-up shows more than the whole frame.
pub(super) fn is_small(part: Extent, whole: Extent) -> bool {
    let bare = part.span() / (1.0 + 2.0 * CLOSE_UP_ROOM);
    bare < SMALL * whole.span()
}
