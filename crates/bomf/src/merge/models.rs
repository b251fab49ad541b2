//! The recipe's models: from names to open checkpoints.

use crate::{Error, Observer, hub};
use bomf_checkpoint::Checkpoint;
use bomf_fuse::Weights;
use std::path::{Path, PathBuf};

/// What names on the hub begin with in commands.
const HUB: &str = "hf:";

/// The models of a recipe, in its order.
pub(super) struct Models {
    /// Where each lies: its folder, or a file of weights.
    pub places: Vec<PathBuf>,
    /// Its weights.
    pub checkpoints: Vec<Checkpoint>,
}

impl Models {
    /// Opens models by their names: paths relative to `root` (`None` is the working directory),
    /// or `owner/name` on the hub where there is no such path.
    pub fn open(
        names: &[String],
        root: Option<&Path>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let mut models = Self {
            places: Vec::with_capacity(names.len()),
            checkpoints: Vec::with_capacity(names.len()),
        };
        for name in names {
            let place = place_of(name, root, observer)?;
            models.checkpoints.push(Checkpoint::open(&place)?);
            models.places.push(place);
        }
        Ok(models)
    }

    /// As fusion sees them.
    pub fn weights(&self) -> Vec<&dyn Weights> {
        self.checkpoints.iter().map(|c| c as &dyn Weights).collect()
    }

    /// The folder with a model's other files; a file of weights alone has none.
    pub fn folder(&self, model: usize) -> Option<&Path> {
        Some(self.places[model].as_path()).filter(|place| place.is_dir())
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
