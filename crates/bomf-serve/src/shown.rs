//! What is shown: the parts of the page as the folder has them now, drawn anew where a file of
//! it has changed.

use crate::Options;
use bomf_report::live::{self, Fragment, Moment, Part, Standing};
use bomf_study::{DATABASE, FolderLock, Record};
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Files by whose time and length it is seen that something has changed.
const WATCHED: [&str; 5] = [
    "recipe.yaml",
    "trials.jsonl",
    DATABASE,
    "study.db-wal",
    "results.json",
];

/// A drawing that takes longer than this is not made again before [`REST`] times as long has
/// passed: the machine is the run's.
const LONG: Duration = Duration::from_millis(50);
const REST: u32 = 10;

/// So many observations of a part say how fast it goes.
const OBSERVED: usize = 30;

/// The parts of a page, each with a mark of its content.
#[derive(Debug)]
pub(crate) struct Parts {
    pub title: String,
    pub standing: Standing,
    pub all: Vec<(Fragment, String)>,
}

/// A folder and what was seen of it.
pub(crate) struct Shown {
    options: Options,
    folder: String,
    stamp: Option<Stamp>,
    record: Record,
    parts: Arc<Parts>,
    pace: Pace,
    /// No drawing before that.
    rest_until: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    files: Vec<Option<(u64, Option<SystemTime>)>>,
    is_held: bool,
}

impl Stamp {
    fn of(folder: &Path) -> Self {
        let file = |name: &&str| {
            let file = std::fs::metadata(folder.join(name)).ok()?;
            Some((file.len(), file.modified().ok()))
        };
        Stamp {
            files: WATCHED.iter().map(file).collect(),
            is_held: FolderLock::is_held(folder),
        }
    }
}

impl Shown {
    pub fn new(options: Options) -> Self {
        let folder = options.folder.display().to_string();
        let parts = Parts {
            title: String::new(),
            standing: Standing::Waiting,
            all: Vec::new(),
        };
        Shown {
            options,
            folder,
            stamp: None,
            record: Record::default(),
            parts: Arc::new(parts),
            pace: Pace::default(),
            rest_until: None,
        }
    }

    /// The parts as they are now.
    pub fn now(&mut self) -> Arc<Parts> {
        let start = Instant::now();
        if self.rest_until.is_some_and(|until| start < until) {
            return self.parts.clone();
        }
        // Taken before the files are read: what changes meanwhile is seen the next time.
        let stamp = Stamp::of(&self.options.folder);
        if self.stamp.as_ref() == Some(&stamp) {
            return self.parts.clone();
        }
        let trouble = match (self.options.read)() {
            Ok(record) => {
                self.record = record;
                None
            }
            Err(message) => Some(message),
        };
        self.pace.observe(&self.record);
        let standing = standing(&self.record, stamp.is_held);
        let fragments = live::fragments(&Moment {
            record: &self.record,
            standing,
            folder: &self.folder,
            pace: self.pace.seconds(),
            now: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
            trouble: trouble.as_deref(),
        });
        let marked = |fragment: Fragment| {
            let mark = mark(&fragment.html);
            (fragment, mark)
        };
        let title = match self.record.plan.task.as_str() {
            "" => self.folder.clone(),
            task => task.into(),
        };
        self.parts = Arc::new(Parts {
            title,
            standing,
            all: fragments.into_iter().map(marked).collect(),
        });
        // What could not be read is tried again, changed or not.
        self.stamp = trouble.is_none().then_some(stamp);
        let took = start.elapsed();
        self.rest_until = (took > LONG).then(|| start + took * REST);
        self.parts.clone()
    }
}

/// How a run stands. `tune` and `finetune` leave no results: they have ended when their parts
/// are done and nobody works on them.
fn standing(record: &Record, is_held: bool) -> Standing {
    if record.results.is_some() {
        return Standing::Finished;
    }
    match (is_held, record.is_empty()) {
        (true, _) => Standing::Running,
        (false, true) => Standing::Waiting,
        (false, false) => {
            let parts = live::progress(record);
            let command = record.facts.get("command").map(String::as_str);
            let is_done = match command {
                Some("tune") => parts.iter().all(|part| part.left() == 0),
                Some("finetune") => parts.iter().all(|part| part.is_over),
                _ => false,
            };
            match is_done {
                true => Standing::Finished,
                false => Standing::Stopped,
            }
        }
    }
}

fn mark(html: &str) -> String {
    let mut hasher = DefaultHasher::new();
    html.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// How fast the parts of a run go, from when they were seen to have got where.
#[derive(Debug, Default)]
struct Pace(IndexMap<Part, VecDeque<(Instant, usize)>>);

impl Pace {
    fn observe(&mut self, record: &Record) {
        let now = Instant::now();
        for part in live::progress(record) {
            let seen = self.0.entry(part.part).or_default();
            if seen.back().is_some_and(|&(_, done)| done > part.done) {
                // Begun again.
                seen.clear();
            }
            if seen.back().is_none_or(|&(_, done)| done < part.done) {
                seen.push_back((now, part.done));
            }
            if seen.len() > OBSERVED {
                seen.pop_front();
            }
        }
    }

    /// Seconds a trial, step or evaluation, where that was seen.
    fn seconds(&self) -> IndexMap<Part, f64> {
        /// Less than this says more of the disk than of the run.
        const LEAST: f64 = 1.0;
        let pace = |(part, seen): (&Part, &VecDeque<(Instant, usize)>)| {
            let (first, last) = (seen.front()?, seen.back()?);
            let took = last.0.duration_since(first.0).as_secs_f64();
            let done = last.1.checked_sub(first.1).filter(|done| *done > 0)?;
            (took >= LEAST).then(|| (*part, took / done as f64))
        };
        self.0.iter().filter_map(pace).collect()
    }
}
