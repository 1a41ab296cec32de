//! The draw: who comes before the opening is placed by chance, in a way that anybody can check.
//!
//! A person's place follows from a secret key and their user id alone, so coming early, coming
//! often or being close to the server gains nothing. The key is fixed before anybody joins (its
//! hash is published) and made known after the opening: then everybody can compute every place.
//! `docs/draw.md` says how, and what this does not prove.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::id::{UserId, random_bytes};

/// How places follow from the key, as it is published.
pub const DRAW_ALGORITHM: &str = "hmac-sha256/52";

/// Drawn scores begin here: all of them are below zero, and exact in a double, as Redis keeps them.
const LOWEST_SCORE: i64 = -(1 << 53);

/// The key of one draw: a secret until the opening. `Debug` hides it.
///
/// ```
/// use ticketon_queue::{DrawKey, UserId};
/// let key = DrawKey::random();
/// let ann = UserId::new("ann")?;
/// assert!(key.score(&ann) < 0);
/// assert_eq!(key.score(&ann), key.score(&ann));
/// assert_eq!(format!("{key:?}"), "DrawKey(..)");
/// # Ok::<(), ticketon_queue::IdError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DrawKey([u8; 32]);

impl fmt::Debug for DrawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawKey(..)")
    }
}

impl DrawKey {
    /// A new key, from the operating system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// A given key, for tests and for recomputing a draw.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key as it is published after the opening: 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// What is published before the opening: the SHA-256 of the key, in hexadecimal digits.
    #[must_use]
    pub fn commitment(&self) -> String {
        hex(&Sha256::digest(self.0))
    }

    /// A person's score, always below zero: who has the lowest is admitted first, and of two with
    /// the same the one whose id sorts first. The top 52 bits of HMAC-SHA256(key, id), less 2^53.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length and yields 32 bytes.
    #[must_use]
    pub fn score(&self, user: &UserId) -> i64 {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(user.as_str().as_bytes());
        let tag = mac.finalize().into_bytes();
        let mut top = [0; 8];
        top.copy_from_slice(&tag[..8]);
        let chance = u64::from_be_bytes(top) >> 12;
        LOWEST_SCORE + i64::try_from(chance).expect("52 bits fit")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the keys of new draws come from: the operating system's randomness, unless a test says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DrawKeys(Option<DrawKey>);

impl DrawKeys {
    /// Each draw gets a random key.
    #[must_use]
    pub fn random() -> Self {
        Self(None)
    }

    /// Each draw gets this key. For tests only: whoever has seen a key can choose a user id with a good place.
    #[must_use]
    pub fn fixed(key: DrawKey) -> Self {
        Self(Some(key))
    }

    pub(crate) fn next(&self) -> DrawKey {
        self.0.clone().unwrap_or_else(DrawKey::random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(index: usize) -> UserId {
        UserId::new(format!("user-{index}")).unwrap()
    }

    #[test]
    fn the_published_example_holds() {
        let mut bytes = [0; 32];
        for (index, byte) in (0_u8..).zip(&mut bytes) {
            *byte = index;
        }
        let key = DrawKey::from_bytes(bytes);
        assert_eq!(
            key.commitment(),
            "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
        );
        assert_eq!(DrawKey::from_hex(&key.to_hex()), Some(key.clone()));
        // hmac.new(bytes(range(32)), "앤".encode(), "sha256"), its first 13 digits.
        let ann = UserId::new("앤").unwrap();
        assert_eq!(key.score(&ann), LOWEST_SCORE + ANN_OF_THE_EXAMPLE);
    }

    const ANN_OF_THE_EXAMPLE: i64 = 4235089224250078;

    #[test]
    fn a_key_is_64_digits() {
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"한".repeat(22)] {
            assert_eq!(DrawKey::from_hex(bad), None, "{bad}");
        }
        let hidden = DrawKey::random();
        assert!(!format!("{hidden:?}").contains(&hidden.to_hex()[..8]));
        assert!(!format!("{:?}", DrawKeys::fixed(hidden.clone())).contains(&hidden.to_hex()[..8]));
        assert_ne!(DrawKey::random(), DrawKey::random());
    }

    /// Over many keys, everybody gets every place equally often.
    #[test]
    fn nobody_is_favoured() {
        const PEOPLE: usize = 10;
        const DRAWS: usize = 20_000;
        let people: Vec<UserId> = (0..PEOPLE).map(user).collect();
        let mut first_gets = [0_usize; PEOPLE];
        let mut firsts = [0_usize; PEOPLE];
        for draw in 0..DRAWS {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(draw as u64).to_le_bytes());
            let key = DrawKey::from_bytes(bytes);
            let mut places: Vec<usize> = (0..PEOPLE).collect();
            places.sort_by_key(|who| key.score(&people[*who]));
            firsts[places[0]] += 1;
            first_gets[places.iter().position(|who| *who == 0).unwrap()] += 1;
        }
        // Chi-squared with 9 degrees of freedom: above 33.7 one time in 10,000. The keys are fixed, so is this.
        let expected = (DRAWS / PEOPLE) as f64;
        for counts in [first_gets, firsts] {
            let chi: f64 = counts
                .iter()
                .map(|count| (*count as f64 - expected).powi(2) / expected)
                .sum();
            assert!(chi < 33.7, "{chi}: {counts:?}");
        }
    }

    #[test]
    fn scores_are_exact_in_a_double_and_below_every_sequence() {
        let key = DrawKey::random();
        for index in 0..1_000 {
            let score = key.score(&user(index));
            assert!((LOWEST_SCORE..LOWEST_SCORE + (1 << 52)).contains(&score));
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
            // that is what is tested
            let through_a_double = score as f64 as i64;
            assert_eq!(through_a_double, score);
        }
    }
}
