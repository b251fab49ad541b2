//! The methods by name.

use crate::error::{FuseError, Result};
use crate::method::Method;
use crate::methods::{
    arcee_fusion, fisher, karcher, linear, model_stock, multislerp, nearswap, nuslerp, passthrough,
    ram, regmean, sce, slerp, task_vectors,
};

/// All methods, in the order of the documentation.
static METHODS: &[&dyn Method] = &[
    &linear::Linear,
    &slerp::Slerp,
    &nuslerp::NuSlerp,
    &multislerp::MultiSlerp,
    &karcher::Karcher,
    &task_vectors::TASK_ARITHMETIC,
    &task_vectors::TIES,
    &task_vectors::DARE_LINEAR,
    &task_vectors::DARE_TIES,
    &task_vectors::DELLA_LINEAR,
    &task_vectors::DELLA,
    &task_vectors::BREADCRUMBS,
    &task_vectors::BREADCRUMBS_TIES,
    &sce::Sce,
    &ram::RAM,
    &ram::RAM_PLUS,
    &model_stock::ModelStock,
    &fisher::Fisher,
    &regmean::RegMean,
    &nearswap::NearSwap,
    &arcee_fusion::ArceeFusion,
    &passthrough::Passthrough,
];

/// All methods.
pub fn all() -> &'static [&'static dyn Method] {
    METHODS
}

/// The method of a name, which is mergekit's where mergekit has the method.
///
/// ```
/// let method = bomf_fuse::registry::get("slerp")?;
/// assert_eq!(method.spec().name, "slerp");
/// let error = bomf_fuse::registry::get("dare-ties").err().expect("an underscore");
/// assert_eq!(error.hint().as_deref(), Some("did you mean `dare_ties`?"));
/// # Ok::<(), bomf_fuse::FuseError>(())
/// ```
///
/// # Errors
/// [`FuseError::UnknownMethod`], with the nearest name that there is.
pub fn get(name: &str) -> Result<&'static dyn Method> {
    let named = METHODS.iter().find(|method| method.spec().name == name);
    named.copied().ok_or_else(|| FuseError::UnknownMethod {
        name: name.to_owned(),
        nearest: nearest(name),
    })
}

/// Names less alike than this are no slips of the pen (Jaro-Winkler: 1 for equal names).
const NEAR: f64 = 0.8;

fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let names = METHODS.iter().map(|method| method.spec().name);
    let rated = names.map(|known| (strsim::jaro_winkler(&name, known), known));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= NEAR).then_some(best.1)
}
