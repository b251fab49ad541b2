//! Runs of encoders on questions, choices and tagged words.

use crate::fixture::{FIXED, fusion, recipe, request};
use bomf::study::{MethodName, Results, Scores};
use bomf::{EvalRequest, Pick, PickRequest, Recipe, Silent, Split};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const GOOD: [&str; 4] = ["bright", "warm", "kind", "clear"];
const BAD: [&str; 4] = ["dark", "cold", "cruel", "muddy"];
const PLAIN: [&str; 8] = [
    "house", "by", "river", "stood", "near", "road", "and", "town",
];

fn pick<'a>(words: &[&'a str], rng: &mut impl Rng) -> &'a str {
    words[rng.random_range(0..words.len())]
}

fn plain(n: usize, rng: &mut impl Rng) -> Vec<&'static str> {
    (0..n).map(|_| pick(&PLAIN, rng)).collect()
}

/// Which word of a plain text is a good one, if any is.
fn question(i: usize, rng: &mut ChaCha8Rng) -> Value {
    let n = rng.random_range(6..30);
    let mut words = plain(n, rng);
    let mut answers = Vec::new();
    if rng.random_range(0..4) > 0 {
        let place = rng.random_range(0..words.len());
        words[place] = pick(&GOOD, rng);
        let start = words[..place].iter().map(|w| w.len() + 1).sum::<usize>();
        answers.push(json!({"text": words[place], "answer_start": start}));
    }
    let context = words.join(" ");
    json!({"id": format!("q{i}"), "question": "the good", "context": context, "answers": answers})
}

/// Which of three words is like those of the prompt.
fn choice(_: usize, rng: &mut ChaCha8Rng) -> Value {
    let right = rng.random_range(0..3);
    let is_good = rng.random_range(0..2) == 0;
    let (like, unlike) = if is_good { (GOOD, BAD) } else { (BAD, GOOD) };
    let choices = (0..3).map(|k| pick(if k == right { &like } else { &unlike }, rng));
    let choices: Vec<&str> = choices.collect();
    let prompt = (0..5).map(|_| pick(&like, rng)).collect::<Vec<_>>();
    let letter = ["A", "B", "C"][right];
    json!({"prompt": prompt.join(" "), "choices": choices, "answer": letter})
}

/// Good and bad words as entities, two of a kind in a row as one.
fn words(_: usize, rng: &mut ChaCha8Rng) -> Value {
    let n = rng.random_range(3..10);
    let (mut words, mut tags) = (Vec::new(), Vec::<String>::new());
    for _ in 0..n {
        let (word, kind) = match rng.random_range(0..3) {
            0 => (pick(&GOOD, rng), "GOOD"),
            1 => (pick(&BAD, rng), "BAD"),
            _ => (pick(&PLAIN, rng), ""),
        };
        let goes_on = tags.last().is_some_and(|tag| tag[2..] == *kind);
        words.push(word);
        tags.push(match kind {
            "" => "O-".into(),
            kind if goes_on => format!("I-{kind}"),
            kind => format!("B-{kind}"),
        });
    }
    let tags: Vec<&str> = tags.iter().map(|t| t.trim_start_matches("O-")).collect();
    let tags: Vec<&str> = tags
        .iter()
        .map(|t| if t.is_empty() { "O" } else { t })
        .collect();
    json!({"tokens": words, "tags": tags})
}

/// A run on 240 generated examples, and the folders that it leaves.
struct Ran {
    _dir: tempfile::TempDir,
    data: PathBuf,
    out: PathBuf,
    recipe: Recipe,
    results: Results,
}

fn run(example: fn(usize, &mut ChaCha8Rng) -> Value, task: &str) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    std::fs::create_dir_all(&data).unwrap();
    for (split, n, seed) in [("train", 240, 1), ("validation", 48, 2), ("test", 48, 3)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let lines: Vec<String> = (0..n).map(|i| example(i, &mut rng).to_string()).collect();
        std::fs::write(data.join(format!("{split}.jsonl")), lines.join("\n")).unwrap();
    }
    let recipe = recipe(&format!("task: {task}\n{FIXED}"));
    let results = bomf::run(&request(&data, &out, recipe.clone()), &mut Silent).unwrap();
    assert_eq!(results.methods.len(), MethodName::OF_EVERY_RUN.len());
    assert_eq!(results.splits.train, 240);
    Ran {
        _dir: dir,
        data,
        out,
        recipe,
        results,
    }
}

impl Ran {
    fn bomf(&self) -> &bomf::study::Method {
        let mut methods = self.results.methods.iter();
        methods.find(|m| m.name == MethodName::Bomf).unwrap()
    }

    fn objectives(&self) -> Vec<&str> {
        let all = self.results.objectives.iter();
        all.map(|o| o.name.as_str()).collect()
    }

    fn architecture(&self) -> Value {
        let config = std::fs::read_to_string(self.out.join("fused/config.json")).unwrap();
        serde_json::from_str::<Value>(&config).unwrap()["architectures"][0].clone()
    }

    /// Scores and predictions of a model on the report split.
    fn eval(&self, model: &Path) -> (Scores, Vec<Value>) {
        let predictions = self.out.join("predictions.jsonl");
        let request = EvalRequest {
            model: model.display().to_string(),
            data: self.data.clone(),
            split: Split::Test,
            recipe: self.recipe.clone(),
            predictions: Some(predictions.clone()),
            threads: 1,
        };
        let scores = bomf::eval(&request, &mut Silent).unwrap();
        let text = std::fs::read_to_string(predictions).unwrap();
        let lines = text.lines().map(|l| serde_json::from_str(l).unwrap());
        (scores, lines.collect())
    }

    /// The fused model scores what was reported; what `bomf pick` writes does on its split; the
    /// search's own predictions were its scores' functions.
    fn check_fused(&self) -> Vec<Value> {
        let (scores, lines) = self.eval(&self.out.join("fused"));
        for (name, reported) in &self.bomf().report {
            assert!((scores[name] - reported).abs() < 1e-6, "{name}");
        }
        let target = self.out.join("picked");
        let pick = PickRequest {
            run: self.out.clone(),
            pick: Pick::Method(MethodName::Bomf),
            target: target.clone(),
            threads: 1,
        };
        bomf::pick(&pick).unwrap();
        assert_eq!(self.eval(&target).0, scores);
        lines
    }
}

#[test]
fn questions_are_answered_or_left_open() {
    let task = "{kind: question_answering, max_length: 24, metrics: [f1, exact_match], \
                question_answering: {doc_stride: 6, max_answer_length: 3}}";
    let ran = run(question, task);
    assert_eq!(ran.results.task_kind, "question_answering");
    assert_eq!(ran.objectives(), ["loss", "f1", "exact_match"]);
    assert_eq!(ran.architecture(), "BertForQuestionAnswering");
    let notes = ran.results.notes.join("\n");
    assert!(notes.contains("train split: 240 questions, "), "{notes}");
    let curve = &ran.results.finetune.curve;
    assert!(curve[curve.len() - 1].select["loss"] < 0.8 * curve[0].select["loss"]);
    // A quarter has no answer: never to give one is right so often.
    assert!(ran.bomf().select["f1"] > 0.5, "{:?}", ran.bomf().select);
    let lines = ran.check_fused();
    let text = std::fs::read_to_string(ran.data.join("test.jsonl")).unwrap();
    let mut right = 0;
    for (line, own) in lines.iter().zip(text.lines()) {
        let own: Value = serde_json::from_str(own).unwrap();
        assert_eq!(line["id"], own["id"]);
        let answer = own["answers"][0]["text"].as_str().unwrap_or_default();
        right += usize::from(line["prediction"] == answer);
    }
    let share = right as f64 / lines.len() as f64;
    assert!((share - ran.bomf().report["exact_match"]).abs() < 1e-9);

    // Members fuse by themselves too, and the trained adapters' kind is PEFT's.
    let members: Vec<PathBuf> = (ran.results.finetune.members.iter())
        .map(|member| ran.out.join(&member.path))
        .collect();
    let out = ran.out.join("fusion");
    let fused = bomf::fuse(
        &fusion(&members, &ran.data, &out, ran.recipe.clone()),
        &mut Silent,
    );
    assert_eq!(fused.unwrap().task_kind, "question_answering");
}

#[test]
fn the_right_choice_is_learnt() {
    let ran = run(choice, "{kind: multiple_choice}");
    assert_eq!(ran.objectives(), ["loss", "accuracy"]);
    assert_eq!(ran.architecture(), "BertForMultipleChoice");
    assert!(
        ran.bomf().select["accuracy"] > 0.6,
        "{:?}",
        ran.bomf().select
    );
    let lines = ran.check_fused();
    assert!(
        lines
            .iter()
            .all(|line| line["logits"].as_array().unwrap().len() == 3)
    );
    let notes = ran.results.notes.join("\n");
    assert!(notes.contains("choices `choices`"), "{notes}");
}

#[test]
fn words_are_tagged_and_entities_found() {
    let task = "{kind: token_classification, metrics: [f1, accuracy, precision]}";
    let ran = run(words, task);
    assert_eq!(ran.objectives(), ["loss", "f1", "accuracy", "precision"]);
    assert_eq!(ran.architecture(), "BertForTokenClassification");
    assert!(ran.bomf().select["f1"] > 0.6, "{:?}", ran.bomf().select);
    let lines = ran.check_fused();
    let text = std::fs::read_to_string(ran.data.join("test.jsonl")).unwrap();
    for (line, own) in lines.iter().zip(text.lines()) {
        let own: Value = serde_json::from_str(own).unwrap();
        let count = |v: &Value| v.as_array().unwrap().len();
        assert_eq!(count(&line["prediction"]), count(&own["tags"]));
    }
}

#[test]
fn questions_train_adapters_and_a_decoder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    std::fs::create_dir_all(&data).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let lines: Vec<String> = (0..120)
        .map(|i| question(i, &mut rng).to_string())
        .collect();
    std::fs::write(data.join("train.jsonl"), lines.join("\n")).unwrap();
    let mut recipe = recipe(&format!(
        "task: {{kind: question_answering, max_length: 24}}\n{FIXED}"
    ));
    recipe.finetune.lora = Some(bomf::recipe::LoraOptions::default());
    recipe.finetune.epochs = 2;
    let mut request = request(&data, &out, recipe);
    let results = bomf::run(&request, &mut Silent).unwrap();
    assert!(results.splits.report > 0, "carved off by texts");
    let adapter = std::fs::read_dir(out.join("adapters")).unwrap().next();
    let config = adapter.unwrap().unwrap().path().join("adapter_config.json");
    let config: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    assert_eq!(config["task_type"], "QUESTION_ANS");
    assert_eq!(config["modules_to_save"], json!(["qa_outputs"]));

    request.model = crate::decoders::decoder(dir.path()).display().to_string();
    request.out = dir.path().join("other");
    let error = bomf::run(&request, &mut Silent).unwrap_err().to_string();
    assert!(
        error.contains("a decoder has no head for this task"),
        "{error}"
    );
    assert!(!request.out.exists());
}
