//! What happened, for those who follow a map.

use super::SeatMap;
use crate::seat::store::{Change, Changes, KEPT_CHANGES, MAX_CHANGES, Mapped};
use crate::venue::SeatIndex;

impl SeatMap {
    /// See [`SeatStore::changes`](crate::seat::SeatStore::changes).
    #[must_use]
    pub fn changes(&self, epoch: u64, after: u64) -> Mapped<Changes> {
        self.reading(Some(epoch), || {
            // Versions have no gaps, so the newest one and their number tell the oldest.
            let forgotten = self.version - self.changes.len() as u64;
            if after > self.version || after < forgotten {
                return Changes::Gap;
            }
            let known = (after - forgotten) as usize;
            let since = self.changes.iter().skip(known).take(MAX_CHANGES);
            Changes::Since(since.cloned().collect())
        })
    }

    /// Makes one change of what the present call wrote.
    pub(super) fn publish(&mut self) {
        if self.written.is_empty() {
            return;
        }
        self.version += 1;
        let written = std::mem::take(&mut self.written);
        let seat = |(index, state)| (SeatIndex::new(index), state);
        self.changes.push_back(Change {
            version: self.version,
            seats: written.into_iter().map(seat).collect(),
        });
        if self.changes.len() > KEPT_CHANGES {
            self.changes.pop_front();
        }
    }
}
