//! From a trainer's output folder to members: what is there, what is missing, what is chosen.

use crate::Error;
use crate::pipeline::goals::Goals;
use crate::pipeline::keeper::evenly;
use crate::recipe::Members;
use bomf_checkpoint::list_checkpoints;
use bomf_study::CurvePoint;
use std::path::{Path, PathBuf};

/// What came of a trainer's checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Intake {
    /// Step with the best chosen objective (B*).
    pub best_step: u64,
    /// The last step that has a checkpoint.
    pub last_step: u64,
    /// Members by rising step.
    pub members: Vec<(u64, PathBuf)>,
    /// What people should know.
    pub notes: Vec<String>,
}

/// Looks through the `checkpoint-<step>` folders in `folder` and takes those of the window
/// around the best of the evaluations in `curve`.
///
/// # Errors
/// [`Error::TooFewMembers`] where the window has less than two, and where the folder cannot
/// be read.
pub(super) fn intake(
    folder: &Path,
    curve: &[CurvePoint],
    goals: &Goals,
    wanted: &Members,
) -> Result<Intake, Error> {
    let found = list_checkpoints(folder)?;
    let mut all: Vec<(u64, PathBuf)> = found
        .into_iter()
        .filter_map(|checkpoint| Some((checkpoint.step?, checkpoint.path)))
        .collect();
    all.sort();
    let steps: Vec<u64> = all.iter().map(|(step, _)| *step).collect();
    let (Some(&first_step), Some(&last_step)) = (steps.first(), steps.last()) else {
        return Err(Error::TooFewMembers { found: 0 });
    };
    let mut notes = missing(&steps);
    let best = |points: &mut dyn Iterator<Item = &CurvePoint>| -> Option<u64> {
        let mut best: Option<&CurvePoint> = None;
        for point in points {
            if best.is_none_or(|best| goals.better(&point.select, &best.select)) {
                best = Some(point);
            }
        }
        best.map(|point| point.step)
    };
    let evaluated = best(&mut curve.iter());
    let kept = best(&mut curve.iter().filter(|p| steps.contains(&p.step)));
    let best_step = match (kept, evaluated) {
        (Some(kept), Some(evaluated)) => {
            if kept != evaluated {
                notes.push(format!(
                    "the best evaluation was at step {evaluated}, which has no checkpoint: \
                     step {kept} takes its place"
                ));
            }
            kept
        }
        (_, best) => {
            let wanted = best.unwrap_or(last_step);
            let nearest = steps.iter().min_by_key(|step| step.abs_diff(wanted));
            let nearest = nearest.copied().unwrap_or(last_step);
            notes.push(format!(
                "no checkpoint was evaluated while training: step {nearest} is the nearest to \
                 the best evaluation"
            ));
            nearest
        }
    };
    let low = wanted.window[0] * best_step as f64;
    let high = (wanted.window[1] * best_step as f64).min(last_step as f64);
    if (first_step as f64) > low.ceil() && missing_before(&steps) {
        notes.push(format!(
            "members would begin at step {}, but the first checkpoint that is left is of step \
             {first_step}",
            low.ceil()
        ));
    }
    let window: Vec<u64> = steps
        .iter()
        .copied()
        .filter(|&step| (low..=high).contains(&(step as f64)))
        .collect();
    let chosen = evenly(&window, best_step, wanted.count);
    if chosen.len() < 2 {
        return Err(Error::TooFewMembers {
            found: chosen.len(),
        });
    }
    let members = all.into_iter().filter(|(step, _)| chosen.contains(step));
    Ok(Intake {
        best_step,
        last_step,
        members: members.collect(),
        notes,
    })
}

/// The distance at which checkpoints were written: the smallest there is, but for the last
/// one, which the end of the run brings.
fn spacing(steps: &[u64]) -> Option<u64> {
    let regular = match steps.len() {
        0..=2 => steps,
        n => &steps[..n - 1],
    };
    regular.windows(2).map(|pair| pair[1] - pair[0]).min()
}

/// Whether checkpoints before the first that is left must have been there.
fn missing_before(steps: &[u64]) -> bool {
    match (steps.first(), spacing(steps)) {
        (Some(&first), Some(spacing)) => first >= 2 * spacing,
        _ => false,
    }
}

/// What is missing between checkpoints at one distance.
fn missing(steps: &[u64]) -> Vec<String> {
    let Some(spacing) = spacing(steps) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if missing_before(steps) {
        let gone = (steps[0] - 1) / spacing;
        notes.push(format!(
            "{gone} checkpoints before step {} are gone: does the trainer's `save_total_limit` \
             thin them?",
            steps[0]
        ));
    }
    let gaps: Vec<String> = steps
        .windows(2)
        .filter(|pair| pair[1] - pair[0] >= 2 * spacing)
        .map(|pair| format!("{} and {}", pair[0], pair[1]))
        .collect();
    if !gaps.is_empty() {
        notes.push(format!(
            "checkpoints are missing between steps {}",
            gaps.join(", ")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_study::{Direction, Objective, Scores};

    fn goals() -> Goals {
        Goals {
            objectives: vec![Objective {
                name: "accuracy".into(),
                direction: Direction::Maximize,
            }],
            chosen: 0,
            second: 0,
            weights: None,
            ref_point: None,
        }
    }

    fn taken(steps: &[u64], curve: &[(u64, f64)], count: usize) -> Result<Intake, Error> {
        let dir = tempfile::tempdir().unwrap();
        for step in steps {
            let folder = dir.path().join(format!("checkpoint-{step}"));
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("model.safetensors"), "").unwrap();
        }
        let curve: Vec<CurvePoint> = curve
            .iter()
            .map(|&(step, accuracy)| CurvePoint {
                step,
                train_loss: 0.0,
                select: Scores::from_iter([("accuracy".into(), accuracy)]),
            })
            .collect();
        let wanted = Members {
            count,
            ..Members::default()
        };
        intake(dir.path(), &curve, &goals(), &wanted)
    }

    fn steps(intake: &Intake) -> Vec<u64> {
        intake.members.iter().map(|(step, _)| *step).collect()
    }

    #[test]
    fn members_are_those_of_the_window_by_step_and_not_by_name() {
        let all: Vec<u64> = (1..=12).map(|i| i * 50).collect();
        let found = taken(&all, &[(100, 0.5), (200, 0.9), (300, 0.8)], 15).unwrap();
        assert_eq!(found.best_step, 200);
        assert_eq!(steps(&found), [100, 150, 200, 250, 300, 350, 400]);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
        let few = taken(&all, &[(200, 0.9)], 3).unwrap();
        assert_eq!(steps(&few), [100, 200, 400]);
    }

    #[test]
    fn the_last_checkpoint_may_come_at_any_step() {
        let found = taken(&[50, 100, 150, 163], &[(100, 0.9)], 15).unwrap();
        assert_eq!(steps(&found), [50, 100, 150, 163]);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }

    #[test]
    fn thinned_checkpoints_are_told_of() {
        let found = taken(&[400, 450, 500], &[(400, 0.9)], 15).unwrap();
        let notes = found.notes.join("\n");
        assert!(
            notes.contains("7 checkpoints before step 400 are gone"),
            "{notes}"
        );
        assert!(notes.contains("save_total_limit"), "{notes}");
        assert!(notes.contains("would begin at step 200"), "{notes}");
        // `load_best_model_at_end` keeps the best and the last ones.
        let found = taken(&[100, 400, 450, 500], &[(100, 0.9), (500, 0.1)], 15);
        assert!(
            matches!(found, Err(Error::TooFewMembers { found: 1 })),
            "{found:?}"
        );
        let found = taken(&[50, 100, 400, 450], &[(400, 0.9)], 15).unwrap();
        assert!(
            found.notes[0].contains("between steps 100 and 400"),
            "{:?}",
            found.notes
        );
    }

    #[test]
    fn a_best_step_without_checkpoint_is_replaced_by_the_best_that_has_one() {
        let found = taken(&[100, 200, 300], &[(150, 0.9), (200, 0.8), (300, 0.7)], 15).unwrap();
        assert_eq!(found.best_step, 200);
        assert!(found.notes[0].contains("step 150"), "{:?}", found.notes);
        let found = taken(&[100, 200, 300], &[(190, 0.9)], 15).unwrap();
        assert_eq!(found.best_step, 200);
        assert!(
            found.notes[0].contains("no checkpoint was evaluated"),
            "{:?}",
            found.notes
        );
    }

    #[test]
    fn nothing_and_one_are_too_few() {
        assert!(matches!(
            taken(&[100], &[(100, 0.5)], 15),
            Err(Error::TooFewMembers { found: 1 })
        ));
        assert!(taken(&[], &[], 15).is_err());
    }
}
