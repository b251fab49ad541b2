//! Task vectors: what fine-tuning changed, made sparse, agreed on and added to the base model.
//!
//! With the base model b and models x_i, the task vectors are `d_i = x_i - b` (Ilharco et al.,
//! "Editing models with task arithmetic", ICLR 2023, arXiv 2212.04089). All methods here are
//!
//! ```text
//! b + lambda (sum_i m_i w_i s_i S_i(d_i)) / W
//! ```
//!
//! and differ in
//! - **S, what is kept of a task vector** (`sparsify`): all of it; the share `density` greatest in
//!   magnitude (TIES); elements drawn at random (DARE); drawn with a probability that grows with
//!   the rank in the row (DELLA); the greatest but for the outliers (Breadcrumbs). The factor s
//!   makes up for what was lost, with `rescale`: it keeps the sum of magnitudes;
//! - **m, who has a say** (`consensus`): all models, or, element by element, those that agree in
//!   sign with the weighted sum;
//! - **W, with `normalize`**: the sum of the weights of those that have a say, 1 where it is zero
//!   (all models: where it is below 1e-8). Without, 1.
//!
//! | | S | m | `normalize` | `rescale` |
//! |---|---|---|---|---|
//! | `task_arithmetic` | all | all | no | – |
//! | `ties` | greatest | agreeing | yes | no |
//! | `dare_linear` | random | all | no | yes |
//! | `dare_ties` | random | agreeing | no | yes |
//! | `della_linear` | random by rank | all | no | yes |
//! | `della` | random by rank | agreeing | yes | yes |
//! | `breadcrumbs` | greatest but outliers | all | no | no |
//! | `breadcrumbs_ties` | greatest but outliers | agreeing | no | no |
//!
//! (the last two columns are defaults.) A density of one or more keeps a task vector as it is; of
//! zero, it leaves the model out, which then has no say. What is multiplied by a mask's zero is
//! zero, but NaN and infinity are NaN. An element that is zero has no sign and never agrees; a
//! weighted sum of zero counts as positive.

mod bits;
mod fuser;
mod histogram;
mod interpolated;
mod ranked;
mod sparsify;

use super::common::declare::{FINITE, INT8_MASK, WEIGHT, flag, number};
use crate::error::Result;
use crate::method::{Base, Fuser, Inputs, Method, MethodSpec, ParamSpec, Params, Scope};
use sparsify::Sparsify;

/// A method of the family.
pub struct TaskVectors {
    spec: &'static MethodSpec,
    sparsify: Sparsify,
    /// Whether only models that agree in sign have a say.
    consensus: bool,
}

impl Method for TaskVectors {
    fn spec(&self) -> &'static MethodSpec {
        self.spec
    }

    /// # Errors
    /// [`FuseError::EpsilonRange`](crate::FuseError::EpsilonRange) for DELLA; those of
    /// [`Inputs::check`].
    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(self.spec)?;
        let kept = sparsify::prepare(self.sparsify, inputs, params, seed)?;
        Ok(Box::new(fuser::Sum::new(
            kept,
            inputs.shape,
            self.consensus,
            params,
        )))
    }
}

const DENSITY: ParamSpec = number(
    "density",
    "the share of the task vector that is kept",
    Scope::Model,
    (0.0, 1.0),
    Some(1.0),
);

const LAMBDA: ParamSpec = number(
    "lambda",
    "the factor for the merged task vector",
    Scope::Method,
    FINITE,
    Some(1.0),
);

const fn normalize(default: bool) -> ParamSpec {
    flag("normalize", "divide by the sum of the weights", default)
}

const fn rescale(default: bool) -> ParamSpec {
    flag(
        "rescale",
        "scale what is kept to the magnitude of the whole",
        default,
    )
}

const GAMMA: ParamSpec = number(
    "gamma",
    "the share of the greatest elements that is left out as outliers",
    Scope::Model,
    (0.0, 1.0),
    Some(0.01),
);

const EPSILON: ParamSpec = number(
    "epsilon",
    "probabilities go from density - epsilon to density + epsilon",
    Scope::Model,
    (0.0, 0.5),
    Some(0.15),
);

const fn spec(
    name: &'static str,
    summary: &'static str,
    paper: &'static str,
    params: &'static [ParamSpec],
) -> MethodSpec {
    MethodSpec {
        name,
        summary,
        paper,
        base: Base::Required,
        models: (1, usize::MAX),
        params,
    }
}

/// The sum of task vectors. Ilharco et al. 2023, arXiv 2212.04089.
pub static TASK_ARITHMETIC: TaskVectors = TaskVectors {
    spec: &spec(
        "task_arithmetic",
        "the base model and the weighted sum of the task vectors",
        "Ilharco et al., Editing models with task arithmetic, ICLR 2023, arXiv 2212.04089",
        &[
            WEIGHT,
            DENSITY,
            normalize(false),
            rescale(false),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::Nothing,
    consensus: false,
};

/// The greatest elements, where signs agree. Yadav et al. 2023, arXiv 2306.01708.
pub static TIES: TaskVectors = TaskVectors {
    spec: &spec(
        "ties",
        "task vectors trimmed to their greatest elements, averaged where signs agree",
        "Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708",
        &[
            WEIGHT,
            DENSITY,
            normalize(true),
            rescale(false),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::Greatest,
    consensus: true,
};

const DARE: &str = "Yu et al., Language models are super Mario, ICML 2024, arXiv 2311.03099";

/// Random elements, rescaled. Yu et al. 2024, arXiv 2311.03099.
pub static DARE_LINEAR: TaskVectors = TaskVectors {
    spec: &spec(
        "dare_linear",
        "task vectors with random elements dropped and the rest rescaled, summed",
        DARE,
        &[
            WEIGHT,
            DENSITY,
            normalize(false),
            rescale(true),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::Random,
    consensus: false,
};

/// Random elements, rescaled, where signs agree. Yu et al. 2024, arXiv 2311.03099.
pub static DARE_TIES: TaskVectors = TaskVectors {
    spec: &spec(
        "dare_ties",
        "task vectors with random elements dropped and the rest rescaled, summed where signs agree",
        DARE,
        &[
            WEIGHT,
            DENSITY,
            normalize(false),
            rescale(true),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::Random,
    consensus: true,
};

const DEEP: &str = "Deep, Bhardwaj and Poria, DELLA-Merging, arXiv 2406.11617";

/// Random elements, the great ones more likely, rescaled. Deep et al. 2024, arXiv 2406.11617.
pub static DELLA_LINEAR: TaskVectors = TaskVectors {
    spec: &spec(
        "della_linear",
        "as dare_linear, with elements more likely kept the greater they are in their row",
        DEEP,
        &[
            WEIGHT,
            DENSITY,
            EPSILON,
            normalize(false),
            rescale(true),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::RandomByRank,
    consensus: false,
};

/// Random elements, the great ones more likely, rescaled, where signs agree. Deep et al. 2024,
/// arXiv 2406.11617.
pub static DELLA: TaskVectors = TaskVectors {
    spec: &spec(
        "della",
        "as dare_ties, with elements more likely kept the greater they are in their row",
        DEEP,
        &[
            WEIGHT,
            DENSITY,
            EPSILON,
            normalize(true),
            rescale(true),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::RandomByRank,
    consensus: true,
};

const CRUMBS: &str = "Davari and Belilovsky, Model Breadcrumbs, ECCV 2024, arXiv 2312.06795";

/// The greatest elements but the outliers. Davari and Belilovsky 2024, arXiv 2312.06795.
pub static BREADCRUMBS: TaskVectors = TaskVectors {
    spec: &spec(
        "breadcrumbs",
        "task vectors without their smallest elements and their outliers, summed",
        CRUMBS,
        &[
            WEIGHT,
            DENSITY,
            GAMMA,
            normalize(false),
            rescale(false),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::WithoutOutliers,
    consensus: false,
};

/// The greatest elements but the outliers, where signs agree. Davari and Belilovsky 2024, arXiv
/// 2312.06795.
pub static BREADCRUMBS_TIES: TaskVectors = TaskVectors {
    spec: &spec(
        "breadcrumbs_ties",
        "task vectors without their smallest elements and their outliers, summed where signs agree",
        CRUMBS,
        &[
            WEIGHT,
            DENSITY,
            GAMMA,
            normalize(false),
            rescale(false),
            LAMBDA,
            INT8_MASK,
        ],
    ),
    sparsify: Sparsify::WithoutOutliers,
    consensus: true,
};
