//! Reading a packed map 32 seats at a time.

use super::adjacent::Free;
use crate::seat::SeatState;
use crate::venue::SeatIndex;

/// The free seats of a packed map. Seats beyond it are not free.
#[derive(Debug, Clone, Copy)]
pub(super) struct FreeSeats<'a>(pub(super) &'a [u8]);

/// The first bit of each seat's two.
const FIRST: u64 = 0xAAAA_AAAA_AAAA_AAAA;

impl FreeSeats<'_> {
    /// Which of the 28 seats from here on are free (32 if the first is a multiple of four): the first
    /// seat's bit is the highest, every other bit is 0.
    fn word(self, from: u32) -> u64 {
        let byte = from as usize / 4;
        let mut bytes = [0xFF; 8];
        match self.0.get(byte..byte + 8) {
            Some(whole) => bytes.copy_from_slice(whole),
            None => {
                let rest = self.0.get(byte..).unwrap_or_default();
                bytes[..rest.len()].copy_from_slice(rest);
            }
        }
        let states = u64::from_be_bytes(bytes);
        // A seat is free when both of its bits are 0.
        (!(states | states << 1) & FIRST) << (2 * (from % 4))
    }

    /// The first seat of `from..to` whose bit is set in `word`s, or `to`.
    fn find(self, mut from: u32, to: u32, word: impl Fn(u64) -> u64) -> u32 {
        while from < to {
            let covered = 32 - from % 4;
            let found = word(self.word(from)).leading_zeros() / 2;
            if found < covered {
                return (from + found).min(to);
            }
            from = from.saturating_add(covered);
        }
        to
    }
}

impl Free for FreeSeats<'_> {
    fn next_free(&self, from: u32, to: u32) -> u32 {
        self.find(from, to, |free| free)
    }

    fn next_taken(&self, from: u32, to: u32) -> u32 {
        self.find(from, to, |free| !free & FIRST)
    }

    fn stretch_start(&self, at: u32, floor: u32) -> u32 {
        let free = |seat| SeatState::at(self.0, SeatIndex::new(seat)) == SeatState::Free;
        (floor..at)
            .rev()
            .find(|&seat| !free(seat))
            .map_or(floor, |taken| taken + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_agree_with_seats(
            states in prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 0..4_u8], 0..150),
            spare in 0..12_usize,
            (from, to) in (0..170_u32, 0..170_u32),
        ) {
            let seats = states.len() as u32;
            let mut bits = vec![0xFF; SeatState::packed_len(seats) + spare];
            for (index, state) in (0..).zip(&states) {
                SeatState::from_code(*state).put(&mut bits, SeatIndex::new(index));
            }
            let free = FreeSeats(&bits);
            let is_free = |seat: u32| states.get(seat as usize) == Some(&0);
            prop_assert_eq!(
                free.next_free(from, to),
                (from..to).find(|&seat| is_free(seat)).unwrap_or(to)
            );
            prop_assert_eq!(
                free.next_taken(from, to),
                (from..to).find(|&seat| !is_free(seat)).unwrap_or(to)
            );
        }
    }

    #[test]
    fn the_ends_of_what_can_be_asked_are_safe() {
        let free = FreeSeats(&[0; 16]);
        assert_eq!(free.next_taken(0, 64), 64);
        assert_eq!(free.next_taken(0, u32::MAX), 64);
        assert_eq!(free.next_free(u32::MAX - 1, u32::MAX), u32::MAX);
        assert_eq!(FreeSeats(&[]).next_free(0, 9), 9);
        assert_eq!(free.next_free(9, 3), 3);
    }

    #[test]
    fn long_stretches_are_followed_from_any_seat() {
        for (from, far) in (0..8).flat_map(|from| (from..130).map(move |far| (from, far))) {
            let (mut all_free, mut all_taken) = (vec![0; 40], vec![0b0101_0101; 40]);
            SeatState::Blocked.put(&mut all_free, SeatIndex::new(far));
            SeatState::Free.put(&mut all_taken, SeatIndex::new(far));
            assert_eq!(FreeSeats(&all_free).next_taken(from, 160), far);
            assert_eq!(FreeSeats(&all_taken).next_free(from, 160), far);
        }
    }
}
