//! `bomf resume`: a run that was stopped goes on.

use super::identity::{
    self, COMMAND, DATA, ELSEWHERE, LOCAL, MEMBERS, MODEL, RECIPE, SETTLED, THREADS,
};
use super::ledger::{Start, Unfinished};
use super::workers::{lease, place, worker_directory};
use super::{fuse, in_pool, run};
use crate::output::RECIPE as RECIPE_FILE;
use crate::{
    Error, FuseRequest, Observer, Recipe, ResumeRequest, Resumed, RunRequest, Workers, read_output,
};
use bomf_study::{DATABASE, FolderLock, StudyError};
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
    if !path.is_file() && place::url_of(out)?.is_none() {
        return Err(StudyError::NoStudy { path }.into());
    }
    let lock = FolderLock::take(out)?;
    let study = place::resume(out)?;
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
    let start = Start::Resumed(Unfinished { study, lock });
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
        workers: workers(&facts, request, place::url_of(out)?),
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

/// The workers that the run had.
fn workers(
    facts: &IndexMap<String, String>,
    request: &ResumeRequest,
    storage: Option<String>,
) -> Option<Workers> {
    Some(Workers {
        local: fact(facts, LOCAL).parse().ok()?,
        elsewhere: fact(facts, ELSEWHERE).parse().ok()?,
        lease: lease(facts),
        launch: request.launch.clone(),
        storage,
    })
}

/// The working directory of the run in `out`, from which its relative paths are taken.
///
/// # Errors
/// [`StudyError::NoStudy`], and where the study cannot be read.
pub fn resume_directory(out: &Path) -> Result<PathBuf, Error> {
    worker_directory(&out.display().to_string())
}

/// The recipe that the run in `out` was given, as YAML; `None` where no run was begun.
pub(crate) fn stored_recipe(out: &Path) -> Result<Option<String>, Error> {
    match place::facts(&out.display().to_string()) {
        Ok(facts) => Ok(facts.get(RECIPE).cloned()),
        Err(Error::Study(StudyError::NoStudy { .. })) => Ok(None),
        Err(error) => Err(error),
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
