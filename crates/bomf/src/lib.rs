//! Fine-tune once, fuse by Bayesian optimisation: the two-stage pipeline.
