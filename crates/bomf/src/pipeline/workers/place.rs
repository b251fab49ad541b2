//! Where a study is: in the output folder, or on a server whose URL stands there.

use crate::output::STUDY_URL;
use crate::{Error, Workers};
use bomf_study::{
    DATABASE, Postgres, Queue, Sqlite, Storage, StudyError, is_url, without_password,
};
use indexmap::IndexMap;
use std::path::Path;

/// Sees that a study can be begun on a server, before the output folder is taken.
pub(in crate::pipeline) fn check(workers: Option<&Workers>, overwrite: bool) -> Result<(), Error> {
    let Some(url) = workers.and_then(|workers| workers.storage.as_deref()) else {
        return Ok(());
    };
    match Postgres::open(url) {
        Err(StudyError::NoStudy { .. }) => Ok(()),
        Ok(_) if overwrite => Ok(()),
        Ok(study) => Err(StudyError::StudyExists {
            url: study.url().into(),
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}

/// Begins the study of a run whose output folder has been taken.
pub(in crate::pipeline) fn begin(
    out: &Path,
    workers: Option<&Workers>,
    overwrite: bool,
) -> Result<Box<dyn Storage>, Error> {
    let Some(url) = workers.and_then(|workers| workers.storage.as_deref()) else {
        return Ok(Box::new(Sqlite::create(&out.join(DATABASE))?));
    };
    if overwrite {
        Postgres::remove(url)?;
    }
    let study = Postgres::create(url)?;
    study.lead()?;
    let path = out.join(STUDY_URL);
    let text = format!("{}\n", without_password(url));
    std::fs::write(&path, text).map_err(|source| Error::Output { path, source })?;
    Ok(Box::new(study))
}

/// The URL of a run's study; `None` where it lies in the output folder.
pub(crate) fn url_of(out: &Path) -> Result<Option<String>, Error> {
    let path = out.join(STUDY_URL);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|source| Error::Unreadable { path, source })?;
    Ok(Some(text.trim().into()))
}

/// Opens the study of a run that goes on.
pub(in crate::pipeline) fn resume(out: &Path) -> Result<Box<dyn Storage>, Error> {
    match url_of(out)? {
        None => Ok(Box::new(Sqlite::open(&out.join(DATABASE))?)),
        Some(url) => {
            let study = Postgres::open(&url)?;
            study.lead()?;
            Ok(Box::new(study))
        }
    }
}

/// What can be read of a study, and its trials; `name` is a URL or an output folder.
pub(super) trait Both: Storage + Queue {}

impl<T: Storage + Queue> Both for T {}

/// Opens a study by a URL or an output folder, to take trials or to look.
pub(super) fn open(name: &str) -> Result<Box<dyn Both>, Error> {
    if is_url(name) {
        return Ok(Box::new(Postgres::open(name)?));
    }
    let out = Path::new(name);
    match url_of(out)? {
        Some(url) => Ok(Box::new(Postgres::open(&url)?)),
        None => {
            let path = out.join(DATABASE);
            match path.is_file() {
                true => Ok(Box::new(Sqlite::open(&path)?)),
                false => Err(StudyError::NoStudy { path }.into()),
            }
        }
    }
}

/// The facts of a study by a URL or an output folder.
pub(in crate::pipeline) fn facts(name: &str) -> Result<IndexMap<String, String>, Error> {
    Ok(open(name)?.facts()?)
}
