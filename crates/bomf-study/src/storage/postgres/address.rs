//! Which server, which database, and which study in it: a URL as PostgreSQL has them, with the
//! name of the study as one more parameter.

use super::tls::{Parameters, Tls};
use crate::StudyError;
use percent_encoding::percent_decode_str;
use postgres::{Client, Config, Error, NoTls};
use std::time::Duration;

/// Beginnings of a URL of a server.
const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// The parameter that names the study, and its name where there is none.
const STUDY: &str = "study";
const DEFAULT_STUDY: &str = "study";

/// How long a server may take to answer to a new connection, where the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a study's name is the URL of a server, and no path.
pub fn is_url(name: &str) -> bool {
    SCHEMES.iter().any(|scheme| name.starts_with(scheme))
}

/// Where a study is.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: Tls,
    /// The study's name.
    pub study: String,
    /// The URL without its password.
    pub shown: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A URL without its password, which may be shown and kept.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.into();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{user}@{host}")
        }
        None => authority.into(),
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("password="))
        .collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}{path}{mark}{}", kept.join("&"))
}

/// What a URL says, whether or not the files that it names are on this host.
struct Words<'a> {
    config: Config,
    encryption: Parameters<'a>,
    study: &'a str,
}

impl<'a> Words<'a> {
    /// Reads a URL. A password that it lacks is taken from `PGPASSWORD`.
    fn read(url: &'a str) -> Result<Self, StudyError> {
        let shown = without_password(url);
        let wrong = |reason: String| StudyError::Url {
            url: shown.clone(),
            reason,
        };
        if !is_url(url) {
            return Err(wrong("it begins with no postgresql://".into()));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut study = DEFAULT_STUDY;
        let mut encryption = Parameters::default();
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((STUDY, name)) => study = name,
                // The client knows neither verification nor certificates.
                Some(("sslmode", mode)) => encryption.mode = Some(mode),
                Some(("sslrootcert", file)) => {
                    let decoded = percent_decode_str(file).decode_utf8();
                    encryption.authorities = Some(decoded.map_err(|e| wrong(e.to_string()))?);
                }
                _ => others.push(pair),
            }
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if study.is_empty() || !study.chars().all(is_plain) {
            return Err(wrong(format!(
                "the study's name `{study}` is not of letters, digits, `.`, `_` and `-`"
            )));
        }
        let url = match others.is_empty() {
            true => base.to_string(),
            false => format!("{base}?{}", others.join("&")),
        };
        let mut config: Config = url.parse().map_err(|error: postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            wrong(cause.unwrap_or_else(|| error.to_string()))
        })?;
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("bomf");
        }
        Ok(Words {
            config,
            encryption,
            study,
        })
    }
}

impl Address {
    /// Reads a URL. A password that it lacks is taken from `PGPASSWORD`.
    ///
    /// # Errors
    /// [`StudyError::Url`].
    pub fn parse(url: &str) -> Result<Self, StudyError> {
        let mut words = Words::read(url)?;
        let shown = without_password(url);
        let tls = words.encryption.read();
        let tls = tls.map_err(|reason| StudyError::Url {
            url: shown.clone(),
            reason,
        })?;
        words.config.ssl_mode(tls.mode);
        Ok(Address {
            config: words.config,
            tls,
            study: words.study.into(),
            shown,
        })
    }

    /// Connects to the server.
    pub fn connect(&self) -> Result<Client, Error> {
        match &self.tls.connect {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        }
    }
}

/// The password in a URL, for programs that are handed the URL without it.
pub fn password_in(url: &str) -> Option<String> {
    let words = Words::read(url).ok()?;
    let password = words.config.get_password()?;
    String::from_utf8(password.into()).ok()
}

/// The name of the study that a URL is of. The files that it names may be on other hosts.
///
/// # Errors
/// [`StudyError::Url`].
pub fn study_in(url: &str) -> Result<String, StudyError> {
    Ok(Words::read(url)?.study.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_neither_shown_nor_kept() {
        for (url, shown) in [
            ("postgresql://h/d", "postgresql://h/d"),
            (
                "postgresql://me:s3:cret@h:5433/d",
                "postgresql://me@h:5433/d",
            ),
            (
                "postgres://me@h/d?password=secret&study=a",
                "postgres://me@h/d?study=a",
            ),
            (
                "postgresql://me:secret@h?study=a",
                "postgresql://me@h?study=a",
            ),
        ] {
            assert_eq!(without_password(url), shown);
            let address = Address::parse(url).unwrap();
            assert!(!format!("{address:?}").contains("s3"));
        }
        assert_eq!(password_in("postgresql://a:b%20c@h/d").unwrap(), "b c");
    }

    #[test]
    fn the_study_has_a_name_and_the_rest_is_postgresqls() {
        let address = Address::parse("postgresql://me@h:7/d?study=mrpc-1&connect_timeout=3");
        let address = address.unwrap();
        assert_eq!(address.study, "mrpc-1");
        let elsewhere = "postgresql://h/d?study=a&sslmode=verify-full&sslrootcert=/no/file";
        assert_eq!(study_in(elsewhere).unwrap(), "a");
        assert_eq!(address.config.get_dbname(), Some("d"));
        assert_eq!(address.config.get_ports(), [7]);
        assert_eq!(
            address.config.get_connect_timeout(),
            Some(&Duration::from_secs(3))
        );
        assert_eq!(Address::parse("postgresql://h/d").unwrap().study, "study");
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, expected) in [
            ("mysql://h/d", "begins with no postgresql://"),
            ("postgresql://h/d?study=a'b", "the study's name `a'b`"),
            ("postgresql://h/d?study=", "the study's name ``"),
            ("postgresql://h/d?colour=red", "colour"),
            ("postgresql://h:port/d", "port"),
            (
                "postgresql://h/d?sslmode=verify",
                "verify-ca or verify-full",
            ),
            (
                "postgresql://h/d?sslrootcert=system",
                "only where `sslmode`",
            ),
            (
                "postgresql://h/d?sslmode=verify-full&sslrootcert=/no/file",
                "`sslrootcert` is `/no/file`",
            ),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.is_bad_input());
        }
    }
}
