//! The rule of [`Choice::Adjacent`](crate::seat::Choice::Adjacent), which every store follows to the seat.
//!
//! A **block** is a maximal stretch of free seats within a run's whole stretch (its segment). A **window**
//! is so many seats side by side inside a block and inside what the run allows. A window **leaves a lone
//! seat** when the part of the block on its left, or on its right, is exactly one seat.
//!
//! - [`Orphans::Allow`]: every window is fine.
//! - [`Orphans::Lenient`]: a window is fine if it leaves no lone seat, or if no window of the same block
//!   within the same run leaves none.
//! - [`Orphans::Strict`]: first only windows that leave none count, in all runs; only if there is no such
//!   window anywhere, every window counts.
//!
//! The first run, in the order given, that has a fine window wins. Within it, the window whose middle is
//! nearest to the run's best point wins; of two as near, the one with the lower index.

use super::windows::{Block, Lone, Windows, allowed};
use crate::seat::{Orphans, Run};

/// The first seat of the `count` seats side by side that these runs offer; `None` when nothing fits, or for
/// no seats.
///
/// Only seats within the runs' segments are asked about. Work is proportional to the seats of the runs.
///
/// ```
/// use ticketon_domain::seat::{Orphans, Run, best::pick};
///
/// // One row of eight, the best point between seats 3 and 4, seat 2 taken.
/// let row = Run { start: 0, len: 8, segment_start: 0, segment_len: 8, centre_twice: 7 };
/// let free = |seat| seat != 2;
/// assert_eq!(pick(free, &[row], 2, Orphans::Allow), Some(3));
/// assert_eq!(pick(free, &[row], 3, Orphans::Allow), Some(3));
/// // Of the block 3..8, four side by side always leave one: then any place will do.
/// assert_eq!(pick(free, &[row], 4, Orphans::Lenient), Some(3));
/// assert_eq!(pick(free, &[row], 6, Orphans::Lenient), None);
/// ```
#[must_use]
pub fn pick(
    is_free: impl Fn(u32) -> bool,
    runs: &[Run],
    count: u32,
    orphans: Orphans,
) -> Option<u32> {
    first_place(&Asking(is_free), runs, count, orphans)
}

/// Finds free and taken seats of a map.
pub(super) trait Free {
    /// The first free seat of `from..to`, or `to`.
    fn next_free(&self, from: u32, to: u32) -> u32;
    /// The first seat of `from..to` that is not free, or `to`.
    fn next_taken(&self, from: u32, to: u32) -> u32;
    /// The first seat of the free stretch that ends with the free seat `at`, not before `floor`.
    fn stretch_start(&self, at: u32, floor: u32) -> u32;
}

/// A map that is asked seat by seat.
struct Asking<F>(F);

impl<F: Fn(u32) -> bool> Free for Asking<F> {
    fn next_free(&self, from: u32, to: u32) -> u32 {
        (from..to).find(|&seat| (self.0)(seat)).unwrap_or(to)
    }

    fn next_taken(&self, from: u32, to: u32) -> u32 {
        (from..to).find(|&seat| !(self.0)(seat)).unwrap_or(to)
    }

    fn stretch_start(&self, at: u32, floor: u32) -> u32 {
        (floor..at)
            .rev()
            .find(|&seat| !(self.0)(seat))
            .map_or(floor, |taken| taken + 1)
    }
}

/// The passes of a rule: a later one is made only when the earlier ones found nothing.
pub(super) const fn passes(orphans: Orphans) -> &'static [Lone] {
    match orphans {
        Orphans::Allow => &[Lone::Take],
        Orphans::Lenient => &[Lone::AvoidInBlock],
        Orphans::Strict => &[Lone::Avoid, Lone::Take],
    }
}

pub(super) fn first_place(
    free: &impl Free,
    runs: &[Run],
    count: u32,
    orphans: Orphans,
) -> Option<u32> {
    passes(orphans).iter().find_map(|&lone| {
        runs.iter().find_map(|run| {
            blocks(free, run)
                .filter_map(|block| Windows::of(block, run, count)?.settle(lone)?.nearest())
                .min()
                .map(|place| place.first)
        })
    })
}

/// The blocks of a run's segment that have a seat which the run allows, in order.
pub(super) fn blocks<'a, F: Free>(
    free: &'a F,
    run: &Run,
) -> impl Iterator<Item = Block> + use<'a, F> {
    let segment_start = run.segment_start;
    let segment_end = run.segment_start.saturating_add(run.segment_len);
    let (from, end) = allowed(run);
    let mut from = from;
    std::iter::from_fn(move || {
        let seat = free.next_free(from, end);
        if seat >= end {
            return None;
        }
        let block = Block {
            start: free.stretch_start(seat, segment_start),
            end: free.next_taken(seat, segment_end),
        };
        from = block.end;
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::super::oracle;
    use super::*;

    const RULES: [Orphans; 3] = [Orphans::Allow, Orphans::Lenient, Orphans::Strict];

    fn run(start: u32, len: u32, segment: (u32, u32), centre_twice: u32) -> Run {
        Run {
            start,
            len,
            segment_start: segment.0,
            segment_len: segment.1,
            centre_twice,
        }
    }

    #[test]
    fn every_state_of_every_small_row_agrees_with_the_definitions() {
        for seats in 0..=7_u32 {
            for (start, len) in (0..=seats).flat_map(|s| (0..=seats - s).map(move |l| (s, l))) {
                for taken in 0..1_u32 << seats {
                    let free = |seat: u32| taken >> seat & 1 == 0;
                    for centre in 0..=2 * seats {
                        let runs = [run(start, len, (0, seats), centre)];
                        for (count, rule) in (0..=4).flat_map(|n| RULES.map(|rule| (n, rule))) {
                            assert_eq!(
                                pick(free, &runs, count, rule),
                                oracle::pick(&free, &runs, count, rule),
                                "{runs:?} taken {taken:b} count {count} {rule:?}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_state_of_two_rows_agrees_with_the_definitions() {
        let orders = [
            [run(0, 6, (0, 6), 5), run(6, 6, (6, 6), 17)],
            [run(7, 4, (6, 6), 17), run(0, 5, (0, 6), 5)],
            [run(0, 3, (0, 12), 0), run(2, 10, (0, 12), 30)],
        ];
        for runs in orders {
            for taken in 0..1_u32 << 12 {
                let free = |seat: u32| taken >> seat & 1 == 0;
                for (count, rule) in (1..=5).flat_map(|n| RULES.map(|rule| (n, rule))) {
                    assert_eq!(
                        pick(free, &runs, count, rule),
                        oracle::pick(&free, &runs, count, rule),
                        "{runs:?} taken {taken:b} count {count} {rule:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn lenient_looks_at_the_block_and_strict_at_all_runs() {
        // Free: the block 0..3, where two always leave one; and the block 10..14.
        let runs = [run(0, 5, (0, 5), 2), run(10, 4, (10, 4), 23)];
        let free = |seat| !(3..10).contains(&seat);
        assert_eq!(pick(free, &runs, 2, Orphans::Lenient), Some(0));
        assert_eq!(pick(free, &runs, 2, Orphans::Strict), Some(10));
        assert_eq!(pick(free, &runs[..1], 2, Orphans::Strict), Some(0));
    }

    #[test]
    fn numbers_at_the_edge_do_not_overflow() {
        let far = run(u32::MAX - 4, u32::MAX, (u32::MAX - 4, u32::MAX), u32::MAX);
        assert_eq!(
            pick(|_| true, &[far], 4, Orphans::Lenient),
            Some(u32::MAX - 4)
        );
        assert_eq!(pick(|_| true, &[far], u32::MAX, Orphans::Allow), None);
        assert_eq!(
            pick(|_| true, &[run(9, 3, (0, 5), 0)], 1, Orphans::Allow),
            None
        );
    }
}
