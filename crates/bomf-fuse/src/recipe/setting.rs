//! The values of a parameter over tensors and layers.
//!
//! A setting is a list of cases; the first whose filter is part of the tensor's name holds. A
//! case is one value, or a gradient: values at equal distances from the first layer to the last,
//! between which numbers are interpolated, and of which flags take the one to the left. This is
//! how mergekit reads its parameters.

use crate::method::Value;

/// The values of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    cases: Vec<Case>,
}

/// A value or gradient for the tensors of some names.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// A part of the tensors' names; `None` is every tensor.
    pub filter: Option<String>,
    /// One value, or several from the first layer to the last; never none.
    values: Vec<Value>,
}

impl Case {
    /// A case; `None` without values.
    pub fn new(filter: Option<String>, values: Vec<Value>) -> Option<Self> {
        (!values.is_empty()).then_some(Self { filter, values })
    }

    fn holds(&self, tensor: &str) -> bool {
        match self.filter.as_deref() {
            None | Some("*") => true,
            Some(filter) => tensor.contains(filter),
        }
    }

    fn at(&self, t: f64) -> Value {
        let last = self.values.len() - 1;
        let place = t.clamp(0.0, 1.0) * last as f64;
        let left = (place as usize).min(last);
        let right = (left + 1).min(last);
        match (self.values[left], self.values[right]) {
            (Value::Number(a), Value::Number(b)) => {
                let part = place - left as f64;
                Value::Number((1.0 - part) * a + part * b)
            }
            (value, _) => value,
        }
    }
}

impl Setting {
    /// A setting from its cases, in the order in which they are tried.
    pub fn new(cases: Vec<Case>) -> Self {
        Self { cases }
    }

    /// The same value for every tensor.
    pub fn constant(value: Value) -> Self {
        Self {
            cases: vec![Case {
                filter: None,
                values: vec![value],
            }],
        }
    }

    /// The value for a tensor whose layer stands at `t`, from 0 for the first to 1 for the last;
    /// `None` where no case holds.
    pub fn value(&self, tensor: &str, t: f64) -> Option<Value> {
        let case = self.cases.iter().find(|case| case.holds(tensor))?;
        Some(case.at(t))
    }
}

/// Settings by the names of parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings(Vec<(&'static str, Setting)>);

impl Settings {
    /// Sets a parameter, in place of an earlier setting.
    pub fn set(&mut self, name: &'static str, setting: Setting) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, setting));
    }

    /// The setting of a parameter.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, s)| s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(values: &[f64]) -> Setting {
        let values = values.iter().map(|&v| Value::Number(v)).collect();
        Setting::new(vec![Case::new(None, values).unwrap()])
    }

    #[test]
    fn gradients_pass_through_their_values_and_are_straight_between() {
        let setting = gradient(&[0.0, 1.0, 0.0]);
        for (t, expected) in [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)] {
            assert_eq!(setting.value("x", t), Some(Value::Number(expected)), "{t}");
        }
        assert_eq!(gradient(&[0.3]).value("x", 0.7), Some(Value::Number(0.3)));
    }

    #[test]
    fn flags_take_the_value_to_the_left() {
        let values = vec![Value::Flag(true), Value::Flag(false)];
        let setting = Setting::new(vec![Case::new(None, values).unwrap()]);
        assert_eq!(setting.value("x", 0.99), Some(Value::Flag(true)));
        assert_eq!(setting.value("x", 1.0), Some(Value::Flag(false)));
    }

    #[test]
    fn the_first_case_that_holds_counts() {
        let case = |filter: Option<&str>, value| {
            Case::new(filter.map(str::to_owned), vec![Value::Number(value)]).unwrap()
        };
        let setting = Setting::new(vec![case(Some("mlp"), 1.0), case(Some("mlp.up"), 2.0)]);
        assert_eq!(setting.value("0.mlp.up", 0.0), Some(Value::Number(1.0)));
        assert_eq!(setting.value("0.attn", 0.0), None);
        let setting = Setting::new(vec![case(Some("mlp"), 1.0), case(None, 3.0)]);
        assert_eq!(setting.value("0.attn", 0.0), Some(Value::Number(3.0)));
    }

    #[test]
    fn a_later_setting_replaces_an_earlier_one() {
        let mut settings = Settings::default();
        settings.set("weight", Setting::constant(Value::Number(1.0)));
        settings.set("weight", Setting::constant(Value::Number(2.0)));
        let weight = settings.get("weight").unwrap();
        assert_eq!(weight.value("x", 0.0), Some(Value::Number(2.0)));
        assert_eq!(settings.get("density"), None);
    }
}
