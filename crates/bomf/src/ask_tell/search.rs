//! One face for every search: points as lists of numbers, objectives minimised.

use super::ProtocolError;
use super::message::{SpaceKind, Start};
use bomf_bo::optim::SearchSpace;
use bomf_bo::space::{BoxSpace, Configuration, SimplexSpace, Space, Value};
use bomf_bo::strategy::{
    MultiObjective, MultiObjectiveOptions, RefPoint, SingleObjective, SingleObjectiveOptions,
    Strategy,
};
use bomf_study::Direction;
use rand_chacha::ChaCha8Rng;
use std::borrow::Borrow;

/// A search, whatever its space and its number of objectives.
pub(super) trait Search: Send {
    /// Records point `x` with its objectives; `None` if its evaluation failed.
    fn tell(&mut self, x: &[f64], y: Option<&[f64]>) -> bomf_bo::Result<()>;

    /// The next `q` points.
    fn ask(&mut self, q: usize, rng: &mut ChaCha8Rng) -> bomf_bo::Result<Vec<Vec<f64>>>;

    /// Whether `x` is a point of the space.
    fn check(&self, x: &[f64]) -> bomf_bo::Result<()>;
}

/// The search that `start` asks for.
pub(super) fn build(start: &Start) -> Result<Box<dyn Search>, ProtocolError> {
    let free = match start.space {
        SpaceKind::Box => start.nx,
        SpaceKind::Simplex => start.nx.saturating_sub(1),
    };
    if let Some(dim) = start.dim
        && dim != free
    {
        return Err(field("dim", dim, free));
    }
    if start.nx == 0 {
        return Err(field("nx", 0, "at least 1"));
    }
    if start.nobj == 0 {
        return Err(field("nobj", 0, "at least 1"));
    }
    let ref_point = match &start.ref_point {
        Some(r) if r.len() != start.nobj => {
            return Err(values("ref_point", r, start.nobj));
        }
        Some(r) => RefPoint::Fixed(
            r.iter()
                .map(|v| Direction::Minimize.maximised(*v))
                .collect(),
        ),
        None => RefPoint::Infer,
    };
    match start.space {
        SpaceKind::Simplex => {
            for (name, bounds) in [("lower", &start.lower), ("upper", &start.upper)] {
                if let Some(bounds) = bounds {
                    return Err(values(name, bounds, "null on the simplex"));
                }
            }
            of_space(SimplexSpace::new(start.nx)?, start.nobj, ref_point)
        }
        SpaceKind::Box => of_space(box_space(start)?, start.nobj, ref_point),
    }
}

fn of_space<S: FlatSpace + 'static>(
    space: S,
    nobj: usize,
    ref_point: RefPoint,
) -> Result<Box<dyn Search>, ProtocolError> {
    if nobj == 1 {
        let options = SingleObjectiveOptions::default();
        return Ok(Box::new(SingleObjective::new(space, options)?));
    }
    let options = MultiObjectiveOptions {
        ref_point,
        ..MultiObjectiveOptions::default()
    };
    Ok(Box::new(MultiObjective::new(space, options)?))
}

fn box_space(start: &Start) -> Result<BoxSpace, ProtocolError> {
    let bounds = |name, bounds: &Option<Vec<f64>>| match bounds {
        None => Err(field(name, "missing", "a list of numbers on a box")),
        Some(b) if b.len() != start.nx => Err(values(name, b, start.nx)),
        Some(b) => Ok(b.clone()),
    };
    let (lower, upper) = (
        bounds("lower", &start.lower)?,
        bounds("upper", &start.upper)?,
    );
    let mut builder = BoxSpace::builder();
    for (i, (low, high)) in lower.into_iter().zip(upper).enumerate() {
        builder = builder.float(name(i), low, high);
    }
    Ok(builder.build()?)
}

/// Parameters of a box are known by their place.
fn name(i: usize) -> String {
    format!("x[{i}]")
}

pub(super) fn field(
    field: &'static str,
    found: impl ToString,
    expected: impl ToString,
) -> ProtocolError {
    ProtocolError::Field {
        field,
        found: found.to_string(),
        expected: expected.to_string(),
    }
}

/// A list that should have another length.
pub(super) fn values(name: &'static str, list: &[f64], expected: impl ToString) -> ProtocolError {
    field(name, format!("a list of {}", list.len()), expected)
}

/// A space whose points can be written as lists of numbers.
trait FlatSpace: SearchSpace + Send {
    fn point(&self, x: &[f64]) -> <Self::Point as ToOwned>::Owned;
    fn flat(&self, point: &Self::Point) -> Vec<f64>;
}

impl FlatSpace for SimplexSpace {
    fn point(&self, x: &[f64]) -> Vec<f64> {
        x.to_vec()
    }

    fn flat(&self, point: &[f64]) -> Vec<f64> {
        point.to_vec()
    }
}

impl FlatSpace for BoxSpace {
    fn point(&self, x: &[f64]) -> Configuration {
        let values = x.iter().map(|v| Value::Float(*v));
        (0..).map(name).zip(values).collect()
    }

    fn flat(&self, point: &Configuration) -> Vec<f64> {
        let names = self.parameters().iter().map(|p| &p.name);
        names.filter_map(|name| point.float(name)).collect()
    }
}

fn maximised(y: &[f64]) -> Vec<f64> {
    y.iter()
        .map(|v| Direction::Minimize.maximised(*v))
        .collect()
}

impl<T: Strategy + Send> Search for T
where
    T::Space: FlatSpace,
{
    fn tell(&mut self, x: &[f64], y: Option<&[f64]>) -> bomf_bo::Result<()> {
        let point = self.space().point(x);
        Strategy::tell(self, point.borrow(), y.map(maximised).as_deref())
    }

    fn ask(&mut self, q: usize, rng: &mut ChaCha8Rng) -> bomf_bo::Result<Vec<Vec<f64>>> {
        let points = self.ask_batch(q, rng)?;
        let space = self.space();
        Ok(points.iter().map(|p| space.flat(p.borrow())).collect())
    }

    fn check(&self, x: &[f64]) -> bomf_bo::Result<()> {
        let space = self.space();
        space.encode(space.point(x).borrow()).map(|_| ())
    }
}
