//! Progress on stderr: bars on a terminal, a line now and then elsewhere.

use crate::interrupt::Flag;
use crate::output;
use bomf::{Observer, Phase};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often a log without a terminal is told how things stand.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How often a bar's clock moves when nothing else does.
const TICK: Duration = Duration::from_millis(500);

const STEPS: &str =
    "{prefix:<12} {bar:16} {human_pos}/{human_len} {rate} {elapsed}, {eta} left  {wide_msg}";
const PERCENT: &str = "{prefix:<12} {bar:16} {percent}% {elapsed}, {eta} left  {wide_msg}";
const BYTES: &str =
    "{prefix:<12} {bar:16} {bytes}/{total_bytes} {bytes_per_sec} {elapsed}, {eta} left  {wide_msg}";

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    Quiet,
    /// As bars.
    Bars,
    /// As lines.
    Lines,
}

/// The observer of every command.
pub struct Progress {
    style: Style,
    bars: MultiProgress,
    stop: Flag,
    began: Instant,
    told: Instant,
    running: Vec<Running>,
}

struct Running {
    phase: Phase,
    began: Instant,
    total: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn new(style: Style, bars: MultiProgress, stop: Flag) -> Self {
        Progress {
            style,
            bars,
            stop,
            began: Instant::now(),
            told: Instant::now(),
            running: Vec::new(),
        }
    }

    /// What stops the work once it is set.
    pub fn stop(&self) -> Flag {
        self.stop.clone()
    }

    fn bar(&self, phase: Phase, total: u64) -> ProgressBar {
        let template = match phase {
            _ if is_of_bytes(phase) => BYTES,
            Phase::Tune => PERCENT,
            _ => STEPS,
        };
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
                let _ = text.write_str(&rate(state.per_sec()));
            })
            .progress_chars("=> ");
        let bar = self.bars.add(ProgressBar::new(total).with_style(style));
        bar.set_prefix(name(phase));
        bar.enable_steady_tick(TICK);
        bar
    }

    fn line(&self, text: &str) {
        let seconds = self.began.elapsed().as_secs();
        output::line(&format!("[{}:{:02}] {text}", seconds / 60, seconds % 60));
    }
}

impl Observer for Progress {
    fn begin(&mut self, phase: Phase, total: u64) {
        if let Some(running) = self.running.iter_mut().find(|one| one.phase == phase) {
            running.total = total;
            if let Some(bar) = &running.bar {
                bar.set_length(total);
            }
            return;
        }
        let bar = (self.style == Style::Bars).then(|| self.bar(phase, total));
        self.running.push(Running {
            phase,
            began: Instant::now(),
            total,
            bar,
        });
    }

    fn advance(&mut self, phase: Phase, done: u64, message: &str) {
        let Some(running) = self.running.iter().find(|one| one.phase == phase) else {
            return;
        };
        if let Some(bar) = &running.bar {
            bar.set_position(done);
            bar.set_message(message.to_string());
        } else if self.style == Style::Lines && self.told.elapsed() >= LINE_INTERVAL {
            self.line(&how_it_stands(
                phase,
                done,
                running.total,
                running.began.elapsed(),
                message,
            ));
            self.told = Instant::now();
        }
    }

    fn end(&mut self, phase: Phase) {
        let Some(index) = self.running.iter().position(|one| one.phase == phase) else {
            return;
        };
        let running = self.running.remove(index);
        let seconds = running.began.elapsed().as_secs_f64();
        if let Some(bar) = running.bar {
            bar.finish();
        } else if self.style == Style::Lines {
            self.line(&format!("{}: done in {seconds:.1} s", name(phase)));
        }
    }

    fn note(&mut self, note: &str) {
        if self.style != Style::Quiet {
            self.bars.suspend(|| output::line(&format!("note: {note}")));
        }
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// "fine-tuning: 120/600 steps, 96 s left, best accuracy 0.81".
fn how_it_stands(phase: Phase, done: u64, total: u64, took: Duration, message: &str) -> String {
    let mut text = match phase {
        _ if is_of_bytes(phase) => {
            let rate = mega(done) / took.as_secs_f64().max(1e-3);
            let (done, total) = (mega(done), mega(total));
            format!("{}: {done:.1}/{total:.1} MB, {rate:.0} MB/s", name(phase))
        }
        // Its units, hundredths of a trial, mean nothing to people.
        Phase::Tune => format!("{}: {} %", name(phase), 100 * done / total.max(1)),
        _ => format!("{}: {done}/{total} {}", name(phase), unit(phase)),
    };
    if done > 0 && total > done {
        let left = took.as_secs_f64() * (total - done) as f64 / done as f64;
        text.push_str(&format!(", {left:.0} s left"));
    }
    if !message.is_empty() {
        text.push_str(&format!(", {message}"));
    }
    text
}

/// Whether the units of a phase are bytes.
fn is_of_bytes(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Download | Phase::Merge | Phase::Hash | Phase::Verify | Phase::Diff
    )
}

/// Units a second, with as many digits as mean something.
fn rate(per_second: f64) -> String {
    match per_second < 10.0 {
        true => format!("{per_second:.1}/s"),
        false => format!("{per_second:.0}/s"),
    }
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Download => "download",
        Phase::Pretrain => "pre-training",
        Phase::Tune => "stage 1",
        Phase::Finetune => "fine-tuning",
        Phase::Fuse => "stage 2",
        Phase::Evaluate => "evaluation",
        Phase::Report => "report split",
        Phase::Merge => "merging",
        Phase::Hash => "digests",
        Phase::Verify => "verifying",
        Phase::Diff => "comparing",
        _ => "work",
    }
}

fn unit(phase: Phase) -> &'static str {
    match phase {
        Phase::Fuse => "passes",
        Phase::Evaluate => "examples",
        Phase::Report => "models",
        _ => "steps",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_left() {
        let took = Duration::from_secs(24);
        assert_eq!(
            how_it_stands(Phase::Tune, 120, 600, took, "accuracy 0.81"),
            "stage 1: 20 %, 96 s left, accuracy 0.81"
        );
        assert_eq!(
            how_it_stands(Phase::Finetune, 120, 600, took, ""),
            "fine-tuning: 120/600 steps, 96 s left"
        );
        assert_eq!(
            how_it_stands(Phase::Fuse, 0, 9, took, ""),
            "stage 2: 0/9 passes"
        );
        assert_eq!(
            how_it_stands(Phase::Fuse, 9, 9, took, ""),
            "stage 2: 9/9 passes"
        );
        assert_eq!(
            how_it_stands(Phase::Download, 1_000_000, 4_000_000, took, "x"),
            "download: 1.0/4.0 MB, 0 MB/s, 72 s left, x"
        );
    }

    #[test]
    fn phases_may_be_told_of_in_any_order() {
        let flag = Flag::default();
        let mut progress = Progress::new(Style::Quiet, MultiProgress::new(), flag.clone());
        progress.advance(Phase::Tune, 1, "before its beginning");
        progress.end(Phase::Tune);
        progress.begin(Phase::Tune, 1);
        progress.begin(Phase::Tune, 2);
        assert_eq!(progress.running.len(), 1);
        progress.end(Phase::Tune);
        assert!(!progress.interrupted());
        flag.store(true, Ordering::SeqCst);
        assert!(progress.interrupted());
    }
}
