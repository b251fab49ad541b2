//! From a parsed document to a valid recipe.

use super::parameters::settings;
use super::tokenizer::tokenizer;
use super::{Align, ChatTemplate, MergeFile};
use crate::RecipeError;
use crate::merge::templates;
use crate::recipe::node::{self, Value};
use crate::recipe::read::{Field, Range, Section};
use bomf_checkpoint::Dtype;
use bomf_fuse::method::{Method, MethodSpec};
use bomf_fuse::recipe::{Body, Input, MergeParts, MergeRecipe, Settings, Slice, SliceSource};
use bomf_fuse::registry;

/// The fields of a recipe.
const FIELDS: [&str; 12] = [
    "merge_method",
    "models",
    "slices",
    "modules",
    "base_model",
    "parameters",
    "dtype",
    "out_dtype",
    "tokenizer_source",
    "tokenizer",
    "chat_template",
    "align",
];

/// The most layers of a model; far more than any has, and few enough to count through.
const MAX_LAYERS: usize = 1 << 16;

/// Types of the output, by their names in PyTorch.
const DTYPES: &[(&str, Dtype)] = &[
    ("bfloat16", Dtype::BF16),
    ("float16", Dtype::F16),
    ("float32", Dtype::F32),
    ("float64", Dtype::F64),
    ("torch.bfloat16", Dtype::BF16),
    ("torch.float16", Dtype::F16),
    ("torch.float32", Dtype::F32),
    ("torch.float64", Dtype::F64),
];

pub(super) fn file(text: &str, file: &str, seed: u64) -> Result<MergeFile, RecipeError> {
    let root = node::parse(text, file)?;
    let whole = Field {
        file,
        path: String::new(),
        node: &root,
    };
    if !matches!(root.value, Value::Map(_)) {
        let whole = Field {
            path: "the recipe".into(),
            ..whole
        };
        return Err(whole.wrong("a mapping with `merge_method` and `models` or `slices`"));
    }
    known_fields_only(&whole)?;
    let mut top = whole.section()?;
    let methods: Vec<(&'static str, &'static dyn Method)> = registry::all()
        .iter()
        .map(|&m| (m.spec().name, m))
        .collect();
    let method_field = needed(&mut top, &whole, "merge_method")?;
    let method = method_field.word(&methods)?;
    let mut reader = Reader {
        method: method.spec(),
        models: Vec::new(),
        statistics: Vec::new(),
        notes: Vec::new(),
    };
    let base = top
        .field("base_model")
        .map(|f| reader.model(&f))
        .transpose()?;
    let mut parameters = reader.parameters(&mut top, false)?;
    let (body, line) = reader.body(&mut top, &whole, &mut parameters)?;
    let (mut dtype, mut out_dtype) = (None, None);
    top.read("dtype", &mut dtype, |f| f.word(DTYPES).map(Some))?;
    top.read("out_dtype", &mut out_dtype, |f| f.word(DTYPES).map(Some))?;
    let tokenizer = tokenizer(&mut top, &reader.models)?;
    let chat_template = chat_template(&mut top)?;
    let align_field = top.field("align");
    let align = align_field.as_ref().map(align).transpose()?;
    if let Some(field) = align_field.filter(|_| reader.statistics.iter().any(Option::is_some)) {
        return Err(unsupported(
            &field,
            "aligning models that have statistics",
            "align the models by a `passthrough` each, and make their statistics anew",
        ));
    }
    let parts = MergeParts {
        method,
        models: reader.models,
        base,
        body,
        parameters,
        dtype,
        out_dtype,
        seed,
    };
    let recipe = MergeRecipe::new(parts).map_err(|source| RecipeError::Merge {
        file: file.into(),
        line,
        source: Box::new(source),
    })?;
    Ok(MergeFile {
        recipe,
        tokenizer,
        chat_template,
        align,
        statistics: reader.statistics,
        notes: reader.notes,
        text: text.into(),
    })
}

/// Refuses a slip of the pen before what is missing because of it.
fn known_fields_only(whole: &Field<'_>) -> Result<(), RecipeError> {
    let mut section = whole.section()?;
    for name in FIELDS {
        section.field(name);
    }
    section.finish()
}

/// What is known while a recipe is read.
struct Reader {
    method: &'static MethodSpec,
    models: Vec<String>,
    /// By the model's number.
    statistics: Vec<Option<String>>,
    notes: Vec<String>,
}

impl Reader {
    /// A model's number.
    fn model(&mut self, field: &Field<'_>) -> Result<usize, RecipeError> {
        let name = field.text()?;
        if name.starts_with('+') || name.ends_with('+') {
            return Err(field.wrong("a model, or `model+adapter`"));
        }
        if let Some(number) = self.models.iter().position(|model| *model == name) {
            return Ok(number);
        }
        self.models.push(name);
        self.statistics.push(None);
        Ok(self.models.len() - 1)
    }

    /// The file of a model's statistics; where the model stands in several places, one says it
    /// for all.
    fn statistics(&mut self, section: &mut Section<'_>, model: usize) -> Result<(), RecipeError> {
        let Some(field) = section.field("statistics") else {
            return Ok(());
        };
        let name = field.text()?;
        match &self.statistics[model] {
            Some(other) if *other != name => {
                Err(field.wrong(format!("{other}, as for the same model above")))
            }
            _ => {
                self.statistics[model] = Some(name);
                Ok(())
            }
        }
    }

    fn parameters(
        &mut self,
        section: &mut Section<'_>,
        is_own: bool,
    ) -> Result<Settings, RecipeError> {
        match section.field("parameters") {
            Some(field) => settings(&field, self.method, is_own, &mut self.notes),
            None => Ok(Settings::default()),
        }
    }

    /// `models`, `slices` or `modules`, and the line that it stands on. A module's parameters
    /// come before the recipe's.
    fn body(
        &mut self,
        top: &mut Section<'_>,
        whole: &Field<'_>,
        parameters: &mut Settings,
    ) -> Result<(Body, u64), RecipeError> {
        let modules = top.field("modules");
        let plain = self.plain_body(top)?;
        match (plain, modules) {
            (Some(body), None) => Ok(body),
            (None, Some(modules)) => self.modules(&modules, parameters),
            _ => Err(whole.wrong_place(
                "the recipe",
                "a mapping that has one of `models`, `slices` and `modules`",
            )),
        }
    }

    fn plain_body(
        &mut self,
        section: &mut Section<'_>,
    ) -> Result<Option<(Body, u64)>, RecipeError> {
        let (models, slices) = (section.field("models"), section.field("slices"));
        match (models, slices) {
            (Some(models), None) => {
                let body = Body::Models(self.each(&models, Self::input)?);
                Ok(Some((body, models.node.line)))
            }
            (None, Some(slices)) => {
                let body = Body::Slices(self.each(&slices, Self::slice)?);
                Ok(Some((body, slices.node.line)))
            }
            (None, None) => Ok(None),
            (Some(_), Some(slices)) => Err(slices.wrong("left out where there are `models`")),
        }
    }

    /// mergekit's name for the one module of plain models is `default`.
    fn modules(
        &mut self,
        field: &Field<'_>,
        parameters: &mut Settings,
    ) -> Result<(Body, u64), RecipeError> {
        let mut modules = field.section()?;
        let default = modules.field("default");
        if let (Value::Map(entries), true) = (&field.node.value, default.is_none()) {
            let names: Vec<&str> = entries.iter().map(|(key, _)| key.name.as_str()).collect();
            return Err(unsupported(
                field,
                &format!("fusing a model module by module ({})", names.join(", ")),
                "give `models` at the top level: then all modules are fused alike",
            ));
        }
        modules.finish()?;
        let Some(default) = default else {
            return Err(field.wrong("a mapping with `default`"));
        };
        let mut section = default.section()?;
        let own = self.parameters(&mut section, false)?;
        let Some(body) = self.plain_body(&mut section)? else {
            return Err(default.wrong("a mapping that has `models` or `slices`"));
        };
        section.finish()?;
        for spec in self.method.params {
            if let Some(setting) = own.get(spec.name) {
                parameters.set(spec.name, setting.clone());
            }
        }
        Ok(body)
    }

    fn each<T>(
        &mut self,
        list: &Field<'_>,
        read: fn(&mut Self, &Field<'_>) -> Result<T, RecipeError>,
    ) -> Result<Vec<T>, RecipeError> {
        let items = list.items()?;
        if items.is_empty() {
            return Err(list.wrong("a list that is not empty"));
        }
        items.iter().map(|item| read(self, item)).collect()
    }

    fn input(&mut self, field: &Field<'_>) -> Result<Input, RecipeError> {
        let mut section = mapping(field, "model")?;
        let model = self.model(&needed(&mut section, field, "model")?)?;
        self.statistics(&mut section, model)?;
        let input = Input {
            model,
            parameters: self.parameters(&mut section, true)?,
        };
        section.finish()?;
        Ok(input)
    }

    fn slice(&mut self, field: &Field<'_>) -> Result<Slice, RecipeError> {
        let mut section = mapping(field, "sources")?;
        let sources = needed(&mut section, field, "sources")?;
        let slice = Slice {
            sources: self.each(&sources, Self::source)?,
            base: section
                .field("base_model")
                .map(|f| self.model(&f))
                .transpose()?,
            parameters: self.parameters(&mut section, false)?,
        };
        if let Some(field) = section.field("residual_weight") {
            self.notes.push(format!(
                "{} line {}: `{}` has no effect, as in mergekit",
                field.file, field.node.line, field.path
            ));
        }
        section.finish()?;
        Ok(slice)
    }

    fn source(&mut self, field: &Field<'_>) -> Result<SliceSource, RecipeError> {
        let mut section = mapping(field, "model")?;
        let model = self.model(&needed(&mut section, field, "model")?)?;
        self.statistics(&mut section, model)?;
        let range = needed(&mut section, field, "layer_range")?;
        let ends = range.items()?;
        let [start, end] = ends.as_slice() else {
            return Err(range.wrong("a list of the first layer and the one after the last"));
        };
        let (start, last) = (start.count(0, MAX_LAYERS)?, end.count(0, MAX_LAYERS)?);
        if last <= start {
            return Err(end.wrong("greater than the first layer"));
        }
        let source = SliceSource {
            input: Input {
                model,
                parameters: self.parameters(&mut section, true)?,
            },
            layers: start..last,
        };
        section.finish()?;
        Ok(source)
    }
}

fn chat_template(top: &mut Section<'_>) -> Result<ChatTemplate, RecipeError> {
    let Some(field) = top.field("chat_template") else {
        return Ok(ChatTemplate::Kept);
    };
    match field.text()?.as_str() {
        "auto" => Ok(ChatTemplate::Auto),
        text if text.contains('{') => Ok(ChatTemplate::Text(text.into())),
        name => match templates::named(name) {
            Some(text) => Ok(ChatTemplate::Text(text.into())),
            None => {
                let names: Vec<&str> = templates::NAMED.iter().map(|(name, _)| *name).collect();
                Err(field.wrong(format!("auto, a template, or one of {}", names.join(", "))))
            }
        },
    }
}

/// What `align: transport` mixes by.
const REGULARISATION: f64 = 0.05;

/// The most that may be asked for; far less is the mean of all units.
const MAX_REGULARISATION: f64 = 1e6;

/// `permutation`, `transport`, or a mapping with `kind` and perhaps `regularisation`.
fn align(field: &Field<'_>) -> Result<Align, RecipeError> {
    let kinds = [("permutation", 0.0), ("transport", REGULARISATION)];
    if !matches!(field.node.value, Value::Map(_)) {
        let regularisation = field.word(&kinds)?;
        return Ok(Align { regularisation });
    }
    let mut section = mapping(field, "kind")?;
    let kind = needed(&mut section, field, "kind")?;
    let mut regularisation = kind.word(&kinds)?;
    if let Some(own) = section.field("regularisation") {
        if regularisation == 0.0 {
            return Err(own.wrong("left out: a permutation has none"));
        }
        regularisation = own.number(Range::from(0.0).to(MAX_REGULARISATION))?;
    }
    section.finish()?;
    Ok(Align { regularisation })
}

pub(super) fn mapping<'a>(field: &Field<'a>, with: &str) -> Result<Section<'a>, RecipeError> {
    match field.node.value {
        Value::Map(_) => field.section(),
        _ => Err(field.wrong(format!("a mapping that has `{with}`"))),
    }
}

fn needed<'a>(
    section: &mut Section<'a>,
    parent: &Field<'a>,
    name: &'static str,
) -> Result<Field<'a>, RecipeError> {
    section.field(name).ok_or_else(|| {
        let expected = format!("a mapping that has `{name}`");
        match parent.path.as_str() {
            "" => parent.wrong_place("the recipe", &expected),
            _ => parent.wrong(expected),
        }
    })
}

fn unsupported(field: &Field<'_>, what: &str, instead: &str) -> RecipeError {
    RecipeError::Unsupported {
        file: field.file.into(),
        line: field.node.line,
        field: field.path.clone(),
        what: what.into(),
        instead: instead.into(),
    }
}
