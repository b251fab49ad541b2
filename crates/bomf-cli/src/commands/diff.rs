//! `bomf diff`.

use super::Context;
use crate::args::DiffArgs;
use crate::failure::Failure;
use crate::table::Table;
use bomf::DiffRequest;
use bomf::merge::{Diff, Numbers, TensorDiff};

/// Characters of the longest bar.
const BAR: usize = 40;

pub fn command(args: DiffArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = DiffRequest {
        a: args.a,
        b: args.b,
        threads: context.global.threads,
    };
    let diff = bomf::diff(&request, &mut context.progress)?;
    context.tell(&diff, |diff| text(diff, args.top))
}

fn text(diff: &Diff, top: usize) -> String {
    if diff.is_same {
        return format!("the same: {} tensors", diff.tensors.len());
    }
    let mut parts = Vec::new();
    let others = [
        ("only in A", &diff.only_in_a),
        ("only in B", &diff.only_in_b),
    ];
    for (what, names) in others.into_iter().filter(|(_, names)| !names.is_empty()) {
        parts.push(format!("{what}: {}", some(names, top)));
    }
    for (name, a, b) in diff.shapes.iter().take(top) {
        parts.push(format!("{name} is {a:?} in A but {b:?} in B"));
    }
    let same = diff.tensors.iter().filter(|tensor| tensor.is_same).count();
    parts.push(format!(
        "{same} of {} tensors are the same",
        diff.tensors.len()
    ));
    let table = most_different(diff, top);
    if !table.is_empty() {
        parts.push(format!("\n{table}"));
    }
    if !diff.layers.is_empty() {
        parts.push(layers(diff));
    }
    parts.join("\n")
}

/// Names, up to a number of them.
fn some(names: &[String], most: usize) -> String {
    let shown = names
        .iter()
        .take(most)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        rest => format!("{shown}, and {rest} more"),
    }
}

/// The tensors that differ most.
fn most_different(diff: &Diff, top: usize) -> String {
    let mut different: Vec<(&TensorDiff, &Numbers)> = diff
        .tensors
        .iter()
        .filter(|tensor| !tensor.is_same)
        .filter_map(|tensor| Some((tensor, tensor.numbers.as_ref()?)))
        .collect();
    different.sort_by(|a, b| b.1.relative.total_cmp(&a.1.relative));
    if different.is_empty() || top == 0 {
        return String::new();
    }
    let mut table = Table::default();
    table.row(["tensor", "relative", "|B - A|", "|A|", "cosine", "max"]);
    for (tensor, numbers) in different.iter().take(top) {
        table.row([
            tensor.name.clone(),
            number(numbers.relative),
            number(numbers.norm),
            number(numbers.norm_a),
            numbers
                .cosine
                .map_or("-".into(), |cosine| format!("{cosine:.6}")),
            number(numbers.max_abs),
        ]);
    }
    let mut text = table.to_string();
    if let Some(rest) = different.len().checked_sub(top).filter(|rest| *rest > 0) {
        text.push_str(&format!(
            "... and {rest} more (--top {})\n",
            different.len()
        ));
    }
    text
}

/// A bar for each layer, as long as its relative difference.
fn layers(diff: &Diff) -> String {
    let finite = diff
        .layers
        .iter()
        .map(|layer| layer.relative)
        .filter(|r| r.is_finite());
    let most = finite.fold(0.0, f64::max);
    let name = |name: &str| match name {
        "" => "outside the layers".to_owned(),
        name => name.to_owned(),
    };
    let names = diff.layers.iter().map(|layer| name(&layer.name));
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = "relative difference by layer\n".to_owned();
    for layer in &diff.layers {
        let share = (layer.relative / most).clamp(0.0, 1.0);
        let length = if share.is_nan() {
            0.0
        } else {
            (share * BAR as f64).ceil()
        };
        let bar = "█".repeat(length as usize);
        let line = format!(
            "{:<width$}  {:>9}  {bar}",
            name(&layer.name),
            number(layer.relative)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Three digits.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (0.001..10_000.0).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}
