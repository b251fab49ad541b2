//! A tiny pre-trained encoder, data to go with it, recipes of a second or two, and
//! observers.

use bomf::study::Results;
use bomf::{
    Dtype, FuseRequest, Observer, Phase, PretrainRequest, Recipe, RunRequest, Silent, pretrain,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const GOOD: [&str; 8] = [
    "bright", "warm", "kind", "clear", "fresh", "sweet", "calm", "fine",
];
const BAD: [&str; 8] = [
    "dark", "cold", "cruel", "muddy", "stale", "bitter", "harsh", "poor",
];
const PLAIN: [&str; 12] = [
    "the", "house", "by", "river", "stood", "near", "road", "and", "town", "with", "old", "trees",
];

/// What the labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `bad` or `good`.
    Sentences,
    /// The same, of two texts.
    Pairs,
    /// `bad`, `good` or `plain`.
    Three,
    /// A number from about -1 to 1.
    Values,
}

/// An example: text, second text, label.
pub type Row = (String, Option<String>, String);

fn pick<'a>(words: &[&'a str], rng: &mut impl Rng) -> &'a str {
    words[rng.random_range(0..words.len())]
}

/// A sentence and its tone: the good words less the bad ones, over all words.
fn sentence(rng: &mut impl Rng) -> (String, f64) {
    let length = rng.random_range(4..9);
    let lean: f64 = rng.random_range(0.0..1.0);
    let mut tone = 0.0;
    let words: Vec<&str> = (0..length)
        .map(|_| match rng.random_range(0.0..1.0) {
            x if x < 0.5 => pick(&PLAIN, rng),
            _ if rng.random_range(0.0..1.0) < lean => {
                tone += 1.0;
                pick(&GOOD, rng)
            }
            _ => {
                tone -= 1.0;
                pick(&BAD, rng)
            }
        })
        .collect();
    (words.join(" "), tone / length as f64)
}

/// `n` examples; one label in eight is drawn by lot.
pub fn rows(kind: Kind, n: usize, seed: u64) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let (text, tone) = sentence(&mut rng);
            let pair = (kind == Kind::Pairs).then(|| sentence(&mut rng).0);
            let lot = rng.random_range(0..8) == 0;
            let tone = if lot {
                rng.random_range(-1.0..1.0)
            } else {
                tone
            };
            let label = match kind {
                Kind::Values => format!("{tone:.3}"),
                Kind::Three if tone.abs() < 0.2 => "plain".into(),
                _ if tone > 0.0 => "good".into(),
                _ => "bad".into(),
            };
            (text, pair, label)
        })
        .collect()
}

/// Writes a split as `dir/<split>.<format>`: `jsonl`, `csv` or `tsv`.
pub fn write_split(dir: &Path, split: &str, format: &str, rows: &[Row]) {
    std::fs::create_dir_all(dir).unwrap();
    let has_pair = rows.iter().any(|(_, pair, _)| pair.is_some());
    let separator = if format == "tsv" { "\t" } else { "," };
    let mut text = String::new();
    if format != "jsonl" {
        let names = match has_pair {
            true => vec!["sentence1", "sentence2", "label"],
            false => vec!["text", "label"],
        };
        text.push_str(&names.join(separator));
        text.push('\n');
    }
    for (first, second, label) in rows {
        let line = match (format, second) {
            ("jsonl", None) => serde_json::json!({"text": first, "label": label}).to_string(),
            ("jsonl", Some(second)) => {
                serde_json::json!({"sentence1": first, "sentence2": second, "label": label})
                    .to_string()
            }
            (_, None) => [first.as_str(), label].join(separator),
            (_, Some(second)) => [first.as_str(), second, label].join(separator),
        };
        text.push_str(&line);
        text.push('\n');
    }
    std::fs::write(dir.join(format!("{split}.{format}")), text).unwrap();
}

/// Train, validation and test of 200, 48 and 48 examples.
pub fn write_data(dir: &Path, kind: Kind, format: &str) {
    for (split, n, seed) in [("train", 200, 1), ("validation", 48, 2), ("test", 48, 3)] {
        write_split(dir, split, format, &rows(kind, n, seed));
    }
}

fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A BERT of two layers of width 32, pre-trained once for all tests.
pub fn encoder() -> &'static Path {
    static ENCODER: OnceLock<PathBuf> = OnceLock::new();
    ENCODER.get_or_init(|| {
        let corpus = shared("corpus.txt");
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let lines: Vec<String> = (0..1000).map(|_| sentence(&mut rng).0).collect();
        std::fs::write(&corpus, lines.join("\n")).unwrap();
        let out = shared("encoder");
        pretrain(&pretraining(&corpus, &out), &mut Silent).unwrap();
        out
    })
}

pub fn pretraining(corpus: &Path, out: &Path) -> PretrainRequest {
    PretrainRequest {
        corpus: vec![corpus.into()],
        out: out.into(),
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 64,
        vocab_size: 200,
        max_length: 32,
        epochs: 8,
        batch_size: 16,
        learning_rate: 3e-3,
        dtype: Dtype::F16,
        seed: 0,
        threads: 1,
        overwrite: true,
    }
}

/// The recipe of a run that takes a second.
pub const TINY: &str = "
stage1:
  trials: 2
  initial: 1
  epochs: 1
  space:
    learning_rate: {type: log_float, low: 1.0e-3, high: 3.0e-3}
    batch_size: {type: int, low: 4, high: 8}
finetune:
  epochs: 4
members:
  count: 4
stage2:
  evaluations: 6
";

/// [`TINY`] without stage 1.
pub const FIXED: &str = "
stage1: {trials: 0}
finetune: {epochs: 4, learning_rate: 2.0e-3, batch_size: 8}
members: {count: 4}
stage2: {evaluations: 6}
";

pub fn recipe(text: &str) -> Recipe {
    Recipe::from_yaml(text, "test").unwrap()
}

pub fn request(data: &Path, out: &Path, recipe: Recipe) -> RunRequest {
    RunRequest {
        model: encoder().display().to_string(),
        data: data.into(),
        out: out.into(),
        recipe,
        threads: 1,
        overwrite: false,
        workers: None,
    }
}

pub fn fusion(members: &[PathBuf], data: &Path, out: &Path, recipe: Recipe) -> FuseRequest {
    FuseRequest {
        members: members.into(),
        data: Some(data.into()),
        out: out.into(),
        recipe,
        threads: 1,
        overwrite: false,
    }
}

/// A finished run that tests may read and must not change.
pub struct Finished {
    pub data: PathBuf,
    pub out: PathBuf,
    pub results: Results,
    pub told: Recording,
}

pub fn finished() -> &'static Finished {
    static FINISHED: OnceLock<Finished> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let (data, out) = (shared("data"), shared("run"));
        let _ = std::fs::remove_dir_all(&out);
        write_data(&data, Kind::Sentences, "jsonl");
        let mut told = Recording::default();
        let results = bomf::run(&request(&data, &out, recipe(TINY)), &mut told).unwrap();
        Finished {
            data,
            out,
            results,
            told,
        }
    })
}

/// The member folders of the finished run, by rising step.
pub fn finished_members() -> Vec<PathBuf> {
    let run = finished();
    let members = run.results.finetune.members.iter();
    members.map(|member| run.out.join(&member.path)).collect()
}

/// Everything that an observer was told.
#[derive(Debug, Default)]
pub struct Recording {
    pub notes: Vec<String>,
    pub progress: Vec<(Phase, u64)>,
    pub totals: Vec<(Phase, u64)>,
    pub ended: Vec<Phase>,
}

impl Observer for Recording {
    fn begin(&mut self, phase: Phase, total: u64) {
        self.totals.push((phase, total));
    }
    fn advance(&mut self, phase: Phase, done: u64, _: &str) {
        self.progress.push((phase, done));
    }
    fn end(&mut self, phase: Phase) {
        self.ended.push(phase);
    }
    fn note(&mut self, note: &str) {
        self.notes.push(note.into());
    }
}

/// Interrupts at the `after`-th time that it is asked within `phase`.
pub struct Interrupting {
    phase: Phase,
    running: bool,
    left: Cell<usize>,
}

impl Interrupting {
    pub fn new(phase: Phase, after: usize) -> Self {
        Interrupting {
            phase,
            running: false,
            left: Cell::new(after),
        }
    }
}

impl Observer for Interrupting {
    fn begin(&mut self, phase: Phase, _: u64) {
        self.running |= phase == self.phase;
    }
    fn advance(&mut self, _: Phase, _: u64, _: &str) {}
    fn end(&mut self, phase: Phase) {
        assert!(phase != self.phase, "{phase:?} ended without a question");
    }
    fn note(&mut self, _: &str) {}
    fn interrupted(&self) -> bool {
        if self.running {
            self.left.set(self.left.get().saturating_sub(1));
        }
        self.running && self.left.get() == 0
    }
}

/// The names in a folder, sorted; empty where there is no such folder.
pub fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in names(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}
