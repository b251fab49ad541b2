//! The parameters of a method for one tensor, out of the settings of a recipe.
//!
//! The innermost setting that has a value for the tensor holds: the model's own, the slice's, the
//! recipe's; then the method's default.

use crate::error::{FuseError, Result};
use crate::method::{MethodSpec, Params, Value};
use crate::recipe::Settings;

/// The settings that reach one tensor, and where it stands.
pub(super) struct Scopes<'a> {
    /// The tensor's name in the output.
    pub tensor: &'a str,
    /// Its layer's place, from 0 to 1; 0 outside the layers.
    pub t: f64,
    /// From the inside out: of the slice, of the recipe.
    pub shared: [Option<&'a Settings>; 2],
}

/// A model as parameters see it.
pub(super) struct Scoped<'a> {
    /// What messages call it.
    pub name: String,
    /// The tensor's name in it, which filters look at.
    pub tensor: &'a str,
    /// What is set for it alone.
    pub own: Option<&'a Settings>,
}

impl Scopes<'_> {
    /// The parameters of `method` for the tensor and these models.
    pub fn resolve(&self, method: &'static MethodSpec, models: &[Scoped<'_>]) -> Result<Params> {
        let own = |model: Option<usize>| model.map(|i| &models[i]);
        let given = |name: &str, model| {
            let model = own(model);
            let tensor = model.map_or(self.tensor, |model| model.tensor);
            self.value(name, tensor, model.and_then(|model| model.own))
        };
        Params::new(method, models.len(), given).map_err(|error| match error {
            FuseError::MissingParameter {
                parameter, model, ..
            } => FuseError::NoValue {
                parameter,
                tensor: self.tensor.to_owned(),
                model: own(model).map(|model| model.name.clone()),
            },
            error => error,
        })
    }

    fn value(&self, name: &str, tensor: &str, own: Option<&Settings>) -> Option<Value> {
        let [slice, recipe] = self.shared;
        [own, slice, recipe]
            .into_iter()
            .flatten()
            .find_map(|settings| settings.get(name)?.value(tensor, self.t))
    }
}
