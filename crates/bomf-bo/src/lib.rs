//! Bayesian optimisation on boxes and simplexes.
