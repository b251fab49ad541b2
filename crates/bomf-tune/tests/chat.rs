//! Conversations: read from files, written by a model's template, tokenised.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod tiny;

use bomf_tune::TuneError;
use bomf_tune::data::{Chat, DataOptions, Dataset, Message, Task, read_dataset};
use bomf_tune::models::Config;
use bomf_tune::pretrain::train_tokenizer;
use bomf_tune::tokenize::{ChatTemplate, TextTokenizer};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tiny::golden;

/// A folder with a template in its `tokenizer_config.json`.
fn folder(template: &Value, tokens: &Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = tokens.as_object().unwrap().clone();
    settings.insert("chat_template".into(), template.clone());
    let text = Value::Object(settings).to_string();
    fs::write(dir.path().join("tokenizer_config.json"), text).unwrap();
    dir
}

fn load(template: &str) -> ChatTemplate {
    let dir = folder(&json!(template), &json!({}));
    ChatTemplate::load(dir.path()).unwrap().unwrap()
}

fn chat(turns: &[(&str, &str)]) -> Vec<Message> {
    turns.iter().map(|(r, c)| Message::new(r, c)).collect()
}

#[test]
fn templates_write_what_transformers_writes() {
    let file = fs::read_to_string(golden("chat.json")).unwrap();
    let golden: Value = serde_json::from_str(&file).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["template"].as_str().unwrap();
        let dir = folder(&golden["templates"][name], &golden["tokens"]);
        let template = ChatTemplate::load(dir.path()).unwrap().unwrap();
        let of = |m: &Value, name: &str| m[name].as_str().unwrap().to_owned();
        let messages: Vec<Message> = (case["messages"].as_array().unwrap().iter())
            .map(|m| Message::new(&of(m, "role"), &of(m, "content")))
            .collect();
        let written = template.render(&messages, case["asks"] == true);
        match (written, case["text"].as_str()) {
            (Ok(text), Some(expected)) => assert_eq!(text, expected, "{name}"),
            (Err(error), None) => {
                let expected = case["error"].as_str().unwrap();
                assert!(error.to_string().ends_with(expected), "{name}: {error}");
            }
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
}

#[test]
fn a_template_stands_in_a_file_of_its_own_or_among_others_by_name() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ChatTemplate::load(dir.path()).unwrap().is_none());
    let named = json!([
        {"name": "tool_use", "template": "tools"},
        {"name": "default", "template": "named {{ bos_token }}"},
    ]);
    let dir = folder(
        &named,
        &json!({"bos_token": {"content": "<s>", "special": true}}),
    );
    let render = || {
        let template = ChatTemplate::load(dir.path()).unwrap().unwrap();
        template.render(&[], false).unwrap()
    };
    assert_eq!(render(), "named <s>");
    fs::write(
        dir.path().join("chat_template.jinja"),
        "own {{ bos_token }}",
    )
    .unwrap();
    assert_eq!(render(), "own <s>");
}

#[test]
fn what_is_wrong_with_a_template_is_said() {
    let dir = folder(&json!("{% for x in %}"), &json!({}));
    let error = ChatTemplate::load(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("tokenizer_config.json"),
        "{error}"
    );
    let endless =
        load("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}");
    assert!(endless.render(&[], true).is_err());

    // The prompt must be how the conversation begins.
    let other = load("{{ messages | length }}{{ messages[0].content }}");
    let whole = Chat {
        messages: chat(&[("user", "a"), ("assistant", "b")]),
        given: 1,
    };
    let error = other.turn(&whole).unwrap_err();
    assert!(matches!(error, TuneError::ChatTemplate { .. }), "{error}");
}

/// A template that marks turns.
const MARKED: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}\
                      {% if add_generation_prompt %}<assistant>{% endif %}";

#[test]
fn the_last_reply_is_the_completion_of_all_that_was_said_before() {
    let messages = chat(&[("system", "s"), ("user", "a"), ("assistant", "b")]);
    let whole = Chat { messages, given: 2 };
    let (prompt, completion) = load(MARKED).turn(&whole).unwrap();
    assert_eq!(prompt, "<system>s</><user>a</><assistant>");
    assert_eq!(completion, "b</>");
}

#[test]
fn special_tokens_of_a_template_are_neither_doubled_nor_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let lines = vec!["the old man and the sea".to_string(); 20];
    let trained = train_tokenizer(&lines, 60).unwrap();
    let path = dir.path().join("tokenizer.json");
    trained.save(&path, false).unwrap();
    let raw = json!({
        "model_type": "llama", "vocab_size": 100, "hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64,
        "eos_token_id": 3,
    });
    let raw = raw.as_object().unwrap().clone();
    let config = Config::from_raw(raw, Path::new("config.json")).unwrap();
    let tokenizer = TextTokenizer::load(dir.path(), &config, 64).unwrap();
    let turns = [("[CLS] the old man [SEP]", "the sea [SEP]")];
    let sequences = tokenizer.encode_turns(turns.into_iter()).unwrap();
    let id = |token: &str| trained.token_to_id(token).unwrap();
    let (first, last) = (id("[CLS]"), id("[SEP]"));
    let ids = sequences.ids(0);
    assert_eq!(ids.iter().filter(|&&i| i == first).count(), 1);
    assert_eq!(ids.iter().filter(|&&i| i == last).count(), 2);
    assert_eq!(sequences.targets(0), &ids[ids.len() - 3..]);
    let prompts = tokenizer
        .encode_turn_prompts(turns.iter().map(|t| t.0), 8)
        .unwrap();
    assert_eq!(prompts.ids(0), &ids[..ids.len() - 3]);
}

fn read(lines: &[Value]) -> Result<Dataset, String> {
    let dir = tempfile::tempdir().unwrap();
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    for split in ["train", "validation", "test"] {
        fs::write(dir.path().join(format!("{split}.jsonl")), text.join("\n")).unwrap();
    }
    let options = DataOptions {
        task: Some(Task::CausalLm),
        ..DataOptions::default()
    };
    read_dataset(dir.path(), &options).map_err(|error| error.to_string())
}

#[test]
fn every_reply_of_the_assistant_is_an_example() {
    let lines = [
        json!({"id": 1, "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d"},
        ]}),
        json!({"messages": [{"role": "user", "content": "e"}, {"role": "assistant", "content": "f"}]}),
    ];
    let data = read(&lines).unwrap();
    assert_eq!(data.columns.text, "messages");
    let replies: Vec<_> = data
        .train
        .texts
        .iter()
        .map(|e| e.text_pair.as_deref())
        .collect();
    assert_eq!(replies, [Some("b"), Some("d"), Some("f")]);
    assert_eq!(data.train.labels.len(), 3);
    let second = data.train.texts[1].chat.as_ref().unwrap();
    assert_eq!((second.given, second.messages.len()), (4, 5));
    assert_eq!(
        data.train.texts[1].text,
        "system: s\nuser: a\nassistant: b\nuser: c"
    );
    let note = "train split: 3 replies of the assistant in 2 conversations";
    assert!(data.notes.iter().any(|n| n == note), "{:?}", data.notes);
}

#[test]
fn other_forms_of_conversations_are_the_same_ones() {
    let sharegpt = [json!({"conversations": [
        {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},
    ]})];
    let pair = [json!({
        "prompt": [{"role": "user", "content": "a"}],
        "completion": [{"role": "assistant", "content": "b"}],
    })];
    for lines in [sharegpt, pair] {
        let data = read(&lines).unwrap();
        let expected = Chat::of_pair("a", "b");
        assert_eq!(data.train.texts[0].chat.as_ref(), Some(&expected));
        assert_eq!(data.train.len(), 1);
    }
    // Of a completion's conversation what stands in the prompt is given.
    let data = read(&[json!({
        "prompt": [
            {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        "completion": [{"role": "assistant", "content": "d"}],
    })]);
    assert_eq!(data.unwrap().train.len(), 1);
}

#[test]
fn the_replies_of_a_conversation_stay_together_where_splits_are_carved_off() {
    let dir = tempfile::tempdir().unwrap();
    let line = |i: usize| {
        json!({"messages": [
            {"role": "user", "content": format!("{i}")}, {"role": "assistant", "content": "a"},
            {"role": "user", "content": format!("{i}")}, {"role": "assistant", "content": "b"},
        ]})
        .to_string()
    };
    let text: Vec<String> = (0..40).map(line).collect();
    fs::write(dir.path().join("train.jsonl"), text.join("\n")).unwrap();
    let options = DataOptions {
        task: Some(Task::CausalLm),
        ..DataOptions::default()
    };
    let data = read_dataset(dir.path(), &options).unwrap();
    let mut seen = std::collections::HashMap::new();
    for split in data.splits() {
        assert!(
            !split.is_empty() && split.len().is_multiple_of(2),
            "{}",
            split.len()
        );
        for example in &split.texts {
            let first = example.chat.as_ref().unwrap().messages[0].content.clone();
            assert_eq!(*seen.entry(first).or_insert(split.name), split.name);
        }
    }
}

#[test]
fn what_is_no_conversation_is_named_with_its_line() {
    let good = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    for (messages, expected) in [
        (json!([{"role": "user", "content": "a"}]), "is without one"),
        (
            json!([{"role": "assistant", "content": "a"}]),
            "is without one",
        ),
        (json!([]), "is without one"),
        (json!([{"content": "a"}]), "a message without `role`"),
        (json!([{"role": "user"}]), "a message without a text"),
        (
            json!([{"role": "user", "content": 3}]),
            "a message without a text",
        ),
        (json!(["a"]), "a string"),
        (json!({"role": "user"}), "an object"),
    ] {
        let error = read(&[good.clone(), json!({"messages": messages})]).unwrap_err();
        assert!(
            error.contains("train.jsonl:2: column `messages`"),
            "{error}"
        );
        assert!(error.contains(expected), "{error}");
    }
}
