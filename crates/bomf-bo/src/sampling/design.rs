//! Starting designs.

use rand::Rng;

use super::ScrambledSobol;
use crate::Result;
use crate::space::Space;

/// Two points of a design are one if their continuous coordinates differ by no
/// more than this.
const ALIKE: f64 = 1e-4;

/// Design points drawn for one that is new, before a (small, finite) space
/// counts as used up.
const DRAWS: usize = 1000;

/// `n` points to begin with: the caller's own `first`, then the space's image of
/// scrambled Sobol points, none of them twice. Fewer where a finite space has
/// fewer; more where the caller has more.
///
/// ```
/// use bomf_bo::sampling::starting_design;
/// use bomf_bo::space::SimplexSpace;
/// use rand::SeedableRng;
///
/// let space = SimplexSpace::new(3)?;
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let centre = space.centre();
/// let design = starting_design(&space, [&centre[..]], 8, &mut rng)?;
/// assert_eq!(design.len(), 8);
/// assert_eq!(design[0], centre);
/// # Ok::<(), bomf_bo::BoError>(())
/// ```
///
/// # Errors
/// Those of [`Space::encode`], if one of the caller's points is not in the space.
pub fn starting_design<'a, S, R>(
    space: &S,
    first: impl IntoIterator<Item = &'a S::Point>,
    n: usize,
    rng: &mut R,
) -> Result<Vec<<S::Point as ToOwned>::Owned>>
where
    S: Space,
    S::Point: 'a,
    R: Rng + ?Sized,
{
    let mut taken: Vec<Vec<f64>> = Vec::with_capacity(n);
    let mut design = Vec::with_capacity(n);
    let is_new = |taken: &[Vec<f64>], x: &[f64]| !taken.iter().any(|t| space.same(t, x, ALIKE));
    for point in first {
        let x = space.encode(point)?;
        if is_new(&taken, &x) {
            taken.push(x);
            design.push(point.to_owned());
        }
    }
    let mut sobol = ScrambledSobol::new(space.design_dim(), rng);
    while design.len() < n {
        let next = (0..DRAWS)
            .map(|_| space.design_point(&sobol.next_point()))
            .find(|x| is_new(&taken, x));
        let Some(x) = next else { break };
        design.push(space.decode(&x)?);
        taken.push(x);
    }
    Ok(design)
}
