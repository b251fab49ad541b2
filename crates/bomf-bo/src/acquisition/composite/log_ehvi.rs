//! Logarithm of the expected hypervolume improvement over drawn objectives.
//!
//! With `S` draws `y_s(x)` and the free region cut into boxes `[l, u]`,
//! `EHVI(x) = 1/S sum_s sum_boxes prod_j max(0, min(u_j, y_sj) - l_j)`
//! (Daulton, Balandat and Bakshy, NeurIPS 2020, equation 4, one candidate). The
//! positive parts are replaced by smooth ones with a fat tail, all in
//! logarithms (Ament et al., NeurIPS 2023, section 4.3), so that candidates
//! none of whose draws improves are still told apart. The front is that of the
//! observed objectives, held fixed; with a single objective the reference
//! point is the best value, and this is the expected improvement.

use bomf_pareto::{Cell, box_decomposition};

use super::fat_softplus::log_fat_softplus;
use super::{Composite, CompositeModel};
use crate::acquisition::normal::log_sum_exp;
use crate::models::MeanFunction;
use crate::{Acquisition, BoError, Result};

/// Width of the smoothing, as a part of an objective's scale: far below what
/// an improvement worth an evaluation measures.
const TEMPERATURE: f64 = 1e-3;

/// Draws whose part of the value is below this do not move its gradient.
const NEGLIGIBLE: f64 = 1e-12;

/// The logarithm of the expected gain in hypervolume of a point's objectives.
///
/// Its gradient is that of the objectives for which the composite has one; see
/// [`super::search_simplex`] for a search that needs none.
#[derive(Debug, Clone)]
pub struct LogCompositeEhvi<'a, M, C> {
    model: CompositeModel<'a, M, C>,
    cells: Vec<Cell>,
    temperatures: Vec<f64>,
}

impl<'a, M: MeanFunction, C: Composite> LogCompositeEhvi<'a, M, C> {
    /// Gain over `front` (`k x m`; dominated rows do not matter) above
    /// `ref_point` (`m`). `scales` (`m`): what counts as a large difference of
    /// each objective, the standard deviation of the observed values for one.
    ///
    /// # Errors
    /// [`BoError::Dimension`]; [`BoError::Option`] for a scale that is not
    /// positive; [`BoError::Pareto`] as [`bomf_pareto::box_decomposition`].
    pub fn new(
        model: CompositeModel<'a, M, C>,
        front: &[Vec<f64>],
        ref_point: &[f64],
        scales: &[f64],
    ) -> Result<Self> {
        let expected = model.objectives();
        for (what, found) in [
            ("the reference point", ref_point.len()),
            ("the list of scales", scales.len()),
        ] {
            if found != expected {
                return Err(BoError::Dimension {
                    what,
                    found,
                    expected,
                });
            }
        }
        if let Some(&value) = scales.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
            return Err(BoError::Option {
                option: "scales",
                value,
                range: "the positive numbers",
            });
        }
        Ok(Self {
            model,
            cells: box_decomposition(front, ref_point)?,
            temperatures: scales.iter().map(|s| TEMPERATURE * s).collect(),
        })
    }

    /// The improvement over `best` of a single objective; `scale` as in
    /// [`Self::new`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn single(model: CompositeModel<'a, M, C>, best: f64, scale: f64) -> Result<Self> {
        Self::new(model, &[], &[best], &[scale])
    }

    /// The draws of objectives.
    #[must_use]
    pub fn model(&self) -> &CompositeModel<'a, M, C> {
        &self.model
    }

    /// The log of the covered part of cell side `j` at objective value `y`, and
    /// its derivative.
    fn cover(&self, cell: &Cell, j: usize, y: f64) -> (f64, f64) {
        if y.is_nan() {
            return (f64::NEG_INFINITY, 0.0);
        }
        let (value, by) = log_fat_softplus(y - cell.lower[j], self.temperatures[j]);
        let whole = (cell.upper[j] - cell.lower[j]).ln();
        if value < whole {
            (value, by)
        } else {
            (whole, 0.0)
        }
    }

    /// The log of each cell's term for one draw.
    fn terms<'s>(&'s self, y: &'s [f64]) -> impl Iterator<Item = f64> + 's {
        self.cells.iter().map(move |cell| {
            y.iter()
                .enumerate()
                .map(|(j, y)| self.cover(cell, j, *y).0)
                .sum()
        })
    }
}

impl<M: MeanFunction, C: Composite> Acquisition for LogCompositeEhvi<'_, M, C> {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn values(&self, points: &[Vec<f64>]) -> Result<Vec<f64>> {
        let (s, m) = (self.model.len(), self.model.objectives());
        let draws = self.model.sample(points)?;
        let mut terms = Vec::with_capacity(s * self.cells.len());
        Ok(draws
            .chunks_exact(s * m)
            .map(|own| {
                terms.clear();
                for y in own.chunks_exact(m) {
                    terms.extend(self.terms(y));
                }
                log_sum_exp(&terms) - (s as f64).ln()
            })
            .collect())
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let (s, m) = (self.model.len(), self.model.objectives());
        let draws = self.model.sample(&[x.to_vec()])?;
        let terms: Vec<f64> = draws.chunks_exact(m).flat_map(|y| self.terms(y)).collect();
        let total = log_sum_exp(&terms);
        gradient.fill(0.0);
        if total.is_finite() {
            let mut cotangents = vec![0.0; s * m];
            for ((y, terms), cotangent) in draws
                .chunks_exact(m)
                .zip(terms.chunks_exact(self.cells.len()))
                .zip(cotangents.chunks_exact_mut(m))
            {
                for (cell, term) in self.cells.iter().zip(terms) {
                    let share = (term - total).exp();
                    if share < NEGLIGIBLE {
                        continue;
                    }
                    for (j, c) in cotangent.iter_mut().enumerate() {
                        *c += share * self.cover(cell, j, y[j]).1;
                    }
                }
            }
            self.model.pull_back(x, &cotangents, gradient)?;
        }
        Ok(total - (s as f64).ln())
    }
}
