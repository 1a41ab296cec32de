//! The ports of a shop with whatever goes wrong at their calls ([`Fault`]).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ticketon_domain::audit::Entry;
use ticketon_domain::purchase::{
    Begun, CancelPayment, Change as OrderChange, Changed, CheckoutInfo, Command, ConfirmPayment,
    Created, OrderId, OrderPage, OrderRecord, Payment, PaymentKey, PaymentProvider, PendingMessage,
    ProviderError, PurchaseStore, RequestEnd, RequestKey, TicketId,
};
use ticketon_domain::seat::{
    Blocked, Changes, Held, Hold, HoldId, HoldKey, HoldReply, HoldRequest, Load, MapHead, MapSpec,
    Mapped, Mend, Over, Owned, SeatStore, SeatSync, Snapshot, Swept, Synced,
};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{EventId, StoreError, UnixMs, UserId};

use super::fault::{Fault, WRITE, call};

/// A store of orders.
#[derive(Debug, Clone)]
pub(super) struct Orders(pub(super) Arc<dyn PurchaseStore>);

/// A store of seats.
#[derive(Debug, Clone)]
pub(super) struct Maps(pub(super) Arc<dyn SeatStore>);

/// A provider.
#[derive(Debug, Clone)]
pub(super) struct Bank(pub(super) Arc<dyn PaymentProvider>);

fn broken(fault: Fault) -> StoreError {
    StoreError::Unavailable {
        context: "a test",
        source: format!("{fault:?}").into(),
    }
}

fn unknown(fault: Fault) -> ProviderError {
    let message = "as the test wants it".to_owned();
    if fault == Fault::Refuse {
        let code = "REFUSED".to_owned();
        return ProviderError::Refused { code, message };
    }
    ProviderError::Unknown {
        code: format!("{fault:?}"),
        message,
        retry_after: None,
        kept: false,
    }
}

#[async_trait]
impl PurchaseStore for Orders {
    async fn create(&self, change: &OrderChange) -> Result<Created, StoreError> {
        call("orders.create", self.0.create(change), broken).await
    }

    async fn change(
        &self,
        order: &OrderId,
        command: &Command,
        now_ms: UnixMs,
    ) -> Result<Changed, StoreError> {
        call(WRITE, self.0.change(order, command, now_ms), broken).await
    }

    async fn order(&self, order: &OrderId) -> Result<Option<OrderRecord>, StoreError> {
        call("orders.order", self.0.order(order), broken).await
    }

    async fn order_of_payment(&self, key: &PaymentKey) -> Result<Option<OrderRecord>, StoreError> {
        call(
            "orders.order_of_payment",
            self.0.order_of_payment(key),
            broken,
        )
        .await
    }

    async fn order_of_hold(
        &self,
        event: &EventId,
        hold: &HoldId,
    ) -> Result<Option<OrderRecord>, StoreError> {
        call(
            "orders.order_of_hold",
            self.0.order_of_hold(event, hold),
            broken,
        )
        .await
    }

    async fn order_of_ticket(&self, ticket: &TicketId) -> Result<Option<OrderRecord>, StoreError> {
        call(
            "orders.order_of_ticket",
            self.0.order_of_ticket(ticket),
            broken,
        )
        .await
    }

    async fn orders_of(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        call(
            "orders.orders_of",
            self.0.orders_of(user, before, limit),
            broken,
        )
        .await
    }

    async fn orders_with_tickets(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        call(
            "orders.orders_with_tickets",
            self.0.orders_with_tickets(user, before, limit),
            broken,
        )
        .await
    }

    async fn entries(
        &self,
        order: &OrderId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        call(
            "orders.entries",
            self.0.entries(order, after_seq, limit),
            broken,
        )
        .await
    }

    async fn attention(
        &self,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        call("orders.attention", self.0.attention(before, limit), broken).await
    }

    async fn due(&self, now_ms: UnixMs, limit: usize) -> Result<Vec<OrderId>, StoreError> {
        call("orders.due", self.0.due(now_ms, limit), broken).await
    }

    async fn begin_request(
        &self,
        key: &RequestKey,
        hash: &str,
        now_ms: UnixMs,
        until_ms: UnixMs,
    ) -> Result<Begun, StoreError> {
        call(
            "orders.begin_request",
            self.0.begin_request(key, hash, now_ms, until_ms),
            broken,
        )
        .await
    }

    async fn end_request(&self, key: &RequestKey, end: RequestEnd<'_>) -> Result<(), StoreError> {
        call("orders.end_request", self.0.end_request(key, end), broken).await
    }

    async fn forget_requests(&self, before_ms: UnixMs) -> Result<u64, StoreError> {
        call(
            "orders.forget_requests",
            self.0.forget_requests(before_ms),
            broken,
        )
        .await
    }

    async fn seat_messages(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<PendingMessage>, StoreError> {
        call(
            "orders.seat_messages",
            self.0.seat_messages(after, limit),
            broken,
        )
        .await
    }

    async fn seat_messages_of(&self, order: &OrderId) -> Result<Vec<PendingMessage>, StoreError> {
        call(
            "orders.seat_messages_of",
            self.0.seat_messages_of(order),
            broken,
        )
        .await
    }

    async fn applied(&self, messages: &[u64]) -> Result<(), StoreError> {
        call("orders.applied", self.0.applied(messages), broken).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        call("orders.ping", self.0.ping(), broken).await
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}

#[async_trait]
impl SeatStore for Maps {
    async fn head(&self, event: &EventId) -> Result<Mapped<MapHead>, StoreError> {
        call("seats.head", self.0.head(event), broken).await
    }

    async fn snapshot(&self, event: &EventId) -> Result<Mapped<Snapshot>, StoreError> {
        call("seats.snapshot", self.0.snapshot(event), broken).await
    }

    async fn changes(
        &self,
        event: &EventId,
        epoch: u64,
        after: u64,
    ) -> Result<Mapped<Changes>, StoreError> {
        call("seats.changes", self.0.changes(event, epoch, after), broken).await
    }

    async fn hold(
        &self,
        event: &EventId,
        epoch: u64,
        request: &HoldRequest,
    ) -> Result<Mapped<Held>, StoreError> {
        call("seats.hold", self.0.hold(event, epoch, request), broken).await
    }

    async fn find(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        call("seats.find", self.0.find(event, epoch, key), broken).await
    }

    async fn holds_of(
        &self,
        event: &EventId,
        epoch: u64,
        user: &UserId,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        call(
            "seats.holds_of",
            self.0.holds_of(event, epoch, user),
            broken,
        )
        .await
    }

    async fn extend(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
        cap_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        call(
            "seats.extend",
            self.0.extend(event, epoch, key, ttl_ms, cap_ms),
            broken,
        )
        .await
    }

    async fn release(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        call("seats.release", self.0.release(event, epoch, key), broken).await
    }

    async fn pin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        call("seats.pin", self.0.pin(event, epoch, key), broken).await
    }

    async fn unpin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        call(
            "seats.unpin",
            self.0.unpin(event, epoch, key, ttl_ms),
            broken,
        )
        .await
    }

    async fn sync(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[SeatSync],
    ) -> Result<Mapped<Synced>, StoreError> {
        call("seats.sync", self.0.sync(event, epoch, batch), broken).await
    }

    async fn owners(
        &self,
        event: &EventId,
        epoch: u64,
        from: SeatIndex,
    ) -> Result<Mapped<Vec<Owned>>, StoreError> {
        call("seats.owners", self.0.owners(event, epoch, from), broken).await
    }

    async fn pinned(
        &self,
        event: &EventId,
        epoch: u64,
        skip: u32,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        call("seats.pinned", self.0.pinned(event, epoch, skip), broken).await
    }

    async fn mend(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[Mend],
    ) -> Result<Mapped<Synced>, StoreError> {
        call("seats.mend", self.0.mend(event, epoch, batch), broken).await
    }

    async fn block(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        call("seats.block", self.0.block(event, epoch, seats), broken).await
    }

    async fn unblock(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        call("seats.unblock", self.0.unblock(event, epoch, seats), broken).await
    }

    async fn sweep(&self, event: &EventId) -> Result<Mapped<Swept>, StoreError> {
        call("seats.sweep", self.0.sweep(event), broken).await
    }

    async fn begin_rebuild(
        &self,
        event: &EventId,
        spec: &MapSpec,
        over: Over,
    ) -> Result<Option<u64>, StoreError> {
        call(
            "seats.begin_rebuild",
            self.0.begin_rebuild(event, spec, over),
            broken,
        )
        .await
    }

    async fn load(&self, event: &EventId, epoch: u64, seats: &[Load]) -> Result<bool, StoreError> {
        call("seats.load", self.0.load(event, epoch, seats), broken).await
    }

    async fn finish_rebuild(&self, event: &EventId, epoch: u64) -> Result<bool, StoreError> {
        call(
            "seats.finish_rebuild",
            self.0.finish_rebuild(event, epoch),
            broken,
        )
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        call("seats.ping", self.0.ping(), broken).await
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn now_ms(&self) -> Option<UnixMs> {
        self.0.now_ms()
    }
}

#[async_trait]
impl PaymentProvider for Bank {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        call("bank.confirm", self.0.confirm(request), unknown).await
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        call("bank.payment", self.0.payment(key), asked).await
    }

    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError> {
        call("bank.payment_of", self.0.payment_of(order), asked).await
    }

    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError> {
        call("bank.cancel", self.0.cancel(request), unknown).await
    }

    fn window(&self) -> Duration {
        self.0.window()
    }

    fn checkout(&self) -> CheckoutInfo {
        self.0.checkout()
    }
}

/// A question is never refused.
fn asked(_: Fault) -> ProviderError {
    unknown(Fault::Fail)
}
