//! The frequencies of rotary position embeddings, and how configurations scale them.
//!
//! Pair `i` of a head of `d` columns turns by `position * θ^(-2i/d)`. To read sequences
//! longer than those of the pre-training, these frequencies are lowered: all of them
//! (`linear`, Chen et al. 2023), the low ones (`llama3`), or by a ramp between the two with
//! a factor on queries and keys (`yarn`, Peng et al. 2023); as
//! `transformers/modeling_rope_utils.py` computes it.

use serde_json::{Map, Value};
use std::f64::consts::PI;

/// Frequencies of a model's heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// One a pair of columns, in radians a position.
    pub frequencies: Vec<f32>,
    /// On cosines and sines.
    pub factor: f32,
}

/// The fields of the configuration on this, whatever the version that wrote them.
struct Fields<'a> {
    own: Option<&'a Map<String, Value>>,
    raw: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<f64> {
        let value = self.own.and_then(|own| own.get(name))?;
        value.as_f64().filter(|v| v.is_finite() && *v > 0.0)
    }

    fn needed(&self, name: &str) -> Result<f64, String> {
        self.get(name).ok_or_else(|| {
            format!("`{name}` of the rotary embeddings is missing or no number above 0")
        })
    }

    fn original(&self) -> Result<f64, String> {
        let name = "original_max_position_embeddings";
        let outer = |name: &str| self.raw.get(name).and_then(Value::as_f64);
        let found = self.get(name).or_else(|| outer(name));
        found
            .or_else(|| outer("max_position_embeddings"))
            .filter(|v| *v >= 1.0)
            .ok_or_else(|| format!("`{name}` of the rotary embeddings is missing"))
    }
}

impl Rope {
    /// Reads `rope_parameters`, or `rope_theta` and `rope_scaling`, of a configuration with
    /// heads of `size` columns.
    ///
    /// # Errors
    /// What is missing, or the name of a scaling that is not built in.
    pub fn read(raw: &Map<String, Value>, size: usize, default_theta: f64) -> Result<Self, String> {
        let section = |name: &str| raw.get(name).and_then(Value::as_object);
        let own = section("rope_parameters").or_else(|| section("rope_scaling"));
        let fields = Fields { own, raw };
        let theta = fields
            .get("rope_theta")
            .or_else(|| raw.get("rope_theta").and_then(Value::as_f64))
            .unwrap_or(default_theta);
        if !(theta.is_finite() && theta > 1.0) {
            return Err(format!("`rope_theta` is {theta}, not a number above 1"));
        }
        if own
            .and_then(|own| own.get("partial_rotary_factor"))
            .or_else(|| raw.get("partial_rotary_factor"))
            .is_some_and(|v| v.as_f64() != Some(1.0))
        {
            return Err("`partial_rotary_factor` other than 1 is not supported".into());
        }
        let base: Vec<f64> = (0..size / 2)
            .map(|i| theta.powf(-2.0 * i as f64 / size as f64))
            .collect();
        let word = |name: &str| own.and_then(|own| own.get(name)).and_then(Value::as_str);
        let mut factor = 1.0;
        let frequencies = match word("rope_type")
            .or_else(|| word("type"))
            .unwrap_or("default")
        {
            "default" => base,
            "linear" => {
                let scale = fields.needed("factor")?;
                base.into_iter().map(|f| f / scale).collect()
            }
            "llama3" => llama3(&base, &fields)?,
            "yarn" => {
                let scale = fields.needed("factor")?;
                if ["mscale", "mscale_all_dim"]
                    .iter()
                    .any(|name| fields.get(name).is_some())
                {
                    return Err("`mscale` of the rotary embeddings is not supported".into());
                }
                factor = fields.get("attention_factor").unwrap_or(if scale <= 1.0 {
                    1.0
                } else {
                    0.1 * scale.ln() + 1.0
                });
                yarn(&base, scale, theta, &fields)?
            }
            other => {
                return Err(format!(
                    "rotary embeddings scaled by `{other}` are not supported (default, linear, llama3 and yarn are)"
                ));
            }
        };
        Ok(Rope {
            frequencies: frequencies.into_iter().map(|f| f as f32).collect(),
            factor: factor as f32,
        })
    }
}

/// Frequencies whose waves are longer than the original context are divided by the
/// factor, those much shorter stay, the ones between are interpolated.
fn llama3(base: &[f64], fields: &Fields<'_>) -> Result<Vec<f64>, String> {
    let factor = fields.needed("factor")?;
    let low = fields.needed("low_freq_factor")?;
    let high = fields.needed("high_freq_factor")?;
    let original = fields.original()?;
    if high <= low {
        return Err("`high_freq_factor` is not above `low_freq_factor`".into());
    }
    let scaled = |&f: &f64| {
        let waves = original * f / (2.0 * PI);
        let smooth = ((waves - low) / (high - low)).clamp(0.0, 1.0);
        (1.0 - smooth) * f / factor + smooth * f
    };
    Ok(base.iter().map(scaled).collect())
}

fn yarn(base: &[f64], scale: f64, theta: f64, fields: &Fields<'_>) -> Result<Vec<f64>, String> {
    let size = 2.0 * base.len() as f64;
    let original = fields.original()?;
    let fast = fields.get("beta_fast").unwrap_or(32.0);
    let slow = fields.get("beta_slow").unwrap_or(1.0);
    // The pair that turns so many times within the original context.
    let pair = |turns: f64| size * (original / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let truncated = fields
        .own
        .and_then(|own| own.get("truncate"))
        .and_then(Value::as_bool);
    let (mut low, mut high) = (pair(fast), pair(slow));
    if truncated.unwrap_or(true) {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(size - 1.0));
    if low == high {
        high += 0.001;
    }
    let scaled = base.iter().enumerate().map(|(i, f)| {
        let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        f / scale * ramp + f * (1.0 - ramp)
    });
    Ok(scaled.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Rope, String> {
        Rope::read(value.as_object().unwrap(), 8, 10_000.0)
    }

    #[test]
    fn old_and_new_fields_say_the_same() {
        let old = json!({"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2.0}});
        let new =
            json!({"rope_parameters": {"rope_theta": 500.0, "rope_type": "linear", "factor": 2.0}});
        assert_eq!(read(old), read(new));
        let plain = read(json!({})).unwrap();
        assert_eq!(plain.frequencies[0], 1.0);
        assert_eq!(plain.factor, 1.0);
        assert_eq!(read(json!({"rope_scaling": null})).unwrap(), plain);
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        let error = read(json!({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}));
        assert!(error.unwrap_err().contains("`dynamic`"));
        let error = read(json!({"rope_scaling": {"rope_type": "linear"}})).unwrap_err();
        assert!(error.contains("`factor`"), "{error}");
        assert!(read(json!({"partial_rotary_factor": 0.5})).is_err());
    }
}
