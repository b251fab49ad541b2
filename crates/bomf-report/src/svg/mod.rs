//! A small plotting module: elements, scales, ticks, axes, marks and labels.
//!
//! Everything works in the figure's own units (the view box; one unit is one CSS
//! pixel at full width), with x to the right and y **down**, as SVG has it.
//! Colours and type come from classes (`svg.css`), so that one drawing serves a
//! light and a dark page; a mark carries a shape besides its colour.
//!
//! Nothing in here panics on any number: values that cannot be drawn (NaN,
//! infinities, magnitudes beyond [`scale::LARGEST`]) are left out by the scales.

pub(crate) mod axis;
pub(crate) mod figure;
pub(crate) mod label;
pub(crate) mod mark;
pub(crate) mod node;
pub(crate) mod path;
pub(crate) mod scale;
pub(crate) mod text;
pub(crate) mod ticks;

pub(crate) use figure::Figure;
pub(crate) use mark::Shape;
pub(crate) use node::Node;
pub(crate) use scale::{Extent, Scale};
