//! What seats are called, and how they are counted.
//!
//! A [`SeatLabel`] is what people see on a ticket: `A-1-7` (section, row, seat) or `standing/17`
//! (area, unit). A [`SeatIndex`] is what machines count with: dense, from 0, in the order of the
//! layout. Only a [`Layout`](super::Layout) knows which label belongs to which index.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ticketon_queue::{FieldError, IdError};

/// Longest label in bytes.
pub const MAX_LABEL_BYTES: usize = 64;

/// Longest id of a section, row, seat or area, in characters.
pub const MAX_PART_CHARS: usize = 16;

const FIELD: &str = "seat";

/// The accepted form of an id, in words.
pub(super) const PART: &str = "1 to 16 letters, digits, '_', '.' or '+'";

/// Whether a character may stand in the id of a section, row, seat or area: letters and digits of
/// any script, and three signs. `-` and `/` separate ids, so labels are never ambiguous.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '+')
}

/// Refuses a text that is no id of a section, row, seat or area.
pub(super) fn check_part(field: impl fmt::Display, text: &str) -> Result<(), FieldError> {
    let fits = !text.is_empty()
        && text.chars().take(MAX_PART_CHARS + 1).count() <= MAX_PART_CHARS
        && text.chars().all(is_part);
    if fits {
        Ok(())
    } else {
        Err(FieldError::new(field.to_string(), text, PART))
    }
}

/// The label of a seat (`A-1-7`) or of one unit of a standing area (`standing/17`).
///
/// A label that exists has 1 to 64 bytes of letters, digits, `_`, `.`, `+` and `-`, and at most
/// one slash, before the number of a unit. Whether a seat has it, the layout knows.
///
/// ```
/// use ticketon_domain::venue::SeatLabel;
/// assert!(SeatLabel::new("A-1-7")?.area().is_none());
/// assert_eq!(SeatLabel::new("standing/17")?.area(), Some(("standing", 17)));
/// assert!(SeatLabel::new("A 1 7").is_err());
/// # Ok::<(), ticketon_queue::IdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeatLabel(Arc<str>);

impl SeatLabel {
    /// Checks and keeps a text.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long, or has a refused character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
        let text = text.as_ref();
        check(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The label of a seat that a layout has, which is known to be valid.
    pub(super) fn known(text: &str) -> Self {
        debug_assert!(check(text).is_ok(), "{text:?}");
        Self(Arc::from(text))
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The area and the number of the unit (from 1), if this is not a numbered seat.
    #[must_use]
    pub fn area(&self) -> Option<(&str, u32)> {
        split_unit(&self.0)
    }
}

/// `standing/17` in its two parts; nothing else is a unit.
pub(super) fn split_unit(text: &str) -> Option<(&str, u32)> {
    let (area, number) = text.split_once('/')?;
    Some((area, parse_number(number)?))
}

/// A number as labels write it: no sign, no leading zero.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty {
            field: FIELD,
            limit: MAX_LABEL_BYTES,
        });
    }
    if text.len() > MAX_LABEL_BYTES {
        return Err(IdError::TooLong {
            field: FIELD,
            length: text.len(),
            limit: MAX_LABEL_BYTES,
        });
    }
    let refused = |position, character, allowed| IdError::Character {
        field: FIELD,
        character,
        position,
        allowed,
    };
    let bad = |(_, c): &(usize, char)| !(is_part(*c) || matches!(c, '-' | '/'));
    if let Some((position, character)) = text.char_indices().find(bad) {
        let allowed = "letters, digits, '_', '.', '+', '-' and one '/' are allowed";
        return Err(refused(position, character, allowed));
    }
    let unit = split_unit(text).is_some_and(|(area, number)| !area.is_empty() && number > 0);
    match text.find('/') {
        Some(position) if !unit => {
            let allowed =
                "a slash stands between an area and the number of a unit, as in standing/17";
            Err(refused(position, '/', allowed))
        }
        _ => Ok(()),
    }
}

impl FromStr for SeatLabel {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for SeatLabel {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<SeatLabel> for String {
    fn from(label: SeatLabel) -> Self {
        label.0.to_string()
    }
}

impl AsRef<str> for SeatLabel {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SeatLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SeatLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The number of a seat or unit in its layout: dense, from 0. Adjacent seats have consecutive numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeatIndex(u32);

impl SeatIndex {
    /// The seat with this number.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SeatIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a grade in its layout, from 0, in the order of the layout's `grades`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GradeIndex(u8);

impl GradeIndex {
    /// The grade with this number.
    #[must_use]
    pub const fn new(index: u8) -> Self {
        Self(index)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_printable_and_slashes_make_units() {
        for good in [
            "A-1-7",
            "가구역-1열-7",
            "standing/1",
            "standing/100000",
            "A",
            &"x".repeat(64),
        ] {
            assert_eq!(SeatLabel::new(good).unwrap().as_str(), good);
        }
        assert!(matches!(SeatLabel::new(""), Err(IdError::Empty { .. })));
        assert!(matches!(
            SeatLabel::new("x".repeat(65)),
            Err(IdError::TooLong {
                length: 65,
                limit: 64,
                ..
            })
        ));
        for bad in [
            "A 1",
            "A\n1",
            "{A}",
            "A,1",
            "A\u{200b}",
            "/1",
            "a/",
            "a/0",
            "a/01",
            "a/+1",
            "a/x",
            "a/1/2",
            "a/b/1",
            "a/99999999999",
        ] {
            assert!(
                matches!(SeatLabel::new(bad), Err(IdError::Character { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn json_checks_labels() {
        let label: SeatLabel = serde_json::from_str("\"A-1-7\"").unwrap();
        assert_eq!(serde_json::to_string(&label).unwrap(), "\"A-1-7\"");
        assert!(serde_json::from_str::<SeatLabel>("\"A 1\"").is_err());
        assert_eq!(serde_json::to_string(&SeatIndex::new(7)).unwrap(), "7");
    }

    #[test]
    fn ids_cannot_be_confused_with_separators() {
        for good in [
            "A",
            "1",
            "가",
            "12b",
            "a_b.c+",
            &"x".repeat(16),
            &"가".repeat(16),
        ] {
            assert!(check_part("id", good).is_ok(), "{good}");
        }
        for bad in ["", "a-b", "a/b", "a b", "a,b", "{a", &"x".repeat(17)] {
            assert_eq!(check_part("id", bad).unwrap_err().field, "id", "{bad}");
        }
    }
}
