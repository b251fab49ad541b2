//! What a decoder keeps of the tokens that it has read, so that each further token costs one
//! row and not its whole sequence.

use crate::kernels::cached::Seen;
use crate::tape::{Attending, Tape, Var};
use std::ops::Range;
use std::rc::Rc;

/// Keys and values of every block, and which of them each sequence has.
///
/// Sequences share rows: those of a beam search begin with one prompt.
#[derive(Debug)]
pub(crate) struct Memory {
    /// By block, a row a token in the order in which they were read.
    kept: Vec<Vec<f32>>,
    /// By block, a row a token of the encoder; empty without one.
    sources: Vec<Vec<f32>>,
    /// Of each sequence, the rows of its tokens among `kept`.
    tokens: Vec<Vec<u32>>,
    /// Likewise those of its source among `sources`.
    source: Vec<Rc<[u32]>>,
    /// How many rows there are in `kept`.
    rows: u32,
    /// Whether the sequences are being read from their beginnings.
    begins: bool,
}

impl Memory {
    /// Of a network with so many blocks, about to read sequences from their beginnings, of
    /// which the decoder sees so many tokens and the encoder these rows of all.
    pub fn new(blocks: usize, tokens: &[usize], sources: Vec<Range<usize>>) -> Self {
        let mut memory = Memory {
            kept: vec![Vec::new(); blocks],
            sources: vec![Vec::new(); blocks],
            tokens: Vec::new(),
            source: sources
                .into_iter()
                .map(|range| range.map(|row| row as u32).collect())
                .collect(),
            rows: 0,
            begins: true,
        };
        for &count in tokens {
            let end = memory.rows + count as u32;
            memory.tokens.push((memory.rows..end).collect());
            memory.rows = end;
        }
        memory
    }

    /// Goes on with sequences that each begin with one of those before, `parents`, and then
    /// have one token more.
    pub fn go_on(&mut self, parents: &[usize]) {
        self.begins = false;
        let next = |&parent: &usize| self.tokens[parent].clone();
        self.tokens = parents.iter().map(next).collect();
        if !self.source.is_empty() {
            self.source = parents.iter().map(|&p| self.source[p].clone()).collect();
        }
        for rows in &mut self.tokens {
            rows.push(self.rows);
            self.rows += 1;
        }
    }

    /// The place of each sequence's last token, from 0.
    pub fn positions(&self) -> Vec<u32> {
        self.tokens
            .iter()
            .map(|rows| rows.len() as u32 - 1)
            .collect()
    }

    /// Whether the sequences are being read from their beginnings.
    pub fn begins(&self) -> bool {
        self.begins
    }

    /// Attention of block `i` among the tokens of each sequence; keeps the new keys and
    /// values. `offsets` are those of queries and keys.
    pub fn attend(
        &mut self,
        i: usize,
        tape: &mut Tape,
        (q, kv): (&Var, &Var),
        offsets: (&Rc<[usize]>, &Rc<[usize]>),
        attending: Attending,
    ) -> Var {
        self.kept[i].extend_from_slice(kv);
        if self.begins {
            return tape.any_attention(q, kv, offsets, attending);
        }
        let behind = attending.window.as_ref().map_or(usize::MAX, |w| w.behind);
        let span = self.tokens.iter().map(Vec::len).max().unwrap_or(1);
        let mut biases = Vec::new();
        if let Some(bias) = attending.bias {
            biases = vec![0.0; attending.heads.0 * (2 * span - 1)];
            let table = bias.table.of(tape.params());
            bias.buckets.spread(&mut biases, table, span);
        }
        let seen = |rows: &'_ Vec<u32>| -> (usize, usize) {
            (
                rows.len().saturating_sub(behind.saturating_add(1)),
                span - rows.len(),
            )
        };
        let seen: Vec<Seen<'_>> = self
            .tokens
            .iter()
            .map(|rows| {
                let (first, ahead) = seen(rows);
                Seen {
                    rows: &rows[first..],
                    bias: match biases.is_empty() {
                        true => (&[], 0),
                        false => (&biases[ahead + first..], 2 * span - 1),
                    },
                }
            })
            .collect();
        tape.recall(q, &self.kept[i], &seen, &attending)
    }

    /// Keeps the keys and values that block `i` makes of the encoder's states.
    pub fn keep_source(&mut self, i: usize, kv: &Var) {
        self.sources[i].extend_from_slice(kv);
    }

    /// Attention of block `i` to the source of each sequence, a query each.
    pub fn attend_to_source(
        &self,
        i: usize,
        tape: &mut Tape,
        q: &Var,
        attending: &Attending,
    ) -> Var {
        let seen: Vec<Seen<'_>> = self
            .source
            .iter()
            .map(|rows| Seen {
                rows,
                bias: (&[], 0),
            })
            .collect();
        tape.recall(q, &self.sources[i], &seen, attending)
    }
}
