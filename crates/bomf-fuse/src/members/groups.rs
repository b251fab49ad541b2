//! Groups of segments that have their weights in common.
//!
//! Layers of a network do not want the same mixture: the lower ones move little in training, the
//! head most. One weight a member and tensor would be too many to search for; a few groups of
//! neighbouring layers are not.

use std::collections::BTreeMap;

use super::Segment;
use crate::plan::LayerName;
use crate::plan::layers::{is_before_layers, stacks};

/// A partition of the segments of a [`MemberSet`](super::MemberSet) into named groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    names: Vec<String>,
    of: Vec<usize>,
}

impl Groups {
    /// The groups that `name` gives the segments to, in the order in which they appear. A group
    /// need not be a run of neighbours.
    pub fn by(segments: &[Segment], name: impl Fn(&Segment) -> String) -> Self {
        let mut numbers = BTreeMap::new();
        let mut groups = Self {
            names: Vec::new(),
            of: Vec::with_capacity(segments.len()),
        };
        for segment in segments {
            let name = name(segment);
            let number = *numbers.entry(name.clone()).or_insert_with(|| {
                groups.names.push(name);
                groups.names.len() - 1
            });
            groups.of.push(number);
        }
        groups
    }

    /// One group of all segments.
    pub fn one(segments: &[Segment]) -> Self {
        Self::by(segments, |_| "all".into())
    }

    /// What the segments' names suggest: the embeddings, the layers in `parts` groups of
    /// neighbours (in each stack where there are several; never more groups than layers, and one
    /// at least), and the head, to which all else behind the layers belongs. The sizes of groups
    /// of layers differ by one at most.
    pub fn proposed(segments: &[Segment], parts: usize) -> Self {
        let stacks = stacks(segments.iter().map(|s| s.name.as_str()));
        Self::by(segments, |segment| match LayerName::of(&segment.name) {
            Some(name) => {
                let layers = stacks[name.stack];
                let stack = match stacks.len() {
                    1 => "",
                    _ => name.stack,
                };
                format!("{stack}{}", run(name.layer, layers, parts))
            }
            None if is_before_layers(&segment.name) => "embeddings".into(),
            None => "head".into(),
        })
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none: only where there are no segments.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of segments.
    pub fn num_segments(&self) -> usize {
        self.of.len()
    }

    /// The group of a segment.
    ///
    /// # Panics
    /// If there is no such segment.
    pub fn of(&self, segment: usize) -> usize {
        self.of[segment]
    }
}

/// The name of the run of layers, one of `parts`, in which a layer lies.
fn run(layer: usize, layers: usize, parts: usize) -> String {
    let parts = parts.clamp(1, layers.max(1));
    // Run p holds the layers from ceil(p layers / parts) on.
    let start = |p: usize| (p * layers).div_ceil(parts);
    let part = layer * parts / layers.max(1);
    match (start(part), start(part + 1) - 1) {
        (first, last) if first == last => format!("layer {first}"),
        (first, last) => format!("layers {first} to {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(names: &[&str]) -> Vec<Segment> {
        let named = names.iter().enumerate();
        let segment = |(i, name): (usize, &&str)| Segment {
            name: name.to_string(),
            shape: vec![1],
            offset: i,
            len: 1,
        };
        named.map(segment).collect()
    }

    #[test]
    fn layers_are_proposed_in_runs_of_nearly_equal_length() {
        let mut names: Vec<String> = (0..7)
            .map(|i| format!("bert.encoder.layer.{i}.w"))
            .collect();
        names.insert(0, "bert.embeddings.LayerNorm.bias".into());
        names.push("bert.pooler.dense.weight".into());
        names.push("classifier.weight".into());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let groups = Groups::proposed(&segments(&names), 3);
        assert_eq!(
            groups.names(),
            [
                "embeddings",
                "layers 0 to 2",
                "layers 3 to 4",
                "layers 5 to 6",
                "head"
            ]
        );
        let of: Vec<usize> = (0..10).map(|i| groups.of(i)).collect();
        assert_eq!(of, [0, 1, 1, 1, 2, 2, 3, 3, 4, 4]);
        // As many groups as layers where more are asked for, one where none is.
        assert_eq!(Groups::proposed(&segments(&names), 100).len(), 9);
        assert_eq!(Groups::proposed(&segments(&names), 0).len(), 3);
    }

    #[test]
    fn each_stack_has_runs_of_its_own() {
        let names = [
            "encoder.block.0.w",
            "encoder.block.1.w",
            "decoder.block.0.w",
        ];
        let groups = Groups::proposed(&segments(&names), 1);
        let expected = ["encoder.block.layers 0 to 1", "decoder.block.layer 0"];
        assert_eq!(groups.names(), expected);
    }

    #[test]
    fn every_layer_lies_in_the_run_that_names_it() {
        for layers in 1..30 {
            for parts in 1..=layers {
                let runs: Vec<String> = (0..layers).map(|l| run(l, layers, parts)).collect();
                let mut distinct = runs.clone();
                distinct.dedup();
                assert_eq!(distinct.len(), parts);
                for (layer, run) in runs.iter().enumerate() {
                    let numbers: Vec<usize> =
                        run.split(' ').filter_map(|w| w.parse().ok()).collect();
                    assert!(numbers[0] <= layer && layer <= numbers[numbers.len() - 1]);
                }
            }
        }
    }

    #[test]
    fn groups_need_not_be_neighbours_and_no_segments_have_none() {
        let segments = segments(&["a", "b", "c"]);
        let groups = Groups::by(&segments, |s| {
            (if s.name == "b" { "y" } else { "x" }).into()
        });
        assert_eq!((groups.of(0), groups.of(1), groups.of(2)), (0, 1, 0));
        assert_eq!(Groups::one(&segments).names(), ["all"]);
        assert!(Groups::proposed(&[], 4).is_empty());
    }
}
