//! How wide buyers are spread: as little as the rush allows.
//!
//! Choosing among more places means fewer collisions and worse seats. The width grows when buyers collide
//! and shrinks with each hold that was taken. It settles where about one choice in forty collides, so a
//! quiet sale gives everyone the best there is, or nearly.

use std::sync::atomic::{AtomicU32, Ordering};

/// The width is kept in parts of a seat, so that a narrow one shrinks no faster than a wide one.
const PARTS: u32 = 64;
/// The width of an event whose sale has not begun: sales begin with a rush.
const START: u32 = 128 * PARTS;
/// The widest.
const WIDEST: u32 = 32_768 * PARTS;
/// The narrowest: a few places, because two buyers in the same instant are common.
const NARROWEST: u32 = 8 * PARTS;
/// A taken hold takes this part off the width.
const DECAY: u32 = 32;
/// A collision makes the width this many times what it was when the buyer chose.
const GROWTH: u32 = 4;

/// How many of the best seats buyers of one event are spread over. One for each event and process.
///
/// ```
/// use ticketon_domain::seat::best::Spread;
///
/// let spread = Spread::new();
/// let places = spread.places(2);
/// spread.collided(2, places);
/// assert_eq!(spread.places(2), 4 * places);
/// spread.collided(2, places);
/// assert_eq!(spread.places(2), 4 * places, "the same collision, seen by another");
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

    /// A choice of so many seats among so many places was refused because somebody else took a seat of it.
    ///
    /// Of many who chose among the same places and collided, only the first widens: the others say the same.
    pub fn collided(&self, count: u32, places: u32) {
        let width = count.saturating_mul(places).saturating_mul(GROWTH);
        let parts = width.saturating_mul(PARTS).clamp(NARROWEST, WIDEST);
        self.parts.fetch_max(parts, Ordering::Relaxed);
    }

    fn change(&self, to: impl Fn(u32) -> u32) {
        let clamped = |parts| Some(to(parts).max(NARROWEST));
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
        (0..40).for_each(|_| spread.collided(4, spread.places(4)));
        assert_eq!((spread.places(1), spread.places(4)), (32_768, 8_192));
        spread.collided(u32::MAX, u32::MAX);
        assert_eq!(spread.places(1), 32_768);
        (0..1_000).for_each(|_| spread.took());
        assert_eq!((spread.places(1), spread.places(0)), (8, 8));
        assert_eq!(spread.places(100), 1);
        spread.collided(0, 0);
        assert_eq!(spread.places(1), 8);
    }

    #[test]
    fn who_collides_too_often_is_spread_wider() {
        let spread = Spread::new();
        let sell = |collides_each: u32| {
            for round in 0..5_000 {
                if round % collides_each == 0 {
                    spread.collided(2, spread.places(2));
                } else {
                    spread.took();
                }
            }
            spread.places(1)
        };
        assert!(sell(100) <= 32, "a collision in a hundred is no rush");
        assert!(sell(10) > 16_384);
        assert!(sell(100) <= 32);
    }
}
