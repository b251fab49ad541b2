//! `bomf pretrain`.

use super::Context;
use crate::args::{Dtype, PretrainArgs};
use crate::failure::Failure;
use bomf::PretrainRequest;

pub fn command(args: PretrainArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = PretrainRequest {
        corpus: args.corpus,
        out: args.target.out,
        hidden_size: args.hidden_size,
        num_hidden_layers: args.num_hidden_layers,
        num_attention_heads: args.num_attention_heads,
        intermediate_size: args.intermediate_size,
        vocab_size: args.vocab_size,
        max_length: args.max_length,
        epochs: args.epochs,
        batch_size: args.batch_size,
        learning_rate: args.learning_rate,
        dtype: match args.dtype {
            Dtype::F16 => bomf::Dtype::F16,
            Dtype::Bf16 => bomf::Dtype::Bf16,
        },
        seed: context.global.seed.unwrap_or(0),
        threads: context.global.threads,
        overwrite: args.target.overwrite,
    };
    let outcome = bomf::pretrain(&request, &mut context.progress)?;
    context.tell(&outcome, |outcome| {
        format!(
            "{} parameters, {} steps in {:.0} s, masked-token loss {:.3}\n{}",
            outcome.parameters,
            outcome.steps,
            outcome.seconds,
            outcome.loss,
            request.out.display()
        )
    })
}
