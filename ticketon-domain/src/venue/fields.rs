//! The fields of a layout's JSON: names, types, ranges.
//!
//! Each object of the document is one `impl Object` here: this is the place to add a field. What
//! needs more than one object to decide (names that are taken, grades that do not exist) is
//! checked in `compile`.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::error::{Path, Problems};
use super::label::{PART, check_part};
use super::plan::{
    ArcPlan, AreaPlan, Milli, Numbers, Plan, Point, RowPlan, SeatGrades, SeatPlan, SectionPlan,
    SegmentPlan, Shape, StagePlan,
};
use super::read::{Field, Item, List, Object, One, Reader, Scalar, Value, optional, required};
use super::{MAX_AREAS, MAX_GRADES, MAX_ROW_SEATS, MAX_ROWS, MAX_SECTIONS, MAX_SEGMENTS};

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

/// The id of a section, row, seat or area. Empty if it was refused.
struct Id(String);

impl Scalar for Id {
    fn accepted() -> Cow<'static, str> {
        PART.into()
    }
    fn stand_in() -> Self {
        Self(String::new())
    }
    fn from_text(text: &str) -> Option<Self> {
        check_part("", text).ok().map(|()| Self(text.to_owned()))
    }
}

/// The name of a grade. Empty if it was refused.
struct Grade(String);

impl Scalar for Grade {
    fn accepted() -> Cow<'static, str> {
        "1 to 32 letters, digits, '_', '.', '+' or '-'".into()
    }
    fn stand_in() -> Self {
        Self(String::new())
    }
    fn from_text(text: &str) -> Option<Self> {
        let sign = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-');
        let fits = (1..=32).contains(&text.chars().take(33).count()) && text.chars().all(sign);
        fits.then(|| Self(text.to_owned()))
    }
}

/// A name that people read.
struct Title(String);

impl Scalar for Title {
    fn accepted() -> Cow<'static, str> {
        "1 to 100 characters without control characters".into()
    }
    fn stand_in() -> Self {
        Self(String::new())
    }
    fn from_text(text: &str) -> Option<Self> {
        let fits = (1..=100).contains(&text.chars().take(101).count())
            && !text.chars().any(char::is_control)
            && !text.trim().is_empty();
        fits.then(|| Self(text.to_owned()))
    }
}

/// A whole number.
struct Whole<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    fn get(self) -> u32 {
        u32::try_from(self.0).unwrap_or_default()
    }
}

impl<const MIN: i64, const MAX: i64> Scalar for Whole<MIN, MAX> {
    fn accepted() -> Cow<'static, str> {
        format!("a whole number, {MIN} to {MAX}").into()
    }
    fn stand_in() -> Self {
        Self(MIN)
    }
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // in a small range
    fn from_number(number: f64) -> Option<Self> {
        let fits = number.fract() == 0.0 && (MIN as f64..=MAX as f64).contains(&number);
        fits.then_some(Self(number as i64))
    }
}

/// A length, coordinate or angle; three decimals are kept.
struct Length<const MIN: i64, const MAX: i64>(Milli);

impl<const MIN: i64, const MAX: i64> Scalar for Length<MIN, MAX> {
    fn accepted() -> Cow<'static, str> {
        format!("a number, {MIN} to {MAX}").into()
    }
    fn stand_in() -> Self {
        Self(Milli::ONE)
    }
    #[allow(clippy::cast_precision_loss)] // small numbers
    fn from_number(number: f64) -> Option<Self> {
        let fits = (MIN as f64..=MAX as f64).contains(&number);
        fits.then(|| Self(Milli::nearest(number)))
    }
}

type Coordinate = Length<{ -MAX_LENGTH }, MAX_LENGTH>;

struct Flag(bool);

impl Scalar for Flag {
    fn accepted() -> Cow<'static, str> {
        "true or false".into()
    }
    fn stand_in() -> Self {
        Self(false)
    }
    fn from_flag(flag: bool) -> Option<Self> {
        Some(Self(flag))
    }
}

/// A point, `[x, y]`.
struct Xy(Point);

impl Item for Xy {
    fn read<'de, D: serde::Deserializer<'de>>(
        json: D,
        at: Path<'_>,
        reader: &mut Reader,
    ) -> Result<Self, D::Error> {
        let List(both) = List::<Coordinate, 2, 2>::read(json, at, reader)?;
        Ok(match both[..] {
            [Length(x), Length(y)] => Self((x, y)),
            _ => Self(Point::default()),
        })
    }
}

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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
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

    fn finish(self, _: Path<'_>, _: &mut Problems) -> Self {
        self
    }
}

/// A segment as it is written: which shape it has, its fields tell.
#[derive(Default)]
struct Segment {
    from: Option<u32>,
    count: Option<u32>,
    step: Option<i32>,
    x: Option<Milli>,
    y: Option<Milli>,
    dx: Option<Milli>,
    dy: Option<Milli>,
    arc: Option<ArcPlan>,
    seats: Option<Vec<SeatPlan>>,
    grade: Option<String>,
}

impl Object for Segment {
    type Out = SegmentPlan;
    const FIELDS: &'static [Field] = &[
        optional("from"),
        optional("count"),
        optional("step"),
        optional("x"),
        optional("y"),
        optional("dx"),
        optional("dy"),
        optional("arc"),
        optional("seats"),
        optional("grade"),
    ];

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "from" => self.from = Some(value.read::<Whole<0, MAX_NUMBER>>()?.get()),
            "count" => self.count = Some(value.read::<Whole<1, ROW_SEATS>>()?.get()),
            "step" => {
                let Whole(step) = value.read::<Whole<{ -MAX_STEP }, MAX_STEP>>()?;
                self.step = i32::try_from(step).ok();
            }
            "x" => self.x = Some(value.read::<Coordinate>()?.0),
            "y" => self.y = Some(value.read::<Coordinate>()?.0),
            "dx" => self.dx = Some(value.read::<Coordinate>()?.0),
            "dy" => self.dy = Some(value.read::<Coordinate>()?.0),
            "arc" => self.arc = Some(value.read::<One<ArcPlan>>()?.0),
            "seats" => self.seats = Some(objects::<SeatPlan, MAX_SEATS, A>(value)?),
            _ => self.grade = Some(value.read::<Grade>()?.0),
        }
        Ok(())
    }

    fn finish(self, at: Path<'_>, problems: &mut Problems) -> SegmentPlan {
        let line = [
            ("x", self.x),
            ("y", self.y),
            ("dx", self.dx),
            ("dy", self.dy),
        ];
        let given: Vec<&str> = [
            ("from", self.from.is_some()),
            ("count", self.count.is_some()),
            ("step", self.step.is_some()),
            ("arc", self.arc.is_some()),
        ]
        .into_iter()
        .chain(line.map(|(name, value)| (name, value.is_some())))
        .filter_map(|(name, given)| given.then_some(name))
        .collect();
        let grade = self.grade;
        if let Some(seats) = self.seats {
            for name in given {
                let accepted = "either seats, or from and count with x and y or arc";
                problems.refuse(at.field(name), "(beside seats)", accepted);
            }
            let shape = Shape::List { seats };
            return SegmentPlan { shape, grade };
        }
        if given.is_empty() {
            let accepted = "seats, or from and count with x and y or arc";
            problems.refuse(at, "(no seats)", accepted);
        }
        let mut missing = |name| problems.refuse(at.field(name), "(missing)", "a number");
        let numbers = Numbers {
            from: self.from.unwrap_or_else(|| 1),
            count: self.count.unwrap_or_else(|| {
                if !given.is_empty() {
                    missing("count");
                }
                1
            }),
            step: self.step.unwrap_or(1),
        };
        let shape = match self.arc {
            Some(arc) => {
                for (name, value) in line {
                    if value.is_some() {
                        let accepted = "either arc, or x, y, dx and dy";
                        problems.refuse(at.field(name), "(beside arc)", accepted);
                    }
                }
                Shape::Arc { numbers, arc }
            }
            None => {
                if !given.is_empty() {
                    for (name, value) in &line[..2] {
                        if value.is_none() {
                            missing(name);
                        }
                    }
                }
                Shape::Line {
                    numbers,
                    x: self.x.unwrap_or_default(),
                    y: self.y.unwrap_or_default(),
                    dx: self.dx.unwrap_or(Milli::ONE),
                    dy: self.dy.unwrap_or_default(),
                }
            }
        };
        check_shape(&shape, at, problems);
        SegmentPlan { shape, grade }
    }
}

/// What the numbers of a segment must fulfil together.
fn check_shape(shape: &Shape, at: Path<'_>, problems: &mut Problems) {
    let (Shape::Line { numbers, .. } | Shape::Arc { numbers, .. }) = shape else {
        return;
    };
    if numbers.step == 0 {
        problems.refuse(
            at.field("step"),
            0,
            format!("-{MAX_STEP} to {MAX_STEP}, not 0"),
        );
    }
    let last = numbers.at(numbers.count.saturating_sub(1));
    if !(0..=MAX_NUMBER).contains(&last) {
        let accepted = format!("numbers from 0 to {MAX_NUMBER}");
        problems.refuse(
            at.field("count"),
            format!("the last seat is {last}"),
            accepted,
        );
    }
    match shape {
        Shape::Line { dx, dy, .. } if dx.0 == 0 && dy.0 == 0 && numbers.count > 1 => {
            problems.refuse(
                at.field("dx"),
                0,
                "a distance between seats: dx or dy not 0",
            );
        }
        Shape::Line { x, y, dx, dy, .. } => {
            for (name, start, by) in [("x", x, dx), ("y", y, dy)] {
                let end = i64::from(start.0) + i64::from(by.0) * (i64::from(numbers.count) - 1);
                if end.abs() > MAX_LENGTH * 1_000 {
                    let accepted = format!("-{MAX_LENGTH} to {MAX_LENGTH} for each seat");
                    let value = format!("the last seat is at {}", end / 1_000);
                    problems.refuse(at.field(name), value, accepted);
                }
            }
        }
        Shape::Arc { arc, .. } => {
            let at = at.field("arc");
            if arc.radius.0 == 0 {
                problems.refuse(at.field("radius"), 0, format!("above 0, to {MAX_LENGTH}"));
            }
            if arc.step.0 == 0 && numbers.count > 1 {
                problems.refuse(at.field("step"), 0, "degrees between seats, not 0");
            }
        }
        Shape::List { .. } => {}
    }
}
