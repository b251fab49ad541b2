//! Local search in continuous and discrete coordinates by turns.

use super::maximise::ascend;
use super::{Polyhedral, Scored, SolverOptions};
use crate::{Acquisition, Result};

/// Rounds of ascent and discrete moves. Each begins where the last one ended, so
/// that few are needed.
const ROUNDS: usize = 8;

/// Discrete moves within a round: more than the parameters of any space that
/// evaluations can be told apart in.
const MOVES: usize = 64;

/// Climbs in the continuous coordinates with the discrete ones held, then moves
/// from neighbour to best neighbour as long as that helps, and again.
pub(super) fn climb<C, N>(
    acquisition: &dyn Acquisition,
    start: &Scored,
    ascend: C,
    neighbours: N,
) -> Result<Scored>
where
    C: Fn(&Scored) -> Result<Scored>,
    N: Fn(&[f64]) -> Vec<Vec<f64>>,
{
    let mut best = ascend(start)?;
    for _ in 0..ROUNDS {
        let mut moved = false;
        for _ in 0..MOVES {
            let neighbours = neighbours(&best.x);
            if neighbours.is_empty() {
                break;
            }
            let values = acquisition.values(&neighbours)?;
            let mut better: Option<Scored> = None;
            for (x, value) in neighbours.into_iter().zip(values) {
                if value > better.as_ref().map_or(best.value, |b| b.value) {
                    better = Some(Scored { x, value });
                }
            }
            let Some(next) = better else { break };
            best = next;
            moved = true;
        }
        if !moved {
            break;
        }
        best = ascend(&best)?;
    }
    Ok(best)
}

/// [`climb`] in a space without constraints.
pub(super) fn climb_in<S: Polyhedral>(
    space: &S,
    acquisition: &dyn Acquisition,
    start: &Scored,
    options: &SolverOptions,
) -> Result<Scored> {
    climb(
        acquisition,
        start,
        |from| {
            let region = space.region(&from.x);
            if region.is_point() {
                return Ok(from.clone());
            }
            ascend(acquisition, &region, from, options)
        },
        |x| space.neighbours(x),
    )
}
