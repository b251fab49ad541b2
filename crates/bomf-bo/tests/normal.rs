//! The normal distribution's logarithms against golden values
//! (`golden/normal.py`).

#![allow(clippy::unwrap_used)]

use bomf_bo::acquisition::normal::{
    cumulative, log_cumulative, log_density, log_h, log_h_with_ratios, log_sum_exp,
};

#[test]
fn golden() {
    let text = include_str!("golden/normal.json");
    let rows: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    for row in rows {
        let z = row["z"].as_f64().unwrap();
        for (name, found) in [
            ("log_cumulative", log_cumulative(z)),
            ("log_h", log_h(z)),
            ("log_h", log_h_with_ratios(z).0),
        ] {
            let expected = row[name].as_f64().unwrap();
            // `erfc` at -5 loses a factor z^2 = 25 of precision in h.
            let tolerance = 1e-13 * (1.0 + expected.abs());
            assert!(
                (found - expected).abs() < tolerance,
                "{name}({z}) = {found}, expected {expected}"
            );
        }
    }
}

#[test]
fn ratios_are_ratios() {
    for z in [-4.9, -2.0, 0.0, 3.0] {
        let (log, by_mean, by_sigma) = log_h_with_ratios(z);
        assert!((by_mean - cumulative(z) / log.exp()).abs() < 1e-12 * by_mean);
        assert!((by_sigma - (log_density(z) - log).exp()).abs() < 1e-11 * by_sigma);
    }
    for z in [-5.5, -9.0, -30.0, -1e5_f64] {
        let (log, by_mean, by_sigma) = log_h_with_ratios(z);
        let tolerance = 1e-12 * (1.0 + log.abs());
        assert!((by_mean.ln() - (log_cumulative(z) - log)).abs() < tolerance);
        assert!((by_sigma.ln() - (log_density(z) - log)).abs() < tolerance);
    }
}

#[test]
fn sums_of_exponentials() {
    assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
    let sum = log_sum_exp(&[-1000.0, -1000.0]);
    assert!((sum - (2.0_f64.ln() - 1000.0)).abs() < 1e-12);
}
