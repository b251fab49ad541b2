//! Models: one file an architecture, which says its parameters' names and writes
//! its forward pass; everything else is shared.

mod bert;
mod block;
mod config;
mod decoder;
mod distilbert;
mod folder;
mod gpt2;
mod heads;
pub(crate) mod memory;
mod modernbert;
mod roberta;
mod rope;
mod t5;

pub use config::{Config, Decoder, Dropout, EncoderDecoder, ModelType};
pub use folder::{LabelNames, LoadReport, Model};
pub use modernbert::{ModernBertConfig, Pooling};
pub use rope::Rope;

use crate::TuneError;
use crate::batch::Batch;
use crate::lora::{Adapters, LoraOptions, Shared};
use crate::params::{Layout, Param};
use crate::tape::{Tape, Var};
use memory::Memory;
use std::path::Path;
use std::sync::Arc;

/// What a model puts on top of its last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// One number a class, or one number for a regression.
    Classifier {
        /// How many numbers.
        outputs: usize,
    },
    /// One number a token of the vocabulary, for pre-training.
    MaskedLm,
    /// One number a token of the vocabulary, for the token that comes next.
    CausalLm,
    /// Two numbers a token: how likely an answer begins there, and ends there.
    QuestionAnswering,
    /// One number a class for each token that begins a word.
    TokenClassifier {
        /// How many classes.
        outputs: usize,
    },
    /// One number a sequence, to be compared with those of the example's other choices.
    MultipleChoice,
}

impl Head {
    /// Whether every encoder has it.
    fn is_encoders(self) -> bool {
        match self {
            Head::Classifier { .. }
            | Head::QuestionAnswering
            | Head::TokenClassifier { .. }
            | Head::MultipleChoice => true,
            Head::MaskedLm | Head::CausalLm => false,
        }
    }
}

/// The forward pass of an architecture, in parts, so that the lower ones can be
/// computed once where they are frozen.
trait Architecture: std::fmt::Debug + Send + Sync {
    /// Embeddings, `[tokens, hidden]`.
    fn embed(&self, tape: &mut Tape, batch: &Batch, config: &Config) -> Var;
    /// How many blocks there are.
    fn num_blocks(&self) -> usize;
    /// Block `i` from the bottom.
    fn block(&self, i: usize) -> &dyn Layer;
    /// The head on the last block's outputs: `[outputs, hidden]` to logits.
    fn head(&self, tape: &mut Tape, x: &Var, batch: &Batch, config: &Config) -> Var;
    /// The matrix `[vocabulary, hidden]` that makes logits of what the head of a language
    /// model gives.
    fn vocabulary(&self) -> Option<Param> {
        None
    }
}

/// One block.
trait Layer {
    /// Where its parameters begin in the flat array.
    fn first(&self) -> usize;
    /// The block on `x` `[tokens, hidden]`; the `last` one only where the batch asks for
    /// outputs, `[outputs, hidden]`: nothing else of it is ever used.
    fn forward(&self, tape: &mut Tape, x: &Var, batch: &Batch, last: bool, c: &Config) -> Var;

    /// The block on new tokens of sequences of which `memory` keeps the earlier ones, being
    /// its block of that number; what keeps nothing reads them as a whole.
    fn recall(
        &self,
        tape: &mut Tape,
        x: &Var,
        batch: &Batch,
        last: bool,
        c: &Config,
        _memory: (&mut Memory, usize),
    ) -> Var {
        self.forward(tape, x, batch, last, c)
    }
}

/// A model without its parameters: they are handed to each [`Tape`], so that many
/// sets of them, fused ones among them, run through one network.
#[derive(Debug)]
pub struct Network {
    config: Arc<Config>,
    head: Head,
    layout: Layout,
    adapters: Shared,
    architecture: Arc<dyn Architecture>,
    gradient_checkpointing: bool,
}

impl Network {
    /// The network of a configuration with the given head.
    ///
    /// # Errors
    /// Where the architecture has no such head.
    pub fn new(config: Config, head: Head) -> Result<Self, TuneError> {
        Network::declare(config.for_head(head), head, Layout::default())
    }

    /// The same network with adapters on some of its linear layers, their factors
    /// before the head.
    ///
    /// # Errors
    /// [`TuneError::LoraTarget`].
    pub fn with_adapters(&self, options: &LoraOptions) -> Result<Self, TuneError> {
        let defaults = self.config.model_type.adapted_by_default();
        let layout = Layout::with_adapters(options.clone(), defaults);
        self.with_layout(layout)
    }

    /// The same network without adapters.
    ///
    /// # Errors
    /// None where this one could be made.
    pub fn without_adapters(&self) -> Result<Self, TuneError> {
        self.with_layout(Layout::default())
    }

    /// The same network by an empty layout, which may want adapters.
    fn with_layout(&self, layout: Layout) -> Result<Self, TuneError> {
        let network = Network::declare((*self.config).clone(), self.head, layout)?;
        Ok(Network {
            gradient_checkpointing: self.gradient_checkpointing,
            ..network
        })
    }

    fn declare(config: Config, head: Head, mut layout: Layout) -> Result<Self, TuneError> {
        let is_encoders = head.is_encoders();
        let architecture: Arc<dyn Architecture> = match (config.model_type, head) {
            (ModelType::Bert, head) if is_encoders || head == Head::MaskedLm => {
                Arc::new(bert::Bert::declare(&mut layout, &config, head)?)
            }
            (ModelType::Roberta, head) if is_encoders => {
                Arc::new(roberta::Roberta::declare(&mut layout, &config, head)?)
            }
            (ModelType::DistilBert, head) if is_encoders => {
                Arc::new(distilbert::DistilBert::declare(&mut layout, &config, head)?)
            }
            (ModelType::ModernBert, head) if is_encoders => {
                let Some(modern) = &config.modern_bert else {
                    return Err(wrong_head("the configuration of ModernBERT is incomplete"));
                };
                let model = modernbert::ModernBert::declare(&mut layout, &config, modern, head)?;
                Arc::new(model)
            }
            (ModelType::Gpt2, Head::Classifier { .. } | Head::CausalLm) => {
                Arc::new(gpt2::Gpt2::declare(&mut layout, &config, head)?)
            }
            (kind, Head::Classifier { .. } | Head::CausalLm) if kind.is_decoder() => {
                let Some(decoder) = &config.decoder else {
                    return Err(wrong_head("the configuration of a decoder is incomplete"));
                };
                Arc::new(decoder::DecoderModel::declare(
                    &mut layout,
                    &config,
                    decoder,
                    head,
                )?)
            }
            (ModelType::T5, Head::CausalLm) => {
                let Some(parts) = &config.encoder_decoder else {
                    return Err(wrong_head("the configuration of T5 is incomplete"));
                };
                Arc::new(t5::T5::declare(&mut layout, &config, parts)?)
            }
            (ModelType::T5, Head::Classifier { .. }) => {
                return Err(wrong_head(
                    "T5 is trained on pairs of texts here: set `kind: seq2seq` in the recipe's \
                     task",
                ));
            }
            (_, Head::QuestionAnswering | Head::TokenClassifier { .. } | Head::MultipleChoice) => {
                return Err(wrong_head(
                    "a decoder has no head for this task; take a model of type bert, roberta, \
                     distilbert or modernbert",
                ));
            }
            (_, Head::CausalLm | Head::Classifier { .. }) => {
                return Err(wrong_head(
                    "an encoder is no language model that writes; take a model of type gpt2, \
                     llama, mistral, qwen2, qwen3 or t5",
                ));
            }
            (_, Head::MaskedLm) => {
                return Err(wrong_head("masked-language-model training knows only BERT"));
            }
        };
        Ok(Network {
            config: Arc::new(config),
            head,
            adapters: layout.adapters(),
            layout,
            architecture,
            gradient_checkpointing: false,
        })
    }

    /// Sizes and rates.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sets the dropout rates of training.
    pub fn set_dropout(&mut self, dropout: Dropout) {
        Arc::make_mut(&mut self.config).dropout = dropout;
    }

    /// Sets whether training keeps of each block its input alone and computes the block again on
    /// the way back.
    pub fn set_gradient_checkpointing(&mut self, on: bool) {
        self.gradient_checkpointing = on;
    }

    /// What is on top.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The parameters' names, shapes and places.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The adapters, where it has any.
    pub fn adapters(&self) -> Option<&Arc<Adapters>> {
        self.adapters.as_ref()
    }

    /// The modules that make up the head, as PEFT's `modules_to_save` names them.
    pub fn head_modules(&self) -> &'static [&'static str] {
        match (self.config.model_type, self.head) {
            (_, Head::MaskedLm) => &["cls"],
            (_, Head::CausalLm) => &[],
            (ModelType::ModernBert, _) => &["head", "classifier"],
            (_, Head::QuestionAnswering) => &["qa_outputs"],
            (_, Head::TokenClassifier { .. }) => &["classifier"],
            (ModelType::Roberta, Head::MultipleChoice) | (ModelType::Bert, _) => {
                &["pooler", "classifier"]
            }
            (ModelType::Roberta, _) => &["classifier"],
            (ModelType::DistilBert, _) => &["pre_classifier", "classifier"],
            _ => &["score"],
        }
    }

    /// Number of blocks.
    pub fn num_layers(&self) -> usize {
        self.architecture.num_blocks()
    }

    /// The matrix `[vocabulary, hidden]` that makes logits of what a causal language model
    /// gives; `None` for other heads.
    pub fn vocabulary(&self) -> Option<Param> {
        self.architecture.vocabulary()
    }

    /// The first parameter to train where the embeddings and the lower `frozen`
    /// blocks are frozen; 0 where nothing is.
    ///
    /// # Errors
    /// [`TuneError::Freeze`] where there are not so many blocks.
    pub fn first_trainable(&self, frozen: usize) -> Result<usize, TuneError> {
        let layers = self.num_layers();
        // Below adapters nothing is trained; those of frozen blocks rest too.
        let first = |place| match &self.adapters {
            Some(adapters) => adapters.first_from(place),
            None => place,
        };
        match frozen {
            0 => Ok(first(0)),
            _ if frozen < layers => Ok(first(self.architecture.block(frozen).first())),
            _ => Err(TuneError::Freeze { frozen, layers }),
        }
    }

    /// Hidden states above the lower `upto` blocks, `[tokens, hidden]`; fewer blocks
    /// than there are.
    pub fn lower(&self, tape: &mut Tape, batch: &Batch, upto: usize) -> Var {
        tape.adapt(&self.adapters);
        let embedded = self.architecture.embed(tape, batch, &self.config);
        self.run_blocks(tape, embedded, batch, 0..upto)
    }

    /// Logits `[outputs, classes]`, or what [`vocabulary`](Self::vocabulary) makes logits
    /// of, from the hidden states above the lower `from` blocks.
    pub fn upper(&self, tape: &mut Tape, hidden: Var, batch: &Batch, from: usize) -> Var {
        tape.adapt(&self.adapters);
        let top = self.run_blocks(tape, hidden, batch, from..self.num_layers());
        self.architecture.head(tape, &top, batch, &self.config)
    }

    /// As [`upper`](Self::upper), from the tokens.
    pub fn forward(&self, tape: &mut Tape, batch: &Batch) -> Var {
        let embedded = self.architecture.embed(tape, batch, &self.config);
        self.upper(tape, embedded, batch, 0)
    }

    /// As [`forward`](Self::forward), of new tokens whose sequences go on from what `memory`
    /// keeps, and which it keeps too.
    pub(crate) fn recall(&self, tape: &mut Tape, batch: &Batch, memory: &mut Memory) -> Var {
        tape.adapt(&self.adapters);
        let mut x = self.architecture.embed(tape, batch, &self.config);
        for i in 0..self.num_layers() {
            let last = i + 1 == self.num_layers();
            let block = self.architecture.block(i);
            x = block.recall(tape, &x, batch, last, &self.config, (memory, i));
        }
        self.architecture.head(tape, &x, batch, &self.config)
    }

    fn run_blocks(
        &self,
        tape: &mut Tape,
        mut x: Var,
        batch: &Batch,
        blocks: std::ops::Range<usize>,
    ) -> Var {
        for i in blocks {
            let last = i + 1 == self.num_layers();
            // The last block is the first on the way back: it would be computed twice for nothing.
            if !self.gradient_checkpointing || last {
                let block = self.architecture.block(i);
                x = block.forward(tape, &x, batch, last, &self.config);
                continue;
            }
            let (architecture, batch) = (self.architecture.clone(), batch.clone());
            let config = self.config.clone();
            x = tape.again(&x, move |tape, x| {
                let block = architecture.block(i);
                block.forward(tape, x, &batch, last, &config)
            });
        }
        x
    }
}

fn wrong_head(reason: &str) -> TuneError {
    TuneError::Config {
        path: Path::new("config.json").into(),
        reason: reason.into(),
    }
}
