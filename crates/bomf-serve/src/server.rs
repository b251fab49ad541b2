//! The loop that takes connections.

use crate::guard::Guard;
use crate::routes::{App, router};
use crate::shown::Shown;
use crate::{Options, ServeError};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Connections at once: browsers open six each.
const CONNECTIONS: usize = 64;
/// Who has not said within this what he wants is sent away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// How often it is asked whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Serves the page on a listener until `stop` says so, which is asked ten times a second.
///
/// # Errors
/// [`ServeError::Open`] for a listener that other machines reach and options without a token,
/// [`ServeError::Listen`] where the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    options: Options,
    stop: &dyn Fn() -> bool,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listen)?;
    if !address.ip().is_loopback() && options.token.as_ref().is_none_or(String::is_empty) {
        return Err(ServeError::Open { address });
    }
    listener.set_nonblocking(true).map_err(ServeError::Listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .map_err(ServeError::Listen)?;
    let served = runtime.block_on(accept(listener, options, stop));
    // Connections that are open are not waited for.
    runtime.shutdown_background();
    served
}

async fn accept(
    listener: TcpListener,
    options: Options,
    stop: &dyn Fn() -> bool,
) -> Result<(), ServeError> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::Listen)?;
    let port = listener.local_addr().map_err(ServeError::Listen)?.port();
    let guard = Guard {
        cookie: format!("bomf_token_{port}"),
        names: options.names.clone(),
        token: options.token.clone(),
    };
    let service = router(App {
        guard: Arc::new(guard),
        shown: Arc::new(Mutex::new(Shown::new(options))),
    });
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while !stop() {
        let Ok(accepted) = tokio::time::timeout(LOOK, listener.accept()).await else {
            continue;
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, or gone again: neither ends the server.
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        // One too many is closed.
        let Ok(place) = room.clone().try_acquire_owned() else {
            continue;
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(LONGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
    Ok(())
}
