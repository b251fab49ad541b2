//! `schema/results.schema.json` against results, and results against what stage 2
//! promises.
//!
//! The validator below knows the part of JSON Schema that the schema uses and
//! refuses every other keyword, so that nothing in the schema goes unchecked.
//! `BOMF_RESULTS` names a `results.json` of a real run to be checked as well.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Share by which a hypervolume may be smaller than that of a part of its points:
/// both are sums of the same boxes in another order.
const ROUNDING: f64 = 1e-9;

/// Methods whose mixtures stand in the starting design of `bomf`.
const CONTAINED: [&str; 5] = [
    "best_checkpoint",
    "last_checkpoint",
    "swa",
    "uniform_soup",
    "greedy_soup",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn schema() -> Value {
    read(&root().join("schema/results.schema.json"))
}

fn sample() -> Value {
    read(&root().join("crates/bomf-cli/tests/fixtures/results.json"))
}

/// Everything that is wrong with `value`, each with the place where it is.
fn validate(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, schema, value, "$", &mut faults);
    faults
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the schema has the type `{other}`"),
    }
}

/// A number against a limit; anything else than a number is not the limit's affair.
fn fits(value: &Value, limit: &Value, holds: fn(f64, f64) -> bool) -> bool {
    value
        .as_f64()
        .is_none_or(|number| holds(number, limit.as_f64().unwrap()))
}

fn length(value: &Value) -> Option<u64> {
    match value {
        Value::Array(items) => Some(items.len() as u64),
        Value::Object(fields) => Some(fields.len() as u64),
        _ => None,
    }
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    let none = Map::new();
    let keywords = match schema {
        Value::Bool(true) => return,
        Value::Bool(false) => return faults.push(format!("{path}: not allowed")),
        schema => schema.as_object().unwrap(),
    };
    let properties = schema["properties"].as_object().unwrap_or(&none);
    for (keyword, rule) in keywords {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                let target = root.pointer(pointer).unwrap();
                check(root, target, value, path, faults);
                true
            }
            "type" => match rule {
                Value::String(name) => is_type(value, name),
                names => {
                    let mut names = names.as_array().unwrap().iter();
                    names.any(|name| is_type(value, name.as_str().unwrap()))
                }
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => fits(value, rule, |number, limit| number >= limit),
            "exclusiveMinimum" => fits(value, rule, |number, limit| number > limit),
            "maximum" => fits(value, rule, |number, limit| number <= limit),
            "exclusiveMaximum" => fits(value, rule, |number, limit| number < limit),
            "minItems" => length(value).is_none_or(|length| length >= rule.as_u64().unwrap()),
            "maxItems" | "maxProperties" => {
                length(value).is_none_or(|length| length <= rule.as_u64().unwrap())
            }
            "uniqueItems" => value.as_array().is_none_or(|items| {
                let mut places = 0..items.len();
                places.all(|i| !items[..i].contains(&items[i]))
            }),
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{path}[{i}]"), faults);
                }
                true
            }
            "required" => value.as_object().is_none_or(|fields| {
                let mut names = rule.as_array().unwrap().iter();
                names.all(|name| fields.contains_key(name.as_str().unwrap()))
            }),
            "properties" | "additionalProperties" => {
                for (name, field) in value.as_object().unwrap_or(&none) {
                    let rule = match (keyword.as_str(), properties.get(name)) {
                        ("properties", own) => own,
                        (_, Some(_)) => None,
                        (_, None) => Some(rule),
                    };
                    if let Some(rule) = rule {
                        check(root, rule, field, &format!("{path}.{name}"), faults);
                    }
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|choice| {
                let mut faults = Vec::new();
                check(root, choice, value, path, &mut faults);
                faults.is_empty()
            }),
            other => panic!("the schema uses `{other}`, which this validator does not know"),
        };
        if !holds {
            faults.push(format!("{path}: against `{keyword}`: {rule}"));
        }
    }
}

#[test]
fn the_sample_results_fit_the_schema() {
    assert_eq!(validate(&schema(), &sample()), [""; 0]);
}

#[test]
fn what_the_program_writes_again_fits_the_schema() {
    let results: bomf::study::Results = serde_json::from_value(sample()).unwrap();
    let written = serde_json::to_value(&results).unwrap();
    assert_eq!(validate(&schema(), &written), [""; 0]);
}

#[test]
fn the_schema_refuses_results_that_are_wrong() {
    let wrong = |pointer: &str, value: Value| {
        let mut results = sample();
        *results.pointer_mut(pointer).unwrap() = value;
        results
    };
    let schema = schema();
    for (results, fault) in [
        (wrong("/seed", json!("0")), "$.seed"),
        (wrong("/seed", json!(-1)), "$.seed"),
        (wrong("/threads", json!(1.5)), "$.threads"),
        (wrong("/task_kind", json!("ranking")), "$.task_kind"),
        (wrong("/methods", json!([])), "$.methods"),
        (
            wrong("/methods/0/name", json!("magic")),
            "$.methods[0].name",
        ),
        (
            wrong("/methods/0/weights", json!([-0.5, 1.5])),
            "$.methods[0]: against `anyOf`",
        ),
        (
            wrong("/methods/0/select", json!({"accuracy": "1"})),
            "$.methods[0].select",
        ),
        (wrong("/splits", json!({"train": 1})), "$.splits"),
        (wrong("/seconds/total", json!(null)), "$.seconds.total"),
    ] {
        let faults = validate(&schema, &results);
        assert!(
            faults.iter().any(|found| found.starts_with(fault)),
            "{fault} should be wrong, but the faults are {faults:?}"
        );
    }
    let mut results = sample();
    results["colour"] = json!("red");
    assert_eq!(validate(&schema, &results), ["$.colour: not allowed"]);
}

fn method<'a>(results: &'a Value, name: &str) -> Option<&'a Value> {
    let mut methods = results["methods"].as_array().unwrap().iter();
    methods.find(|method| method["name"] == name)
}

/// Set `BOMF_RESULTS` to the `results.json` of a run.
#[test]
fn a_real_run_fits_the_schema_and_is_no_worse_than_what_it_started_from() {
    let Some(path) = std::env::var_os("BOMF_RESULTS").map(PathBuf::from) else {
        println!("SKIPPED: set BOMF_RESULTS to the results.json of a run to check it");
        return;
    };
    let results = read(&path);
    assert_eq!(validate(&schema(), &results), [""; 0]);
    let hypervolume = |name| method(&results, name).map(|m| m["hypervolume"].as_f64().unwrap());
    let bomf = hypervolume("bomf").unwrap();
    let mut compared = 0;
    for name in CONTAINED {
        let Some(other) = hypervolume(name) else {
            continue;
        };
        compared += 1;
        println!("select hypervolume: bomf {bomf:.6}, {name} {other:.6}");
        assert!(
            bomf >= other * (1.0 - ROUNDING),
            "bomf reaches {bomf}, {name} {other}"
        );
    }
    assert!(compared > 1, "the results hold no baselines");
}
