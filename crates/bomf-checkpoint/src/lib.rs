//! Memory-mapped and sharded checkpoints in Hugging Face format.
