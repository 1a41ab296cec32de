//! Lone seats that hand-picked seats would leave.

use std::collections::{BTreeMap, BTreeSet};

use super::adjacent::{Free as _, blocks};
use super::bits::FreeSeats;
use super::house::{House, Side};
use super::rank::Ranker;
use super::request::Grades;
use super::windows::{Block, Lone, Windows};
use crate::seat::Orphans;
use crate::venue::SeatIndex;

impl Ranker {
    /// The lone seats that these seats, picked by hand, would leave although they need not; empty when all
    /// is well.
    ///
    /// `bits` is the map before: picked seats that are not free in it are not looked at. With the
    /// definitions of [`adjacent`](super::adjacent), a lone seat is a free one with no free seat beside it
    /// after the pick that had one before. A pick need not leave it
    ///
    /// - under [`Orphans::Lenient`]: when as many seats side by side as were picked from its block could be
    ///   had in that block without leaving any;
    /// - under [`Orphans::Strict`]: when as many seats side by side as were picked in all could be had
    ///   somewhere in the venue without leaving any;
    /// - under [`Orphans::Allow`]: never mind.
    ///
    /// What could be had are seats of the grades that were picked; accessible and companion seats only if
    /// one was picked.
    #[must_use]
    pub fn lone_seats(&self, bits: &[u8], picked: &[SeatIndex], rule: Orphans) -> Vec<SeatIndex> {
        let (house, free) = (self.house(), FreeSeats(bits));
        let picks = picks_by_block(house, free, picked);
        let seats: Vec<u32> = picks
            .values()
            .flat_map(|(_, seats)| seats)
            .copied()
            .collect();
        let alike = Alike::to(house, &seats);
        let fits_somewhere = || {
            let mut sides = house.sides.iter();
            sides.any(|side| alike.fit(free, side, None, seats.len()))
        };
        let mut lone: Vec<SeatIndex> = Vec::new();
        for (&block, (side, seats)) in &picks {
            let left = left_alone(block, seats);
            let need_not = |count| match rule {
                Orphans::Allow => false,
                Orphans::Lenient => alike.fit(free, side, Some(block), count),
                Orphans::Strict => true,
            };
            if !left.is_empty() && need_not(seats.len()) {
                lone.extend(left);
            }
        }
        if rule == Orphans::Strict && !lone.is_empty() && !fits_somewhere() {
            lone.clear();
        }
        lone
    }
}

/// The picked seats that are free and not in an area, by the block that they are in.
fn picks_by_block<'a>(
    house: &'a House,
    free: FreeSeats<'_>,
    picked: &[SeatIndex],
) -> BTreeMap<Block, (&'a Side, BTreeSet<u32>)> {
    let mut picks = BTreeMap::new();
    for seat in picked.iter().map(|seat| seat.get()) {
        let Some(side) = house.side_of(seat) else {
            continue;
        };
        let end = free.next_taken(seat, side.end());
        if end > seat {
            let start = free.stretch_start(seat, side.start);
            let (_, seats) = picks
                .entry(Block { start, end })
                .or_insert_with(|| (side, BTreeSet::new()));
            seats.insert(seat);
        }
    }
    picks
}

/// The seats of a block that are alone once these are taken.
fn left_alone(block: Block, taken: &BTreeSet<u32>) -> Vec<SeatIndex> {
    let mut from = block.start;
    let mut lone = Vec::new();
    for &next in taken.iter().chain([&block.end]) {
        if next - from == 1 {
            lone.push(SeatIndex::new(from));
        }
        from = next + 1;
    }
    lone
}

/// Tells which seats could have been picked instead.
struct Alike<'a> {
    house: &'a House,
    grades: Grades,
    reserved: bool,
}

impl<'a> Alike<'a> {
    fn to(house: &'a House, picked: &[u32]) -> Self {
        Self {
            house,
            grades: picked
                .iter()
                .filter_map(|&seat| house.grade(seat))
                .collect(),
            reserved: picked.iter().any(|&seat| house.meant(seat).reserved()),
        }
    }

    fn includes(&self, seat: u32) -> bool {
        (self.reserved || !self.house.meant(seat).reserved())
            && self
                .house
                .grade(seat)
                .is_some_and(|grade| self.grades.has(grade))
    }

    /// Whether so many side by side could be had in a side, or in one block of it, without leaving a lone seat.
    fn fit(&self, free: FreeSeats<'_>, side: &Side, within: Option<Block>, count: usize) -> bool {
        let Ok(count) = u32::try_from(count) else {
            return false;
        };
        side.stretches(|seat| self.includes(seat).then_some(()))
            .map(|(start, len)| side.run(start, len))
            .any(|run| {
                blocks(&free, &run)
                    .filter(|block| within.is_none_or(|within| within == *block))
                    .filter_map(|block| Windows::of(block, &run, count)?.settle(Lone::Avoid))
                    .next()
                    .is_some()
            })
    }
}

#[cfg(test)]
mod tests;
