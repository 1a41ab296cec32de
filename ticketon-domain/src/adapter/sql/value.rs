//! Values that statements take.

use super::fault::Fault;

/// A value for a placeholder.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
}

/// The values of a statement, in the order of its placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::adapter::sql::value::Value::from($value)),*]
    };
}
pub(super) use values;

/// A fence or an amount as the database keeps it.
pub(super) fn number(value: u64) -> Result<i64, Fault> {
    i64::try_from(value).map_err(|_| Fault::Corrupt(format!("{value} is more than a column holds")))
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

impl<'a, T: Into<Self>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! from_ids {
    ($($id:ty),*) => {$(
        impl<'a> From<&'a $id> for Value<'a> {
            fn from(id: &'a $id) -> Self {
                Self::Text(id.as_str())
            }
        }
    )*};
}

from_ids!(
    ticketon_queue::EventId,
    ticketon_queue::UserId,
    crate::venue::SeatLabel
);
