//! Greedy soup: members are added to an average one by one, as long as it does not get worse.
//!
//! Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
//! accuracy without increasing inference time", ICML 2022 (arXiv 2203.05482), recipe 1:
//!
//! > sort the members by their score; start with the best; for each of the others in turn, add it
//! > if the score of the average with it is not below that of the average without it.
//!
//! Greedy SWA in BOMF (arXiv 2411.06710) is the same on the checkpoints of one run.

use super::uniform_soup;
use crate::error::FuseError;

/// What the search found.
#[derive(Debug, Clone, PartialEq)]
pub struct GreedySoup {
    /// One weight a member: equal ones for those chosen, 0 for the rest.
    pub weights: Vec<f64>,
    /// The chosen members, in the order in which they were added.
    pub chosen: Vec<usize>,
    /// The score of their average.
    pub score: f64,
    /// How many averages were evaluated (the members' own scores not counted).
    pub evaluations: usize,
}

/// Searches the greedy soup of members with these scores, the greater the better. `evaluate`
/// gives the score of the average with the weights it is handed.
///
/// Members with equal scores are tried in their order. A member whose score is NaN is never
/// tried, and an average whose score is NaN is never kept; if all scores are NaN, the first member
/// is returned alone.
///
/// # Errors
/// [`FuseError::NoMembers`] without scores, and whatever `evaluate` returns.
pub fn search<E: From<FuseError>>(
    scores: &[f64],
    mut evaluate: impl FnMut(&[f64]) -> Result<f64, E>,
) -> Result<GreedySoup, E> {
    let n = scores.len();
    if n == 0 {
        return Err(FuseError::NoMembers.into());
    }
    let mut order: Vec<usize> = (0..n).filter(|&i| !scores[i].is_nan()).collect();
    // Stable; adding 0 makes a negative zero a positive one, which `total_cmp` would tell apart.
    order.sort_by(|&a, &b| (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)));
    let best = order.first().copied().unwrap_or(0);
    let mut soup = GreedySoup {
        weights: uniform_soup::weights_of(&[best], n),
        chosen: vec![best],
        score: scores[best],
        evaluations: 0,
    };
    for &i in order.iter().skip(1) {
        let mut chosen = soup.chosen.clone();
        chosen.push(i);
        let weights = uniform_soup::weights_of(&chosen, n);
        let score = evaluate(&weights)?;
        soup.evaluations += 1;
        if score >= soup.score {
            soup.weights = weights;
            soup.chosen = chosen;
            soup.score = score;
        }
    }
    Ok(soup)
}
