//! A layout as it is written: the tree of sections, rows and segments.
//!
//! Serialising a [`Plan`] gives the canonical JSON: fixed order of fields, defaults left out,
//! numbers at their shortest. It is what is kept, compared and hashed.

use serde::{Serialize, Serializer};

/// A length or coordinate in thousandths of the layout's unit: exact, so that a layout survives
/// any number of round trips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Milli(pub(super) i32);

impl Milli {
    pub(super) const ONE: Self = Self(1_000);

    /// The nearest one; the caller checked the range.
    pub(super) fn nearest(value: f64) -> Self {
        Self((value * 1_000.0).round() as i32)
    }

    pub(super) fn get(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl Serialize for Milli {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1_000 == 0 {
            serializer.serialize_i32(self.0 / 1_000)
        } else {
            serializer.serialize_f64(self.get())
        }
    }
}

pub(super) type Point = (Milli, Milli);

#[derive(Debug, Default, Serialize)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) grades: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<StagePlan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) sections: Vec<SectionPlan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) areas: Vec<AreaPlan>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct StagePlan {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) outline: Vec<Point>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct SectionPlan {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grade: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rank: Option<u32>,
    pub(super) rows: Vec<RowPlan>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowPlan {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grade: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rank: Option<u32>,
    pub(super) segments: Vec<SegmentPlan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) seat_grades: Vec<SeatGrades>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) accessible: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) companion: Vec<String>,
}

/// Seats of a row that have another grade than the rest.
#[derive(Debug, Default, Serialize)]
pub(super) struct SeatGrades {
    pub(super) grade: String,
    pub(super) seats: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct SegmentPlan {
    #[serde(flatten)]
    pub(super) shape: Shape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grade: Option<String>,
}

impl Default for Shape {
    /// No seats: what a refused segment leaves behind.
    fn default() -> Self {
        Self::List { seats: Vec::new() }
    }
}

/// Adjacent seats: numbered along a line or an arc, or listed one by one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Shape {
    Line {
        #[serde(flatten)]
        numbers: Numbers,
        x: Milli,
        y: Milli,
        #[serde(skip_serializing_if = "is_one")]
        dx: Milli,
        #[serde(skip_serializing_if = "is_zero")]
        dy: Milli,
    },
    Arc {
        #[serde(flatten)]
        numbers: Numbers,
        arc: ArcPlan,
    },
    List {
        seats: Vec<SeatPlan>,
    },
}

impl Shape {
    /// How many seats there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Line { numbers, .. } | Self::Arc { numbers, .. } => numbers.count as usize,
            Self::List { seats } => seats.len(),
        }
    }

    /// Where the seat at this position is.
    pub(super) fn point(&self, position: u32) -> (f64, f64) {
        let steps = f64::from(position);
        match self {
            Self::Line { x, y, dx, dy, .. } => {
                (x.get() + dx.get() * steps, y.get() + dy.get() * steps)
            }
            Self::Arc { arc, .. } => {
                let angle = (arc.start.get() + arc.step.get() * steps).to_radians();
                let (x, y) = arc.center;
                (
                    x.get() + arc.radius.get() * angle.sin(),
                    y.get() + arc.radius.get() * angle.cos(),
                )
            }
            Self::List { seats } => seats
                .get(position as usize)
                .map_or((0.0, 0.0), |seat| (seat.x.get(), seat.y.get())),
        }
    }
}

/// The numbers of a run of seats: `count` of them, beginning with `from`, `step` apart.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Numbers {
    pub(super) from: u32,
    pub(super) count: u32,
    #[serde(skip_serializing_if = "is_step_one")]
    pub(super) step: i32,
}

impl Numbers {
    /// The number of the seat at this position; may be out of range until checked.
    pub(super) fn at(self, position: u32) -> i64 {
        i64::from(self.from) + i64::from(self.step) * i64::from(position)
    }
}

/// Seats around a centre. Angles are degrees; 0 points to larger y, positive ones to larger x.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct ArcPlan {
    pub(super) center: Point,
    pub(super) radius: Milli,
    pub(super) start: Milli,
    pub(super) step: Milli,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct SeatPlan {
    pub(super) id: String,
    pub(super) x: Milli,
    pub(super) y: Milli,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grade: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) accessible: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) companion: bool,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct AreaPlan {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grade: Option<String>,
    pub(super) capacity: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) outline: Vec<Point>,
}

fn is_one(value: &Milli) -> bool {
    *value == Milli::ONE
}

fn is_zero(value: &Milli) -> bool {
    value.0 == 0
}

fn is_step_one(step: &i32) -> bool {
    *step == 1
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact_and_short() {
        for (value, text) in [
            (0.0, "0"),
            (-12.0, "-12"),
            (12.34, "12.34"),
            (0.1 + 0.2, "0.3"),
            (99_999.999, "99999.999"),
            (-0.000_4, "0"),
        ] {
            let milli = Milli::nearest(value);
            let written = serde_json::to_string(&milli).unwrap();
            assert_eq!(written, text);
            assert_eq!(Milli::nearest(written.parse().unwrap()), milli);
        }
    }
}
