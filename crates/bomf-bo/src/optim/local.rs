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

/// From a point that no discrete move betters, the moves that lose least are
/// continued: so many of them by every second move,
const BEAM: usize = 8;

/// and so many by an ascent, before it counts as a maximum.
const FOLLOWED: usize = 3;

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
        let mut around = scored(acquisition, neighbours(&best.x))?;
        for _ in 0..MOVES {
            match around.first() {
                Some(next) if next.value > best.value => best = around.swap_remove(0),
                _ => break,
            }
            moved = true;
            around = scored(acquisition, neighbours(&best.x))?;
        }
        if moved {
            best = ascend(&best)?;
            continue;
        }
        // A move may pay only together with another, or once the continuous
        // coordinates follow it.
        let two_away: Vec<Vec<f64>> = around
            .iter()
            .take(BEAM)
            .flat_map(|next| neighbours(&next.x))
            .collect();
        let mut two_away = scored(acquisition, two_away)?;
        if two_away.first().is_some_and(|x| x.value > best.value) {
            best = ascend(&two_away.swap_remove(0))?;
            continue;
        }
        for next in around.iter().take(FOLLOWED) {
            let followed = ascend(next)?;
            if followed.value > best.value {
                best = followed;
                moved = true;
                break;
            }
        }
        if !moved {
            break;
        }
    }
    Ok(best)
}

/// The points with their values, best first.
fn scored(acquisition: &dyn Acquisition, points: Vec<Vec<f64>>) -> Result<Vec<Scored>> {
    if points.is_empty() {
        return Ok(Vec::new());
    }
    let values = acquisition.values(&points)?;
    let mut all: Vec<Scored> = points
        .into_iter()
        .zip(values)
        .filter(|(_, value)| !value.is_nan())
        .map(|(x, value)| Scored { x, value })
        .collect();
    all.sort_by(|a, b| b.value.total_cmp(&a.value));
    Ok(all)
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
