//! `bomf bo`.

use super::Context;
use crate::failure::Failure;
use crate::lines::Lines;
use crate::output;
use bomf::Observer;
use bomf::ask_tell::Session;

pub fn command(context: &mut Context<'_>) -> Result<(), Failure> {
    let lines = Lines::of_stdin();
    let mut session = Session::with_seed(context.global.seed.unwrap_or_default());
    let failed = |source| Failure::Read {
        path: "stdin".into(),
        source,
    };
    while !session.is_stopped() {
        let interrupted = || context.progress.interrupted();
        let Some(line) = lines.next(&interrupted).map_err(failed)? else {
            break;
        };
        if let Some(reply) = session.reply_to_bytes(&line) {
            output::data(&reply)?;
        }
    }
    Ok(())
}
