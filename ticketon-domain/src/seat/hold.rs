//! Holds: seats that one person has for a few minutes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use ticketon_queue::{EventId, FieldError, UnixMs, UserId};

use crate::venue::SeatIndex;

/// The id of a hold: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HoldId([u8; 16]);

impl HoldId {
    /// Of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id that follows from who holds and from their idempotency key: a retry derives the same.
    #[must_use]
    pub fn derive(event: &EventId, user: &UserId, idempotency_key: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [
            "ticketon hold",
            event.as_str(),
            user.as_str(),
            idempotency_key,
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HoldId({self})")
    }
}

impl FromStr for HoldId {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refused = || FieldError::new("holdId", text, "32 hexadecimal digits");
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        u128::from_str_radix(text, 16)
            .map(|number| Self(number.to_be_bytes()))
            .map_err(|_| refused())
    }
}

impl serde::Serialize for HoldId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for HoldId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|error: FieldError| serde::de::Error::custom(error.to_string()))
    }
}

/// Seats that one person holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// The epoch of the map that it is in.
    pub epoch: u64,
    /// Whose it is.
    pub user: UserId,
    /// Its fence: what changes or buys the seats compares it.
    pub fence: u64,
    /// Its seats, in the order in which they were asked for.
    pub seats: Vec<SeatIndex>,
    /// When it was taken.
    pub taken_at_ms: UnixMs,
    /// When it ends; `None` while an order is being paid with it.
    pub deadline_ms: Option<UnixMs>,
}

impl Hold {
    /// A hold.
    #[must_use]
    pub fn new(
        id: HoldId,
        epoch: u64,
        user: UserId,
        fence: u64,
        seats: Vec<SeatIndex>,
        taken_at_ms: UnixMs,
        deadline_ms: Option<UnixMs>,
    ) -> Self {
        Self {
            id,
            epoch,
            user,
            fence,
            seats,
            taken_at_ms,
            deadline_ms,
        }
    }
}

/// Why a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// Its time ran out.
    Expired,
    /// It was given back.
    Released,
    /// It was bought.
    Sold,
    /// A seat of it turned out to be sold to somebody else.
    Lost,
}

impl EndReason {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Released => "released",
            Self::Sold => "sold",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_user_and_key_and_have_one_text() {
        let event = EventId::new("tour").unwrap();
        let [ann, bob] = ["ann", "bob"].map(|name| UserId::new(name).unwrap());
        let id = HoldId::derive(&event, &ann, "k1");
        assert_eq!(id, HoldId::derive(&event, &ann, "k1"));
        assert_ne!(id, HoldId::derive(&event, &bob, "k1"));
        assert_ne!(id, HoldId::derive(&event, &ann, "k2"));
        assert_eq!(id.to_string().parse::<HoldId>(), Ok(id));
        for bad in [
            "",
            "xyz",
            &"g".repeat(32),
            &"a".repeat(31),
            "+123456789012345678901234567890a",
        ] {
            assert!(bad.parse::<HoldId>().is_err(), "{bad}");
        }
    }
}
