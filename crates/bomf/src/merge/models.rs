//! The recipe's models: from names to open checkpoints.

use crate::{Error, Observer, hub};
use bomf_checkpoint::{Adapter, Checkpoint};
use bomf_fuse::Weights;
use bomf_fuse::lora::Adapted;
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
}

impl Models {
    /// Opens models by their names: paths relative to `root` (`None` is the working directory),
    /// or `owner/name` on the hub where there is no such path; each may be followed by a plus sign
    /// and an adapter.
    pub fn open(
        names: &[String],
        root: Option<&Path>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let mut models = Self {
            places: Vec::with_capacity(names.len()),
            checkpoints: Vec::with_capacity(names.len()),
            adapters: Vec::with_capacity(names.len()),
        };
        for name in names {
            let (base, adapter) = with_adapter(name, root);
            let place = place_of(base, root, observer)?;
            models.checkpoints.push(Checkpoint::open(&place)?);
            models.places.push(place);
            models.adapters.push(match adapter {
                Some(adapter) => Some(Adapter::open(place_of(adapter, root, observer)?)?),
                None => None,
            });
        }
        Ok(models)
    }

    /// As fusion sees them.
    pub fn weights(&self) -> Result<Vec<Box<dyn Weights + '_>>, Error> {
        let pairs = self.checkpoints.iter().zip(&self.adapters);
        let weights = pairs.map(|(base, adapter)| -> Result<Box<dyn Weights + '_>, Error> {
            Ok(match adapter {
                Some(adapter) => Box::new(Adapted::new(base, adapter)?),
                None => Box::new(base),
            })
        });
        weights.collect()
    }

    /// The files that a model is read from, those of its adapter last.
    pub fn files(&self, model: usize) -> Vec<PathBuf> {
        let own = self.checkpoints[model].files().map(Path::to_path_buf);
        let adapter = self.adapters[model].iter().flat_map(Adapter::files);
        own.chain(adapter).collect()
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
