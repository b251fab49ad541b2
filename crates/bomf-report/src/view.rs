//! A study as the report looks at it: lookups that cannot fail, the precision of
//! each objective, and comparisons.
//!
//! Results are taken as they come: scores may be missing or not numbers, lists
//! may be empty or of unequal lengths, the chosen metric may be unknown.

use crate::format;
use crate::names;
use crate::svg::text::shortened;
use bomf_study::{
    Direction, Event, FrontPoint, Method, MethodName, Objective, Results, Scores, State,
};

/// A study and what the report derives from it.
pub(crate) struct View<'a> {
    /// The study's outcome.
    pub(crate) results: &'a Results,
    /// What was evaluated on the way, if it is known.
    events: &'a [Event],
    decimals: Vec<usize>,
}

/// How `bomf` stands against another method in one objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Better, and the interval of the difference leaves out zero.
    Better,
    /// Worse, and the interval of the difference leaves out zero.
    Worse,
    /// The interval holds zero.
    Level,
}

impl<'a> View<'a> {
    /// A view of `results`, with the evaluations on the way or without.
    pub(crate) fn new(results: &'a Results, events: &'a [Event]) -> Self {
        let decimals = results
            .objectives
            .iter()
            .map(|o| decimals(results, &o.name))
            .collect();
        View {
            results,
            events,
            decimals,
        }
    }

    /// The objective by which models are chosen: the last one where the results
    /// name an unknown one.
    pub(crate) fn chosen(&self) -> Option<&'a Objective> {
        let all = &self.results.objectives;
        all.iter()
            .find(|o| o.name == self.results.chosen_metric)
            .or_else(|| all.last())
    }

    /// The objectives, the chosen one first.
    pub(crate) fn objectives(&self) -> Vec<&'a Objective> {
        let chosen = self.chosen();
        let mut all: Vec<_> = self.results.objectives.iter().collect();
        all.sort_by_key(|o| Some(&o.name) != chosen.map(|c| &c.name));
        all
    }

    /// Position of an objective in the results' own order.
    pub(crate) fn index(&self, objective: &Objective) -> Option<usize> {
        let all = &self.results.objectives;
        all.iter().position(|o| o.name == objective.name)
    }

    /// The reference point's value of an objective.
    pub(crate) fn reference(&self, objective: &Objective) -> Option<f64> {
        let index = self.index(objective)?;
        let value = *self.results.ref_point.get(index)?;
        value.is_finite().then_some(value)
    }

    /// Decimals with which scores of this objective are shown.
    pub(crate) fn decimals(&self, objective: &str) -> usize {
        let all = &self.results.objectives;
        all.iter()
            .position(|o| o.name == objective)
            .and_then(|i| self.decimals.get(i))
            .copied()
            .unwrap_or(3)
    }

    /// A score as text.
    pub(crate) fn score(&self, objective: &str, value: f64) -> String {
        format::fixed(value, self.decimals(objective))
    }

    /// A difference of scores as text.
    pub(crate) fn difference(&self, objective: &str, value: f64) -> String {
        format::signed(value, self.decimals(objective))
    }

    /// A hypervolume as text, with four significant digits of the largest one.
    pub(crate) fn hypervolume(&self, value: f64) -> String {
        let methods = self.results.methods.iter().map(|m| m.hypervolume);
        let history = self.results.stage2.history.iter().map(|h| h.bomf);
        let largest = crate::svg::Extent::of(methods.chain(history)).map_or(0.0, |e| e.high);
        if largest <= 0.0 {
            return format::fixed(value, 4);
        }
        let decimals = 3.0 - largest.log10().floor();
        format::fixed(value, decimals.clamp(0.0, 8.0) as usize)
    }

    /// A method's record.
    pub(crate) fn method(&self, name: MethodName) -> Option<&'a Method> {
        self.results.methods.iter().find(|m| m.name == name)
    }

    /// The front's point that was written out, and its place on the front.
    pub(crate) fn chosen_point(&self) -> Option<(usize, &'a FrontPoint)> {
        let mut points = self.results.front.iter().enumerate();
        points.find(|(_, point)| point.chosen)
    }

    /// Weights of the model that was written out.
    pub(crate) fn chosen_weights(&self) -> Option<&'a [f64]> {
        self.method(MethodName::Bomf)
            .and_then(|m| m.weights.as_deref())
            .or_else(|| self.chosen_point().map(|(_, p)| p.weights.as_slice()))
            .filter(|weights| !weights.is_empty())
    }

    /// Whether the run compared `bomf` with random weights.
    pub(crate) fn has_random(&self) -> bool {
        let mut history = self.results.stage2.history.iter();
        history.any(|h| h.random_simplex.is_some_and(f64::is_finite))
    }

    /// Scores of the mixtures that a method evaluated on the way.
    pub(crate) fn evaluated(&self, name: MethodName) -> impl Iterator<Item = &'a Scores> {
        self.events.iter().filter_map(move |event| match event {
            Event::Stage2 {
                method,
                state: State::Complete,
                scores,
                ..
            } if method == name.as_str() => Some(scores),
            _ => None,
        })
    }

    /// How a difference `bomf` − other stands; `None` where it is not known.
    pub(crate) fn standing(objective: &Objective, difference: &[f64; 3]) -> Option<Standing> {
        if difference.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let [_, low, high] = difference.map(|v| objective.direction.maximised(v));
        let (low, high) = (low.min(high), low.max(high));
        Some(if low > 0.0 {
            Standing::Better
        } else if high < 0.0 {
            Standing::Worse
        } else {
            Standing::Level
        })
    }
}

/// A score by name, if it is a number.
pub(crate) fn score(scores: &Scores, objective: &str) -> Option<f64> {
    scores.get(objective).copied().filter(|v| v.is_finite())
}

/// `select` − `report` turned so that more means: looked better on the select
/// split than it was.
pub(crate) fn selection_gap(method: &Method, objective: &Objective) -> Option<f64> {
    let select = score(&method.select, &objective.name)?;
    let report = score(&method.report, &objective.name)?;
    Some(objective.direction.maximised(select) - objective.direction.maximised(report))
}

/// Whether `a` is at least as good as `b`.
pub(crate) fn as_good(direction: Direction, a: f64, b: f64) -> bool {
    direction.maximised(a) >= direction.maximised(b)
}

/// "higher is better" and the like.
pub(crate) fn wish(direction: Direction) -> &'static str {
    match direction {
        Direction::Minimize => "lower is better",
        Direction::Maximize => "higher is better",
    }
}

/// The objective's human name, cut if it is longer than any title has room for.
pub(crate) fn label(objective: &Objective) -> String {
    shortened(&names::objective(&objective.name), 32)
}

/// Decimals that tell methods apart without noise: one more than the leading
/// digit of the methods' spread, three at least for scores around one.
fn decimals(results: &Results, objective: &str) -> usize {
    let values = || {
        results
            .methods
            .iter()
            .flat_map(|m| [score(&m.select, objective), score(&m.report, objective)])
            .chain(results.front.iter().map(|p| score(&p.select, objective)))
            .flatten()
    };
    let Some(extent) = crate::svg::Extent::of(values()) else {
        return 3;
    };
    let magnitude = extent.low.abs().max(extent.high.abs());
    let least = if magnitude >= 1.0 {
        (3.0 - magnitude.log10().floor()).clamp(0.0, 3.0)
    } else {
        3.0
    };
    let wanted = if extent.is_point() {
        least
    } else {
        1.0 - extent.span().log10().floor()
    };
    wanted.clamp(least, 6.0) as usize
}
