//! `bomf.fuse` in memory: a recipe of mergekit's kind whose models are arrays or folders.

use crate::errors::{of_bomf, wrong};
use crate::supervise::{Callbacks, supervised};
use crate::tensors::{Arrays, Handed, Outputs, name_of};
use bomf::merge::recipe::MergeFile;
use bomf::{Error, Phase};
use bomf_checkpoint::{Checkpoint, FilesPlan, ModelLayout};
use bomf_fuse::execute::DEFAULT_MEMORY;
use bomf_fuse::{Plan, Weights, execute};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

enum Model {
    Arrays(Arrays),
    Folder(Checkpoint),
}

impl Model {
    fn weights(&self) -> &dyn Weights {
        match self {
            Model::Arrays(arrays) => arrays,
            Model::Folder(checkpoint) => checkpoint,
        }
    }
}

/// A recipe with its models. The recipe names them by their numbers.
#[pyclass(module = "bomf._bomf", frozen)]
pub struct Fusion {
    file: MergeFile,
    models: Vec<Model>,
    /// Of each model of the recipe, in its order: its number.
    order: Vec<usize>,
}

impl Fusion {
    fn plan(&self) -> Result<Plan<'_>, Error> {
        let weights = self.order.iter().map(|&i| self.models[i].weights());
        Ok(Plan::new(&self.file.recipe, weights.collect())?)
    }
}

/// `(name, type, shape)` of a tensor of the output.
type Spec = (String, String, Vec<usize>);

#[pymethods]
impl Fusion {
    /// `recipe`: YAML; `models`: a folder or a list of `(name, dtype, array)` each, and `names`
    /// what messages call them.
    #[new]
    fn new(
        recipe: &str,
        seed: u64,
        models: Vec<Bound<'_, PyAny>>,
        names: Vec<String>,
    ) -> PyResult<Self> {
        let file = MergeFile::from_yaml(recipe, "", seed).map_err(|e| of_bomf(&e.into()))?;
        let opened = models.iter().zip(names).map(|(model, name)| {
            if let Ok(list) = model.cast::<PyList>() {
                let handed: Vec<Handed<'_>> = list.extract()?;
                return Ok(Model::Arrays(Arrays::new(name, handed)?));
            }
            let path = model.cast::<PyString>().map_err(PyErr::from)?.to_str()?;
            let checkpoint = Checkpoint::open(path).map_err(|e| of_bomf(&e.into()))?;
            Ok(Model::Folder(checkpoint))
        });
        let models: Vec<Model> = opened.collect::<PyResult<_>>()?;
        let number = |name: &String| {
            let number = name.parse().ok().filter(|&i: &usize| i < models.len());
            number.ok_or_else(|| wrong(format!("the recipe names `{name}`, which is no member")))
        };
        let order = file
            .recipe
            .models()
            .iter()
            .map(number)
            .collect::<PyResult<_>>()?;
        Ok(Fusion {
            file,
            models,
            order,
        })
    }

    /// The output's tensors, and what people should know of it.
    fn outputs(&self) -> PyResult<(Vec<Spec>, Vec<String>)> {
        let plan = self.plan().map_err(|error| of_bomf(&error))?;
        let specs = plan.tensors.iter().map(|tensor| {
            let spec = &tensor.spec;
            (spec.name.clone(), name_of(spec.dtype), spec.shape.clone())
        });
        Ok((specs.collect(), plan.notes.clone()))
    }

    /// Fuses into one array a tensor of [`Self::outputs`]; returns the tensors with values that
    /// are not finite, and how many.
    #[pyo3(signature = (arrays, threads=0, max_memory=None, progress=None))]
    fn run(
        &self,
        py: Python<'_>,
        arrays: Vec<Bound<'_, PyAny>>,
        threads: usize,
        max_memory: Option<u64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<(String, u64)>> {
        let plan = self.plan().map_err(|error| of_bomf(&error))?;
        let specs = plan.tensors.iter().map(|tensor| {
            let spec = &tensor.spec;
            (spec.name.as_str(), spec.dtype, spec.shape.as_slice())
        });
        let inputs: Vec<&Arrays> = self
            .models
            .iter()
            .filter_map(|model| match model {
                Model::Arrays(arrays) => Some(arrays),
                Model::Folder(_) => None,
            })
            .collect();
        let outputs = Outputs::new(&arrays, specs, &inputs)?;
        let files = FilesPlan::new(&plan.specs(), &ModelLayout::default())
            .map_err(|error| of_bomf(&error.into()))?;
        let callbacks = Callbacks {
            progress: progress.as_ref(),
            ..Callbacks::default()
        };
        let memory = max_memory.unwrap_or(DEFAULT_MEMORY);
        let summary = supervised(py, &callbacks, |link| {
            bomf::watched(Phase::Merge, files.bytes(), threads, link, |control| {
                Ok(execute(&plan, &files, &outputs, memory, control)?)
            })
        })?;
        Ok(summary.not_finite)
    }
}
