//! One entry of a chain.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ticketon_queue::{FieldError, UnixMs};

use crate::purchase::OrderId;

/// A SHA-256 in a chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before the first entry.
    pub const START: Self = Self([0; 32]);

    /// Of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refused = || FieldError::new("hash", text, "64 hexadecimal digits in lower case");
        unhex(text).map(Self).ok_or_else(refused)
    }
}

impl Serialize for ChainHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|error: FieldError| serde::de::Error::custom(error.to_string()))
    }
}

/// Reads two hexadecimal digits a byte, in lower case: bytes have one text alone.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// One thing that happened to an order, chained to what happened before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The order.
    pub order: OrderId,
    /// The how-many-eth it is, from 1.
    pub seq: u64,
    /// When it happened.
    pub at_ms: UnixMs,
    /// What happened, for example `order.paid`.
    pub kind: String,
    /// The event as JSON, to the letter: the hash is over this text.
    pub body: String,
    /// The hash of the entry before.
    pub prev: ChainHash,
    /// The hash of this one.
    pub hash: ChainHash,
}

impl Entry {
    /// The entry that follows on a hash.
    #[must_use]
    pub fn chained(
        order: OrderId,
        seq: u64,
        at_ms: UnixMs,
        kind: impl Into<String>,
        body: String,
        prev: ChainHash,
    ) -> Self {
        let kind = kind.into();
        let hash = hash(&order, seq, at_ms, &kind, &body, &prev);
        Self {
            order,
            seq,
            at_ms,
            kind,
            body,
            prev,
            hash,
        }
    }

    /// Whether its hash is that of its text.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.hash
            == hash(
                &self.order,
                self.seq,
                self.at_ms,
                &self.kind,
                &self.body,
                &self.prev,
            )
    }
}

fn hash(
    order: &OrderId,
    seq: u64,
    at_ms: UnixMs,
    kind: &str,
    body: &str,
    prev: &ChainHash,
) -> ChainHash {
    let mut hash = Sha256::new();
    hash.update(b"ticketon audit v1");
    hash.update(order.as_bytes());
    hash.update(seq.to_be_bytes());
    hash.update(at_ms.to_be_bytes());
    for text in [kind, body] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.update(prev.as_bytes());
    ChainHash(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_was_written_is_whole_for_ever() {
        let order = OrderId::from_bytes([1; 16]);
        let body = r#"{"kind":"canceled"}"#.to_owned();
        let at_ms = 1_767_225_600_000;
        let entry = Entry::chained(order, 1, at_ms, "order.canceled", body, ChainHash::START);
        // As docs/verify-audit.py computes it.
        let hash = "6a869a6ce2017cccbf27d481bda3de5606ac01d058efc3a921934cd4727398a8";
        assert_eq!(entry.hash.to_string(), hash);
        assert!(entry.is_whole());
        assert_eq!(hash.parse(), Ok(entry.hash));
        assert!(hash.to_uppercase().parse::<ChainHash>().is_err());
    }
}
