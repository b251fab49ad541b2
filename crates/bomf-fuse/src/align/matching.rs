//! Finding the alignment, group by group.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::distance::Products;
use super::units::{Group, Heads, Part, groups};
use super::{assignment, transport};
use crate::error::{FuseError, Result};
use crate::weights::Weights;

/// Which unit of the model, or which mixture of its units, stands in each place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Places {
    /// The number of the unit.
    Permuted(Vec<usize>),
    /// Shares of all units, a row a place; rows sum to one.
    Mixed(Vec<f64>),
}

/// How a part of a tensor is put together anew.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub part: Part,
    pub units: usize,
    pub places: Arc<Places>,
}

/// How a model's units are put into another's order.
#[derive(Debug, Clone, Default)]
pub struct Alignment {
    /// By tensor.
    pub(super) moves: BTreeMap<String, Vec<Move>>,
    /// Groups of units that were aligned.
    pub groups: usize,
    /// All their units.
    pub units: usize,
    /// Units that another one takes the place of, where units are permuted.
    pub moved: usize,
}

impl Alignment {
    /// Aligns `model` with `reference`, two models of one architecture. A `regularisation` of zero
    /// permutes units and keeps the model's function; above, units are mixed, the more the
    /// greater it is (in units of the mean squared distance between units).
    ///
    /// Three matrices of each unit's distance to each other are in memory at a time, in `f64`, and
    /// one such matrix for each group of units that is mixed is kept.
    ///
    /// # Errors
    /// [`FuseError::NothingToAlign`], [`FuseError::BadHeads`], tensors that are missing or of
    /// different shapes.
    pub fn find(
        reference: &dyn Weights,
        model: &dyn Weights,
        heads: Heads,
        regularisation: f64,
    ) -> Result<Self> {
        if !(regularisation >= 0.0 && regularisation.is_finite()) {
            return Err(FuseError::BadRegularisation {
                value: regularisation,
            });
        }
        let groups = groups(reference, heads)?;
        let found: Vec<(Vec<Move>, usize)> = groups
            .par_iter()
            .map(|group| align(reference, model, group, regularisation))
            .collect::<Result<_>>()?;
        let mut alignment = Self {
            groups: groups.len(),
            units: groups.iter().map(|group| group.units).sum(),
            ..Self::default()
        };
        for (moves, moved) in found {
            alignment.moved += moved;
            for one in moves {
                let tensor = one.part.tensor.clone();
                alignment.moves.entry(tensor).or_default().push(one);
            }
        }
        Ok(alignment)
    }
}

/// The moves of one group's parts, and how many units moved.
fn align(
    reference: &dyn Weights,
    model: &dyn Weights,
    group: &Group,
    regularisation: f64,
) -> Result<(Vec<Move>, usize)> {
    let n = group.units;
    let outer = Products::of(reference, model, &group.parts, n)?;
    let mut costs = outer.distances();
    let mut within = None;
    if let Some((members, parts)) = &group.within {
        let inner = Products::of(reference, model, parts, n * members)?.distances();
        let solved: Vec<(f64, Places)> = (0..n * n)
            .map(|k| {
                let block = block(&inner, n * members, *members, (k / n, k % n));
                solve(&block, *members, regularisation)
            })
            .collect();
        for (cost, (own, _)) in costs.iter_mut().zip(&solved) {
            *cost += own;
        }
        within = Some((*members, parts, solved));
    }
    let (_, places) = solve(&costs, n, regularisation);
    let moved = match &places {
        Places::Permuted(from) => from.iter().enumerate().filter(|(u, v)| u != *v).count(),
        Places::Mixed(_) => 0,
    };
    let mut moves = Vec::new();
    if let Some((members, parts, solved)) = within {
        let inner = Arc::new(nested(&places, &solved, n, members));
        moves.extend(parts.iter().map(|part| Move {
            part: part.clone(),
            units: n * members,
            places: inner.clone(),
        }));
    }
    let places = Arc::new(places);
    moves.extend(group.parts.iter().map(|part| Move {
        part: part.clone(),
        units: n,
        places: places.clone(),
    }));
    Ok((moves, moved))
}

/// The costs among the members of unit u and those of unit v.
fn block(costs: &[f64], n: usize, members: usize, (u, v): (usize, usize)) -> Vec<f64> {
    let rows = (0..members).map(|i| (u * members + i) * n + v * members);
    rows.flat_map(|start| costs[start..start + members].iter().copied())
        .collect()
}

/// The least cost and the places that have it.
fn solve(costs: &[f64], n: usize, regularisation: f64) -> (f64, Places) {
    if regularisation == 0.0 || costs.iter().any(|c| !c.is_finite()) {
        let from = assignment(costs, n);
        let cost = from.iter().enumerate().map(|(u, v)| costs[u * n + v]).sum();
        return (cost, Places::Permuted(from));
    }
    let plan = transport(costs, n, regularisation);
    let cost = plan.iter().zip(costs).map(|(t, c)| t * c).sum();
    (cost, Places::Mixed(plan))
}

/// The places of members from those of their units and, for each pair of these, their own.
fn nested(outer: &Places, inner: &[(f64, Places)], n: usize, members: usize) -> Places {
    let all = n * members;
    match outer {
        Places::Permuted(from) if inner.iter().all(|(_, p)| matches!(p, Places::Permuted(_))) => {
            let mut places = Vec::with_capacity(all);
            for (u, &v) in from.iter().enumerate() {
                if let Places::Permuted(own) = &inner[u * n + v].1 {
                    places.extend(own.iter().map(|i| v * members + i));
                }
            }
            Places::Permuted(places)
        }
        _ => {
            let share = |places: &Places, n: usize, u: usize, v: usize| match places {
                Places::Permuted(from) => f64::from(u8::from(from[u] == v)),
                Places::Mixed(plan) => plan[u * n + v],
            };
            let of = |k: usize| {
                let ((u, i), (v, j)) = (
                    (k / all / members, k / all % members),
                    (k % all / members, k % all % members),
                );
                share(outer, n, u, v) * share(&inner[u * n + v].1, members, i, j)
            };
            Places::Mixed((0..all * all).map(of).collect())
        }
    }
}
