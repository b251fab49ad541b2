//! Candidates for members, kept on the disk while a run trains, and the states from which
//! the run can go on.
//!
//! Both lie in one hidden folder, which goes away with the run unless it holds a state. A
//! state names the candidates that it needs: what has become superfluous since it was
//! written goes only when the next one is there.

use super::keeper::Keeper;
use super::trajectory::Gather;
use crate::Error;
use crate::output::TRAINING;
use crate::recipe::Recipe;
use bomf_tune::train::{TrainSnapshot, TrainState};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Candidates an epoch at first.
const CANDIDATES_PER_EPOCH: u64 = 20;

/// What the name of a state's folder begins with; its step follows.
const STATE: &str = "state-";

/// Writing states takes at most one part in so many of the time.
const SHARE: u32 = 50;

/// States come no closer together than this: less is sooner trained again.
const LEAST: Duration = Duration::from_secs(1);

/// Parameters kept along the run, as raw files.
pub(super) struct Candidates {
    dir: PathBuf,
    keeper: Keeper,
    /// Whether nothing but the best step is kept.
    best_only: bool,
    /// How many members.
    wanted: usize,
    /// Written since the last state.
    new: Vec<PathBuf>,
    /// Superfluous, but for the last state.
    gone: Vec<PathBuf>,
    /// The folder of the last state.
    state: Option<PathBuf>,
    /// When the last state was written, or the run began.
    last: Instant,
    /// How long that took.
    cost: Duration,
}

/// What was noted along with a state.
#[derive(Serialize, Deserialize)]
struct Note<T> {
    kept: Keeper,
    run: T,
}

/// The folder of a run's candidates and states.
fn folder(out: &Path, gather: Gather) -> PathBuf {
    out.join(format!("{TRAINING}{}", gather.number()))
}

fn step_name(step: u64) -> String {
    format!("step-{step}")
}

impl Candidates {
    /// None yet, in a folder that is made for them.
    pub fn new(
        out: &Path,
        recipe: &Recipe,
        steps_per_epoch: u64,
        gather: Gather,
    ) -> Result<Self, Error> {
        Self::clear(out, gather)?;
        let dir = folder(out, gather);
        std::fs::create_dir_all(&dir).map_err(failed(&dir))?;
        Ok(Self::empty(dir, recipe, steps_per_epoch, gather))
    }

    /// Takes away what an earlier run kept.
    pub fn clear(out: &Path, gather: Gather) -> Result<(), Error> {
        let dir = folder(out, gather);
        match dir.exists() {
            true => std::fs::remove_dir_all(&dir).map_err(failed(&dir)),
            false => Ok(()),
        }
    }

    fn empty(dir: PathBuf, recipe: &Recipe, steps_per_epoch: u64, gather: Gather) -> Self {
        let spacing = (steps_per_epoch / CANDIDATES_PER_EPOCH).max(1);
        let wanted = match gather.best_only {
            true => 1,
            false => recipe.members.count,
        };
        Candidates {
            dir,
            keeper: Keeper::new(wanted, recipe.members.window, spacing),
            best_only: gather.best_only,
            wanted,
            new: Vec::new(),
            gone: Vec::new(),
            state: None,
            last: Instant::now(),
            cost: Duration::ZERO,
        }
    }

    /// Those of the last state that is whole, with it and what the run noted along; `None`
    /// where there is no such state.
    pub fn resume<T: for<'de> Deserialize<'de>>(
        out: &Path,
        recipe: &Recipe,
        steps_per_epoch: u64,
        gather: Gather,
    ) -> Option<(Self, TrainState, T)> {
        let dir = folder(out, gather);
        let entries = std::fs::read_dir(&dir).ok()?.flatten();
        let mut states: Vec<(u64, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let step = name.to_str()?.strip_prefix(STATE)?.parse().ok()?;
                Some((step, entry.path()))
            })
            .collect();
        states.sort();
        let (folder, state, note) = states.into_iter().rev().find_map(|(_, folder)| {
            let state = TrainState::read(&folder).ok()?;
            let note: Note<T> = serde_json::from_str(&state.note).ok()?;
            Some((folder, state, note))
        })?;
        let mut all = Self::empty(dir, recipe, steps_per_epoch, gather);
        (all.keeper, all.state) = (note.kept, Some(folder));
        let held = all.keeper.held().into_iter();
        let whole = held.map(|step| all.path(step)).all(|path| path.is_file());
        whole.then_some((all, state, note.run))
    }

    /// Whether it is time to write a state; a run that is about to stop has one whenever
    /// that is worth it.
    pub fn is_due(&self, stops: bool) -> bool {
        let since = self.last.elapsed();
        let is_crowded = self.state.is_some() && self.gone.len() > self.wanted;
        is_crowded || since >= LEAST && (stops || since >= SHARE * self.cost)
    }

    /// Writes a state with what the run notes along, and lets go of the one before.
    pub fn save<T: Serialize>(
        &mut self,
        snapshot: &TrainSnapshot<'_>,
        step: u64,
        run: T,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let kept = self.keeper.clone();
        let note = serde_json::to_string(&Note { kept, run }).map_err(|e| Error::Output {
            path: self.dir.clone(),
            source: e.into(),
        })?;
        for path in self.new.drain(..).filter(|path| path.is_file()) {
            let file = std::fs::File::open(&path);
            file.and_then(|file| file.sync_all())
                .map_err(failed(&path))?;
        }
        let folder = self.dir.join(format!("{STATE}{step}"));
        snapshot.write(&folder, &note)?;
        if let Some(old) = self.state.replace(folder) {
            std::fs::remove_dir_all(&old).map_err(failed(&old))?;
        }
        for path in std::mem::take(&mut self.gone) {
            std::fs::remove_file(&path).map_err(failed(&path))?;
        }
        (self.last, self.cost) = (Instant::now(), started.elapsed());
        Ok(())
    }

    /// Takes everything away: the run is complete.
    pub fn finish(mut self) -> Result<(), Error> {
        self.state = None;
        std::fs::remove_dir_all(&self.dir).map_err(failed(&self.dir))
    }

    fn path(&self, step: u64) -> PathBuf {
        self.dir.join(step_name(step))
    }

    fn write(&mut self, step: u64, params: &[f32]) -> Result<(), Error> {
        let path = self.path(step);
        std::fs::write(&path, bytemuck::cast_slice(params)).map_err(failed(&path))?;
        self.new.push(path);
        Ok(())
    }

    fn remove(&mut self, steps: &[u64]) -> Result<(), Error> {
        for &step in steps {
            let path = self.path(step);
            match self.state {
                Some(_) => self.gone.push(path),
                None => std::fs::remove_file(&path).map_err(failed(&path))?,
            }
        }
        Ok(())
    }

    /// Keeps the parameters of step `step` if it is one of every so many, and lets
    /// go of what is no longer needed.
    pub fn offer(&mut self, step: u64, params: &[f32]) -> Result<(), Error> {
        if self.best_only || !self.keeper.wants(step) {
            return Ok(());
        }
        if self.keeper.best() != Some(step) {
            self.write(step, params)?;
        }
        let gone = self.keeper.keep(step);
        self.remove(&gone)
    }

    /// Keeps the best step so far whatever the spacing.
    pub fn keep_best(&mut self, step: u64, params: &[f32]) -> Result<(), Error> {
        self.write(step, params)?;
        let gone = self.keeper.keep_best(step);
        self.remove(&gone)
    }

    /// The members: the best step, and others of the window as evenly spaced as the
    /// candidates allow, by rising step.
    pub fn choose(&self, last_step: u64) -> Vec<(u64, PathBuf)> {
        let steps = self.keeper.choose(last_step).into_iter();
        steps.map(|step| (step, self.path(step))).collect()
    }
}

impl Drop for Candidates {
    fn drop(&mut self) {
        // What a state needs is for the run that goes on from it.
        if self.state.is_none() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Output { path, source }
}

pub(super) fn read_raw(path: &Path, params: &mut [f32]) -> Result<(), Error> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).map_err(|source| Error::Output {
        path: path.into(),
        source,
    })?;
    file.read_exact(bytemuck::cast_slice_mut(params))
        .map_err(|source| Error::Output {
            path: path.into(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of 200 steps, of which a few were the best so far; `most` files lie there at a time.
    fn candidates(out: &Path, best_only: bool) -> (Candidates, usize) {
        let mut recipe = Recipe::default();
        recipe.members.count = 4;
        let run = None;
        let mut candidates = Candidates::new(out, &recipe, 100, Gather { run, best_only }).unwrap();
        let mut most = 0;
        for step in 1..=200 {
            if [30, 90, 110].contains(&step) {
                candidates.keep_best(step, &[step as f32]).unwrap();
            }
            candidates.offer(step, &[step as f32]).unwrap();
            let files = std::fs::read_dir(&candidates.dir).unwrap().count();
            assert_eq!(files, candidates.keeper.held().len());
            most = most.max(files);
        }
        (candidates, most)
    }

    #[test]
    fn a_candidates_file_holds_the_parameters_of_its_step() {
        let dir = tempfile::tempdir().unwrap();
        let (candidates, _) = candidates(dir.path(), false);
        let chosen = candidates.choose(200);
        assert_eq!(chosen.len(), 4);
        let mut value = [0.0];
        for (step, file) in &chosen {
            read_raw(file, &mut value).unwrap();
            assert_eq!(value[0], *step as f32);
        }
    }

    #[test]
    fn of_a_run_for_its_best_step_nothing_else_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (candidates, most) = candidates(dir.path(), true);
        assert_eq!(most, 1);
        let steps: Vec<u64> = candidates.choose(200).iter().map(|c| c.0).collect();
        assert_eq!(steps, [110]);
    }

    #[test]
    fn candidates_go_away_with_a_run_that_left_no_state() {
        let dir = tempfile::tempdir().unwrap();
        drop(candidates(dir.path(), false));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
