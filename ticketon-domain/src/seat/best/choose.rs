//! Choosing from a snapshot, spread over places that are about as good.
//!
//! Buyers who choose from the same snapshot must not all choose the same seats: each takes one of the best
//! few places at random. The places of a block are side by side, none overlapping, from the window that
//! [`pick`](super::pick) would take outwards; the best few over all runs are those of the first runs, the
//! nearest to the best point first. With one place to choose from, the choice is `pick`'s.

use super::adjacent::{blocks, first_place, passes};
use super::bits::FreeSeats;
use super::windows::{Lone, Place, Tiles, Windows};
use crate::seat::{Orphans, Run, SeatState};
use crate::venue::SeatIndex;

/// So many free seats side by side, from one of the `places` best places that the rule finds; `None` when
/// it finds none.
///
/// `bits` is a map as [`Snapshot::bits`](crate::seat::Snapshot::bits) has it, `random` answers numbers that
/// others cannot foresee. [`Spread`](super::Spread) says how many places are wise.
///
/// ```
/// use ticketon_domain::seat::{Orphans, Run, best::choose};
///
/// let row = Run { start: 0, len: 8, segment_start: 0, segment_len: 8, centre_twice: 7 };
/// let seats = choose(&[0, 0], &[row], 2, Orphans::Lenient, 1, &mut || 7).unwrap_or_default();
/// assert_eq!(seats.iter().map(|seat| seat.get()).collect::<Vec<_>>(), [3, 4]);
/// ```
#[must_use]
pub fn choose(
    bits: &[u8],
    runs: &[Run],
    count: u32,
    orphans: Orphans,
    places: u32,
    random: &mut impl FnMut() -> u64,
) -> Option<Vec<SeatIndex>> {
    let free = FreeSeats(bits);
    let first = if places <= 1 {
        first_place(&free, runs, count, orphans)?
    } else {
        passes(orphans)
            .iter()
            .find_map(|&lone| spread_place(free, runs, count, lone, places, random))?
    };
    Some((first..first + count).map(SeatIndex::new).collect())
}

/// One of the first places of a pass.
fn spread_place(
    free: FreeSeats<'_>,
    runs: &[Run],
    count: u32,
    lone: Lone,
    places: u32,
    random: &mut impl FnMut() -> u64,
) -> Option<u32> {
    let mut nth = |places| nth_place(free, runs, count, lone, below(places, random));
    match nth(places as usize) {
        Ok(first) => Some(first),
        Err(0) => None,
        Err(fewer) => nth(fewer).ok(),
    }
}

/// The place with this number, from 0; or how many there are.
fn nth_place(
    free: FreeSeats<'_>,
    runs: &[Run],
    count: u32,
    lone: Lone,
    wanted: usize,
) -> Result<u32, usize> {
    let mut passed = 0;
    for run in runs {
        let found: usize = tiles(&free, run, count, lone)
            .map(|tiles| tiles.count())
            .sum();
        if wanted < passed + found {
            let mut places: Vec<Place> = tiles(&free, run, count, lone)
                .flat_map(Tiles::places)
                .collect();
            let (_, place, _) = places.select_nth_unstable(wanted - passed);
            return Ok(place.first);
        }
        passed += found;
    }
    Err(passed)
}

/// The places of each block of a run.
fn tiles(free: &FreeSeats<'_>, run: &Run, count: u32, lone: Lone) -> impl Iterator<Item = Tiles> {
    blocks(free, run).filter_map(move |block| Windows::of(block, run, count)?.settle(lone)?.tiles())
}

/// A number below `end`, which is not 0.
fn below(end: usize, random: &mut impl FnMut() -> u64) -> usize {
    ((u128::from(random()) * end as u128) >> 64) as usize
}

/// So many free units of an area, the first found from `start + offset` on, around the end if need be;
/// `None` when there are fewer.
#[must_use]
pub fn choose_units(
    bits: &[u8],
    start: u32,
    len: u32,
    count: u32,
    offset: u32,
) -> Option<Vec<SeatIndex>> {
    use super::adjacent::Free as _;

    if count == 0 || count > len {
        return None;
    }
    let free = FreeSeats(bits);
    let (end, turn) = (start.saturating_add(len), start + offset % len);
    let mut units = Vec::with_capacity(count as usize);
    for (mut from, to) in [(turn, end), (start, turn)] {
        while units.len() < count as usize {
            from = free.next_free(from, to);
            if from >= to {
                break;
            }
            units.push(SeatIndex::new(from));
            from += 1;
        }
    }
    (units.len() == count as usize).then_some(units)
}

/// Writes into a copy of a map that seats are taken: what a refused hold named must not be chosen again.
pub fn mark_taken(bits: &mut [u8], seats: &[SeatIndex]) {
    for &seat in seats {
        SeatState::Held.put(bits, seat);
    }
}

#[cfg(test)]
mod tests;
