//! What lies between the members, and what each block of the model is made of.

use super::figure;
use crate::figures;
use crate::format;
use crate::view::View;
use bomf_study::BlockWeights;
use maud::{Markup, html};

/// Whether the members lie in one basin; nothing where nobody looked.
pub(super) fn basin(view: &View<'_>) -> Markup {
    let basin = view.results.stage2.basin.as_ref();
    let Some((basin, node)) = basin.zip(figures::basin(view)) else {
        return html! {};
    };
    let separated = basin.segments.iter().filter(|s| s.separated).count();
    let from = basin
        .segments
        .first()
        .map(|s| figures::member(view, s.from));
    html! {
        (figure("Whether the members lie in one basin", &node, &html! {
            "The select loss of mixtures of two members, from the best one (" (from.unwrap_or_default()) ") to another. "
            "Averaging helps where the loss does not rise in between. "
            @if separated == 0 {
                "No rise is beyond noise: the members lie in one basin."
            } @else {
                b { (format::count(separated)) " of " (format::count(basin.segments.len())) }
                " rise above the line between their ends by more than three standard errors: these members lie in different basins, and mixtures across the barrier are seldom good."
            }
        }))
        details {
            summary { "The segments in numbers" }
            div.scroll tabindex="0" role="region" aria-label="Table of the segments" {
                table {
                    caption { b { "Segments" } " between members. Barrier: the highest rise of the loss above the line between its ends." }
                    thead { tr {
                        th.text scope="col" { "from" }
                        th.text scope="col" { "to" }
                        th scope="col" { "barrier" }
                        th scope="col" { "one basin" }
                    } }
                    tbody {
                        @for segment in &basin.segments {
                            tr {
                                td.text { (figures::member(view, segment.from)) }
                                td.text { (figures::member(view, segment.to)) }
                                td { (figures::barrier(segment).unwrap_or(format::NONE.into())) }
                                td { (if segment.separated { "no" } else { "yes" }) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The chosen mixture block by block; nothing where the blocks share its weights.
pub(super) fn blocks(view: &View<'_>) -> Markup {
    let Some((_, point)) = view.chosen_point() else {
        return html! {};
    };
    let Some(blocks) = &point.block_weights else {
        return html! {};
    };
    let largest = blocks.values().flatten().copied().filter(|w| w.is_finite());
    let largest = largest.fold(0.0, f64::max);
    html! {
        p {
            "The blocks of the model have weights of their own; those above are their mean over the trained parameters."
        }
        (table(blocks, largest))
    }
}

fn table(blocks: &BlockWeights, largest: f64) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of the weights by block" {
            table {
                caption { b { "Weights by block" } " of the chosen mixture, one bar a member." }
                thead { tr {
                    th.text scope="col" { "block" }
                    th.spark scope="col" { "weights" }
                    th scope="col" { "effective members" }
                } }
                tbody {
                    @for (name, weights) in blocks {
                        @let squares: f64 = weights.iter().map(|w| w * w).sum();
                        tr {
                            th.text scope="row" { (super::clean(name)) }
                            td.spark { (super::drawn(&figures::sparkline(weights, largest))) }
                            td { (format::fixed(1.0 / squares, 1)) }
                        }
                    }
                }
            }
        }
    }
}
