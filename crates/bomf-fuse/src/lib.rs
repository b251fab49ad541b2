//! Fusion of checkpoints: every method that combines several models into one.
