//! Stands where the library's commands will be; each says that it is not built.

use crate::failure::Failure;
use bomf::study::{Finetune, Results, Scores, Stage1};
use bomf::{
    BenchOutcome, BenchRequest, EvalRequest, FuseRequest, Observer, PretrainOutcome,
    PretrainRequest, RunRequest,
};

macro_rules! stand_in {
    ($($name:ident: $request:ty => $outcome:ty),+ $(,)?) => {
        $(pub fn $name(_: &$request, _: &mut dyn Observer) -> Result<$outcome, Failure> {
            Err(Failure::NotBuilt { command: stringify!($name) })
        })+
    };
}

stand_in! {
    run: RunRequest => Results,
    tune: RunRequest => Stage1,
    finetune: RunRequest => Finetune,
    fuse: FuseRequest => Results,
    eval: EvalRequest => Scores,
    pretrain: PretrainRequest => PretrainOutcome,
    bench: BenchRequest => BenchOutcome,
}
