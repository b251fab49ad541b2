//! The page: its head, its sections, and what they share.

mod between;
mod closing;
pub(crate) mod figures;
pub(crate) mod front_table;
mod glossary;
mod methods;
mod summary;

pub(crate) use summary::verdict;

use crate::svg::Node;
use crate::svg::node::allowed;
use crate::view::View;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The colours, as custom properties: shared by the page and lone figures.
const PALETTE: &str = include_str!("../palette.css");
/// The look of the figures.
const SVG_STYLE: &str = include_str!("../svg.css");
/// The look of the page.
const STYLE: &str = include_str!("../style.css");
/// Tooltips, linked highlights and sorting; the page reads in full without it.
const SCRIPT: &str = include_str!("../script.js");
/// The sheet of a figure that stands alone.
pub(crate) const STANDALONE: &str =
    concat!(include_str!("../palette.css"), include_str!("../svg.css"));

/// The whole page.
pub(crate) fn page(view: &View<'_>) -> Markup {
    let results = view.results;
    let body = html! {
        a.skip href="#methods" { "Skip to the results" }
        (summary::header(view))
        main {
            (methods::section(view))
            (figures::front(view))
            (figures::search(view))
            (figures::weights(view))
            (figures::training(view))
            (figures::stage1(view))
            (closing::notes(view))
            (closing::configuration(view))
            (closing::reproduce(view))
            (glossary::section())
        }
        (closing::footer(view))
    };
    let title = format!("{} · bomf report", results.task);
    document(&title, &results.version, &body)
}

/// A self-contained file with the styles and the script of all pages.
pub(crate) fn document(title: &str, version: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(clean(&format!("bomf {version}")));
                title { (clean(title)) }
                style { (PreEscaped(PALETTE)) (PreEscaped(SVG_STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                (body)
                div #tip role="status" aria-live="polite" hidden="" {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Text with the characters that HTML forbids replaced; maud escapes the markup.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(allowed).collect()
}

/// A drawing as part of the page.
pub(crate) fn drawn(node: &Node) -> PreEscaped<String> {
    PreEscaped(node.to_string())
}

/// A figure with its caption; wide ones may scroll sideways on small screens. The
/// style sheet numbers them.
pub(crate) fn figure(name: &str, node: &Node, caption: &Markup) -> Markup {
    html! {
        figure {
            div.scroll tabindex="0" role="group" aria-label=(format!("Figure: {name}")) { (drawn(node)) }
            figcaption {
                b { (name) ". " }
                (caption)
            }
        }
    }
}
