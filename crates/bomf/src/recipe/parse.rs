//! From a parsed document to a valid recipe.

use super::hyperparameter::Domain;
use super::node::{Node, Value};
use super::read::{Field, Range, Section};
use super::task::{EARLY_STOPPING, WINDOW_LENGTH};
use super::{
    Baseline, Blocks, Choose, Dimension, EarlyStopping, Finetune, FrozenLayers, Generation,
    HyperValue, Hyperparameter, Light, LoraOptions, Members, MembersSource, Metric, Optimised,
    Optimizer, QuestionAnswering, Recipe, RecipeError, Sampling, Schedule, Stage1, Stage2,
    SuccessiveHalving, Surrogate, Targets, Task, TaskKind, evaluator, node, trainer,
};
use indexmap::IndexMap;

pub(super) fn recipe(text: &str, file: &str) -> Result<Recipe, RecipeError> {
    of_node(&node::parse(text, file)?, file)
}

pub(super) fn of_node(root: &Node, file: &str) -> Result<Recipe, RecipeError> {
    let whole = Field {
        file,
        path: String::new(),
        node: root,
    };
    if !matches!(root.value, Value::Map(_) | Value::Null) {
        let whole = Field {
            path: "the recipe".into(),
            ..whole
        };
        return Err(whole.wrong("a mapping of fields"));
    }
    let mut top = whole.section()?;
    let mut recipe = Recipe::default();
    top.read("seed", &mut recipe.seed, |f| f.integer(0, u64::MAX))?;
    recipe.task = task(top.section("task")?)?;
    let stage1_section = top.section("stage1")?;
    recipe.finetune = finetune(top.section("finetune")?)?;
    recipe.stage1 = stage1(stage1_section, &recipe.finetune)?;
    recipe.members = members(top.section("members")?)?;
    recipe.evaluator = evaluator::read(top.section("evaluator")?)?;
    recipe.trainer = trainer::read(top.section("trainer")?, recipe.evaluator.is_some())?;
    recipe.stage2 = stage2(top.section("stage2")?, recipe.evaluator.is_some())?;
    top.finish()?;
    for (name, fixed) in [
        (
            Hyperparameter::LearningRate,
            recipe.finetune.learning_rate.is_some(),
        ),
        (
            Hyperparameter::BatchSize,
            recipe.finetune.batch_size.is_some(),
        ),
    ] {
        let searched = recipe.stage1.trials > 0 && recipe.stage1.space.contains_key(&name);
        if !fixed && !searched {
            return Err(RecipeError::NeitherSearchedNorFixed {
                file: file.into(),
                name: name.as_str(),
            });
        }
    }
    Ok(recipe)
}

fn task(mut section: Section<'_>) -> Result<Task, RecipeError> {
    let mut task = Task::default();
    section.read("name", &mut task.name, |f| f.text().map(Some))?;
    section.read("kind", &mut task.kind, |f| {
        let auto = [("auto", None)];
        let kinds = TaskKind::NAMED
            .iter()
            .map(|&(name, kind)| (name, Some(kind)));
        f.word(&auto.into_iter().chain(kinds).collect::<Vec<_>>())
    })?;
    let mut columns = section.section("columns")?;
    for (name, column) in [
        ("text", &mut task.columns.text),
        ("text_pair", &mut task.columns.text_pair),
        ("label", &mut task.columns.label),
    ] {
        columns.read(name, column, |f| f.text().map(Some))?;
    }
    columns.read("choices", &mut task.columns.choices, |f| {
        match f.node.value {
            Value::List(_) => distinct(&f, |item| item.text()),
            _ => f.text().map(|column| vec![column]),
        }
    })?;
    columns.finish()?;
    section.read("metrics", &mut task.metrics, |f| {
        distinct(&f, |item| item.word(Metric::NAMED))
    })?;
    section.read("choose_by", &mut task.choose_by, |f| {
        f.word(Optimised::NAMED).map(Some)
    })?;
    section.read("positive_label", &mut task.positive_label, |f| {
        f.text().map(Some)
    })?;
    section.read("labels", &mut task.labels, |f| {
        let labels = distinct(&f, |item| item.text())?;
        match labels.len() {
            0 | 1 => Err(f.wrong("a list of two labels or more")),
            _ => Ok(Some(labels)),
        }
    })?;
    if task.kind == Some(TaskKind::QuestionAnswering) {
        task.max_length = WINDOW_LENGTH;
    }
    section.read("max_length", &mut task.max_length, |f| f.count(4, 32_768))?;
    section.read("chat", &mut task.chat, |f| f.boolean())?;
    let length = task.max_length;
    task.question_answering = QuestionAnswering::for_length(length);
    section.read("question_answering", &mut task.question_answering, |f| {
        question_answering(&f, length)
    })?;
    section.read("generation", &mut task.generation, |f| generation(&f))?;
    let share = Range::above(0.0).to(0.5);
    section.read("validation_fraction", &mut task.validation_fraction, |f| {
        f.number(share)
    })?;
    section.read("test_fraction", &mut task.test_fraction, |f| {
        f.number(share)
    })?;
    section.finish()?;
    Ok(task)
}

fn finetune(mut section: Section<'_>) -> Result<Finetune, RecipeError> {
    let mut finetune = Finetune::default();
    section.read(
        "epochs",
        &mut finetune.epochs,
        whole(Hyperparameter::Epochs),
    )?;
    section.read("early_stopping", &mut finetune.early_stopping, |f| {
        f.boolean()
    })?;
    section.read("learning_rate", &mut finetune.learning_rate, |f| {
        real(Hyperparameter::LearningRate)(f).map(Some)
    })?;
    section.read("batch_size", &mut finetune.batch_size, |f| {
        whole(Hyperparameter::BatchSize)(f).map(Some)
    })?;
    section.read("optimizer", &mut finetune.optimizer, |f| {
        f.word(Optimizer::NAMED)
    })?;
    section.read(
        "weight_decay",
        &mut finetune.weight_decay,
        real(Hyperparameter::WeightDecay),
    )?;
    let decay = Range::from(0.0).below(1.0);
    section.read("adam_beta1", &mut finetune.adam_beta1, |f| f.number(decay))?;
    section.read("adam_beta2", &mut finetune.adam_beta2, |f| f.number(decay))?;
    section.read("adam_epsilon", &mut finetune.adam_epsilon, |f| {
        f.number(Range::above(0.0).to(1.0))
    })?;
    section.read("sgd_momentum", &mut finetune.sgd_momentum, |f| {
        f.number(decay)
    })?;
    section.read("sgd_nesterov", &mut finetune.sgd_nesterov, |f| f.boolean())?;
    section.read(
        "warmup_ratio",
        &mut finetune.warmup_ratio,
        real(Hyperparameter::WarmupRatio),
    )?;
    section.read("schedule", &mut finetune.schedule, |f| {
        f.word(Schedule::NAMED)
    })?;
    section.read("lora", &mut finetune.lora, |f| lora(&f).map(Some))?;
    section.read("dropout", &mut finetune.dropout, |f| {
        real(Hyperparameter::Dropout)(f).map(Some)
    })?;
    section.read("label_smoothing", &mut finetune.label_smoothing, |f| {
        f.number(Range::from(0.0).below(1.0))
    })?;
    section.read("max_grad_norm", &mut finetune.max_grad_norm, |f| {
        f.number(Range::from(0.0).to(1e6))
    })?;
    section.read(
        "gradient_accumulation_steps",
        &mut finetune.gradient_accumulation_steps,
        |f| f.count(1, 4096),
    )?;
    section.read(
        "gradient_checkpointing",
        &mut finetune.gradient_checkpointing,
        |f| f.boolean(),
    )?;
    section.read(
        "evaluations_per_epoch",
        &mut finetune.evaluations_per_epoch,
        |f| f.count(1, 1000),
    )?;
    section.finish()?;
    Ok(finetune)
}

/// The most columns of a factor: far above any rank that is of use.
const MAX_RANK: usize = 1024;

/// For windows of so many tokens.
fn question_answering(
    field: &Field<'_>,
    max_length: usize,
) -> Result<QuestionAnswering, RecipeError> {
    let mut section = field.section()?;
    let mut own = QuestionAnswering::for_length(max_length);
    section.read("doc_stride", &mut own.doc_stride, |f| {
        f.count(0, 32_768)?;
        f.count(0, max_length - 1)
            .map_err(|_| f.wrong(format!("below `task.max_length`, which is {max_length}")))
    })?;
    section.read("max_answer_length", &mut own.max_answer_length, |f| {
        f.count(1, 1024)
    })?;
    section.read("n_best_size", &mut own.n_best_size, |f| f.count(1, 1000))?;
    section.read(
        "null_score_diff_threshold",
        &mut own.null_score_diff_threshold,
        |f| f.number(Range::from(-1e6).to(1e6)),
    )?;
    section.finish()?;
    Ok(own)
}

fn generation(field: &Field<'_>) -> Result<Generation, RecipeError> {
    let mut section = field.section()?;
    let mut generation = Generation::default();
    let options = &mut generation.options;
    section.read("max_new_tokens", &mut options.max_new_tokens, |f| {
        f.count(1, 32_768)
    })?;
    section.read("beams", &mut options.beams, |f| f.count(1, 64))?;
    section.read("length_penalty", &mut options.length_penalty, |f| {
        Ok(f.number(Range::from(-10.0).to(10.0))? as f32)
    })?;
    section.read("early_stopping", &mut options.early_stopping, |f| {
        match f.node.value {
            Value::Bool(true) => Ok(EarlyStopping::First),
            Value::Bool(false) => Ok(EarlyStopping::Heuristic),
            _ => f.word(EARLY_STOPPING),
        }
    })?;
    section.read("repetition_penalty", &mut options.repetition_penalty, |f| {
        Ok(f.number(Range::above(0.0).to(100.0))? as f32)
    })?;
    section.read("sample", &mut options.sampling, |f| sampling(&f).map(Some))?;
    if options.sampling.is_some() && options.beams > 1 {
        return Err(field.wrong("without `sample` where there is more than one beam"));
    }
    section.read("stem", &mut generation.stem, |f| f.boolean())?;
    section.finish()?;
    Ok(generation)
}

fn sampling(field: &Field<'_>) -> Result<Sampling, RecipeError> {
    let mut section = field.section()?;
    // The run's seed takes the place of this one.
    let mut sampling = Sampling {
        temperature: 1.0,
        top_k: None,
        top_p: 1.0,
        seed: 0,
    };
    section.read("temperature", &mut sampling.temperature, |f| {
        Ok(f.number(Range::above(0.0).to(100.0))? as f32)
    })?;
    section.read("top_k", &mut sampling.top_k, |f| {
        f.count(1, 1 << 24).map(Some)
    })?;
    section.read("top_p", &mut sampling.top_p, |f| {
        Ok(f.number(Range::above(0.0).to(1.0))? as f32)
    })?;
    section.finish()?;
    Ok(sampling)
}

fn lora(field: &Field<'_>) -> Result<LoraOptions, RecipeError> {
    let mut section = field.section()?;
    let mut lora = LoraOptions::default();
    section.read("r", &mut lora.r, |f| f.count(1, MAX_RANK))?;
    lora.alpha = lora.r as f64;
    section.read("alpha", &mut lora.alpha, |f| {
        f.number(Range::above(0.0).to(1e6))
    })?;
    section.read("dropout", &mut lora.dropout, real(Hyperparameter::Dropout))?;
    section.read("target_modules", &mut lora.target_modules, |f| {
        if let Value::List(_) = f.node.value {
            let names = distinct(&f, |item| item.text())?;
            return match names.is_empty() {
                true => Err(f.wrong("a list of names that is not empty")),
                false => Ok(Targets::Names(names)),
            };
        }
        f.word(&[("all-linear", ())])
            .map(|()| Targets::AllLinear)
            .map_err(|_| f.wrong("all-linear, or a list of names of layers"))
    })?;
    section.read("rslora", &mut lora.rslora, |f| f.boolean())?;
    section.finish()?;
    Ok(lora)
}

/// Learning rates of adapters, a tenth of which suits whole weights.
const LORA_LEARNING_RATE: Dimension = Dimension::LogFloat {
    low: 1e-4,
    high: 2e-3,
};

/// One in so many going on is as good as none.
const MAX_FACTOR: usize = 100;

fn pruning(field: &Field<'_>) -> Result<Option<SuccessiveHalving>, RecipeError> {
    let usual = SuccessiveHalving::default();
    if !matches!(field.node.value, Value::Map(_)) {
        return field
            .word(&[("none", None), ("halving", Some(usual))])
            .map_err(|_| field.wrong("none, halving, or a mapping of factor and first"));
    }
    let mut section = field.section()?;
    let (mut factor, mut first) = (usual.factor(), usual.first());
    section.read("factor", &mut factor, |f| f.count(2, MAX_FACTOR))?;
    section.read("first", &mut first, |f| {
        f.number(Range::above(0.0).below(1.0))
    })?;
    section.finish()?;
    SuccessiveHalving::new(factor, first)
        .map(Some)
        .map_err(|_| field.wrong("a factor from 2 and a share above 0 and below 1"))
}

fn stage1(mut section: Section<'_>, fixed: &Finetune) -> Result<Stage1, RecipeError> {
    let mut stage1 = Stage1::default();
    if fixed.lora.is_some() {
        stage1.light = Light::Lora;
        stage1
            .space
            .insert(Hyperparameter::LearningRate, LORA_LEARNING_RATE);
    }
    section.read("light", &mut stage1.light, |f| f.word(Light::NAMED))?;
    section.read("lora_r", &mut stage1.lora_r, |f| f.count(1, MAX_RANK))?;
    section.read("trials", &mut stage1.trials, |f| f.count(0, 10_000))?;
    stage1.initial = stage1.initial.min(stage1.trials.max(1));
    let trials = stage1.trials.max(1);
    section.read("initial", &mut stage1.initial, |f| {
        f.count(1, 10_000)?;
        f.count(1, trials)
            .map_err(|_| f.wrong(format!("at most `stage1.trials`, which is {trials}")))
    })?;
    section.read("patience", &mut stage1.patience, |f| {
        f.count(1, 10_000).map(Some)
    })?;
    section.read("pruning", &mut stage1.pruning, |f| pruning(&f))?;
    section.read("epochs", &mut stage1.epochs, whole(Hyperparameter::Epochs))?;
    section.read("frozen_layers", &mut stage1.frozen_layers, |f| {
        match f.node.value {
            Value::Integer(_) | Value::Number(_) => f.count(0, 1000).map(FrozenLayers::Count),
            _ => f
                .word(&[("half", FrozenLayers::Half)])
                .map_err(|_| f.wrong("half, or a whole number from 0 to 1000")),
        }
    })?;
    section.read(
        "evaluations_per_epoch",
        &mut stage1.evaluations_per_epoch,
        |f| f.count(1, 1000),
    )?;
    section.read("known", &mut stage1.known, |f| f.text().map(Some))?;
    section.read("known_study", &mut stage1.known_study, |f| {
        f.text().map(Some)
    })?;
    match section.field("space") {
        Some(field) => stage1.space = space(&field, fixed, stage1.trials > 0)?,
        None => stage1.space.retain(|&name, _| !is_fixed(fixed, name)),
    }
    if stage1.space.is_empty() {
        stage1.skip();
    }
    section.finish()?;
    Ok(stage1)
}

/// Whether `finetune` holds a value that the search would have to give way to.
fn is_fixed(finetune: &Finetune, name: Hyperparameter) -> bool {
    match name {
        Hyperparameter::LearningRate => finetune.learning_rate.is_some(),
        Hyperparameter::BatchSize => finetune.batch_size.is_some(),
        // The others have defaults, which stand for "unless it is searched".
        _ => false,
    }
}

fn space(
    field: &Field<'_>,
    fixed: &Finetune,
    is_searched: bool,
) -> Result<IndexMap<Hyperparameter, Dimension>, RecipeError> {
    let mut space = IndexMap::new();
    for (name, entry) in field.entries(Hyperparameter::NAMED)? {
        if is_searched && is_fixed(fixed, name) {
            return Err(RecipeError::SearchedAndFixed {
                file: entry.file.into(),
                line: entry.node.line,
                name: name.as_str(),
            });
        }
        space.insert(name, dimension(name, &entry)?);
    }
    Ok(space)
}

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Float,
    LogFloat,
    Int,
    Categorical,
}

fn dimension(name: Hyperparameter, field: &Field<'_>) -> Result<Dimension, RecipeError> {
    let mut section = match field.node.value {
        Value::Map(_) => field.section()?,
        _ => return Err(field.wrong("a mapping with `type` and `low`, `high` or `choices`")),
    };
    let types: &[(&'static str, Scale)] = match name.domain() {
        Domain::Real(_) => &[
            ("float", Scale::Float),
            ("log_float", Scale::LogFloat),
            ("categorical", Scale::Categorical),
        ],
        Domain::Integer(..) => &[("int", Scale::Int), ("categorical", Scale::Categorical)],
        Domain::Schedule => &[("categorical", Scale::Categorical)],
    };
    let scale = needed(&mut section, field, "type")?.word(types)?;
    let dimension = match (scale, name.domain()) {
        (Scale::Int, Domain::Integer(low, high)) => {
            let low = needed(&mut section, field, "low")?.integer(low, high)?;
            let top = needed(&mut section, field, "high")?;
            let high = top.integer(low, high)?;
            check_order(&top, low < high)?;
            Dimension::Int { low, high }
        }
        (Scale::Float | Scale::LogFloat, Domain::Real(range)) => {
            let bottom = needed(&mut section, field, "low")?;
            let low = bottom.number(range)?;
            let top = needed(&mut section, field, "high")?;
            let high = top.number(range)?;
            check_order(&top, low < high)?;
            if scale == Scale::Float {
                Dimension::Float { low, high }
            } else {
                bottom.number(Range::above(0.0))?;
                Dimension::LogFloat { low, high }
            }
        }
        (_, domain) => {
            let list = needed(&mut section, field, "choices")?;
            let choices = distinct(&list, |item| choice(domain, &item))?;
            if choices.len() < 2 {
                return Err(list.wrong("a list of two values or more"));
            }
            Dimension::Categorical { choices }
        }
    };
    section.finish()?;
    Ok(dimension)
}

fn choice(domain: Domain, item: &Field<'_>) -> Result<HyperValue, RecipeError> {
    match domain {
        Domain::Real(range) => item.number(range).map(HyperValue::Float),
        Domain::Integer(low, high) => item.integer(low, high).map(HyperValue::Int),
        Domain::Schedule => item
            .word(Schedule::NAMED)
            .map(|schedule| HyperValue::Text(schedule.as_str().into())),
    }
}

fn needed<'a>(
    section: &mut Section<'a>,
    parent: &Field<'a>,
    name: &'static str,
) -> Result<Field<'a>, RecipeError> {
    section
        .field(name)
        .ok_or_else(|| parent.wrong(format!("a mapping that has `{name}`")))
}

fn check_order(high: &Field<'_>, in_order: bool) -> Result<(), RecipeError> {
    match in_order {
        true => Ok(()),
        false => Err(high.wrong("larger than `low`")),
    }
}

fn members(mut section: Section<'_>) -> Result<Members, RecipeError> {
    let mut members = Members::default();
    section.read("count", &mut members.count, |f| f.count(2, 1000))?;
    section.read("window", &mut members.window, |f| {
        let items = f.items()?;
        let [first, last] = items.as_slice() else {
            return Err(f.wrong("a list of two numbers"));
        };
        let window = [
            first.number(Range::above(0.0).to(1.0))?,
            last.number(Range::from(1.0).to(100.0))?,
        ];
        match window[0] < window[1] {
            true => Ok(window),
            false => Err(last.wrong("larger than the first number of the window")),
        }
    })?;
    section.read("source", &mut members.source, |f| {
        f.word(MembersSource::NAMED)
    })?;
    section.read("runs", &mut members.runs, |f| f.count(2, 100))?;
    section.read("basin", &mut members.basin, |f| {
        let points = f.count(0, 101);
        let points = points.ok().filter(|points| ![1, 2].contains(points));
        let wrong = || f.wrong("0, or a whole number from 3 to 101");
        points.ok_or_else(wrong).map(Some)
    })?;
    section.finish()?;
    Ok(members)
}

/// `is_external`: the objectives, with their weights, are those of `evaluator`.
fn stage2(mut section: Section<'_>, is_external: bool) -> Result<Stage2, RecipeError> {
    let mut stage2 = Stage2::default();
    section.read("evaluations", &mut stage2.evaluations, |f| {
        f.count(0, 100_000).map(Some)
    })?;
    section.read("patience", &mut stage2.patience, |f| {
        f.count(1, 100_000).map(Some)
    })?;
    section.read("blocks", &mut stage2.blocks, |f| {
        let blocks = match f.node.value {
            Value::Integer(_) | Value::Number(_) => f.count(1, 1000).map(Blocks::Groups)?,
            _ => f
                .word(&[("none", Blocks::None), ("layers", Blocks::Layers)])
                .map_err(|_| f.wrong("none, layers, or a whole number from 1 to 1000"))?,
        };
        match is_external && blocks != Blocks::None {
            true => Err(f.wrong("none, where a program evaluates")),
            false => Ok(blocks),
        }
    })?;
    section.read("block_evaluations", &mut stage2.block_evaluations, |f| {
        f.count(0, 100_000).map(Some)
    })?;
    section.read("surrogate", &mut stage2.surrogate, |f| {
        f.word(Surrogate::NAMED)
    })?;
    let mut choose_line = 0;
    section.read("choose", &mut stage2.choose, |f| {
        choose_line = f.node.line;
        f.word(Choose::NAMED)
    })?;
    section.read("objective_weights", &mut stage2.objective_weights, |f| {
        let weights = numbers(&f, Range::from(0.0).to(1e6))?;
        match weights.values().any(|&weight| weight > 0.0) {
            true => Ok(Some(weights)),
            false => Err(f.wrong("a mapping with a weight above 0")),
        }
    })?;
    section.read("ref_point", &mut stage2.ref_point, |f| {
        numbers(&f, Range::FINITE).map(Some)
    })?;
    section.read("baselines", &mut stage2.baselines, |f| {
        match &f.node.value {
            Value::Text(text) if text == "all" => Ok(Baseline::NAMED
                .iter()
                .map(|(_, baseline)| *baseline)
                .collect()),
            Value::List(_) => distinct(&f, |item| item.word(Baseline::NAMED)),
            _ => Err(f.wrong("all, or a list of methods")),
        }
    })?;
    section.read("ema_decay", &mut stage2.ema_decay, |f| {
        f.number(Range::from(0.0).to(1.0))
    })?;
    if stage2.choose == Choose::Weights && stage2.objective_weights.is_none() && !is_external {
        return Err(RecipeError::Needed {
            file: section.file.into(),
            line: choose_line,
            field: "stage2.objective_weights",
            other: "stage2.choose",
            value: Choose::Weights.to_string(),
        });
    }
    section.finish()?;
    Ok(stage2)
}

fn numbers(field: &Field<'_>, range: Range) -> Result<IndexMap<Optimised, f64>, RecipeError> {
    field
        .entries(Optimised::NAMED)?
        .into_iter()
        .map(|(objective, value)| Ok((objective, value.number(range)?)))
        .collect()
}

fn distinct<'a, T: PartialEq>(
    list: &Field<'a>,
    read: impl Fn(Field<'a>) -> Result<T, RecipeError>,
) -> Result<Vec<T>, RecipeError> {
    let mut values = Vec::new();
    for item in list.items()? {
        let value = read(item.clone())?;
        if values.contains(&value) {
            return Err(item.wrong("different from the values before it"));
        }
        values.push(value);
    }
    Ok(values)
}

fn whole(name: Hyperparameter) -> impl Fn(Field<'_>) -> Result<usize, RecipeError> {
    move |field| match name.domain() {
        Domain::Integer(low, high) => Ok(field.integer(low, high)? as usize),
        _ => Err(field.wrong("a whole number")),
    }
}

fn real(name: Hyperparameter) -> impl Fn(Field<'_>) -> Result<f64, RecipeError> {
    move |field| match name.domain() {
        Domain::Real(range) => field.number(range),
        _ => Err(field.wrong("a number")),
    }
}
