//! `ot_fusion`: the members' average once their units are put into the order of the last one's by
//! optimal transport ([`bomf_fuse::align`]; Singh and Jaggi 2020, Imfeld et al. 2024).

use super::Engine;
use super::fixed::{Fixed, evaluated};
use crate::Error;
use crate::pipeline::evaluator::{Evaluator, Log};
use bomf_fuse::align::{Aligned, Alignment, Heads};
use bomf_fuse::{FuseError, Weights};
use bomf_study::MethodName;
use rayon::prelude::*;
use std::time::Instant;

/// In units of the mean squared distance between units: those of one run lie so near to their
/// own that few others are mixed in.
const REGULARISATION: f64 = 0.05;

/// Elements that one task adds.
const PIECE: usize = 1 << 16;

/// The average of the aligned members, or `None` where it gives no finite scores.
///
/// # Errors
/// [`FuseError::NothingToAlign`] and its like where the architecture is not known to alignment.
pub(super) fn ot_fusion(
    evaluator: &mut Evaluator<'_>,
    engine: &Engine<'_>,
) -> Result<Option<Fixed>, Error> {
    let log = Log::new(MethodName::OtFusion);
    let started = Instant::now();
    let (members, config) = (engine.members, engine.network.config());
    let heads = Heads {
        queries: config.num_heads,
        key_values: config
            .decoder
            .as_ref()
            .map_or(config.num_heads, |decoder| decoder.kv_heads),
    };
    let n = members.len();
    let last = members.weights_of(n - 1);
    let mut params = vec![0.0; members.dim()];
    let share = 1.0 / n as f32;
    for member in 0..n {
        evaluator.stop_if_interrupted()?;
        let own = members.weights_of(member);
        let alignment = match member + 1 == n {
            true => Alignment::default(),
            false => Alignment::find(&last, &own, heads, REGULARISATION)?,
        };
        let aligned = Aligned::new(own, alignment);
        for segment in members.segments() {
            let Some(source) = aligned.source(&segment.name) else {
                return Err(FuseError::NoMembers.into());
            };
            let sum = &mut params[segment.offset..segment.offset + segment.len];
            let pieces = sum.par_chunks_mut(PIECE).enumerate();
            pieces.for_each(|(i, sum)| {
                let mut values = vec![0.0; sum.len()];
                source.read(i * PIECE, &mut values);
                for (sum, x) in sum.iter_mut().zip(&values) {
                    *sum += share * x;
                }
            });
        }
    }
    evaluated(evaluator, engine, log, params, started)
}
