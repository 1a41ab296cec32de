//! Checkpoints: the heads of many chains in one signed list, each list chained to the one before.
//!
//! An order's chain shows what was changed in it, not that its end was cut off. A checkpoint says with which hash each
//! of its orders stood at that time, so from then on a missing end shows too. `docs/audit.md` has the bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ticketon_queue::UnixMs;

use super::entry::unhex;
use super::{AuditKeys, AuditPublicKeys, ChainHash};
use crate::purchase::OrderId;
use crate::signing::NotSigned;

/// The most heads of one checkpoint.
pub const MAX_HEADS: usize = 1_000;

/// The last entry of an order's chain, as a checkpoint seals it. In JSON it is `[order, seq, hash]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(OrderId, u64, ChainHash)", into = "(OrderId, u64, ChainHash)")]
pub struct SealedHead {
    /// The order.
    pub order: OrderId,
    /// The number of its last entry.
    pub seq: u64,
    /// That entry's hash.
    pub hash: ChainHash,
}

impl From<(OrderId, u64, ChainHash)> for SealedHead {
    fn from((order, seq, hash): (OrderId, u64, ChainHash)) -> Self {
        Self { order, seq, hash }
    }
}

impl From<SealedHead> for (OrderId, u64, ChainHash) {
    fn from(head: SealedHead) -> Self {
        (head.order, head.seq, head.hash)
    }
}

/// An Ed25519 signature, written as 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CheckpointSignature([u8; 64]);

impl fmt::Display for CheckpointSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CheckpointSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointSignature({self})")
    }
}

impl std::str::FromStr for CheckpointSignature {
    type Err = ticketon_queue::FieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = "128 hexadecimal digits in lower case";
        let refused = || ticketon_queue::FieldError::new("signature", text, range);
        unhex(text).map(Self).ok_or_else(refused)
    }
}

/// A signed list of heads.
///
/// ```
/// use ticketon_domain::audit::{AuditKeys, ChainHash, Checkpoint, SealedHead};
/// use ticketon_domain::purchase::OrderId;
/// let keys = AuditKeys::new("2026", [7; 32])?;
/// let head = SealedHead { order: OrderId::from_bytes([1; 16]), seq: 3, hash: ChainHash::from_bytes([2; 32]) };
/// let mut checkpoint = Checkpoint::signed(1, 1_767_225_600_000, ChainHash::START, vec![head], &keys);
/// assert_eq!(checkpoint.check(keys.public()), Ok(()));
/// checkpoint.heads[0].seq = 2;
/// assert!(checkpoint.check(keys.public()).is_err());
/// # Ok::<(), ticketon_queue::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The how-many-eth it is, from 1.
    pub number: u64,
    /// When it was made.
    pub at_ms: UnixMs,
    /// The hash of the checkpoint before; [`ChainHash::START`] before the first.
    pub prev: ChainHash,
    /// The heads, by the ids of their orders, each order once.
    pub heads: Vec<SealedHead>,
    /// The id of the key that signed it.
    pub key: String,
    /// The hash of all of the above.
    pub hash: ChainHash,
    /// The signature over the hash.
    pub signature: CheckpointSignature,
}

/// Why a checkpoint is not what somebody signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Its hash is not that of what it says.
    #[error("its hash is not that of its text: it was changed")]
    Hash,
    /// Its heads are not in the order of their orders' ids, each order once.
    #[error("its heads are out of order")]
    Order,
    /// It was signed with a key that is not accepted.
    #[error("it was signed with a key that is not known here")]
    UnknownKey,
    /// Its signature is wrong.
    #[error("its signature is wrong: it was changed or forged")]
    Signature,
}

impl Checkpoint {
    /// A checkpoint over these heads, which are put in order.
    #[must_use]
    pub fn signed(
        number: u64,
        at_ms: UnixMs,
        prev: ChainHash,
        mut heads: Vec<SealedHead>,
        keys: &AuditKeys,
    ) -> Self {
        heads.sort_unstable_by_key(|head| head.order);
        let key = keys.id().to_owned();
        let hash = hash(number, at_ms, &prev, &heads, &key);
        let signature = CheckpointSignature(keys.sign(&signed(&hash)));
        Self {
            number,
            at_ms,
            prev,
            heads,
            key,
            hash,
            signature,
        }
    }

    /// Whether it is as one of these keys signed it.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is not.
    pub fn check(&self, keys: &AuditPublicKeys) -> Result<(), CheckpointError> {
        let ordered = |pair: &[SealedHead]| matches!(pair, [a, b] if a.order < b.order);
        if !self.heads.windows(2).all(ordered) {
            return Err(CheckpointError::Order);
        }
        if self.hash != hash(self.number, self.at_ms, &self.prev, &self.heads, &self.key) {
            return Err(CheckpointError::Hash);
        }
        keys.verify(&self.key, &signed(&self.hash), &self.signature.0)
            .map_err(|why| match why {
                NotSigned::UnknownKey => CheckpointError::UnknownKey,
                NotSigned::Wrong => CheckpointError::Signature,
            })
    }
}

fn hash(
    number: u64,
    at_ms: UnixMs,
    prev: &ChainHash,
    heads: &[SealedHead],
    key: &str,
) -> ChainHash {
    let mut hash = Sha256::new();
    hash.update(b"ticketon checkpoint v1");
    hash.update(number.to_be_bytes());
    hash.update(at_ms.to_be_bytes());
    hash.update(prev.as_bytes());
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update((heads.len() as u64).to_be_bytes());
    for head in heads {
        hash.update(head.order.as_bytes());
        hash.update(head.seq.to_be_bytes());
        hash.update(head.hash.as_bytes());
    }
    ChainHash::from_bytes(hash.finalize().into())
}

/// What is signed. It begins like nothing else that is signed here, so a signature is good for nothing else.
fn signed(hash: &ChainHash) -> Vec<u8> {
    [
        b"ticketon checkpoint signature v1",
        hash.as_bytes().as_slice(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(id: &str, byte: u8) -> AuditKeys {
        AuditKeys::new(id, [byte; 32]).unwrap()
    }

    fn head(order: u8, seq: u64) -> SealedHead {
        SealedHead {
            order: OrderId::from_bytes([order; 16]),
            seq,
            hash: ChainHash::from_bytes([order ^ 0xff; 32]),
        }
    }

    fn checkpoint() -> Checkpoint {
        let prev = ChainHash::from_bytes([9; 32]);
        Checkpoint::signed(
            7,
            1_767_225_600_000,
            prev,
            vec![head(2, 5), head(1, 3)],
            &keys("2026", 7),
        )
    }

    #[test]
    fn a_checkpoint_that_was_exported_is_good_for_ever() {
        let made = checkpoint();
        assert_eq!(made.heads[0].order, OrderId::from_bytes([1; 16]));
        assert_eq!(
            made.hash.to_string(),
            "5d53f8a1fcafaeb83a10d894791dad37331284e1fa23b4ef1746e8ed328a521d"
        );
        assert_eq!(
            made.signature.to_string(),
            "8dac7f253419ea38ecfcb67e62947afabf6ccee0b65b4698180ae7457d8aa9746ed3cbb0c96f7db0aafaed995e5de050fb6cd7d040472ed740aeef3e765e130d"
        );
        assert_eq!(made.signature.to_string().parse(), Ok(made.signature));
    }

    #[test]
    fn keys_rotate() {
        let old = keys("2026", 7);
        let new = keys("2027", 8).also_accept(old.public()).unwrap();
        assert_eq!(new.id(), "2027");
        assert_eq!(checkpoint().check(new.public()), Ok(()));
        let alone = keys("2027", 8);
        assert_eq!(
            checkpoint().check(alone.public()),
            Err(CheckpointError::UnknownKey)
        );
        let other = keys("2026", 8);
        assert_eq!(
            checkpoint().check(other.public()),
            Err(CheckpointError::Signature)
        );
        assert!(
            keys("2026", 8).also_accept(old.public()).is_err(),
            "the id is taken"
        );
        assert!(
            old.clone().also_accept(old.public()).is_ok(),
            "it is the same key"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_changed_shows(field in 0_usize..8, bit in 0_u32..63, place in 0_usize..2) {
            let good = checkpoint();
            let mut bad = good.clone();
            match field {
                0 => bad.number ^= 1 << bit,
                1 => bad.at_ms ^= 1 << bit,
                2 => bad.prev = ChainHash::from_bytes([0x80 | bit as u8; 32]),
                3 => bad.heads[place].seq ^= 1 << bit,
                4 => bad.heads[place].hash = ChainHash::from_bytes([0x80 | bit as u8; 32]),
                5 => drop(bad.heads.remove(place)),
                6 => bad.signature.0[bit as usize] ^= 1,
                _ => bad.heads.swap(0, 1),
            }
            prop_assert!(bad.check(keys("2026", 7).public()).is_err());
        }
    }
}
