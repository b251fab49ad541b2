//! The live page of a run, over HTTP.
//!
//! [`serve`] answers on a listener that it is given until it is told to stop. It reads and never
//! writes; no path and no other word of a request ever reaches the file system, because the one
//! folder that is shown is read by a function that takes nothing ([`Options::read`]).
//!
//! | asked for | answered |
//! |---|---|
//! | `/` | the page, with all its parts |
//! | `/live?have=ID.MARK,…` | as JSON: how the run stands, and the parts whose marks are others |
//! | `/style.css`, `/live.js` | what the page needs |
//!
//! # Who may look
//! A browser carries requests of other pages too, and names can be made to point at this machine.
//! So a request is refused
//!
//! - whose `Host` is neither an address, nor `localhost`, nor a name that was allowed: a foreign
//!   name that resolves to this machine (DNS rebinding) would make a foreign page the same
//!   origin;
//! - whose `Origin`, or `Sec-Fetch-Site`, is that of another page;
//! - that is anything but `GET` or `HEAD`;
//! - that lacks the token, where there is one: in a cookie, or a `Bearer`. It is compared in
//!   constant time. `/?token=…` sets the cookie and leads to `/`, so that the token does not stay
//!   in the address.
//!
//! The page's policy (`Content-Security-Policy`) allows its own style sheet, script and requests,
//! and nothing else.

mod error;
mod guard;
mod routes;
mod server;
mod shown;

pub use error::ServeError;
pub use server::serve;

use bomf_study::Record;
use std::path::PathBuf;
use std::sync::Arc;

/// What is served, and to whom.
#[derive(Clone)]
pub struct Options {
    /// The output folder of the run, which is shown and looked at for changes.
    pub folder: PathBuf,
    /// Reads it.
    pub read: Arc<dyn Fn() -> Result<Record, String> + Send + Sync>,
    /// Names by which the page may be asked for, beside addresses and `localhost`.
    pub names: Vec<String>,
    /// What a visitor must show; `None` asks for nothing, which is for loopback alone.
    pub token: Option<String>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the function nor the token is for a log.
        f.debug_struct("Options")
            .field("folder", &self.folder)
            .field("names", &self.names)
            .field("has_token", &self.token.is_some())
            .finish()
    }
}
