//! Values without parts.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Item, Path, Reader, Seed};

/// A text, number or truth value.
pub(in crate::venue) trait Scalar: Sized {
    /// What is accepted, in words.
    fn accepted() -> Cow<'static, str>;
    /// Takes the place of a refused one.
    fn stand_in() -> Self;

    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn from_number(_: f64) -> Option<Self> {
        None
    }
    fn from_flag(_: bool) -> Option<Self> {
        None
    }
}

impl<T: Scalar> Item for T {
    fn read<'de, D: Deserializer<'de>>(
        json: D,
        at: Path<'_>,
        reader: &mut Reader,
    ) -> Result<Self, D::Error> {
        json.deserialize_any(Plain(Seed::new(at, reader)))
    }
}

/// Visits a [`Scalar`].
struct Plain<'a, T>(Seed<'a, T>);

impl<T: Scalar> Plain<'_, T> {
    fn refuse(self, value: impl fmt::Display) -> T {
        self.or(None, value)
    }

    fn or(self, accepted: Option<T>, value: impl fmt::Display) -> T {
        accepted.unwrap_or_else(|| {
            self.0
                .reader
                .problems
                .refuse(self.0.at, value, T::accepted());
            T::stand_in()
        })
    }
}

impl<'de, T: Scalar> Visitor<'de> for Plain<'_, T> {
    type Value = T;

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Ok(self.or(T::from_flag(value), value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(self.or(T::from_number(value as f64), value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(self.or(T::from_number(value as f64), value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        Ok(self.or(T::from_number(value), value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        Ok(self.or(T::from_text(value), value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        IgnoredAny.visit_seq(seq)?;
        Ok(self.refuse("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(self.refuse("an object"))
    }

    refuse!(nothing);
}
