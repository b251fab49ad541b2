//! Models by name: a local folder, or `hf:owner/name[@revision]` from the Hugging
//! Face hub.
//!
//! Files lie in the cache that Python's `huggingface_hub` uses, in its layout, so
//! that neither fetches what the other one has. The environment variables are its
//! too: `HF_HUB_CACHE`, `HF_HOME` and `XDG_CACHE_HOME` for the cache, `HF_TOKEN`
//! and `HF_TOKEN_PATH` for the token, `HF_ENDPOINT`, and `HF_HUB_OFFLINE`.

mod error;
mod settings;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;

pub use error::{HubError, Place};

use crate::{Observer, Phase};
use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use settings::Settings;
use std::path::{Component, Path, PathBuf};

/// What a model name on the hub begins with.
const PREFIX: &str = "hf:";

/// The weights in one file, and the list of the files where they are several.
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Without these a model cannot be used.
const NEEDED: [&str; 2] = ["config.json", "tokenizer.json"];

/// These go along where the repository has them, so that a fused model is complete.
const WELCOME: [&str; 8] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
];

/// Times that a broken download is taken up again where it broke off.
const RETRIES: usize = 3;

/// The folder of a model: `spec` itself, or where the files of `hf:owner/name`
/// (with an optional `@revision`) lie after they were fetched.
///
/// Fetches only what is not in the cache. Where the hub cannot be reached and the
/// cache holds the model, the cache's is used, and the observer is told.
///
/// # Errors
/// [`HubError`]; [`crate::Error::Interrupted`] between two files.
pub fn resolve_model(spec: &str, observer: &mut dyn Observer) -> Result<PathBuf, crate::Error> {
    resolve_with(spec, &Settings::from_env(), observer)
}

fn resolve_with(
    spec: &str,
    settings: &Settings,
    observer: &mut dyn Observer,
) -> Result<PathBuf, crate::Error> {
    let Some(name) = spec.strip_prefix(PREFIX) else {
        let path = PathBuf::from(spec);
        return match path.is_dir() {
            true => Ok(path),
            false => Err(HubError::NoFolder { path }.into()),
        };
    };
    let place = parse_name(spec, name)?;
    let cache = settings
        .cache
        .clone()
        .map(Cache::new)
        .ok_or(HubError::NoCache)?;
    if settings.is_offline {
        return Ok(cached(&cache, &place).ok_or(HubError::Offline { place })?);
    }
    match fetch(&cache, settings, &place, observer) {
        Err(crate::Error::Hub(HubError::Unreachable { place, source, .. })) => {
            let endpoint = settings.endpoint.clone();
            match cached(&cache, &place) {
                Some(folder) => {
                    observer.note(&format!(
                        "{endpoint} cannot be reached; {place} is taken from the cache"
                    ));
                    Ok(folder)
                }
                None => Err(HubError::Unreachable {
                    place,
                    endpoint,
                    source,
                }
                .into()),
            }
        }
        result => result,
    }
}

/// `owner/name`, `name`, each with an optional `@revision`, made of what the hub
/// allows in names.
fn parse_name(spec: &str, name: &str) -> Result<Place, HubError> {
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.starts_with(['.', '-'])
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let parts = name.split('/').count();
    if parts > 2 || !name.split('/').all(is_word) || !revision.split('/').all(is_word) {
        return Err(HubError::BadName { spec: spec.into() });
    }
    Ok(Place {
        name: name.into(),
        revision: revision.into(),
    })
}

/// The folder of a revision in the cache, if everything that is needed lies there.
fn cached(cache: &Cache, place: &Place) -> Option<PathBuf> {
    let repo = cache.repo(repo(place, &place.revision));
    let folder = match repo.get(NEEDED[0]) {
        Some(config) => config.parent()?.to_path_buf(),
        // A revision may be a commit, which no reference leads to.
        None => repo.pointer_path(&place.revision),
    };
    let has = |file: &str| folder.join(file).is_file();
    let has_weights = has(WEIGHTS)
        || std::fs::read(folder.join(INDEX))
            .ok()
            .and_then(|index| shards(&index))
            .is_some_and(|shards| shards.iter().all(|shard| has(shard)));
    (NEEDED.iter().all(|file| has(file)) && has_weights).then_some(folder)
}

fn fetch(
    cache: &Cache,
    settings: &Settings,
    place: &Place,
    observer: &mut dyn Observer,
) -> Result<PathBuf, crate::Error> {
    let failed = |error| HubError::from_api(error, place, settings);
    let api: Api = ApiBuilder::from_cache(cache.clone())
        .with_endpoint(settings.endpoint.clone())
        .with_token(settings.token.clone())
        .with_progress(false)
        .with_retries(RETRIES)
        .build()
        .map_err(failed)?;
    let info = api
        .repo(repo(place, &place.revision))
        .info()
        .map_err(failed)?;
    if !info.sha.bytes().all(|byte| byte.is_ascii_alphanumeric()) || info.sha.is_empty() {
        return Err(HubError::BadAnswer {
            place: place.clone(),
        }
        .into());
    }
    let offers = |file: &str| {
        info.siblings
            .iter()
            .any(|sibling| sibling.rfilename == file)
    };
    for file in NEEDED {
        if !offers(file) {
            return Err(HubError::NoFile {
                place: place.clone(),
                file,
            }
            .into());
        }
    }
    // Every file from one commit, even if the branch moves meanwhile.
    let pinned = api.repo(repo(place, &info.sha));
    let folder = cache.repo(repo(place, &info.sha)).pointer_path(&info.sha);
    let mut download = Download {
        pinned,
        folder: folder.clone(),
        place,
        observer,
        bytes: 0,
    };
    let mut fetch = |file: &str| download.file(file, settings);
    for file in NEEDED {
        fetch(file)?;
    }
    for file in WELCOME.iter().filter(|file| offers(file)) {
        fetch(file)?;
    }
    if offers(WEIGHTS) {
        fetch(WEIGHTS)?;
    } else if offers(INDEX) {
        fetch(INDEX)?;
        let index = std::fs::read(folder.join(INDEX)).map_err(|source| HubError::Cache {
            path: folder.join(INDEX),
            source,
        })?;
        let shards = shards(&index).ok_or_else(|| HubError::BadAnswer {
            place: place.clone(),
        })?;
        for shard in shards {
            fetch(&shard)?;
        }
    } else {
        return Err(HubError::NoSafetensors {
            place: place.clone(),
        }
        .into());
    }
    if download.bytes > 0 {
        download.observer.end(Phase::Download);
    }
    cache
        .repo(repo(place, &place.revision))
        .create_ref(&info.sha)
        .map_err(|source| HubError::Cache {
            path: folder.clone(),
            source,
        })?;
    Ok(folder)
}

struct Download<'a> {
    pinned: ApiRepo,
    folder: PathBuf,
    place: &'a Place,
    observer: &'a mut dyn Observer,
    /// Of the files that are through.
    bytes: u64,
}

impl Download<'_> {
    fn file(&mut self, file: &str, settings: &Settings) -> Result<(), crate::Error> {
        if self.folder.join(file).is_file() {
            return Ok(());
        }
        if self.observer.interrupted() {
            return Err(crate::Error::Interrupted {
                out: self.folder.clone(),
                on_disk: Vec::new(),
            });
        }
        let mut end = self.bytes;
        let watched = Watched {
            observer: self.observer,
            file,
            start: self.bytes,
            done: 0,
            end: &mut end,
        };
        self.pinned
            .download_with_progress(file, watched)
            .map_err(|error: ApiError| HubError::from_api(error, self.place, settings))?;
        self.bytes = end;
        Ok(())
    }
}

/// Tells the observer of a file's download.
struct Watched<'a> {
    observer: &'a mut dyn Observer,
    file: &'a str,
    start: u64,
    done: u64,
    end: &'a mut u64,
}

impl Progress for Watched<'_> {
    fn init(&mut self, size: usize, _: &str) {
        // Called again for each attempt, which then tells what it has already.
        self.done = 0;
        *self.end = self.start + size as u64;
        self.observer.begin(Phase::Download, *self.end);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.observer
            .advance(Phase::Download, self.start + self.done, self.file);
    }

    fn finish(&mut self) {}
}

fn repo(place: &Place, revision: &str) -> Repo {
    Repo::with_revision(place.name.clone(), RepoType::Model, revision.into())
}

/// The files that an index names, in order; `None` if it is no index, or names
/// files outside its folder.
fn shards(index: &[u8]) -> Option<Vec<String>> {
    let index: serde_json::Value = serde_json::from_slice(index).ok()?;
    let mut shards: Vec<String> = index
        .get("weight_map")?
        .as_object()?
        .values()
        .map(|shard| shard.as_str().map(str::to_string))
        .collect::<Option<_>>()?;
    shards.sort();
    shards.dedup();
    let is_plain = |shard: &String| {
        let mut parts = Path::new(shard).components();
        matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none()
    };
    (!shards.is_empty() && shards.iter().all(is_plain)).then_some(shards)
}
