//! Taking a hold: the order in which it is refused, and what it writes.

use ticketon_queue::{UnixMs, UserId};

use super::end::is_remembered;
use super::{Entry, Has, Known, SeatMap};
use crate::seat::hold::Hold;
use crate::seat::state::SeatState;
use crate::seat::store::{Choice, Held, HoldRequest, MAX_HOLD_MS, MAX_HOLD_SEATS, Mapped};
use crate::venue::SeatIndex;

impl SeatMap {
    /// See [`SeatStore::hold`](crate::seat::SeatStore::hold).
    pub fn hold(&mut self, epoch: u64, request: &HoldRequest, now: UnixMs) -> Mapped<Held> {
        self.changing(Some(epoch), |map| {
            map.try_hold(request, now).unwrap_or_else(|refused| refused)
        })
    }

    /// In this order: the id, the limit of an order, the limit of a person, the seats.
    fn try_hold(&mut self, request: &HoldRequest, now: UnixMs) -> Result<Held, Held> {
        if let Some(known) = self.hold_before(request, now) {
            return Ok(known);
        }
        let asked = asked(&request.choice);
        if asked > request.limits.per_order || asked as usize > MAX_HOLD_SEATS {
            return Err(Held::OverOrderLimit { asked });
        }
        self.end_expired_of(&request.user, now);
        let has = self.seats_of(&request.user);
        if u64::from(has) + u64::from(asked) > u64::from(request.limits.per_user) {
            return Err(Held::OverUserLimit { has });
        }
        let seats = self.choose(&request.choice, now)?;
        Ok(Held::Taken(self.take(request, seats, now)))
    }

    /// What a request whose id is known already is answered: the same seats never go twice to one id.
    fn hold_before(&mut self, request: &HoldRequest, now: UnixMs) -> Option<Held> {
        if let Some(Known::Living { fence }) = self.ids.get(&request.id) {
            self.end_if_expired(*fence, now);
        }
        match *self.ids.get(&request.id)? {
            Known::Living { fence } => {
                let entry = self.holds.get(&fence)?;
                Some(if entry.request_hash == request.request_hash {
                    Held::Taken(entry.hold.clone())
                } else {
                    Held::Mismatch
                })
            }
            Known::Ended { at, .. } if !is_remembered(at, now) => None,
            Known::Ended {
                reason,
                request_hash,
                ..
            } => Some(if request_hash == request.request_hash {
                Held::Ended { reason }
            } else {
                Held::Mismatch
            }),
        }
    }

    fn take(&mut self, request: &HoldRequest, seats: Vec<SeatIndex>, now: UnixMs) -> Hold {
        let fence = self.next_fence(now);
        let deadline = now.saturating_add(request.ttl_ms.clamp(1, MAX_HOLD_MS));
        for seat in &seats {
            self.put(*seat, SeatState::Held, Some(fence));
        }
        let (id, user) = (request.id, request.user.clone());
        let hold = Hold::new(id, self.epoch, user, fence, seats, now, Some(deadline));
        // An end of this id that is too old to count was not forgotten yet.
        if let Some(Known::Ended { at, .. }) = self.ids.insert(id, Known::Living { fence }) {
            self.ended.remove(&(at, id));
        }
        self.deadlines.insert((deadline, fence));
        self.update_user(&request.user, |has| {
            has.holds.insert(fence);
        });
        let entry = Entry {
            hold: hold.clone(),
            request_hash: request.request_hash,
        };
        self.holds.insert(fence, entry);
        hold
    }

    fn end_expired_of(&mut self, user: &UserId, now: UnixMs) {
        let holds = self.users.get(user).map(|has| has.holds.clone());
        for fence in holds.unwrap_or_default() {
            self.end_if_expired(fence, now);
        }
    }

    /// How many seats a person has, held and sold.
    fn seats_of(&self, user: &UserId) -> u32 {
        self.users.get(user).map_or(0, |has| {
            let held = has.holds.iter().filter_map(|fence| self.holds.get(fence));
            has.sold + held.map(|entry| entry.hold.seats.len() as u32).sum::<u32>()
        })
    }

    /// Changes what a person has; who has nothing is forgotten.
    pub(super) fn update_user(&mut self, user: &UserId, update: impl FnOnce(&mut Has)) {
        let has = self.users.entry(user.clone()).or_default();
        update(has);
        if *has == Has::default() {
            self.users.remove(user);
        }
    }
}

fn asked(choice: &Choice) -> u32 {
    match choice {
        Choice::Seats(seats) => u32::try_from(seats.len()).unwrap_or(u32::MAX),
        Choice::Adjacent { count, .. } | Choice::Units { count, .. } => *count,
    }
}
