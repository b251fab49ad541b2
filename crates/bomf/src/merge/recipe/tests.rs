//! Reading mergekit's YAML.

use super::*;
use bomf_checkpoint::Dtype;
use bomf_fuse::method::Value;
use bomf_fuse::recipe::{Body, Settings};
use proptest::prelude::*;

fn read(text: &str) -> MergeFile {
    match MergeFile::from_yaml(text, "recipe.yaml", 0) {
        Ok(file) => file,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// The message and the hint of what is wrong with a recipe.
fn wrong(text: &str) -> (String, String) {
    match MergeFile::from_yaml(text, "recipe.yaml", 0) {
        Ok(file) => panic!("{file:?}"),
        Err(error) => (error.to_string(), error.hint().unwrap_or_default()),
    }
}

fn number(settings: &Settings, name: &str, tensor: &str, t: f64) -> Option<f64> {
    match settings.get(name)?.value(tensor, t)? {
        Value::Number(number) => Some(number),
        Value::Flag(_) => None,
    }
}

#[test]
fn a_recipe_of_models_is_read_whole() {
    let file = read(
        "\
merge_method: ties
base_model: ./base
models:
  - model: ./base
  - model: a
    parameters:
      density: [1, 0.7, 0.1]
      weight: 1e-1
  - model: b
    parameters:
      density: 0.33
      weight:
        - filter: mlp
          value: [0.5, 1]
        - value: 0
parameters:
  normalize: yes
  int8_mask: true
dtype: float16
out_dtype: torch.bfloat16
tokenizer_source: base
chat_template: auto
",
    );
    let recipe = &file.recipe;
    assert_eq!(recipe.method().spec().name, "ties");
    assert_eq!(recipe.models(), ["./base", "a", "b"]);
    assert_eq!((recipe.base(), recipe.reference()), (Some(0), 0));
    assert_eq!(recipe.dtype(), Some(Dtype::F16));
    assert_eq!(recipe.out_dtype(), Some(Dtype::BF16));
    assert_eq!(
        recipe
            .parameters()
            .get("normalize")
            .and_then(|s| s.value("x", 0.0)),
        Some(Value::Flag(true))
    );
    let tokenizer = file.tokenizer.map(|tokenizer| tokenizer.source);
    assert_eq!(tokenizer, Some(TokenizerSource::Base));
    assert_eq!(file.chat_template, ChatTemplate::Auto);
    assert_eq!(file.notes, [""; 0]);
    let Body::Models(inputs) = recipe.body() else {
        panic!("{recipe:?}")
    };
    let (a, b) = (&inputs[1].parameters, &inputs[2].parameters);
    assert_eq!(number(a, "density", "x", 0.25), Some(0.85));
    assert_eq!(number(a, "weight", "x", 0.0), Some(0.1));
    assert_eq!(number(b, "weight", "layers.0.mlp.up", 0.5), Some(0.75));
    assert_eq!(number(b, "weight", "layers.0.attn", 0.5), Some(0.0));
}

#[test]
fn rows_of_tokens_are_read_as_mergekit_writes_them() {
    let file = read(
        "\
merge_method: linear
models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]
tokenizer:
  tokens:
    <|im_start|>: {source: b}
    <|im_end|>: {source: {kind: model_token, model: a, token: </s>}, force: true}
    <x>: {source: {kind: model_token, model: a, token_id: 7}}
    <y>: {source: {kind: zero}}
    <z>: {}
  pad_to_multiple_of: 64
",
    );
    let rows = |source, force| TokenRows { source, force };
    let end = RowSource::Token {
        model: 0,
        token: "</s>".into(),
    };
    let seventh = RowSource::Number {
        model: 0,
        number: 7,
    };
    let expected = Tokenizer {
        source: TokenizerSource::Union,
        tokens: vec![
            (
                "<|im_start|>".into(),
                rows(Some(RowSource::Model(1)), false),
            ),
            ("<|im_end|>".into(), rows(Some(end), true)),
            ("<x>".into(), rows(Some(seventh), false)),
            ("<y>".into(), rows(Some(RowSource::Zero), false)),
            ("<z>".into(), rows(None, false)),
        ],
        pad_to_multiple_of: Some(64),
    };
    assert_eq!(file.tokenizer, Some(expected));
}

#[test]
fn a_recipe_of_slices_may_stand_in_a_module() {
    let slices = "
  - sources:
      - model: a
        layer_range: [0, 8]
      - model: b
        layer_range: [4, 12]
    parameters: {t: 0.1}
";
    let plain =
        format!("merge_method: slerp\nbase_model: a\nparameters: {{t: 0.3}}\nslices:{slices}");
    let file = read(&plain);
    let Body::Slices(found) = file.recipe.body() else {
        panic!("{file:?}")
    };
    assert_eq!(found[0].sources[1].layers, 4..12);
    assert_eq!(number(&found[0].parameters, "t", "x", 0.0), Some(0.1));

    let nested = slices.replace('\n', "\n    ");
    let module = format!(
        "merge_method: slerp\nbase_model: a\nmodules:\n  default:\n    parameters: {{t: 0.7}}\n    slices:{nested}"
    );
    let file = read(module.trim_end());
    assert_eq!(number(file.recipe.parameters(), "t", "x", 0.0), Some(0.7));
    let error = wrong("merge_method: linear\nmodules:\n  text_decoder: {models: [{model: a}]}\n");
    assert!(
        error.0.contains("module by module (text_decoder)"),
        "{error:?}"
    );
}

#[test]
fn parameters_without_effect_are_noted_and_unknown_ones_refused() {
    let file = read(
        "\
merge_method: linear
models:
  - model: a
    parameters: {weight: 1, density: 0.5, normalize: false}
",
    );
    assert_eq!(
        file.notes,
        [
            "recipe.yaml line 4: `models[0].parameters.density`: linear has no such parameter; it \
             has no effect",
            "recipe.yaml line 4: `models[0].parameters.normalize`: it is one for all models, and \
             has no effect here",
        ]
    );
    let (error, hint) =
        wrong("merge_method: linear\nmodels: [{model: a}]\nparameters:\n  wieght: 1\n");
    assert_eq!(
        error,
        "recipe.yaml line 4: unknown field `wieght` in `parameters`"
    );
    assert_eq!(hint, "did you mean `weight`?");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let head = "merge_method: ties\nbase_model: base\nmodels:\n  - model: a\n    parameters:\n";
    for (text, line, words) in [
        ("", 0, "must be a mapping"),
        ("- a", 1, "must be a mapping"),
        ("models: [{model: a}]", 1, "that has `merge_method`"),
        (
            "merge_method: linear\nmodels: []",
            2,
            "a list that is not empty",
        ),
        (
            "merge_method: linear\nmodels: [{modle: a}]",
            2,
            "that has `model`",
        ),
        ("merge_method: linear\nmodels: [a]", 2, "that has `model`"),
        (
            "merge_method: linear\nmodels: [{model: a}]\nslices: []",
            3,
            "left out",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ndtype: bf16",
            3,
            "bfloat16",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ntokenizer_source: x",
            3,
            "base, union",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ntokenizer: {tokens: [x]}",
            3,
            "a mapping from tokens",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {force: true}}}",
            3,
            "`source` beside `force`",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {source: b}}}",
            3,
            "one of the recipe's models",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {source: {kind: one}}}}",
            3,
            "zero",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {source: {kind: model_token, model: a}}}}",
            3,
            "one of `token` and `token_id`",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\ntokenizer: {pad_to_multiple_of: 0}",
            3,
            "from 1 to",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\nchat_template: chatlm",
            3,
            "alpaca, chatml, exaone",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\nalign: rotation",
            3,
            "permutation",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\nalign: {kind: permutation, regularisation: 1}",
            3,
            "left out",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}]\nalign: {kind: transport, regularisation: -1}",
            3,
            "at least 0",
        ),
        (
            "merge_method: fisher\nmodels: [{model: a, statistics: f}]\nalign: permutation",
            3,
            "statistics",
        ),
        (
            "merge_method: linear\nslices:\n  - sources: [{model: a, statistics: f, layer_range: [0, 1]}]\n  - sources: [{model: a, statistics: g, layer_range: [1, 2]}]",
            4,
            "as for the same model above",
        ),
        (
            "merge_method: linear\nmodels:\n  - model: a+",
            3,
            "`model+adapter`",
        ),
        (&format!("{head}      weight: one\n"), 6, "a number"),
        (&format!("{head}      weight: [1, [2]]\n"), 6, "a number"),
        (&format!("{head}      weight: []\n"), 6, "not empty"),
        (
            &format!("{head}      weight:\n        - filter: mlp\n"),
            7,
            "that has `value`",
        ),
        (
            &format!("{head}      weight:\n        - {{value: 1, fitler: x}}\n"),
            7,
            "unknown field",
        ),
        (&format!("{head}      density: 1.5\n"), 6, "at most 1"),
        (
            &format!("{head}      density: .nan\n"),
            6,
            "not a finite number",
        ),
        (
            "merge_method: ties\nmodels: [{model: a}]",
            2,
            "needs a base model",
        ),
        (
            "merge_method: slerp\nbase_model: a\nmodels: [{model: a}]",
            3,
            "takes 1 model",
        ),
        (
            "merge_method: linear\nmodels: [{model: a}, {model: a}]",
            2,
            "named twice",
        ),
        (
            "merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [2, 2]}]}]",
            2,
            "greater than",
        ),
        (
            "merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: 2}]}]",
            2,
            "a list",
        ),
        (
            "merge_method: slerp\nbase_model: a\nslices:\n  - sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: [0, 3]}]",
            4,
            "a slice has layers 0 to 3 of b but 0 to 2 of a",
        ),
    ] {
        let (error, _) = wrong(text);
        assert!(error.contains(words), "{text}\n{error}");
        let place = format!("recipe.yaml line {line}: ");
        assert!(line == 0 || error.starts_with(&place), "{text}\n{error}");
    }
}

/// Recipes that have everything a recipe can have.
const WHOLE: [&str; 2] = [
    "\
merge_method: della
base_model: ./base
models:
  - model: a
    parameters: {density: [1, 0.7, 0.1], weight: 1e-1}
  - model: b
    parameters:
      weight:
        - filter: mlp
          value: [0.5, 1]
        - value: 0
parameters: {normalize: yes, int8_mask: true, epsilon: 0.05}
dtype: float16
out_dtype: bfloat16
tokenizer: {source: base}
chat_template: \"{{ x }}\"
",
    "\
modules:
  default:
    slices:
      - sources:
          - {model: a, layer_range: [0, 8]}
          - {model: b, layer_range: [4, 12]}
        parameters: {t: 0.1}
        residual_weight: 1
merge_method: slerp
base_model: a
parameters: {t: 0.3}
tokenizer_source: union
",
];

/// What takes the place of some characters: what YAML and recipes are made of.
const PIECES: [&str; 24] = [
    "",
    " ",
    "\n",
    "  ",
    "- ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "&a ",
    "*a",
    "!!int ",
    "|\n",
    "\"",
    "'",
    "~",
    "-1",
    "1e999",
    ".nan",
    "18446744073709551616",
    "models",
];

proptest! {
    #[test]
    fn a_damaged_recipe_is_a_recipe_or_a_clear_error(
        which in 0usize..2,
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..8, 0usize..PIECES.len()), 1..5,
        ),
    ) {
        let mut text = WHOLE[which].to_owned();
        for (at, len, piece) in edits {
            // All of it is ASCII.
            let start = at.index(text.len() + 1);
            let end = text.len().min(start + len);
            text.replace_range(start..end, PIECES[piece]);
        }
        if let Err(error) = MergeFile::from_yaml(&text, "recipe.yaml", 0) {
            prop_assert!(!error.to_string().is_empty());
            prop_assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
        }
    }

    #[test]
    fn any_text_is_a_recipe_or_a_clear_error(text in "\\PC{0,300}") {
        if let Err(error) = MergeFile::from_yaml(&text, "recipe.yaml", 0) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn the_recipes_that_are_damaged_are_valid() {
    for text in WHOLE {
        read(text);
    }
}

#[test]
fn statistics_belong_to_a_model_wherever_it_stands() {
    let file = read(
        "merge_method: fisher\nmodels:\n  - model: a\n  - {model: b, statistics: b.safetensors}",
    );
    assert_eq!(file.statistics, [None, Some("b.safetensors".to_owned())]);
    assert_eq!(file.align, None);
}

#[test]
fn units_are_aligned_where_it_is_asked_for() {
    let of = |align: &str| {
        let text = format!("merge_method: linear\nmodels: [{{model: a}}]\nalign: {align}");
        read(&text).align.map(|align| align.regularisation)
    };
    assert_eq!(of("permutation"), Some(0.0));
    assert_eq!(of("transport"), Some(0.05));
    assert_eq!(of("{kind: transport, regularisation: 0.5}"), Some(0.5));
}

#[test]
fn chat_templates_have_names() {
    for name in ["alpaca", "chatml", "exaone", "llama3", "mistral"] {
        let text = format!("merge_method: linear\nmodels: [{{model: a}}]\nchat_template: {name}");
        let ChatTemplate::Text(template) = read(&text).chat_template else {
            panic!("{name} is a template")
        };
        assert!(
            template.starts_with('{') && template.contains("messages"),
            "{template}"
        );
    }
}
