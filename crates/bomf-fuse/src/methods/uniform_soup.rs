//! Uniform soup: the plain average of all members.
//!
//! Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
//! accuracy without increasing inference time", ICML 2022 (arXiv 2203.05482), section 2.

/// `1/n` for each of the `n` members.
pub fn weights(n: usize) -> Vec<f64> {
    vec![1.0 / n as f64; n]
}

/// The average of some of `n` members, each counted once: `1/k` for those of the `k` in `chosen`,
/// 0 for the rest. Numbers that are not below `n` are passed over.
pub fn weights_of(chosen: &[usize], n: usize) -> Vec<f64> {
    let mut weights = vec![0.0; n];
    for &i in chosen {
        if let Some(w) = weights.get_mut(i) {
            *w = 1.0;
        }
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        for w in &mut weights {
            *w /= total;
        }
    }
    weights
}
