//! What is guessed of a data set: its task, and the order of its classes.

use std::collections::HashSet;

use super::DataOptions;
use super::columns::Columns;
use super::error::{self, DataError, Result};
use super::labels::{self, Task};
use super::raw::RawSplit;

/// With fewer examples than this, many classes with one example each are taken as they are.
const MIN_EXAMPLES_TO_JUDGE: usize = 50;

/// What is told, or what the labels look like.
pub(super) fn task(first: &RawSplit, options: &DataOptions, notes: &mut Vec<String>) -> Task {
    // Names of classes say that there are classes.
    match (options.task, &options.label_names) {
        (Some(task), _) => task,
        (None, Some(_)) => Task::Classification,
        (None, None) => {
            let (task, reason) = labels::guess_task(&first.labels);
            let name = match task {
                Task::Classification => "classification",
                _ => "regression",
            };
            notes.push(format!("task guessed: {name} ({reason})"));
            task
        }
    }
}

/// The names of the classes or tags in the order of their numbers.
pub(super) fn label_names(
    first: &RawSplit,
    columns: &Columns,
    options: &DataOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    let names = match &options.label_names {
        Some(names) => {
            let mut seen = HashSet::new();
            if let Some(twice) = names.iter().find(|n| !seen.insert(*n)) {
                return Err(DataError::DuplicateLabelName {
                    label: twice.clone(),
                });
            }
            let used: HashSet<_> = first.labels.iter().map(|l| &l.text).collect();
            // Tags that are numbers stand for these names.
            let by_number = names.iter().all(|name| !used.contains(name));
            let unused: Vec<_> = names
                .iter()
                .filter(|n| !used.contains(n))
                .cloned()
                .collect();
            if !unused.is_empty() && !by_number {
                notes.push(format!(
                    "labels without an example in the {} split: {}",
                    first.name,
                    error::list(&unused)
                ));
            }
            names.clone()
        }
        None => {
            let names = labels::order_names(&first.labels);
            let examples = first.labels.len();
            if examples >= MIN_EXAMPLES_TO_JUDGE && names.len() * 2 > examples {
                return Err(DataError::TooManyClasses {
                    file: first.file(),
                    column: columns.label.clone(),
                    distinct: names.len(),
                    examples,
                });
            }
            notes.push(format!("labels in order: {}", error::list(&names)));
            names
        }
    };
    if let [] | [_] = &names[..] {
        return Err(DataError::OneClass {
            file: first.file(),
            label: names.first().cloned().unwrap_or_default(),
        });
    }
    Ok(names)
}
