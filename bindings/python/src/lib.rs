//! The extension module `bomf._bomf`: what the Python package `bomf` is built on.
//!
//! Nothing here is a search, a fusion or a training of its own: arguments become the crates'
//! requests, and outcomes go back as numbers, arrays that Python owns, or JSON. The package
//! in `python/bomf` is what people use; this module's functions are not documented for them.
//!
//! | module | holds |
//! |---|---|
//! | `supervise` | work on another thread, with the interpreter free, watched and stopped from Python |
//! | `errors` | the crates' errors as Python's exceptions |
//! | `search` | the optimisers behind `bomf.Optimizer` |
//! | `tensors` | arrays of Python as models that `bomf-fuse` reads, and as its output |
//! | `fusion` | `bomf.fuse` in memory |
//! | `mixtures` | `bomf.FusionSearch` |
//! | `keeper` | which steps `bomf.TrajectoryCallback` keeps |
//! | `commands` | one function a command of the binary |
//! | `pareto` | fronts and hypervolume |

mod commands;
mod errors;
mod fusion;
mod keeper;
mod mixtures;
mod pareto;
mod search;
mod supervise;
mod tensors;

use pyo3::prelude::*;

#[pymodule]
mod _bomf {
    #[pymodule_export]
    use super::commands::{
        diff, eval, finetune, front_svg, fuse_run, list_checkpoints, lora_extract, lora_fuse,
        merge, methods, pick, report, run, tune, verdict, verify,
    };
    #[pymodule_export]
    use super::fusion::Fusion;
    #[pymodule_export]
    use super::keeper::Keeper;
    #[pymodule_export]
    use super::mixtures::search_mixtures;
    #[pymodule_export]
    use super::pareto::{
        hypervolume, hypervolume_contributions, infer_reference_point, knee, non_dominated,
        non_dominated_sort,
    };
    #[pymodule_export]
    use super::search::Search;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
