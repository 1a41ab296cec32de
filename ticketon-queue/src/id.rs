//! Identifiers that validate on parse.
//!
//! An id that exists is safe to put into a Redis key, a cookie name or a log line: it is not
//! empty, has at most 128 bytes, no control characters and no braces (braces are Redis Cluster's
//! hash-tag syntax). Ids are cheap to clone.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest id in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Longest lane name in bytes.
pub const MAX_LANE_BYTES: usize = 32;

/// Why a text is not an id. The message names the field and the limit, never the whole value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    #[error("{field} must not be empty (1 to {limit} bytes)")]
    Empty {
        /// Which id was parsed.
        field: &'static str,
        /// The most bytes it may have.
        limit: usize,
    },
    /// The text is too long.
    #[error("{field} has {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// Which id was parsed.
        field: &'static str,
        /// How many bytes it has.
        length: usize,
        /// The most bytes it may have.
        limit: usize,
    },
    /// The text has a character that ids must not have.
    #[error("{field} must not contain {character:?} (byte {position}); {allowed}")]
    Character {
        /// Which id was parsed.
        field: &'static str,
        /// The first refused character.
        character: char,
        /// Its byte position.
        position: usize,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

impl IdError {
    /// The field that was refused: `eventId`, `userId` or `lane`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Empty { field, .. }
            | Self::TooLong { field, .. }
            | Self::Character { field, .. } => field,
        }
    }
}

fn check(field: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty {
            field,
            limit: MAX_ID_BYTES,
        });
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong {
            field,
            length: text.len(),
            limit: MAX_ID_BYTES,
        });
    }
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() || matches!(c, '{' | '}'))
    {
        None => Ok(()),
        Some((position, character)) => Err(IdError::Character {
            field,
            character,
            position,
            allowed: "control characters and braces are refused",
        }),
    }
}

fn check_lane(field: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty {
            field,
            limit: MAX_LANE_BYTES,
        });
    }
    if text.len() > MAX_LANE_BYTES {
        return Err(IdError::TooLong {
            field,
            length: text.len(),
            limit: MAX_LANE_BYTES,
        });
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    match text.char_indices().find(|(_, c)| !fits(*c)) {
        None => Ok(()),
        Some((position, character)) => Err(IdError::Character {
            field,
            character,
            position,
            allowed: "lower-case ASCII letters, digits, '-' and '_' are allowed",
        }),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and keeps a text.
            ///
            /// # Errors
            /// [`IdError`] when it is empty, too long, or has a refused character.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                $check($field, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

id!(
    /// The id of an event; its waiting room has the same.
    ///
    /// ```
    /// use ticketon_queue::EventId;
    /// assert!(EventId::new("spring-tour").is_ok());
    /// assert!(EventId::new("{spring}").is_err());
    /// ```
    EventId,
    "eventId",
    check
);
id!(
    /// The id of a user, as the host knows them.
    UserId,
    "userId",
    check
);
id!(
    /// The name of a lane (a priority class of a room).
    LaneName,
    "lane",
    check_lane
);

impl Default for LaneName {
    /// `general`: the only lane of a room whose config names none.
    fn default() -> Self {
        Self(Arc::from("general"))
    }
}

/// One life of one broker process. A broker whose lease lapsed comes back under a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrokerId(u64);

impl BrokerId {
    /// A random incarnation.
    #[must_use]
    pub fn random() -> Self {
        Self(random_u64())
    }

    /// A given incarnation, for stores that read one back and for tests.
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for BrokerId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// One connection of one user at one broker. Unique within the broker's incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Bytes of operating-system randomness.
///
/// # Panics
/// When the operating system has none to give, which leaves nothing safe to do.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A random number, for ids and jitter.
pub(crate) fn random_u64() -> u64 {
    u64::from_ne_bytes(random_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_break_keys() {
        assert!(EventId::new("a").is_ok());
        assert!(EventId::new("한글 / event?").is_ok());
        assert!(EventId::new("x".repeat(128)).is_ok());
        assert!(matches!(EventId::new(""), Err(IdError::Empty { .. })));
        assert!(matches!(
            EventId::new("x".repeat(129)),
            Err(IdError::TooLong { length: 129, .. })
        ));
        for bad in ["a{b", "a}b", "a\nb", "a\u{0}b", "a\u{7f}b", "a\u{85}b"] {
            let error = UserId::new(bad).unwrap_err();
            assert!(matches!(error, IdError::Character { position: 1, .. }));
            assert_eq!(error.field(), "userId");
        }
    }

    #[test]
    fn lanes_are_plain_words() {
        assert!(LaneName::new("vip-1").is_ok());
        assert!(LaneName::new("VIP").is_err());
        assert!(LaneName::new("a:b").is_err());
        assert!(LaneName::new("x".repeat(33)).is_err());
        assert_eq!(LaneName::default().as_str(), "general");
    }

    #[test]
    fn a_broker_id_survives_its_text() {
        let id = BrokerId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
