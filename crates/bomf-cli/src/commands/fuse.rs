//! `bomf fuse`.

use super::{Context, run};
use crate::args::FuseArgs;
use crate::failure::Failure;
use bomf::FuseRequest;

pub fn command(args: FuseArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = FuseRequest {
        members: args.members,
        data: args.data,
        out: args.target.out,
        recipe: context.recipe(args.recipe.as_deref())?,
        threads: context.global.threads,
        overwrite: args.target.overwrite,
    };
    let results = bomf::fuse(&request, &mut context.progress)?;
    run::tell(&request.out, &results, context)
}
