//! Every operation of the tape against central differences, for its inputs and its
//! parameters alike, with dropout active: a mask is a function of the seed, so the
//! differences see the same one.

mod differences;

use bomf_tune::kernels::activation::Activation;
use bomf_tune::kernels::relative::Buckets;
use bomf_tune::kernels::rope::Rotation;
use bomf_tune::params::{Layout, Param};
use bomf_tune::tape::{Attending, Gradients, RelativeBias, Tape, Var, WindowRows, Workspace};
use differences::{FLOOR, Op, STEP, TOLERANCE, derivative, moved, normal, rng};
use std::rc::Rc;

const ACTIVATIONS: [Activation; 5] = [
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Tanh,
];
/// A rate at which both kept and dropped entries occur in every test.
const RATE: f32 = 0.3;
const EPS: f32 = 1e-6;

/// All rows of a parameter as an input on the tape.
fn input(tape: &mut Tape, param: Param) -> Var {
    tape.embedding(vec![(param, (0..param.rows as u32).collect())])
}

/// Keeps clear of the kink of `relu`, by more than the differences reach.
fn off_zero(x: f32) -> f32 {
    x + 0.1 * x.signum()
}

#[test]
fn embedding_sums_over_tables_and_over_repeated_ids() {
    let ids: [Rc<[u32]>; 2] = [Rc::new([0, 3, 3, 1, 3]), Rc::new([1, 1, 0, 0, 1])];
    Op::new(&[(4, 7), (2, 7)], 1, |tape, p| {
        tape.embedding(vec![(p[0], ids[0].clone()), (p[1], ids[1].clone())])
    })
    .check_every_entry();
}

#[test]
fn layer_norm_of_rows() {
    Op::new(&[(5, 19), (1, 19), (1, 19)], 2, |tape, p| {
        let x = input(tape, p[0]);
        tape.layer_norm(&x, None, 0.0, (p[1], p[2]), EPS)
    })
    .check_every_entry();
}

#[test]
fn layer_norm_with_a_residual_and_dropout() {
    for rate in [0.0, RATE] {
        Op::new(&[(5, 19), (5, 19), (1, 19), (1, 19)], 3, |tape, p| {
            let (x, residual) = (input(tape, p[0]), input(tape, p[1]));
            tape.layer_norm(&x, Some(&residual), rate, (p[2], p[3]), EPS)
        })
        .check_every_entry();
    }
}

#[test]
fn layer_norm_of_a_residual_that_is_the_input() {
    Op::new(&[(3, 8), (1, 8), (1, 8)], 4, |tape, p| {
        let x = input(tape, p[0]);
        tape.layer_norm(&x, Some(&x), RATE, (p[1], p[2]), EPS)
    })
    .check_every_entry();
}

#[test]
fn layer_norm_over_several_blocks_of_rows() {
    Op::new(&[(40, 2000), (1, 2000), (1, 2000)], 5, |tape, p| {
        let x = input(tape, p[0]);
        tape.layer_norm(&x, None, 0.0, (p[1], p[2]), EPS)
    })
    .check_directions();
}

#[test]
fn linear_layers_of_uneven_sizes() {
    for (rows, inp, out) in [(1, 1, 1), (5, 7, 3), (9, 16, 17)] {
        Op::new(&[(rows.max(2), inp), (out, inp), (1, out)], 6, |tape, p| {
            let x = input(tape, p[0]);
            tape.linear(&x, p[1], p[2])
        })
        .check_every_entry();
    }
}

/// Large enough for the product to be split among threads and the bias's sums among
/// blocks.
#[test]
fn a_linear_layer_over_several_blocks() {
    Op::new(&[(300, 60), (128, 60), (1, 128)], 7, |tape, p| {
        let x = input(tape, p[0]);
        tape.linear(&x, p[1], p[2])
    })
    .map(1, |w| w / 8.0)
    .check_directions();
}

#[test]
fn activated_linear_with_each_activation() {
    for activation in ACTIVATIONS {
        Op::new(&[(5, 7), (3, 7), (1, 3)], 8, |tape, p| {
            let x = input(tape, p[0]);
            tape.activated_linear(&x, Some(activation), p[1], p[2])
        })
        .map(0, off_zero)
        .check_every_entry();
    }
}

#[test]
fn each_activation() {
    for activation in ACTIVATIONS {
        Op::new(&[(11, 17)], 9, |tape, p| {
            let x = input(tape, p[0]);
            tape.activation(&x, activation)
        })
        .map(0, off_zero)
        .check_every_entry();
    }
}

#[test]
fn dropout_passes_the_gradient_of_what_it_keeps() {
    Op::new(&[(6, 9)], 10, |tape, p| {
        let x = input(tape, p[0]);
        tape.dropout(&x, RATE)
    })
    .check_every_entry();
}

#[test]
fn gather_gives_back_to_the_rows_it_took() {
    let rows: Rc<[u32]> = Rc::new([4, 0, 3]);
    Op::new(&[(6, 5)], 11, |tape, p| {
        let x = input(tape, p[0]);
        tape.gather(&x, &rows)
    })
    .check_every_entry();
}

/// Attention over sequences with these numbers of queries and keys.
fn attention(lengths: &[(usize, usize)], heads: usize, size: usize, rate: f32) -> Op<'static> {
    let offsets = |pick: fn(&(usize, usize)) -> usize| -> Rc<[usize]> {
        let ends = lengths.iter().scan(0, |end, l| {
            *end += pick(l);
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    };
    let (q, k) = (offsets(|l| l.0), offsets(|l| l.1));
    let width = heads * size;
    let shapes = [(q[lengths.len()], width), (k[lengths.len()], 2 * width)];
    assert!(shapes.iter().all(|s| s.0 > 1), "one row makes a vector");
    Op::new(&shapes, 12, move |tape, p| {
        let (x, kv) = (input(tape, p[0]), input(tape, p[1]));
        tape.attention(&x, &kv, (&q, &k), heads, rate)
    })
}

#[test]
fn attention_over_sequences_of_different_lengths() {
    attention(&[(3, 3), (1, 1), (5, 5)], 2, 4, 0.0).check_every_entry();
}

#[test]
fn attention_with_dropout_on_the_probabilities() {
    attention(&[(3, 3), (4, 4)], 3, 5, RATE).check_every_entry();
}

#[test]
fn attention_with_fewer_queries_than_keys() {
    attention(&[(1, 6), (1, 3), (2, 9)], 2, 6, RATE).check_every_entry();
}

/// As in masked-language-model training where no token of a sequence was drawn.
#[test]
fn attention_with_a_sequence_that_asks_for_nothing() {
    attention(&[(1, 4), (0, 5), (2, 3)], 2, 3, RATE).check_every_entry();
}

/// One side and the other of the register tiles, 16 and 32 wide.
#[test]
fn attention_with_heads_of_any_size() {
    for size in [1, 7, 16, 17, 32, 33, 48] {
        attention(&[(2, 3), (3, 2)], 2, size, RATE).check_every_entry();
    }
}

#[test]
fn attention_over_more_keys_than_a_register_tile_has() {
    for keys in [15, 16, 17, 31, 32, 33, 48, 49] {
        attention(&[(3, keys)], 1, 4, RATE).check_every_entry();
    }
    for keys in [63, 64, 65, 100, 200] {
        attention(&[(keys, keys), (2, keys)], 2, 5, RATE).check_directions();
    }
}

/// Causal attention over sequences with these positions of the queries and numbers of
/// keys.
fn causal(
    sequences: &[(&[u32], usize)],
    (heads, kv_heads): (usize, usize),
    window: usize,
    rate: f32,
) -> Op<'static> {
    windowed(sequences, (heads, kv_heads), (window - 1, 0), rate)
}

/// Likewise with windows of so many keys behind and ahead of a query.
fn windowed(
    sequences: &[(&[u32], usize)],
    (heads, kv_heads): (usize, usize),
    (behind, ahead): (usize, usize),
    rate: f32,
) -> Op<'static> {
    let size = 4;
    let ends = |counts: Vec<usize>| -> Rc<[usize]> {
        let ends = counts.iter().scan(0, |end, count| {
            *end += count;
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    };
    let q = ends(sequences.iter().map(|s| s.0.len()).collect());
    let k = ends(sequences.iter().map(|s| s.1).collect());
    let positions: Rc<[u32]> = sequences.iter().flat_map(|s| s.0).copied().collect();
    let shapes = [
        (q[sequences.len()], heads * size),
        (k[sequences.len()], 2 * kv_heads * size),
    ];
    Op::new(&shapes, 20, move |tape, p| {
        let (x, kv) = (input(tape, p[0]), input(tape, p[1]));
        let positions = positions.clone();
        let window = Some(WindowRows {
            positions,
            behind,
            ahead,
        });
        tape.windowed_attention(&x, &kv, (&q, &k), (heads, kv_heads), window, rate)
    })
}

#[test]
fn attention_that_sees_no_key_behind_its_own() {
    let all: [(&[u32], usize); 3] = [(&[0, 1, 2, 3, 4], 5), (&[0], 1), (&[0, 1, 2], 3)];
    for heads in [(2, 2), (4, 2), (3, 1)] {
        causal(&all, heads, usize::MAX, 0.0).check_every_entry();
        causal(&all, heads, 2, RATE).check_every_entry();
    }
}

#[test]
fn attention_of_some_queries_of_a_decoder() {
    let some: [(&[u32], usize); 3] = [(&[4], 5), (&[], 3), (&[1, 6], 8)];
    for window in [usize::MAX, 3, 1] {
        causal(&some, (4, 2), window, RATE).check_every_entry();
    }
}

/// What a query does not see has no part in its outcome.
#[test]
fn a_key_behind_a_query_changes_nothing() {
    let all: [(&[u32], usize); 1] = [(&[0, 1, 2, 3], 4)];
    let op = causal(&all, (2, 1), 2, 0.0);
    let before = op.values(&op.params);
    let last = op.param(1).offset + 3 * 8;
    let mut changed = op.params.clone();
    changed[last..last + 8].fill(100.0);
    let after = op.values(&changed);
    assert_eq!(after[..3 * 8], before[..3 * 8]);
    assert_ne!(after[3 * 8..], before[3 * 8..]);
    // Nor one before its window.
    let first = op.param(1).offset;
    let mut changed = op.params.clone();
    changed[first..first + 8].fill(100.0);
    assert_eq!(op.values(&changed)[2 * 8..], before[2 * 8..]);
}

#[test]
fn attention_with_a_window_on_both_sides() {
    let all: [(&[u32], usize); 3] = [(&[0, 1, 2, 3, 4, 5], 6), (&[0], 1), (&[0, 1, 2], 3)];
    let some: [(&[u32], usize); 3] = [(&[4], 5), (&[], 3), (&[0, 6], 8)];
    for sides in [(1, 1), (2, 2), (0, 0), (0, 3), (usize::MAX, usize::MAX)] {
        windowed(&all, (4, 2), sides, 0.0).check_every_entry();
        windowed(&some, (2, 2), sides, RATE).check_every_entry();
    }
}

/// A window that is wide enough is none; a narrow one is blind to what lies outside.
#[test]
fn keys_outside_a_window_change_nothing() {
    let all: [(&[u32], usize); 1] = [(&[0, 1, 2, 3, 4], 5)];
    let whole = windowed(&all, (2, 2), (4, 4), 0.0);
    let unlimited = windowed(&all, (2, 2), (usize::MAX, usize::MAX), 0.0);
    assert_eq!(whole.values(&whole.params), unlimited.values(&whole.params));
    let narrow = windowed(&all, (2, 2), (1, 1), 0.0);
    let before = narrow.values(&narrow.params);
    let middle = narrow.param(1).offset + 2 * 16;
    let mut changed = narrow.params.clone();
    changed[middle..middle + 16].fill(3.0);
    let after = narrow.values(&changed);
    for row in 0..5 {
        let same = after[row * 8..][..8] == before[row * 8..][..8];
        assert_eq!(same, row == 0 || row == 4, "row {row}");
    }
}

#[test]
fn the_mean_of_the_rows_of_each_sequence() {
    let offsets: Rc<[usize]> = [0, 3, 3, 4, 9].into();
    Op::new(&[(9, 5)], 23, move |tape, p| {
        let x = input(tape, p[0]);
        tape.mean(&x, &offsets)
    })
    .check_every_entry();
}

#[test]
fn layer_norm_without_a_bias() {
    Op::new(&[(3, 7), (1, 7)], 24, |tape, p| {
        let x = input(tape, p[0]);
        tape.layer_norm(&x, None, 0.0, (p[1], None), EPS)
    })
    .check_every_entry();
}

#[test]
fn rms_norm_of_rows_and_of_the_heads_in_some_columns() {
    for (width, cols, d) in [(19, 19, 19), (12, 12, 4), (16, 8, 4), (10, 6, 2)] {
        Op::new(&[(5, width), (1, d)], 21, |tape, p| {
            let x = input(tape, p[0]);
            tape.rms_norm(&x, cols, p[1], EPS)
        })
        .check_every_entry();
    }
    Op::new(&[(40, 2000), (1, 2000)], 22, |tape, p| {
        let x = input(tape, p[0]);
        tape.rms_norm(&x, 2000, p[1], EPS)
    })
    .check_directions();
}

#[test]
fn rotations_by_the_position() {
    let rotation = Rc::new(Rotation::new(&[0, 3, 1, 7, 2], &[1.0, 0.1, 0.3], 1.25));
    for (width, cols) in [(6, 6), (18, 12)] {
        Op::new(&[(5, width)], 23, |tape, p| {
            let x = input(tape, p[0]);
            tape.rope(x, cols, &rotation)
        })
        .check_every_entry();
    }
}

#[test]
fn a_sum_with_a_residual_that_is_used_again() {
    Op::new(&[(5, 7), (5, 7)], 24, |tape, p| {
        let (x, residual) = (input(tape, p[0]), input(tape, p[1]));
        let sum = tape.add(x.clone(), &residual, RATE);
        let again = tape.add(sum, &x, 0.0);
        tape.add(again, &residual, RATE)
    })
    .check_every_entry();
}

#[test]
fn gated_linear_with_each_activation() {
    for activation in ACTIVATIONS {
        Op::new(&[(5, 14), (3, 7), (1, 3)], 25, |tape, p| {
            let x = input(tape, p[0]);
            tape.gated_linear(&x, activation, p[1], Some(p[2]))
        })
        .map(0, off_zero)
        .check_every_entry();
    }
}

#[test]
fn a_linear_layer_without_a_bias() {
    Op::new(&[(5, 7), (3, 7)], 26, |tape, p| {
        let x = input(tape, p[0]);
        tape.linear(&x, p[1], None)
    })
    .check_every_entry();
}

#[test]
fn a_linear_layer_whose_weight_is_stored_the_other_way_round() {
    let turned = |param: Param| Param {
        transposed: true,
        ..param
    };
    Op::new(&[(5, 7), (7, 3), (1, 3)], 28, |tape, p| {
        let x = input(tape, p[0]);
        tape.linear(&x, turned(p[1]), p[2])
    })
    .check_every_entry();
    Op::new(&[(5, 14), (7, 3)], 29, |tape, p| {
        let x = input(tape, p[0]);
        tape.gated_linear(&x, Activation::Silu, turned(p[1]), None)
    })
    .check_every_entry();
}

#[test]
fn columns_give_back_to_where_they_were_taken() {
    Op::new(&[(5, 9), (5, 3)], 30, |tape, p| {
        let x = input(tape, p[0]);
        let (first, last) = (tape.columns(&x, 1..4), tape.columns(&x, 6..9));
        let sum = tape.add(first, &last, 0.0);
        let other = input(tape, p[1]);
        tape.add(sum, &other, RATE)
    })
    .check_every_entry();
}

#[test]
fn operations_in_a_row_that_use_one_input_several_times() {
    let rows: Rc<[u32]> = Rc::new([0, 4]);
    let (q, k): (Rc<[usize]>, Rc<[usize]>) = (Rc::new([0, 1, 2]), Rc::new([0, 4, 6]));
    let shapes = [(6, 6), (12, 6), (1, 12), (1, 6), (1, 6)];
    Op::new(&shapes, 13, |tape, p| {
        let x = input(tape, p[0]);
        let dropped = tape.dropout(&x, RATE);
        let first = tape.gather(&x, &rows);
        let kv = tape.linear(&dropped, p[1], p[2]);
        let y = tape.attention(&first, &kv, (&q, &k), 2, RATE);
        tape.layer_norm(&y, Some(&first), RATE, (p[3], p[4]), EPS)
    })
    .check_every_entry();
}

/// Losses are their own ends of the tape: not behind a squared error.
#[track_caller]
fn check_loss(cols: usize, loss: impl Fn(&mut Tape, &Var) -> f64) {
    let mut layout = Layout::default();
    let x = layout.matrix("x", 6, cols, 1.0);
    let params = normal(layout.len(), &mut rng(14));
    let workspace = Workspace::default();
    let mut gradients = Gradients::zeros(0, params.len());
    let mut tape = Tape::training(&params, &mut gradients, None, &workspace);
    let logits = input(&mut tape, x);
    loss(&mut tape, &logits);
    drop(logits);
    tape.backward();
    for (i, &got) in gradients.values.iter().enumerate() {
        let at = |t| {
            let params = moved(&params, i, &[1.0], t);
            let mut tape = Tape::inference(&params, &workspace);
            let logits = input(&mut tape, x);
            loss(&mut tape, &logits)
        };
        let want = derivative(at, STEP);
        assert!(
            (got as f64 - want).abs() <= TOLERANCE * want.abs().max(100.0 * FLOOR),
            "gradient of entry {i} is {got}, by differences {want}"
        );
    }
}

#[test]
fn cross_entropy_of_few_and_of_many_classes() {
    for classes in [2, 3, 16, 67] {
        let last = classes as u32 - 1;
        let labels = [0, 1, last, last, 0, 1];
        check_loss(classes, |tape, x| tape.cross_entropy(x, &labels, 1.0));
    }
}

/// Over more rows than are computed at a time, for the hidden states and the matrix alike.
#[test]
fn cross_entropy_of_a_vocabulary() {
    let (rows, hidden, entries) = (40, 5, 60_000);
    let mut layout = Layout::default();
    let x = layout.matrix("x", rows, hidden, 1.0);
    let weight = layout.matrix("weight", entries, hidden, 1.0);
    let params = normal(layout.len(), &mut rng(27));
    let labels: Vec<u32> = (0..rows as u32)
        .map(|i| i * 1499 % entries as u32)
        .collect();
    let workspace = Workspace::default();
    let run = |whole: bool| {
        let mut gradients = Gradients::zeros(0, params.len());
        let mut tape = Tape::training(&params, &mut gradients, None, &workspace);
        let hidden = input(&mut tape, x);
        let loss = if whole {
            let logits = tape.linear(&hidden, weight, None);
            tape.cross_entropy(&logits, &labels, 0.5)
        } else {
            tape.vocabulary_loss(&hidden, weight, &labels, 0.5)
        };
        drop(hidden);
        tape.backward();
        (loss, gradients.values)
    };
    let ((loss, parts), (want, whole)) = (run(false), run(true));
    assert!((loss - want).abs() < 1e-6 * want);
    for (i, (g, w)) in parts.iter().zip(&whole).enumerate() {
        assert!((g - w).abs() < 1e-5, "{i}: {g} and {w}");
    }
}

#[test]
fn squared_error_of_values() {
    let targets = [0.5, -1.25, 3.0, 0.0, 2.2, 1e-3];
    check_loss(1, |tape, x| tape.squared_error(x, &targets, 1.0));
}

#[test]
fn the_scale_of_a_loss_scales_the_gradient_and_not_the_sum() {
    let run = |scale: f32| {
        let op = Op::new(&[(4, 3)], 15, |tape, p| input(tape, p[0]));
        let mut gradients = Gradients::zeros(0, op.params.len());
        let workspace = Workspace::default();
        let mut tape = Tape::training(&op.params, &mut gradients, None, &workspace);
        let x = input(&mut tape, op.param(0));
        let sum = tape.cross_entropy(&x, &[0, 1, 2, 0], scale);
        drop(x);
        tape.backward();
        (sum, gradients.values)
    };
    let ((sum, whole), (same, half)) = (run(1.0), run(0.5));
    assert_eq!(sum, same);
    let doubled: Vec<f32> = half.iter().map(|g| 2.0 * g).collect();
    assert_eq!(whole, doubled);
}

#[test]
fn gradients_add_to_what_is_there() {
    let op = Op::new(&[(3, 4), (2, 4), (1, 2)], 16, |tape, p| {
        let x = input(tape, p[0]);
        tape.linear(&x, p[1], p[2])
    });
    let target = normal(6, &mut rng(17));
    let once = op.gradients(&target, 0).values;
    let mut twice = Gradients::zeros(0, op.params.len());
    let workspace = Workspace::default();
    for _ in 0..2 {
        let mut tape = Tape::training(&op.params, &mut twice, None, &workspace);
        let all: Vec<Param> = (0..3).map(|i| op.param(i)).collect();
        let y = (op.forward)(&mut tape, &all);
        tape.squared_error(&y, &target, 1.0);
        drop(y);
        tape.backward();
    }
    for (once, twice) in once.iter().zip(&twice.values) {
        assert!((2.0 * once - twice).abs() < 1e-5, "{once} and {twice}");
    }
}

#[test]
fn dropout_is_off_without_a_seed_and_another_with_another() {
    let mut op = Op::new(&[(8, 16)], 18, |tape, p| {
        let x = input(tape, p[0]);
        tape.dropout(&x, RATE)
    });
    let first = op.values(&op.params);
    assert_eq!(first, op.values(&op.params));
    assert!(first.contains(&0.0));
    op.dropout_seed = Some(1_000_000_007);
    assert_ne!(first, op.values(&op.params));
    op.dropout_seed = None;
    assert_eq!(op.params, op.values(&op.params));
}

/// Two dropout operations of one tape draw different masks.
#[test]
fn each_dropout_of_a_tape_has_a_mask_of_its_own() {
    let op = Op::new(&[(32, 64)], 19, |tape, p| {
        let x = input(tape, p[0]);
        let once = tape.dropout(&x, RATE);
        tape.dropout(&once, RATE)
    });
    let y = op.values(&op.params);
    let kept = y.iter().filter(|v| **v != 0.0).count() as f64 / y.len() as f64;
    let expected = (1.0 - RATE as f64).powi(2);
    // Six standard deviations of the share of 2048 draws.
    assert!(
        (kept - expected).abs() < 0.07,
        "{kept} instead of {expected}"
    );
}

/// T5's attention: a bias by head and distance from a table, and no scaling. `sequences` are
/// the positions of the queries and the numbers of keys.
fn biased(sequences: &[(&[u32], usize)], bidirectional: bool, rate: f32) -> Op<'static> {
    let (heads, size) = (3, 4);
    let offsets = |lengths: Vec<usize>| -> Rc<[usize]> {
        let ends = lengths.iter().scan(0, |end, n| {
            *end += n;
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    };
    let q = offsets(sequences.iter().map(|s| s.0.len()).collect());
    let k = offsets(sequences.iter().map(|s| s.1).collect());
    let positions: Rc<[u32]> = sequences.iter().flat_map(|s| s.0).copied().collect();
    let buckets = Buckets {
        count: 8,
        max_distance: 12,
        bidirectional,
    };
    let shapes = [
        (q[sequences.len()], heads * size),
        (k[sequences.len()], 2 * heads * size),
        (buckets.count, heads),
    ];
    Op::new(&shapes, 30, move |tape, p| {
        let (x, kv) = (input(tape, p[0]), input(tape, p[1]));
        let positions = positions.clone();
        let causal = WindowRows::causal(positions, usize::MAX);
        let attending = Attending {
            heads: (heads, heads),
            scale: Some(1.0),
            window: (!bidirectional).then_some(causal),
            bias: Some(RelativeBias {
                table: p[2],
                buckets,
            }),
            dropout: rate,
        };
        tape.any_attention(&x, &kv, (&q, &k), attending)
    })
}

#[test]
fn attention_with_a_bias_by_distance() {
    let all: Vec<u32> = (0..20).collect();
    for (lengths, rate) in [
        (vec![5usize, 1, 17], 0.0),
        (vec![3, 4], RATE),
        (vec![20], RATE),
    ] {
        let whole: Vec<(&[u32], usize)> = lengths.iter().map(|&n| (&all[..n], n)).collect();
        biased(&whole, true, rate).check_every_entry();
        biased(&whole, false, rate).check_every_entry();
    }
    let some: [(&[u32], usize); 3] = [(&[4], 5), (&[], 3), (&[1, 14], 15)];
    biased(&some, false, RATE).check_every_entry();
}

#[test]
fn a_scaled_matrix_and_one_that_is_used_before_too() {
    Op::new(&[(4, 6)], 31, |tape, p| {
        let x = input(tape, p[0]);
        let scaled = tape.scale(x.clone(), -0.7);
        let scaled = tape.scale(scaled, 3.0);
        tape.add(scaled, &x, 0.0)
    })
    .check_every_entry();
}

#[test]
fn rows_in_the_place_of_others() {
    let rows: Rc<[u32]> = Rc::new([4, 0, 3]);
    Op::new(&[(6, 5), (3, 5)], 32, |tape, p| {
        let (base, x) = (input(tape, p[0]), input(tape, p[1]));
        // What is replaced still counts where it was read before.
        let before = tape.gather(&base, &rows);
        let x = tape.add(x, &before, 0.0);
        tape.scatter(base, &x, &rows)
    })
    .check_every_entry();
}

#[test]
fn a_gate_by_itself_and_dropped() {
    Op::new(&[(5, 14)], 33, |tape, p| {
        let x = input(tape, p[0]);
        let gated = tape.gated(&x, Activation::GeluTanh);
        tape.dropout(&gated, RATE)
    })
    .check_every_entry();
}
