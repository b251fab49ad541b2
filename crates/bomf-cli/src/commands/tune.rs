//! `bomf tune`.

use super::Context;
use crate::args::TuneArgs;
use crate::failure::Failure;
use crate::summary;

pub fn command(args: TuneArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut request = context.run_request(args.source, args.target)?;
    request.workers = context.workers(&args.workers)?;
    let stage1 = bomf::tune(&request, &mut context.progress)?;
    context.tell(&stage1, summary::stage1)
}
