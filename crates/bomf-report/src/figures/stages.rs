//! Where the time went: one bar, cut into the stages.

use super::WIDTH;
use crate::format;
use crate::svg::Figure;
use crate::svg::label::spread;
use crate::svg::node::{Node, group, line, rect, text};
use crate::view::View;

/// The named parts of the total time, in order; what no stage accounts for comes
/// last.
fn parts(view: &View<'_>) -> Vec<(&'static str, f64)> {
    let s = &view.results.seconds;
    let mut parts = vec![
        ("stage 1", s.stage1),
        ("fine-tuning", s.finetune),
        ("stage 2", s.stage2),
    ];
    parts.retain(|(_, t)| t.is_finite() && *t > 0.0 && *t < 1e12);
    let known: f64 = parts.iter().map(|p| p.1).sum();
    let rest = s.total - known;
    // Less than a hundredth is not worth a name.
    if rest.is_finite() && rest > 0.01 * known && rest < 1e12 {
        parts.push(("report and the rest", rest));
    }
    parts
}

/// The bar; `None` where no time is recorded.
pub(crate) fn stages(view: &View<'_>) -> Option<Node> {
    let parts = parts(view);
    let total: f64 = parts.iter().map(|p| p.1).sum();
    if parts.is_empty() {
        return None;
    }
    let spoken: Vec<String> = parts
        .iter()
        .map(|(name, t)| format!("{name} {}", format::duration(*t)))
        .collect();
    let width = WIDTH - 2.0;
    let mut figure = Figure::new(
        "stages",
        WIDTH,
        58.0,
        "Time for each stage",
        spoken.join(", "),
    );
    let mut from = 0.0;
    let mut middles = Vec::new();
    let mut bars = group("k-plain");
    for (k, (_, t)) in parts.iter().enumerate() {
        let length = t / total * width;
        let shade = [0.85, 0.55, 0.3, 0.15][k.min(3)];
        bars.push(
            rect(from, 2.0, (length - 2.0).max(0.8), 12.0, "bar")
                .set("fill-opacity", shade)
                .tip(spoken[k].clone()),
        );
        middles.push(from + length / 2.0);
        from += length;
    }
    figure.push(bars);
    // Labels are two short lines, about this wide at most.
    let half = 62.0;
    let gap = 2.0 * half;
    for (k, x) in spread(&middles, gap, half, WIDTH - half)
        .into_iter()
        .enumerate()
    {
        figure.push(line((middles[k], 16.0), (x, 26.0), "leader"));
        figure.push(text(x, 38.0, "middle", "val", format::duration(parts[k].1)));
        figure.push(text(x, 53.0, "middle", "note", parts[k].0));
    }
    Some(figure.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_study::{Finetune, Results, Seconds, Splits, Stage1, Stage2};

    fn study(seconds: Seconds) -> Results {
        Results {
            version: "0.1.0".into(),
            task: "task".into(),
            task_kind: "classification".into(),
            model: "model".into(),
            parameters: 1,
            seed: 0,
            threads: 1,
            splits: Splits {
                train: 1,
                select: 1,
                report: 1,
            },
            objectives: Vec::new(),
            chosen_metric: "accuracy".into(),
            ref_point: Vec::new(),
            stage1: Stage1 {
                layers: 2,
                frozen_layers: 1,
                lora_r: None,
                known: Vec::new(),
                trials: Vec::new(),
                best: Default::default(),
            },
            finetune: Finetune {
                best_step: 0,
                steps: 0,
                steps_per_epoch: 0,
                curve: Vec::new(),
                members: Vec::new(),
                further_runs: Vec::new(),
            },
            stage2: Stage2 {
                surrogates: indexmap::IndexMap::new(),
                blocks: None,
                basin: None,
                initial_evaluations: 0,
                choice: bomf_study::Choice::default(),
                history: Vec::new(),
            },
            methods: Vec::new(),
            front: Vec::new(),
            notes: Vec::new(),
            seconds,
            peak_rss_mb: 1.0,
        }
    }

    #[test]
    fn the_bar_is_cut_in_proportion_and_names_what_no_stage_accounts_for() {
        let results = study(Seconds {
            stage1: 30.0,
            finetune: 20.0,
            stage2: 40.0,
            total: 100.0,
        });
        let svg = stages(&View::new(&results, &[])).unwrap().to_string();
        insta::assert_snapshot!(svg.replace("><", ">\n<"));
    }

    #[test]
    fn a_run_without_times_has_no_bar() {
        let results = study(Seconds {
            stage1: f64::NAN,
            finetune: 0.0,
            stage2: -1.0,
            total: 0.0,
        });
        assert!(stages(&View::new(&results, &[])).is_none());
    }
}
