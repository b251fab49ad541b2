//! What stage 2 optimises, whoever computes it: the objectives, the one that chooses,
//! and how scores compare.

use bomf_study::{Objective, Scores};

/// The objectives of a search and the rules by which scores compare.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goals {
    /// In the order of the scores. Of the engine's own: loss first, then the metrics.
    pub objectives: Vec<Objective>,
    /// Index of the objective by which models are chosen.
    pub chosen: usize,
    /// Index of the objective that decides between models that are alike in the chosen
    /// one: the loss, where there is one.
    pub second: usize,
    /// Weights of the objectives for the `weights` rule.
    pub weights: Option<Vec<f64>>,
    /// Reference point that the recipe sets, in the objectives' own directions.
    pub ref_point: Option<Vec<f64>>,
}

impl Goals {
    /// The scores as numbers of which more is better, in the order of the objectives;
    /// NaN for one that is missing.
    pub fn maximised(&self, scores: &Scores) -> Vec<f64> {
        let value = |o: &Objective| {
            o.direction
                .maximised(scores.get(&o.name).copied().unwrap_or(f64::NAN))
        };
        self.objectives.iter().map(value).collect()
    }

    /// Index of the loss; where no objective is called so, of the second one.
    pub fn loss(&self) -> usize {
        let loss = self.objectives.iter().position(|o| o.name == "loss");
        loss.unwrap_or(self.second)
    }

    /// The chosen objective, more being better.
    pub fn chosen_value(&self, scores: &Scores) -> f64 {
        self.maximised(scores)[self.chosen]
    }

    /// Whether `a` is better than `b`: by the chosen objective, then by the second.
    pub fn better(&self, a: &Scores, b: &Scores) -> bool {
        let key = |s: &Scores| {
            let y = self.maximised(s);
            (y[self.chosen], y[self.second])
        };
        key(a) > key(b)
    }

    /// Standard errors in the order of the objectives; empty unless all are known.
    pub fn std_errors(&self, errors: &Scores) -> Vec<f64> {
        let known = |o: &Objective| errors.get(&o.name).copied();
        let all: Option<Vec<f64>> = self.objectives.iter().map(known).collect();
        all.unwrap_or_default()
    }
}
