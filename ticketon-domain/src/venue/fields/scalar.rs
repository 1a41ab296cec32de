//! The values that fields have: ids, names, numbers, points.

use std::borrow::Cow;

use super::MAX_LENGTH;
use crate::venue::error::Path;
use crate::venue::label::{PART, check_part};
use crate::venue::plan::{Milli, Point};
use crate::venue::read::{Item, List, Reader, Scalar};

/// The id of a section, row, seat or area. Empty if it was refused.
pub(super) struct Id(pub(super) String);

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
pub(super) struct Grade(pub(super) String);

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
pub(super) struct Title(pub(super) String);

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
pub(super) struct Whole<const MIN: i64, const MAX: i64>(pub(super) i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    pub(super) fn get(self) -> u32 {
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
    fn from_number(number: f64) -> Option<Self> {
        let fits = number.fract() == 0.0 && (MIN as f64..=MAX as f64).contains(&number);
        fits.then_some(Self(number as i64))
    }
}

/// A length, coordinate or angle; three decimals are kept.
pub(super) struct Length<const MIN: i64, const MAX: i64>(pub(super) Milli);

impl<const MIN: i64, const MAX: i64> Scalar for Length<MIN, MAX> {
    fn accepted() -> Cow<'static, str> {
        format!("a number, {MIN} to {MAX}").into()
    }
    fn stand_in() -> Self {
        Self(Milli::ONE)
    }
    fn from_number(number: f64) -> Option<Self> {
        let fits = (MIN as f64..=MAX as f64).contains(&number);
        fits.then(|| Self(Milli::nearest(number)))
    }
}

pub(super) type Coordinate = Length<{ -MAX_LENGTH }, MAX_LENGTH>;

pub(super) struct Flag(pub(super) bool);

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
pub(super) struct Xy(pub(super) Point);

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
