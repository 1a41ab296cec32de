//! Orders as their buyers and operators see them. These are also the shapes on the wire.

use serde::Serialize;
use serde_json::Value;
use ticketon_queue::clock::rfc3339;
use ticketon_queue::{EventId, UserId};

use crate::audit::Entry;
use crate::event::Currency;
use crate::purchase::order::{Failure, Refund, Ticket};
use crate::purchase::{
    CheckoutInfo, Line, OrderId, OrderRecord, OrderState, PaymentKey, RefundId, RefundState,
    TicketId, TicketState,
};
use crate::seat::HoldId;
use crate::venue::SeatLabel;

/// An order, as its buyer sees it. Times are RFC 3339, amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OrderView {
    /// Its id.
    pub order_id: OrderId,
    /// The event.
    pub event_id: EventId,
    /// The hold that its seats are in.
    pub hold_id: HoldId,
    /// What it is.
    pub status: OrderState,
    /// What it costs.
    pub amount: u64,
    /// The currency.
    pub currency: Currency,
    /// Its seats with their prices.
    pub seats: Vec<SeatView>,
    /// When it was made.
    pub created_at: String,
    /// Until when it may be paid.
    pub pay_until: String,
    /// Its payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentView>,
    /// Why it was not paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Its tickets.
    pub tickets: Vec<TicketView>,
    /// How much was given back.
    pub refunded_amount: u64,
    /// What was or is to be given back.
    pub refunds: Vec<RefundView>,
    /// How it can be paid, while it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout: Option<CheckoutInfo>,
}

/// A seat and its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatView {
    /// Which seat.
    pub label: SeatLabel,
    /// Its grade.
    pub grade: String,
    /// Its price.
    pub price: u64,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentView {
    /// The provider.
    pub provider: String,
    /// Its key there.
    pub payment_key: PaymentKey,
    /// When it was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<String>,
    /// How it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketView {
    /// Its id.
    pub ticket_id: TicketId,
    /// Its seat.
    pub seat: SeatLabel,
    /// The seat's grade.
    pub grade: String,
    /// What it cost.
    pub price: u64,
    /// What it is.
    pub status: TicketState,
    /// When its holder came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<String>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundView {
    /// Its id.
    pub refund_id: RefundId,
    /// How much.
    pub amount: u64,
    /// What it is.
    pub status: RefundState,
    /// The tickets that are given back.
    pub tickets: Vec<TicketId>,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub requested_at: String,
    /// When it was done or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why the provider refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrderViews {
    /// The orders, the newest first.
    pub orders: Vec<OrderView>,
    /// What to give as `before` for more; `None` at the end.
    pub next: Option<OrderId>,
}

/// An order, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AdminOrder {
    /// What its buyer sees.
    #[serde(flatten)]
    pub order: OrderView,
    /// Who buys.
    pub user_id: UserId,
    /// What ties its logs and messages together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Why an operator should look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionView>,
    /// Attempts in a row without a decision.
    pub attempts: u32,
    /// When it is looked at next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// Until when somebody works on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<String>,
    /// What happened to it; empty in lists.
    pub audit: Vec<EntryView>,
}

/// Why an operator should look at an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttentionView {
    /// For programs.
    pub code: String,
    /// What was seen.
    pub detail: String,
    /// Since when.
    pub since: String,
}

/// An entry of an order's audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryView {
    /// The how-many-eth it is.
    pub seq: u64,
    /// When it happened.
    pub at: String,
    /// What happened.
    pub kind: String,
    /// Its hash.
    pub hash: String,
    /// The event.
    pub event: Value,
}

/// A page of orders for an operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdminOrders {
    /// The orders, the newest first.
    pub orders: Vec<AdminOrder>,
    /// What to give as `before` for more; `None` at the end.
    pub next: Option<OrderId>,
}

/// A ticket that a gate looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerifiedTicket {
    /// `valid`, or `checkedIn` when this call let its holder in.
    pub status: &'static str,
    /// The ticket.
    pub ticket_id: TicketId,
    /// Its order.
    pub order_id: OrderId,
    /// Its event.
    pub event_id: EventId,
    /// Its seat.
    pub seat: SeatLabel,
    /// The seat's grade.
    pub grade: String,
    /// When its holder came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<String>,
}

impl OrderView {
    /// An order as its buyer sees it; `checkout` says how it can be paid.
    #[must_use]
    pub fn new(record: &OrderRecord, checkout: &CheckoutInfo) -> Self {
        let order = &record.order;
        Self {
            order_id: order.id,
            event_id: order.event.clone(),
            hold_id: order.hold,
            status: order.state,
            amount: order.amount,
            currency: order.currency,
            seats: order.lines.iter().map(seat).collect(),
            created_at: rfc3339(order.created_at_ms),
            pay_until: rfc3339(order.pay_until_ms),
            payment: order.payment.as_ref().map(|claim| PaymentView {
                provider: claim.provider.clone(),
                payment_key: claim.key.clone(),
                approved_at: claim.approved_at_ms.map(rfc3339),
                method: claim.method.clone(),
            }),
            failure: order.failure.clone(),
            tickets: order.tickets.iter().map(ticket).collect(),
            refunded_amount: order.refunded(),
            refunds: order
                .refunds
                .iter()
                .map(|one| refund(record, one))
                .collect(),
            checkout: (order.state == OrderState::Pending).then(|| checkout.clone()),
        }
    }
}

impl AdminOrder {
    /// An order as an operator sees it, with as much of its audit as is given.
    #[must_use]
    pub fn new(record: &OrderRecord, checkout: &CheckoutInfo, audit: &[Entry]) -> Self {
        let work = &record.work;
        Self {
            order: OrderView::new(record, checkout),
            user_id: record.user.clone(),
            correlation_id: record.correlation.clone(),
            attention: work.attention.as_ref().map(|attention| AttentionView {
                code: attention.code.clone(),
                detail: attention.detail.clone(),
                since: rfc3339(attention.since_ms),
            }),
            attempts: work.attempts,
            next_attempt_at: record.due_ms().filter(|due_ms| *due_ms > 0).map(rfc3339),
            lease_until: work.lease.map(|lease| rfc3339(lease.until_ms)),
            audit: audit.iter().map(entry).collect(),
        }
    }
}

fn seat(line: &Line) -> SeatView {
    SeatView {
        label: line.seat.clone(),
        grade: line.grade.clone(),
        price: line.price,
    }
}

fn ticket(ticket: &Ticket) -> TicketView {
    TicketView {
        ticket_id: ticket.id,
        seat: ticket.seat.clone(),
        grade: ticket.grade.clone(),
        price: ticket.price,
        status: ticket.state,
        used_at: ticket.used_at_ms.map(rfc3339),
    }
}

fn refund(record: &OrderRecord, refund: &Refund) -> RefundView {
    let reason = record.reasons.iter().find(|(id, _)| *id == refund.id);
    RefundView {
        refund_id: refund.id,
        amount: refund.amount,
        status: refund.state,
        tickets: refund.tickets.clone(),
        reason: reason.map(|(_, reason)| reason.clone()).unwrap_or_default(),
        requested_at: rfc3339(refund.requested_at_ms),
        ended_at: refund.ended_at_ms.map(rfc3339),
        failure: refund.failure.clone(),
    }
}

fn entry(entry: &Entry) -> EntryView {
    EntryView {
        seq: entry.seq,
        at: rfc3339(entry.at_ms),
        kind: entry.kind.clone(),
        hash: entry.hash.to_string(),
        event: serde_json::from_str(&entry.body).unwrap_or(Value::Null),
    }
}
