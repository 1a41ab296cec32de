//! From a plan to compiled seats, and what must hold between the parts of a plan.
//!
//! Ids are unique where labels need it, grades exist and every seat has one, ids of seats that a
//! row names belong to the row, and there are not too many seats. What was refused while reading
//! left an empty id, grade or list behind; these are passed over, so that one mistake is reported
//! once.

use std::collections::{HashMap, HashSet};

use super::error::{Path, Problems};
use super::fields::MAX_LENGTH;
use super::label::MAX_LABEL_BYTES;
use super::plan::{
    AreaPlan, Milli, Plan, Point, RowPlan, SeatPlan, SectionPlan, SegmentPlan, Shape,
};
use super::seats::{
    ACCESSIBLE, AreaEntry, COMPANION, Name, Names, RowEntry, Seats, SectionEntry, SegmentEntry,
    distance_squared, middle, write_seat,
};
use super::{MAX_SEATS, MAX_TOTAL_ROWS};

/// Stands for a seat's grade until it has one. There are at most 32 grades.
const UNGRADED: u8 = u8::MAX;

/// Compiles a plan; what is wrong with it is added to the problems.
pub(super) fn compile(plan: &Plan, problems: &mut Problems) -> Seats {
    let mut compiler = Compiler {
        plan,
        problems,
        grades: HashMap::new(),
        seats: Seats::default(),
        label: String::new(),
    };
    compiler.grades();
    if compiler.reserve() {
        compiler.sections();
        compiler.areas();
        compiler.rank_rows();
    }
    compiler.seats
}

struct Compiler<'a> {
    plan: &'a Plan,
    problems: &'a mut Problems,
    grades: HashMap<&'a str, u8>,
    seats: Seats,
    /// Reused for every label.
    label: String,
}

/// What the seats of a row have in common.
#[derive(Clone, Copy)]
struct Row<'a> {
    /// Ids of section and row; empty where they were refused.
    ids: (&'a str, &'a str),
    /// The row's place in `Seats::rows`.
    entry: u32,
    grade: Option<u8>,
    at: Path<'a>,
}

impl<'a> Compiler<'a> {
    fn grades(&mut self) {
        let grades: &'a [String] = &self.plan.grades;
        for (index, grade) in (0..UNGRADED).zip(grades) {
            if grade.is_empty() {
                continue;
            }
            if self.grades.contains_key(grade.as_str()) {
                let field = format!("grades[{index}]");
                self.problems
                    .refuse(field, grade, "names that are unique in the list");
            } else {
                self.grades.insert(grade, index);
            }
        }
    }

    /// Makes room for all seats, unless there are too many or none.
    fn reserve(&mut self) -> bool {
        let rows = || self.plan.sections.iter().flat_map(|section| &section.rows);
        let row_count = rows().count();
        if row_count > MAX_TOTAL_ROWS {
            let accepted = format!("at most {MAX_TOTAL_ROWS} rows over all sections");
            self.problems
                .refuse("sections", format!("{row_count} rows"), accepted);
            return false;
        }
        let segments = rows().flat_map(|row| &row.segments);
        let seats: usize = segments.map(|segment| segment.shape.count()).sum();
        let units: usize = self
            .plan
            .areas
            .iter()
            .map(|area| area.capacity as usize)
            .sum();
        let total = seats + units;
        if total > MAX_SEATS as usize {
            let accepted = format!("1 to {MAX_SEATS} seats and units of areas");
            self.problems
                .refuse("sections", format!("{total} seats and units"), accepted);
            return false;
        }
        if total == 0 && self.problems.is_empty() {
            self.problems
                .refuse("sections", "(missing)", "at least one section or area");
        }
        self.seats.reserve(seats, units);
        total > 0
    }

    /// The number of a grade that is named at this place.
    fn grade(&mut self, name: Option<&str>, at: Path<'_>) -> Option<u8> {
        let name = name?;
        let known = self.grades.get(name).copied();
        if known.is_none() && !name.is_empty() && !self.grades.is_empty() {
            let accepted = format!("one of {}", self.plan.grades.join(", "));
            self.problems.refuse(at.field("grade"), name, accepted);
        }
        Some(known.unwrap_or_default())
    }

    /// The grade of what names none: the only one, if there is one only.
    fn only_grade(&self) -> Option<u8> {
        (self.grades.len() <= 1).then_some(0)
    }

    fn sections(&mut self) {
        let plan = self.plan;
        let mut taken = HashSet::new();
        let list = Path::Root;
        let list = list.field("sections");
        for (index, section) in plan.sections.iter().enumerate() {
            let at = list.item(index);
            let id = self.unique(
                &mut taken,
                &section.id,
                at,
                "ids that are unique among sections",
            );
            self.section(section, id, at);
        }
    }

    /// The id, or an empty one if another has it already.
    fn unique<'p>(
        &mut self,
        taken: &mut HashSet<&'p str>,
        id: &'p str,
        at: Path<'_>,
        accepted: &str,
    ) -> &'p str {
        if id.is_empty() || taken.insert(id) {
            return id;
        }
        self.problems.refuse(at.field("id"), id, accepted);
        ""
    }

    fn section(&mut self, section: &SectionPlan, id: &str, at: Path<'_>) {
        let seats = self.seats.seated();
        let rows = length(&self.seats.rows);
        let entry = length(&self.seats.sections);
        let grade = self
            .grade(section.grade.as_deref(), at)
            .or(self.only_grade());
        self.seats.sections.push(SectionEntry {
            id: section.id.as_str().into(),
            name: section.name.as_deref().map(Into::into),
            rows: rows..rows,
            seats: seats..seats,
        });
        let mut taken = HashSet::new();
        let list = at.field("rows");
        // Rows count from the front; the section's rank says how far back its first row is.
        for (rank, row) in (section.rank.unwrap_or(1)..).zip(&section.rows) {
            let position = length(&self.seats.rows) - rows;
            let at = list.item(position as usize);
            let row_id = self.unique(
                &mut taken,
                &row.id,
                at,
                "ids that are unique in the section",
            );
            let common = Row {
                ids: (id, row_id),
                entry: length(&self.seats.rows),
                grade: self.grade(row.grade.as_deref(), at).or(grade),
                at,
            };
            self.row(row, common, entry, row.rank.unwrap_or(rank));
        }
        let (rows_end, seats_end) = (length(&self.seats.rows), self.seats.seated());
        if let Some(last) = self.seats.sections.last_mut() {
            last.rows.end = rows_end;
            last.seats.end = seats_end;
        }
    }

    fn row(&mut self, plan: &RowPlan, row: Row<'_>, section: u32, rank: u32) {
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
            for seat in self.named(plan, row, first, &other.seats, at.field("seats")) {
                self.seats.grades[seat] = grade;
            }
        }
        for (ids, mark, name) in [
            (&plan.accessible, ACCESSIBLE, "accessible"),
            (&plan.companion, COMPANION, "companion"),
        ] {
            for seat in self.named(plan, row, first, ids, at.field(name)) {
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
    fn named(
        &mut self,
        plan: &RowPlan,
        row: Row<'_>,
        first: u32,
        ids: &[String],
        at: Path<'_>,
    ) -> Vec<usize> {
        let refused = row.ids.0.is_empty()
            || row.ids.1.is_empty()
            || plan
                .segments
                .iter()
                .any(|segment| segment.shape.count() == 0);
        if refused {
            return Vec::new();
        }
        let mut found = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_empty()) {
            self.label.clear();
            write_seat(row.ids.0, row.ids.1, Name::Text(id), &mut self.label);
            match self.seats.find(&self.label) {
                Some(seat) if seat >= first => found.push(seat as usize),
                _ => self
                    .problems
                    .refuse(at.item(index), id, "ids of seats of this row"),
            }
        }
        found
    }

    fn areas(&mut self) {
        let plan = self.plan;
        let mut taken = HashSet::new();
        let list = Path::Root;
        let list = list.field("areas");
        for (index, area) in plan.areas.iter().enumerate() {
            let at = list.item(index);
            self.unique(&mut taken, &area.id, at, "ids that are unique among areas");
            self.area(area, at);
        }
    }

    fn area(&mut self, plan: &AreaPlan, at: Path<'_>) {
        let grade = self.grade(plan.grade.as_deref(), at).or(self.only_grade());
        if grade.is_none() {
            let accepted = format!("one of {}", self.plan.grades.join(", "));
            self.problems
                .refuse(at.field("grade"), "(missing)", accepted);
        }
        let grade = grade.unwrap_or_default();
        let first = self.seats.len();
        let units = first..first + plan.capacity;
        self.seats.grades.resize(units.end as usize, grade);
        self.seats.areas.push(AreaEntry {
            id: plan.id.as_str().into(),
            name: plan.name.as_deref().map(Into::into),
            units,
            grade,
            outline: plan.outline.as_slice().into(),
            centre: middle(&plan.outline).unwrap_or_default(),
        });
    }

    /// Puts all rows into one order: by rank, then by distance to the stage, then as written.
    fn rank_rows(&mut self) {
        let stage = self
            .plan
            .stage
            .as_ref()
            .and_then(|stage| middle(&stage.outline));
        let rows = &self.seats.rows;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|row| {
            let row = &rows[*row];
            let distance = stage.map(|stage| distance_squared(stage, row.centre));
            (row.rank, distance)
        });
        for (rank, row) in (0..).zip(order) {
            self.seats.rows[row].rank = rank;
        }
    }
}

fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}
