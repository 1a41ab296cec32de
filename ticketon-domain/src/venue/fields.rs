//! The fields of a layout's JSON: names, types, ranges.
//!
//! Each object of the document is one `impl Object` here: this is the place to add a field. What
//! needs more than one object to decide (names that are taken, grades that do not exist) is
//! checked in `compile`.

use serde::de::MapAccess;

use super::error::Path;
use super::label::PART;
use super::plan::{
    ArcPlan, AreaPlan, Plan, Point, RowPlan, SeatGrades, SeatPlan, SectionPlan, StagePlan,
};
use super::read::{Field, Finished, List, Object, One, Value, optional, required};
use super::{MAX_AREAS, MAX_GRADES, MAX_ROW_SEATS, MAX_ROWS, MAX_SECTIONS, MAX_SEGMENTS};

mod scalar;
mod segment;

use scalar::{Coordinate, Flag, Grade, Id, Length, Title, Whole, Xy};
use segment::Segment;

/// Coordinates and lengths, in units of the layout.
pub(super) const MAX_LENGTH: i64 = 100_000;
/// The highest number of a seat.
pub(super) const MAX_NUMBER: i64 = 99_999;

const MAX_OUTLINE: usize = 500;
const MAX_SEATS: usize = MAX_ROW_SEATS as usize;
const ROW_SEATS: i64 = MAX_ROW_SEATS as i64;
const MAX_CAPACITY: i64 = 100_000;
const MAX_RANK: i64 = 1_000_000;
const MAX_STEP: i64 = 100;

fn outline<'de, A: MapAccess<'de>>(value: Value<'_, A>) -> Result<Vec<Point>, A::Error> {
    let List(points) = value.read::<List<Xy, 3, MAX_OUTLINE>>()?;
    Ok(points.into_iter().map(|Xy(point)| point).collect())
}

fn ids<'de, A: MapAccess<'de>>(value: Value<'_, A>) -> Result<Vec<String>, A::Error> {
    let List(ids) = value.read::<List<Id, 1, MAX_SEATS>>()?;
    Ok(ids.into_iter().map(|Id(id)| id).collect())
}

fn objects<'de, T: Object, const MAX: usize, A: MapAccess<'de>>(
    value: Value<'_, A>,
) -> Result<Vec<T::Out>, A::Error> {
    let List(list) = value.read::<List<One<T>, 1, MAX>>()?;
    Ok(list.into_iter().map(|One(object)| object).collect())
}

impl Object for Plan {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        required("name", "1 to 100 characters"),
        required("grades", "a list of 1 to 32"),
        optional("stage"),
        optional("sections"),
        optional("areas"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "name" => self.name = value.read::<Title>()?.0,
            "grades" => {
                let List(grades) = value.read::<List<Grade, 1, MAX_GRADES>>()?;
                self.grades = grades.into_iter().map(|Grade(grade)| grade).collect();
            }
            "stage" => self.stage = Some(value.read::<One<StagePlan>>()?.0),
            "sections" => self.sections = objects::<SectionPlan, MAX_SECTIONS, A>(value)?,
            _ => self.areas = objects::<AreaPlan, MAX_AREAS, A>(value)?,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

impl Object for StagePlan {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        optional("name"),
        required("outline", "a list of 3 to 500 points [x, y]"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "name" => self.name = Some(value.read::<Title>()?.0),
            _ => self.outline = outline(value)?,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

impl Object for SectionPlan {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        required("id", PART),
        optional("name"),
        optional("grade"),
        optional("rank"),
        required("rows", "a list of 1 to 1000 rows"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "id" => self.id = value.read::<Id>()?.0,
            "name" => self.name = Some(value.read::<Title>()?.0),
            "grade" => self.grade = Some(value.read::<Grade>()?.0),
            "rank" => self.rank = Some(value.read::<Whole<0, MAX_RANK>>()?.get()),
            _ => self.rows = objects::<RowPlan, MAX_ROWS, A>(value)?,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

impl Object for RowPlan {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        required("id", PART),
        optional("grade"),
        optional("rank"),
        required("segments", "a list of 1 to 100 segments"),
        optional("seatGrades"),
        optional("accessible"),
        optional("companion"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "id" => self.id = value.read::<Id>()?.0,
            "grade" => self.grade = Some(value.read::<Grade>()?.0),
            "rank" => self.rank = Some(value.read::<Whole<0, MAX_RANK>>()?.get()),
            "segments" => self.segments = objects::<Segment, MAX_SEGMENTS, A>(value)?,
            "seatGrades" => self.seat_grades = objects::<SeatGrades, MAX_GRADES, A>(value)?,
            "accessible" => self.accessible = ids(value)?,
            _ => self.companion = ids(value)?,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

impl Object for SeatGrades {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        required("grade", "the name of a grade"),
        required("seats", "a list of ids of seats"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "grade" => self.grade = value.read::<Grade>()?.0,
            _ => self.seats = ids(value)?,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

impl Object for SeatPlan {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        required("id", PART),
        required("x", "a number"),
        required("y", "a number"),
        optional("grade"),
        optional("accessible"),
        optional("companion"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "id" => self.id = value.read::<Id>()?.0,
            "x" => self.x = value.read::<Coordinate>()?.0,
            "y" => self.y = value.read::<Coordinate>()?.0,
            "grade" => self.grade = Some(value.read::<Grade>()?.0),
            "accessible" => self.accessible = value.read::<Flag>()?.0,
            _ => self.companion = value.read::<Flag>()?.0,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

impl Object for AreaPlan {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        required("id", PART),
        optional("name"),
        optional("grade"),
        required("capacity", "a whole number, 1 to 100000"),
        optional("outline"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "id" => self.id = value.read::<Id>()?.0,
            "name" => self.name = Some(value.read::<Title>()?.0),
            "grade" => self.grade = Some(value.read::<Grade>()?.0),
            "capacity" => self.capacity = value.read::<Whole<1, MAX_CAPACITY>>()?.get(),
            _ => self.outline = outline(value)?,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

impl Object for ArcPlan {
    type Out = Self;
    const FIELDS: &'static [Field] = &[
        required("center", "a point [x, y]"),
        required("radius", "a number above 0"),
        required("start", "degrees, -360 to 360"),
        required("step", "degrees, -90 to 90, not 0"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "center" => self.center = value.read::<Xy>()?.0,
            "radius" => self.radius = value.read::<Length<0, MAX_LENGTH>>()?.0,
            "start" => self.start = value.read::<Length<-360, 360>>()?.0,
            _ => self.step = value.read::<Length<-90, 90>>()?.0,
        }
        Ok(())
    }

    fn finish(self, _: Path<'_>, _: Finished<'_>) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{read, refused, small, with};

    #[test]
    fn every_mistake_is_reported_at_once() {
        let layout = json!({
            "name": "", "grades": [], "color": 1,
            "sections": [
                {"id": "A-1", "rows": []},
                {"id": "B", "rank": -1, "rows": [
                    {"id": "1", "segments": [{"from": 1, "count": 0, "x": 1e9, "y": "0"}, {"count": 3, "z": 1}]},
                    7
                ]},
            ],
            "areas": [{"id": "pit", "capacity": 100_001, "outline": [[0, 0], [1, 2, 3], "x"]}]
        });
        let mut fields = refused(&layout);
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "areas[0].capacity",
                "areas[0].outline[1]",
                "areas[0].outline[2]",
                "color",
                "grades",
                "name",
                "sections[0].id",
                "sections[0].rows",
                "sections[1].rank",
                "sections[1].rows[0].segments[0].count",
                "sections[1].rows[0].segments[0].x",
                "sections[1].rows[0].segments[0].y",
                "sections[1].rows[0].segments[1].z",
                "sections[1].rows[1]",
            ]
        );
    }

    #[test]
    fn a_refusal_names_value_and_range() {
        let error = |value: &Value| {
            let error = super::super::Layout::from_json(value.to_string()).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            error(&with("/areas/0/capacity", json!(0))),
            "refused layout: areas[0].capacity: \"0\" (accepted: a whole number, 1 to 100000)"
        );
        assert_eq!(
            error(&with("/areas/0/colour", json!("red"))),
            "refused layout: areas[0].colour: \"(unknown field)\" (accepted: id, name, grade, capacity, outline)"
        );
        assert_eq!(
            error(&with("/name", Value::Null)),
            "refused layout: name: \"null\" (accepted: 1 to 100 characters without control characters)"
        );
    }

    #[test]
    fn each_field_has_its_range() {
        let line = "/sections/0/rows/0/segments/0";
        let arc = "/sections/0/rows/1/segments/0/arc";
        let seat = "/sections/1/rows/0/segments/0/seats/0";
        for (parent, name, bad) in [
            ("", "name", json!("x".repeat(101))),
            ("", "grades", json!(vec!["g"; 33])),
            ("", "grades", json!(["a b"])),
            ("", "stage", json!([])),
            ("/stage", "outline", json!([[0, 0], [1, 1]])),
            ("/stage", "outline", json!(vec![[0, 0]; 501])),
            ("/sections/0", "id", json!("")),
            ("/sections/0", "id", json!("12345678901234567")),
            ("/sections/0", "rank", json!(1_000_001)),
            ("/sections/0", "name", json!("a\nb")),
            ("/sections/0/rows/0", "id", json!(1)),
            ("/sections/0/rows/0", "accessible", json!([])),
            (line, "from", json!(-1)),
            (line, "from", json!(100_000)),
            (line, "count", json!(2_001)),
            (line, "count", json!(1.5)),
            (line, "step", json!(0)),
            (line, "step", json!(101)),
            (line, "x", json!(100_000.1)),
            (line, "y", json!(-1e300)),
            (line, "dx", json!(0)),
            ("/sections/1/rows/0/segments/0", "seats", json!(null)),
            (arc, "radius", json!(0)),
            (arc, "radius", json!(-1)),
            (arc, "center", json!([0])),
            (arc, "start", json!(361)),
            (arc, "step", json!(0)),
            (seat, "accessible", json!("yes")),
            (seat, "x", json!("1")),
            ("/areas/0", "capacity", json!("many")),
        ] {
            let layout = with(&format!("{parent}/{name}"), bad.clone());
            let fields = refused(&layout);
            assert!(
                fields.iter().all(|field| field.contains(name)),
                "{parent}/{name} {bad}: {fields:?}"
            );
        }
    }

    #[test]
    fn what_is_needed_is_missed() {
        for (pointer, missing) in [
            ("/name", "name"),
            ("/grades", "grades"),
            ("/stage/outline", "stage.outline"),
            ("/sections/0/id", "sections[0].id"),
            ("/sections/0/rows", "sections[0].rows"),
            (
                "/sections/0/rows/1/segments",
                "sections[0].rows[1].segments",
            ),
            (
                "/sections/0/rows/0/segments/0/count",
                "sections[0].rows[0].segments[0].count",
            ),
            (
                "/sections/0/rows/0/segments/0/x",
                "sections[0].rows[0].segments[0].x",
            ),
            (
                "/sections/1/rows/0/segments/0/seats/0/y",
                "sections[1].rows[0].segments[0].seats[0].y",
            ),
            ("/areas/1/capacity", "areas[1].capacity"),
        ] {
            let mut layout = small();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            layout
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            assert_eq!(refused(&layout), [missing]);
        }
    }

    #[test]
    fn a_segment_has_one_shape() {
        let row = |segment| {
            with(
                "/sections/0/rows/0",
                json!({"id": "1", "segments": [segment]}),
            )
        };
        let at = |name: &str| format!("sections[0].rows[0].segments[0]{name}");
        let arc = json!({"center": [0, 0], "radius": 5, "start": 0, "step": 5});
        assert_eq!(refused(&row(json!({}))), [at("")]);
        assert_eq!(refused(&row(json!({"grade": "vip"}))), [at("")]);
        assert_eq!(
            refused(&row(json!({"count": 2, "x": 0, "y": 0, "arc": arc}))),
            [at(".x"), at(".y")]
        );
        let seats = json!([{"id": "1", "x": 0, "y": 0}]);
        assert_eq!(
            refused(&row(json!({"count": 2, "seats": seats}))),
            [at(".count")]
        );
        assert_eq!(
            refused(&row(
                json!({"from": 5, "count": 3, "step": -3, "x": 0, "y": 0})
            )),
            [at(".count")]
        );
        assert_eq!(
            refused(&row(json!({"from": 99_999, "count": 2, "x": 0, "y": 0}))),
            [at(".count")]
        );
        read(&row(
            json!({"from": 6, "count": 3, "step": -3, "x": 0, "y": 0, "dx": 0, "dy": 1}),
        ));
        read(&row(json!({"count": 1, "x": 0, "y": 0, "dx": 0})));
        let still = json!({"center": [0, 0], "radius": 5, "start": 0, "step": 0});
        read(&row(json!({"count": 1, "arc": still})));
    }

    #[test]
    fn a_field_is_given_once() {
        let text =
            r#"{"name": "a", "name": "b", "grades": ["x"], "areas": [{"id": "a", "capacity": 1}]}"#;
        let error = super::super::Layout::from_json(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "refused layout: name: \"(given twice)\" (accepted: the field once)"
        );
    }

    #[test]
    fn one_mistake_has_no_echo() {
        // Marks of seats that a refused segment would have had, grades that a refused list would have named.
        assert_eq!(
            refused(&with("/sections/0/rows/0/segments/0/count", json!("3"))),
            ["sections[0].rows[0].segments[0].count"]
        );
        assert_eq!(refused(&with("/grades", json!("vip"))), ["grades"]);
        assert_eq!(refused(&with("/sections", json!(7))), ["sections"]);
        assert_eq!(refused(&json!([])), ["(body)"]);
        let twice = with("/sections/1/id", json!("A"));
        assert_eq!(refused(&twice), ["sections[1].id"]);
    }
}
