//! Generation: a model that writes, greedily, by beams, or drawing tokens.
//!
//! Prompts are read once. Their keys and values are kept, and so are those of each new
//! token, so that a step costs a row a hypothesis ([`crate::kernels::cached`]). Examples go
//! by groups of alike lengths, and what is finished leaves its group. A text does not depend
//! on the group beyond rounding.

mod beam;
mod logits;
mod options;
mod single;
mod texts;

pub use options::{EarlyStopping, GenerationOptions, Sampling};
pub use texts::Texts;

use crate::TuneError;
use crate::batch::{Batch, OutputsAt, Sequences};
use crate::models::Network;
use crate::models::memory::Memory;
use crate::tape::{Tape, Workspace};
use crate::train::Control;
use beam::Beams;
use rayon::prelude::*;
use single::Single;
use std::rc::Rc;

/// Hypotheses of a group, over all of its examples: enough for the products to be worth
/// their while, few enough for their logits to stay small.
const HYPOTHESES: usize = 64;
/// Tokens of a group's prompts.
const TOKENS: usize = 8192;

/// Why nothing can be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerationError {
    /// The network has no vocabulary on top.
    #[error("a model of type {model_type} with this head writes no text")]
    NoVocabulary {
        /// Its type.
        model_type: String,
    },
    /// An option that makes no sense.
    #[error("`{option}` of the generation must be {expected}")]
    BadOption {
        /// Its name.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// An example has no prompt to go on from.
    #[error("an example has no prompt: a text by itself cannot be completed and compared")]
    NoPrompt,
}

impl GenerationError {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            GenerationError::NoPrompt => Some(
                "name the column of the prompts `text` and that of their completions `text_pair`"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// How one example is searched.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Search {
    Single(Single),
    Beams(Beams),
}

impl Search {
    fn new(options: &GenerationOptions, context: &[u32], example: usize) -> Self {
        match options.beams {
            1 => Search::Single(Single::new(options, context, example)),
            _ => Search::Beams(Beams::new(context)),
        }
    }

    /// Running hypotheses.
    fn width(&self) -> usize {
        match self {
            Search::Single(_) => 1,
            Search::Beams(beams) => beams.width(),
        }
    }

    /// As [`Beams::advance`].
    fn advance(
        &mut self,
        logits: &mut [f32],
        options: &GenerationOptions,
        ends: &[u32],
        limit: usize,
    ) -> Vec<(usize, u32)> {
        match self {
            Search::Beams(beams) => beams.advance(logits, options, ends, limit),
            Search::Single(single) => match single.advance(logits, options, ends, limit) {
                true => Vec::new(),
                false => single
                    .tokens
                    .last()
                    .map(|&token| (0, token))
                    .into_iter()
                    .collect(),
            },
        }
    }

    fn into_tokens(self) -> Vec<u32> {
        match self {
            Search::Single(single) => single.tokens,
            Search::Beams(beams) => beams.into_best(),
        }
    }
}

/// What `network` writes behind each of `prompts`, token by token, the one of `ends` that
/// ends a text included; `observe` is told after every group how many are done.
///
/// A prompt is the whole of a sequence, of an encoder-decoder its source and then the token
/// that the decoder begins with.
///
/// # Errors
/// [`GenerationError`], and [`TuneError::Interrupted`] where `observe` says to stop before
/// the last group.
pub fn generate(
    network: &Network,
    params: &[f32],
    prompts: &Sequences,
    ends: &[u32],
    options: &GenerationOptions,
    workspace: &Workspace,
    observe: &mut dyn FnMut(usize) -> Control,
) -> Result<Vec<Vec<u32>>, TuneError> {
    options.check()?;
    if network.vocabulary().is_none() {
        return Err(GenerationError::NoVocabulary {
            model_type: format!("{:?}", network.config().model_type).to_lowercase(),
        }
        .into());
    }
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(prompts.ids(i).len()));
    let most = (HYPOTHESES / options.beams).max(1);
    let mut texts = vec![Vec::new(); prompts.len()];
    let mut done = 0;
    while done < order.len() {
        // The first is the longest.
        let longest = prompts.ids(order[done]).len().max(1);
        let count = most.min((TOKENS / longest).max(1)).min(order.len() - done);
        let group = &order[done..done + count];
        let group_texts = generate_group(network, params, prompts, group, ends, options, workspace);
        for (&i, text) in group.iter().zip(group_texts) {
            texts[i] = text;
        }
        done += count;
        if observe(done) == Control::Stop && done < order.len() {
            return Err(TuneError::Interrupted);
        }
    }
    Ok(texts)
}

fn generate_group(
    network: &Network,
    params: &[f32],
    prompts: &Sequences,
    group: &[usize],
    ends: &[u32],
    options: &GenerationOptions,
    workspace: &Workspace,
) -> Vec<Vec<u32>> {
    let Some(vocabulary) = network.vocabulary() else {
        return vec![Vec::new(); group.len()];
    };
    let (config, entries) = (network.config(), network.config().vocab_size);
    let is_pair = config.encoder_decoder.is_some();
    let mut own = Sequences::new(OutputsAt::Last);
    for &i in group {
        own.push(prompts.ids(i), prompts.type_ids(i));
    }
    // What the decoder reads, and what the encoder does.
    let lengths: Vec<usize> = (0..own.len()).map(|i| own.ids(i).len()).collect();
    let read: Vec<usize> = lengths
        .iter()
        .map(|&n| if is_pair { 1 } else { n })
        .collect();
    let mut sources = Vec::new();
    if is_pair {
        let mut start = 0;
        for n in &lengths {
            sources.push(start..start + n - 1);
            start += n - 1;
        }
    }
    let mut memory = Memory::new(network.num_layers(), &read, sources);
    let mut searches: Vec<Search> = (0..own.len())
        .map(|i| {
            let ids = own.ids(i);
            Search::new(options, &ids[ids.len() - read[i]..], group[i])
        })
        .collect();
    let limit = |i: usize| {
        let room = config.max_length().saturating_sub(read[i]).max(1);
        options.max_new_tokens.min(room)
    };
    let mut active: Vec<usize> = (0..own.len()).collect();
    let all: Vec<usize> = active.clone();
    let mut batch = own.batch(&all);
    loop {
        let mut tape = Tape::inference(params, workspace);
        let hidden = network.recall(&mut tape, &batch, &mut memory);
        let logits = tape.linear(&hidden, vocabulary, None);
        // The rows of each search that goes on, in order.
        let mut rows = &*logits;
        let mut parts = Vec::new();
        for &i in &active {
            let (own, rest) = rows.split_at(searches[i].width() * entries);
            parts.push(own);
            rows = rest;
        }
        let mut running: Vec<(usize, &mut Search)> = searches
            .iter_mut()
            .enumerate()
            .filter(|(i, _)| active.binary_search(i).is_ok())
            .collect();
        let next: Vec<(usize, Vec<(usize, u32)>)> = running
            .par_iter_mut()
            .zip(parts)
            .map(|((i, search), logits)| {
                let width = search.width();
                let mut logits = logits.to_vec();
                let next = search.advance(&mut logits, options, ends, limit(*i));
                (width, next)
            })
            .collect();
        let (mut parents, mut ids, mut first) = (Vec::new(), Vec::new(), 0);
        let mut left = Vec::new();
        for (&i, (width, next)) in active.iter().zip(&next) {
            for (parent, token) in next {
                parents.push(first + parent);
                ids.push(*token);
            }
            if !next.is_empty() {
                left.push(i);
            }
            first += width;
        }
        active = left;
        if active.is_empty() {
            break;
        }
        memory.go_on(&parents);
        batch = one_token_each(ids, memory.positions());
    }
    searches.into_iter().map(Search::into_tokens).collect()
}

/// A batch of the next token of each sequence.
fn one_token_each(ids: Vec<u32>, positions: Vec<u32>) -> Batch {
    let n = ids.len();
    let offsets: Rc<[usize]> = (0..=n).collect();
    Batch {
        type_ids: vec![0; n].into(),
        ids: ids.into(),
        positions: positions.into(),
        outputs: (0..n as u32).collect(),
        output_offsets: offsets.clone(),
        offsets,
    }
}
