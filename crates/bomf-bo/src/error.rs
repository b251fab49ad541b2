//! What can be wrong with a space, a point, an outcome or a model.

/// Why the engine refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BoError {
    /// A space without parameters, or a simplex without coefficients.
    #[error("the search space is empty: give it at least one parameter")]
    EmptySpace,
    /// Two parameters have one name.
    #[error("parameter `{name}` is declared twice")]
    DuplicateParameter {
        /// The name.
        name: String,
    },
    /// The bounds or choices of a parameter make no domain.
    #[error("parameter `{name}`: {reason}")]
    Domain {
        /// The parameter's name.
        name: String,
        /// What is wrong with its domain.
        reason: DomainFault,
    },
    /// A configuration lacks a parameter of the space.
    #[error("the configuration has no value for parameter `{name}`")]
    MissingParameter {
        /// The parameter's name.
        name: String,
    },
    /// A configuration has a parameter that the space does not.
    #[error("the configuration names `{name}`, which is no parameter of the space")]
    UnknownParameter {
        /// The name found.
        name: String,
    },
    /// A condition of a parameter makes no sense.
    #[error("the condition of parameter `{name}` on `{parent}`: {reason}")]
    Condition {
        /// The parameter's name.
        name: String,
        /// The name of the parameter that it depends on.
        parent: String,
        /// What is wrong with the condition.
        reason: ConditionFault,
    },
    /// A configuration sets a parameter whose condition does not hold.
    #[error("the configuration sets `{name}`, which is active only when {condition}: leave it out")]
    InactiveParameter {
        /// The parameter's name.
        name: String,
        /// Its conditions, as text.
        condition: String,
    },
    /// A value of the wrong type or outside its domain.
    #[error("parameter `{name}`: {value} is not in {domain}")]
    Value {
        /// The parameter's name.
        name: String,
        /// The value, as text.
        value: String,
        /// The domain, as text.
        domain: String,
    },
    /// A vector has another length than its space or its fellows.
    #[error("{what} has {found} values where {expected} are expected")]
    Dimension {
        /// Which vector.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// Coefficients that are negative, not finite, or do not sum to one.
    #[error("the coefficients are not on the simplex: sum {sum}, smallest {smallest}")]
    NotOnSimplex {
        /// Their sum.
        sum: f64,
        /// The smallest of them.
        smallest: f64,
    },
    /// The point of a part of a product is of the other kind.
    #[error("part {part} of the point is not {expected}, as the space has it")]
    PartKind {
        /// The part's index.
        part: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// The point of a part of a product is not in its space.
    #[error("part {part}: {source}")]
    Part {
        /// The part's index.
        part: usize,
        /// What is wrong with it.
        source: Box<BoError>,
    },
    /// A constraint that is none.
    #[error("the constraint `{constraint}`: {reason}")]
    Constraint {
        /// The constraint, as text.
        constraint: String,
        /// What is wrong with it.
        reason: ConstraintFault,
    },
    /// A point that breaks a constraint.
    #[error("the point breaks the constraint `{constraint}`")]
    Infeasible {
        /// The first constraint broken: its name or its text.
        constraint: String,
    },
    /// No point was found that keeps all constraints.
    #[error(
        "no point of the space keeps all constraints: {tried} were tried, spread over it and moved \
         towards the constraints, and most break `{constraint}`; name a point that keeps them all, \
         or loosen them"
    )]
    NothingFeasible {
        /// How many were tried.
        tried: usize,
        /// The constraint broken most often.
        constraint: String,
    },
    /// A constraint names what is no number of the space.
    #[error(
        "the constraint names `{variable}`, which is no float, integer or coefficient of the space"
    )]
    Variable {
        /// The name or index, as text.
        variable: String,
    },
    /// A half-space without a direction, or with numbers that are not finite.
    #[error("half-space {index} has a normal that is zero, or numbers that are not finite")]
    HalfSpace {
        /// Which one.
        index: usize,
    },
    /// Half-spaces that leave nothing of a region.
    #[error("no point of the region is in all half-spaces{}", match index {
        Some(i) => format!(": number {i} leaves none together with the others"),
        None => String::new(),
    })]
    EmptyRegion {
        /// One of those that have no point in common, if it is known.
        index: Option<usize>,
    },
    /// A model was given no observation.
    #[error("a model needs at least one observation")]
    NoData,
    /// A model was given a NaN or an infinity: failed evaluations are left out
    /// before.
    #[error("{what} of observation {index} is {value}: leave failed evaluations out")]
    NotFinite {
        /// Input or outcome.
        what: &'static str,
        /// Which observation.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A derivative was observed along no direction.
    #[error("derivative {index} has a direction of length zero: leave it out")]
    ZeroDirection {
        /// Which derivative.
        index: usize,
    },
    /// The kernel matrix could not be factorised even with jitter.
    #[error(
        "the kernel matrix of {n} observations is not positive definite, even with jitter {jitter:e}"
    )]
    NotPositiveDefinite {
        /// Number of observations.
        n: usize,
        /// The largest jitter tried.
        jitter: f64,
    },
    /// A metric that is not square, symmetric and positive semi-definite.
    #[error("the metric is not a positive semi-definite matrix: {reason}")]
    Metric {
        /// What is wrong with it.
        reason: MetricFault,
    },
    /// An option outside its range.
    #[error("option `{option}` is {value}, which is outside {range}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What was handed in.
        value: f64,
        /// What is allowed, as text.
        range: &'static str,
    },
    /// Every point of a finite space has been proposed.
    #[error("every one of the {size} points of the space has been evaluated or proposed")]
    Exhausted {
        /// The space's number of points.
        size: u64,
    },
    /// A failure of the Pareto tools.
    #[error(transparent)]
    Pareto(#[from] bomf_pareto::ParetoError),
}

/// What is wrong with a parameter's domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainFault {
    /// The lower bound is not below the upper one.
    #[error("the lower bound must be below the upper bound")]
    Bounds,
    /// A bound is NaN or infinite.
    #[error("the bounds must be finite")]
    NotFinite,
    /// A logarithmic scale over zero or negative values.
    #[error("a logarithmic scale needs a positive lower bound")]
    LogOfNonPositive,
    /// More integers than the unit interval can tell apart.
    #[error("integer bounds must lie within 2^43 of zero")]
    TooWide,
    /// No choice at all.
    #[error("a categorical parameter needs at least one choice")]
    NoChoice,
    /// One choice listed twice.
    #[error("a choice is listed twice")]
    DuplicateChoice,
}

/// What is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionFault {
    /// The space has no parameter of the parent's name.
    #[error("there is no such parameter; the space has {known}")]
    UnknownParent {
        /// The names of the space's parameters.
        known: String,
    },
    /// The parent is a float, which has no values to list.
    #[error("a condition is on an integer or a choice, not on a float")]
    FloatParent,
    /// No value is listed.
    #[error("it lists no value, so that the parameter would never be active")]
    NoValue,
    /// A value that the parent cannot have.
    #[error("{value} is not in {domain}")]
    Value {
        /// The value, as text.
        value: String,
        /// The parent's domain, as text.
        domain: String,
    },
    /// Parameters that depend on each other in a circle.
    #[error("it closes a circle, {}", circle.join(" on "))]
    Cycle {
        /// The names around the circle, each depending on the next and the last
        /// on the first.
        circle: Vec<String>,
    },
    /// A condition declared before any parameter.
    #[error("it stands before any parameter")]
    NoParameter,
}

/// What is wrong with a linear constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintFault {
    /// No variable with a factor other than zero.
    #[error("it has no variable with a factor other than zero")]
    NoVariable,
    /// A factor or the bound is NaN or infinite.
    #[error("its numbers must be finite")]
    NotFinite,
    /// Nothing of the space satisfies it together with the other linear ones.
    #[error("no point of the space keeps it together with the other linear constraints")]
    NoRoom,
}

/// What is wrong with a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricFault {
    /// Not `n x n`.
    #[error("it is not square")]
    NotSquare,
    /// A NaN or an infinity.
    #[error("it has an entry that is not finite")]
    NotFinite,
    /// `G != G'` beyond rounding.
    #[error("it is not symmetric")]
    NotSymmetric,
    /// A negative eigenvalue beyond rounding.
    #[error("it has a negative eigenvalue")]
    NegativeEigenvalue,
    /// It tells no two points apart.
    #[error("it is zero")]
    Zero,
}

/// Refuses a length that is not the expected one.
pub(crate) fn expect_length(
    what: &'static str,
    found: usize,
    expected: usize,
) -> crate::Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(BoError::Dimension {
        what,
        found,
        expected,
    })
}
