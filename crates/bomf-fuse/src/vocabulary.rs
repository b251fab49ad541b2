//! Models of different vocabularies, row by row in one order: that of the output's tokens.
//!
//! Every tensor that has a row for each token (input embedding, output head, its bias) is read
//! through a map from the output's tokens to the model's own rows. A token that a model does
//! not know gets the same stand-in in every such model, so that a method which compares models
//! finds no difference where there is nothing to compare.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::method::Source;
use crate::plan::{is_of_vocabulary, tied_to};
use crate::weights::{TensorInfo, Weights};

/// A row of a model's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The model's number.
    pub model: usize,
    /// The number of the row.
    pub row: usize,
}

/// What a token's row is in the models that have none of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    /// A model's row.
    Row(Row),
    /// The mean of the rows of all models that have the token.
    Mean,
    /// Zeros.
    Zero,
}

/// The tokens of the output and where each model has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The row of each token of the output in each model, `[models][tokens]`; `None` where the
    /// model has none, or where the stand-in shall take its place.
    pub own: Vec<Vec<Option<usize>>>,
    /// What takes the place of rows that are missing, `[tokens]`.
    pub stand_ins: Vec<StandIn>,
    /// Rows beyond the last token, each the mean of all of the model's tokens (Hewitt 2021,
    /// "Initializing New Word Embeddings for Pretrained Language Models").
    pub padding: usize,
}

impl Tokens {
    /// Rows of the output's tensors.
    pub fn rows(&self) -> usize {
        self.stand_ins.len() + self.padding
    }
}

/// One of several models, with the rows of its vocabulary in the order of the output's tokens.
///
/// Its tensors have no bytes in a file where they have rows of tokens, and it has no statistics:
/// those of its rows would be in another order.
pub struct Relabelled<W> {
    models: Arc<Vec<W>>,
    tokens: Arc<Tokens>,
    model: usize,
    /// Shapes of the tensors that have a row for each token.
    shapes: BTreeMap<String, Vec<usize>>,
}

/// The least number of rows that a model's tensors of the vocabulary have; `None` if there are
/// no such tensors.
pub fn vocabulary_rows(model: &dyn Weights) -> Option<usize> {
    let names = model
        .names()
        .into_iter()
        .filter(|name| is_of_vocabulary(name));
    let rows = names.filter_map(|name| model.info(name)?.shape.first().copied());
    rows.min()
}

impl<W: Weights> Relabelled<W> {
    /// The models, all in the order of `tokens`.
    ///
    /// # Panics
    /// If `tokens` is of another number of models, or names rows that a model does not have
    /// (see [`vocabulary_rows`]).
    pub fn all(models: Vec<W>, tokens: Tokens) -> Vec<Self> {
        assert_eq!(models.len(), tokens.own.len(), "a list of rows a model");
        let limits: Vec<usize> = models
            .iter()
            .map(|model| vocabulary_rows(model).unwrap_or(usize::MAX))
            .collect();
        for (own, &limit) in tokens.own.iter().zip(&limits) {
            assert_eq!(own.len(), tokens.stand_ins.len(), "a place a token");
            assert!(own.iter().flatten().all(|&row| row < limit), "rows exist");
        }
        for stand_in in &tokens.stand_ins {
            if let StandIn::Row(row) = stand_in {
                assert!(row.row < limits[row.model], "rows exist");
            }
        }
        let (models, tokens) = (Arc::new(models), Arc::new(tokens));
        (0..models.len())
            .map(|model| Self {
                shapes: shapes(&models[model], tokens.rows()),
                models: models.clone(),
                tokens: tokens.clone(),
                model,
            })
            .collect()
    }

    fn own(&self) -> &W {
        &self.models[self.model]
    }
}

fn shapes(model: &impl Weights, rows: usize) -> BTreeMap<String, Vec<usize>> {
    let names = model
        .names()
        .into_iter()
        .filter(|name| is_of_vocabulary(name));
    names
        .filter_map(|name| {
            let mut shape = model.info(name)?.shape.to_vec();
            *shape.first_mut()? = rows;
            Some((name.to_owned(), shape))
        })
        .collect()
}

impl<W: Weights> Weights for Relabelled<W> {
    fn name(&self) -> String {
        self.own().name()
    }

    fn names(&self) -> Vec<&str> {
        self.own().names()
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let info = self.own().info(name)?;
        Some(match self.shapes.get(name) {
            Some(shape) => TensorInfo { shape, ..info },
            None => info,
        })
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        let Some(shape) = self.shapes.get(name) else {
            return self.own().source(name);
        };
        let sources = self.models.iter().map(|model| {
            // A head that another model does not store is its input embedding.
            let name = match model.info(name) {
                Some(_) => name,
                None => tied_to(model, name)?,
            };
            let is_as_wide = model.info(name)?.shape.get(1..) == shape.get(1..);
            model.source(name).filter(|_| is_as_wide)
        });
        let rows = Rows {
            sources: sources.collect(),
            tokens: &self.tokens,
            model: self.model,
            width: shape[1..].iter().product(),
            mean: Vec::new(),
        };
        Some(Box::new(rows.padded()))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.shapes.contains_key(name) {
            true => None,
            false => self.own().bytes(name),
        }
    }
}

/// A tensor's rows in the order of the output's tokens.
struct Rows<'a> {
    /// The tensor of each model, where it has one.
    sources: Vec<Option<Box<dyn Source + 'a>>>,
    tokens: &'a Tokens,
    model: usize,
    /// Elements of a row.
    width: usize,
    /// What the rows beyond the tokens hold; empty where there are none.
    mean: Vec<f32>,
}

impl Rows<'_> {
    /// With the mean row, if one is needed.
    fn padded(mut self) -> Self {
        if self.tokens.padding == 0 {
            return self;
        }
        let count = self.tokens.stand_ins.len();
        let mut sums = vec![0.0f64; self.width];
        let mut row = vec![0.0f32; self.width];
        for token in 0..count {
            self.row(token, 0, &mut row);
            for (sum, x) in sums.iter_mut().zip(&row) {
                *sum += f64::from(*x);
            }
        }
        let count = count.max(1) as f64;
        self.mean = sums.iter().map(|sum| (sum / count) as f32).collect();
        self
    }

    /// Elements of one row from `start` on.
    fn row(&self, row: usize, start: usize, out: &mut [f32]) {
        let Some(stand_in) = self.tokens.stand_ins.get(row) else {
            out.copy_from_slice(&self.mean[start..start + out.len()]);
            return;
        };
        if let Some(own) = self.tokens.own[self.model][row] {
            self.read_row(self.model, own, start, out);
            return;
        }
        match *stand_in {
            StandIn::Row(of) => self.read_row(of.model, of.row, start, out),
            StandIn::Mean => self.mean_of_models(row, start, out),
            StandIn::Zero => out.fill(0.0),
        }
    }

    fn read_row(&self, model: usize, row: usize, start: usize, out: &mut [f32]) {
        match &self.sources[model] {
            Some(source) => source.read(row * self.width + start, out),
            None => out.fill(0.0),
        }
    }

    fn mean_of_models(&self, token: usize, start: usize, out: &mut [f32]) {
        out.fill(0.0);
        let mut other = vec![0.0; out.len()];
        let mut count = 0.0f32;
        for (own, source) in self.tokens.own.iter().zip(&self.sources) {
            if let (Some(row), Some(source)) = (own[token], source) {
                source.read(row * self.width + start, &mut other);
                out.iter_mut().zip(&other).for_each(|(sum, x)| *sum += x);
                count += 1.0;
            }
        }
        if count > 0.0 {
            out.iter_mut().for_each(|sum| *sum /= count);
        }
    }
}

impl Source for Rows<'_> {
    fn len(&self) -> usize {
        self.tokens.rows() * self.width
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        let (mut start, mut out) = (start, out);
        while !out.is_empty() {
            let (row, within) = (start / self.width, start % self.width);
            let length = (self.width - within).min(out.len());
            let (part, rest) = out.split_at_mut(length);
            self.row(row, within, part);
            (start, out) = (start + length, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_checkpoint::Dtype;
    use proptest::prelude::*;

    /// An embedding of two columns, a bias and a weight without tokens.
    struct Model {
        embedding: Vec<f32>,
        shape: [usize; 2],
    }

    impl Model {
        fn of(rows: &[f32]) -> Self {
            let embedding: Vec<f32> = rows.iter().flat_map(|x| [*x, -x]).collect();
            Self {
                shape: [rows.len(), 2],
                embedding,
            }
        }
    }

    const EMBEDDING: &str = "model.embed_tokens.weight";

    impl Weights for Model {
        fn name(&self) -> String {
            "model".into()
        }

        fn names(&self) -> Vec<&str> {
            vec!["bias", EMBEDDING]
        }

        fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
            let shape: &[usize] = match name {
                EMBEDDING => &self.shape,
                "bias" => &[1],
                _ => return None,
            };
            Some(TensorInfo {
                dtype: Dtype::F32,
                shape,
            })
        }

        fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
            match name {
                EMBEDDING => Some(Box::new(&self.embedding[..])),
                "bias" => Some(Box::new(&[7.0f32][..])),
                _ => None,
            }
        }

        fn bytes(&self, name: &str) -> Option<&[u8]> {
            (name == EMBEDDING).then_some(&[])
        }
    }

    fn rows(model: &Relabelled<Model>) -> Vec<f32> {
        let source = model.source(EMBEDDING).unwrap();
        let mut out = vec![0.0; source.len()];
        source.read(0, &mut out);
        out.chunks(2).map(|row| row[0]).collect()
    }

    /// Tokens a to e: a in both, b in the first, c in the second, d in neither, e in both but
    /// taken from the second.
    fn tokens(padding: usize) -> Tokens {
        let second = |row| StandIn::Row(Row { model: 1, row });
        let first = |row| StandIn::Row(Row { model: 0, row });
        Tokens {
            own: vec![
                vec![Some(0), Some(1), None, None, None],
                vec![Some(2), None, Some(0), None, None],
            ],
            stand_ins: vec![StandIn::Mean, first(1), second(0), StandIn::Zero, second(1)],
            padding,
        }
    }

    #[test]
    fn each_model_has_its_own_rows_and_the_same_stand_ins() {
        let models = vec![Model::of(&[1.0, 2.0, 3.0]), Model::of(&[10.0, 20.0, 30.0])];
        let found = Relabelled::all(models, tokens(0));
        assert_eq!(rows(&found[0]), [1.0, 2.0, 10.0, 0.0, 20.0]);
        assert_eq!(rows(&found[1]), [30.0, 2.0, 10.0, 0.0, 20.0]);
        assert_eq!(found[0].info(EMBEDDING).unwrap().shape, [5, 2]);
        assert!(found[0].bytes(EMBEDDING).is_none());
        // What has no tokens stays as it is.
        assert_eq!(found[0].info("bias").unwrap().shape, [1]);
        assert!(found[0].source("other").is_none());
    }

    #[test]
    fn a_token_of_several_models_stands_as_their_mean_in_another() {
        let models = vec![Model::of(&[1.0]), Model::of(&[3.0]), Model::of(&[9.0])];
        let tokens = Tokens {
            own: vec![vec![Some(0)], vec![Some(0)], vec![None]],
            stand_ins: vec![StandIn::Mean],
            padding: 0,
        };
        let found = Relabelled::all(models, tokens);
        assert_eq!(rows(&found[2]), [2.0]);
    }

    #[test]
    fn padding_is_the_mean_of_all_tokens_of_the_model() {
        let models = vec![Model::of(&[1.0, 2.0, 3.0]), Model::of(&[10.0, 20.0, 30.0])];
        let found = Relabelled::all(models, tokens(2));
        let mean = 33.0 / 5.0;
        assert_eq!(rows(&found[0])[5..], [mean, mean]);
        assert_eq!(found[0].source(EMBEDDING).unwrap().len(), 14);
    }

    proptest! {
        #[test]
        fn any_part_reads_as_the_whole(start in 0usize..14, length in 0usize..14) {
            let models = vec![Model::of(&[1.0, 2.0, 3.0]), Model::of(&[10.0, 20.0, 30.0])];
            let found = Relabelled::all(models, tokens(2));
            let source = found[1].source(EMBEDDING).unwrap();
            let mut whole = vec![0.0; source.len()];
            source.read(0, &mut whole);
            let end = (start + length).min(whole.len());
            let mut part = vec![0.0; end - start];
            source.read(start, &mut part);
            prop_assert_eq!(&part[..], &whole[start..end]);
        }
    }
}
