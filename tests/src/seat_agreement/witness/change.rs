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
    /// S1, S2: how the state of one seat may change, and by which call, which says this of the ledger that does not come
    /// late.
    pub(super) fn seat(
        &self,
        seat: SeatIndex,
        (call, timely): (&Call, &[SeatSync]),
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        use SeatState::{Blocked as Shut, Free, Held as Taken, Sold};
        let holder = self.holders.get(&seat);
        let frees = holder.is_some_and(|hold| may_end(hold, seat, call, timely, before.now));
        let holds = match answer {
            Answer::Held(Mapped::Ready(Held::Taken(hold))) => hold.seats.contains(&seat),
            _ => false,
        };
        let is_done = *answer == Answer::Blocked(Mapped::Ready(Blocked::Done));
        let blocks = matches!(call, Call::Block(_, seats) if is_done && seats.contains(&seat));
        let unblocks = matches!(call, Call::Unblock(_, seats) if is_done && seats.contains(&seat));
        let syncs = |sold| told(timely, sold, |_| true).contains(&seat);
        // Whatever it was: a single message cannot be undone by another of its batch.
        let must_be_sold = matches!(call, Call::Sync(_, batch) if batch.len() == 1) && syncs(true);
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
            (Free | Taken | Shut, Sold) => syncs(true),
            (Sold, Free) => syncs(false),
            (was, is) => was == is,
        };
        ensure!(
            is_fine,
            "S1: was {:?} by {holder:?}, is {:?}",
            before.state(seat),
            after.state(seat)
        );
        ensure!(
            !must_be_sold || !after.has(seat) || after.state(seat) == Sold,
            "S3: it should be sold"
        );
        ensure!(!blocks || after.state(seat) == Shut, "it should be blocked");
        ensure!(
            !unblocks || !after.has(seat) || after.state(seat) != Shut,
            "it should not be blocked"
        );
        Ok(())
    }
}

/// S2: whether this call may end the holder's hold of this seat.
fn may_end(hold: &Hold, seat: SeatIndex, call: &Call, timely: &[SeatSync], now: i64) -> bool {
    let is_pinned = hold.deadline_ms.is_none();
    match call {
        Call::Sync(..) | Call::Mend(..) => {
            let own = |fence| fence == hold.fence;
            let others = told(timely, true, |fence| !own(fence));
            let is_lost = if is_pinned {
                others.contains(&seat)
            } else {
                hold.seats.iter().any(|one| others.contains(one))
            };
            let is_told = told(timely, false, own).contains(&seat);
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
    timely: &[SeatSync],
    now_ms: i64,
) -> Result<(), String> {
    let Some(is) = now else {
        // It may have been sold, wholly.
        let told = told(timely, true, |_| true);
        let is_sold = was.seats.iter().any(|seat| told.contains(seat));
        let may = was
            .seats
            .iter()
            .any(|seat| may_end(was, *seat, call, timely, now_ms));
        ensure!(is_sold || may, "S2: it ended");
        return Ok(());
    };
    let mut same = was.clone();
    same.deadline_ms = is.deadline_ms;
    same.seats.retain(|seat| is.seats.contains(seat));
    ensure!(same == *is, "S2: it became {is:?}");
    let is_sync = match call {
        Call::Sync(..) => {
            let own = |fence| fence == was.fence;
            let mut others = told(timely, true, |fence| !own(fence));
            let of_own = [told(timely, true, own), told(timely, false, own)].concat();
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

/// What a mend says of the ledger.
pub(super) fn message_of(mend: &Mend) -> SeatSync {
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
