//! What the report says and holds, on made-up studies.

mod sample;

use bomf_report::{render, render_front_svg, render_with_journal, verdict};
use bomf_study::{Basin, BlockSearch, BlockWeights, MethodName, Results, Segment};

fn with_difference(difference: [f64; 3]) -> Results {
    let (mut results, _) = sample::study(11, 8, &["accuracy"]);
    for method in &mut results.methods {
        match method.name {
            MethodName::Bomf => _ = method.report.insert("accuracy".into(), 0.874),
            MethodName::BestCheckpoint => {
                method.report.insert("accuracy".into(), 0.861);
                method.bomf_minus_this.insert("accuracy".into(), difference);
            }
            _ => {}
        }
    }
    results
}

#[test]
fn the_verdict_says_no_more_than_the_interval_carries() {
    let cases = [
        (
            [0.013, -0.004, 0.030],
            "difference +0.013 [−0.004, +0.030], not distinguishable from zero.",
        ),
        (
            [0.013, 0.004, 0.022],
            "difference +0.013 [+0.004, +0.022], better, and zero is outside the interval.",
        ),
        (
            [-0.013, -0.022, -0.004],
            "difference −0.013 [−0.022, −0.004], worse, and zero is outside the interval.",
        ),
        (
            [0.013, f64::NAN, 0.022],
            "The interval of the difference is not recorded.",
        ),
    ];
    for (difference, end) in cases {
        let said = verdict(&with_difference(difference));
        let head = "bomf reaches accuracy 0.874 on the report split; the best checkpoint 0.861";
        assert!(said.starts_with(head), "{said}");
        assert!(said.ends_with(end), "{said}");
    }
}

#[test]
fn for_a_loss_a_negative_difference_is_better() {
    let (mut results, _) = sample::study(11, 8, &[]);
    let best = results
        .methods
        .iter_mut()
        .find(|m| m.name == MethodName::BestCheckpoint)
        .unwrap();
    best.bomf_minus_this
        .insert("loss".into(), [-0.02, -0.03, -0.01]);
    let said = verdict(&results);
    assert!(
        said.contains("reaches loss") && said.contains("], better,"),
        "{said}"
    );
}

#[test]
fn a_run_without_methods_says_so() {
    let (mut results, _) = sample::study(11, 8, &["accuracy"]);
    results.methods.clear();
    assert_eq!(verdict(&results), "This run holds no fused model.");
    assert!(render(&results).contains("No method was evaluated."));
}

#[test]
fn every_method_number_and_note_is_on_the_page() {
    let (results, journal) = sample::study(11, 15, &["accuracy"]);
    let html = render_with_journal(&results, &journal);
    for method in MethodName::OF_EVERY_RUN {
        assert!(html.contains(&format!("data-m=\"{}\"", method.as_str())));
    }
    for wanted in [
        "harbour-notices",
        "412 MB",
        "2 min 13 s",
        "2\u{202f}000",
        "learning rate",
        "<code>text</code>",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    let front = results
        .methods
        .iter()
        .find(|m| m.name == MethodName::Bomf)
        .unwrap();
    assert!(html.contains(&format!("{:.3}", front.report["accuracy"])));
}

#[test]
fn a_skipped_stage_1_and_missing_random_weights_are_said() {
    let (mut results, _) = sample::study(11, 8, &["accuracy"]);
    results.stage1.trials.clear();
    results
        .methods
        .retain(|m| m.name != MethodName::RandomSimplex);
    results
        .stage2
        .history
        .iter_mut()
        .for_each(|h| h.random_simplex = None);
    let html = render(&results);
    assert!(html.contains("Stage 1 was skipped"));
    assert!(html.contains("Random weights were not run"));
    assert!(!html.contains("id=\"stage1-title\""));
}

#[test]
fn a_regression_with_loss_and_pearson_and_a_single_member_is_drawn() {
    let (mut results, _) = sample::study(4, 1, &["pearson"]);
    results.task_kind = "regression".into();
    let html = render(&results);
    assert!(html.contains("Pearson r"));
    assert!(html.contains("the one member"));
}

#[test]
fn further_objectives_get_their_own_planes() {
    let (results, _) = sample::study(3, 8, &["rouge1", "rouge2", "rougeL"]);
    let html = render(&results);
    assert!(html.contains("The other planes"));
    assert!(html.contains("ROUGE-L"));
    let (two, _) = sample::study(3, 8, &["accuracy"]);
    assert!(!render(&two).contains("The other planes"));
}

#[test]
fn members_far_off_are_counted_and_do_not_squash_the_front() {
    let (mut results, _) = sample::study(11, 8, &["accuracy"]);
    results.finetune.members[0]
        .select
        .insert("loss".into(), 50.0);
    let html = render(&results);
    assert!(html.contains("Outside the frame: "));
    let svg = render_front_svg(&results, &[]).unwrap();
    assert!(!svg.contains(">50</text>"));
}

#[test]
fn hundreds_of_front_points_stay_in_a_window_and_a_small_file() {
    let (mut results, _) = sample::study(11, 15, &["accuracy"]);
    let point = results.front[0].clone();
    for k in 0..600 {
        let mut point = point.clone();
        point.chosen = false;
        point
            .select
            .insert("loss".into(), 0.4 + 0.0001 * f64::from(k));
        point
            .select
            .insert("accuracy".into(), 0.8 + 0.0001 * f64::from(k));
        results.front.push(point);
    }
    let html = render(&results);
    assert!(html.contains("scroll long"));
    assert!(html.len() < 3_000_000, "{}", html.len());
}

#[test]
fn the_lone_figure_carries_its_own_style() {
    let (results, journal) = sample::study(11, 15, &["accuracy"]);
    let svg = render_front_svg(&results, &journal).unwrap();
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    assert!(svg.contains("prefers-color-scheme:dark"));
    let (loss_only, _) = sample::study(11, 8, &[]);
    assert_eq!(render_front_svg(&loss_only, &[]), None);
}

fn segment(from: usize, to: usize, middle: f64, separated: bool) -> Segment {
    Segment {
        from,
        to,
        loss: vec![Some(0.4), Some(middle), Some(0.5)],
        barrier: Some(middle - 0.45),
        std_error: Some(0.01),
        separated,
    }
}

#[test]
fn segments_between_members_are_drawn_and_barriers_named() {
    let (mut results, _) = sample::study(11, 8, &["accuracy"]);
    assert!(!render(&results).contains("in one basin"), "nobody looked");
    results.stage2.basin = Some(Basin {
        places: vec![0.0, 0.5, 1.0],
        segments: vec![segment(2, 0, 0.44, false), segment(2, 1, 0.9, true)],
    });
    results.finetune.members[1].run = Some(3);
    let page = render(&results);
    assert!(page.contains("Whether the members lie in one basin"));
    assert!(
        page.contains("0.4500 ± 0.0100"),
        "the barrier with its error"
    );
    assert!(page.contains("these members lie in different basins"));
    assert!(page.contains("run 3, step"));
    if let Some(basin) = &mut results.stage2.basin {
        basin.segments.truncate(1);
    }
    assert!(render(&results).contains("the members lie in one basin."));
}

#[test]
fn weights_by_block_have_a_table_and_their_search_a_mark() {
    let (mut results, _) = sample::study(11, 8, &["accuracy"]);
    assert!(!render(&results).contains("Weights by block"));
    results.stage2.blocks = Some(BlockSearch {
        names: vec!["embeddings".into(), "head".into()],
        after: 20,
    });
    let own = BlockWeights::from_iter([
        ("embeddings".to_string(), vec![0.125; 8]),
        (
            "head".to_string(),
            vec![0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ),
    ]);
    let chosen = results.front.iter_mut().find(|point| point.chosen).unwrap();
    chosen.block_weights = Some(own);
    let page = render(&results);
    for part in ["Weights by block", "embeddings", "weights by block →"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn trials_that_were_stopped_early_are_told_from_others() {
    let (mut results, _) = sample::study(11, 8, &["accuracy"]);
    assert!(!render(&results).contains("stopped early"));
    results.stage1.trials[2].pruned = true;
    results.stage1.trials[4].pruned = true;
    let page = render(&results);
    assert!(page.contains("2 of 10 trials (open discs) were stopped early"));
    assert_eq!(page.matches("(stopped early)").count(), 2, "in the table");
}
