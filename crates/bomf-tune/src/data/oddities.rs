//! What a careful reader of the data would stumble over.

use std::collections::HashSet;

use super::{Example, Split};

/// Says what a careful reader of the data would stumble over.
pub(super) fn note(train: &Split, validation: &Split, test: &Split, notes: &mut Vec<String>) {
    for (a, b) in [(train, validation), (train, test), (validation, test)] {
        let seen: HashSet<&Example> = a.texts.iter().collect();
        let shared = b.texts.iter().filter(|e| seen.contains(e)).count();
        if shared > 0 {
            notes.push(format!(
                "{shared} of the {} {} examples are also in the {} split, word for word",
                b.len(),
                b.name,
                a.name
            ));
        }
    }
    for split in [train, validation, test] {
        let empty = split.texts.iter().filter(|e| e.text.trim().is_empty());
        let count = empty.count();
        if count > 0 {
            notes.push(format!(
                "{count} of the {} {} examples have an empty text",
                split.len(),
                split.name
            ));
        }
    }
}
