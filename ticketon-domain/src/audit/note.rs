//! What a sealer noted of the last checkpoint that it saw: so that it never signs a history anew that it knew otherwise.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use ticketon_queue::{FieldError, StoreError};

use super::{ChainHash, Checkpoint};

/// A checkpoint as it was seen: `number hash` as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: ChainHash,
}

impl Noted {
    /// What is noted of a checkpoint.
    #[must_use]
    pub const fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            number: checkpoint.number,
            hash: checkpoint.hash,
        }
    }
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.hash)
    }
}

impl FromStr for Noted {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let refused = || FieldError::new("noted", text, "the number and the hash of a checkpoint");
        let (number, hash) = text.split_once(' ').ok_or_else(refused)?;
        Ok(Self {
            number: number.parse().map_err(|_| refused())?,
            hash: hash.parse()?,
        })
    }
}

/// Where the last checkpoint is noted, best where nobody can write who can write into the database.
#[async_trait]
pub trait CheckpointNote: Send + Sync + fmt::Debug + 'static {
    /// What was noted last; `None` when nothing was yet.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, or what is there is no note: then nothing is sealed.
    async fn read(&self) -> Result<Option<Noted>, StoreError>;

    /// Notes this one instead; after a crash there is this one or the one before.
    ///
    /// # Errors
    /// [`StoreError`] when it may not be written: the one before may still be there.
    async fn write(&self, noted: Noted) -> Result<(), StoreError>;
}

/// A note for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryNote(Mutex<Option<Noted>>);

#[async_trait]
impl CheckpointNote for MemoryNote {
    async fn read(&self) -> Result<Option<Noted>, StoreError> {
        Ok(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn write(&self, noted: Noted) -> Result<(), StoreError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(noted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_a_line_of_text() {
        let noted = Noted {
            number: 7,
            hash: ChainHash::from_bytes([9; 32]),
        };
        assert_eq!(noted.to_string(), format!("7 {}", "09".repeat(32)));
        assert_eq!(noted.to_string().parse(), Ok(noted));
        for bad in ["", "7", "7 09", "x 09", &format!("7  {}", "09".repeat(32))] {
            assert!(bad.parse::<Noted>().is_err(), "{bad}");
        }
    }
}
