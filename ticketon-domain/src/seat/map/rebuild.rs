//! Building a map from the ledger. A rebuild begins over what its caller saw, so of many who see the same map gone one
//! begins; the newest wins. Nothing of the map before it stays but the last fence, so that what was sold and held
//! under old fences is never taken for new.

use ticketon_queue::UnixMs;

use super::{Phase, SeatMap, next};
use crate::seat::state::{Counts, SeatState};
use crate::seat::store::{Load, MapSpec, Over};

impl SeatMap {
    /// See [`SeatStore::begin_rebuild`](crate::seat::SeatStore::begin_rebuild).
    pub fn begin_rebuild(&mut self, spec: &MapSpec, over: Over, now: UnixMs) -> Option<u64> {
        let is_so = match over {
            Over::Any => true,
            Over::Absent => self.phase == Phase::Absent,
            Over::Rebuilding { epoch } => self.phase == Phase::Rebuilding && self.epoch == epoch,
            Over::Ready { epoch } => self.phase == Phase::Ready && self.epoch == epoch,
        };
        if !is_so {
            return None;
        }
        let epoch = next(self.epoch, now);
        *self = Self {
            phase: Phase::Rebuilding,
            epoch,
            spec: spec.clone(),
            counts: Counts {
                free: spec.seats,
                ..Counts::default()
            },
            last_fence: self.last_fence,
            bits: vec![0; SeatState::packed_len(spec.seats)],
            owners: vec![0; spec.seats as usize],
            ..Self::new()
        };
        Some(epoch)
    }

    /// See [`SeatStore::load`](crate::seat::SeatStore::load).
    pub fn load(&mut self, epoch: u64, seats: &[Load]) -> bool {
        if self.phase != Phase::Rebuilding || self.epoch != epoch {
            return false;
        }
        for load in seats {
            match load {
                Load::Sold { seat, user, fence } => {
                    self.last_fence = self.last_fence.max(*fence);
                    let owner = self.owner(*seat);
                    let is_sold = self.state(*seat) == SeatState::Sold;
                    if !self.has(*seat) || is_sold && owner >= *fence {
                        continue;
                    }
                    if is_sold {
                        self.count_unsold(owner);
                    }
                    self.put(*seat, SeatState::Sold, Some(*fence));
                    self.count_sold(*fence, user);
                }
                Load::GivenBack { seat, fence } => {
                    if self.has(*seat) {
                        self.mark(*seat, *fence);
                    }
                }
                Load::Blocked { seat } => {
                    if self.is_free(*seat) {
                        self.put(*seat, SeatState::Blocked, None);
                    }
                }
            }
        }
        // Nobody follows a map that is not ready: it begins at version 0 as it was loaded.
        self.written.clear();
        true
    }

    /// See [`SeatStore::finish_rebuild`](crate::seat::SeatStore::finish_rebuild).
    pub fn finish_rebuild(&mut self, epoch: u64) -> bool {
        let is_of_it = self.phase != Phase::Absent && self.epoch == epoch;
        if is_of_it {
            self.phase = Phase::Ready;
        }
        is_of_it
    }
}
