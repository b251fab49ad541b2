//! Self-contained HTML reports of a study, with SVG figures.
//!
//! [`render`] turns the [`Results`] of a run into one HTML file that needs nothing
//! else: styles, figures and a small script are inline, no network is touched. The
//! page says first what came out and how sure that is, then shows the comparison
//! on the untouched report split, the Pareto front, the search, the weights, the
//! training run and stage 1. It follows the reader's light or dark mode, prints,
//! and reads without scripts and with a screen reader.
//!
//! Results are taken as they come. A missing score or a value that is not a number
//! is shown as a dash and left out of the figures; an empty stage 1, front or
//! history is said in a sentence; names are escaped. No input makes it panic.
//!
//! | module | holds |
//! |---|---|
//! | `svg` | a small plotting library: elements, scales, ticks, axes, marks, labels |
//! | `figures` | one file a figure, each a function of the study |
//! | `page` | one file a part of the page |
//! | `experiment` | the page of many runs |
//! | [`live`] | the page of a run that need not have ended, in parts |
//! | `view` | lookups, precision and comparisons |
//! | `names`, `format` | words and numbers for people |

mod experiment;
mod figures;
mod format;
pub mod live;
mod names;
mod page;
mod svg;
mod view;

pub use experiment::render_experiment;

use bomf_study::{Event, Results};
use view::View;

/// The report of a study as one HTML file.
///
/// ```
/// use bomf_study::Results;
///
/// fn write_report(results: &Results, path: &std::path::Path) -> std::io::Result<()> {
///     std::fs::write(path, bomf_report::render(results))
/// }
/// ```
pub fn render(results: &Results) -> String {
    render_with_journal(results, &[])
}

/// Like [`render`], with every mixture that was evaluated on the way (the lines of
/// `trials.jsonl`) as a faint dot behind the Pareto front.
pub fn render_with_journal(results: &Results, journal: &[Event]) -> String {
    page::page(&View::new(results, journal)).into_string()
}

/// The figure of the Pareto front as an SVG file of its own, in the colours of the
/// viewer's light or dark mode; `None` where no point has two scores to draw.
pub fn render_front_svg(results: &Results, journal: &[Event]) -> Option<String> {
    let view = View::new(results, journal);
    figures::front_standalone(&view, page::STANDALONE).map(|svg| svg.to_string())
}

/// The outcome in one sentence, as it heads the report: the chosen metric of
/// `bomf` and of the best checkpoint on the report split, and whether the interval
/// of their difference leaves out zero.
pub fn verdict(results: &Results) -> String {
    page::verdict(&View::new(results, &[]))
}
