//! The live page: a run at any moment, from before it begins until after its end.
//!
//! The page is a shell and a few parts ([`fragments()`]), each a section that is drawn on the
//! server with the figures of the report. A part is replaced where it has changed; what is
//! interactive (tooltips, picking a point of the front) is in [`SCRIPT`]. Where there are no
//! scripts, the page stands as it was when it was opened.

mod fragments;
mod progress;
mod so_far;
mod workers;

pub use progress::{Part, Progress, progress};

use crate::page::clean;
use bomf_study::Record;
use indexmap::IndexMap;
use maud::{DOCTYPE, PreEscaped, html};

/// The style sheet of the page.
pub const STYLE: &str = concat!(
    include_str!("../palette.css"),
    include_str!("../svg.css"),
    include_str!("../style.css"),
    include_str!("live.css")
);
/// The script of the page.
pub const SCRIPT: &str = include_str!("live.js");

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// There is nothing yet.
    Waiting,
    /// A program works on it.
    Running,
    /// No program works on it, and it has not come to its end.
    Stopped,
    /// It has come to its end.
    Finished,
}

impl Standing {
    /// Its name in a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Waiting => "not begun",
            Standing::Running => "running",
            Standing::Stopped => "stopped",
            Standing::Finished => "finished",
        }
    }
}

/// A run at a moment.
#[derive(Debug, Clone)]
pub struct Moment<'a> {
    /// What is known of it.
    pub record: &'a Record,
    /// How it stands.
    pub standing: Standing,
    /// Its output folder, as people type it.
    pub folder: &'a str,
    /// Seconds that a trial, step or evaluation of a part takes now, where that was observed.
    pub pace: IndexMap<Part, f64>,
    /// The time, in seconds since 1970.
    pub now: f64,
    /// What kept the folder from being read again, if something did.
    pub trouble: Option<&'a str>,
}

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Its element on the page.
    pub id: &'static str,
    /// What is in that.
    pub html: String,
}

/// The parts of the page, in their order: `status`, `front`, `search`, `weights`, `training`,
/// `stage1` and `workers`. A part of which nothing is known yet is empty.
pub fn fragments(moment: &Moment<'_>) -> Vec<Fragment> {
    fragments::all(moment)
}

/// The page with its parts; `mark` is a mark of each part's content, by which the script tells
/// what is new. It asks for `style.css`, `live.js` and `live`.
pub fn page(title: &str, parts: &[(Fragment, String)]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (clean(title)) " · bomf" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="style.css";
                script src="live.js" defer="" {}
            }
            body.live {
                a.skip href="#front" { "Skip to the front" }
                main {
                    @for (part, mark) in parts {
                        section id=(part.id) data-mark=(mark) { (PreEscaped(&part.html)) }
                    }
                }
                footer {
                    p { "The page follows the run and changes nothing. "
                        span #link role="status" {} }
                }
                div #tip role="status" aria-live="polite" hidden="" {}
            }
        }
    };
    page.into_string()
}
