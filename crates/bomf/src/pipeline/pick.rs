//! `bomf pick`: another point of a run's front, or another method's average, as a model.

use super::blocks::Blocks;
use super::external::candidate::{Checkpoints, Durability};
use super::{external, in_pool, members};
use crate::recipe::TaskKind;
use crate::{Error, Pick, PickRequest, read_output};
use bomf_checkpoint::{Dtype, FolderWriter};
use bomf_study::{BlockWeights, FrontPoint, Results, Scores};
use bomf_tune::models::{Config, Head, Network};
use std::path::{Path, PathBuf};

/// Writes the mixture that is asked for as a model folder, with the tokenizer and the
/// labels of the run's own fused model; returns its scores on the select split.
///
/// # Errors
/// Where the run's files or members cannot be read, there is no such point or mixture,
/// or the target exists already; nothing is left then.
pub fn pick(request: &PickRequest) -> Result<Scores, Error> {
    in_pool(request.threads, || {
        let run = &request.run;
        let (results, _) = read_output(run)?;
        let Mixture {
            weights,
            block_weights,
            select,
        } = mixture(&results, request.pick)?;
        if results.task_kind == external::KIND {
            let folders = results.finetune.members.iter();
            let folders = folders.map(|member| place(run, &member.path)).collect();
            let checkpoints = Checkpoints::open(folders)?;
            checkpoints.write(weights, &request.target, Durability::New, &|| false)?;
            return Ok(select.clone());
        }
        let fused = run.join("fused");
        let config = Config::read(&fused)?;
        let labels = config
            .raw
            .get("id2label")
            .and_then(|labels| labels.as_object());
        let outputs = labels.map_or(1, |labels| labels.len());
        let network = Network::new(config.clone(), head_of(&results.task_kind, outputs))?;
        let folders: Vec<(String, PathBuf)> = results
            .finetune
            .members
            .iter()
            .map(|member| (member.path.clone(), place(run, &member.path)))
            .collect();
        let folders = folders
            .iter()
            .map(|(label, path)| (label.clone(), path.as_path()));
        let members = members::open(&network, folders)?;
        let mut params = vec![0.0; members.dim()];
        match block_weights {
            None => members.fuse_into(weights, &mut params)?,
            Some(own) => {
                let blocks = Blocks::named(&members, own.keys()).ok_or(Error::OtherBlocks {
                    blocks: own.keys().cloned().collect(),
                })?;
                let own: Vec<&[f64]> = own.values().map(Vec::as_slice).collect();
                members.fuse_groups_into(&blocks.groups, &own, &mut params)?;
            }
        }
        let mut writer = FolderWriter::create(&request.target, false)?;
        network.write_into(&mut writer, &params, None, Dtype::F32, Some(&fused))?;
        // As the run wrote it, with the names of the labels.
        writer.write_json("config.json", &network.config().raw)?;
        writer.commit()?;
        Ok(select.clone())
    })
}

/// The head of models of a task of this kind with so many labels.
fn head_of(task_kind: &str, outputs: usize) -> Head {
    let kinds = TaskKind::NAMED.iter();
    let kind = kinds
        .copied()
        .find_map(|(name, kind)| (name == task_kind).then_some(kind));
    match kind {
        Some(TaskKind::CausalLm | TaskKind::Seq2Seq) => Head::CausalLm,
        Some(TaskKind::QuestionAnswering) => Head::QuestionAnswering,
        Some(TaskKind::MultipleChoice) => Head::MultipleChoice,
        Some(TaskKind::TokenClassification) => Head::TokenClassifier { outputs },
        Some(TaskKind::Classification | TaskKind::Regression) | None => {
            Head::Classifier { outputs }
        }
    }
}

/// Members of a run lie in its folder; those of `bomf fuse` where they were.
fn place(run: &Path, path: &str) -> PathBuf {
    let within = run.join(path);
    match within.is_dir() {
        true => within,
        false => path.into(),
    }
}

/// What is picked.
struct Mixture<'a> {
    weights: &'a [f64],
    block_weights: Option<&'a BlockWeights>,
    select: &'a Scores,
}

fn mixture(results: &Results, pick: Pick) -> Result<Mixture<'_>, Error> {
    match pick {
        Pick::Point(number) => {
            let point = number.checked_sub(1).and_then(|i| results.front.get(i));
            let FrontPoint {
                weights,
                block_weights,
                select,
                ..
            } = point.ok_or(Error::NoSuchPoint {
                number,
                points: results.front.len(),
            })?;
            Ok(Mixture {
                weights,
                block_weights: block_weights.as_ref(),
                select,
            })
        }
        Pick::Method(name) => {
            let method = results.methods.iter().find(|method| method.name == name);
            let weights = method.and_then(|method| Some((method.weights.as_deref()?, method)));
            let (weights, method) = weights.ok_or(Error::NoMixture {
                method: name.as_str(),
            })?;
            Ok(Mixture {
                weights,
                block_weights: method.block_weights.as_ref(),
                select: &method.select,
            })
        }
    }
}
