//! What the model must keep after every call, stated without looking at how it does it.
//!
//! A [`View`] is what can be seen of a map from outside; the [`Witness`] compares the ones before and
//! after a call, and remembers what promises over time need. Both are taken at the same moment, so
//! whatever differs was done by the call.

macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

mod change;
mod given_back;
mod request;
mod sold;

use std::collections::{BTreeMap, HashMap};

use ticketon_domain::seat::{
    Changes, Hold, HoldId, Load, Mapped, Over, SeatMap, SeatState, SeatSync, Truth,
};
use ticketon_domain::venue::SeatIndex;

use self::change::{message_of, one_hold};
use self::given_back::GivenBack;
use self::sold::Sold;
use super::call::{Answer, Call};
use super::view::View;

/// What happened so far, as far as promises over time need it.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Who held each held seat last, also if their time is over.
    holders: BTreeMap<SeatIndex, Hold>,
    /// Of each id that held: the hash of its request, and when it was last seen alive.
    ids: HashMap<HoldId, (u64, i64)>,
    sold: Sold,
    given_back: GivenBack,
    /// The latest moment so far.
    latest: i64,
    last_fence: u64,
    last_epoch: u64,
}

fn is_over(hold: &Hold, now: i64) -> bool {
    hold.deadline_ms.is_some_and(|deadline| deadline <= now)
}

impl Witness {
    /// The store lost everything.
    pub(super) fn flush(&mut self) {
        self.holders.clear();
        self.ids.clear();
        self.sold = Sold::default();
        self.given_back = GivenBack::default();
    }

    /// Checks that a call kept the promises.
    pub(super) fn check(
        &mut self,
        call: &Call,
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        if let (Call::Begin(_, over), Answer::Epoch(_)) = (call, answer) {
            let is_seen = match (over, &before.map) {
                (Over::Any, _) => true,
                (Over::Ready { epoch }, Mapped::Ready(now)) => now.head.epoch == *epoch,
                (seen, Mapped::NotReady(why)) => *seen == Over::from(*why),
                _ => false,
            };
            let begins = matches!(answer, Answer::Epoch(Some(_)));
            ensure!(begins == is_seen, "S3: over {over:?}: {begins}");
        }
        if answer.is_not_ready() {
            ensure!(before == after, "S3: a refused call changed something");
            return Ok(());
        }
        if let Answer::Epoch(Some(epoch)) = answer {
            ensure!(*epoch > self.last_epoch, "S2: the epoch is not newer");
            self.last_epoch = *epoch;
            ensure!(after.snapshot().is_none(), "S3: ready before it is built");
            self.flush();
        }
        if let (Call::Load(epoch, _) | Call::Finish(epoch), Answer::Loaded(true)) = (call, answer) {
            ensure!(*epoch == self.last_epoch, "S3: an older rebuild goes on");
        }
        self.latest = self.latest.max(after.now);
        self.retry(call, answer, before)?;
        let timely = self.timely(call);
        if before.snapshot().is_some() && after.snapshot().is_some() {
            for seat in View::seats() {
                self.seat(seat, (call, &timely), answer, before, after)
                    .map_err(|why| format!("seat {seat}: {why}"))?;
            }
            for hold in before.living.values() {
                let now = after.living.get(&hold.fence);
                one_hold(hold, now, call, &timely, before.now)
                    .map_err(|why| format!("{hold:?}: {why}"))?;
            }
            self.new_holds(call, answer, before, after)?;
            self.refusals(call, answer, before, after)?;
            Self::not_blocked(call, answer, after)?;
        }
        self.sold.follow((call, &timely), answer, before, after);
        self.hear(call, answer, before, after);
        one_holder(after)?;
        self.holders
            .retain(|seat, _| after.state(*seat) == SeatState::Held);
        for hold in after.living.values() {
            for seat in &hold.seats {
                self.holders.insert(*seat, hold.clone());
            }
            if let Some((_, alive)) = self.ids.get_mut(&hold.id) {
                *alive = after.now;
            }
        }
        self.none_is_lost(call, answer, after)
    }

    /// Keeps under which fences seats were given back.
    fn hear(&mut self, call: &Call, answer: &Answer, before: &View, after: &View) {
        match (call, answer) {
            (Call::Sync(_, batch), _) => {
                for message in batch {
                    self.given_back.hear(message);
                }
            }
            (Call::Mend(_, batch), _) => {
                let freed = batch.iter().filter(|mend| {
                    mend.truth == Truth::Free
                        && before.state(mend.seat) == SeatState::Sold
                        && after.state(mend.seat) == SeatState::Free
                });
                for mend in freed {
                    self.given_back.mark(mend.seat, mend.found.owner);
                }
            }
            (Call::Load(_, seats), Answer::Loaded(true)) => {
                for load in seats {
                    if let Load::GivenBack { seat, fence } = load {
                        self.given_back.mark(*seat, *fence);
                    }
                }
            }
            _ => {}
        }
    }

    /// What a call says of the ledger, without the sales that come late; what a mend says may be overtaken.
    fn timely(&self, call: &Call) -> Vec<SeatSync> {
        match call {
            Call::Sync(_, batch) => self.given_back.clone().timely(batch),
            Call::Mend(_, batch) => batch.iter().map(message_of).collect(),
            _ => Vec::new(),
        }
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
