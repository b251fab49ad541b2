use super::*;
use proptest::prelude::*;

/// Reads `text`; what comes of it is the recipe's YAML without comments that
/// differs from the default's, or the error and its hint.
fn outcome(text: &str) -> String {
    match Recipe::from_yaml(text, "recipe.yaml") {
        Ok(recipe) => {
            let default = Recipe::default().to_yaml();
            let changed: Vec<String> = recipe
                .to_yaml()
                .lines()
                .filter(|line| !default.lines().any(|other| other == *line))
                .map(|line| line.split(" #").next().unwrap_or(line).trim().to_string())
                .collect();
            changed.join("; ")
        }
        Err(error) => match error.hint() {
            Some(hint) => format!("{error} / {hint}"),
            None => error.to_string(),
        },
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(outcome(text), expected, "\n{text}");
}

#[test]
fn what_is_left_out_takes_its_default() {
    check("", "");
    check("{}", "");
    check("# nothing\n", "");
    check("task:\nstage1:\n  trials: ~\n", "");
    assert_eq!(Recipe::from_yaml("", "").unwrap(), Recipe::default());
}

#[test]
fn optimisers_and_their_fields_are_read() {
    check(
        "finetune: {optimizer: sgd, sgd_momentum: 0.5, sgd_nesterov: true, \
         gradient_checkpointing: true}",
        "optimizer: sgd; sgd_momentum: 0.5; sgd_nesterov: true; gradient_checkpointing: true",
    );
    check("finetune: {optimizer: adafactor}", "optimizer: adafactor");
    check("finetune: {optimizer: adamw}", "");
    for wrong in [
        "{optimizer: adam}",
        "{sgd_momentum: 1}",
        "{gradient_checkpointing: 1}",
    ] {
        assert!(
            Recipe::from_yaml(&format!("finetune: {wrong}"), "").is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn values_are_read() {
    check("seed: 7", "seed: 7");
    check("seed: 18446744073709551615", "seed: 18446744073709551615");
    check(
        "finetune: {epochs: 1e1, adam_epsilon: 1e-8}",
        "adam_epsilon: 1e-8",
    );
    check("task: {labels: [no, yes]}", r#"labels: ["no", "yes"]"#);
    check("task: {labels: [0, 1]}", r#"labels: ["0", "1"]"#);
    check("task: {columns: {text: true}}", r#"text: "true""#);
    check(
        "task: {kind: regression, metrics: [mse]}",
        "kind: regression; metrics: [mse]",
    );
    check(
        "task: {kind: causal_lm, metrics: [token_accuracy, perplexity], choose_by: perplexity}",
        "kind: causal_lm; metrics: [token_accuracy, perplexity]; choose_by: perplexity",
    );
    check(
        "task: {kind: seq2seq, metrics: [rouge_l, chrf++], generation: {beams: 4, \
         early_stopping: true, stem: true}}",
        "kind: seq2seq; metrics: [rouge_l, chrf++]; generation:; max_new_tokens: 64; beams: 4; \
         length_penalty: 1; early_stopping: true; repetition_penalty: 1; sample: null; stem: true",
    );
    check(
        "task: {generation: {sample: {top_k: 5, temperature: 0.7}, max_new_tokens: 9}}",
        "generation:; max_new_tokens: 9; beams: 1; length_penalty: 1; early_stopping: false; \
         repetition_penalty: 1; sample: {temperature: 0.7, top_k: 5, top_p: 1}; stem: false",
    );
    check("stage1: {trials: 2}", "trials: 2; initial: 2");
    check("stage1: {frozen_layers: 4}", "frozen_layers: 4");
    check("stage1: {pruning: none}", "");
    check(
        "stage1: {pruning: halving}",
        "pruning: {factor: 3, first: 0.2}",
    );
    check(
        "stage1: {pruning: {factor: 4}}",
        "pruning: {factor: 4, first: 0.2}",
    );
    check("members: {window: [0.25, 4]}", "window: [0.25, 4.0]");
    check("members: {source: runs}", "source: runs; runs: 5");
    check(
        "members: {source: both, runs: 3, basin: 0}",
        "source: both; runs: 3; basin: 0",
    );
    check("members: {basin: 11}", "basin: 11");
    check("stage2: {blocks: none}", "");
    check("stage2: {blocks: 3}", "blocks: 3");
    check(
        "stage2: {blocks: layers, block_evaluations: 20}",
        "blocks: layers; block_evaluations: 20",
    );
    check(
        "stage1: {trials: 0}\nfinetune: {learning_rate: 2e-5, batch_size: 16}",
        "trials: 0; initial: 1; space: {}; learning_rate: 2e-5; batch_size: 16",
    );
    check(
        "stage1:\n  space:\n    batch_size: {type: categorical, choices: [8, 16]}\n    \
         schedule: {type: categorical, choices: [constant, linear]}\n    \
         learning_rate: {type: float, low: 0.001, high: 0.01}",
        "batch_size: {type: categorical, choices: [8, 16]}; \
         schedule: {type: categorical, choices: [\"constant\", \"linear\"]}; \
         learning_rate: {type: float, low: 0.001, high: 0.01}",
    );
    check(
        "stage2: {choose: weights, objective_weights: {loss: 1, accuracy: 2}}",
        "choose: weights; objective_weights: {loss: 1.0, accuracy: 2.0}",
    );
}

#[test]
fn adapters_have_their_defaults_and_make_stage_1_light() {
    check(
        "finetune: {lora: {}}",
        "light: lora; learning_rate: {type: log_float, low: 0.0001, high: 0.002}; lora:; r: 8; \
         alpha: 8.0; dropout: 0.0; target_modules: null; rslora: false",
    );
    check(
        "stage1: {light: frozen}\nfinetune: {lora: {r: 64, alpha: 16, dropout: 0.05, \
         target_modules: [query, value], rslora: true}}",
        "learning_rate: {type: log_float, low: 0.0001, high: 0.002}; lora:; r: 64; alpha: 16.0; \
         dropout: 0.05; target_modules: [\"query\", \"value\"]; rslora: true",
    );
    check("stage1: {light: lora, lora_r: 2}", "light: lora; lora_r: 2");
    check(
        "finetune:\n  lora: {rank: 4}",
        "recipe.yaml line 2: unknown field `rank` in `finetune.lora` / its fields are r, alpha, \
         dropout, target_modules, rslora",
    );
    check(
        "finetune:\n  lora: {target_modules: everything}",
        "recipe.yaml line 2: `finetune.lora.target_modules` is `everything`, but must be \
         all-linear, or a list of names of layers",
    );
    check(
        "finetune: {lora: {r: 0}}",
        "recipe.yaml line 1: `finetune.lora.r` is 0, but must be a whole number from 1 to 1024",
    );
}

#[test]
fn the_light_adapter_has_the_full_ones_factor() {
    let recipe = Recipe::from_yaml("finetune: {lora: {r: 64, alpha: 16}}", "x").unwrap();
    let full = recipe.finetune.lora.unwrap();
    let light = recipe.stage1.lora(Some(&full)).unwrap();
    assert_eq!((light.r, light.alpha), (4, 1.0));
    let of_two = LoraOptions { r: 2, ..full };
    assert_eq!(recipe.stage1.lora(Some(&of_two)).unwrap().r, 2);
    assert_eq!(Stage1::default().lora(Some(&of_two)), None);
    let light = Stage1 {
        light: Light::Lora,
        ..Stage1::default()
    };
    assert_eq!(light.lora(None).unwrap().scale(), 1.0);
}

#[test]
fn a_fixed_hyperparameter_is_not_searched() {
    let recipe = Recipe::from_yaml("finetune: {learning_rate: 2e-5}", "x").unwrap();
    assert_eq!(recipe.stage1.trials, 10);
    assert_eq!(
        recipe.stage1.space.keys().collect::<Vec<_>>(),
        [&Hyperparameter::BatchSize]
    );
    check(
        "finetune: {learning_rate: 2e-5, batch_size: 16}",
        "trials: 0; initial: 1; space: {}; learning_rate: 2e-5; batch_size: 16",
    );
    let mut recipe = Recipe::default();
    recipe
        .fix(Hyperparameter::BatchSize, &HyperValue::Int(16))
        .unwrap();
    recipe
        .fix(Hyperparameter::LearningRate, &HyperValue::Float(1e-4))
        .unwrap();
    assert_eq!(recipe.stage1.trials, 0);
    let error = recipe.fix(Hyperparameter::BatchSize, &HyperValue::Int(0));
    assert_eq!(
        error.unwrap_err().to_string(),
        "`batch_size` is 0, but must be a whole number from 1 to 4096"
    );
    assert_eq!(Recipe::from_yaml(&recipe.to_yaml(), "x").unwrap(), recipe);
}

#[test]
fn unknown_fields_are_refused_with_the_nearest_name() {
    check(
        "seed: 1\n\nstage1:\n  trials: 3\nfinetune:\n\n  epoch: 3",
        "recipe.yaml line 7: unknown field `epoch` in `finetune` / did you mean `epochs`?",
    );
    check(
        "stage_1: {}",
        "recipe.yaml line 1: unknown field `stage_1` at the top level / did you mean `stage1`?",
    );
    check(
        "task:\n  columns:\n    sentence: x",
        "recipe.yaml line 3: unknown field `sentence` in `task.columns` / its fields are text, \
         text_pair, label, choices",
    );
    check(
        "stage1:\n  space:\n    lerning_rate: {type: float, low: 1, high: 2}",
        "recipe.yaml line 3: unknown field `lerning_rate` in `stage1.space` / did you mean \
         `learning_rate`?",
    );
    check(
        "stage1:\n  space:\n    batch_size:\n      type: int\n      low: 1\n      high: 2\n      step: 4",
        "recipe.yaml line 7: unknown field `step` in `stage1.space.batch_size` / its fields are \
         type, low, high",
    );
    check(
        "stage2: {ref_point: {acuracy: 1}}",
        "recipe.yaml line 1: unknown field `acuracy` in `stage2.ref_point` / did you mean \
         `accuracy`?",
    );
}

#[test]
fn wrong_values_are_named_with_what_is_allowed() {
    for value in ["0", "1001", "many", "2.5", "[3]"] {
        let error = outcome(&format!("stage2: {{blocks: {value}}}"));
        assert!(error.contains("`stage2.blocks` is"), "{error}");
    }
    for value in ["1", "2", "102", "few"] {
        let error = outcome(&format!("members: {{basin: {value}}}"));
        assert!(
            error.ends_with("but must be 0, or a whole number from 3 to 101"),
            "{error}"
        );
    }
    let error = outcome(
        "evaluator: {command: \"x {model}\", objectives: {loss: min}}\nstage2: {blocks: 2}",
    );
    assert!(
        error.ends_with("`stage2.blocks` is 2, but must be none, where a program evaluates"),
        "{error}"
    );
    for (text, expected) in [
        (
            "seed: -1",
            "`seed` is -1, but must be a whole number of at least 0",
        ),
        (
            "seed: x",
            "`seed` is `x`, but must be a whole number of at least 0",
        ),
        (
            "stage1: {trials: 1.5}",
            "`stage1.trials` is 1.5, but must be a whole number from 0 to 10000",
        ),
        (
            "stage1: {trials: 5, initial: 6}",
            "`stage1.initial` is 6, but must be at most `stage1.trials`, which is 5",
        ),
        (
            "stage1: {frozen_layers: most}",
            "`stage1.frozen_layers` is `most`, but must be half, or a whole number from 0 to 1000",
        ),
        (
            "stage1: {pruning: median}",
            "`stage1.pruning` is `median`, but must be none, halving, or a mapping of factor and \
             first",
        ),
        (
            "stage1: {pruning: {factor: 1}}",
            "`stage1.pruning.factor` is 1, but must be a whole number from 2 to 100",
        ),
        (
            "stage1: {pruning: {first: 1}}",
            "`stage1.pruning.first` is 1, but must be a number above 0 and below 1",
        ),
        (
            "finetune: {learning_rate: 0}",
            "`finetune.learning_rate` is 0, but must be a number above 0 and at most 1",
        ),
        (
            "finetune: {adam_beta2: 1}",
            "`finetune.adam_beta2` is 1, but must be a number of at least 0 and below 1",
        ),
        (
            "finetune: {weight_decay: .5e400}",
            "a float cannot be that large",
        ),
        (
            "finetune: {early_stopping: yes}",
            "`finetune.early_stopping` is `yes`, but must be true or false",
        ),
        (
            "finetune: {schedule: wsd}",
            "`finetune.schedule` is `wsd`, but must be constant, linear, cosine, warmup_stable_decay or swa",
        ),
        (
            "finetune: 3",
            "`finetune` is 3, but must be a mapping of fields",
        ),
        ("3", "`the recipe` is 3, but must be a mapping of fields"),
        (
            "task: {labels: [1.0, 2.0]}",
            "`task.labels[0]` is 1.0, but must be a text: put it in quotes",
        ),
        (
            "task: {labels: [a, a]}",
            "`task.labels[1]` is `a`, but must be different from the values before it",
        ),
        (
            "members: {window: [1, 1]}",
            "`members.window[1]` is 1, but must be larger than the first number of the window",
        ),
        (
            "stage1: {space: {epochs: {type: int, low: 4, high: 4}}}",
            "`stage1.space.epochs.high` is 4, but must be larger than `low`",
        ),
        (
            "stage1: {space: {epochs: {type: int, high: 4}}}",
            "`stage1.space.epochs` is a mapping, but must be a mapping that has `low`",
        ),
        (
            "stage1: {space: {dropout: {type: log_float, low: 0, high: 0.5}}}",
            "`stage1.space.dropout.low` is 0, but must be a number above 0",
        ),
        (
            "stage1: {space: {schedule: {type: float, low: 0, high: 1}}}",
            "`stage1.space.schedule.type` is `float`, but must be categorical",
        ),
        (
            "stage2: {choose: weights}",
            "`stage2.objective_weights` is needed where `stage2.choose` is weights",
        ),
        (
            "stage1: {trials: 0}",
            "`learning_rate` is neither searched in stage 1 nor set in `finetune`",
        ),
        (
            "stage1: {space: {learning_rate: {type: float, low: 0.1, high: 0.2}}}\n\
             finetune: {learning_rate: 0.1}",
            "`learning_rate` is searched in `stage1.space` and set in `finetune`",
        ),
    ] {
        let outcome = outcome(text);
        if !expected.starts_with('`') {
            assert!(outcome.starts_with("recipe.yaml line 1: "), "{outcome}");
            continue;
        }
        let place = if text == "stage1: {trials: 0}" {
            "recipe.yaml: "
        } else {
            "recipe.yaml line 1: "
        };
        assert!(
            outcome.starts_with(&format!("{place}{expected}")),
            "{text}\n{outcome}"
        );
    }
    check(
        "task:\n  metrics:\n    - accuracy\n    - mathews",
        "recipe.yaml line 4: `task.metrics[1]` is `mathews`, but must be accuracy, f1, f1_macro, \
         matthews, pearson, spearman, mse, perplexity, token_accuracy, exact_match, rouge1, \
         rouge2, rouge_l, bleu, chrf, chrf++, meteor, precision or recall / did you mean `matthews`?",
    );
}

#[test]
fn what_is_no_yaml_is_refused_with_its_line() {
    for text in ["a: [1", "seed: 1\nseed: 2", "a: 1\n---\nb: 2", "a: *b"] {
        let error = Recipe::from_yaml(text, "recipe.yaml").unwrap_err();
        assert!(
            matches!(error, RecipeError::Syntax { .. }),
            "{text}: {error}"
        );
        let message = error.to_string();
        assert!(message.starts_with("recipe.yaml line "), "{message}");
        assert!(!message.trim().contains('\n'), "{message}");
    }
}

#[test]
fn objectives_follow_the_kind_of_the_task() {
    let recipe = Recipe::from_yaml("stage2: {ref_point: {loss: 1, accuracy: 0.5}}", "x").unwrap();
    let objectives = recipe.objectives(TaskKind::Classification).unwrap();
    assert_eq!(objectives.metrics, [Metric::Accuracy]);
    assert_eq!(objectives.choose_by, Optimised::Metric(Metric::Accuracy));
    assert_eq!(objectives.ref_point, Some(vec![1.0, 0.5]));
    assert_eq!(
        recipe
            .objectives(TaskKind::Regression)
            .unwrap_err()
            .to_string(),
        "`stage2.ref_point` names accuracy, which is not among the objectives loss, pearson"
    );
    for (text, expected) in [
        (
            "task: {metrics: [accuracy, mse]}",
            "`task.metrics` names mse, which classification does not have",
        ),
        (
            "task: {choose_by: f1}",
            "`task.choose_by` names f1, which is not among the objectives loss, accuracy",
        ),
        (
            "stage2: {ref_point: {loss: 1}}",
            "`stage2.ref_point` holds no value for accuracy",
        ),
    ] {
        let recipe = Recipe::from_yaml(text, "x").unwrap();
        let error = recipe.objectives(TaskKind::Classification).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_default_recipe_is_documented_field_by_field() {
    let text = Recipe::default().to_yaml();
    for line in text.lines() {
        let is_plain = line.contains("{type");
        assert!(line.contains('#') || is_plain, "{line}");
        assert!(line.len() <= 130, "{line}");
    }
}

/// A value for each field, drawn from what it may hold.
fn any_recipe() -> impl Strategy<Value = Recipe> {
    let texts = proptest::option::of("\\PC{1,8}|.{1,8}|(?s:.){1,8}");
    let task = (
        (texts.clone(), texts.clone(), texts),
        proptest::option::of(proptest::sample::select(vec![
            TaskKind::Classification,
            TaskKind::Regression,
        ])),
        proptest::sample::subsequence(vec![Metric::Accuracy, Metric::F1, Metric::Mse], 0..=3),
        proptest::option::of(proptest::sample::select(vec![
            Optimised::Loss,
            Optimised::Metric(Metric::F1Macro),
        ])),
        4usize..=32_768,
        1e-9..0.5f64,
    );
    let stage1 = (1usize..50, 1usize..100, proptest::option::of(0usize..100));
    let finetune = (
        1usize..1000,
        any::<bool>(),
        0.0..10.0f64,
        0.0..0.999f64,
        proptest::option::of(0.0..0.99f64),
        any::<bool>(),
    );
    let rest = (
        any::<u64>(),
        2usize..1000,
        (1e-3..0.99f64, 1.0..100.0f64),
        proptest::option::of(0usize..100_000),
        proptest::option::of((-1e300..1e300f64, -1.0..1.0f64)),
        (
            proptest::sample::subsequence(
                vec![Baseline::Ema, Baseline::CmaEs, Baseline::Twa],
                0..=3,
            ),
            0.0..=1.0f64,
        ),
        proptest::option::of((
            "[a-z'\"\\\\ ]{0,9}",
            "\\PC{1,8}",
            (1e-9..1e7f64, 0usize..=100),
            proptest::option::of((-1e300..1e300f64, 0.0..1e6f64)),
        )),
    );
    (task, stage1, finetune, rest).prop_map(|(task, stage1, finetune, rest)| {
        let mut recipe = Recipe::default();
        (
            (
                recipe.task.name,
                recipe.task.columns.text,
                recipe.task.positive_label,
            ),
            recipe.task.kind,
            recipe.task.metrics,
            recipe.task.choose_by,
            recipe.task.max_length,
            recipe.task.test_fraction,
        ) = task;
        recipe.task.question_answering = QuestionAnswering::for_length(recipe.task.max_length);
        recipe.task.chat = recipe.task.max_length % 2 == 1;
        recipe.stage1.trials = stage1.0;
        recipe.stage1.initial = stage1.0.min(3);
        recipe.stage1.epochs = stage1.1;
        if let Some(count) = stage1.2 {
            recipe.stage1.frozen_layers = FrozenLayers::Count(count);
            recipe.stage1.space.insert(
                Hyperparameter::Schedule,
                Dimension::Categorical {
                    choices: vec![
                        HyperValue::Text("linear".into()),
                        HyperValue::Text("constant".into()),
                    ],
                },
            );
        }
        recipe.finetune.epochs = finetune.0;
        recipe.finetune.early_stopping = finetune.1;
        recipe.finetune.weight_decay = finetune.2;
        recipe.finetune.adam_beta1 = finetune.3;
        recipe.finetune.dropout = finetune.4;
        recipe.finetune.optimizer = Optimizer::NAMED[finetune.0 % 3].1;
        recipe.finetune.sgd_momentum = finetune.3;
        recipe.finetune.sgd_nesterov = finetune.1;
        if finetune.5 {
            recipe.finetune.gradient_checkpointing = true;
            recipe.finetune.schedule = Schedule::Linear;
        }
        recipe.seed = rest.0;
        recipe.members.count = rest.1;
        recipe.members.window = [rest.2.0, rest.2.1];
        recipe.members.source = MembersSource::NAMED[rest.1 % 3].1;
        recipe.members.runs = rest.1 % 99 + 2;
        recipe.members.basin = rest.3.map(|n| if n % 4 == 0 { 0 } else { n % 99 + 3 });
        recipe.stage2.block_evaluations = rest.3.map(|n| n / 2);
        recipe.stage2.blocks = match rest.1 % 4 {
            // A program knows of no blocks.
            _ if rest.6.is_some() => Blocks::None,
            0 => Blocks::Layers,
            1 => Blocks::None,
            _ => Blocks::Groups(rest.1),
        };
        recipe.stage2.evaluations = rest.3;
        recipe.stage2.patience = rest.3.map(|n| n + 1);
        recipe.stage1.patience = rest.3.map(|n| n % 100 + 1);
        recipe.stage1.pruning = rest.3.map(|n| {
            SuccessiveHalving::new(n % 99 + 2, recipe.stage2.ema_decay.clamp(1e-9, 0.99)).unwrap()
        });
        recipe.stage1.known = recipe.task.positive_label.clone();
        recipe.stage1.known_study = recipe.task.columns.text.clone();
        recipe.stage2.ref_point = rest.4.map(|(loss, metric)| {
            IndexMap::from_iter([
                (Optimised::Loss, loss),
                (Optimised::Metric(Metric::Accuracy), metric),
            ])
        });
        (recipe.stage2.baselines, recipe.stage2.ema_decay) = rest.5;
        recipe.trainer = rest.6.as_ref().and_then(|(text, _, (timeout, _), _)| {
            let command = TrainerCommand::new(&format!("t {{learning_rate}} {text}"), "x").ok()?;
            Some(ExternalTrainer {
                timeout: *timeout,
                ..ExternalTrainer::new(command)
            })
        });
        recipe.evaluator = rest.6.and_then(|(text, name, (timeout, retries), own)| {
            let command = CommandLine::new(&format!("p {{model}} {text}"), "x").ok()?;
            let direction = bomf_study::Direction::Minimize;
            let objective = ExternalObjective {
                ref_point: own.map(|(point, _)| point),
                weight: own.map(|(_, weight)| weight + 1e-9),
                ..ExternalObjective::new(direction)
            };
            let objectives = IndexMap::from_iter([(name, objective)]);
            let evaluator = ExternalEvaluator::new(command, objectives).ok()?;
            Some(ExternalEvaluator {
                timeout,
                retries,
                ..evaluator
            })
        });
        recipe
    })
}

#[test]
fn an_evaluator_is_read_and_what_is_wrong_with_it_is_named() {
    let recipe = Recipe::from_yaml(
        "evaluator:\n  command: eval {model}\n  objectives: {loss: min, f1: {direction: max, weight: 2}}",
        "x",
    );
    let evaluator = recipe.unwrap().evaluator.unwrap();
    assert_eq!((evaluator.chosen(), evaluator.second()), (1, 0));
    assert_eq!(evaluator.objectives["f1"].weight, Some(2.0));
    for (text, expected) in [
        ("{command: 'eval'}", "evaluator.objectives"),
        ("{command: 'eval', objectives: {a: min}}", "{model}"),
        ("{command: 'e {model}', objectives: {a: up}}", "min, max"),
        (
            "{command: 'e {model}', objectives: {}}",
            "a mapping from names",
        ),
        (
            "{command: 'e {model}', objectives: {a: min}, choose_by: b}",
            "one of the objectives a",
        ),
        (
            "{command: 'e {model}', objectives: {a: min}, timeout: 0}",
            "above 0",
        ),
        (
            "{command: 'e {model}', objectives: {a: {direction: min, ref_point: 1}, b: max}}",
            "for every objective, or for none",
        ),
        ("{objectives: {a: min}}", "evaluator.command"),
        ("{comand: 'e {model}'}", "unknown field `comand`"),
    ] {
        let error = Recipe::from_yaml(&format!("evaluator: {text}"), "x").unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_trainer_is_read_with_an_evaluator_and_what_is_wrong_with_it_is_named() {
    let evaluator = "evaluator: {command: 'e {model}', objectives: {a: min}}";
    let read = |text: &str| Recipe::from_yaml(&format!("{evaluator}\ntrainer: {text}"), "x");
    let trainer = read("{command: python3 train.py, timeout: 60}")
        .unwrap()
        .trainer
        .unwrap();
    assert_eq!(
        (trainer.command.as_str(), trainer.timeout),
        ("python3 train.py", 60.0)
    );
    assert_eq!(read("{}").unwrap().trainer, None);
    for (text, expected) in [
        ("{command: ''}", "a text that is not empty"),
        ("{command: \"p 'x\"}", "quotes are closed"),
        ("{command: p, timeout: 0}", "above 0"),
        ("{timeout: 5}", "trainer.command"),
        ("{command: p, retries: 5}", "unknown field `retries`"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
    let error = Recipe::from_yaml("trainer: {command: p}", "x").unwrap_err();
    assert!(error.to_string().contains("evaluator.command"), "{error}");
}

#[test]
fn a_trainers_placeholders_are_filled_where_they_stand() {
    let command = TrainerCommand::new("t --lr={learning_rate} {output}/{seed} {x} '{a b}'", "x");
    let words = command.unwrap().words(|name| format!("<{name}>").into());
    assert_eq!(
        words,
        [
            "t",
            "--lr=<learning_rate>",
            "<output>/<seed>",
            "{x}",
            "{a b}"
        ]
    );
}

#[test]
fn baselines_are_named_or_all() {
    let read = |text: &str| Recipe::from_yaml(&format!("stage2: {{baselines: {text}}}"), "x");
    assert_eq!(
        read("all").unwrap().stage2.baselines.len(),
        Baseline::NAMED.len()
    );
    assert_eq!(
        read("[twa, ema]").unwrap().stage2.baselines,
        [Baseline::Twa, Baseline::Ema]
    );
    assert!(read("[]").unwrap().stage2.baselines.is_empty());
    let error = read("[cma-es]").unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean `cma_es`?"));
    assert!(read("[ema, ema]").is_err() && read("some").is_err());
}

proptest! {
    #[test]
    fn a_recipe_reads_back_from_its_own_yaml(recipe in any_recipe()) {
        let yaml = recipe.to_yaml();
        let again = Recipe::from_yaml(&yaml, "x");
        prop_assert!(again.as_ref().is_ok_and(|again| *again == recipe), "{yaml}\n{again:?}");
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = Recipe::from_yaml(&text, "x");
    }

    #[test]
    fn no_yaml_makes_the_reader_panic(
        lines in proptest::collection::vec(
            ("( ){0,4}", "(seed|task|stage1|space|epochs|labels|window|- |\\? |<<|&a |\\*a)",
             ": ?", "([0-9eE.+-]{0,8}|\\[1, 2|\\{type: int|~|!!float x|\\|\n|\"x|[a-z]*)"),
            0..8,
        )
    ) {
        let text: String = lines
            .iter()
            .map(|(indent, key, colon, value)| format!("{indent}{key}{colon}{value}\n"))
            .collect();
        if let Err(error) = Recipe::from_yaml(&text, "x") {
            let _ = (error.to_string(), error.hint());
        }
    }
}
