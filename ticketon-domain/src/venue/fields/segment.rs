//! A segment: which of its shapes it has, and whether its numbers fit each other.

use serde::de::MapAccess;

use super::scalar::{Coordinate, Grade, Whole};
use super::{MAX_LENGTH, MAX_NUMBER, MAX_SEATS, MAX_STEP, ROW_SEATS, objects};
use crate::venue::error::{Path, Problems};
use crate::venue::plan::{ArcPlan, Milli, Numbers, SeatPlan, SegmentPlan, Shape};
use crate::venue::read::{Field, Finished, Object, One, Value, optional};

/// A segment as it is written: which shape it has, its fields tell.
#[derive(Default)]
pub(super) struct Segment {
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

    fn finish(self, at: Path<'_>, read: Finished<'_>) -> SegmentPlan {
        let Finished { problems, clean } = read;
        let given = self.given();
        let grade = self.grade.clone();
        if let Some(seats) = self.seats {
            for name in given {
                problems.refuse(at.field(name), "(beside seats)", "either seats or numbers");
            }
            let shape = Shape::List { seats };
            return SegmentPlan { shape, grade };
        }
        // What was refused is absent here, and nothing follows from numbers that are not known.
        let shape = if given.is_empty() && clean {
            problems.refuse(at, "(no seats)", "seats, or count with x and y or arc");
            None
        } else if clean {
            let refused = problems.count();
            let shape = self.numbered(at, problems);
            check(&shape, at, problems);
            (problems.count() == refused).then_some(shape)
        } else {
            None
        };
        shape.map_or_else(SegmentPlan::default, |shape| SegmentPlan { shape, grade })
    }
}

impl Segment {
    /// The names of the fields of numbered seats that are given.
    fn given(&self) -> Vec<&'static str> {
        let fields = [
            ("from", self.from.is_some()),
            ("count", self.count.is_some()),
            ("step", self.step.is_some()),
            ("arc", self.arc.is_some()),
            ("x", self.x.is_some()),
            ("y", self.y.is_some()),
            ("dx", self.dx.is_some()),
            ("dy", self.dy.is_some()),
        ];
        let given = fields.into_iter().filter(|(_, given)| *given);
        given.map(|(name, _)| name).collect()
    }

    /// The shape of numbered seats; what it lacks is refused.
    fn numbered(&self, at: Path<'_>, problems: &mut Problems) -> Shape {
        let mut missing = |name, accepted: &str| {
            problems.refuse(at.field(name), "(missing)", accepted);
        };
        if self.count.is_none() {
            missing("count", "how many seats there are");
        }
        let numbers = Numbers {
            from: self.from.unwrap_or(1),
            count: self.count.unwrap_or(1),
            step: self.step.unwrap_or(1),
        };
        if let Some(arc) = self.arc {
            let line = self
                .given()
                .into_iter()
                .filter(|name| name.ends_with(['x', 'y']));
            for name in line {
                problems.refuse(at.field(name), "(beside arc)", "either arc, or x and y");
            }
            return Shape::Arc { numbers, arc };
        }
        for (name, value) in [("x", self.x), ("y", self.y)] {
            if value.is_none() {
                missing(name, "where the first seat is, or an arc");
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
}

/// What the numbers of a segment must fulfil together.
fn check(shape: &Shape, at: Path<'_>, problems: &mut Problems) {
    let (numbers, still) = match shape {
        Shape::Line {
            numbers, dx, dy, ..
        } => (numbers, dx.0 == 0 && dy.0 == 0),
        Shape::Arc { numbers, arc } => (numbers, arc.step.0 == 0),
        Shape::List { .. } => return,
    };
    if numbers.step == 0 {
        problems.refuse(
            at.field("step"),
            0,
            format!("-{MAX_STEP} to {MAX_STEP}, not 0"),
        );
    }
    let last = numbers.at(numbers.count - 1);
    if !(0..=MAX_NUMBER).contains(&last) {
        let value = format!("{} (the last seat is {last})", numbers.count);
        problems.refuse(
            at.field("count"),
            value,
            format!("numbers from 0 to {MAX_NUMBER}"),
        );
    }
    if let Shape::Arc { arc, .. } = shape {
        let at = at.field("arc");
        if arc.radius.0 == 0 {
            problems.refuse(at.field("radius"), 0, format!("above 0, to {MAX_LENGTH}"));
        }
        if still && numbers.count > 1 {
            problems.refuse(at.field("step"), 0, "degrees from seat to seat: not 0");
        }
    } else if still && numbers.count > 1 {
        problems.refuse(
            at.field("dx"),
            0,
            "a distance from seat to seat: dx or dy not 0",
        );
    }
}
