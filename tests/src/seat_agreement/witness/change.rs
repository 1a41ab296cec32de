//! What a call may do to a seat, and to a hold that lives.

use ticketon_domain::seat::{
    Blocked, Held, Hold, HoldKey, Mapped, Mend, SeatState, SeatSync, Truth,
};
use ticketon_domain::venue::SeatIndex;

use super::{Witness, is_over};
use crate::seat_agreement::call::{Answer, Call};
use crate::seat_agreement::life::user;
use crate::seat_agreement::view::View;

impl Witness {
    /// S1, S2: how the state of one seat may change, and by which call.
    pub(super) fn seat(
        &self,
        seat: SeatIndex,
        call: &Call,
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        use SeatState::{Blocked as Shut, Free, Held as Taken, Sold};
        let holder = self.holders.get(&seat);
        let frees = holder.is_some_and(|hold| may_end(hold, seat, call, before.now));
        let holds = match answer {
            Answer::Held(Mapped::Ready(Held::Taken(hold))) => hold.seats.contains(&seat),
            _ => false,
        };
        let is_done = *answer == Answer::Blocked(Mapped::Ready(Blocked::Done));
        let blocks = matches!(call, Call::Block(_, seats) if is_done && seats.contains(&seat));
        let unblocks = matches!(call, Call::Unblock(_, seats) if is_done && seats.contains(&seat));
        let syncs = |sold| told(&messages(call), sold, |_| true).contains(&seat);
        let is_fine = match (before.state(seat), after.state(seat)) {
            (Free, Taken) => holds,
            (Taken, Taken) => {
                let now = after.living.values().find(|one| one.seats.contains(&seat));
                let same = match (holder, now) {
                    (Some(was), Some(now)) => was.fence == now.fence,
                    _ => true,
                };
                same || holds && frees
            }
            (Taken, Free) => frees,
            (Free, Shut) => blocks,
            (Taken, Shut) => blocks && frees,
            (Shut, Free) => unblocks || syncs(true) && syncs(false),
            (Free, Sold) => syncs(true) && self.must_be_sold(seat, call) != Some(false),
            (Free, Free) => !after.has(seat) || self.must_be_sold(seat, call) != Some(true),
            (Taken | Shut, Sold) => syncs(true),
            (Sold, Free) => syncs(false),
            (was, is) => was == is,
        };
        ensure!(
            is_fine,
            "S1: was {:?} by {holder:?}, is {:?}",
            before.state(seat),
            after.state(seat)
        );
        ensure!(!blocks || after.state(seat) == Shut, "it should be blocked");
        ensure!(
            !unblocks || !after.has(seat) || after.state(seat) != Shut,
            "it should not be blocked"
        );
        Ok(())
    }

    /// Whether a message that sells a free seat counts, where that is known: it does, unless the seat was given back under
    /// this fence or a newer one, so that the message is late.
    fn must_be_sold(&self, seat: SeatIndex, call: &Call) -> Option<bool> {
        let Call::Sync(_, batch) = call else {
            return None;
        };
        let [SeatSync::Sold { fence, seats, .. }] = &batch[..] else {
            return None;
        };
        let given_back = self.given_back.get(&seat).copied().unwrap_or(Some(0))?;
        seats.contains(&seat).then_some(given_back < *fence)
    }
}

/// S2: whether this call may end the holder's hold of this seat.
fn may_end(hold: &Hold, seat: SeatIndex, call: &Call, now: i64) -> bool {
    let is_pinned = hold.deadline_ms.is_none();
    match call {
        Call::Sync(..) | Call::Mend(..) => {
            let batch = messages(call);
            let own = |fence| fence == hold.fence;
            let others = told(&batch, true, |fence| !own(fence));
            let is_lost = if is_pinned {
                others.contains(&seat)
            } else {
                hold.seats.iter().any(|one| others.contains(one))
            };
            let is_told = told(&batch, false, own).contains(&seat);
            is_lost || is_told
        }
        Call::Find(..) | Call::HoldsOf(..) | Call::Changes(..) | Call::Unblock(..) => false,
        Call::Owners(..) | Call::Pinned(..) => false,
        _ if is_over(hold, now) => true,
        Call::Release(_, key) => proves(key, hold) && !is_pinned,
        Call::Unpin(_, key, ttl_ms) => {
            proves(key, hold) && key.fence.is_some() && is_pinned && *ttl_ms <= 0
        }
        _ => false,
    }
}

/// S2: what may become of a living hold.
pub(super) fn one_hold(
    was: &Hold,
    now: Option<&Hold>,
    call: &Call,
    now_ms: i64,
) -> Result<(), String> {
    let Some(is) = now else {
        // It may have been sold, wholly.
        let told = told(&messages(call), true, |_| true);
        let is_sold = was.seats.iter().any(|seat| told.contains(seat));
        let may = was
            .seats
            .iter()
            .any(|seat| may_end(was, *seat, call, now_ms));
        ensure!(is_sold || may, "S2: it ended");
        return Ok(());
    };
    let mut same = was.clone();
    same.deadline_ms = is.deadline_ms;
    same.seats.retain(|seat| is.seats.contains(seat));
    ensure!(same == *is, "S2: it became {is:?}");
    let is_sync = match call {
        Call::Sync(_, batch) => {
            let own = |fence| fence == was.fence;
            let mut others = told(batch, true, |fence| !own(fence));
            let of_own = [told(batch, true, own), told(batch, false, own)].concat();
            others.retain(|seat| was.seats.contains(seat) && !of_own.contains(seat));
            ensure!(
                was.deadline_ms.is_none() || others.is_empty(),
                "S1: it lives without {others:?}"
            );
            true
        }
        Call::Mend(..) => true,
        _ => false,
    };
    ensure!(is_sync || was.seats == is.seats, "S1: it lost seats");
    if was.deadline_ms == is.deadline_ms {
        return Ok(());
    }
    let is_fine = match (call, was.deadline_ms, is.deadline_ms) {
        (Call::Extend(_, key, ttl_ms, cap_ms), Some(old), Some(new)) => {
            proves(key, was)
                && new > old
                && new <= now_ms + ttl_ms
                && new <= was.taken_at_ms + cap_ms
        }
        (Call::Pin(_, key), Some(_), None) => proves(key, was) && key.fence.is_some(),
        (Call::Unpin(_, key, ttl_ms), None, Some(new)) => {
            proves(key, was) && key.fence.is_some() && new <= now_ms + ttl_ms && new > now_ms
        }
        _ => false,
    };
    ensure!(is_fine, "S2: its end became {:?}", is.deadline_ms);
    Ok(())
}

/// Whether a key proves the right to a hold.
fn proves(key: &HoldKey, hold: &Hold) -> bool {
    key.id == hold.id && key.user == hold.user && key.fence.is_none_or(|fence| fence == hold.fence)
}

/// What a call says of the ledger; what a mend says may be overtaken.
fn messages(call: &Call) -> Vec<SeatSync> {
    match call {
        Call::Sync(_, batch) => batch.clone(),
        Call::Mend(_, batch) => {
            let one = |mend: &Mend| {
                let seats = vec![mend.seat];
                match &mend.truth {
                    Truth::Sold { user, fence } => SeatSync::Sold {
                        user: user.clone(),
                        fence: *fence,
                        seats,
                    },
                    Truth::Free => SeatSync::Released {
                        user: user(0),
                        fence: mend.found.owner,
                        seats,
                    },
                }
            };
            batch.iter().map(one).collect()
        }
        _ => Vec::new(),
    }
}

/// The seats that a batch says are sold, or given back, under a fence or under another one.
fn told(batch: &[SeatSync], sold: bool, is_fence: impl Fn(u64) -> bool) -> Vec<SeatIndex> {
    let one = |message: &SeatSync| match message {
        SeatSync::Sold { fence, seats, .. } if sold && is_fence(*fence) => seats.clone(),
        SeatSync::Released { fence, seats, .. } if !sold && is_fence(*fence) => seats.clone(),
        _ => Vec::new(),
    };
    batch.iter().flat_map(one).collect()
}
