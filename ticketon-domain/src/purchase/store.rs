//! The store port of purchases: orders, tickets, idempotency keys, and what the seat map has yet to be told.
//!
//! Every verb is one transaction. [`create`](PurchaseStore::create) and [`change`](PurchaseStore::change) write an
//! order, its tickets, its audit entries, its outbox messages and its seat messages together; after a crash there is
//! all of it or nothing. A verb whose answer was lost may be sent again: a change is decided anew from what is stored.
//!
//! Two rules are the store's own, and the last word: a seat of an event has at most one live ticket
//! (`UNIQUE(event, seat, live)`), and a hold is claimed by at most one order that is pending, being paid or paid.

use std::sync::Arc;

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError, UnixMs, UserId};

use super::command::{Command, Refused};
use super::message::SeatMessage;
use super::record::{Change, OrderRecord};
use super::{OrderId, PaymentKey, TicketId};
use crate::audit::Entry;
use crate::seat::HoldId;
use crate::venue::SeatLabel;

/// The most orders of one page.
pub const MAX_ORDERS: usize = 100;
/// The most seat messages that are read at once.
pub const MAX_MESSAGES: usize = 500;
/// The most due orders that are listed at once.
pub const MAX_DUE: usize = 200;

/// The most idempotency keys that are forgotten at once.
pub const MAX_FORGOTTEN: u64 = 1_000;

/// What came of making an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is made.
    Done,
    /// The hold is claimed by this order already.
    Claimed(Box<OrderRecord>),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// It is done and written down.
    Done(Box<OrderRecord>),
    /// It was refused; this is the order as it is.
    Refused(Refused, Box<OrderRecord>),
    /// Other people's live tickets are on these seats; nothing was changed.
    SeatsTaken(Vec<SeatLabel>),
    /// The payment is bound to another order; nothing was changed.
    PaymentTaken,
    /// There is no such order.
    Unknown,
}

/// Orders, the newest first, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderPage {
    /// The orders.
    pub items: Vec<Arc<OrderRecord>>,
    /// What to give as `before` for more; `None` at the end.
    pub next: Option<OrderId>,
}

/// A seat message that was not applied yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMessage {
    /// Its number: messages of one order are applied in this order.
    pub id: u64,
    /// The event whose map it is for.
    pub event: EventId,
    /// The order that it comes from.
    pub order: OrderId,
    /// What it says.
    pub message: SeatMessage,
}

/// Names one request of one person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Who asks.
    pub user: UserId,
    /// What for, for example `confirm`.
    pub operation: &'static str,
    /// Their idempotency key, 1 to 128 visible ASCII characters.
    pub key: String,
}

/// Whether a request may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It may: it is new, or whoever ran it has died.
    Go,
    /// It runs already.
    Running {
        /// Until when, at the latest.
        until_ms: UnixMs,
    },
    /// It was answered.
    Answered(String),
    /// The key was used for another request.
    Mismatch,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestEnd<'a> {
    /// With this answer, for good.
    Answered(&'a str),
    /// With an answer that may change: the same may be asked again at once, and still nothing else under its key.
    Again,
    /// As if it had not been made.
    Forgotten,
}

/// Where orders are kept.
#[async_trait]
pub trait PurchaseStore: Send + Sync + std::fmt::Debug + 'static {
    /// Writes a new order down, unless its hold is claimed.
    async fn create(&self, change: &Change) -> Result<Created, StoreError>;

    /// Lets [`OrderRecord::decide`] decide what a command makes of an order, under a lock on it, and writes that down. Its
    /// messages carry the [`correlation`](super::correlation::correlation) of the caller
    /// ([`Change::correlated`]), if there is one.
    async fn change(
        &self,
        order: &OrderId,
        command: &Command,
        now_ms: UnixMs,
    ) -> Result<Changed, StoreError>;

    /// An order, as it is now.
    async fn order(&self, order: &OrderId) -> Result<Option<OrderRecord>, StoreError>;

    /// The order that a payment is bound to.
    async fn order_of_payment(&self, key: &PaymentKey) -> Result<Option<OrderRecord>, StoreError>;

    /// The order that claims a hold.
    async fn order_of_hold(
        &self,
        event: &EventId,
        hold: &HoldId,
    ) -> Result<Option<OrderRecord>, StoreError>;

    /// The order of a ticket.
    async fn order_of_ticket(&self, ticket: &TicketId) -> Result<Option<OrderRecord>, StoreError>;

    /// A person's orders, the newest first; at most `limit`, which is at most [`MAX_ORDERS`]. May be read from a replica.
    async fn orders_of(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError>;

    /// Like [`orders_of`](Self::orders_of), but only those that have live tickets which are paid for.
    async fn orders_with_tickets(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError>;

    /// What happened to an order: its audit entries after a number, in order; at most `limit`.
    async fn entries(
        &self,
        order: &OrderId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The orders that an operator should look at, the newest first.
    async fn attention(
        &self,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError>;

    /// Orders that are due ([`OrderRecord::due_ms`]), the longest due first; at most [`MAX_DUE`].
    async fn due(&self, now_ms: UnixMs, limit: usize) -> Result<Vec<OrderId>, StoreError>;

    /// Begins a request: writes its key and hash down with a lease, or says what became of it.
    async fn begin_request(
        &self,
        key: &RequestKey,
        hash: &str,
        now_ms: UnixMs,
        until_ms: UnixMs,
    ) -> Result<Begun, StoreError>;

    /// Ends a request. One that was answered stays so.
    async fn end_request(&self, key: &RequestKey, end: RequestEnd<'_>) -> Result<(), StoreError>;

    /// Forgets answered and abandoned requests that began before a time, at most [`MAX_FORGOTTEN`]; answers how
    /// many.
    async fn forget_requests(&self, before_ms: UnixMs) -> Result<u64, StoreError>;

    /// Seat messages that were not applied yet, the oldest first; at most [`MAX_MESSAGES`].
    async fn seat_messages(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<PendingMessage>, StoreError>;

    /// The messages of one order that were not applied yet, the oldest first.
    async fn seat_messages_of(&self, order: &OrderId) -> Result<Vec<PendingMessage>, StoreError>;

    /// Seat messages were applied: forgets them.
    async fn applied(&self, messages: &[u64]) -> Result<(), StoreError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Its name in metrics and logs.
    fn name(&self) -> &'static str;
}
