//! Elements of a drawing, and their text form: well-formed XML for any input.

use std::fmt;

/// An element with its attributes and children.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Child>,
}

#[derive(Debug, Clone)]
enum Child {
    Node(Node),
    Text(String),
    Css(&'static str),
}

/// An empty element.
pub(crate) fn el(name: &'static str) -> Node {
    Node {
        name,
        attributes: Vec::new(),
        children: Vec::new(),
    }
}

/// A group with a class.
pub(crate) fn group(class: &str) -> Node {
    el("g").set("class", class)
}

/// Text at a place; `anchor` is `start`, `middle` or `end`.
pub(crate) fn text(x: f64, y: f64, anchor: &str, class: &str, content: impl Into<String>) -> Node {
    let node = el("text").set("x", x).set("y", y).set("class", class);
    let node = if anchor == "start" {
        node
    } else {
        node.set("text-anchor", anchor)
    };
    node.text(content)
}

/// A straight line.
pub(crate) fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Node {
    el("line")
        .set("class", class)
        .set("x1", from.0)
        .set("y1", from.1)
        .set("x2", to.0)
        .set("y2", to.1)
}

/// A rectangle; negative sizes are drawn as none.
pub(crate) fn rect(x: f64, y: f64, width: f64, height: f64, class: &str) -> Node {
    el("rect")
        .set("class", class)
        .set("x", x)
        .set("y", y)
        .set("width", width.max(0.0))
        .set("height", height.max(0.0))
}

impl Node {
    /// With an attribute.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into().0));
        self
    }

    /// With a child after the others.
    pub(crate) fn add(mut self, child: Node) -> Self {
        self.push(child);
        self
    }

    /// Adds a child after the others.
    pub(crate) fn push(&mut self, child: Node) {
        self.children.push(Child::Node(child));
    }

    /// Adds children after the others.
    pub(crate) fn extend(&mut self, children: impl IntoIterator<Item = Node>) {
        self.children.extend(children.into_iter().map(Child::Node));
    }

    /// With text after the other children.
    pub(crate) fn text(mut self, content: impl Into<String>) -> Self {
        self.children.push(Child::Text(content.into()));
        self
    }

    /// With a style sheet of ours, written as it is.
    pub(crate) fn css(mut self, sheet: &'static str) -> Self {
        self.children.push(Child::Css(sheet));
        self
    }

    /// With a text that shows on hovering, for machines without scripts too.
    pub(crate) fn tip(self, content: impl Into<String>) -> Self {
        self.set("data-tip", "").add(el("title").text(content))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{}\"", escape(value))?;
        }
        if self.children.is_empty() {
            return write!(f, "/>");
        }
        write!(f, ">")?;
        for child in &self.children {
            match child {
                Child::Node(node) => node.fmt(f)?,
                Child::Text(text) => f.write_str(&escape(text))?,
                Child::Css(sheet) => f.write_str(sheet)?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}

/// Text that can stand in XML: markup escaped, characters that XML forbids
/// replaced by U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(allowed(c)),
        }
    }
    out
}

/// The character, or U+FFFD where XML or HTML forbids it.
pub(crate) fn allowed(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => c,
        c if c.is_control() => '\u{fffd}',
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c => c,
    }
}

/// An attribute's value.
pub(crate) struct Value(String);

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value(value.into())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Value(value)
    }
}
impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Value(value.to_string())
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value(number(value))
    }
}

/// Largest coordinate that is written: far outside every figure, and safe for the
/// single precision in which browsers draw.
const FARTHEST: f64 = 1e5;

/// A coordinate with at most two decimals; never `NaN`, which would void the
/// whole element.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let rounded = (value.clamp(-FARTHEST, FARTHEST) * 100.0).round() / 100.0;
    // Adding zero turns -0 into 0.
    format!("{}", rounded + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_always_numbers() {
        let cases = [
            (1.0, "1"),
            (1.005_1, "1.01"),
            (-0.001, "0"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (1e300, "100000"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn markup_and_forbidden_characters_are_made_harmless() {
        let node = text(0.0, 1.0, "end", "a\"b", "<\u{0}&\u{ffff}é>");
        assert_eq!(
            node.to_string(),
            "<text x=\"0\" y=\"1\" class=\"a&quot;b\" text-anchor=\"end\">&lt;\u{fffd}&amp;\u{fffd}é&gt;</text>"
        );
    }
}
