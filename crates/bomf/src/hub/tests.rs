use super::stand_in::{COMMIT, StandIn};
use super::*;
use crate::{Error, Silent};

const FILES: &[(&str, &[u8])] = &[
    ("config.json", b"{\"model_type\": \"bert\"}"),
    ("tokenizer.json", b"{}"),
    ("vocab.txt", b"[PAD]\n"),
    ("README.md", b"not fetched"),
    ("model.safetensors", &[7; 100_000]),
];

fn settings(hub: &StandIn, cache: &Path) -> Settings {
    Settings {
        cache: Some(cache.into()),
        endpoint: hub.endpoint.clone(),
        token: None,
        is_offline: false,
    }
}

fn resolve(spec: &str, settings: &Settings) -> Result<PathBuf, Error> {
    resolve_with(spec, settings, &mut Silent)
}

/// Error and hint in one line, the port taken out.
fn told(error: Error, settings: &Settings) -> String {
    let text = match error.hint() {
        Some(hint) => format!("{error} / {hint}"),
        None => error.to_string(),
    };
    text.replace(&settings.endpoint, "HUB")
}

#[test]
fn a_model_is_fetched_once_and_then_served_from_the_cache() {
    let hub = StandIn::start(FILES, 404, None);
    let cache = tempfile::tempdir().unwrap();
    let mut settings = settings(&hub, cache.path());
    let folder = resolve("hf:owner/tiny", &settings).unwrap();
    let expected = format!("models--owner--tiny/snapshots/{COMMIT}");
    assert_eq!(folder, cache.path().join(expected));
    for (name, bytes) in FILES {
        let file = std::fs::read(folder.join(name));
        match *name {
            "README.md" => assert!(file.is_err()),
            _ => assert_eq!(file.unwrap(), *bytes, "{name}"),
        }
    }
    hub.requests();

    // Again: only the commit is asked for, be it by branch or by name.
    assert_eq!(resolve("hf:owner/tiny", &settings).unwrap(), folder);
    let at_commit = format!("hf:owner/tiny@{COMMIT}");
    assert_eq!(resolve(&at_commit, &settings).unwrap(), folder);
    let asked = hub.requests();
    assert_eq!(asked.len(), 2, "{asked:?}");

    // With the hub gone: from the cache, and people are told.
    drop(hub);
    let mut notes = Notes::default();
    let again = resolve_with("hf:owner/tiny", &settings, &mut notes).unwrap();
    assert_eq!(again, folder);
    assert_eq!(notes.0.len(), 1);
    assert!(notes.0[0].ends_with("hf:owner/tiny is taken from the cache"));

    // Offline: without a word, but not what the cache has never seen.
    settings.is_offline = true;
    assert_eq!(resolve("hf:owner/tiny", &settings).unwrap(), folder);
    assert_eq!(resolve(&at_commit, &settings).unwrap(), folder);
    assert_eq!(
        told(resolve("hf:owner/other", &settings).unwrap_err(), &settings),
        "hf:owner/other is not in the cache, and HF_HUB_OFFLINE is set / unset HF_HUB_OFFLINE \
         once to fetch it, or give a local folder"
    );
    settings.is_offline = false;
    let error = resolve("hf:owner/other", &settings).unwrap_err();
    assert!(!error.is_bad_input());
    let told = told(error, &settings);
    assert!(
        told.starts_with("cannot reach HUB for hf:owner/other: "),
        "{told}"
    );
}

#[test]
fn shards_are_fetched_by_their_index() {
    let index = br#"{"weight_map": {"a": "model-00002-of-00002.safetensors",
        "b": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}}"#;
    let hub = StandIn::start(
        &[
            ("config.json", b"{}"),
            ("tokenizer.json", b"{}"),
            ("model.safetensors.index.json", index),
            ("model-00001-of-00002.safetensors", b"one"),
            ("model-00002-of-00002.safetensors", b"two"),
        ],
        404,
        None,
    );
    let cache = tempfile::tempdir().unwrap();
    let mut settings = settings(&hub, cache.path());
    let folder = resolve("hf:owner/tiny@main", &settings).unwrap();
    let shard = folder.join("model-00002-of-00002.safetensors");
    assert_eq!(std::fs::read(&shard).unwrap(), b"two");
    settings.is_offline = true;
    assert!(resolve("hf:owner/tiny", &settings).is_ok());
    std::fs::remove_file(&shard).unwrap();
    assert!(resolve("hf:owner/tiny", &settings).is_err());
}

#[test]
fn an_index_that_leads_out_of_its_folder_is_not_followed() {
    for shard in ["../x", "/x", "a/b", ".", ""] {
        let index = serde_json::json!({"weight_map": {"a": shard}}).to_string();
        assert_eq!(shards(index.as_bytes()), None, "{shard}");
    }
}

#[test]
fn a_broken_download_goes_on_where_it_broke_off() {
    let hub = StandIn::start(FILES, 404, None);
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--owner--tiny/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join("100000-model-safetensors.part"), [7; 60_000]).unwrap();
    let folder = resolve("hf:owner/tiny", &settings(&hub, cache.path())).unwrap();
    let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    assert_eq!(weights, [7; 100_000]);
}

#[test]
fn refusals_say_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let hub = StandIn::start(&FILES[..4], 404, None);
    let settings_of = |hub: &StandIn| settings(hub, cache.path());
    for (spec, expected) in [
        (
            "hf:owner/other",
            "hf:owner/other does not exist on HUB / check the name and the revision",
        ),
        (
            "hf:owner/tiny@v2",
            "hf:owner/tiny@v2 does not exist on HUB / check the name and the revision",
        ),
        (
            "hf:owner/tiny",
            "hf:owner/tiny has no model.safetensors / save the model again in Python with \
             save_pretrained, and give that folder",
        ),
        (
            "hf:../x",
            "`hf:../x` is not the name of a model on the hub / write hf:owner/name or \
             hf:owner/name@revision",
        ),
        (
            "owner/tiny",
            "model folder owner/tiny does not exist / for a model on the Hugging Face hub write \
             hf:owner/tiny",
        ),
    ] {
        let settings = settings_of(&hub);
        let error = resolve(spec, &settings).unwrap_err();
        assert!(error.is_bad_input(), "{spec}");
        assert_eq!(told(error, &settings), expected);
    }

    let hub = StandIn::start(FILES, 404, Some("hf_secret"));
    let mut settings = settings_of(&hub);
    assert_eq!(
        told(resolve("hf:owner/tiny", &settings).unwrap_err(), &settings),
        "HUB does not show hf:owner/tiny without a token / check the name; for a private or gated \
         model set HF_TOKEN"
    );
    settings.token = Some("wrong".into());
    assert_eq!(
        told(resolve("hf:owner/tiny", &settings).unwrap_err(), &settings),
        "HUB does not show hf:owner/tiny to the owner of the token / check the name and HF_TOKEN"
    );
    settings.token = Some("hf_secret".into());
    assert!(resolve("hf:owner/tiny", &settings).is_ok());

    let hub = StandIn::start(FILES, 403, None);
    let settings = settings_of(&hub);
    assert_eq!(
        told(resolve("hf:meta/big", &settings).unwrap_err(), &settings),
        "hf:meta/big is gated, and access has not been granted / ask for access at HUB/meta/big \
         and set HF_TOKEN"
    );
}

#[test]
fn a_local_folder_is_itself() {
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().to_str().unwrap();
    assert_eq!(resolve_model(spec, &mut Silent).unwrap(), dir.path());
}

#[test]
fn progress_is_told_in_bytes_that_never_fall() {
    let hub = StandIn::start(FILES, 404, None);
    let cache = tempfile::tempdir().unwrap();
    let mut bytes = Bytes::default();
    resolve_with("hf:owner/tiny", &settings(&hub, cache.path()), &mut bytes).unwrap();
    let total: usize = FILES
        .iter()
        .filter(|(name, _)| *name != "README.md")
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert_eq!(bytes.done, total as u64);
    assert_eq!(bytes.total, total as u64);
    assert_eq!(bytes.ended, 1);
}

#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn begin(&mut self, _: Phase, _: u64) {}
    fn advance(&mut self, _: Phase, _: u64, _: &str) {}
    fn end(&mut self, _: Phase) {}
    fn note(&mut self, note: &str) {
        self.0.push(note.into());
    }
}

#[derive(Default)]
struct Bytes {
    total: u64,
    done: u64,
    ended: usize,
}

impl Observer for Bytes {
    fn begin(&mut self, _: Phase, total: u64) {
        self.total = total;
    }
    fn advance(&mut self, _: Phase, done: u64, _: &str) {
        assert!(done >= self.done, "{done} after {}", self.done);
        self.done = done;
    }
    fn end(&mut self, _: Phase) {
        self.ended += 1;
    }
    fn note(&mut self, _: &str) {}
}
