//! `bomf resume`: a run that was stopped goes on.

use super::identity::{self, COMMAND, DATA, DIRECTORY, MEMBERS, MODEL, RECIPE, SETTLED, THREADS};
use super::ledger::{Start, Unfinished};
use super::{fuse, in_pool, run};
use crate::output::RECIPE as RECIPE_FILE;
use crate::{
    Error, FuseRequest, Observer, Recipe, ResumeRequest, Resumed, RunRequest, read_output,
};
use bomf_study::{DATABASE, FolderLock, Sqlite, Storage, StudyError};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

/// Goes on with a run from where it was stopped, by a kill, an interruption or an error,
/// to what it would have come to undisturbed: no finished trial, training run or
/// evaluation is repeated. Relative paths of the run are taken from the working directory;
/// [`resume_directory`] says which it was.
///
/// # Errors
/// [`StudyError::NoStudy`] where there is nothing to go on from, [`StudyError::InUse`]
/// while another program works on the folder, [`Error::OtherStudy`] where recipe, model,
/// data, version or threads differ from those that the run began with, and whatever the
/// run itself may end with.
pub fn resume(request: &ResumeRequest, observer: &mut dyn Observer) -> Result<Resumed, Error> {
    let out = &request.out;
    let path = out.join(DATABASE);
    if !path.is_file() {
        return Err(StudyError::NoStudy { path }.into());
    }
    let lock = FolderLock::take(out)?;
    let study = Sqlite::open(&path)?;
    let facts = study.facts()?;
    // Stopped before anything was entered.
    let command = facts.get(COMMAND).ok_or(StudyError::NoStudy { path })?;
    let recipe = Recipe::from_yaml(fact(&facts, RECIPE), "study.db")?;
    if let Some(seed) = request.seed.filter(|seed| *seed != recipe.seed) {
        let (was, is) = (recipe.seed.to_string(), seed.to_string());
        return Err(identity::differs("seed", &was, &is));
    }
    check_recipe(out, &facts)?;
    let stored = fact(&facts, THREADS).parse().unwrap_or(0);
    let threads = match request.threads {
        0 => stored,
        given if given == stored => stored,
        given => {
            let (was, is) = (stored.to_string(), given.to_string());
            return Err(identity::differs(THREADS, &was, &is));
        }
    };
    let start = Start::Resumed(Unfinished {
        study: Box::new(study),
        lock,
    });
    if command == "fuse" {
        let members: Vec<PathBuf> = serde_json::from_str(fact(&facts, MEMBERS)).unwrap_or_default();
        let request = FuseRequest {
            members,
            data: facts.get(DATA).map(PathBuf::from),
            out: out.clone(),
            recipe,
            threads,
            overwrite: false,
        };
        let results = in_pool(threads, || match finished(out)? {
            Some(results) => Ok(results),
            None => fuse::fuse_from(&request, start, observer),
        });
        return Ok(Resumed::Fuse(results?));
    }
    let request = RunRequest {
        model: fact(&facts, MODEL).into(),
        data: fact(&facts, DATA).into(),
        out: out.clone(),
        recipe,
        threads,
        overwrite: false,
    };
    in_pool(threads, || match command.as_str() {
        "tune" => Ok(Resumed::Tune(run::tune_from(&request, start, observer)?)),
        "finetune" => {
            let record = run::finetune_from(&request, start, observer)?;
            Ok(Resumed::Finetune(record))
        }
        _ => Ok(Resumed::Run(match finished(out)? {
            Some(results) => results,
            None => run::run_from(&request, start, observer)?,
        })),
    })
}

/// The working directory of the run in `out`, from which its relative paths are taken.
///
/// # Errors
/// [`StudyError::NoStudy`], and where the study cannot be read.
pub fn resume_directory(out: &Path) -> Result<PathBuf, Error> {
    let study = Sqlite::open(&out.join(DATABASE))?;
    Ok(fact(&study.facts()?, DIRECTORY).into())
}

/// The recipe that the run in `out` was given, as YAML; `None` where no run was begun.
pub(crate) fn stored_recipe(out: &Path) -> Result<Option<String>, Error> {
    let path = out.join(DATABASE);
    match path.is_file() {
        true => Ok(Sqlite::open(&path)?.facts()?.get(RECIPE).cloned()),
        false => Ok(None),
    }
}

fn fact<'a>(facts: &'a IndexMap<String, String>, name: &str) -> &'a str {
    facts.get(name).map_or("", String::as_str)
}

/// What a run that came to its end left; `results.json` is the last thing it writes.
fn finished(out: &Path) -> Result<Option<bomf_study::Results>, Error> {
    match out.join("results.json").is_file() {
        true => Ok(Some(read_output(out)?.0)),
        false => Ok(None),
    }
}

/// Refuses a recipe that was edited since: what was paid for came of the other one.
fn check_recipe(out: &Path, facts: &IndexMap<String, String>) -> Result<(), Error> {
    let path = out.join(RECIPE_FILE);
    let text = std::fs::read(&path).map_err(|source| Error::Unreadable { path, source })?;
    let is = identity::digest_of(&text);
    let was = fact(facts, SETTLED);
    match is == was {
        true => Ok(()),
        false => Err(identity::differs(SETTLED, was, &is)),
    }
}
