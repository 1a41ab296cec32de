//! What a ranking is: runs to look at, the best first, in tiers.

use std::sync::Arc;

use super::choose::choose;
use crate::seat::{Orphans, Run};
use crate::venue::SeatIndex;

/// Where a request may be seated, the best first.
///
/// It has tiers. A later one is for when nothing fits in those before it: ask for them one after the other,
/// be it by [`Ranking::choose`] or by a [`Choice::Adjacent`](crate::seat::Choice::Adjacent) each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    count: u32,
    tiers: Vec<Arc<[Run]>>,
}

impl Ranking {
    pub(super) const fn new(count: u32, tiers: Vec<Arc<[Run]>>) -> Self {
        Self { count, tiers }
    }

    /// How many seats side by side.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// No place of the venue, were it empty, fits the request.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The tiers, each with 1 to [`MAX_RUNS`](crate::seat::MAX_RUNS) runs.
    #[must_use]
    pub fn tiers(&self) -> &[Arc<[Run]>] {
        &self.tiers
    }

    /// Seats for the request from a snapshot; `None` when nothing fits. See [`choose`].
    #[must_use]
    pub fn choose(
        &self,
        bits: &[u8],
        orphans: Orphans,
        places: u32,
        random: &mut impl FnMut() -> u64,
    ) -> Option<Vec<SeatIndex>> {
        self.tiers
            .iter()
            .find_map(|runs| choose(bits, runs, self.count, orphans, places, random))
    }
}
