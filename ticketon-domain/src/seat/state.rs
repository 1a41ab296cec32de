//! What a seat can be, and how a map packs it.

use serde::Serialize;

use crate::venue::SeatIndex;

/// The state of a seat or unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SeatState {
    /// To be had.
    Free = 0,
    /// Somebody holds it.
    Held = 1,
    /// It is sold.
    Sold = 2,
    /// The organiser keeps it out of sale.
    Blocked = 3,
}

impl SeatState {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Free, Self::Held, Self::Sold, Self::Blocked];

    /// Its two bits.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The state with this code; only the two lowest bits count.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self::ALL[(code & 3) as usize]
    }

    /// The state of a seat in a packed map. Seats beyond it are blocked.
    #[must_use]
    pub fn at(bits: &[u8], seat: SeatIndex) -> Self {
        let index = seat.get() as usize;
        bits.get(index / 4).map_or(Self::Blocked, |byte| {
            Self::from_code(byte >> (6 - 2 * (index % 4)))
        })
    }

    /// Writes the state of a seat into a packed map that is long enough.
    pub fn put(self, bits: &mut [u8], seat: SeatIndex) {
        let index = seat.get() as usize;
        if let Some(byte) = bits.get_mut(index / 4) {
            let shift = 6 - 2 * (index % 4);
            *byte = (*byte & !(3 << shift)) | (self.code() << shift);
        }
    }

    /// How many bytes a packed map of this many seats has.
    #[must_use]
    pub const fn packed_len(seats: u32) -> usize {
        (seats as usize).div_ceil(4)
    }
}

/// How many seats are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Free.
    pub free: u32,
    /// Held.
    pub held: u32,
    /// Sold.
    pub sold: u32,
    /// Blocked.
    pub blocked: u32,
}

impl Counts {
    /// Of a packed map.
    #[must_use]
    pub fn of(bits: &[u8], seats: u32) -> Self {
        let mut counts = [0_u32; 4];
        for index in 0..seats {
            counts[SeatState::at(bits, SeatIndex::new(index)).code() as usize] += 1;
        }
        let [free, held, sold, blocked] = counts;
        Self {
            free,
            held,
            sold,
            blocked,
        }
    }

    /// All seats.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.free + self.held + self.sold + self.blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_packed_from_the_highest_bits() {
        let mut bits = [0_u8; 2];
        SeatState::Sold.put(&mut bits, SeatIndex::new(0));
        SeatState::Blocked.put(&mut bits, SeatIndex::new(3));
        SeatState::Held.put(&mut bits, SeatIndex::new(4));
        assert_eq!(bits, [0b1000_0011, 0b0100_0000]);
        SeatState::Free.put(&mut bits, SeatIndex::new(0));
        assert_eq!(SeatState::at(&bits, SeatIndex::new(0)), SeatState::Free);
        assert_eq!(SeatState::at(&bits, SeatIndex::new(4)), SeatState::Held);
        assert_eq!(SeatState::at(&bits, SeatIndex::new(8)), SeatState::Blocked);
        let counts = Counts::of(&bits, 5);
        assert_eq!((counts.free, counts.held, counts.blocked), (3, 1, 1));
        assert_eq!(counts.total(), 5);
    }
}
