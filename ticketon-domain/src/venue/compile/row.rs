//! One row: its seats, their labels and points, and what it says of single seats.

use super::{Compiler, UNGRADED, length};
use crate::venue::error::Path;
use crate::venue::fields::MAX_LENGTH;
use crate::venue::label::MAX_LABEL_BYTES;
use crate::venue::plan::{Milli, Point, RowPlan, SeatPlan, SegmentPlan, Shape};
use crate::venue::seats::{
    ACCESSIBLE, COMPANION, Name, Names, RowEntry, SegmentEntry, middle, write_seat,
};

/// What the seats of a row have in common.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// Ids of section and row; empty where they were refused.
    pub(super) ids: (&'a str, &'a str),
    /// The row's place in `Seats::rows`.
    pub(super) entry: u32,
    pub(super) grade: Option<u8>,
    pub(super) at: Path<'a>,
}

impl Compiler<'_> {
    pub(super) fn row(&mut self, plan: &RowPlan, row: Row<'_>, section: u32, rank: u32) {
        let first = self.seats.seated();
        let segments = length(&self.seats.segments);
        self.seats.rows.push(RowEntry {
            id: plan.id.as_str().into(),
            section,
            segments: segments..segments,
            seats: first..first,
            rank,
            centre: Point::default(),
        });
        let list = row.at.field("segments");
        for (index, segment) in plan.segments.iter().enumerate() {
            let at = list.item(index);
            self.segment(segment, row, at);
        }
        let seats = first..self.seats.seated();
        let segments_end = length(&self.seats.segments);
        let centre = middle(&self.seats.points[first as usize..]).unwrap_or_default();
        if let Some(last) = self.seats.rows.last_mut() {
            last.segments.end = segments_end;
            last.seats = seats;
            last.centre = centre;
        }
        self.marks(plan, row, first);
    }

    fn segment(&mut self, plan: &SegmentPlan, row: Row<'_>, at: Path<'_>) {
        let first = self.seats.seated();
        let grade = self.grade(plan.grade.as_deref(), at).or(row.grade);
        let names = match &plan.shape {
            Shape::Line { numbers, .. } | Shape::Arc { numbers, .. } => Names::Numbered(*numbers),
            Shape::List { .. } => Names::Listed(length(&self.seats.listing.1)),
        };
        self.seats.segments.push(SegmentEntry {
            row: row.entry,
            seats: first..first,
            names,
        });
        match &plan.shape {
            Shape::Line { numbers, .. } | Shape::Arc { numbers, .. } => {
                for position in 0..numbers.count {
                    let point = self.within(plan.shape.point(position), at);
                    self.push_seat(point, grade, 0);
                    self.enter(row, Name::Number(numbers.at(position)), at.field("from"));
                }
            }
            Shape::List { seats } => {
                let list = at.field("seats");
                for (index, seat) in seats.iter().enumerate() {
                    let at = list.item(index);
                    self.listed_seat(seat, row, grade, at);
                }
            }
        }
        let end = self.seats.seated();
        if let Some(last) = self.seats.segments.last_mut() {
            last.seats.end = end;
        }
    }

    fn listed_seat(&mut self, seat: &SeatPlan, row: Row<'_>, grade: Option<u8>, at: Path<'_>) {
        let grade = self.grade(seat.grade.as_deref(), at).or(grade);
        let accessible = if seat.accessible { ACCESSIBLE } else { 0 };
        let companion = if seat.companion { COMPANION } else { 0 };
        self.push_seat((seat.x, seat.y), grade, accessible | companion);
        let (text, ends) = &mut self.seats.listing;
        text.push_str(&seat.id);
        ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        if !seat.id.is_empty() {
            self.enter(row, Name::Text(&seat.id), at.field("id"));
        }
    }

    fn push_seat(&mut self, point: Point, grade: Option<u8>, marks: u8) {
        self.seats.points.push(point);
        self.seats.grades.push(grade.unwrap_or(UNGRADED));
        self.seats.marks.push(marks);
    }

    /// Makes the newest seat known by its label.
    fn enter(&mut self, row: Row<'_>, name: Name<'_>, at: Path<'_>) {
        if row.ids.0.is_empty() || row.ids.1.is_empty() {
            return;
        }
        self.label.clear();
        write_seat(row.ids.0, row.ids.1, name, &mut self.label);
        if self.label.len() > MAX_LABEL_BYTES {
            let accepted = format!("labels (section-row-seat) of at most {MAX_LABEL_BYTES} bytes");
            self.problems.refuse(at, &self.label, accepted);
            return;
        }
        let index = self.seats.seated() - 1;
        if self.seats.enter(&self.label, index).is_err() {
            self.problems
                .refuse(at, &self.label, "seats that are unique in the row");
        }
    }

    /// The nearest allowed point; another one is refused.
    fn within(&mut self, (x, y): (f64, f64), at: Path<'_>) -> Point {
        let limit = MAX_LENGTH as f64;
        if x.abs() > limit || y.abs() > limit {
            let accepted = format!("-{MAX_LENGTH} to {MAX_LENGTH} for each seat");
            self.problems
                .refuse(at, format!("a seat at [{x:.0}, {y:.0}]"), accepted);
        }
        let inside = |value: f64| Milli::nearest(value.clamp(-limit, limit));
        (inside(x), inside(y))
    }

    /// What a row says of single seats: their grades, and who they are for.
    fn marks(&mut self, plan: &RowPlan, row: Row<'_>, first: u32) {
        let at = row.at;
        let list = at.field("seatGrades");
        for (index, other) in plan.seat_grades.iter().enumerate() {
            let at = list.item(index);
            let grade = self.grade(Some(&other.grade), at).unwrap_or_default();
            for seat in self.named(plan, row, &other.seats, at.field("seats")) {
                self.seats.grades[seat] = grade;
            }
        }
        for (ids, mark, name) in [
            (&plan.accessible, ACCESSIBLE, "accessible"),
            (&plan.companion, COMPANION, "companion"),
        ] {
            for seat in self.named(plan, row, ids, at.field(name)) {
                self.seats.marks[seat] |= mark;
            }
        }
        if self.seats.grades[first as usize..].contains(&UNGRADED) {
            let accepted = format!(
                "one of {}, for the section, the row, its segments or each seat",
                self.plan.grades.join(", ")
            );
            self.problems
                .refuse(at.field("grade"), "(missing)", accepted);
        }
    }

    /// The seats of the newest row with these ids.
    fn named(&mut self, plan: &RowPlan, row: Row<'_>, ids: &[String], at: Path<'_>) -> Vec<usize> {
        if row.ids.0.is_empty()
            || row.ids.1.is_empty()
            || plan.segments.is_empty()
            || !plan.segments.iter().all(is_whole)
        {
            return Vec::new();
        }
        let mut found = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_empty()) {
            self.label.clear();
            write_seat(row.ids.0, row.ids.1, Name::Text(id), &mut self.label);
            match self.seats.find(&self.label) {
                Some(seat) => found.push(seat as usize),
                None => self
                    .problems
                    .refuse(at.item(index), id, "ids of seats of this row"),
            }
        }
        found
    }
}

/// Whether nothing of a segment was refused while it was read.
fn is_whole(segment: &SegmentPlan) -> bool {
    match &segment.shape {
        Shape::List { seats } => !seats.is_empty() && seats.iter().all(|seat| !seat.id.is_empty()),
        Shape::Line { .. } | Shape::Arc { .. } => true,
    }
}
