//! Kernels against exact values in `float64`: see `golden/ops.py`, which made them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bomf_tune::kernels::activation::{self, Activation};
use bomf_tune::kernels::{cross_entropy, layer_norm};
use serde_json::Value;

/// Absolute error of the approximations of the error function and the exponential
/// (1.5e-7 by Abramowitz and Stegun) with some rounding, for values up to 1.
const ABSOLUTE: f64 = 4e-7;
/// Rounding of a few operations on larger values.
const RELATIVE: f64 = 4e-7;

fn golden(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/ops.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all[name].clone()
}

/// The numbers of an array, or of an array of rows.
fn floats(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(parts) => parts.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn f32s(value: &Value) -> Vec<f32> {
    floats(value).iter().map(|&v| v as f32).collect()
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &[f64], (absolute, relative): (f64, f64)) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let difference = (g as f64 - w).abs();
        assert!(
            difference <= absolute + relative * w.abs(),
            "{what}[{i}] is {g} instead of {w}"
        );
    }
}

fn check_activation(name: &str, which: Activation) {
    let golden = golden(name);
    let x = f32s(&golden["x"]);
    let mut y = vec![f32::NAN; x.len()];
    activation::forward(&mut y, &x, which);
    assert_close(name, &y, &floats(&golden["y"]), (ABSOLUTE, RELATIVE));
    let mut dy = vec![1.0; x.len()];
    activation::backward(&mut dy, &x, which);
    let want = floats(&golden["dy"]);
    assert_close("derivative", &dy, &want, (3.0 * ABSOLUTE, RELATIVE));
}

#[test]
fn gelu_agrees_with_double_precision() {
    check_activation("gelu", Activation::Gelu);
}

#[test]
fn tanh_agrees_with_double_precision() {
    check_activation("tanh", Activation::Tanh);
}

/// The tanh form is within 5e-4 of the exact one (Hendrycks and Gimpel 2016).
#[test]
fn the_tanh_form_of_gelu_approximates_the_exact_one() {
    let golden = golden("gelu");
    let x = f32s(&golden["x"]);
    let mut y = vec![0.0; x.len()];
    activation::forward(&mut y, &x, Activation::GeluTanh);
    assert_close("gelu_new", &y, &floats(&golden["y"]), (5e-4, 0.0));
}

#[test]
fn every_activation_keeps_not_a_number() {
    let all = [Activation::Gelu, Activation::GeluTanh, Activation::Tanh];
    for which in all {
        let mut y = [0.0];
        activation::forward(&mut y, &[f32::NAN], which);
        assert!(y[0].is_nan(), "{which:?}");
    }
}

#[test]
fn layer_norm_agrees_with_double_precision() {
    let golden = golden("layer_norm");
    let mut x_hat = f32s(&golden["x"]);
    let (gamma, beta) = (f32s(&golden["weight"]), f32s(&golden["bias"]));
    let cols = gamma.len();
    let rows = x_hat.len() / cols;
    let eps = golden["eps"].as_f64().unwrap() as f32;
    let (mut y, mut inv_std) = (vec![0.0; x_hat.len()], vec![0.0; rows]);
    layer_norm::forward(&mut y, &mut x_hat, &mut inv_std, &gamma, Some(&beta), eps);
    let mut dx = f32s(&golden["g"]);
    let (mut d_gamma, mut d_beta) = (vec![0.0; cols], vec![0.0; cols]);
    let affine = Some((&mut d_gamma[..], &mut d_beta[..]));
    layer_norm::backward(&mut dx, &x_hat, &inv_std, &gamma, affine);
    let (want_y, want_dx) = (floats(&golden["y"]), floats(&golden["grad_x"]));
    for row in 0..rows {
        // Row 1 lies 100 from zero: its mean loses two digits more.
        let tolerance = if row == 1 { 5e-5 } else { 3e-6 };
        let part = row * cols..(row + 1) * cols;
        let what = format!("row {row}");
        assert_close(
            &what,
            &y[part.clone()],
            &want_y[part.clone()],
            (tolerance, 0.0),
        );
        let scale = want_dx[part.clone()]
            .iter()
            .fold(0.0f64, |m, v| m.max(v.abs()));
        let tolerance = (tolerance * scale, 0.0);
        assert_close(&what, &dx[part.clone()], &want_dx[part], tolerance);
    }
    assert_close(
        "gamma",
        &d_gamma,
        &floats(&golden["grad_weight"]),
        (2e-4, 0.0),
    );
    assert_close("beta", &d_beta, &floats(&golden["grad_bias"]), (3e-6, 0.0));
}

#[test]
fn softmax_cross_entropy_agrees_with_double_precision_even_at_extremes() {
    let golden = golden("softmax_cross_entropy");
    let labels: Vec<u32> = floats(&golden["labels"])
        .iter()
        .map(|&l| l as u32)
        .collect();
    let rows = labels.len();
    let mut logits = f32s(&golden["logits"]);
    let classes = logits.len() / rows;
    let losses: Vec<f32> = logits
        .chunks(classes)
        .zip(&labels)
        .map(|(row, &label)| cross_entropy::forward_backward(&mut row.to_vec(), &[label], 1.0))
        .map(|loss| loss as f32)
        .collect();
    assert_close(
        "losses",
        &losses,
        &floats(&golden["losses"]),
        (ABSOLUTE, RELATIVE),
    );
    let sum = cross_entropy::forward_backward(&mut logits, &labels, 1.0 / rows as f32);
    let mean = golden["loss"].as_f64().unwrap();
    assert!((sum / rows as f64 - mean).abs() < RELATIVE * mean);
    assert_close(
        "gradient",
        &logits,
        &floats(&golden["grad"]),
        (ABSOLUTE, 0.0),
    );
    let mut uniform = f32s(&golden["logits"]);
    cross_entropy::forward_backward(&mut uniform, &labels, 1.0);
    for (row, &label) in uniform.chunks_mut(classes).zip(&labels) {
        row[label as usize] += 1.0;
    }
    assert_close(
        "softmax",
        &uniform,
        &floats(&golden["probs"]),
        (ABSOLUTE, 0.0),
    );
}

#[test]
fn kernels_take_nothing_for_nothing() {
    activation::forward(&mut [], &[], Activation::Gelu);
    layer_norm::forward(&mut [], &mut [], &mut [], &[1.0], Some(&[0.0]), 1e-6);
    layer_norm::backward(&mut [], &[], &[], &[1.0], None);
    assert_eq!(cross_entropy::forward_backward(&mut [], &[], 1.0), 0.0);
    assert_eq!(cross_entropy::squared_error(&mut [], &[], 1.0), 0.0);
}

#[test]
fn a_loss_of_broken_logits_is_not_finite() {
    for broken in [f32::NAN, f32::INFINITY] {
        let loss = cross_entropy::forward_backward(&mut [0.5, broken, 1.0], &[0], 1.0);
        assert!(!loss.is_finite(), "{broken} gives {loss}");
    }
}
