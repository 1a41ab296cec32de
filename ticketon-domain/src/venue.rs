//! Venue layouts: which seats there are, what they are called, where they are.
//!
//! A [`Layout`] is read from JSON that people can write by hand, checked as a whole, and compiled:
//! every seat gets a dense [`SeatIndex`], so that a map of who has what is an array. Adjacent seats
//! have consecutive indexes. Who holds or bought a seat is not kept here: that is the aggregate
//! [`seat`](crate::seat).
//!
//! # The JSON
//! ```json
#![doc = include_str!("venue/example.json")]
//! ```
//! - A **row** is a list of **segments**; an aisle is between two segments, none within one.
//! - A segment is numbered (`from`, `count`, and `step` between the numbers, 1 by default) along a
//!   line from `x`, `y` by `dx` (1 by default) and `dy` (0), or along an `arc`; or it lists `seats`.
//! - The **grade** of a seat is the nearest one given: on the seat, the segment, the row, the
//!   section; if there is one grade only, none need be given.
//! - The smaller a row's **rank**, the better its seats; by default rows count from the front of
//!   their section, from the section's `rank` (1 by default) on. Of equal rows the one nearer to
//!   the stage is better.
//! - Seats are called `A-1-7` (section, row, seat), units of areas `standing/17`.
//! - Coordinates are in a unit of your choice, about the width of a seat; y grows away from the top.
//!   Three decimals are kept. Unknown fields are refused.
//!
//! `docs/layouts.md` has every field with its limits, and the shape of [`Layout::to_map_json`].

mod compile;
mod error;
mod fields;
mod label;
mod layout;
mod map;
mod plan;
mod read;
pub mod sample;
mod seats;
mod view;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::{LayoutError, MAX_REPORTED};
pub use label::{GradeIndex, MAX_LABEL_BYTES, MAX_PART_CHARS, SeatIndex, SeatLabel};
pub use layout::Layout;
pub use view::{Area, Row, Seat, Section, Segment};

/// Longest document in bytes: 16 MiB.
pub const MAX_JSON_BYTES: usize = 16 * 1024 * 1024;
/// The most seats and units of a layout.
pub const MAX_SEATS: u32 = 200_000;
/// The most grades.
pub const MAX_GRADES: usize = 32;
/// The most sections.
pub const MAX_SECTIONS: usize = 1_000;
/// The most areas.
pub const MAX_AREAS: usize = 200;
/// The most rows of a section.
pub const MAX_ROWS: usize = 1_000;
/// The most rows over all sections.
pub const MAX_TOTAL_ROWS: usize = 20_000;
/// The most segments of a row.
pub const MAX_SEGMENTS: usize = 100;
/// The most seats of a segment.
pub const MAX_ROW_SEATS: u32 = 2_000;
