//! `bomf methods`.

use super::Context;
use crate::args::MethodsArgs;
use crate::failure::Failure;
use bomf::merge::{MethodInfo, ParameterInfo};

pub fn command(args: MethodsArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    match args.name {
        Some(name) => {
            let method = bomf::merge::method(&name)?;
            context.tell(&method, one)
        }
        None => context.tell(&bomf::merge::methods(), |methods| all(methods)),
    }
}

fn all(methods: &[MethodInfo]) -> String {
    let width = methods.iter().map(|m| m.name.len()).max().unwrap_or(0);
    let line = |m: &MethodInfo| format!("{:<width$}  {}\n", m.name, m.summary);
    methods.iter().map(line).collect()
}

fn one(method: &MethodInfo) -> String {
    let mut text = format!("{}: {}\n", method.name, method.summary);
    if !method.paper.is_empty() {
        text.push_str(&format!("{}\n", method.paper));
    }
    text.push_str(&format!(
        "models: {}; base model: {}\n",
        method.models, method.base
    ));
    if let Some(kind) = method.statistics {
        text.push_str(&format!(
            "statistics: {kind}, a file for each model (`bomf statistics`)\n"
        ));
    }
    if method.parameters.is_empty() {
        return text;
    }
    text.push('\n');
    for ParameterInfo {
        name,
        scope,
        values,
        default,
        help,
    } in &method.parameters
    {
        let default = default
            .as_ref()
            .map_or("needed".into(), |d| format!("default {d}"));
        text.push_str(&format!(
            "{name} ({scope}): {help}\n    {values}; {default}\n"
        ));
    }
    text
}
