//! A split whose texts are generated and compared with references.

use super::{GenerationOptions, generate};
use crate::TuneError;
use crate::batch::Sequences;
use crate::metrics::TextMetric;
use crate::models::Network;
use crate::tape::Workspace;
use crate::tokenize::TextTokenizer;
use crate::train::Control;
use rayon::prelude::*;
use std::sync::Arc;

/// Prompts with their references, and how texts are made and measured.
#[derive(Debug, Clone)]
pub struct Texts {
    /// One an example.
    pub prompts: Sequences,
    /// What the texts are compared with, one an example.
    pub references: Vec<String>,
    /// In the order of their columns in [`statistics`](Self::statistics).
    pub metrics: Vec<TextMetric>,
    /// Whether ROUGE stems words.
    pub stemmed: bool,
    /// How texts are generated.
    pub options: GenerationOptions,
    /// Turns tokens into texts, and says which ends one.
    pub tokenizer: Arc<TextTokenizer>,
}

impl Texts {
    /// What a model writes behind each prompt, without special tokens; `observe` is told now
    /// and then how many are done.
    ///
    /// # Errors
    /// Those of [`generate`], and where the tokenizer fails.
    pub fn generate(
        &self,
        network: &Network,
        params: &[f32],
        workspace: &Workspace,
        observe: &mut dyn FnMut(usize) -> Control,
    ) -> Result<Vec<String>, TuneError> {
        let (ends, options) = (self.tokenizer.ends(), &self.options);
        let tokens = generate(
            network,
            params,
            &self.prompts,
            ends,
            options,
            workspace,
            observe,
        )?;
        tokens
            .par_iter()
            .map(|ids| self.tokenizer.decode(ids))
            .collect()
    }

    /// The statistics of each metric on `texts`, one metric behind the other, each
    /// `[examples, width]`.
    pub fn statistics(&self, texts: &[String]) -> Vec<f32> {
        let mut all = Vec::new();
        for metric in &self.metrics {
            let rows: Vec<Vec<f32>> = texts
                .par_iter()
                .zip(&self.references)
                .map(|(text, reference)| metric.statistics(text, reference, self.stemmed))
                .collect();
            all.extend(rows.into_iter().flatten());
        }
        all
    }
}
