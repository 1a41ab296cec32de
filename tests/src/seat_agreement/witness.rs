//! What the model must keep after every call, stated without looking at how it does it.
//!
//! A [`View`] is what can be seen of a map from outside; the [`Witness`] compares the ones before and
//! after a call, and remembers what promises over time need. Both are taken at the same moment, so
//! whatever differs was done by the call.

use std::collections::BTreeMap;

use ticketon_domain::seat::{
    Changes, Choice, Held, Hold, HoldKey, HoldRequest, Mapped, SeatMap, SeatState, SeatSync,
};
use ticketon_domain::venue::SeatIndex;

use super::call::{Answer, Call};
use super::view::View;

macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

/// What happened so far, as far as promises over time need it.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Who held each held seat last, also if their time is over.
    holders: BTreeMap<SeatIndex, Hold>,
    last_fence: u64,
    last_epoch: u64,
}

fn is_over(hold: &Hold, now: i64) -> bool {
    hold.deadline_ms.is_some_and(|deadline| deadline <= now)
}

/// Whether a key proves the right to a hold.
fn proves(key: &HoldKey, hold: &Hold) -> bool {
    key.id == hold.id && key.user == hold.user && key.fence.is_none_or(|fence| fence == hold.fence)
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

impl Witness {
    /// The store lost everything.
    pub(super) fn flush(&mut self) {
        self.holders.clear();
    }

    /// Checks that a call kept the promises.
    pub(super) fn check(
        &mut self,
        call: &Call,
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        if answer.is_not_ready() {
            ensure!(before == after, "S3: a refused call changed something");
        }
        if let Answer::Epoch(epoch) = answer {
            ensure!(*epoch > self.last_epoch, "S2: the epoch is not newer");
            self.last_epoch = *epoch;
            ensure!(after.snapshot().is_none(), "S3: ready before it is built");
            self.holders.clear();
        }
        if before.snapshot().is_some() && after.snapshot().is_some() {
            for seat in View::seats() {
                self.seat(seat, call, answer, before, after)
                    .map_err(|why| format!("seat {seat}: {why}"))?;
            }
            for hold in before.living.values() {
                let now = after.living.get(&hold.fence);
                one_hold(hold, now, call, before.now).map_err(|why| format!("{hold:?}: {why}"))?;
            }
            self.new_holds(call, answer, before, after)?;
            refusals(call, answer, before, after)?;
        }
        one_holder(after)?;
        self.holders
            .retain(|seat, _| after.state(*seat) == SeatState::Held);
        for hold in after.living.values() {
            for seat in &hold.seats {
                self.holders.insert(*seat, hold.clone());
            }
        }
        self.none_is_lost(call, answer, after)
    }

    /// S1, S2: how the state of one seat may change, and by which call.
    fn seat(
        &self,
        seat: SeatIndex,
        call: &Call,
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        use SeatState::{Blocked, Free, Held as Taken, Sold};
        let holder = self.holders.get(&seat);
        let frees = holder.is_some_and(|hold| may_end(hold, seat, call, before.now));
        let is_asked_for = match call {
            Call::Hold(..) => {
                matches!(answer, Answer::Held(Mapped::Ready(Held::Taken(hold))) if hold.seats.contains(&seat))
            }
            Call::Block(_, seats) | Call::Unblock(_, seats) => seats.contains(&seat),
            _ => false,
        };
        let (holds, blocks) = (
            matches!(call, Call::Hold(..)) && is_asked_for,
            matches!(call, Call::Block(..)) && is_asked_for,
        );
        let syncs = |sold| match call {
            Call::Sync(_, batch) => told(batch, sold, |_| true).contains(&seat),
            _ => false,
        };
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
            (Free, Blocked) => blocks,
            (Taken, Blocked) => blocks && frees,
            (Blocked, Free) => {
                matches!(call, Call::Unblock(..)) && is_asked_for || syncs(true) && syncs(false)
            }
            (_, Sold) if before.state(seat) != Sold => syncs(true),
            (Sold, Free) => syncs(false),
            (was, is) => was == is,
        };
        ensure!(
            is_fine,
            "S1: was {:?} by {holder:?}, is {:?}",
            before.state(seat),
            after.state(seat)
        );
        Ok(())
    }

    /// S1, S2: a new hold is whole, is what was asked for, within the limits, and newer than all before.
    fn new_holds(
        &mut self,
        call: &Call,
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        let mut new = after
            .living
            .values()
            .filter(|hold| !before.living.contains_key(&hold.fence));
        let (Some(hold), None) = (new.next(), new.next()) else {
            ensure!(new.next().is_none(), "S1: two holds of one call");
            return Ok(());
        };
        let Call::Hold(epoch, request) = call else {
            return Err(format!("S2: {hold:?} was not asked for"));
        };
        ensure!(
            *answer == Answer::Held(Mapped::Ready(Held::Taken(hold.clone()))),
            "S1: {hold:?} was taken"
        );
        let is_theirs = hold.id == request.id && hold.user == request.user && hold.epoch == *epoch;
        ensure!(is_theirs, "S2: {hold:?} is somebody else's");
        ensure!(hold.fence > self.last_fence, "S2: the fence is not newer");
        self.last_fence = hold.fence;
        fits(request, hold)?;
        let theirs = after.living.values().filter(|one| one.user == hold.user);
        let has: usize = theirs.map(|one| one.seats.len()).sum();
        ensure!(
            hold.seats.len() <= request.limits.per_order as usize,
            "more than an order may have"
        );
        ensure!(
            has <= request.limits.per_user as usize,
            "more than a person may have"
        );
        Ok(())
    }

    /// S4: what is held is held by a living hold, or by one whose time is over and that no sweep has met.
    fn none_is_lost(&self, call: &Call, answer: &Answer, after: &View) -> Result<(), String> {
        for seat in View::seats() {
            if after.state(seat) != SeatState::Held {
                continue;
            }
            let Some(hold) = self.holders.get(&seat) else {
                return Err(format!("S1: seat {seat} is held by nobody"));
            };
            let lives = after.living.contains_key(&hold.fence);
            ensure!(
                lives || is_over(hold, after.now),
                "S1: seat {seat} is held by {hold:?}, which has ended"
            );
            let swept = matches!(call, Call::Sweep)
                && matches!(answer, Answer::Swept(Mapped::Ready(swept)) if !swept.more);
            ensure!(
                lives || !swept,
                "S4: seat {seat} is held by {hold:?} after a sweep"
            );
        }
        Ok(())
    }

    /// S3: what changed is told, as one change.
    pub(super) fn follow(
        &self,
        model: &SeatMap,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        let (Some(was), Some(is)) = (before.snapshot(), after.snapshot()) else {
            return Ok(());
        };
        let Mapped::Ready(Changes::Since(changes)) = model.changes(is.head.epoch, was.head.version)
        else {
            return Err("S3: the last change is not told".to_owned());
        };
        ensure!(changes.len() <= 1, "S3: two changes of one call");
        ensure!(
            was.head.version + changes.len() as u64 == is.head.version,
            "S3: the version is not the number of changes"
        );
        let mut bits = was.bits.to_vec();
        for (seat, state) in changes.iter().flat_map(|change| &change.seats) {
            state.put(&mut bits, *seat);
        }
        ensure!(bits == is.bits, "S3: {changes:?} is not what changed");
        Ok(())
    }
}

/// S1: no seat has two holders.
fn one_holder(view: &View) -> Result<(), String> {
    let mut holders: BTreeMap<SeatIndex, u64> = BTreeMap::new();
    for hold in view.living.values() {
        for seat in &hold.seats {
            let other = holders.insert(*seat, hold.fence);
            ensure!(other.is_none(), "S1: {hold:?} and {other:?} share {seat}");
            let state = view.state(*seat);
            ensure!(
                state == SeatState::Held,
                "S1: {seat} of {hold:?} is {state:?}"
            );
        }
    }
    Ok(())
}

/// S2: whether this call may end the holder's hold of this seat.
fn may_end(hold: &Hold, seat: SeatIndex, call: &Call, now: i64) -> bool {
    let is_pinned = hold.deadline_ms.is_none();
    match call {
        Call::Sync(_, batch) => {
            let own = |fence| fence == hold.fence;
            let others = told(batch, true, |fence| !own(fence));
            let is_lost = if is_pinned {
                others.contains(&seat)
            } else {
                hold.seats.iter().any(|one| others.contains(one))
            };
            let is_told = told(batch, false, own).contains(&seat);
            is_lost || is_told
        }
        Call::Find(..) | Call::HoldsOf(..) | Call::Changes(..) | Call::Unblock(..) => false,
        _ if is_over(hold, now) => true,
        Call::Release(_, key) => proves(key, hold) && !is_pinned,
        Call::Unpin(_, key, ttl_ms) => {
            proves(key, hold) && key.fence.is_some() && is_pinned && *ttl_ms <= 0
        }
        _ => false,
    }
}

/// S2: what may become of a living hold.
fn one_hold(was: &Hold, now: Option<&Hold>, call: &Call, now_ms: i64) -> Result<(), String> {
    let Some(is) = now else {
        // It may have been sold, wholly.
        let is_sold = match call {
            Call::Sync(_, batch) => {
                let told = told(batch, true, |_| true);
                was.seats.iter().any(|seat| told.contains(seat))
            }
            _ => false,
        };
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
    let is_sync = matches!(call, Call::Sync(..));
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

/// Whether a hold is what was asked for.
fn fits(request: &HoldRequest, hold: &Hold) -> Result<(), String> {
    let first = hold.seats.first().map_or(0, |seat| seat.get());
    let is_fine = match &request.choice {
        Choice::Seats(seats) => *seats == hold.seats,
        Choice::Adjacent { count, runs, .. } => {
            let side_by_side = (first..).map(SeatIndex::new);
            let is_inside = runs
                .iter()
                .any(|run| run.start <= first && first + count <= run.start + run.len);
            hold.seats.len() == *count as usize
                && is_inside
                && hold
                    .seats
                    .iter()
                    .copied()
                    .eq(side_by_side.take(*count as usize))
        }
        Choice::Units {
            count, start, len, ..
        } => {
            let area = *start..*start + *len;
            hold.seats.len() == *count as usize
                && hold.seats.iter().all(|unit| area.contains(&unit.get()))
        }
    };
    ensure!(is_fine, "S1: {hold:?} is not {:?}", request.choice);
    let lasts = hold.deadline_ms.map(|end| end - hold.taken_at_ms);
    ensure!(
        lasts.is_some_and(|lasts| lasts > 0 && (lasts <= request.ttl_ms || lasts == 1)),
        "{hold:?} lasts too long"
    );
    Ok(())
}

/// S1, S4: who is refused could not have had what they asked for.
fn refusals(call: &Call, answer: &Answer, before: &View, after: &View) -> Result<(), String> {
    let (Call::Hold(_, request), Answer::Held(Mapped::Ready(held))) = (call, answer) else {
        return Ok(());
    };
    let is_free = |seat: u32| after.state(SeatIndex::new(seat)) == SeatState::Free;
    match (held, &request.choice) {
        (Held::Taken(_), _) => return Ok(()),
        (Held::Unavailable { seats }, Choice::Seats(asked)) => {
            ensure!(!seats.is_empty(), "S1: refused for no seat");
            for seat in asked {
                let is_named = seats.contains(seat);
                ensure!(
                    is_named != is_free(seat.get()),
                    "S1: {seat} is named: {is_named}"
                );
                let living = |hold: &Hold| hold.seats.contains(seat);
                let is_held = after.state(*seat) == SeatState::Held;
                ensure!(
                    !is_held || after.living.values().any(living),
                    "S4: {seat} is refused for a hold whose time is over"
                );
            }
        }
        (
            Held::NoSeats,
            Choice::Units {
                count, start, len, ..
            },
        ) => {
            let free = (*start..*start + *len)
                .filter(|unit| is_free(*unit))
                .count();
            ensure!(
                free < *count as usize || *count == 0,
                "S4: {free} units are free"
            );
        }
        (Held::NoSeats, Choice::Adjacent { count, runs, .. }) => {
            let fits = runs.iter().any(|run| {
                let firsts = run.start..(run.start + run.len + 1).saturating_sub(*count);
                firsts
                    .into_iter()
                    .any(|first| (first..first + count).all(is_free))
            });
            ensure!(!fits || *count == 0, "S4: there is a place");
        }
        (Held::NoSeats, Choice::Seats(asked)) => {
            ensure!(asked.is_empty(), "S1: no answer about {asked:?}");
        }
        (Held::Unavailable { .. }, _) => return Err("S1: nobody named a seat".to_owned()),
        _ => {}
    }
    // All or none.
    for (fence, hold) in &before.living {
        ensure!(
            after.living.get(fence) == Some(hold),
            "S1: a refusal changed {hold:?}"
        );
    }
    Ok(())
}
