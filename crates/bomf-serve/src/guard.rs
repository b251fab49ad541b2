//! Who may look: the rules of the crate's head, on the headers of a request.

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whom to let in.
#[derive(Clone)]
pub(crate) struct Guard {
    pub names: Vec<String>,
    pub token: Option<String>,
    /// The name of the cookie that holds the token. Cookies know no ports: the name does, so that
    /// two servers on a machine do not take each other's.
    pub cookie: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Method,
    Host,
    Origin,
    Token,
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            // "Misdirected": the name is none of ours.
            Refusal::Host => StatusCode::MISDIRECTED_REQUEST,
            Refusal::Origin => StatusCode::FORBIDDEN,
            Refusal::Token => StatusCode::UNAUTHORIZED,
        }
    }

    pub fn message(self) -> &'static str {
        match self {
            Refusal::Method => "only GET and HEAD are answered: the page changes nothing\n",
            Refusal::Host => {
                "the page is not served under this name; open it by its address, or allow the name with --allow-name\n"
            }
            Refusal::Origin => "requests of other pages are not answered\n",
            Refusal::Token => "open the page by the address with ?token= that bomf serve printed\n",
        }
    }
}

impl Guard {
    /// Whether a request is one that is answered, but for its token.
    pub fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Refusal::Method);
        }
        let host = only(headers, &HOST).filter(|host| self.is_ours(host));
        let host = host.ok_or(Refusal::Host)?;
        if headers.contains_key(ORIGIN) {
            let origin = only(headers, &ORIGIN).ok_or(Refusal::Origin)?;
            let own = origin.strip_prefix("http://");
            if !own.is_some_and(|own| own.eq_ignore_ascii_case(host)) {
                return Err(Refusal::Origin);
            }
        }
        let site = only(headers, &FETCH_SITE).unwrap_or("none");
        let mode = only(headers, &FETCH_MODE).unwrap_or_default();
        // A link on another page may lead here; its requests may not.
        match site {
            "same-origin" | "none" => Ok(()),
            _ if mode == "navigate" => Ok(()),
            _ => Err(Refusal::Origin),
        }
    }

    /// Whether a request shows the token, where there is one.
    pub fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let bearer = only(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let cookies = headers.get_all(COOKIE).iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';'));
        let own = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie).then_some(value)
        });
        own.chain(bearer).any(|given| same(given, token))
    }

    /// Whether this is the token.
    pub fn is_token(&self, given: &str) -> bool {
        self.token.as_ref().is_some_and(|token| same(given, token))
    }

    /// Whether a `Host` names this server. Its port may be another one: tunnels have their own.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((address, port)) if is_port(port) => {
                    return matches!(address.parse(), Ok(IpAddr::V6(_)));
                }
                _ => return false,
            },
            None => match host.split_once(':') {
                Some((name, port)) if is_port(&host[name.len()..]) && port.len() < 6 => name,
                Some(_) => return false,
                None => host,
            },
        };
        let is = |own: &str| name.eq_ignore_ascii_case(own);
        matches!(name.parse(), Ok(IpAddr::V4(_)))
            || is("localhost")
            || self.names.iter().any(|own| is(own))
    }
}

/// Nothing, or a colon and digits.
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':');
    text.is_empty()
        || digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

/// A header that is there once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// In a time that depends on the lengths alone.
fn same(given: &str, token: &str) -> bool {
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: Option<&str>) -> Guard {
        Guard {
            names: vec!["box.example".into()],
            token: token.map(Into::into),
            cookie: "bomf_token_1".into(),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn hosts_are_addresses_localhost_and_allowed_names() {
        let guard = guard(None);
        for host in [
            "localhost",
            "LocalHost:1",
            "127.0.0.1:7171",
            "10.0.0.5",
            "[::1]:7171",
            "[fe80::1]",
            "box.example:80",
            "BOX.example",
        ] {
            assert!(guard.is_ours(host), "{host}");
        }
        for host in [
            "",
            ":",
            ":7171",
            "evil.example",
            "evil.example:7171",
            "localhost.evil.example",
            "localhost:",
            "localhost:x",
            "localhost:7171:7171",
            "127.0.0.1.evil.example",
            "[::1",
            "[::1]x",
            "::1",
            "[localhost]",
            "127.0.0.1@evil.example",
            "localhost/..",
            "2130706433",
            "0x7f.1",
            "localhost:123456",
            "sub.box.example",
        ] {
            assert!(!guard.is_ours(host), "{host}");
        }
    }

    #[test]
    fn requests_of_other_pages_are_told_by_their_origin() {
        let guard = guard(None);
        let check = |pairs: &[(&'static str, &'static str)]| {
            let mut all = vec![("host", "localhost:7171")];
            all.extend(pairs);
            guard.check(&Method::GET, &headers(&all))
        };
        for fine in [
            &[][..],
            &[("origin", "http://localhost:7171")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
            ],
        ] {
            assert_eq!(check(fine), Ok(()), "{fine:?}");
        }
        for foreign in [
            &[("origin", "null")][..],
            &[("origin", "http://evil.example")],
            &[("origin", "https://localhost:7171")],
            &[("origin", "http://localhost:7172")],
            &[("origin", "http://localhost:7171.evil.example")],
            &[
                ("origin", "http://localhost:7171"),
                ("origin", "http://evil.example"),
            ],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        ] {
            assert_eq!(check(foreign), Err(Refusal::Origin), "{foreign:?}");
        }
        let twice = headers(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(guard.check(&Method::GET, &twice), Err(Refusal::Host));
        assert_eq!(guard.check(&Method::GET, &headers(&[])), Err(Refusal::Host));
        let own = headers(&[("host", "localhost")]);
        assert_eq!(guard.check(&Method::POST, &own), Err(Refusal::Method));
    }

    #[test]
    fn a_token_is_shown_whole_or_not_at_all() {
        let open = guard(None);
        assert!(open.knows(&headers(&[])));
        assert!(!open.is_token(""));
        let guard = guard(Some("abcdef"));
        for shown in [
            ("cookie", "bomf_token_1=abcdef"),
            ("cookie", "other=1; bomf_token_1=abcdef"),
            ("authorization", "Bearer abcdef"),
        ] {
            assert!(guard.knows(&headers(&[shown])), "{shown:?}");
        }
        for other in [
            ("cookie", "bomf_token_1="),
            ("cookie", "bomf_token_1=abcde"),
            ("cookie", "bomf_token_1=abcdefg"),
            ("cookie", "xbomf_token_1=abcdef"),
            ("authorization", "Bearer"),
            ("authorization", "abcdef"),
            ("cookie", "bomf_token_1=ABCDEF"),
        ] {
            assert!(!guard.knows(&headers(&[other])), "{other:?}");
        }
        assert!(guard.is_token("abcdef") && !guard.is_token(""));
    }
}
