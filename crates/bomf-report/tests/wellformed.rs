//! Whatever the results hold: no panic, a well-formed page, nothing from outside.

mod sample;

use bomf_report::{render, render_experiment, render_front_svg, render_with_journal};
use bomf_study::*;
use proptest::prelude::*;
use sample::Dice;
use std::collections::HashSet;

/// The page as XML: without doctype, script and the head's void elements.
fn xml(html: &str) -> String {
    let html = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    let script = html.find("<script>").expect("a script");
    let end = html.find("</script>").expect("its end") + "</script>".len();
    let mut out = format!("{}{}", &html[..script], &html[end..]);
    while let Some(at) = out.find("<meta ") {
        let end = at + out[at..].find('>').expect("closed") + 1;
        out.replace_range(at..end, "");
    }
    out
}

fn check(html: &str) {
    let xml = xml(html);
    let page = roxmltree::Document::parse(&xml).unwrap_or_else(|e| panic!("{e}"));
    let mut ids = HashSet::new();
    for node in page.descendants().filter(roxmltree::Node::is_element) {
        if let Some(id) = node.attribute("id") {
            assert!(ids.insert(id), "id {id} stands twice");
        }
        for name in ["src", "href", "action", "xlink:href"] {
            if let Some(link) = node.attribute(name) {
                assert!(link.starts_with('#'), "{link}");
            }
        }
        if let Some(text) = node.text().filter(|_| !node.has_tag_name("style")) {
            assert!(!text.contains("NaN") && !text.contains("inf]"), "{text}");
        }
        for attribute in node.attributes() {
            let value = attribute.value();
            assert!(!value.contains("NaN") && !value.contains("inf "), "{value}");
        }
        if node.has_tag_name("svg") && node.attribute("role") == Some("img") {
            let named = node
                .attribute("aria-labelledby")
                .or(node.attribute("aria-label"));
            assert!(named.is_some());
        }
        if node.has_tag_name("th") {
            assert!(node.attribute("scope").is_some());
        }
        if node.has_tag_name("table") {
            assert!(node.children().any(|c| c.has_tag_name("caption")));
        }
    }
    for node in page.descendants().filter(|n| n.has_tag_name("svg")) {
        for id in node
            .attribute("aria-labelledby")
            .unwrap_or_default()
            .split(' ')
        {
            assert!(id.is_empty() || ids.contains(id), "nothing is called {id}");
        }
    }
    for link in page.descendants().filter_map(|n| n.attribute("href")) {
        assert!(
            link == "#" || ids.contains(&link[1..]),
            "{link} leads nowhere"
        );
    }
}

#[test]
fn sample_pages_are_well_formed() {
    for (members, metrics) in [
        (15, &["accuracy"][..]),
        (1, &["pearson", "spearman"]),
        (3, &[]),
    ] {
        let (results, journal) = sample::study(11, members, metrics);
        check(&render_with_journal(&results, &journal));
    }
}

#[test]
fn the_page_asks_for_nothing_from_outside() {
    let (results, journal) = sample::study(11, 8, &["accuracy"]);
    let html = render_with_journal(&results, &journal);
    for forbidden in [
        "http:",
        "https:",
        "@import",
        "url(//",
        "fetch(",
        "XMLHttpRequest",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn names_with_markup_stay_text() {
    let (mut results, _) = sample::study(11, 4, &["accuracy"]);
    let nasty = "</title><script>alert(1)</script>&amp; \"größer\" <b>日本語\u{0}\u{8}\u{ffff}";
    results.task = nasty.into();
    results.model = nasty.into();
    results.version = nasty.into();
    results.notes = vec![nasty.into()];
    results.objectives[1].name = nasty.into();
    results.chosen_metric = nasty.into();
    for scores in results
        .methods
        .iter_mut()
        .flat_map(|m| [&mut m.select, &mut m.report])
    {
        scores.insert(nasty.into(), 0.5);
    }
    for trial in &mut results.stage1.trials {
        trial.parameters.insert(nasty.into(), nasty.into());
    }
    results.stage1.best.insert(nasty.into(), nasty.into());
    results.finetune.members[0].path = nasty.into();
    let html = render(&results);
    check(&html);
    assert!(!html.contains("alert(1)</script>"));
}

/// An experiment of two variants, with markup for names and numbers that are none.
fn experiment(mean: f64) -> experiment::Experiment {
    let row = |variant: &str, over: &str, of: &str| experiment::Gain {
        variant: variant.into(),
        over: over.into(),
        of: of.into(),
        mean,
        interval: mean.is_finite().then_some([mean - 1.0, mean + 1.0]),
        runs: 2,
        better: 1,
        equal: 0,
    };
    let volume = |variant: &str, evaluations| experiment::HypervolumeRow {
        variant: variant.into(),
        method: MethodName::Bomf,
        evaluations,
        share: experiment::MeanSd::of(&[mean]),
        runs: 1,
    };
    experiment::Experiment {
        name: "<b>&".into(),
        version: "0".into(),
        planned: 4,
        runs: Vec::new(),
        failed: vec![experiment::FailedRun {
            folder: "a<b".into(),
            error: "\"no\"".into(),
        }],
        scores: Vec::new(),
        gains: vec![
            row("first", "greedy_soup", "report chosen"),
            row("<other>", "greedy_soup", "report chosen"),
        ],
        ablation: vec![row("<other>", "first", "report loss")],
        claims: ["first", "<other>"]
            .map(|variant| experiment::Claim {
                variant: variant.into(),
                claim: "a < b".into(),
                held: 1,
                runs: 2,
            })
            .to_vec(),
        hypervolume: vec![volume("first", 1), volume("first", 9), volume("<other>", 1)],
        correlation: vec![experiment::CorrelationRow {
            task: "t&".into(),
            seed: 0,
            metric: "f1".into(),
            spearman: mean,
            mixtures: 9,
        }],
        alignment: Vec::new(),
        costs: vec![experiment::CostRow {
            task: "t".into(),
            variant: "first".into(),
            stage1: mean,
            finetune: 1.0,
            stage2: 2.0,
            total: 9.0,
        }],
    }
}

#[test]
fn the_page_of_an_experiment_is_well_formed_too() {
    for mean in [0.5, -0.0, f64::NAN, f64::INFINITY, 1e300] {
        check(&render_experiment(&experiment(mean)));
    }
    let page = render_experiment(&experiment(0.5));
    for id in [
        "gains-1",
        "gains-2",
        "ablation",
        "shares",
        "correlations",
        "costs",
    ] {
        assert!(page.contains(&format!("id=\"fig-{id}\"")), "{id}");
    }
    let empty = experiment::Experiment {
        planned: 1,
        gains: Vec::new(),
        ablation: Vec::new(),
        claims: Vec::new(),
        hypervolume: Vec::new(),
        correlation: Vec::new(),
        costs: Vec::new(),
        ..experiment(0.0)
    };
    check(&render_experiment(&empty));
}

/// Numbers as they should not be, and some as they should.
fn odd(dice: &mut Dice) -> f64 {
    match (dice.unit() * 14.0) as usize {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => 0.0,
        4 => -0.0,
        5 => f64::MAX,
        6 => -f64::MAX,
        7 => f64::MIN_POSITIVE / 8.0,
        8 => 1e99 * dice.normal(),
        9 => 1.0,
        10 => -1.0,
        _ => dice.unit(),
    }
}

fn upto(dice: &mut Dice, n: usize) -> usize {
    (dice.unit() * (n as f64 + 1.0)) as usize
}

fn odd_step(dice: &mut Dice) -> u64 {
    match upto(dice, 4) {
        0 => 0,
        1 => u64::MAX,
        2 => 7,
        _ => (dice.unit() * 1000.0) as u64,
    }
}

fn odd_scores(dice: &mut Dice, names: &[String]) -> Scores {
    let names = names.iter().filter(|_| dice.unit() < 0.85);
    let names: Vec<String> = names.cloned().collect();
    names.into_iter().map(|n| (n, odd(dice))).collect()
}

fn odd_weights(dice: &mut Dice) -> Vec<f64> {
    (0..upto(dice, 5)).map(|_| odd(dice)).collect()
}

fn odd_value(dice: &mut Dice) -> serde_json::Value {
    match upto(dice, 6) {
        0 => serde_json::Value::Null,
        1 => true.into(),
        2 => "linear <warm-up>".into(),
        3 => serde_json::json!([1, {"a": "b"}]),
        4 => u64::MAX.into(),
        _ => odd(dice).into(),
    }
}

fn odd_results(dice: &mut Dice) -> (Results, Vec<Event>) {
    let all = ["loss", "accuracy", "f1_macro", "a<b>&\u{1}", ""];
    let n = upto(dice, all.len());
    let names: Vec<String> = all[..n].iter().map(|s| s.to_string()).collect();
    let parameters = |dice: &mut Dice| {
        ["learning_rate", "batch_size", "schedule", "ü\u{0}"]
            .into_iter()
            .filter(|_| dice.unit() < 0.8)
            .map(str::to_string)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|name| (name, odd_value(dice)))
            .collect()
    };
    let objectives = names
        .iter()
        .map(|name| Objective {
            name: name.clone(),
            direction: if dice.unit() < 0.5 {
                Direction::Minimize
            } else {
                Direction::Maximize
            },
        })
        .collect();
    let trials = (0..upto(dice, 5))
        .map(|_| Stage1Trial {
            pruned: dice.unit() < 0.3,
            parameters: parameters(dice),
            select: odd_scores(dice, &names),
            value: (dice.unit() < 0.7).then(|| odd(dice)),
            seconds: odd(dice),
        })
        .collect();
    let methods = MethodName::ALL
        .into_iter()
        .filter(|_| dice.unit() < 0.7)
        .collect::<Vec<_>>();
    let methods = methods
        .into_iter()
        .map(|name| Method {
            block_weights: None,
            name,
            weights: (dice.unit() < 0.7).then(|| odd_weights(dice)),
            select: odd_scores(dice, &names),
            report: odd_scores(dice, &names),
            report_interval: names
                .iter()
                .map(|n| (n.clone(), [odd(dice), odd(dice)]))
                .collect(),
            bomf_minus_this: names
                .iter()
                .map(|n| (n.clone(), [odd(dice), odd(dice), odd(dice)]))
                .collect(),
            hypervolume: odd(dice),
            evaluations: upto(dice, 90),
            seconds: odd(dice),
        })
        .collect();
    let results = Results {
        version: "0".into(),
        task: "t\u{7f}<".into(),
        task_kind: String::new(),
        model: "m".into(),
        parameters: usize::MAX,
        seed: u64::MAX,
        threads: 0,
        splits: Splits {
            train: 0,
            select: usize::MAX,
            report: 1,
        },
        objectives,
        chosen_metric: names
            .last()
            .cloned()
            .filter(|_| dice.unit() < 0.7)
            .unwrap_or("unknown".into()),
        ref_point: odd_weights(dice),
        stage1: Stage1 {
            layers: 0,
            frozen_layers: 3,
            lora_r: None,
            known: Vec::new(),
            trials,
            best: parameters(dice),
        },
        finetune: Finetune {
            best_step: odd_step(dice),
            steps: odd_step(dice),
            steps_per_epoch: odd_step(dice),
            curve: (0..upto(dice, 5))
                .map(|_| CurvePoint {
                    step: odd_step(dice),
                    train_loss: odd(dice),
                    select: odd_scores(dice, &names),
                })
                .collect(),
            members: (0..upto(dice, 5))
                .map(|_| MemberRecord {
                    run: (dice.unit() < 0.5).then(|| upto(dice, 3)),
                    step: odd_step(dice),
                    path: "p&\u{b}".into(),
                    select: odd_scores(dice, &names),
                })
                .collect(),
            further_runs: Vec::new(),
        },
        stage2: Stage2 {
            surrogates: indexmap::IndexMap::new(),
            choice: bomf_study::Choice::default(),
            blocks: (dice.unit() < 0.5).then(|| BlockSearch {
                names: vec!["<head>".into()],
                after: upto(dice, 6),
            }),
            basin: (dice.unit() < 0.5).then(|| Basin {
                places: odd_weights(dice),
                segments: (0..upto(dice, 4))
                    .map(|_| Segment {
                        from: upto(dice, 6),
                        to: usize::MAX,
                        loss: (0..upto(dice, 5))
                            .map(|_| (dice.unit() < 0.8).then(|| odd(dice)))
                            .collect(),
                        barrier: (dice.unit() < 0.8).then(|| odd(dice)),
                        std_error: (dice.unit() < 0.8).then(|| odd(dice)),
                        separated: dice.unit() < 0.5,
                    })
                    .collect(),
            }),
            initial_evaluations: if dice.unit() < 0.2 {
                usize::MAX
            } else {
                upto(dice, 6)
            },
            history: (0..upto(dice, 6))
                .map(|k| HypervolumePoint {
                    evaluations: k,
                    bomf: odd(dice),
                    random_simplex: (dice.unit() < 0.7).then(|| odd(dice)),
                })
                .collect(),
        },
        methods,
        front: (0..upto(dice, 6))
            .map(|_| FrontPoint {
                block_weights: (dice.unit() < 0.5)
                    .then(|| BlockWeights::from_iter([("a<b".into(), odd_weights(dice))])),
                weights: odd_weights(dice),
                select: odd_scores(dice, &names),
                chosen: dice.unit() < 0.3,
                dominated: dice.unit() < 0.2,
            })
            .collect(),
        notes: vec!["`a` and `b".into()],
        seconds: Seconds {
            stage1: odd(dice),
            finetune: odd(dice),
            stage2: odd(dice),
            total: odd(dice),
        },
        peak_rss_mb: odd(dice),
    };
    let journal = (0..upto(dice, 4))
        .map(|evaluation| Event::Stage2 {
            block_weights: None,
            method: "bomf".into(),
            evaluation,
            weights: odd_weights(dice),
            state: State::Complete,
            scores: odd_scores(dice, &names),
            seconds: odd(dice),
        })
        .collect();
    (results, journal)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_results_make_it_panic_or_the_page_ill_formed(seed: u64) {
        let (results, journal) = odd_results(&mut Dice(seed));
        check(&render_with_journal(&results, &journal));
        if let Some(svg) = render_front_svg(&results, &journal) {
            roxmltree::Document::parse(&svg).unwrap();
        }
    }
}
