//! `bomf serve`.

use super::Context;
use crate::args::ServeArgs;
use crate::failure::Failure;
use crate::output;
use bomf_serve::Options;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Bytes of a token.
const TOKEN: usize = 16;

pub fn command(args: ServeArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let wanted = SocketAddr::new(args.host, args.port);
    let failed = |source| Failure::Listen {
        address: wanted,
        source,
    };
    let listener = TcpListener::bind(wanted).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let token = match address.ip().is_loopback() {
        true => None,
        false => Some(token()?),
    };
    let query = token.as_ref().map(|token| format!("?token={token}"));
    let url = format!("http://{address}/{}", query.unwrap_or_default());
    let outcome = serde_json::json!({"url": url, "token": token});
    context.tell(&outcome, |_| url.clone())?;
    if !context.global.quiet {
        if address.ip().is_unspecified() {
            let own = "put the machine's own address in the place of";
            output::line(&format!("{own} {}", address.ip()));
        }
        output::line("Ctrl-C ends it");
    }
    let folder = args.out.clone();
    let options = Options {
        folder: args.out,
        read: Arc::new(move || bomf::read_record(&folder).map_err(|error| error.to_string())),
        names: args.allow_name,
        token,
    };
    let progress = &context.progress;
    Ok(bomf_serve::serve(listener, options, &|| {
        bomf::Observer::interrupted(progress)
    })?)
}

/// A token that nobody can guess, in hexadecimal digits.
fn token() -> Result<String, Failure> {
    let mut bytes = [0; TOKEN];
    getrandom::fill(&mut bytes).map_err(|_| Failure::NoToken)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
