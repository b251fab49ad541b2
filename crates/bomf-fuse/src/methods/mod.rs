//! The methods of fusion, one module each.
//!
//! Methods that choose weights return them as a vector with one weight a member, summing to one;
//! [`linear`] turns weights into a model.

pub mod greedy_soup;
pub mod linear;
pub mod swa;
pub mod uniform_soup;
