//! Fine-tuning of transformers: tape, kernels, models, data and metrics.
