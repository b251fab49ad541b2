//! What two searches propose with a fixed seed, as the Python package's tests hold it:
//! `cargo run --release -p bomf-bo --example seeded > bindings/python/tests/golden.py`.

use bomf_bo::space::{BoxSpace, SimplexSpace};
use bomf_bo::strategy::{
    MultiObjective, MultiObjectiveOptions, SingleObjective, SingleObjectiveOptions,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[allow(clippy::print_stdout)] // Its purpose.
fn main() -> Result<(), bomf_bo::BoError> {
    let version = env!("CARGO_PKG_VERSION");
    println!("\"\"\"Made by examples/seeded.rs of bomf-bo {version}.\"\"\"\n");
    println!("LOG_FLOAT = [");
    let space = BoxSpace::builder().log_float("lr", 1e-6, 1e-2).build()?;
    let mut search = SingleObjective::new(space, SingleObjectiveOptions::default())?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..8 {
        let trial = search.ask(&mut rng)?;
        let lr = trial.float("lr").unwrap_or(f64::NAN);
        println!("    {lr:?},");
        search.tell(&trial, Some(-(lr.log10() + 4.0).powi(2)))?;
    }
    println!("]\n\nSIMPLEX = [");
    let space = SimplexSpace::new(3)?;
    let mut search = MultiObjective::new(space, MultiObjectiveOptions::default())?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    search.tell(&space.centre(), Some(&[-1.0 / 3.0, -1.0 / 3.0]))?;
    for _ in 0..6 {
        let w = search.ask(&mut rng)?;
        println!("    {w:?},");
        let y = [-(w[0] - 1.0).powi(2), -(w[1] - 1.0).powi(2)];
        search.tell(&w, Some(&y))?;
    }
    println!("]");
    Ok(())
}
