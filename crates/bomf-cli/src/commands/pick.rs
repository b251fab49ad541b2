//! `bomf pick`.

use super::Context;
use crate::args::PickArgs;
use crate::failure::Failure;
use crate::table::{Table, score};
use bomf::study::{BlockWeights, Results, Scores};
use bomf::{Pick, PickRequest};

pub fn command(args: PickArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let pick = match (args.point, args.method) {
        (Some(number), _) => Pick::Point(number),
        (None, Some(method)) => Pick::Method(method.into()),
        (None, None) => {
            let (results, _) = bomf::read_output(&args.run)?;
            return context.tell(&mixtures(&results), |_| list(&results));
        }
    };
    // clap asks for it beside a choice.
    let target = args.out.unwrap_or_default();
    let select = bomf::pick(&PickRequest {
        run: args.run,
        pick,
        target: target.clone(),
        threads: context.global.threads,
    })?;
    let outcome = serde_json::json!({"model": target, "select": select});
    context.tell(&outcome, |_| target.display().to_string())
}

/// Everything that can be picked.
fn mixtures(results: &Results) -> serde_json::Value {
    let methods = results
        .methods
        .iter()
        .filter(|method| method.weights.is_some());
    // Weights by block only where there are some.
    let with_blocks = |mut value: serde_json::Value, blocks: &Option<BlockWeights>| {
        if let Some(blocks) = blocks {
            value["block_weights"] = serde_json::json!(blocks);
        }
        value
    };
    let methods: Vec<_> = methods
        .map(|m| {
            let own = serde_json::json!({
                "method": m.name,
                "select": m.select,
                "weights": m.weights,
            });
            with_blocks(own, &m.block_weights)
        })
        .collect();
    let points = results.front.iter().enumerate();
    let points: Vec<_> = points
        .map(|(i, point)| {
            let own = serde_json::json!({
                "point": i + 1,
                "select": point.select,
                "weights": point.weights,
                "chosen": point.chosen,
            });
            with_blocks(own, &point.block_weights)
        })
        .collect();
    serde_json::json!({"points": points, "methods": methods})
}

fn list(results: &Results) -> String {
    let names: Vec<&String> = results.objectives.iter().map(|o| &o.name).collect();
    let mut table = Table::default();
    let mut head = vec!["pick".to_string()];
    head.extend(names.iter().map(|name| format!("select {name}")));
    table.row(head);
    let mut row = |name: String, select: &Scores| {
        let scores = names.iter().map(|name| score(select.get(*name)));
        table.row(std::iter::once(name).chain(scores));
    };
    for (i, point) in results.front.iter().enumerate() {
        let chosen = if point.chosen { " (fused/)" } else { "" };
        row(format!("--point {}{chosen}", i + 1), &point.select);
    }
    for method in results.methods.iter().filter(|m| m.weights.is_some()) {
        row(format!("--method {}", method.name.as_str()), &method.select);
    }
    table.to_string().trim_end().to_string()
}
