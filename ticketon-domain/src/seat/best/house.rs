//! A layout's rows as the ranking needs them, worked out once.

use std::cmp::Reverse;

use crate::seat::Run;
use crate::venue::{GradeIndex, Layout, SeatIndex, Segment};

/// Whom a seat is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// Anyone.
    Anyone,
    /// Who needs an accessible one.
    Accessible,
    /// Who comes along with them.
    Companion,
}

impl Meant {
    /// Whether it is kept for some, as long as there is something else for the others.
    pub(super) const fn reserved(self) -> bool {
        !matches!(self, Self::Anyone)
    }
}

/// Adjacent seats, and how good they are.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) start: u32,
    pub(super) len: u32,
    /// The place of its section in the layout.
    section: usize,
    row_rank: u32,
    centre_twice: u32,
}

impl Side {
    pub(super) const fn end(&self) -> u32 {
        self.start + self.len
    }

    /// The run of some of its seats.
    pub(super) const fn run(&self, start: u32, len: u32) -> Run {
        Run {
            start,
            len,
            segment_start: self.start,
            segment_len: self.len,
            centre_twice: self.centre_twice,
        }
    }

    /// The maximal stretches of seats, `(start, len)`, with the same key; those without one are in none.
    pub(super) fn stretches<K: PartialEq>(
        &self,
        key: impl Fn(u32) -> Option<K>,
    ) -> impl Iterator<Item = (u32, u32)> {
        let (mut seat, end) = (self.start, self.end());
        std::iter::from_fn(move || {
            let (start, of) = (seat..end).find_map(|seat| Some((seat, key(seat)?)))?;
            seat = (start + 1..end)
                .find(|&seat| key(seat).as_ref() != Some(&of))
                .unwrap_or(end);
            Some((start, seat - start))
        })
    }
}

/// All adjacent seats of a layout.
#[derive(Debug)]
pub(super) struct House {
    pub(super) sides: Vec<Side>,
    sections: Vec<String>,
    grades: Vec<GradeIndex>,
    meant: Vec<Meant>,
    off_centre: Vec<f64>,
}

impl House {
    pub(super) fn of(layout: &Layout) -> Self {
        let sections: Vec<String> = layout
            .sections()
            .map(|section| section.id.to_owned())
            .collect();
        let seats = || layout.segments().flat_map(|segment| seats_of(&segment));
        let mut house = Self {
            sides: Vec::with_capacity(layout.segments().len()),
            grades: seats().filter_map(|seat| layout.grade_of(seat)).collect(),
            meant: seats()
                .filter_map(|seat| layout.seat(seat))
                .map(|seat| match (seat.accessible, seat.companion) {
                    (true, _) => Meant::Accessible,
                    (_, true) => Meant::Companion,
                    _ => Meant::Anyone,
                })
                .collect(),
            off_centre: seats().map(|seat| layout.off_centre(seat)).collect(),
            sections,
        };
        for segment in layout.segments() {
            let (start, len) = (segment.start.get(), segment.len);
            let section = house.sections.iter().position(|id| id == segment.section);
            house.sides.push(Side {
                start,
                len,
                section: section.unwrap_or(usize::MAX),
                row_rank: segment.row_rank,
                centre_twice: house.centre_twice(start, len),
            });
        }
        house
    }

    /// The sides of the section with this id, or all.
    pub(super) fn sides_in(&self, section: Option<&str>) -> impl Iterator<Item = &Side> {
        let place = section.map(|id| self.sections.iter().position(|other| other == id));
        self.sides
            .iter()
            .filter(move |side| place.is_none_or(|place| place == Some(side.section)))
    }

    /// The side that a seat is in; units of areas are in none.
    pub(super) fn side_of(&self, seat: u32) -> Option<&Side> {
        let next = self.sides.partition_point(|side| side.start <= seat);
        self.sides[..next].last().filter(|side| seat < side.end())
    }

    pub(super) fn grade(&self, seat: u32) -> Option<GradeIndex> {
        self.grades.get(seat as usize).copied()
    }

    /// Whom a seat is meant for; nobody knows of units of areas.
    pub(super) fn meant(&self, seat: u32) -> Meant {
        self.meant
            .get(seat as usize)
            .copied()
            .unwrap_or(Meant::Anyone)
    }

    fn off_centre(&self, seat: u32) -> f64 {
        self.off_centre.get(seat as usize).copied().unwrap_or(0.0)
    }

    /// Runs with the sides that they are of, as runs with the best first: by row, then by how near their
    /// best seat is to the row's centre.
    pub(super) fn best_first<'a>(&self, runs: impl Iterator<Item = (&'a Side, Run)>) -> Vec<Run> {
        let mut ranked: Vec<_> = runs
            .map(|(side, run)| {
                let best = (run.centre_twice / 2).clamp(run.start, run.start + run.len - 1);
                // Distances are not negative, so their bits have the order of the numbers.
                let distance = self.off_centre(best).to_bits();
                ((side.row_rank, distance, Reverse(run.len), run.start), run)
            })
            .collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, run)| run).collect()
    }

    /// Twice the index, of adjacent seats, where their row has its centre: at the nearest seat, or between
    /// it and the next one if the centre is on that side of it. (On the other side no more is needed: of
    /// two windows as near to the nearest seat, the lower one is taken.)
    ///
    /// The squared distance to a point changes like a parabola along a row, so its vertex is found from the
    /// nearest seat and those beside it, also where the row is curved and the point is not on it.
    fn centre_twice(&self, start: u32, len: u32) -> u32 {
        let squared = |seat: u32| self.off_centre(seat).powi(2);
        let nearest = (start..start + len)
            .min_by(|a, b| squared(*a).total_cmp(&squared(*b)))
            .unwrap_or(start);
        if nearest == start || nearest + 1 == start + len {
            return 2 * nearest;
        }
        let (before, at, after) = (squared(nearest - 1), squared(nearest), squared(nearest + 1));
        // How far the vertex is from the seat, in half seats; coordinates are rounded, so zero is a range.
        let beyond = (before - after) / (before - 2.0 * at + after);
        2 * nearest + u32::from(beyond > 0.1)
    }
}

fn seats_of(segment: &Segment<'_>) -> impl Iterator<Item = SeatIndex> + use<> {
    let start = segment.start.get();
    (start..start + segment.len).map(SeatIndex::new)
}
