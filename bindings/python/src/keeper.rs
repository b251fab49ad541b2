//! Which steps of a training run are kept.

use pyo3::prelude::*;

#[pyclass(module = "bomf._bomf")]
pub struct Keeper(bomf::Keeper);

#[pymethods]
impl Keeper {
    #[new]
    fn new(wanted: usize, window: [f64; 2], spacing: u64) -> Self {
        Keeper(bomf::Keeper::new(wanted, window, spacing))
    }

    fn wants(&self, step: u64) -> bool {
        self.0.wants(step)
    }

    fn keep(&mut self, step: u64) -> Vec<u64> {
        self.0.keep(step)
    }

    fn keep_best(&mut self, step: u64) -> Vec<u64> {
        self.0.keep_best(step)
    }

    fn best(&self) -> Option<u64> {
        self.0.best()
    }

    fn held(&self) -> Vec<u64> {
        self.0.held()
    }

    fn choose(&self, last: u64) -> Vec<u64> {
        self.0.choose(last)
    }
}
