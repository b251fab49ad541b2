//! What can keep a page from being served.

use std::net::SocketAddr;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener cannot be used.
    #[error("cannot listen: {0}")]
    Listen(#[source] std::io::Error),
    /// Others than this machine could look, and nothing is asked of them.
    #[error("{address} is open to other machines, and there is no token")]
    Open {
        /// Where it would listen.
        address: SocketAddr,
    },
}
