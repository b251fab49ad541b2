//! The baselines that a recipe asks for.

use crate::fixture::{
    FIXED, Kind, encoder, finished, finished_members, fusion, recipe, request, write_data,
};
use bomf::recipe::Baseline;
use bomf::study::{Method, MethodName, Results};
use bomf::{Pick, PickRequest, Silent};
use std::path::Path;

/// Losses of one mixture, fused and run twice, differ by rounding alone.
const ROUNDING: f64 = 1e-6;

fn method(results: &Results, name: MethodName) -> &Method {
    let mut methods = results.methods.iter();
    methods.find(|m| m.name == name).unwrap()
}

fn fuse(out: &Path, more: &str) -> Results {
    let recipe = recipe(&FIXED.replace("evaluations: 6", &format!("evaluations: 6{more}")));
    let request = fusion(&finished_members(), &finished().data, out, recipe);
    bomf::fuse(&request, &mut Silent).unwrap()
}

#[test]
fn every_baseline_is_compared_and_changes_nothing_of_the_search() {
    let dir = tempfile::tempdir().unwrap();
    let plain = fuse(&dir.path().join("plain"), "");
    let out = dir.path().join("all");
    let results = fuse(&out, ", baselines: all, ema_decay: 0.5");
    assert_eq!(results.front, plain.front);
    assert_eq!(
        results.stage2.initial_evaluations,
        plain.stage2.initial_evaluations
    );
    let bomf = method(&results, MethodName::Bomf);
    assert_eq!(bomf.select, method(&plain, MethodName::Bomf).select);
    let names: Vec<MethodName> = results.methods.iter().map(|m| m.name).collect();
    let mut all = MethodName::ALL.to_vec();
    // It needs the model that training began with, and says so.
    all.retain(|name| *name != MethodName::ModelStock);
    assert_eq!(names, all);
    let left_out = |note: &&String| note.contains("left out");
    let left_out: Vec<&String> = results.notes.iter().filter(left_out).collect();
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert!(left_out[0].starts_with("`model_stock` left out"));

    for own in &results.methods {
        assert!(own.report.values().all(|v| v.is_finite()), "{own:?}");
        let is_fixed = [
            MethodName::Fisher,
            MethodName::Regmean,
            MethodName::OtFusion,
        ];
        let has_none = own.name.keeps_members() || is_fixed.contains(&own.name);
        assert_eq!(own.weights.is_none(), has_none);
        if let Some(weights) = &own.weights {
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{own:?}");
            let is_inside = weights.iter().all(|w| *w >= 0.0);
            assert!(is_inside || own.name == MethodName::Twa, "{own:?}");
        }
    }
    let best = method(&results, MethodName::BestCheckpoint).hypervolume;
    for name in [
        MethodName::CmaEs,
        MethodName::BoLoss,
        MethodName::BoMetric,
        MethodName::BomfPaper,
    ] {
        let own = method(&results, name);
        assert!(
            own.evaluations <= bomf.evaluations && own.evaluations > 0,
            "{own:?}"
        );
        assert!(own.hypervolume >= best, "{own:?}");
    }
    let ema = method(&results, MethodName::Ema).weights.clone().unwrap();
    assert_eq!(ema, [0.125, 0.125, 0.25, 0.5]);

    let loss = |name| method(&results, name).select["loss"];
    // It descends from the average, and the fitted ensemble has the plain one among its own.
    assert!(loss(MethodName::LearnedSwa) <= loss(MethodName::UniformSoup) + ROUNDING);
    assert!(loss(MethodName::WeightedEnsemble) <= loss(MethodName::PredictionEnsemble) + ROUNDING);
    let accuracy = |name| method(&results, name).select["accuracy"];
    assert!(accuracy(MethodName::BoMetric) >= accuracy(MethodName::BestCheckpoint));

    let pick = PickRequest {
        run: out,
        pick: Pick::Method(MethodName::Twa),
        target: dir.path().join("twa"),
        threads: 1,
    };
    let select = bomf::pick(&pick).unwrap();
    assert_eq!(select, method(&results, MethodName::Twa).select);
}

#[test]
fn a_regression_has_them_too() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_data(&data, Kind::Values, "jsonl");
    let mut own = recipe(FIXED);
    own.stage2.baselines = vec![
        Baseline::ModelStock,
        Baseline::Fisher,
        Baseline::Regmean,
        Baseline::OtFusion,
        Baseline::LearnedSwa,
        Baseline::Twa,
        Baseline::WeightedEnsemble,
        Baseline::Stacking,
    ];
    assert!(encoder().exists());
    let out = dir.path().join("out");
    let results = bomf::run(&request(&data, &out, own), &mut Silent).unwrap();
    let loss = |name| method(&results, name).select["loss"];
    assert!(loss(MethodName::LearnedSwa) <= loss(MethodName::UniformSoup) + ROUNDING);
    assert!(loss(MethodName::WeightedEnsemble) <= loss(MethodName::PredictionEnsemble) + ROUNDING);
    let stock = method(&results, MethodName::ModelStock);
    assert!(
        stock.weights.is_none() && stock.evaluations == 1,
        "{stock:?}"
    );
    // Members of one short run lie close together: little is drawn back.
    let soup = loss(MethodName::UniformSoup);
    assert!(
        (stock.select["loss"] - soup).abs() < 0.2 * soup,
        "{stock:?}"
    );
    for name in [
        MethodName::Fisher,
        MethodName::Regmean,
        MethodName::OtFusion,
    ] {
        let own = method(&results, name);
        assert!(own.weights.is_none() && own.evaluations >= 1, "{own:?}");
        assert!((own.select["loss"] - soup).abs() < 0.2 * soup, "{own:?}");
    }
    assert!(loss(MethodName::Stacking).is_finite() && loss(MethodName::Twa).is_finite());
}
