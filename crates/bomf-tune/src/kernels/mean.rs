//! The mean of the rows of each sequence, forward and backward.

/// `y[s]` is the mean of the rows `offsets[s]..offsets[s + 1]` of `x`, zeros where there are
/// none. Shapes: `y` `[sequences, cols]`, `x` `[rows, cols]`.
pub fn forward(y: &mut [f32], x: &[f32], offsets: &[usize], cols: usize) {
    for (y, w) in y.chunks_exact_mut(cols).zip(offsets.windows(2)) {
        y.fill(0.0);
        for x in x[w[0] * cols..w[1] * cols].chunks_exact(cols) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
        }
        let count = (w[1] - w[0]).max(1) as f32;
        y.iter_mut().for_each(|y| *y /= count);
    }
}

/// The gradient of `x`, `[rows, cols]`, from that of `y`.
pub fn backward(d_x: &mut [f32], d_y: &[f32], offsets: &[usize], cols: usize) {
    for (d_y, w) in d_y.chunks_exact(cols).zip(offsets.windows(2)) {
        let count = (w[1] - w[0]) as f32;
        for d_x in d_x[w[0] * cols..w[1] * cols].chunks_exact_mut(cols) {
            d_x.iter_mut().zip(d_y).for_each(|(x, y)| *x = y / count);
        }
    }
}
