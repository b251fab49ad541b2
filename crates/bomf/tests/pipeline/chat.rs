//! Runs on conversations, which the model's own template writes.

use crate::decoders::{decoder, write_completions};
use crate::fixture::{FIXED, names, recipe, request};
use bomf::{GenerateRequest, Prompts, RunRequest, Silent, Split};
use serde_json::{Value, json};
use std::path::Path;

const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }} \
                        {{ eos_token }} {% endfor %}\
                        {% if add_generation_prompt %}assistant: {% endif %}";

const TASK: &str =
    "task: {kind: causal_lm, metrics: [exact_match], generation: {max_new_tokens: 4}";

/// Gives a model a template, and the special tokens that it names.
fn teach(model: &Path) {
    std::fs::write(model.join("chat_template.jinja"), TEMPLATE).unwrap();
    let settings = json!({"bos_token": "[CLS]", "eos_token": "[SEP]"});
    std::fs::write(model.join("tokenizer_config.json"), settings.to_string()).unwrap();
}

/// The same prompts and completions as conversations.
fn write_chats(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for split in ["train", "validation", "test"] {
        let text = std::fs::read_to_string(from.join(format!("{split}.jsonl"))).unwrap();
        let lines = text.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let message = |role: &str, content: &Value| json!({"role": role, "content": content});
            let messages = [
                message("user", &row["prompt"]),
                message("assistant", &row["completion"]),
            ];
            json!({"messages": messages}).to_string()
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(to.join(format!("{split}.jsonl")), text).unwrap();
    }
}

fn prepare(dir: &Path, task: &str) -> RunRequest {
    let (plain, chats) = (dir.join("plain"), dir.join("chats"));
    write_completions(&plain);
    write_chats(&plain, &chats);
    let mut request = request(
        &chats,
        &dir.join("out"),
        recipe(&format!("{task}\n{FIXED}")),
    );
    request.model = decoder(dir).display().to_string();
    request
}

#[test]
fn a_model_learns_conversations_and_answers_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = prepare(dir.path(), &format!("{TASK}}}"));
    let error = bomf::run(&run, &mut Silent).unwrap_err();
    assert!(
        error.to_string().contains("has no chat template"),
        "{error}"
    );
    assert!(error.is_bad_input() && error.hint().is_some());
    assert!(!run.out.exists());

    teach(Path::new(&run.model));
    let results = bomf::run(&run, &mut Silent).unwrap();
    let bomf = results.methods.last().unwrap();
    assert!(bomf.report["exact_match"] > 0.5, "{:?}", bomf.report);
    // The fused model is one for conversations.
    let fused = run.out.join("fused");
    assert!(names(&fused).contains(&"chat_template.jinja".to_string()));

    let prompts = Prompts::Data {
        dir: run.data.clone(),
        split: Split::Test,
    };
    let mut generation = GenerateRequest {
        model: fused.display().to_string(),
        prompts,
        recipe: run.recipe.clone(),
        threads: 1,
    };
    let written = bomf::generate(&generation, &mut Silent).unwrap();
    let right = written
        .iter()
        .filter(|g| Some(&g.text) == g.reference.as_ref());
    let share = right.count() as f64 / written.len() as f64;
    assert!((share - bomf.report["exact_match"]).abs() < 1e-9, "{share}");
    assert!(written[0].prompt.starts_with("user: "), "{:?}", written[0]);

    // Prompts and completions are the same conversations where that is asked for.
    run.data = dir.path().join("plain");
    run.out = dir.path().join("pairs");
    run.recipe = recipe(&format!("{TASK}, chat: true}}\n{FIXED}"));
    let pairs = bomf::run(&run, &mut Silent).unwrap();
    assert_eq!(pairs.methods.last().unwrap().report, bomf.report);
    generation.recipe = run.recipe.clone();
    generation.prompts = Prompts::Texts(vec![written[0].prompt.replace("user: ", "")]);
    let alone = bomf::generate(&generation, &mut Silent).unwrap();
    assert_eq!(alone[0].text, written[0].text);
}

#[test]
fn what_cannot_be_a_conversation_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = prepare(
        dir.path(),
        "task: {kind: causal_lm, chat: true, columns: {text: prompt}}",
    );
    teach(Path::new(&run.model));
    let refused = |data: &str, recipe_text: &str| {
        let request = RunRequest {
            data: dir.path().join(data),
            recipe: recipe(recipe_text),
            ..run.clone()
        };
        let error = bomf::run(&request, &mut Silent).unwrap_err();
        assert!(error.is_bad_input(), "{error}");
        error.to_string()
    };
    let text = "task: {kind: causal_lm, chat: true, columns: {text: prompt}}";
    let error = refused("plain", text);
    assert!(error.contains("`task.chat` is true"), "{error}");
    let text = "task: {chat: true, columns: {text: prompt, label: completion}}";
    let error = refused("plain", text);
    assert!(error.contains("not causal_lm"), "{error}");
    let error = refused("chats", "task: {kind: seq2seq}");
    assert!(error.contains("causal_lm"), "{error}");
}
