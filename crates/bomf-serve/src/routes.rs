//! What is answered to what.

use crate::guard::{Guard, Refusal};
use crate::shown::{Parts, Shown};
use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bomf_report::live;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Every answer's: nothing but what comes from here, in no frame of another page, kept nowhere.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

#[derive(Clone)]
pub(crate) struct App {
    pub guard: Arc<Guard>,
    pub shown: Arc<Mutex<Shown>>,
}

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/live", get(news))
        .route(
            "/style.css",
            get(|| file("text/css; charset=utf-8", live::STYLE)),
        )
        .route(
            "/live.js",
            get(|| file("text/javascript; charset=utf-8", live::SCRIPT)),
        )
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page\n") })
        .layer(middleware::from_fn_with_state(app.clone(), guarded))
        .with_state(app)
}

/// Before everything else: who asks.
async fn guarded(State(app): State<App>, request: Request, next: Next) -> Response {
    let checked = app.guard.check(request.method(), request.headers());
    let mut response = match checked {
        Err(refusal) => refused(refusal),
        Ok(()) => match token_of(&request) {
            Some(token) if app.guard.is_token(&token) => welcome(&app.guard.cookie, &token),
            _ if app.guard.knows(request.headers()) => next.run(request).await,
            _ => refused(Refusal::Token),
        },
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refused(refusal: Refusal) -> Response {
    (refusal.status(), refusal.message()).into_response()
}

/// The token in the address of the page. Tokens are hexadecimal digits: nothing is to be decoded.
fn token_of(request: &Request) -> Option<String> {
    let query = request
        .uri()
        .query()
        .filter(|_| request.uri().path() == "/")?;
    let mut pairs = query.split('&');
    pairs.find_map(|pair| pair.strip_prefix("token=").map(Into::into))
}

/// To the page, without the token in the address.
fn welcome(name: &str, token: &str) -> Response {
    let cookie = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict");
    // A cookie of this kind is not sent when another site led here, as a redirect of a link in a
    // mail would be: the page leads on by itself.
    let page = "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">\
                <meta http-equiv=\"refresh\" content=\"0;url=/\"><title>bomf</title>\
                <a href=\"/\">To the page</a></html>";
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::CONTENT_TYPE, "text/html; charset=utf-8".into()),
    ];
    (headers, page).into_response()
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// The parts as they are now; they are drawn beside the requests, one drawing at a time.
async fn parts(app: App) -> Result<Arc<Parts>, Response> {
    let drawn = tokio::task::spawn_blocking(move || {
        // A drawing that failed left nothing half-done: the parts are replaced as a whole.
        let mut shown = app.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.now()
    });
    drawn.await.map_err(|_| {
        let message = "the page could not be drawn\n";
        (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
    })
}

async fn page(State(app): State<App>) -> Result<Response, Response> {
    let parts = parts(app).await?;
    let html = live::page(&parts.title, &parts.all);
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

/// What is new to a visitor who has these parts.
async fn news(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    let parts = parts(app).await?;
    let query = query.unwrap_or_default();
    let have = query.strip_prefix("have=").unwrap_or_default();
    // Ids and marks are letters and digits; the commas may come encoded.
    let have = have.replace("%2C", ",");
    let have: HashSet<&str> = have.split(',').collect();
    let new = parts.all.iter().filter(|(part, mark)| {
        let own = format!("{}.{mark}", part.id);
        !have.contains(own.as_str())
    });
    let new =
        new.map(|(part, mark)| serde_json::json!({"id": part.id, "mark": mark, "html": part.html}));
    let news = serde_json::json!({
        "standing": parts.standing.as_str(),
        "parts": new.collect::<Vec<_>>(),
    });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, news.to_string()).into_response())
}
