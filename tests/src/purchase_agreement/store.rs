//! A store of orders that is nothing but the model behind a lock, and that can leave a guard out.
//!
//! It decides as [`OrderRecord::decide`] does, keeps all or nothing, and has the two unique keys. Lives over it take
//! no I/O, so a search can live thousands; and a test can take a guard away and see that a promise breaks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_domain::audit::Entry;
use ticketon_domain::outbox::NewMessage;
use ticketon_domain::purchase::correlation::correlation;
use ticketon_domain::purchase::{
    Begun, Change, Changed, Command, Created, OrderId, OrderPage, OrderRecord, PaymentKey,
    PendingMessage, PurchaseStore, RequestEnd, RequestKey, TicketId, TicketState,
};
use ticketon_domain::seat::{GivenBack, HoldId, Page, SeatLedger, SoldSeat};
use ticketon_domain::venue::SeatLabel;
use ticketon_queue::{EventId, StoreError, UnixMs, UserId};

/// What a store may leave out, to show what it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a guard")]
pub struct Guards {
    /// A seat has one live ticket.
    pub one_ticket_a_seat: bool,
    /// The result of an older lease is refused.
    pub fence: bool,
    /// Nobody takes a lease that another has.
    pub lease: bool,
    /// A failed order is looked at once more.
    pub late_check: bool,
    /// What the map must be told is written down with the change.
    pub messages: bool,
    /// The events are written down with the change.
    pub news: bool,
}

impl Guards {
    /// None is left out.
    pub const ALL: Self = Self {
        one_ticket_a_seat: true,
        fence: true,
        lease: true,
        late_check: true,
        messages: true,
        news: true,
    };
}

/// Orders in memory. Clones share them.
#[derive(Debug, Clone)]
pub struct ModelStore {
    guards: Guards,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    orders: BTreeMap<OrderId, OrderRecord>,
    entries: HashMap<OrderId, Vec<Entry>>,
    news: Vec<NewMessage>,
    messages: BTreeMap<u64, PendingMessage>,
    messages_ever: u64,
    requests: HashMap<RequestKey, Request>,
    blocked: BTreeSet<(EventId, SeatLabel)>,
}

#[derive(Debug)]
struct Request {
    hash: String,
    began_ms: UnixMs,
    until_ms: UnixMs,
    answer: Option<String>,
}

impl ModelStore {
    /// An empty store with these guards.
    #[must_use]
    pub fn new(guards: Guards) -> Self {
        Self {
            guards,
            books: Arc::default(),
        }
    }

    /// All news ever, in the order of their commits.
    #[must_use]
    pub fn news(&self) -> Vec<NewMessage> {
        self.books().news.clone()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command as a store without some guard would take it.
    fn unguarded(&self, record: &OrderRecord, command: &Command) -> (OrderRecord, Command) {
        let (mut record, mut command) = (record.clone(), command.clone());
        if !self.guards.lease && matches!(command, Command::TakeUp { .. } | Command::Confirm { .. })
        {
            record.work.lease = None;
        }
        if !self.guards.fence {
            let held = record
                .work
                .lease
                .map_or(record.work.fence, |lease| lease.fence);
            match &mut command {
                Command::Paid { fence, .. }
                | Command::PutOff { fence, .. }
                | Command::Refunded { fence, .. }
                | Command::RefundRefused { fence, .. }
                | Command::LateChecked { fence, .. } => *fence = held,
                Command::Fail {
                    fence: Some(fence), ..
                } => *fence = held,
                _ => {}
            }
        }
        if let Command::Fail { late_check_ms, .. } = &mut command
            && !self.guards.late_check
        {
            *late_check_ms = None;
        }
        (record, command)
    }
}

impl Books {
    fn write(&mut self, change: &Change, guards: Guards) {
        let order = &change.record.order;
        self.orders.insert(order.id, change.record.clone());
        let entries = self.entries.entry(order.id).or_default();
        entries.extend(change.entries.iter().cloned());
        if guards.news {
            self.news.extend(change.news.iter().cloned());
        }
        if !guards.messages {
            return;
        }
        for message in &change.messages {
            self.messages_ever += 1;
            let id = self.messages_ever;
            let pending = PendingMessage {
                id,
                event: order.event.clone(),
                order: order.id,
                message: message.clone(),
            };
            self.messages.insert(id, pending);
        }
    }

    /// Live tickets of other orders on the seats of this one.
    fn taken(&self, record: &OrderRecord) -> Vec<SeatLabel> {
        let live = |one: &OrderRecord| {
            let live = one
                .order
                .tickets
                .iter()
                .filter(|ticket| ticket.state.is_live());
            live.map(|ticket| ticket.seat.clone()).collect::<Vec<_>>()
        };
        let mine = live(record);
        let others = self.orders.values().filter(|other| {
            other.order.id != record.order.id && other.order.event == record.order.event
        });
        let mut taken: Vec<SeatLabel> = others.flat_map(live).collect();
        taken.retain(|seat| mine.contains(seat));
        taken.sort();
        taken
    }

    fn find(&self, is: impl Fn(&OrderRecord) -> bool) -> Option<OrderRecord> {
        self.orders.values().find(|record| is(record)).cloned()
    }

    fn page(
        &self,
        before: Option<&OrderId>,
        limit: usize,
        is: impl Fn(&OrderRecord) -> bool,
    ) -> OrderPage {
        let older = |id: &OrderId| before.is_none_or(|before| id < before);
        let mut found = self
            .orders
            .iter()
            .rev()
            .filter(|(id, record)| older(id) && is(record))
            .map(|(_, record)| Arc::new(record.clone()));
        let items: Vec<Arc<OrderRecord>> = found.by_ref().take(limit.max(1)).collect();
        let more = found.next().is_some();
        let next = items.last().filter(|_| more).map(|last| last.order.id);
        OrderPage { items, next }
    }
}

#[async_trait]
impl PurchaseStore for ModelStore {
    async fn create(&self, change: &Change) -> Result<Created, StoreError> {
        let mut books = self.books();
        let order = &change.record.order;
        if books.orders.contains_key(&order.id) {
            return Ok(Created::Done);
        }
        let claims = |other: &OrderRecord| {
            other.order.hold == order.hold
                && other.order.event == order.event
                && other.order.state.claims_hold()
        };
        if let Some(other) = books.find(claims) {
            return Ok(Created::Claimed(Box::new(other)));
        }
        books.write(change, self.guards);
        Ok(Created::Done)
    }

    async fn change(
        &self,
        order: &OrderId,
        command: &Command,
        now_ms: UnixMs,
    ) -> Result<Changed, StoreError> {
        let mut books = self.books();
        let Some(before) = books.orders.get(order) else {
            return Ok(Changed::Unknown);
        };
        let (record, command) = self.unguarded(before, command);
        let change = match record.decide(&command, now_ms) {
            Ok(change) => change.correlated(correlation().as_deref()),
            Err(refused) => return Ok(Changed::Refused(refused, Box::new(before.clone()))),
        };
        if let Some(claim) = &change.record.order.payment {
            let of_payment = |other: &OrderRecord| {
                let theirs = other.order.payment.as_ref();
                other.order.id != *order && theirs.is_some_and(|theirs| theirs.key == claim.key)
            };
            if books.find(of_payment).is_some() {
                return Ok(Changed::PaymentTaken);
            }
        }
        let taken = books.taken(&change.record);
        if self.guards.one_ticket_a_seat && !taken.is_empty() {
            return Ok(Changed::SeatsTaken(taken));
        }
        books.write(&change, self.guards);
        Ok(Changed::Done(Box::new(change.record)))
    }

    async fn order(&self, order: &OrderId) -> Result<Option<OrderRecord>, StoreError> {
        Ok(self.books().orders.get(order).cloned())
    }

    async fn order_of_payment(&self, key: &PaymentKey) -> Result<Option<OrderRecord>, StoreError> {
        Ok(self.books().find(|record| {
            let claim = record.order.payment.as_ref();
            claim.is_some_and(|claim| claim.key == *key)
        }))
    }

    async fn order_of_hold(
        &self,
        event: &EventId,
        hold: &HoldId,
    ) -> Result<Option<OrderRecord>, StoreError> {
        Ok(self.books().find(|record| {
            let order = &record.order;
            order.event == *event && order.hold == *hold && order.state.claims_hold()
        }))
    }

    async fn order_of_ticket(&self, ticket: &TicketId) -> Result<Option<OrderRecord>, StoreError> {
        Ok(self
            .books()
            .find(|record| record.order.ticket(ticket).is_some()))
    }

    async fn orders_of(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        Ok(self
            .books()
            .page(before, limit, |record| record.user == *user))
    }

    async fn orders_with_tickets(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        let has = |record: &OrderRecord| {
            let paid = |state: TicketState| state.is_live() && state != TicketState::Reserved;
            record.user == *user && record.order.tickets.iter().any(|ticket| paid(ticket.state))
        };
        Ok(self.books().page(before, limit, has))
    }

    async fn entries(
        &self,
        order: &OrderId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let books = self.books();
        let entries = books.entries.get(order).into_iter().flatten();
        let after = entries.filter(|entry| entry.seq > after_seq).take(limit);
        Ok(after.cloned().collect())
    }

    async fn attention(
        &self,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        let needs = |record: &OrderRecord| record.work.attention.is_some();
        Ok(self.books().page(before, limit, needs))
    }

    async fn due(&self, now_ms: UnixMs, limit: usize) -> Result<Vec<OrderId>, StoreError> {
        let books = self.books();
        let due = books.orders.iter().filter_map(|(id, record)| {
            let due_ms = record.due_ms().filter(|due_ms| *due_ms <= now_ms)?;
            Some((due_ms, *id))
        });
        let mut due: Vec<(UnixMs, OrderId)> = due.collect();
        due.sort_unstable();
        Ok(due.into_iter().take(limit).map(|(_, id)| id).collect())
    }

    async fn begin_request(
        &self,
        key: &RequestKey,
        hash: &str,
        now_ms: UnixMs,
        until_ms: UnixMs,
    ) -> Result<Begun, StoreError> {
        let mut books = self.books();
        if let Some(known) = books.requests.get_mut(key) {
            if known.hash != hash {
                return Ok(Begun::Mismatch);
            }
            if let Some(answer) = &known.answer {
                return Ok(Begun::Answered(answer.clone()));
            }
            if now_ms < known.until_ms {
                let until_ms = known.until_ms;
                return Ok(Begun::Running { until_ms });
            }
            known.until_ms = until_ms;
            return Ok(Begun::Go);
        }
        let request = Request {
            hash: hash.to_owned(),
            began_ms: now_ms,
            until_ms,
            answer: None,
        };
        books.requests.insert(key.clone(), request);
        Ok(Begun::Go)
    }

    async fn end_request(&self, key: &RequestKey, end: RequestEnd<'_>) -> Result<(), StoreError> {
        let mut books = self.books();
        let open = |request: &&mut Request| request.answer.is_none();
        let Some(request) = books.requests.get_mut(key).filter(open) else {
            return Ok(());
        };
        match end {
            RequestEnd::Answered(answer) => request.answer = Some(answer.to_owned()),
            RequestEnd::Again => request.until_ms = 0,
            RequestEnd::Forgotten => drop(books.requests.remove(key)),
        }
        Ok(())
    }

    async fn forget_requests(&self, before_ms: UnixMs) -> Result<u64, StoreError> {
        let mut books = self.books();
        let before = books.requests.len();
        books.requests.retain(|_, request| {
            let is_over = request.answer.is_some() || request.until_ms < before_ms;
            request.began_ms >= before_ms || !is_over
        });
        Ok((before - books.requests.len()) as u64)
    }

    async fn seat_messages(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<PendingMessage>, StoreError> {
        let books = self.books();
        let later = books.messages.range(after + 1..).take(limit);
        Ok(later.map(|(_, message)| message.clone()).collect())
    }

    async fn seat_messages_of(&self, order: &OrderId) -> Result<Vec<PendingMessage>, StoreError> {
        let books = self.books();
        let of = books
            .messages
            .values()
            .filter(|message| message.order == *order);
        Ok(of.cloned().collect())
    }

    async fn applied(&self, messages: &[u64]) -> Result<(), StoreError> {
        let mut books = self.books();
        for id in messages {
            books.messages.remove(id);
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "model"
    }
}

#[async_trait]
impl SeatLedger for ModelStore {
    async fn sold(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SoldSeat>, StoreError> {
        let books = self.books();
        let of_event = books
            .orders
            .values()
            .filter(|record| record.order.event == *event);
        let live = of_event.flat_map(|record| {
            let live = record
                .order
                .tickets
                .iter()
                .filter(|ticket| ticket.state.is_live());
            live.map(|ticket| {
                let sold = SoldSeat {
                    seat: ticket.seat.clone(),
                    user: record.user.clone(),
                    fence: record.order.fence,
                };
                (ticket.seat.clone(), sold)
            })
        });
        let sold: BTreeMap<SeatLabel, SoldSeat> = live
            .filter(|(seat, _)| after.is_none_or(|after| seat > after))
            .collect();
        let more = sold.len() > limit;
        let items: Vec<SoldSeat> = sold.into_values().take(limit).collect();
        let next = items.last().filter(|_| more).map(|last| last.seat.clone());
        Ok(Page { items, next })
    }

    async fn given_back(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<GivenBack>, StoreError> {
        let books = self.books();
        let of_event = books
            .orders
            .values()
            .filter(|record| record.order.event == *event);
        let mut newest: BTreeMap<SeatLabel, u64> = BTreeMap::new();
        for record in of_event {
            let tickets = record.order.tickets.iter();
            for ticket in tickets.filter(|ticket| ticket.state == TicketState::Refunded) {
                let fence = newest.entry(ticket.seat.clone()).or_default();
                *fence = record.order.fence.max(*fence);
            }
        }
        newest.retain(|seat, _| after.is_none_or(|after| seat > after));
        let more = newest.len() > limit;
        let items = newest.into_iter().take(limit);
        let items: Vec<GivenBack> = items
            .map(|(seat, fence)| GivenBack { seat, fence })
            .collect();
        let next = items.last().filter(|_| more).map(|last| last.seat.clone());
        Ok(Page { items, next })
    }

    async fn blocked(
        &self,
        event: &EventId,
        _after: Option<&SeatLabel>,
        _limit: usize,
    ) -> Result<Page<SeatLabel>, StoreError> {
        let books = self.books();
        let of_event = books.blocked.iter().filter(|(of, _)| of == event);
        let items = of_event.map(|(_, seat)| seat.clone()).collect();
        Ok(Page { items, next: None })
    }

    async fn set_blocked(
        &self,
        event: &EventId,
        seats: &[SeatLabel],
        blocked: bool,
    ) -> Result<(), StoreError> {
        let mut books = self.books();
        for seat in seats {
            let one = (event.clone(), seat.clone());
            if blocked {
                books.blocked.insert(one);
            } else {
                books.blocked.remove(&one);
            }
        }
        Ok(())
    }
}
