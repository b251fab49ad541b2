//! The live page at every moment of a run: well-formed, sparing, and nothing made up.

mod sample;

use bomf_report::live::{Fragment, Moment, Part, Standing, fragments, page, progress};
use bomf_study::*;
use indexmap::IndexMap;
use proptest::prelude::*;
use sample::Dice;
use std::collections::HashSet;

fn plan(results: &Results) -> Plan {
    Plan {
        task: results.task.clone(),
        objectives: results.objectives.clone(),
        chosen_metric: results.chosen_metric.clone(),
        stage1_value: results.objectives[1..]
            .iter()
            .map(|o| o.name.clone())
            .collect(),
        trials: results.stage1.trials.len(),
        runs: 1,
        epochs: 4,
        members: results.finetune.members.len(),
        ..Plan::default()
    }
}

/// The sample's study as its record stands after so many lines.
fn record(results: &Results, journal: &[Event], lines: usize) -> Record {
    let trials = results.stage1.trials.iter().enumerate();
    let trials = trials.map(|(number, trial)| TrialRecord {
        number,
        parameters: trial.parameters.clone(),
        state: State::Complete,
        scores: trial.select.clone(),
        value: trial.value,
        step: 20,
        curve: [10, 20]
            .map(|step| CurvePoint {
                step,
                train_loss: 0.5,
                select: trial.select.clone(),
            })
            .to_vec(),
        seconds: trial.seconds,
    });
    let events: Vec<Event> = journal.iter().take(lines).cloned().collect();
    let evaluations = events.iter().filter_map(|event| match event {
        Event::Stage2 {
            method,
            evaluation,
            weights,
            block_weights,
            state,
            scores,
            seconds,
        } => Some(Evaluation {
            method: method.clone(),
            number: *evaluation,
            weights: weights.clone(),
            block_weights: block_weights.clone(),
            state: *state,
            scores: scores.clone(),
            std_errors: Scores::new(),
            seconds: *seconds,
        }),
        _ => None,
    });
    Record {
        plan: plan(results),
        facts: IndexMap::from([("command".into(), "run".into())]),
        trials: trials.take(lines).collect(),
        attempts: Vec::new(),
        finetunes: Vec::new(),
        evaluations: evaluations.collect(),
        events,
        results: None,
    }
}

/// The time at which pages are drawn.
const NOW: f64 = 1.8e9;

fn drawn(record: &Record, standing: Standing) -> Vec<Fragment> {
    fragments(&Moment {
        record,
        standing,
        folder: "a 'folder' & <so on>",
        pace: IndexMap::from([(Part::Stage1, 2.5)]),
        now: NOW,
        trouble: Some("<trouble>"),
    })
}

fn check(parts: &[Fragment]) {
    let marked: Vec<(Fragment, String)> = parts.iter().map(|p| (p.clone(), "0".into())).collect();
    let html = page("<title>", &marked);
    let mut ids = HashSet::new();
    for part in parts {
        let xml = format!("<x>{}</x>", part.html);
        let tree = roxmltree::Document::parse(&xml).unwrap_or_else(|e| panic!("{e}: {xml}"));
        for node in tree.descendants().filter(roxmltree::Node::is_element) {
            if let Some(id) = node.attribute("id") {
                assert!(ids.insert(id.to_string()), "{id} stands twice");
            }
            // The page's policy forbids both.
            assert!(node.attribute("style").is_none() && !node.has_tag_name("style"));
            assert!(!node.has_tag_name("script"));
            for attribute in node.attributes() {
                assert!(!attribute.name().starts_with("on"), "{}", attribute.name());
                assert!(!attribute.value().contains("NaN"), "{}", attribute.value());
            }
        }
    }
    assert!(html.contains("&lt;title&gt;") && !html.contains("http"));
}

#[test]
fn every_moment_of_a_run_is_a_page() {
    let (results, journal) = sample::study(3, 6, &["accuracy"]);
    for lines in (0..=journal.len()).step_by(7).chain([journal.len()]) {
        let record = record(&results, &journal, lines);
        for standing in [Standing::Running, Standing::Stopped] {
            check(&drawn(&record, standing));
        }
    }
    let mut done = record(&results, &journal, journal.len());
    done.results = Some(results);
    let parts = drawn(&done, Standing::Finished);
    check(&parts);
    // What is in the shell's words is safe in a shell.
    let all: String = parts.iter().map(|p| p.html.as_str()).collect();
    assert!(
        all.contains("bomf pick 'a '\\''folder'\\'' &amp; &lt;so on&gt;' --point "),
        "{all}"
    );
}

#[test]
fn nothing_is_an_empty_page_that_says_so() {
    let parts = drawn(&Record::default(), Standing::Waiting);
    check(&parts);
    assert!(parts[0].html.contains("Nothing is here yet"));
    assert!(parts[1..].iter().all(|part| part.html.is_empty()));
}

#[test]
fn thousands_of_trials_and_mixtures_stay_a_small_page() {
    /// Elements that a browser draws in an instant.
    const MOST_ELEMENTS: usize = 9000;
    const MOST_BYTES: usize = 2_000_000;
    let (mut results, mut journal) = sample::study(3, 12, &["accuracy"]);
    let mut dice = Dice(9);
    let trial = results.stage1.trials[0].clone();
    results.stage1.trials = (0..10_000)
        .map(|_| {
            let mut trial = trial.clone();
            for value in trial.parameters.values_mut() {
                *value = dice.unit().into();
            }
            trial.value = Some(dice.unit());
            trial
        })
        .collect();
    let mixture = journal
        .iter()
        .rfind(|e| matches!(e, Event::Stage2 { .. }))
        .cloned()
        .unwrap();
    for number in 0..10_000 {
        let mut mixture = mixture.clone();
        if let Event::Stage2 {
            scores,
            evaluation,
            method,
            ..
        } = &mut mixture
        {
            *method = if number % 2 == 0 {
                "bomf".into()
            } else {
                "random_simplex".into()
            };
            *evaluation = number;
            for score in scores.values_mut() {
                *score = 0.8 + 0.02 * dice.normal();
            }
        }
        journal.push(mixture);
    }
    let record = record(&results, &journal, journal.len());
    let parts = drawn(&record, Standing::Running);
    check(&parts);
    let bytes: usize = parts.iter().map(|part| part.html.len()).sum();
    let elements: usize = parts
        .iter()
        .map(|part| part.html.matches("</").count() + part.html.matches("/>").count())
        .sum();
    assert!(
        bytes < MOST_BYTES && elements < MOST_ELEMENTS,
        "{bytes} bytes, {elements} elements"
    );
}

#[test]
fn what_is_left_is_counted_part_by_part() {
    let (results, journal) = sample::study(3, 6, &["accuracy"]);
    let mut early = record(&results, &[], 2);
    early.plan.trials = 5;
    let parts = progress(&early);
    assert_eq!(
        (parts[0].part, parts[0].done, parts[0].left()),
        (Part::Stage1, 2, 3)
    );
    assert!(!parts[0].is_over && parts[1].done == 0 && parts[2].planned == 0);
    let late = record(&results, &journal, journal.len());
    let parts = progress(&late);
    assert!(parts[0].is_over && parts[1].is_over && !parts[2].is_over);
    assert_eq!(parts[0].left(), 0);
    assert_eq!(parts[2].done, late.evaluations.len());
    for (command, own) in [
        ("tune", vec![Part::Stage1]),
        ("finetune", vec![Part::Finetune]),
        ("fuse", vec![Part::Stage2]),
    ] {
        let mut record = late.clone();
        record.facts.insert("command".into(), command.into());
        let parts: Vec<Part> = progress(&record).iter().map(|p| p.part).collect();
        assert_eq!(parts, own, "{command}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_scores_are_a_page(
        lines in 0usize..200,
        scores in prop::collection::vec(any::<f64>(), 1..40),
        seed in any::<u64>(),
    ) {
        let (results, mut journal) = sample::study(seed % 5, 4, &["accuracy"]);
        let mut next = scores.iter().cycle();
        for event in &mut journal {
            if let Event::Stage2 { scores, .. } | Event::Finetune { scores, .. } = event {
                for score in scores.values_mut() {
                    *score = *next.next().unwrap();
                }
            }
        }
        let mut record = record(&results, &journal, lines);
        for trial in &mut record.trials {
            trial.value = next.next().copied();
            trial.seconds = *next.next().unwrap();
        }
        check(&drawn(&record, Standing::Running));
    }
}

fn attempt(number: usize, worker: &str, began: f64, ending: Option<(f64, Ending)>) -> Attempt {
    Attempt {
        number,
        attempt: 1,
        worker: worker.into(),
        began: NOW + began,
        ended: ending.map(|(seconds, _)| NOW + began + seconds),
        ending: ending.map(|(_, ending)| ending),
    }
}

#[test]
fn workers_show_what_they_have_in_hand_and_how_long_it_may_take() {
    let (results, journal) = sample::study(3, 6, &["accuracy"]);
    let mut record = record(&results, &journal, 3);
    assert!(
        drawn(&record, Standing::Running)
            .last()
            .unwrap()
            .html
            .is_empty()
    );
    record.attempts = vec![
        attempt(0, "one <a>", -600.0, Some((120.0, Ending::Finished))),
        attempt(1, "two", -600.0, Some((30.0, Ending::Lost))),
        attempt(1, "one <a>", -480.0, Some((80.0, Ending::Finished))),
        attempt(2, "one <a>", -200.0, Some((10.0, Ending::GivenBack))),
        attempt(2, "three", -40.0, None),
    ];
    let parts = drawn(&record, Standing::Running);
    check(&parts);
    let html = &parts.last().unwrap().html;
    assert!(
        html.contains("trial 3 for 40 s, about 1 min 00 s left"),
        "{html}"
    );
    assert!(
        html.contains("One trial was lost with its worker"),
        "{html}"
    );
    assert_eq!(html.matches("class=\"cross").count(), 1, "{html}");
    // Nobody has anything in hand in a run that has stopped.
    let html = drawn(&record, Standing::Stopped).pop().unwrap().html;
    assert!(!html.contains("trial 3 for"), "{html}");
}

#[test]
fn thousands_of_attempts_and_workers_stay_a_small_figure() {
    let (results, journal) = sample::study(3, 6, &["accuracy"]);
    let mut record = record(&results, &journal, 3);
    record.attempts = (0..10_000)
        .map(|i| {
            let worker = format!("worker-{}", i % 500);
            attempt(i, &worker, i as f64, Some((20.0, Ending::Finished)))
        })
        .collect();
    let parts = drawn(&record, Standing::Running);
    check(&parts);
    let html = &parts.last().unwrap().html;
    assert!(html.len() < 300_000, "{}", html.len());
    assert!(html.contains("worker-499") && !html.contains("worker-100\""));
}
