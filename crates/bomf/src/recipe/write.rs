//! From a recipe to YAML: every value, each with a word on what it means.

use super::evaluator::direction_name;
use super::task::EARLY_STOPPING;
use super::{
    Baseline, Dimension, ExternalEvaluator, ExternalTrainer, Finetune, FrozenLayers, Generation,
    HyperValue, LoraOptions, Members, Metric, Optimised, QuestionAnswering, Recipe, Stage1, Stage2,
    Targets, Task, TaskKind,
};
use indexmap::IndexMap;
use std::fmt::Display;

/// The first line, by which a recipe of bomf's own is known.
pub(crate) const HEADER: &str =
    "# Recipe of a bomf run. A field that is left out or null takes its default.";

/// Column at which the comments begin, where the values leave room.
const COMMENT_COLUMN: usize = 38;

pub(super) fn recipe(recipe: &Recipe) -> String {
    let mut out = Writer::default();
    out.line(HEADER);
    out.field("seed", recipe.seed, "seed of every random choice");
    task(&mut out, &recipe.task);
    stage1(&mut out, &recipe.stage1);
    finetune(&mut out, &recipe.finetune);
    members(&mut out, &recipe.members);
    stage2(&mut out, &recipe.stage2);
    if let Some(own) = &recipe.evaluator {
        evaluator(&mut out, own);
    }
    if let Some(own) = &recipe.trainer {
        trainer(&mut out, own);
    }
    out.text
}

fn task(out: &mut Writer, task: &Task) {
    out.open("task", "the data and what is measured on it");
    out.field("name", optional_text(&task.name), "null: the data folder's");
    out.field(
        "kind",
        task.kind.map_or("auto", |kind| kind.as_str()),
        "auto; classification, regression, causal_lm, seq2seq, question_answering and more",
    );
    out.open("columns", "null: guessed");
    out.field(
        "text",
        optional_text(&task.columns.text),
        "the text, or the first of a pair; a prompt or source; a question; words",
    );
    out.field(
        "text_pair",
        optional_text(&task.columns.text_pair),
        "the second of a pair; a completion or target; the text with the answer",
    );
    out.field(
        "label",
        optional_text(&task.columns.label),
        "the label; answers, tags or the right choice",
    );
    if !task.columns.choices.is_empty() {
        out.field(
            "choices",
            list(task.columns.choices.iter().map(|column| quoted(column))),
            "a column with a list of them, or columns with one each",
        );
    }
    out.close();
    out.field(
        "metrics",
        list(task.metrics.iter()),
        "of the kind of task: accuracy, f1, spearman, perplexity, rouge_l and more",
    );
    out.field(
        "choose_by",
        optional(task.choose_by.map(Optimised::as_str)),
        "loss or a metric; null: the first metric",
    );
    out.field(
        "positive_label",
        optional_text(&task.positive_label),
        "for f1; null: guessed by the labels' names, else the one with index 1",
    );
    out.field(
        "labels",
        match &task.labels {
            Some(labels) => list(labels.iter().map(|label| quoted(label))),
            None => "null".into(),
        },
        "in the order of their indices; null: found in the data",
    );
    out.field(
        "max_length",
        task.max_length,
        "tokens of an example that are kept",
    );
    if task.chat {
        let comment = "prompts and completions are a user's and an assistant's words";
        out.field("chat", task.chat, comment);
    }
    // Written only where answers are looked for, or something is said about it.
    let own = &task.question_answering;
    let answers = task.kind == Some(TaskKind::QuestionAnswering);
    if answers || *own != QuestionAnswering::for_length(task.max_length) {
        question_answering(out, own);
    }
    // Likewise where something is generated.
    let texts = |metric: &Metric| metric.of_texts().is_some();
    let writes = !answers && task.metrics.iter().any(texts);
    if writes || task.generation != Generation::default() {
        generation(out, &task.generation);
    }
    out.field(
        "validation_fraction",
        number(task.validation_fraction),
        "of train, where validation is missing",
    );
    out.field(
        "test_fraction",
        number(task.test_fraction),
        "of train, where test is missing",
    );
    out.close();
}

fn question_answering(out: &mut Writer, own: &QuestionAnswering) {
    out.open("question_answering", "how answers are looked for");
    out.field(
        "doc_stride",
        own.doc_stride,
        "tokens by which windows overlap",
    );
    out.field("max_answer_length", own.max_answer_length, "tokens at most");
    out.field(
        "n_best_size",
        own.n_best_size,
        "of the likeliest first and last tokens are combined",
    );
    out.field(
        "null_score_diff_threshold",
        number(own.null_score_diff_threshold),
        "no answer where that scores higher by more",
    );
    out.close();
}

fn generation(out: &mut Writer, generation: &Generation) {
    let options = &generation.options;
    out.open("generation", "of texts, for rouge1, bleu and the like");
    out.field(
        "max_new_tokens",
        options.max_new_tokens,
        "of a text, at most",
    );
    out.field("beams", options.beams, "1: the likeliest token each time");
    out.field(
        "length_penalty",
        options.length_penalty,
        "with beams: above 0 for longer texts",
    );
    let early = EARLY_STOPPING
        .iter()
        .find(|(_, value)| *value == options.early_stopping);
    out.field(
        "early_stopping",
        early.map_or("false", |(name, _)| name),
        "with beams: false, true or never",
    );
    out.field(
        "repetition_penalty",
        options.repetition_penalty,
        "above 1: what has occurred is less likely",
    );
    let sample = options.sampling.map(|sampling| {
        let top_k = optional(sampling.top_k);
        format!(
            "{{temperature: {}, top_k: {top_k}, top_p: {}}}",
            sampling.temperature, sampling.top_p
        )
    });
    out.field(
        "sample",
        optional(sample),
        "draw tokens: {temperature: 1, top_k: 50, top_p: 0.9}; null: do not",
    );
    out.field("stem", generation.stem, "whether ROUGE stems words");
    out.close();
}

fn stage1(out: &mut Writer, stage1: &Stage1) {
    out.open(
        "stage1",
        "hyperparameters, searched on the lightweight model",
    );
    out.field(
        "trials",
        stage1.trials,
        "0: no search, the values of finetune are used",
    );
    out.field(
        "initial",
        stage1.initial,
        "of them at random, before the surrogate chooses",
    );
    out.field(
        "patience",
        optional(stage1.patience),
        "ends it after so many trials without gain; null: never",
    );
    out.field(
        "pruning",
        match &stage1.pruning {
            None => "none".into(),
            Some(rule) => format!(
                "{{factor: {}, first: {}}}",
                rule.factor(),
                number(rule.first())
            ),
        },
        "halving: ends trials that fall behind; {factor: 3, first: 0.2}",
    );
    out.field("epochs", stage1.epochs, "of a trial");
    out.field(
        "light",
        stage1.light,
        "frozen or lora: lower layers frozen, or adapters of rank lora_r",
    );
    out.field(
        "frozen_layers",
        match stage1.frozen_layers {
            FrozenLayers::Half => "half".into(),
            FrozenLayers::Count(count) => count.to_string(),
        },
        "from the bottom: half or a number",
    );
    out.field("lora_r", stage1.lora_r, "with light: lora");
    out.field(
        "evaluations_per_epoch",
        stage1.evaluations_per_epoch,
        "on the select split",
    );
    out.field(
        "known",
        optional_text(&stage1.known),
        "a study of Optuna's whose finished trials count beside its own",
    );
    out.field(
        "known_study",
        optional_text(&stage1.known_study),
        "which study of that file; null: the one with one objective",
    );
    if stage1.space.is_empty() {
        out.field("space", "{}", "nothing is searched");
    } else {
        out.open(
            "space",
            "types: float, log_float, int, categorical (with choices)",
        );
        for (name, dimension) in &stage1.space {
            out.field(name.as_str(), flow(dimension), "");
        }
        out.close();
    }
    out.close();
}

fn finetune(out: &mut Writer, finetune: &Finetune) {
    out.open("finetune", "the one run of the full model");
    out.field("epochs", finetune.epochs, "at most");
    out.field(
        "early_stopping",
        finetune.early_stopping,
        "end at the members' window",
    );
    out.field(
        "learning_rate",
        optional(finetune.learning_rate.map(number)),
        "null: stage 1's",
    );
    out.field(
        "batch_size",
        optional(finetune.batch_size),
        "null: stage 1's",
    );
    out.field("optimizer", finetune.optimizer, "adamw, adafactor or sgd");
    out.field(
        "weight_decay",
        number(finetune.weight_decay),
        "none on biases and norms",
    );
    out.field(
        "adam_beta1",
        number(finetune.adam_beta1),
        "decay of the first moment, of adamw",
    );
    out.field(
        "adam_beta2",
        number(finetune.adam_beta2),
        "decay of the second moment, of adamw",
    );
    out.field(
        "adam_epsilon",
        number(finetune.adam_epsilon),
        "in the denominator, of adamw",
    );
    out.field("sgd_momentum", number(finetune.sgd_momentum), "of sgd");
    out.field("sgd_nesterov", finetune.sgd_nesterov, "of sgd");
    out.field(
        "warmup_ratio",
        number(finetune.warmup_ratio),
        "share of the steps",
    );
    out.field(
        "schedule",
        finetune.schedule,
        "after the warm-up: constant, linear, cosine, warmup_stable_decay or swa",
    );
    lora(out, finetune.lora.as_ref());
    out.field(
        "dropout",
        optional(finetune.dropout.map(number)),
        "null: as in config.json",
    );
    out.field(
        "label_smoothing",
        number(finetune.label_smoothing),
        "share of each label that is spread over all classes",
    );
    out.field(
        "max_grad_norm",
        number(finetune.max_grad_norm),
        "0: no clipping",
    );
    out.field(
        "gradient_accumulation_steps",
        finetune.gradient_accumulation_steps,
        "batches a step",
    );
    out.field(
        "gradient_checkpointing",
        finetune.gradient_checkpointing,
        "less memory, more time",
    );
    out.field(
        "evaluations_per_epoch",
        finetune.evaluations_per_epoch,
        "on the select split",
    );
    out.close();
}

fn lora(out: &mut Writer, lora: Option<&LoraOptions>) {
    let Some(lora) = lora else {
        out.field(
            "lora",
            "null",
            "train adapters alone: {r: 8}, and alpha, dropout, target_modules, rslora",
        );
        return;
    };
    out.open(
        "lora",
        "adapters are trained, and the head; null: all weights",
    );
    out.field("r", lora.r, "rank");
    out.field(
        "alpha",
        number(lora.alpha),
        "the change is alpha / r times B A",
    );
    out.field("dropout", number(lora.dropout), "before A");
    let targets = match &lora.target_modules {
        Targets::Default => "null".into(),
        Targets::AllLinear => "all-linear".into(),
        Targets::Names(names) => list(names.iter().map(|name| quoted(name))),
    };
    out.field(
        "target_modules",
        targets,
        "names, or all-linear; null: queries and values",
    );
    out.field(
        "rslora",
        lora.rslora,
        "alpha / sqrt(r) rather than alpha / r",
    );
    out.close();
}

fn members(out: &mut Writer, members: &Members) {
    out.open("members", "which checkpoints of the run are fused");
    out.field("count", members.count, "about how many");
    out.field(
        "window",
        list(members.window.iter().copied().map(number)),
        "first and last step, in units of the best step",
    );
    // Written only where they are not the defaults.
    let default = Members::default();
    if members.source != default.source {
        out.field(
            "source",
            members.source,
            "trajectory, runs (the best of each), or both",
        );
    }
    if members.source != default.source || members.runs != default.runs {
        out.field("runs", members.runs, "fine-tuning runs in all");
    }
    if members.basin != default.basin {
        out.field(
            "basin",
            optional(members.basin),
            "points a segment between members at which the loss is looked at",
        );
    }
    out.close();
}

fn stage2(out: &mut Writer, stage2: &Stage2) {
    out.open("stage2", "the search for the weights of the members");
    out.field(
        "evaluations",
        optional(stage2.evaluations),
        "beyond the starting design; null: 5 times the members",
    );
    out.field(
        "patience",
        optional(stage2.patience),
        "ends it after so many evaluations without gain; null: never",
    );
    // Written only where there are some.
    if stage2.blocks != Stage2::default().blocks {
        out.field(
            "blocks",
            stage2.blocks,
            "with weights of their own: none, groups of layers, or layers",
        );
    }
    if stage2.block_evaluations.is_some() {
        out.field(
            "block_evaluations",
            optional(stage2.block_evaluations),
            "of the evaluations; null: half",
        );
    }
    out.field(
        "surrogate",
        stage2.surrogate,
        "composite: of the outputs of every example; direct: of the objectives",
    );
    out.field(
        "choose",
        stage2.choose,
        "bagged, one_standard_error, best_metric, knee or weights",
    );
    out.field(
        "objective_weights",
        by_objective(&stage2.objective_weights),
        "for weights: {loss: 1, accuracy: 2}",
    );
    out.field(
        "ref_point",
        by_objective(&stage2.ref_point),
        "of the hypervolume, like {loss: 1, accuracy: 0.5}; null: inferred",
    );
    // Written only where there are some.
    if !stage2.baselines.is_empty() {
        let names = Baseline::NAMED.iter().map(|(name, _)| *name);
        out.field(
            "baselines",
            list(stage2.baselines.iter()),
            &format!("beyond those of every run: all, or of {}", list(names)),
        );
    }
    if stage2.ema_decay != Stage2::default().ema_decay {
        out.field("ema_decay", number(stage2.ema_decay), "of the baseline ema");
    }
    out.close();
}

/// Written only where there is one.
fn trainer(out: &mut Writer, trainer: &ExternalTrainer) {
    out.open(
        "trainer",
        "a program that trains models, for bomf run, tune and finetune",
    );
    out.field(
        "command",
        quoted(trainer.command.as_str()),
        "may name {config}, {output}, {metrics}, {model}, {data}, {seed}, {learning_rate} ...",
    );
    out.field(
        "timeout",
        number(trainer.timeout),
        "seconds that a run of it may take",
    );
    out.close();
}

fn evaluator(out: &mut Writer, evaluator: &ExternalEvaluator) {
    out.open(
        "evaluator",
        "a program in the engine's place, for bomf fuse",
    );
    out.field(
        "command",
        quoted(evaluator.command.as_str()),
        "{model}: its folder; {output}: where metrics are written, else they are printed",
    );
    let report = evaluator.report_command.as_ref();
    out.field(
        "report_command",
        optional(report.map(|command| quoted(command.as_str()))),
        "on the report split; null: it is not looked at",
    );
    out.open("objectives", "metrics by name: min or max");
    for (name, objective) in &evaluator.objectives {
        let mut value = format!("{{direction: {}", direction_name(objective.direction));
        let options = [
            ("weight", objective.weight),
            ("ref_point", objective.ref_point),
        ];
        for (field, set) in options {
            if let Some(set) = set {
                value.push_str(&format!(", {field}: {}", number(set)));
            }
        }
        value.push('}');
        out.field(&quoted(name), value, "");
    }
    out.close();
    out.field(
        "choose_by",
        optional_text(&evaluator.choose_by),
        "an objective; null: the first that is not called loss",
    );
    out.field(
        "timeout",
        number(evaluator.timeout),
        "seconds that an evaluation may take",
    );
    out.field("retries", evaluator.retries, "of an evaluation that failed");
    out.close();
}

#[derive(Default)]
struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn field(&mut self, name: &str, value: impl Display, comment: &str) {
        let field = format!("{:1$}{name}: {value}", "", 2 * self.depth);
        self.line(&match comment {
            "" => field,
            _ => format!("{field:<COMMENT_COLUMN$} # {comment}"),
        });
    }

    fn open(&mut self, name: &str, comment: &str) {
        let field = format!("{:1$}{name}:", "", 2 * self.depth);
        self.line(&format!("{field:<COMMENT_COLUMN$} # {comment}"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
    }
}

fn optional<T: Display>(value: Option<T>) -> String {
    value.map_or("null".into(), |value| value.to_string())
}

fn optional_text(value: &Option<String>) -> String {
    optional(value.as_deref().map(quoted))
}

/// A number that reads back as the same number: `{:?}` is the shortest such text.
fn number(value: f64) -> String {
    format!("{value:?}")
}

/// A text in double quotes, with escapes for all that YAML does not let stand there.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c if c.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

fn by_objective(values: &Option<IndexMap<Optimised, f64>>) -> String {
    optional(values.as_ref().map(|values| {
        let entries: Vec<String> = values
            .iter()
            .map(|(objective, &value)| format!("{}: {}", objective.as_str(), number(value)))
            .collect();
        format!("{{{}}}", entries.join(", "))
    }))
}

fn flow(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Float { low, high } => {
            format!("{{type: float, low: {low:?}, high: {high:?}}}")
        }
        Dimension::LogFloat { low, high } => {
            format!("{{type: log_float, low: {low:?}, high: {high:?}}}")
        }
        Dimension::Int { low, high } => format!("{{type: int, low: {low}, high: {high}}}"),
        Dimension::Categorical { choices } => {
            let choices = list(choices.iter().map(|choice| match choice {
                HyperValue::Text(text) => quoted(text),
                value => value.to_string(),
            }));
            format!("{{type: categorical, choices: {choices}}}")
        }
    }
}
