//! Where the hub and its cache are, from the environment.

use std::path::PathBuf;

/// The endpoint, the cache and the token to use.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// `None` where no home folder is known.
    pub cache: Option<PathBuf>,
    pub endpoint: String,
    pub token: Option<String>,
    pub is_offline: bool,
}

impl Settings {
    pub fn from_env() -> Self {
        Self::from_lookup(
            |name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            std::env::home_dir(),
        )
    }

    /// As `huggingface_hub` reads its variables.
    fn from_lookup(lookup: impl Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Self {
        let path = |name: &str| lookup(name).map(PathBuf::from);
        let hf_home = path("HF_HOME").or_else(|| {
            path("XDG_CACHE_HOME")
                .or(home.map(|home| home.join(".cache")))
                .map(|cache| cache.join("huggingface"))
        });
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or(hf_home.as_ref().map(|home| home.join("hub")));
        let token_file = path("HF_TOKEN_PATH").or(hf_home.map(|home| home.join("token")));
        let is_on = |name: &str| {
            lookup(name).is_some_and(|value| {
                ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
            })
        };
        let saved = || std::fs::read_to_string(token_file?).ok();
        let token = match is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            true => None,
            false => lookup("HF_TOKEN")
                .or_else(|| lookup("HUGGING_FACE_HUB_TOKEN"))
                .or_else(saved),
        };
        Settings {
            cache,
            endpoint: lookup("HF_ENDPOINT")
                .unwrap_or_else(|| "https://huggingface.co".into())
                .trim_end_matches('/')
                .into(),
            token: token
                .map(|token| token.trim().to_string())
                .filter(|token| !token.is_empty()),
            is_offline: is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        };
        Settings::from_lookup(lookup, Some("home".into()))
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        for (variables, expected) in [
            (&[][..], "home/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "x")], "x/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "x"), ("HF_HOME", "h")], "h/hub"),
            (&[("HF_HUB_CACHE", "c"), ("HF_HOME", "h")], "c"),
        ] {
            assert_eq!(settings(variables).cache, Some(expected.into()));
        }
    }

    #[test]
    fn the_token_comes_from_the_environment_or_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        assert_eq!(settings(&[("HF_HOME", home)]).token, None);
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let token = |variables: &[(&str, &str)]| settings(variables).token;
        assert_eq!(token(&[("HF_HOME", home)]).as_deref(), Some("hf_file"));
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_TOKEN", " hf_env ")]).as_deref(),
            Some("hf_env")
        );
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]),
            None
        );
    }

    #[test]
    fn endpoint_and_offline_mode_follow_the_environment() {
        assert_eq!(settings(&[]).endpoint, "https://huggingface.co");
        assert!(!settings(&[("HF_HUB_OFFLINE", "0")]).is_offline);
        let other = settings(&[("HF_ENDPOINT", "http://hub/"), ("HF_HUB_OFFLINE", "true")]);
        assert_eq!(other.endpoint, "http://hub");
        assert!(other.is_offline);
    }
}
