//! `bomf finetune`.

use super::Context;
use crate::args::FinetuneArgs;
use crate::failure::Failure;
use crate::summary;
use bomf::recipe::{HyperValue, Hyperparameter};

pub fn command(args: FinetuneArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut request = context.run_request(args.source, args.target)?;
    if let Some(learning_rate) = args.learning_rate {
        let value = HyperValue::Float(learning_rate);
        request.recipe.fix(Hyperparameter::LearningRate, &value)?;
    }
    if let Some(batch_size) = args.batch_size {
        let value = HyperValue::Int(batch_size);
        request.recipe.fix(Hyperparameter::BatchSize, &value)?;
    }
    let finetune = bomf::finetune(&request, &mut context.progress)?;
    context.tell(&finetune, summary::finetune)
}
