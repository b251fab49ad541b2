//! Pareto fronts, hypervolume and reference points.
