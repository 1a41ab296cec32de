//! Windows of a block: where in it a group may sit, and which of that is best.
//!
//! The definitions are [`adjacent`](super::adjacent)'s. Nothing here walks the windows of a block: at most
//! two of them leave a lone seat, so what is asked is found by looking at a few.

use crate::seat::Run;

/// What a pass over the runs does about windows that leave a lone seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lone {
    /// Takes them like others.
    Take,
    /// Takes them from a block that has no others.
    AvoidInBlock,
    /// Never takes them.
    Avoid,
}

/// A window: ordered by how far its middle is from the run's best point, then by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Twice the distance.
    pub(super) distance: i64,
    /// Its first seat.
    pub(super) first: u32,
}

/// A maximal stretch of free seats, `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// The seats that a run allows, as `start..end`; never past its segment.
pub(super) fn allowed(run: &Run) -> (u32, u32) {
    let segment_end = run.segment_start.saturating_add(run.segment_len);
    let start = run.start.max(run.segment_start);
    let end = run.start.saturating_add(run.len).min(segment_end);
    (start, end.max(start))
}

/// The windows of a block that a run allows, at least one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    block: Block,
    count: u32,
    centre_twice: u32,
    /// The first seats of the first and of the last window.
    low: u32,
    high: u32,
    /// Whether windows that leave a lone seat are left out.
    avoid: bool,
}

impl Windows {
    /// All windows; `None` when there are none.
    pub(super) fn of(block: Block, run: &Run, count: u32) -> Option<Self> {
        let (start, end) = allowed(run);
        let low = block.start.max(start);
        let high = block.end.min(end).checked_sub(count)?;
        (count > 0 && low <= high).then_some(Self {
            block,
            count,
            centre_twice: run.centre_twice,
            low,
            high,
            avoid: false,
        })
    }

    /// Those that a pass may take; `None` when there are none.
    pub(super) fn settle(self, lone: Lone) -> Option<Self> {
        let careful = Self {
            avoid: true,
            ..self
        };
        match lone {
            Lone::Take => Some(self),
            Lone::AvoidInBlock if careful.is_empty() => Some(self),
            Lone::Avoid if careful.is_empty() => None,
            Lone::AvoidInBlock | Lone::Avoid => Some(careful),
        }
    }

    fn is_empty(&self) -> bool {
        // At most two windows of a block leave a lone seat.
        self.high - self.low < 2 && !(self.low..=self.high).any(|first| self.has(first))
    }

    /// Whether the window that begins here may be taken.
    fn has(&self, first: u32) -> bool {
        (self.low..=self.high).contains(&first) && !(self.avoid && self.leaves_lone(first))
    }

    fn leaves_lone(&self, first: u32) -> bool {
        first - self.block.start == 1 || self.block.end - first - self.count == 1
    }

    /// The window that begins here.
    fn place(&self, first: u32) -> Place {
        let middle_twice = 2 * i64::from(first) + i64::from(self.count) - 1;
        Place {
            distance: (middle_twice - i64::from(self.centre_twice)).abs(),
            first,
        }
    }

    /// The one whose middle is nearest to the best point.
    pub(super) fn nearest(&self) -> Option<Place> {
        let ideal = (i64::from(self.centre_twice) - i64::from(self.count) + 1).div_euclid(2);
        let ideal = u32::try_from(ideal).unwrap_or(0).clamp(self.low, self.high);
        if self.has(ideal) {
            return Some(self.place(ideal));
        }
        // At most two windows leave a lone seat, so the nearest that does not is among the nearest three.
        (ideal.saturating_sub(2)..=ideal.saturating_add(2))
            .filter(|&first| self.has(first))
            .map(|first| self.place(first))
            .min()
    }

    /// Windows side by side, none over another, with the nearest one among them.
    pub(super) fn tiles(self) -> Option<Tiles> {
        let nearest = self.nearest()?.first;
        Some(Tiles {
            first: nearest - (nearest - self.low) / self.count * self.count,
            windows: self,
        })
    }
}

/// Windows of a block that lie side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    windows: Windows,
    /// Where the first one begins, be it one that may be taken or not.
    first: u32,
}

impl Tiles {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let windows = &self.windows;
        let steps = (windows.high - self.first) / windows.count;
        // Two leave a lone seat, if they exist: one on their left, one on their right. They may be the same.
        let left = windows.block.start + 1;
        let right = windows.block.end.checked_sub(windows.count + 1);
        let right = right.filter(|&right| right != left);
        let left_out = [Some(left), right].into_iter().flatten();
        let left_out = left_out.filter(|&at| windows.avoid && self.has_tile(at));
        steps as usize + 1 - left_out.count()
    }

    fn has_tile(&self, at: u32) -> bool {
        (self.first..=self.windows.high).contains(&at)
            && (at - self.first).is_multiple_of(self.windows.count)
    }

    pub(super) fn places(self) -> impl Iterator<Item = Place> {
        let windows = self.windows;
        (self.first..=windows.high)
            .step_by(windows.count as usize)
            .filter(move |&first| windows.has(first))
            .map(move |first| windows.place(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_counted_without_walking_them() {
        for (seats, centre) in
            (1..=12_u32).flat_map(|seats| (0..=2 * seats).map(move |c| (seats, c)))
        {
            for (start, len) in (0..seats).flat_map(|s| (1..=seats - s).map(move |l| (s, l))) {
                let (row, block) = (
                    Run {
                        start,
                        len,
                        segment_start: 0,
                        segment_len: seats,
                        centre_twice: centre,
                    },
                    Block {
                        start: 0,
                        end: seats,
                    },
                );
                for (count, lone) in (1..=4).flat_map(|n| {
                    [Lone::Take, Lone::AvoidInBlock, Lone::Avoid].map(|lone| (n, lone))
                }) {
                    let windows = Windows::of(block, &row, count).and_then(|all| all.settle(lone));
                    let Some(tiles) = windows.and_then(Windows::tiles) else {
                        continue;
                    };
                    assert_eq!(tiles.count(), tiles.places().count(), "{tiles:?}");
                    assert!(
                        tiles
                            .places()
                            .any(|place| Some(place) == tiles.windows.nearest())
                    );
                }
            }
        }
    }
}
