//! Tokenised examples, and batches of them without padding.

use std::ops::Range;
use std::rc::Rc;

/// Where a model's outputs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputsAt {
    /// At the first token of each sequence: an encoder's classifier.
    #[default]
    First,
    /// At the last token of each sequence: a decoder's classifier.
    Last,
    /// Before each token that is to be predicted: a causal language model.
    Targets,
    /// At every token: where an answer begins and ends.
    All,
    /// At the tokens that each sequence names: the first of each word, for its tag.
    Places,
}

/// Sequences one behind another, one or several an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    /// Sequence `i` has the tokens `offsets[i]..offsets[i + 1]`.
    offsets: Vec<usize>,
    at: OutputsAt,
    /// How many tokens at the end of each sequence are to be predicted.
    targets: Vec<u32>,
    /// Places within their sequences at which outputs are wanted, sequence after sequence,
    /// and where those of each end; for [`OutputsAt::Places`] alone.
    places: Vec<u32>,
    place_ends: Vec<usize>,
    /// How many neighbours make an example.
    parts: usize,
}

impl Default for Sequences {
    fn default() -> Self {
        Sequences {
            ids: Vec::new(),
            type_ids: Vec::new(),
            offsets: vec![0],
            at: OutputsAt::First,
            targets: Vec::new(),
            places: Vec::new(),
            place_ends: Vec::new(),
            parts: 1,
        }
    }
}

impl Sequences {
    /// None yet, for outputs at these places.
    pub fn new(at: OutputsAt) -> Self {
        Sequences {
            at,
            ..Sequences::default()
        }
    }

    /// None yet; so many neighbours (0 is taken for 1) will make an example: the choices of
    /// one question, say.
    pub fn in_parts(at: OutputsAt, parts: usize) -> Self {
        Sequences {
            at,
            parts: parts.max(1),
            ..Sequences::default()
        }
    }

    /// Where outputs are wanted.
    pub fn outputs_at(&self) -> OutputsAt {
        self.at
    }

    /// Appends one sequence of which the last `targets` tokens are to be predicted, fewer
    /// than it has.
    pub fn push_completion(&mut self, ids: &[u32], targets: usize) {
        debug_assert!(targets < ids.len());
        self.ids.extend_from_slice(ids);
        self.type_ids.resize(self.ids.len(), 0);
        self.offsets.push(self.ids.len());
        self.targets.push(targets as u32);
    }

    /// Appends one sequence with outputs at the rising `places` of it.
    pub fn push_at(&mut self, ids: &[u32], type_ids: &[u32], places: &[u32]) {
        debug_assert!(places.iter().all(|&place| (place as usize) < ids.len()));
        self.push(ids, type_ids);
        self.places.extend_from_slice(places);
        self.place_ends.push(self.places.len());
    }

    /// The places of sequence `i` at which outputs are wanted.
    fn places(&self, i: usize) -> &[u32] {
        &self.places[self.places_before(i)..self.place_ends[i]]
    }

    /// How many places are named by the sequences before `i`.
    pub fn places_before(&self, i: usize) -> usize {
        i.checked_sub(1).map_or(0, |before| self.place_ends[before])
    }

    /// The tokens of sequence `i` that are to be predicted.
    pub fn targets(&self, i: usize) -> &[u32] {
        let ids = self.ids(i);
        &ids[ids.len() - self.num_targets(i)..]
    }

    fn num_targets(&self, i: usize) -> usize {
        self.targets.get(i).map_or(0, |&n| n as usize)
    }

    /// Appends one sequence; ids and segment types have one length, at least 1.
    pub fn push(&mut self, ids: &[u32], type_ids: &[u32]) {
        debug_assert!(!ids.is_empty() && ids.len() == type_ids.len());
        self.ids.extend_from_slice(ids);
        self.type_ids.extend_from_slice(type_ids);
        self.offsets.push(self.ids.len());
        self.targets.push(0);
    }

    /// How many examples there are: sequences, unless several make one.
    pub fn len(&self) -> usize {
        (self.offsets.len() - 1) / self.parts
    }

    /// The first `n` examples, all of them where there are fewer.
    #[must_use]
    pub fn first(&self, n: usize) -> Self {
        let mut first = Sequences::in_parts(self.at, self.parts);
        for i in 0..n.min(self.len()) * self.parts {
            let range = self.offsets[i]..self.offsets[i + 1];
            let (ids, types) = (&self.ids[range.clone()], &self.type_ids[range]);
            match self.at {
                OutputsAt::Places => first.push_at(ids, types, self.places(i)),
                OutputsAt::Targets => first.push_completion(ids, self.num_targets(i)),
                _ => first.push(ids, types),
            }
        }
        first
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of all sequences together.
    pub fn num_tokens(&self) -> usize {
        self.ids.len()
    }

    /// Largest token id.
    pub fn max_id(&self) -> Option<u32> {
        self.ids.iter().max().copied()
    }

    /// The tokens of example `i`.
    pub fn ids(&self, i: usize) -> &[u32] {
        &self.ids[self.range(i)]
    }

    /// The segments of the tokens of example `i`.
    pub fn type_ids(&self, i: usize) -> &[u32] {
        &self.type_ids[self.range(i)]
    }

    /// Where example `i` lies among all tokens.
    pub fn range(&self, i: usize) -> Range<usize> {
        self.offsets[i * self.parts]..self.offsets[(i + 1) * self.parts]
    }

    /// The examples `indices` as one batch that asks for the outputs where they are
    /// wanted.
    pub fn batch(&self, indices: &[usize]) -> Batch {
        let mut batch = Sequences::default();
        let (mut outputs, mut output_offsets) = (Vec::new(), vec![0]);
        let parts = self.parts;
        for i in indices.iter().flat_map(|&i| i * parts..(i + 1) * parts) {
            let range = self.offsets[i]..self.offsets[i + 1];
            let start = batch.ids.len() as u32;
            batch.push(&self.ids[range.clone()], &self.type_ids[range]);
            let end = batch.ids.len() as u32;
            match self.at {
                OutputsAt::All => outputs.extend(start..end),
                OutputsAt::Places => outputs.extend(self.places(i).iter().map(|p| start + p)),
                OutputsAt::First => outputs.push(start),
                OutputsAt::Last => outputs.push(end - 1),
                OutputsAt::Targets => {
                    outputs.extend(end - 1 - self.num_targets(i) as u32..end - 1);
                }
            }
            output_offsets.push(outputs.len());
        }
        batch.into_batch(outputs, output_offsets)
    }

    /// All sequences as one batch that asks for the output at the rows `outputs`,
    /// of which sequence `i` has `output_offsets[i]..output_offsets[i + 1]`.
    pub fn into_batch(self, outputs: Vec<u32>, output_offsets: Vec<usize>) -> Batch {
        let positions = self
            .offsets
            .windows(2)
            .flat_map(|w| 0..(w[1] - w[0]) as u32)
            .collect();
        Batch {
            ids: self.ids.into(),
            type_ids: self.type_ids.into(),
            positions,
            offsets: self.offsets.into(),
            outputs: outputs.into(),
            output_offsets: output_offsets.into(),
        }
    }

    /// Consecutive groups of examples of about `tokens` tokens each.
    pub fn groups(&self, tokens: usize) -> Vec<Range<usize>> {
        let mut groups = Vec::new();
        let mut start = 0;
        for i in 0..self.len() {
            let taken = self.range(i).end - self.range(start).start;
            if taken >= tokens || i + 1 == self.len() {
                groups.push(start..i + 1);
                start = i + 1;
            }
        }
        groups
    }
}

/// One batch, as the tape's operations take it.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Token ids, `[tokens]`.
    pub ids: Rc<[u32]>,
    /// Segment (0 or 1) of each token.
    pub type_ids: Rc<[u32]>,
    /// Place of each token in its sequence, from 0.
    pub positions: Rc<[u32]>,
    /// Where each sequence's tokens begin, and the end of the last.
    pub offsets: Rc<[usize]>,
    /// Rows at which the last layer's output is wanted.
    pub outputs: Rc<[u32]>,
    /// Where each sequence's outputs begin, and the end of the last.
    pub output_offsets: Rc<[usize]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_every_sequence_once_in_order() {
        let mut sequences = Sequences::default();
        for len in [3usize, 1, 9, 2, 2, 2, 5] {
            sequences.push(&vec![1; len], &vec![0; len]);
        }
        let groups = sequences.groups(6);
        let all: Vec<usize> = groups.iter().cloned().flatten().collect();
        assert_eq!(all, (0..7).collect::<Vec<_>>());
        assert!(groups.iter().all(|g| !g.is_empty()));
    }

    #[test]
    fn a_batch_starts_positions_anew_in_each_sequence() {
        let mut sequences = Sequences::default();
        sequences.push(&[5, 6, 7], &[0, 0, 1]);
        sequences.push(&[8, 9], &[0, 0]);
        let batch = sequences.batch(&[1, 0]);
        assert_eq!(*batch.ids, [8, 9, 5, 6, 7]);
        assert_eq!(*batch.positions, [0, 1, 0, 1, 2]);
        assert_eq!(*batch.outputs, [0, 2]);
    }

    #[test]
    fn several_sequences_make_one_example() {
        let mut sequences = Sequences::in_parts(OutputsAt::First, 2);
        for len in [2usize, 3, 1, 4] {
            sequences.push(&vec![len as u32; len], &vec![0; len]);
        }
        assert_eq!(sequences.len(), 2);
        assert_eq!(sequences.range(1), 5..10);
        let batch = sequences.batch(&[1]);
        assert_eq!(*batch.ids, [1, 4, 4, 4, 4]);
        assert_eq!(*batch.positions, [0, 0, 1, 2, 3]);
        assert_eq!(*batch.outputs, [0, 1]);
        assert_eq!(*batch.output_offsets, [0, 1, 2]);
        assert_eq!(sequences.groups(1), [0..1, 1..2]);
        assert_eq!(sequences.first(1).len(), 1);
        assert_eq!(sequences.first(9), sequences);
    }

    #[test]
    fn outputs_are_at_every_token_or_at_the_places_named() {
        let mut all = Sequences::new(OutputsAt::All);
        all.push(&[5, 6], &[0, 0]);
        assert_eq!(*all.batch(&[0]).outputs, [0, 1]);
        let mut words = Sequences::new(OutputsAt::Places);
        words.push_at(&[1, 2, 3], &[0; 3], &[1]);
        words.push_at(&[1, 7, 8, 3], &[0; 4], &[1, 2]);
        let batch = words.batch(&[1, 0]);
        assert_eq!(*batch.outputs, [1, 2, 5]);
        assert_eq!(*batch.output_offsets, [0, 2, 3]);
        assert_eq!(words.first(1).batch(&[0]).outputs.len(), 1);
    }

    #[test]
    fn outputs_are_at_the_last_token_or_before_each_target() {
        let mut last = Sequences::new(OutputsAt::Last);
        last.push(&[5, 6, 7], &[0, 0, 0]);
        last.push(&[8], &[0]);
        assert_eq!(*last.batch(&[0, 1]).outputs, [2, 3]);
        let mut completions = Sequences::new(OutputsAt::Targets);
        completions.push_completion(&[1, 2, 3, 4], 2);
        completions.push_completion(&[5, 6], 1);
        completions.push_completion(&[7], 0);
        assert_eq!(completions.targets(0), [3, 4]);
        let batch = completions.batch(&[1, 2, 0]);
        assert_eq!(*batch.outputs, [0, 4, 5]);
        assert_eq!(*batch.output_offsets, [0, 1, 1, 3]);
    }
}
