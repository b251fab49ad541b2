//! The server over real sockets: what is answered, and to whom not.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use bomf_serve::{Options, ServeError, serve};
use bomf_study::{Event, FolderLock, Journal, Record, Scores, State};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A server that stops at the end.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Result<(), ServeError>>>,
}

impl Server {
    fn of(folder: &Path, token: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = folder.to_path_buf();
        let options = Options {
            folder: own.clone(),
            read: Arc::new(move || {
                Record::read(&own, Default::default()).map_err(|e| e.to_string())
            }),
            names: vec!["allowed.example".into()],
            token: token.map(Into::into),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let run = move || serve(listener, options, &|| asked.load(Ordering::SeqCst));
        Server {
            address,
            stop,
            thread: Some(std::thread::spawn(run)),
        }
    }

    /// Sends bytes, and gives the answer.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has said what it had to say.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn ask(&self, line: &str, headers: &str) -> String {
        self.raw(format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").as_bytes())
    }

    /// A visitor on this machine asks for a path.
    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path}"), "Host: localhost:7171\r\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..3]);
    status.map_or(0, |status| status.parse().unwrap())
}

#[test]
fn the_page_comes_with_a_policy_that_allows_nothing_foreign() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::of(dir.path(), None);
    for (path, kind) in [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/live.js", "text/javascript"),
        ("/live", "application/json"),
    ] {
        let answer = server.get(path);
        assert_eq!(status(&answer), 200, "{path}: {answer}");
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        for expected in [
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(expected), "{path}: {expected} in {head}");
        }
        assert!(!head.contains("access-control-allow-origin"), "{head}");
    }
    // The policy has no exception, so the page must need none.
    let page = server.get("/");
    assert!(!page.contains("style=") && !page.contains("<script>") && !page.contains("onclick"));
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::of(dir.path(), None);
    for path in ["/", "/live", "/live.js", "/nothing"] {
        for host in [
            "evil.example",
            "evil.example:7171",
            "localhost.evil.example",
            "x",
        ] {
            let answer = server.ask(&format!("GET {path}"), &format!("Host: {host}\r\n"));
            assert_eq!(status(&answer), 421, "{host}{path}: {answer}");
        }
        for origin in ["http://evil.example", "null", "https://localhost"] {
            let headers = format!("Host: localhost\r\nOrigin: {origin}\r\n");
            let answer = server.ask(&format!("GET {path}"), &headers);
            assert_eq!(status(&answer), 403, "{origin}: {answer}");
        }
        let headers =
            "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n";
        assert_eq!(status(&server.ask(&format!("GET {path}"), headers)), 403);
    }
    for host in ["127.0.0.1:9", "[::1]:9", "allowed.example", "LOCALHOST"] {
        let answer = server.ask("GET /", &format!("Host: {host}\r\n"));
        assert_eq!(status(&answer), 200, "{host}: {answer}");
    }
    // A whole address in the first line does not get past the name.
    let absolute = server.ask("GET http://evil.example/", "Host: evil.example\r\n");
    assert_eq!(status(&absolute), 421);
    let none = server.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_ne!(status(&none), 200, "{none}");
}

#[test]
fn no_path_gives_a_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret.txt"), "TOP SECRET").unwrap();
    std::fs::write(dir.path().join("live"), "TOP SECRET").unwrap();
    let server = Server::of(dir.path(), None);
    for path in [
        "/secret.txt",
        "/recipe.yaml",
        "/study.db",
        "/../secret.txt",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/..%5c..%5cetc%5cpasswd",
        "/live/../secret.txt",
        "/live.js/secret.txt",
        "//etc/passwd",
        "/live.js%00.txt",
        "/%00",
        "/style.css%20",
        "/.",
        "/..",
        "/%",
        "/live%2F",
    ] {
        let answer = server.get(path);
        assert!([400, 404].contains(&status(&answer)), "{path}: {answer}");
        assert!(
            !answer.contains("SECRET") && !answer.contains("root:"),
            "{path}"
        );
    }
    // What is no request at all.
    for bytes in [
        &b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"GET /live?have=\xff\xfe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
        b"GET",
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(bytes).unwrap();
        drop(stream);
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(100_000)
    );
    assert_ne!(status(&server.raw(long.as_bytes())), 200);
    for method in [
        "POST /",
        "PUT /live",
        "DELETE /",
        "OPTIONS /",
        "TRACE /",
        "BREW /",
    ] {
        let answer = server.ask(method, "Host: localhost\r\nContent-Length: 0\r\n");
        assert_eq!(status(&answer), 405, "{method}: {answer}");
    }
    assert_eq!(status(&server.get("/")), 200, "it goes on");
    assert_eq!(status(&server.ask("HEAD /", "Host: localhost\r\n")), 200);
}

#[test]
fn a_token_is_asked_for_and_becomes_a_cookie() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::of(dir.path(), Some("0123abcd"));
    let with = |path: &str, header: &str| {
        server.ask(
            &format!("GET {path}"),
            &format!("Host: localhost\r\n{header}"),
        )
    };
    for path in [
        "/",
        "/live",
        "/live.js",
        "/nothing",
        "/?token=",
        "/?token=0123abce",
        "/live?token=0123abcd",
    ] {
        assert_eq!(status(&with(path, "")), 401, "{path}");
    }
    let cookie = format!("bomf_token_{}", server.address.port());
    for wrong in [
        &*format!("Cookie: {cookie}=0123abc\r\n"),
        "Cookie: bomf_token_1=0123abcd\r\n",
        "Authorization: Bearer x\r\n",
    ] {
        assert_eq!(status(&with("/", wrong)), 401, "{wrong}");
    }
    let answer = with("/?token=0123abcd", "");
    assert!(
        answer.contains(&format!(
            "set-cookie: {cookie}=0123abcd; Path=/; HttpOnly; SameSite=Strict"
        )),
        "{answer}"
    );
    for right in [
        &*format!("Cookie: a=b; {cookie}=0123abcd\r\n"),
        "Authorization: Bearer 0123abcd\r\n",
    ] {
        assert_eq!(status(&with("/live", right)), 200, "{right}");
    }
    // The right token does not help under a foreign name.
    let foreign = server.ask("GET /?token=0123abcd", "Host: evil.example\r\n");
    assert_eq!(status(&foreign), 421);
}

#[test]
fn other_machines_are_never_let_in_without_a_token() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    for token in [None, Some(String::new())] {
        let options = Options {
            folder: "nowhere".into(),
            read: Arc::new(|| Ok(Record::default())),
            names: Vec::new(),
            token,
        };
        let error = serve(listener.try_clone().unwrap(), options, &|| true).unwrap_err();
        assert!(matches!(error, ServeError::Open { .. }), "{error}");
    }
}

fn event(trial: usize) -> Event {
    Event::Stage1 {
        trial,
        parameters: indexmap::IndexMap::from([("learning_rate".into(), 0.1.into())]),
        state: State::Complete,
        scores: Scores::from_iter([("loss".to_string(), 0.5)]),
        step: 3,
        seconds: 1.0,
    }
}

#[test]
fn a_run_is_followed_from_before_it_begins_until_after_it_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("<b>out");
    let server = Server::of(&folder, None);
    let standing = || {
        let answer = server.get("/live");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let news: serde_json::Value = serde_json::from_str(body).unwrap();
        let parts = news["parts"].as_array().unwrap();
        let have: Vec<String> = parts
            .iter()
            .map(|p| {
                format!(
                    "{}.{}",
                    p["id"].as_str().unwrap(),
                    p["mark"].as_str().unwrap()
                )
            })
            .collect();
        (
            news["standing"].as_str().unwrap().to_string(),
            have.join(","),
            body.to_string(),
        )
    };
    assert_eq!(standing().0, "not begun");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(standing().0, "not begun");
    let lock = FolderLock::take(&folder).unwrap();
    let mut journal = Journal::create(&folder.join("trials.jsonl")).unwrap();
    journal.append(&event(0)).unwrap();
    let (now, have, body) = standing();
    assert_eq!(now, "running");
    assert!(body.contains("&lt;b&gt;out") && !body.contains("<b>out"));
    // Who has everything is told nothing.
    let nothing = server.get(&format!("/live?have={have}"));
    assert!(nothing.ends_with("\"parts\":[]}"), "{nothing}");
    let encoded = server.get(&format!("/live?have={}", have.replace(',', "%2C")));
    assert!(encoded.ends_with("\"parts\":[]}"), "{encoded}");

    // A torn last line, as a kill leaves it.
    let path = folder.join("trials.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(b"{\"stage\":\"stage1\",\"tri");
    std::fs::write(&path, &bytes).unwrap();
    drop(lock);
    let (now, _, body) = standing();
    assert_eq!(now, "stopped");
    assert!(body.contains("bomf resume"), "{body}");

    // What cannot be read is said, and what was read stays.
    std::fs::write(&path, "nonsense\n{}\n").unwrap();
    let (now, _, body) = standing();
    assert_eq!(now, "stopped");
    assert!(body.contains("cannot be read"), "{body}");
    let mut journal = Journal::create(&path).unwrap();
    journal.append(&event(0)).unwrap();
    journal.append(&event(1)).unwrap();
    assert!(!standing().2.contains("cannot be read"));
}
