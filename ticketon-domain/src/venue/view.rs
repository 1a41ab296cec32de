//! The parts of a layout as they are handed out.

use std::ops::Range;

use super::label::{GradeIndex, SeatIndex, SeatLabel};

/// A seat, or one unit of an area.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Seat<'a> {
    /// Its number in the layout.
    pub index: SeatIndex,
    /// Its name.
    pub label: SeatLabel,
    /// The id of its section or area.
    pub section: &'a str,
    /// The id of its row; none for a unit.
    pub row: Option<&'a str>,
    /// What it costs is decided by this.
    pub grade: GradeIndex,
    /// Whether a wheelchair fits.
    pub accessible: bool,
    /// Whether it is for the companion of somebody in an accessible seat.
    pub companion: bool,
    /// Where it is, in units of the layout; of a unit, the middle of its area.
    pub x: f64,
    /// Larger is farther down the map.
    pub y: f64,
}

/// A section of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section<'a> {
    /// Its id, the first part of its seats' labels.
    pub id: &'a str,
    /// What people call it; the id, if the layout does not say.
    pub name: &'a str,
    /// The places of its rows in [`Layout::rows`](super::Layout::rows).
    pub rows: Range<u32>,
    /// Its first seat.
    pub start: SeatIndex,
    /// How many seats it has.
    pub len: u32,
}

/// A row of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row<'a> {
    /// Its id, unique in the section.
    pub id: &'a str,
    /// The id of the section.
    pub section: &'a str,
    /// How good it is among all rows: 0 is the best, no two are the same.
    pub rank: u32,
    /// Its first seat.
    pub start: SeatIndex,
    /// How many seats it has.
    pub len: u32,
}

/// Adjacent seats of a row: their indexes are consecutive, no aisle is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment<'a> {
    /// The id of the section.
    pub section: &'a str,
    /// The id of the row.
    pub row: &'a str,
    /// The row's place in [`Layout::rows`](super::Layout::rows).
    pub row_index: u32,
    /// How good the row is: 0 is the best.
    pub row_rank: u32,
    /// The first seat.
    pub start: SeatIndex,
    /// How many seats there are.
    pub len: u32,
}

/// An area without seats: whoever is in, stands where they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Area<'a> {
    /// Its id, the first part of its units' labels.
    pub id: &'a str,
    /// What people call it; the id, if the layout does not say.
    pub name: &'a str,
    /// The grade of all units.
    pub grade: GradeIndex,
    /// Its first unit, `<id>/1`.
    pub start: SeatIndex,
    /// How many units it has.
    pub len: u32,
}
