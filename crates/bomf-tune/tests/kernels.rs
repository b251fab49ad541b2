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

/// Rounding of sums of some hundred products of about 1 in `f32`.
const ATTENTION: f64 = 2e-5;

/// Attention of one head of a whole sequence, in `f64` and by its definition: the outcome, and
/// the gradients of queries, keys and values for the gradient `d_out`.
fn plain_attention(
    [q, k, v, d_out]: [&[f64]; 4],
    (n, d): (usize, usize),
    sees: impl Fn(usize, usize) -> bool,
) -> [Vec<f64>; 4] {
    let scale = 1.0 / (d as f64).sqrt();
    let dot = |a: &[f64], i: usize, b: &[f64], j: usize| -> f64 {
        (0..d).map(|c| a[i * d + c] * b[j * d + c]).sum()
    };
    let [mut out, mut d_q, mut d_k, mut d_v] = [(); 4].map(|()| vec![0.0; n * d]);
    for i in 0..n {
        let keys: Vec<usize> = (0..n).filter(|&j| sees(i, j)).collect();
        let weights: Vec<f64> = keys
            .iter()
            .map(|&j| (scale * dot(q, i, k, j)).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        let shares = keys.iter().zip(&weights).map(|(&j, w)| (j, w / sum));
        let shares: Vec<(usize, f64)> = shares.collect();
        let mean: f64 = shares.iter().map(|&(j, p)| p * dot(d_out, i, v, j)).sum();
        for (j, p) in shares {
            let d_s = scale * p * (dot(d_out, i, v, j) - mean);
            for c in 0..d {
                out[i * d + c] += p * v[j * d + c];
                d_v[j * d + c] += p * d_out[i * d + c];
                d_q[i * d + c] += d_s * k[j * d + c];
                d_k[j * d + c] += d_s * q[i * d + c];
            }
        }
    }
    [out, d_q, d_k, d_v]
}

/// More queries than are taken at a time, and windows that begin and end anywhere.
#[test]
fn attention_over_long_sequences_is_what_its_definition_says() {
    use bomf_tune::kernels::attention::{self, Heads, Segments, Window};
    let d = 5;
    for n in [63, 64, 65, 150, 200] {
        let values = |shift: usize| -> Vec<f32> {
            let value = |i: usize| ((i * 37 + shift * 11) % 101) as f32 / 50.0 - 1.0;
            (0..n * d).map(value).collect()
        };
        let [q, k, v, d_out] = [1, 2, 3, 4].map(values);
        let kv: Vec<f32> = k
            .chunks(d)
            .zip(v.chunks(d))
            .flat_map(|(k, v)| [k, v].concat())
            .collect();
        let positions: Vec<u32> = (0..n as u32).collect();
        let far = usize::MAX;
        for (behind, ahead) in [(far, far), (far, 0), (40, 0), (7, 7), (0, 70), (100, 3)] {
            let window = Some(Window {
                positions: &positions,
                behind,
                ahead,
            });
            let window = window.filter(|_| (behind, ahead) != (far, far));
            let offsets = [0, n];
            let segments = Segments {
                q: &offsets,
                k: &offsets,
                window,
                bias: None,
            };
            let heads = Heads {
                count: 1,
                kv_count: 1,
                size: d,
                scale: 1.0 / (d as f32).sqrt(),
                dropout: None,
            };
            let (mut out, mut lse) = (vec![0.0; n * d], vec![0.0; n]);
            attention::forward(&mut out, &mut lse, (&q, &kv), segments, heads);
            let (mut d_q, mut d_kv) = (vec![0.0; n * d], vec![0.0; 2 * n * d]);
            let grads = (&mut d_q[..], &mut d_kv[..]);
            attention::backward(grads, &mut [], &d_out, (&q, &kv, &lse), segments, heads);
            let wide = [&q, &k, &v, &d_out]
                .map(|x| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() });
            let wide = wide.each_ref().map(|x| &x[..]);
            let want = plain_attention(wide, (n, d), |i, j| {
                j + behind.min(n) >= i && j <= i + ahead.min(n)
            });
            let d_k: Vec<f32> = d_kv
                .chunks(2 * d)
                .flat_map(|row| row[..d].to_vec())
                .collect();
            let d_v: Vec<f32> = d_kv
                .chunks(2 * d)
                .flat_map(|row| row[d..].to_vec())
                .collect();
            for (what, got, want) in [
                ("out", &out, &want[0]),
                ("d_q", &d_q, &want[1]),
                ("d_k", &d_k, &want[2]),
                ("d_v", &d_v, &want[3]),
            ] {
                for (i, (g, w)) in got.iter().zip(want).enumerate() {
                    let error = (f64::from(*g) - w).abs();
                    let place = format!("{what}[{i}] of {n}, window {behind}, {ahead}");
                    assert!(
                        error < ATTENTION * w.abs().max(1.0),
                        "{place}: {g}, not {w}"
                    );
                }
            }
        }
    }
}
