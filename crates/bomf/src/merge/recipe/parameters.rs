//! Parameters: values, gradients over layers, and filters by tensor name.

use crate::RecipeError;
use crate::recipe::node::{Key, Value as Yaml};
use crate::recipe::read::{Field, Range, nearest};
use bomf_fuse::method::{Kind, MethodSpec, ParamSpec, Scope, Value};
use bomf_fuse::recipe::{Case, Setting, Settings};
use bomf_fuse::registry;

/// Truth values of YAML 1.1, which mergekit's reader knows.
const TRUE: [&str; 3] = ["true", "yes", "on"];
const FALSE: [&str; 3] = ["false", "no", "off"];

/// Reads a mapping of parameters. `is_own` says that it belongs to one model.
pub(super) fn settings(
    field: &Field<'_>,
    method: &'static MethodSpec,
    is_own: bool,
    notes: &mut Vec<String>,
) -> Result<Settings, RecipeError> {
    let entries = match &field.node.value {
        Yaml::Map(entries) => entries.as_slice(),
        Yaml::Null => &[],
        _ => return Err(field.wrong("a mapping of parameters")),
    };
    let mut settings = Settings::default();
    for (key, node) in entries {
        let value = Field {
            file: field.file,
            path: format!("{}.{}", field.path, key.name),
            node,
        };
        match method.params.iter().find(|spec| spec.name == key.name) {
            Some(spec) if is_own && spec.scope == Scope::Method => {
                let why = "it is one for all models, and has no effect here";
                notes.push(note(field, key, why));
            }
            Some(_) if node.value == Yaml::Null => {}
            Some(spec) => settings.set(spec.name, setting(&value, spec)?),
            None if is_known(&key.name) => {
                let why = format!("{} has no such parameter; it has no effect", method.name);
                notes.push(note(field, key, &why));
            }
            None => return Err(unknown(field, key, method)),
        }
    }
    Ok(settings)
}

/// Whether any method has a parameter of this name.
fn is_known(name: &str) -> bool {
    let mut methods = registry::all().iter();
    methods.any(|m| m.spec().params.iter().any(|spec| spec.name == name))
}

fn note(field: &Field<'_>, key: &Key, why: &str) -> String {
    format!(
        "{} line {}: `{}.{}`: {why}",
        field.file, key.line, field.path, key.name
    )
}

fn unknown(field: &Field<'_>, key: &Key, method: &MethodSpec) -> RecipeError {
    let known: Vec<&'static str> = method.params.iter().map(|spec| spec.name).collect();
    RecipeError::UnknownField {
        file: field.file.into(),
        line: key.line,
        field: key.name.clone(),
        section: field.path.clone(),
        nearest: nearest(&key.name, &known),
        known,
    }
}

fn setting(field: &Field<'_>, spec: &ParamSpec) -> Result<Setting, RecipeError> {
    let is_case = |node: &Yaml| matches!(node, Yaml::Map(_));
    let cases = match &field.node.value {
        Yaml::Map(_) => vec![case(field, spec)?],
        Yaml::List(items) if items.iter().any(|item| is_case(&item.value)) => {
            let items = field.items()?;
            items
                .iter()
                .map(|item| case(item, spec))
                .collect::<Result<_, _>>()?
        }
        _ => vec![plain(field, None, spec)?],
    };
    Ok(Setting::new(cases))
}

/// `{filter: part of a name, value: ...}`.
fn case(field: &Field<'_>, spec: &ParamSpec) -> Result<Case, RecipeError> {
    if !matches!(field.node.value, Yaml::Map(_)) {
        return Err(field.wrong("a mapping with `value` and perhaps `filter`, like the others"));
    }
    let mut section = field.section()?;
    let mut filter = None;
    section.read("filter", &mut filter, |f| f.text().map(Some))?;
    let value = section.field("value");
    section.finish()?;
    match value {
        Some(value) => plain(&value, filter, spec),
        None => Err(field.wrong("a mapping that has `value`")),
    }
}

/// One value, or a list of them from the first layer to the last.
fn plain(field: &Field<'_>, filter: Option<String>, spec: &ParamSpec) -> Result<Case, RecipeError> {
    let values = match &field.node.value {
        Yaml::List(_) => {
            let items = field.items()?;
            if matches!(spec.kind, Kind::Integer { .. }) && items.len() > 1 {
                return Err(field.wrong("one whole number, the same for all layers"));
            }
            items
                .iter()
                .map(|item| scalar(item, spec.kind))
                .collect::<Result<_, _>>()?
        }
        _ => vec![scalar(field, spec.kind)?],
    };
    Case::new(filter, values)
        .ok_or_else(|| field.wrong("a value, or a list of values that is not empty"))
}

fn scalar(field: &Field<'_>, kind: Kind) -> Result<Value, RecipeError> {
    match kind {
        Kind::Number { low, high } => {
            let range = Range::from(low).to(high);
            // Numbers in quotes, and those that only newer YAML takes for numbers.
            let quoted = match &field.node.value {
                Yaml::Text(text) => text.parse::<f64>().ok().filter(|v| v.is_finite()),
                _ => None,
            };
            match quoted.filter(|&value| range.contains(value)) {
                Some(value) => Ok(Value::Number(value)),
                None => field.number(range).map(Value::Number),
            }
        }
        Kind::Integer { low, high } => match field.node.value {
            Yaml::Integer(value) if (i128::from(low)..=i128::from(high)).contains(&value) => {
                Ok(Value::Number(value as f64))
            }
            _ => Err(field.wrong(format!("a whole number from {low} to {high}"))),
        },
        Kind::Flag => {
            let flag = match &field.node.value {
                Yaml::Bool(flag) => Some(*flag),
                Yaml::Integer(0) => Some(false),
                Yaml::Integer(1) => Some(true),
                Yaml::Text(text) => {
                    let text = text.to_lowercase();
                    let is_true = TRUE.contains(&text.as_str());
                    (is_true || FALSE.contains(&text.as_str())).then_some(is_true)
                }
                _ => None,
            };
            flag.map(Value::Flag)
                .ok_or_else(|| field.wrong("true or false"))
        }
    }
}
