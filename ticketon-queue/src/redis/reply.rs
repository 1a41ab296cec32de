//! What Redis answered.

use ::redis::{RedisError, Value};

use super::decode::corrupt;
use crate::error::StoreError;

/// An answer of Redis, owned: bytes are moved out of what was received, never copied.
///
/// Statuses such as `OK` and floating numbers are [`Reply::Bytes`], truth values [`Reply::Int`], sets and
/// maps [`Reply::Array`], a map with each key before its value. An answer that is an error is never a
/// `Reply`, wherever in it the error stands: the call failed.
///
/// The accessors read strictly: what is not of the kind is [`StoreError::Corrupt`] with the context
/// that the caller names.
///
/// ```
/// # use ticketon_queue::redis::Reply;
/// # fn main() -> Result<(), ticketon_queue::StoreError> {
/// let reply = Reply::Array(vec![Reply::Int(0), Reply::Bytes(b"held".to_vec())]);
/// let [code, state] = reply.items("hold")?;
/// assert_eq!(code.int("hold")?, 0);
/// assert_eq!(state.text("hold")?, "held");
/// assert!(Reply::Nil.int("hold").is_err());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// A whole number.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several answers.
    Array(Vec<Reply>),
}

impl Reply {
    pub(super) fn read(value: Value) -> Result<Self, RedisError> {
        Ok(match value {
            Value::Nil => Self::Nil,
            Value::Int(number) => Self::Int(number),
            Value::Boolean(truth) => Self::Int(truth.into()),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
                Self::Bytes(text.into_bytes())
            }
            Value::Okay => Self::Bytes(b"OK".to_vec()),
            Value::Double(number) => Self::Bytes(number.to_string().into_bytes()),
            Value::Array(items) | Value::Set(items) => {
                let items = items.into_iter().map(Self::read);
                Self::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Map(pairs) => {
                let items = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                Self::Array(items.map(Self::read).collect::<Result<_, _>>()?)
            }
            Value::Attribute { data, .. } => Self::read(*data)?,
            Value::ServerError(error) => return Err(error.into()),
            other => return Err(unreadable(&other)),
        })
    }

    /// `None` where Redis had nothing.
    #[must_use]
    pub fn some(self) -> Option<Self> {
        match self {
            Self::Nil => None,
            other => Some(other),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not one.
    pub fn int(self, context: &'static str) -> Result<i64, StoreError> {
        match self {
            Self::Int(number) => Ok(number),
            other => Err(other.is_not("a number", context)),
        }
    }

    /// A number of things.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not a number, or one below zero.
    pub fn count(self, context: &'static str) -> Result<u64, StoreError> {
        let number = self.int(context)?;
        u64::try_from(number).map_err(|_| corrupt(context, format!("{number} is below zero")))
    }

    /// Bytes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is something else.
    pub fn bytes(self, context: &'static str) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(other.is_not("a text", context)),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is something else, or not UTF-8.
    pub fn text(self, context: &'static str) -> Result<String, StoreError> {
        String::from_utf8(self.bytes(context)?).map_err(|_| corrupt(context, "a text is not UTF-8"))
    }

    /// Several answers.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is a single one.
    pub fn array(self, context: &'static str) -> Result<Vec<Self>, StoreError> {
        match self {
            Self::Array(items) => Ok(items),
            other => Err(other.is_not("an array", context)),
        }
    }

    /// Exactly so many answers.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is a single one, or another number of them.
    pub fn items<const N: usize>(self, context: &'static str) -> Result<[Self; N], StoreError> {
        let items = self.array(context)?;
        let found = items.len();
        <[Self; N]>::try_from(items)
            .map_err(|_| corrupt(context, format!("{N} items expected, {found} found")))
    }

    fn is_not(&self, expected: &str, context: &'static str) -> StoreError {
        corrupt(context, format!("{expected} expected, {}", self.kind()))
    }

    /// What it is, for an error message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nothing found",
            Self::Int(_) => "a number found",
            Self::Bytes(_) => "a text found",
            Self::Array(_) => "an array found",
        }
    }
}

/// A kind of answer that no command gives to its caller.
fn unreadable(value: &Value) -> RedisError {
    let what = format!("{value:?}").chars().take(64).collect::<String>();
    (
        ::redis::ErrorKind::UnexpectedReturnType,
        "the answer cannot be read",
        what,
    )
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_answer_has_its_form() {
        let text = |text: &str| Reply::Bytes(text.as_bytes().to_vec());
        let value = Value::Array(vec![
            Value::Nil,
            Value::Int(-1),
            Value::BulkString(vec![0xff, 0]),
            Value::Okay,
            Value::Double(1.5),
            Value::Boolean(true),
            Value::Set(vec![Value::SimpleString("PONG".to_owned())]),
            Value::Map(vec![(Value::Int(1), Value::Nil)]),
        ]);
        let expected = Reply::Array(vec![
            Reply::Nil,
            Reply::Int(-1),
            Reply::Bytes(vec![0xff, 0]),
            text("OK"),
            text("1.5"),
            Reply::Int(1),
            Reply::Array(vec![text("PONG")]),
            Reply::Array(vec![Reply::Int(1), Reply::Nil]),
        ]);
        assert_eq!(Reply::read(value).unwrap(), expected);
    }

    #[test]
    fn large_answers_are_moved() {
        let bytes = vec![7; 50_000];
        let at = bytes.as_ptr();
        let reply = Reply::read(Value::Array(vec![Value::BulkString(bytes)])).unwrap();
        let [map] = reply.items("test").unwrap();
        let map = map.bytes("test").unwrap();
        assert_eq!(map.as_ptr(), at);
    }

    #[test]
    fn what_is_not_of_the_kind_is_corrupt() {
        let said = |result: Result<(), StoreError>| result.unwrap_err().to_string();
        assert_eq!(
            said(Reply::Nil.int("hold").map(drop)),
            "the store answered out of contract (hold): a number expected, nothing found"
        );
        assert_eq!(
            said(Reply::Array(vec![]).items::<1>("hold").map(drop)),
            "the store answered out of contract (hold): 1 items expected, 0 found"
        );
        assert!(Reply::Int(-1).count("hold").is_err());
        assert!(Reply::Int(1).bytes("hold").is_err());
        assert!(Reply::Bytes(vec![0xff]).text("hold").is_err());
        assert!(Reply::Bytes(vec![]).array("hold").is_err());
        assert_eq!(Reply::Nil.some(), None);
    }
}
