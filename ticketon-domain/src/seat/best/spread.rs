//! How wide buyers are spread: as little as the rush allows.
//!
//! Choosing among more places means fewer collisions and worse seats. The width grows with each collision and shrinks with each hold that was taken, and settles
//! where about one choice in twenty collides; a quiet sale gives everyone the best there is, or nearly.

use std::sync::atomic::{AtomicU32, Ordering};

/// The width is kept in parts of a seat, so that a narrow one shrinks no faster than a wide one.
const PARTS: u32 = 64;
/// The width of an event whose sale has not begun: sales begin with a rush.
const START: u32 = 256 * PARTS;
/// The widest.
const WIDEST: u32 = 32_768 * PARTS;
/// The narrowest: a few places, because two buyers in the same instant are common.
const NARROWEST: u32 = 8 * PARTS;
/// A taken hold takes this part off the width.
const DECAY: u32 = 32;

/// How many of the best seats buyers of one event are spread over. One for each event and process.
///
/// ```
/// use ticketon_domain::seat::best::Spread;
///
/// let spread = Spread::new();
/// let quiet = spread.places(2);
/// (0..3).for_each(|_| spread.collided());
/// assert_eq!(spread.places(2), 8 * quiet);
/// ```
#[derive(Debug)]
pub struct Spread {
    parts: AtomicU32,
}

impl Spread {
    /// For a sale that begins.
    #[must_use]
    pub const fn new() -> Self {
        let parts = AtomicU32::new(START);
        Self { parts }
    }

    /// How many places of so many seats are to choose from now; at least one.
    #[must_use]
    pub fn places(&self, count: u32) -> u32 {
        (self.parts.load(Ordering::Relaxed) / PARTS / count.max(1)).max(1)
    }

    /// A choice was held.
    pub fn took(&self) {
        self.change(|parts| parts - parts / DECAY);
    }

    /// A choice was refused because somebody else took a seat of it.
    pub fn collided(&self) {
        self.change(|parts| parts * 2);
    }

    fn change(&self, to: impl Fn(u32) -> u32) {
        let clamped = |parts| Some(to(parts).clamp(NARROWEST, WIDEST));
        // The closure always answers, so there is nothing to refuse.
        let _ = self
            .parts
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, clamped);
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_stays_within_its_bounds() {
        let spread = Spread::new();
        (0..40).for_each(|_| spread.collided());
        assert_eq!((spread.places(1), spread.places(4)), (32_768, 8_192));
        (0..1_000).for_each(|_| spread.took());
        assert_eq!((spread.places(1), spread.places(0)), (8, 8));
        assert_eq!(spread.places(100), 1);
    }

    #[test]
    fn a_few_collisions_in_a_hundred_keep_the_width() {
        let spread = Spread::new();
        (0..20).for_each(|_| spread.collided());
        for round in 0..2_000 {
            if round % 100 == 0 {
                spread.collided();
            } else {
                spread.took();
            }
        }
        assert!(spread.places(1) <= 16);
        for round in 0..2_000 {
            if round % 10 == 0 {
                spread.collided();
            } else {
                spread.took();
            }
        }
        assert!(spread.places(1) > 8_192);
    }
}
