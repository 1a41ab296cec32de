//! Under which fences seats were given back, as far as the store was told.

use std::collections::BTreeMap;

use ticketon_domain::seat::SeatSync;
use ticketon_domain::venue::SeatIndex;

/// Of each seat the newest such fence.
#[derive(Debug, Clone, Default)]
pub(super) struct GivenBack(BTreeMap<SeatIndex, u64>);

impl GivenBack {
    pub(super) fn mark(&mut self, seat: SeatIndex, fence: u64) {
        let newest = self.0.entry(seat).or_default();
        *newest = fence.max(*newest);
    }

    pub(super) fn hear(&mut self, message: &SeatSync) {
        if let SeatSync::Released { fence, seats, .. } = message {
            for seat in seats {
                self.mark(*seat, *fence);
            }
        }
    }

    /// Whether a sale of this seat under this fence is one that was given back, or is older than one.
    fn is_late(&self, seat: SeatIndex, fence: u64) -> bool {
        self.0.get(&seat).is_some_and(|newest| *newest >= fence)
    }

    /// These messages, heard one after the other, without the seats whose sale comes late.
    pub(super) fn timely(mut self, batch: &[SeatSync]) -> Vec<SeatSync> {
        let mut timely = Vec::with_capacity(batch.len());
        for message in batch {
            let mut kept = message.clone();
            if let SeatSync::Sold { fence, seats, .. } = &mut kept {
                seats.retain(|seat| !self.is_late(*seat, *fence));
            }
            self.hear(message);
            timely.push(kept);
        }
        timely
    }
}
