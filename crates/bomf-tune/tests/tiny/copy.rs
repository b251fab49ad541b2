//! Copies of golden models, their tensors named and stored in other ways.

use super::{golden, rng};
use bomf_checkpoint::{Checkpoint, Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec};
use bomf_tune::TuneError;
use bomf_tune::models::{Head, LoadReport, Model};
use std::fs;
use tempfile::TempDir;

/// A tensor's new name; `None` where it is left out.
pub type Rename<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A copy of a golden folder's model, its tensors renamed.
pub struct Copy<'a> {
    pub rename: Rename<'a>,
    pub dtype: Dtype,
    pub max_shard_bytes: Option<u64>,
}

impl Default for Copy<'_> {
    fn default() -> Self {
        Copy {
            rename: &|name| Some(name.to_string()),
            dtype: Dtype::F32,
            max_shard_bytes: None,
        }
    }
}

impl Copy<'_> {
    pub fn of(&self, folder: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let source = Checkpoint::open(golden(folder)).unwrap();
        let kept: Vec<_> = source
            .tensors()
            .filter_map(|t| Some(((self.rename)(t.name())?, t)))
            .collect();
        let specs: Vec<TensorSpec> = kept
            .iter()
            .map(|(name, t)| TensorSpec::new(name, self.dtype, t.shape()))
            .collect();
        let layout = ModelLayout {
            max_shard_bytes: self.max_shard_bytes,
            ..ModelLayout::default()
        };
        let mut writer = FolderWriter::create(dir.path().join("model"), false).unwrap();
        let data = |i: usize| Ok(TensorData::F32(kept[i].1.to_f32().unwrap().into()));
        writer.write_model(&specs, &layout, data).unwrap();
        let config = fs::read(golden(folder).join("config.json")).unwrap();
        writer.write_bytes("config.json", &config).unwrap();
        writer.commit().unwrap();
        dir
    }

    pub fn load(&self, folder: &str, head: Head) -> Result<(Model, LoadReport), TuneError> {
        Model::load(&self.of(folder).path().join("model"), head, &mut rng(1))
    }
}
