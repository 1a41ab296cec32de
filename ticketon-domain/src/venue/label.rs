//! How seats are named: by label for people, by index for maps.

use std::fmt;

/// The place of a seat or unit in its layout's order, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeatIndex(u32);

impl SeatIndex {
    /// The seat at this place.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its place.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The name of a seat (`A-1-7`) or unit (`standing/17`), unique in its layout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeatLabel(String);

impl fmt::Display for SeatLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
