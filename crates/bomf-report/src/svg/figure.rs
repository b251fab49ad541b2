//! The frame of a drawing: its view box, its name for screen readers, its plots.

use super::node::{Node, el};

/// A drawing under construction.
pub(crate) struct Figure {
    id: &'static str,
    width: f64,
    height: f64,
    title: String,
    description: String,
    body: Vec<Node>,
}

impl Figure {
    /// An empty one; `id` is unique on the page.
    pub(crate) fn new(
        id: &'static str,
        width: f64,
        height: f64,
        title: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Figure {
            id,
            width,
            height,
            title: title.into(),
            description: description.into(),
            body: Vec::new(),
        }
    }

    /// Draws something over what is there.
    pub(crate) fn push(&mut self, node: Node) {
        self.body.push(node);
    }

    /// The finished element. It names itself to screen readers; its parts are
    /// pictures to them.
    pub(crate) fn finish(self) -> Node {
        self.finish_with(None, false)
    }

    /// The finished element as a file of its own, with this style sheet.
    pub(crate) fn finish_standalone(self, css: &'static str) -> Node {
        self.finish_with(Some(css), true)
    }

    fn finish_with(self, css: Option<&'static str>, standalone: bool) -> Node {
        let (title_id, desc_id) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let mut svg = el("svg");
        if standalone {
            svg = svg
                .set("xmlns", "http://www.w3.org/2000/svg")
                .set("width", self.width)
                .set("height", self.height);
        }
        svg = svg
            .set("id", format!("fig-{}", self.id))
            .set("class", "figure")
            .set("viewBox", format!("0 0 {} {}", self.width, self.height))
            .set("role", "img")
            .set("aria-labelledby", format!("{title_id} {desc_id}"))
            .add(el("title").set("id", title_id).text(self.title))
            .add(el("desc").set("id", desc_id).text(self.description));
        if let Some(css) = css {
            svg = svg.add(el("style").css(css)).add(
                el("rect")
                    .set("class", "paper")
                    .set("width", "100%")
                    .set("height", "100%"),
            );
        }
        svg.extend(self.body);
        svg
    }
}

/// The rectangle in which the data of a plot stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plot {
    /// Its left edge.
    pub(crate) left: f64,
    /// Its upper edge.
    pub(crate) top: f64,
    /// Its right edge.
    pub(crate) right: f64,
    /// Its lower edge.
    pub(crate) bottom: f64,
}

impl Plot {
    /// Its width.
    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Its height.
    pub(crate) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// A definition that clips to it, with `room` around; refer to it by
    /// `url(#id)`.
    pub(crate) fn clip(&self, id: &str, room: f64) -> Node {
        el("clipPath").set("id", id).add(super::node::rect(
            self.left - room,
            self.top - room,
            self.width() + 2.0 * room,
            self.height() + 2.0 * room,
            "",
        ))
    }
}
