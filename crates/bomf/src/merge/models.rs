//! The recipe's models: from names to open checkpoints.

use crate::{Error, Observer, hub};
use bomf_checkpoint::{Adapter, Checkpoint};
use bomf_fuse::lora::Adapted;
use bomf_fuse::{Weights, WithStatistics};
use std::path::{Path, PathBuf};

/// What names on the hub begin with in commands.
const HUB: &str = "hf:";

/// What stands between a model and the adapter that is put into it.
const WITH_ADAPTER: char = '+';

/// The models of a recipe, in its order.
pub(super) struct Models {
    /// Where each lies: its folder, or a file of weights.
    pub places: Vec<PathBuf>,
    /// Its weights, without its adapter.
    pub checkpoints: Vec<Checkpoint>,
    /// What is to be put into them.
    pub adapters: Vec<Option<Adapter>>,
    /// What is known of them beside their weights.
    pub statistics: Vec<Option<Checkpoint>>,
}

impl Models {
    /// Opens models by their names: paths relative to `root` (`None` is the working directory),
    /// or `owner/name` on the hub where there is no such path; each may be followed by a plus sign
    /// and an adapter.
    ///
    /// `statistics` are the files of their statistics, by the model's number, where there are any.
    pub fn open(
        names: &[String],
        statistics: &[Option<String>],
        root: Option<&Path>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let mut models = Self {
            places: Vec::with_capacity(names.len()),
            checkpoints: Vec::with_capacity(names.len()),
            adapters: Vec::with_capacity(names.len()),
            statistics: Vec::with_capacity(names.len()),
        };
        for (number, name) in names.iter().enumerate() {
            let (base, adapter) = with_adapter(name, root);
            let place = place_of(base, root, observer)?;
            models.checkpoints.push(Checkpoint::open(&place)?);
            models.places.push(place);
            models.adapters.push(match adapter {
                Some(adapter) => Some(Adapter::open(place_of(adapter, root, observer)?)?),
                None => None,
            });
            let own = statistics.get(number).and_then(Option::as_ref);
            let own = own.map(|path| match root {
                Some(root) => root.join(path),
                None => PathBuf::from(path),
            });
            models
                .statistics
                .push(own.map(Checkpoint::open).transpose()?);
        }
        Ok(models)
    }

    /// As fusion sees them.
    pub fn weights(&self) -> Result<Vec<Box<dyn Weights + '_>>, Error> {
        let weights = self.checkpoints.iter().zip(&self.adapters);
        let weights = weights.zip(&self.statistics);
        let weights = weights.map(|((base, adapter), statistics)| {
            let statistics = statistics.as_ref();
            Ok(match adapter {
                Some(adapter) => Box::new(WithStatistics {
                    weights: Adapted::new(base, adapter)?,
                    statistics,
                }) as Box<dyn Weights + '_>,
                None => Box::new(WithStatistics {
                    weights: base,
                    statistics,
                }),
            })
        });
        weights.collect()
    }

    /// The files that a model is read from: its own, those of its adapter, its statistics.
    pub fn files(&self, model: usize) -> Vec<PathBuf> {
        let own = self.checkpoints[model].files().map(Path::to_path_buf);
        let adapter = self.adapters[model].iter().flat_map(Adapter::files);
        let statistics = self.statistics[model].iter().flat_map(Checkpoint::files);
        let statistics = statistics.map(Path::to_path_buf);
        own.chain(adapter).chain(statistics).collect()
    }

    /// The folder with a model's other files; a file of weights alone has none.
    pub fn folder(&self, model: usize) -> Option<&Path> {
        Some(self.places[model].as_path()).filter(|place| place.is_dir())
    }
}

/// Takes a name apart at its plus sign, unless that belongs to a path that there is.
fn with_adapter<'a>(name: &'a str, root: Option<&Path>) -> (&'a str, Option<&'a str>) {
    let path = root.map_or(PathBuf::from(name), |root| root.join(name));
    match name.rsplit_once(WITH_ADAPTER) {
        Some((base, adapter)) if !path.exists() => (base, Some(adapter)),
        _ => (name, None),
    }
}

fn place_of(
    name: &str,
    root: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<PathBuf, Error> {
    if name.starts_with(HUB) {
        return hub::resolve_model(name, observer);
    }
    let path = match root {
        Some(root) => root.join(name),
        None => PathBuf::from(name),
    };
    if path.exists() {
        return Ok(path);
    }
    let missing = |hub: Option<Error>| Error::NoModel {
        name: name.into(),
        looked: std::path::absolute(&path).unwrap_or_else(|_| path.clone()),
        hub: hub.map(|error| error.to_string()),
    };
    if !is_hub_name(name) {
        return Err(missing(None));
    }
    observer.note(&format!(
        "`{name}` is no folder here: it is looked up on the hub"
    ));
    match hub::resolve_model(&format!("{HUB}{name}"), observer) {
        Err(error @ Error::Hub(_)) => Err(missing(Some(error))),
        result => result,
    }
}

/// Whether a name may be `owner/name` on the hub rather than a path.
fn is_hub_name(name: &str) -> bool {
    name.split('/').count() == 2 && !name.starts_with(['.', '/', '~']) && !name.ends_with('/')
}
