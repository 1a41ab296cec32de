//! One seat map, lived by the model and by the stores side by side.

use std::collections::VecDeque;

use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::seat::{
    Blocked, Held, Hold, HoldId, HoldKey, HoldReply, HoldRequest, Load, MapSpec, Mapped, Mend,
    Over, SeatMap, SeatStore, SeatSync,
};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{Clock, EventId, ManualClock, UserId};

use super::call::{Answer, Call};
use super::ledger::Ledger;
use super::step::{Message, USERS, of, spec};
use super::view::View;
use super::witness::Witness;
use super::{Beside, Met, PROCESSES, Right, Step, Verb};

/// Calls that may arrive again.
const REMEMBERED: usize = 12;
/// Seats that a keeper loads with one call.
const LOAD: usize = 3;

/// A rebuild that a keeper is at.
#[derive(Debug)]
enum Rebuild {
    /// It looked at the map, and will begin over what it saw.
    Seen(Over),
    Begun {
        epoch: u64,
        /// What it read of the ledger and has still to load, once it read.
        left: Option<Vec<Load>>,
    },
}

pub(super) struct Life<'a> {
    clock: ManualClock,
    event: EventId,
    model: SeatMap,
    memory: MemorySeatStore,
    beside: &'a [Beside],
    /// The epoch that was begun last.
    epoch: u64,
    /// Holds as they were taken, the oldest first.
    holds: Vec<Hold>,
    /// Holds that orders are paying with.
    paying: Vec<Hold>,
    ledger: Ledger,
    keepers: [Option<Rebuild>; PROCESSES as usize],
    /// What the last comparison found.
    mends: Vec<Mend>,
    sent: VecDeque<Call>,
    /// Whether the store was told something that the ledger never said.
    is_wild: bool,
    latest: i64,
    /// When the stores last lost everything; the clock does not go back behind it.
    lost_at: i64,
    witness: Witness,
    met: Met,
}

pub(super) fn user(index: u8) -> UserId {
    UserId::new(format!("사용자:{index}")).unwrap_or_else(|error| panic!("{error}"))
}

impl<'a> Life<'a> {
    /// A life of a map that nobody has built yet; the first step finds it built.
    pub(super) fn begin(clock: &ManualClock, beside: &'a [Beside], event: EventId) -> Self {
        Self {
            clock: clock.clone(),
            event,
            model: SeatMap::new(),
            memory: MemorySeatStore::new().with_clock(std::sync::Arc::new(clock.clone())),
            beside,
            epoch: 0,
            holds: Vec::new(),
            paying: Vec::new(),
            ledger: Ledger::default(),
            keepers: Default::default(),
            mends: Vec::new(),
            sent: VecDeque::new(),
            is_wild: false,
            latest: clock.now_ms(),
            lost_at: i64::MIN,
            witness: Witness::default(),
            met: Met::default(),
        }
    }

    pub(super) async fn take(&mut self, step: &Step) -> Result<(), String> {
        if self.met.steps == 0 {
            self.renew(0, 0).await?;
        }
        self.met.steps += 1;
        match step {
            Step::Wait(ms) => {
                let now = (self.clock.now_ms() + ms).max(self.lost_at);
                self.clock.set(now);
                self.latest = self.latest.max(now);
            }
            Step::Ask(by, verb) => {
                if let Some(call) = self.call_of(verb) {
                    self.send_remembered(*by, call).await?;
                }
            }
            Step::Lost(by, again, verb) => {
                if let Some(call) = self.call_of(verb) {
                    self.lose_an_answer(*by, *again, call).await?;
                }
            }
            Step::Late(by, back) => {
                let call = self.sent.get(usize::from(*back)).cloned();
                if let Some(call) = call.filter(|call| !self.ends_an_order(call)) {
                    self.met.repeated += 1;
                    self.send_remembered(*by, call).await?;
                }
            }
            Step::Buy(by, hold) => self.buy(*by, *hold).await?,
            Step::Pay(by, order, ok) => self.pay(*by, *order, *ok).await?,
            Step::Refund(sale, mask) => self.ledger.refund(*sale, &of(*mask)),
            Step::Deliver(by, count, is_lost) => self.deliver(*by, *count, *is_lost).await?,
            Step::Rebuild(by, index, calls) => {
                for _ in 0..*calls {
                    self.rebuild(*by, &spec(*index)).await?;
                }
            }
            Step::Crash(by) => self.keepers[usize::from(*by)] = None,
            Step::Renew(by, index) => {
                if self.model.head().ready().is_none() {
                    self.renew(*by, *index).await?;
                }
            }
            Step::Repair(by) => self.repair(*by).await?,
            Step::Flush => self.flush().await,
        }
        self.compare_with_the_ledger()
    }

    /// Everything is heard in the end; then every store is asked about everybody.
    pub(super) async fn end(mut self) -> Result<Met, String> {
        if self.model.head().ready().is_none() {
            self.renew(0, 0).await?;
        }
        while !self.ledger.outbox.is_empty() {
            self.deliver(0, 9, false).await?;
        }
        self.compare_with_the_ledger()?;
        self.repair(0).await?;
        let epoch = self.epoch;
        for who in 0..USERS {
            self.send(0, Call::HoldsOf(epoch, user(who))).await?;
        }
        for hold in self.holds.clone() {
            self.send(0, Call::Find(epoch, key(&hold))).await?;
        }
        self.send(0, Call::Changes(epoch, 0)).await?;
        Ok(self.met)
    }

    /// A hold that was taken, the newest is 0.
    fn hold(&self, index: u8) -> Option<&Hold> {
        self.holds.iter().rev().nth(usize::from(index))
    }

    /// The key that somebody with this right has of a hold; of one that never was, if there is none.
    fn key(&self, index: u8, right: Right) -> HoldKey {
        let Some(hold) = self.hold(index) else {
            let user = user(0);
            return HoldKey {
                id: HoldId::derive(&self.event, &user, "never"),
                user,
                fence: Some(1),
            };
        };
        let own = key(hold);
        match right {
            Right::Own => own,
            Right::Unfenced => HoldKey { fence: None, ..own },
            Right::Stale(other) => {
                let other = self.hold(other).map(|hold| hold.fence);
                let stale = other.filter(|fence| *fence != hold.fence);
                HoldKey {
                    fence: Some(stale.unwrap_or(hold.fence + 1)),
                    ..own
                }
            }
            Right::Foreign => {
                let others = (0..USERS).map(user);
                let foreign = others.into_iter().find(|one| *one != hold.user);
                HoldKey {
                    user: foreign.unwrap_or(own.user),
                    ..own
                }
            }
        }
    }

    /// The call, with what its sender knows at present; nothing where nobody would make it.
    fn call_of(&self, verb: &Verb) -> Option<Call> {
        let epoch = self.epoch;
        Some(match verb {
            Verb::Hold(who, number, wish, ttl_ms, limits) => {
                let user = user(*who);
                let request = HoldRequest {
                    id: HoldId::derive(&self.event, &user, &number.to_string()),
                    user,
                    // Of two wishes with the same key some have the same body.
                    request_hash: u64::from(matches!(wish, super::Wish::Seats(..))),
                    choice: wish.choice(),
                    ttl_ms: *ttl_ms,
                    limits: *limits,
                };
                Call::Hold(epoch, request)
            }
            Verb::Find(hold, right) => Call::Find(epoch, self.key(*hold, *right)),
            Verb::HoldsOf(who) => Call::HoldsOf(epoch, user(*who)),
            Verb::Extend(hold, right, ttl_ms, cap_ms) => {
                Call::Extend(epoch, self.key(*hold, *right), *ttl_ms, *cap_ms)
            }
            Verb::Release(hold, right) => Call::Release(epoch, self.key(*hold, *right)),
            Verb::Pin(hold, right) => Call::Pin(epoch, self.key(*hold, *right)),
            Verb::Unpin(hold, right, ttl_ms) => {
                let unpin = Call::Unpin(epoch, self.key(*hold, *right), *ttl_ms);
                if self.ends_an_order(&unpin) {
                    return None;
                }
                unpin
            }
            Verb::Block(mask) => Call::Block(epoch, of(*mask)),
            Verb::Unblock(mask) => Call::Unblock(epoch, of(*mask)),
            Verb::Sweep => Call::Sweep,
            Verb::Changes(back) => {
                let head = self.model.head().ready();
                let version = head.map_or(0, |head| head.version);
                Call::Changes(epoch, version.saturating_add_signed(-back))
            }
            Verb::Sync(batch) => {
                Call::Sync(epoch, batch.iter().map(|one| self.message(one)).collect())
            }
        })
    }

    /// Whether a call unpins a hold with the right fence while its order may still succeed, or has: only the order
    /// unpins, and it waits for the answer before it pins again.
    fn ends_an_order(&self, call: &Call) -> bool {
        let Call::Unpin(_, key, _) = call else {
            return false;
        };
        key.fence.is_some_and(|fence| {
            let is_paid_for = self.paying.iter().any(|order| order.fence == fence);
            is_paid_for || self.ledger.has_sold(fence)
        })
    }

    fn message(&self, message: &Message) -> SeatSync {
        let hold = self.hold(message.hold);
        let user = hold.map_or_else(|| user(0), |hold| hold.user.clone());
        let fence = hold.map_or(1, |hold| hold.fence);
        let seats = of(message.mask);
        if message.is_sold {
            SeatSync::Sold { user, fence, seats }
        } else {
            SeatSync::Released { user, fence, seats }
        }
    }

    async fn lose_an_answer(&mut self, by: u8, again: u8, call: Call) -> Result<(), String> {
        self.met.repeated += 1;
        self.send_remembered(by, call.clone()).await?;
        let once = self.model.clone();
        self.send_remembered(again, call.clone()).await?;
        if call.is_idempotent() && self.model != once {
            let twice = &self.model;
            return Err(format!("twice is not once: {once:#?} became {twice:#?}"));
        }
        Ok(())
    }

    /// An order pins its hold before anybody is charged.
    async fn buy(&mut self, by: u8, index: u8) -> Result<(), String> {
        let key = self.key(index, Right::Own);
        let pinned = self.send(by, Call::Pin(self.epoch, key)).await?;
        if let Answer::Reply(Mapped::Ready(HoldReply::Done(hold))) = pinned {
            let is_known = self.paying.iter().any(|order| order.fence == hold.fence);
            if !is_known && !self.ledger.has_sold(hold.fence) {
                self.paying.push(hold);
            }
        }
        Ok(())
    }

    /// The order's commit: the sale, or the end of the hold.
    async fn pay(&mut self, by: u8, order: u8, ok: bool) -> Result<(), String> {
        if usize::from(order) >= self.paying.len() {
            return Ok(());
        }
        let hold = self.paying.remove(usize::from(order));
        if ok && self.ledger.sell(&hold) {
            self.met.sold += hold.seats.len() as u64;
            return Ok(());
        }
        self.send(by, Call::Unpin(self.epoch, key(&hold), 0))
            .await
            .map(drop)
    }

    /// A message leaves the outbox only when its answer was heard.
    async fn deliver(&mut self, by: u8, count: u8, is_lost: bool) -> Result<(), String> {
        let count = usize::from(count).min(self.ledger.outbox.len());
        let batch: Vec<SeatSync> = self.ledger.outbox.range(..count).cloned().collect();
        let synced = self.send(by, Call::Sync(self.epoch, batch)).await?;
        if is_lost {
            self.met.repeated += 1;
        } else if !synced.is_not_ready() {
            self.ledger.outbox.drain(..count);
        }
        Ok(())
    }

    /// One step of a keeper's rebuild: it looks, begins over what it saw, reads the ledger, loads part by part, finishes.
    /// The second one rebuilds because somebody told it to.
    async fn rebuild(&mut self, by: u8, spec: &MapSpec) -> Result<(), String> {
        let keeper = usize::from(by);
        let (epoch, left) = match self.keepers[keeper].take() {
            None => {
                let over = match self.model.head() {
                    _ if by == 1 => Over::Any,
                    Mapped::Ready(head) => Over::Ready { epoch: head.epoch },
                    Mapped::NotReady(why) => why.into(),
                };
                self.keepers[keeper] = Some(Rebuild::Seen(over));
                return Ok(());
            }
            Some(Rebuild::Seen(over)) => {
                let begun = self.send(by, Call::Begin(spec.clone(), over)).await?;
                if let Answer::Epoch(Some(epoch)) = begun {
                    self.epoch = epoch;
                    self.keepers[keeper] = Some(Rebuild::Begun { epoch, left: None });
                } else {
                    self.met.outrun += 1;
                }
                return Ok(());
            }
            Some(Rebuild::Begun { epoch, left }) => (epoch, left),
        };
        let mut left = left.unwrap_or_else(|| self.ledger.read());
        if left.is_empty() {
            let finished = self.send(by, Call::Finish(epoch)).await?;
            self.met.rebuilt += u64::from(finished == Answer::Loaded(true));
            return Ok(());
        }
        let rest = left.split_off(left.len().min(LOAD));
        if by + 1 == PROCESSES {
            // The answers of this one are lost, so it loads everything twice.
            self.send(by, Call::Load(epoch, left.clone())).await?;
        }
        if self.send(by, Call::Load(epoch, left)).await? == Answer::Loaded(true) {
            let left = Some(rest);
            self.keepers[keeper] = Some(Rebuild::Begun { epoch, left });
        }
        Ok(())
    }

    async fn renew(&mut self, by: u8, index: u8) -> Result<(), String> {
        self.keepers[usize::from(by)] = None;
        self.rebuild(by, &spec(index)).await?;
        while self.keepers[usize::from(by)].is_some() {
            self.rebuild(by, &spec(index)).await?;
        }
        Ok(())
    }

    /// A keeper compares the map with the ledger and mends what differs, once nothing is on its way. Then the map says what
    /// the ledger says, and every order that is paid with a hold has it; a map that heard nothing wrong is left alone.
    async fn repair(&mut self, by: u8) -> Result<(), String> {
        if !self.ledger.outbox.is_empty() {
            return Ok(());
        }
        let epoch = self.epoch;
        let owned = self
            .send(by, Call::Owners(epoch, SeatIndex::new(0)))
            .await?;
        let pinned = self.send(by, Call::Pinned(epoch, 0)).await?;
        let (Answer::Owned(Mapped::Ready(owned)), Answer::Holds(Mapped::Ready(pinned))) =
            (owned, pinned)
        else {
            return Ok(());
        };
        self.met.compared += 1;
        let mends = self.ledger.mends(&owned);
        if !self.is_wild && !mends.is_empty() {
            return Err(format!("a map that heard everything differs: {mends:?}"));
        }
        self.met.mended += mends.len() as u64;
        let late = std::mem::replace(&mut self.mends, mends.clone());
        self.send(by, Call::Mend(epoch, mends)).await?;
        if let Mapped::Ready(snapshot) = self.model.snapshot() {
            self.ledger.agrees(&snapshot)?;
        }
        let (idle, used): (Vec<Hold>, Vec<Hold>) = pinned
            .into_iter()
            .partition(|hold| self.ledger.is_idle(hold, &self.paying));
        self.met.mended += idle.len() as u64;
        for hold in idle {
            self.send(by, Call::Unpin(epoch, key(&hold), 60_000))
                .await?;
        }
        if !self.is_wild {
            let left = self.send(by, Call::Pinned(epoch, 0)).await?;
            if left != Answer::Holds(Mapped::Ready(used.clone())) {
                return Err(format!("{used:?} were pinned, of all are {left:?}"));
            }
            // Of a map that never was wrong nothing comes late.
            return Ok(());
        }
        self.send(by, Call::Mend(epoch, late)).await.map(drop)
    }

    /// Every store loses everything, and is back later than ever before: that is what new fences and epochs rely on.
    async fn flush(&mut self) {
        self.model = SeatMap::new();
        self.memory.clear();
        for store in self.beside {
            (store.flush)().await;
        }
        self.latest += 1;
        self.lost_at = self.latest;
        self.clock.set(self.latest);
        self.witness.flush();
    }

    async fn send_remembered(&mut self, by: u8, call: Call) -> Result<(), String> {
        self.is_wild |= matches!(call, Call::Sync(..));
        self.send(by, call.clone()).await?;
        self.sent.push_front(call);
        self.sent.truncate(REMEMBERED);
        Ok(())
    }

    /// Makes a call everywhere: by this process, where there are several. Compares the answers and the maps after it, and
    /// checks the promises.
    async fn send(&mut self, by: u8, call: Call) -> Result<Answer, String> {
        let now = self.clock.now_ms();
        let before = View::of(&self.model, now);
        let answer = call.ask_model(&mut self.model, now);
        let after = View::of(&self.model, now);
        for store in self.stores(by) {
            let got = call.ask(store, &self.event).await;
            if !matches!(&got, Ok(got) if *got == answer) {
                let name = store.name();
                return Err(format!(
                    "{call:?}\n{name:>9} answers: {got:?}\nthe model answers: {answer:?}"
                ));
            }
            let got = store.snapshot(&self.event).await;
            if !matches!(&got, Ok(got) if *got == after.map) {
                let (name, map) = (store.name(), &after.map);
                return Err(format!(
                    "after {call:?}\n{name:>9} shows: {got:?}\nthe model shows: {map:?}"
                ));
            }
        }
        self.model.check()?;
        self.witness
            .check(&call, &answer, &before, &after)
            .and_then(|()| self.witness.follow(&self.model, &before, &after))
            .map_err(|why| {
                format!("{why}\nbefore: {before:?}\n{call:?}\nanswer: {answer:?}\nafter: {after:?}")
            })?;
        self.remember(&answer, &before, &after, &call);
        Ok(answer)
    }

    /// Keeps what people and organisers learn from answers.
    fn remember(&mut self, answer: &Answer, before: &View, after: &View, call: &Call) {
        self.met.not_ready += u64::from(answer.is_not_ready());
        if let Answer::Held(Mapped::Ready(held)) = answer {
            match held {
                Held::Taken(hold) if !before.living.contains_key(&hold.fence) => {
                    self.met.taken += 1;
                    self.holds.push(hold.clone());
                }
                Held::Taken(_) => {}
                _ => self.met.refused += 1,
            }
        }
        if let (Some(was), Some(is)) = (before.snapshot(), after.snapshot()) {
            let same_map = was.head.epoch == is.head.epoch;
            let freed = was.head.counts.held.saturating_sub(is.head.counts.held);
            let by_time = matches!(call, Call::Sweep) && same_map;
            self.met.expired += u64::from(freed) * u64::from(by_time);
        }
        match (call, answer) {
            (Call::Block(_, seats), Answer::Blocked(Mapped::Ready(Blocked::Done))) => {
                self.ledger.blocked.extend(seats);
            }
            (Call::Unblock(_, seats), Answer::Blocked(Mapped::Ready(_))) => {
                self.ledger.blocked.retain(|seat| !seats.contains(seat));
            }
            _ => {}
        }
    }

    /// The stores, as this process has them.
    fn stores(&self, by: u8) -> impl Iterator<Item = &dyn SeatStore> {
        let memory: &dyn SeatStore = &self.memory;
        std::iter::once(memory).chain(self.beside.iter().map(move |store| store.by(by)))
    }

    /// A map that has heard everything says what the ledger says.
    fn compare_with_the_ledger(&mut self) -> Result<(), String> {
        if self.is_wild || !self.ledger.outbox.is_empty() {
            return Ok(());
        }
        if let Mapped::Ready(snapshot) = self.model.snapshot() {
            self.met.settled += 1;
            self.ledger.agrees(&snapshot)?;
        }
        Ok(())
    }
}

fn key(hold: &Hold) -> HoldKey {
    HoldKey {
        id: hold.id,
        user: hold.user.clone(),
        fence: Some(hold.fence),
    }
}
