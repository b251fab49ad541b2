//! Squared differences of all pairs of inputs.

/// `[l][pair]`: squared differences for lengthscale `l`, the pairs `(i, j)` of
/// the strict lower triangle in a row (`j` fastest), so that sums over pairs run
/// over contiguous numbers.
///
/// `features`: shape `n x k`; with `per_dimension` there is one list a feature,
/// else a single one with the squared distances.
pub(super) fn squared_differences(features: &[Vec<f64>], per_dimension: bool) -> Vec<Vec<f64>> {
    let n = features.len();
    let k = features.first().map_or(0, Vec::len);
    let groups = if per_dimension { k } else { 1 };
    let mut squares = vec![Vec::with_capacity(n * n.saturating_sub(1) / 2); groups];
    for i in 0..n {
        for j in 0..i {
            let difference = |c: usize| (features[i][c] - features[j][c]).powi(2);
            if per_dimension {
                for (c, list) in squares.iter_mut().enumerate() {
                    list.push(difference(c));
                }
            } else {
                squares[0].push((0..k).map(difference).sum());
            }
        }
    }
    squares
}
