//! From a plan to compiled seats, and what must hold between the parts of a plan.
//!
//! Ids are unique where labels need it, grades exist and every seat has one, ids of seats that a
//! row names belong to the row, and there are not too many seats. What was refused while reading
//! left an empty id, grade or list behind; these are passed over, so that one mistake is reported
//! once.

use std::collections::{HashMap, HashSet};

use super::error::{Path, Problems};
use super::plan::{AreaPlan, Plan, SectionPlan};
use super::seats::{AreaEntry, Seats, SectionEntry, distance_squared, middle};
use super::{MAX_SEATS, MAX_TOTAL_ROWS};

mod row;

use row::Row;

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
        if total == 0 && self.problems.count() == 0 {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{read, refused, with};

    #[test]
    fn labels_are_unique() {
        for (pointer, value, fields) in [
            ("/sections/1/id", json!("A"), ["sections[1].id"]),
            (
                "/sections/0/rows/1/id",
                json!("1"),
                ["sections[0].rows[1].id"],
            ),
            (
                "/sections/0/rows/0/segments/1/from",
                json!(5),
                ["sections[0].rows[0].segments[1].from"],
            ),
            (
                "/sections/1/rows/0/segments/0/seats/1/id",
                json!("1"),
                ["sections[1].rows[0].segments[0].seats[1].id"],
            ),
            ("/areas/1/id", json!("standing"), ["areas[1].id"]),
            ("/grades", json!(["vip", "r", "s", "r"]), ["grades[3]"]),
        ] {
            assert_eq!(refused(&with(pointer, value)), fields);
        }
        // A number and the same written as a text are one seat; an area may be called like a section.
        let rows = json!([{"id": "1", "segments": [
            {"from": 7, "count": 1, "x": 0, "y": 0}, {"seats": [{"id": "7", "x": 1, "y": 1}]}
        ]}]);
        assert_eq!(
            refused(&with("/sections/0/rows", rows)),
            ["sections[0].rows[0].segments[1].seats[0].id"]
        );
        read(&with("/areas/1/id", json!("A")));
    }

    #[test]
    fn grades_exist_and_every_seat_has_one() {
        for (pointer, field) in [
            ("/sections/0/grade", "sections[0].grade"),
            ("/sections/0/rows/0/grade", "sections[0].rows[0].grade"),
            (
                "/sections/0/rows/0/segments/0/grade",
                "sections[0].rows[0].segments[0].grade",
            ),
            (
                "/sections/0/rows/1/seatGrades/0/grade",
                "sections[0].rows[1].seatGrades[0].grade",
            ),
            (
                "/sections/1/rows/0/segments/0/seats/1/grade",
                "sections[1].rows[0].segments[0].seats[1].grade",
            ),
            ("/areas/0/grade", "areas[0].grade"),
        ] {
            assert_eq!(refused(&with(pointer, json!("gold"))), [field]);
        }
        let mut layout = super::super::testing::small();
        layout["sections"][0]
            .as_object_mut()
            .unwrap()
            .remove("grade");
        layout["areas"][1].as_object_mut().unwrap().remove("grade");
        assert_eq!(
            refused(&layout),
            ["sections[0].rows[1].grade", "areas[1].grade"]
        );
        // Where there is one grade only, it is everybody's.
        let one =
            json!({"name": "Club", "grades": ["all"], "areas": [{"id": "floor", "capacity": 3}]});
        assert_eq!(read(&one).seat_count(), 3);
    }

    #[test]
    fn marks_are_of_seats_of_the_row() {
        for name in ["accessible", "companion"] {
            let pointer = format!("/sections/0/rows/0/{name}");
            let field = format!("sections[0].rows[0].{name}[1]");
            assert_eq!(refused(&with(&pointer, json!(["1", "4"]))), [field]);
        }
        let grades = json!([{"grade": "vip", "seats": ["07"]}]);
        assert_eq!(
            refused(&with("/sections/0/rows/1/seatGrades", grades)),
            ["sections[0].rows[1].seatGrades[0].seats[0]"]
        );
    }

    #[test]
    fn a_label_fits_its_limit() {
        let long = "가".repeat(16);
        let mut layout = with("/sections/0/id", json!(long));
        layout["sections"][0]["rows"][0]["id"] = json!(long);
        assert_eq!(refused(&layout)[0], "sections[0].rows[0].segments[0].from");
    }

    #[test]
    fn there_are_seats_but_not_too_many() {
        assert_eq!(
            refused(&json!({"name": "a", "grades": ["x"]})),
            ["sections"]
        );
        let areas = |last: u32| {
            let area = |id: &str, capacity| json!({"id": id, "grade": "s", "capacity": capacity});
            with("/areas", json!([area("a", 100_000), area("b", last)]))
        };
        let seats = 10;
        assert_eq!(read(&areas(100_000 - seats)).seat_count(), 200_000);
        assert_eq!(refused(&areas(100_001 - seats)), ["sections"]);
        let row = |row: usize| json!({"id": row.to_string(), "segments": [{"count": 1, "x": 0, "y": row}]});
        let section = |section: usize| {
            let rows: Vec<Value> = (0..1_000).map(row).collect();
            json!({"id": section.to_string(), "grade": "s", "rows": rows})
        };
        let sections = |count| with("/sections", (0..count).map(section).collect());
        assert_eq!(read(&sections(20)).rows().len(), 20_000);
        assert_eq!(refused(&sections(21)), ["sections"]);
    }

    #[test]
    fn seats_stay_within_the_plane() {
        let far = json!([{"count": 3, "x": 99_999, "y": 0}]);
        assert_eq!(
            refused(&with("/sections/0/rows/1/segments", far)),
            ["sections[0].rows[1].segments[0]"]
        );
        let arc = json!([{"count": 3, "arc": {"center": [0, -99_000], "radius": 99_001, "start": 0, "step": 0.001}}]);
        read(&with("/sections/0/rows/1/segments", arc));
    }

    #[test]
    fn rows_are_ranked_by_rank_then_by_distance() {
        let row = |id: &str, y: i32| json!({"id": id, "segments": [{"count": 1, "x": 0, "y": y}]});
        let mut first = row("x", 90);
        first["rank"] = json!(0);
        let layout = read(&json!({
            "name": "a", "grades": ["s"], "stage": {"outline": [[0, 0], [1, 0], [0, 1]]},
            "sections": [
                {"id": "far", "rows": [row("1", 20), row("2", 21)]},
                {"id": "near", "rows": [row("1", 10), row("2", 11)]},
                {"id": "up", "rank": 2, "rows": [row("1", 5), row("2", 30), first]},
            ]
        }));
        let mut rows: Vec<_> = layout.rows().collect();
        rows.sort_by_key(|row| row.rank);
        let order: Vec<String> = rows
            .iter()
            .map(|row| format!("{}-{}", row.section, row.id))
            .collect();
        assert_eq!(
            order,
            ["up-x", "near-1", "far-1", "up-1", "near-2", "far-2", "up-2"]
        );
        assert_eq!(layout.row_rank(6), Some(0));
        assert_eq!(layout.row_rank(7), None);
    }
}
