//! The compiled seats of a layout: arrays by index, and the look-up of labels.
//!
//! Seats of a segment have consecutive indexes, segments of a row follow each other, rows of a
//! section too, sections in the order of the document; areas come last. Ids are kept once a
//! section and row, and not at all for numbered seats, so a seat costs about 15 bytes.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use hashbrown::HashTable;

use super::label::{parse_number, split_unit};
use super::plan::{Milli, Numbers, Point};

#[derive(Debug, Clone)]
pub(super) struct SectionEntry {
    pub(super) id: Box<str>,
    pub(super) name: Option<Box<str>>,
    pub(super) rows: Range<u32>,
    pub(super) seats: Range<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct RowEntry {
    pub(super) id: Box<str>,
    pub(super) section: u32,
    pub(super) segments: Range<u32>,
    pub(super) seats: Range<u32>,
    pub(super) rank: u32,
    pub(super) centre: Point,
}

#[derive(Debug, Clone)]
pub(super) struct SegmentEntry {
    pub(super) row: u32,
    pub(super) seats: Range<u32>,
    pub(super) names: Names,
}

/// What the seats of a segment are called within their row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names {
    Numbered(Numbers),
    /// From this one on in `Seats::listing`.
    Listed(u32),
}

#[derive(Debug, Clone)]
pub(super) struct AreaEntry {
    pub(super) id: Box<str>,
    pub(super) name: Option<Box<str>>,
    pub(super) units: Range<u32>,
    pub(super) grade: u8,
    pub(super) outline: Box<[Point]>,
    pub(super) centre: Point,
}

/// What a seat is called within its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name<'a> {
    Number(i64),
    Text(&'a str),
}

/// Bits of `Seats::marks`.
pub(super) const ACCESSIBLE: u8 = 1;
pub(super) const COMPANION: u8 = 2;

#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    pub(super) sections: Vec<SectionEntry>,
    pub(super) rows: Vec<RowEntry>,
    pub(super) segments: Vec<SegmentEntry>,
    pub(super) areas: Vec<AreaEntry>,
    /// Of seats.
    pub(super) points: Vec<Point>,
    /// Of seats.
    pub(super) marks: Vec<u8>,
    /// Of seats and units.
    pub(super) grades: Vec<u8>,
    /// The ids of seats that are not numbered, one after the other, and where each ends.
    pub(super) listing: (String, Vec<u32>),
    labels: HashTable<u32>,
    hasher: RandomState,
}

impl Seats {
    /// How many numbered or listed seats there are; units of areas come after them.
    pub(super) fn seated(&self) -> u32 {
        self.points.len() as u32
    }

    /// How many seats and units there are.
    pub(super) fn len(&self) -> u32 {
        self.grades.len() as u32
    }

    pub(super) fn reserve(&mut self, seats: usize, units: usize) {
        self.points.reserve_exact(seats);
        self.marks.reserve_exact(seats);
        self.grades.reserve_exact(seats + units);
        self.labels.reserve(seats, |_| 0);
    }

    /// The segment of a seat.
    pub(super) fn segment_of(&self, index: u32) -> Option<usize> {
        if index >= self.seated() {
            return None;
        }
        let after = self
            .segments
            .partition_point(|segment| segment.seats.start <= index);
        after.checked_sub(1)
    }

    /// The area of a unit.
    pub(super) fn area_of(&self, index: u32) -> Option<usize> {
        let fits = |area: &AreaEntry| area.units.contains(&index);
        self.areas.iter().position(fits)
    }

    /// What a seat of this segment is called.
    pub(super) fn name(&self, segment: &SegmentEntry, index: u32) -> Name<'_> {
        let position = index - segment.seats.start;
        match segment.names {
            Names::Numbered(numbers) => Name::Number(numbers.at(position)),
            Names::Listed(first) => Name::Text(self.listed((first + position) as usize)),
        }
    }

    /// The id of a listed seat.
    pub(super) fn listed(&self, position: usize) -> &str {
        let (text, ends) = &self.listing;
        let start = position.checked_sub(1).map_or(0, |before| ends[before]);
        &text[start as usize..ends[position] as usize]
    }

    /// Appends the label of a seat or unit; false if there is none.
    pub(super) fn write_label(&self, index: u32, out: &mut String) -> bool {
        if let Some(segment) = self.segment_of(index) {
            let segment = &self.segments[segment];
            let row = &self.rows[segment.row as usize];
            write_seat(
                &self.sections[row.section as usize].id,
                &row.id,
                self.name(segment, index),
                out,
            );
            return true;
        }
        let Some(area) = self.area_of(index) else {
            return false;
        };
        let area = &self.areas[area];
        // Writing to a string cannot fail.
        let _ = write!(out, "{}/{}", area.id, index - area.units.start + 1);
        true
    }

    /// The seat or unit with this label.
    pub(super) fn find(&self, label: &str) -> Option<u32> {
        if let Some((id, number)) = split_unit(label) {
            let area = self.areas.iter().find(|area| *area.id == *id)?;
            let index = area.units.start.checked_add(number.checked_sub(1)?)?;
            return area.units.contains(&index).then_some(index);
        }
        let hash = self.hasher.hash_one(label);
        self.labels
            .find(hash, |index| self.is_label(*index, label))
            .copied()
    }

    /// Makes a seat known by its label, unless another has it already: then that one is answered.
    pub(super) fn enter(&mut self, label: &str, index: u32) -> Result<(), u32> {
        if let Some(other) = self.find(label) {
            return Err(other);
        }
        let hash = self.hasher.hash_one(label);
        // The place was reserved, so nothing is ever hashed again.
        self.labels.insert_unique(hash, index, |_| 0);
        Ok(())
    }

    /// Whether a seat has this label, without writing it.
    fn is_label(&self, index: u32, label: &str) -> bool {
        let Some(segment) = self.segment_of(index) else {
            return false;
        };
        let segment = &self.segments[segment];
        let row = &self.rows[segment.row as usize];
        let name = label
            .strip_prefix(&*self.sections[row.section as usize].id)
            .and_then(|rest| {
                rest.strip_prefix('-')?
                    .strip_prefix(&*row.id)?
                    .strip_prefix('-')
            });
        name.is_some_and(|name| match self.name(segment, index) {
            Name::Number(number) => parse_number(name).map(i64::from) == Some(number),
            Name::Text(text) => text == name,
        })
    }
}

/// Appends the label of a seat.
pub(super) fn write_seat(section: &str, row: &str, name: Name<'_>, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match name {
        Name::Number(number) => write!(out, "{section}-{row}-{number}"),
        Name::Text(text) => write!(out, "{section}-{row}-{text}"),
    };
}

/// The middle of the box around some points.
pub(super) fn middle(points: &[Point]) -> Option<Point> {
    let (low, high) = bounds(points.iter().copied())?;
    let half = |a: Milli, b: Milli| Milli(i32::midpoint(a.0, b.0));
    Some((half(low.0, high.0), half(low.1, high.1)))
}

/// The box around some points: its lowest and highest corner.
pub(super) fn bounds(points: impl IntoIterator<Item = Point>) -> Option<(Point, Point)> {
    points.into_iter().fold(None, |bounds, (x, y)| {
        let (low, high) = bounds.unwrap_or(((x, y), (x, y)));
        Some(((low.0.min(x), low.1.min(y)), (high.0.max(x), high.1.max(y))))
    })
}

/// The square of the distance between two points, in square thousandths.
pub(super) fn distance_squared(a: Point, b: Point) -> u64 {
    let dx = i64::from(a.0.0) - i64::from(b.0.0);
    let dy = i64::from(a.1.0) - i64::from(b.1.0);
    (dx * dx + dy * dy).unsigned_abs()
}
