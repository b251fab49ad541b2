//! A stand-in for the hub: its endpoints for one repository, on a local port.
//!
//! Speaks just enough HTTP/1.1: GET with `Range`, `ETag`, `X-Repo-Commit`, and the
//! redirect to a store with `X-Linked-Etag` that the hub makes for large files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(super) struct StandIn {
    pub endpoint: String,
    server: Arc<tiny_http::Server>,
    thread: Option<std::thread::JoinHandle<()>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    /// Serves `owner/tiny` with these files; other names get `missing`, and a
    /// request without `token` gets 401 where one is named.
    pub fn start(files: &[(&str, &[u8])], missing: u16, token: Option<&str>) -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let endpoint = format!("http://{}", server.server_addr().to_ip().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let hub = Hub {
            files: files
                .iter()
                .map(|(name, bytes)| (name.to_string(), bytes.to_vec()))
                .collect(),
            endpoint: endpoint.clone(),
            missing,
            token: token.map(str::to_string),
        };
        let thread = {
            let (server, requests) = (server.clone(), requests.clone());
            std::thread::spawn(move || {
                for request in server.incoming_requests() {
                    requests.lock().unwrap().push(request.url().to_string());
                    let response = hub.answer(&request);
                    let _ = request.respond(response);
                }
            })
        };
        StandIn {
            endpoint,
            server,
            thread: Some(thread),
            requests,
        }
    }

    /// The paths that were asked for since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    endpoint: String,
    missing: u16,
    token: Option<String>,
}

type Response = tiny_http::Response<std::io::Cursor<Vec<u8>>>;

impl Hub {
    fn answer(&self, request: &tiny_http::Request) -> Response {
        let header = |name: &str| {
            let found = request
                .headers()
                .iter()
                .find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
            found.map(|header| header.value.to_string())
        };
        let url = request.url();
        if let Some(file) = url.strip_prefix("/store/") {
            return match self.files.get(file) {
                Some(bytes) => part(bytes, header("range")),
                None => status(404),
            };
        }
        if let Some(token) = &self.token
            && header("authorization") != Some(format!("Bearer {token}"))
        {
            return status(401);
        }
        if let Some(revision) = url.strip_prefix("/api/models/owner/tiny/revision/") {
            if revision != "main" && revision != COMMIT {
                return status(404);
            }
            let siblings: Vec<_> = self
                .files
                .keys()
                .map(|name| serde_json::json!({"rfilename": name}))
                .collect();
            let info = serde_json::json!({"sha": COMMIT, "siblings": siblings});
            return tiny_http::Response::from_data(info.to_string());
        }
        let Some(file) = url.strip_prefix(&format!("/owner/tiny/resolve/{COMMIT}/")) else {
            return status(self.missing);
        };
        let Some(bytes) = self.files.get(file) else {
            return status(404);
        };
        let etag = format!("\"{}-{}\"", bytes.len(), file.replace('.', "-"));
        let response = if file.ends_with(".safetensors") {
            status(302)
                .with_header(named(
                    "Location",
                    &format!("{}/store/{file}", self.endpoint),
                ))
                .with_header(named("X-Linked-Etag", &etag))
        } else {
            part(bytes, header("range")).with_header(named("ETag", &etag))
        };
        response.with_header(named("X-Repo-Commit", COMMIT))
    }
}

fn part(bytes: &[u8], range: Option<String>) -> Response {
    let Some(range) = range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes="))
    else {
        return tiny_http::Response::from_data(bytes);
    };
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1);
    tiny_http::Response::from_data(&bytes[first..=last])
        .with_status_code(206)
        .with_header(named(
            "Content-Range",
            &format!("bytes {first}-{last}/{}", bytes.len()),
        ))
}

fn status(code: u16) -> Response {
    tiny_http::Response::from_data("").with_status_code(code)
}

fn named(name: &str, value: &str) -> tiny_http::Header {
    tiny_http::Header::from_bytes(name, value).unwrap()
}
