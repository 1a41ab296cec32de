//! The rows of an order at each of its three stages, made by the model itself: what the baseline writes.

use serde_json::json;
use ticketon_domain::audit::Entry;
use ticketon_domain::event::Currency;
use ticketon_domain::outbox::NewMessage;
use ticketon_domain::purchase::event::buyer_hash;
use ticketon_domain::purchase::{
    Change, Command, Line, OrderEvent, OrderId, OrderRecord, PaymentKey,
};
use ticketon_domain::seat::HoldId;
use ticketon_domain::venue::{SeatIndex, sample};
use ticketon_queue::{Clock as _, EventId, SystemClock, UserId};

use super::{HOUSE, SEATS};

pub(super) const EVENT: &str = "bench";

/// An order's rows.
#[derive(Debug)]
pub(super) struct OrderRows {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) hold: String,
    pub(super) created_ms: i64,
    pub(super) stages: [Stage; 3],
    pub(super) tickets: Vec<TicketRow>,
    /// What the map is told at the end.
    pub(super) message: String,
    /// Of the confirm.
    pub(super) request: Request,
}

/// An idempotency key with the answer that is kept under it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) key: String,
    pub(super) hash: String,
    pub(super) answer: String,
}

/// What one transaction writes of an order, of its audit and for the outbox.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) state: &'static str,
    pub(super) payment_key: Option<String>,
    pub(super) due_ms: Option<i64>,
    pub(super) version: i64,
    pub(super) body: String,
    pub(super) entry: Entry,
    pub(super) entry_hashes: [String; 2],
    pub(super) news: NewMessage,
    pub(super) aggregate: String,
}

#[derive(Debug)]
pub(super) struct TicketRow {
    pub(super) id: String,
    pub(super) seat: String,
    pub(super) fence: i64,
    pub(super) price: i64,
    pub(super) grade: String,
}

/// The rows of so many orders, from a seat on.
pub(super) fn of(orders: u32, first_seat: u32) -> Vec<OrderRows> {
    let hall = sample::theatre(HOUSE);
    let label = |seat: u32| hall.label(SeatIndex::new(seat)).expect("the hall has it");
    let event = EventId::new(EVENT).expect("a valid id");
    let make = |order: u32| {
        let first = first_seat + order * SEATS;
        let now_ms = SystemClock.now_ms();
        let id = OrderId::random(now_ms);
        let user = UserId::new(format!("buyer-{first}")).expect("a valid id");
        let hold = HoldId::derive(&event, &user, "bench");
        let fence = now_ms.unsigned_abs() * 1_024 + u64::from(order);
        let lines = (first..first + SEATS).map(|seat| Line {
            seat: label(seat),
            grade: "vip".to_owned(),
            price: 1_000,
        });
        let initiated = OrderEvent::Initiated {
            event_id: event.clone(),
            buyer: buyer_hash(&id, &user),
            hold_id: hold,
            fence,
            sales_version: 1,
            lines: lines.collect(),
            amount: u64::from(SEATS) * 1_000,
            currency: Currency::KRW,
            pay_until_ms: now_ms + 240_000,
            hold_until_ms: now_ms + 270_000,
        };
        let made = OrderRecord::initiate(id, user.clone(), now_ms, &initiated, None, None)
            .expect("an order");
        let confirm = Command::Confirm {
            user: user.clone(),
            provider: "sandbox".to_owned(),
            key: PaymentKey::new(format!("sandbox_{id}")).expect("a valid key"),
            amount: u64::from(SEATS) * 1_000,
            lease_ms: 60_000,
        };
        let confirming = made
            .record
            .decide(&confirm, now_ms)
            .expect("it may be paid");
        let paid = Command::Paid {
            fence: 1,
            approved_at_ms: Some(now_ms),
            method: Some("sandbox".to_owned()),
        };
        let paid = confirming.record.decide(&paid, now_ms).expect("it is paid");
        let tickets = paid.record.order.tickets.iter().map(|ticket| TicketRow {
            id: ticket.id.to_string(),
            seat: ticket.seat.to_string(),
            fence: i64::try_from(fence).expect("below 2^53"),
            price: i64::try_from(ticket.price).expect("a small price"),
            grade: ticket.grade.clone(),
        });
        let answer = json!({
            "status": 200,
            "headers": [["content-type", "application/json"], ["cache-control", "no-store"]],
            "body": serde_json::to_string(&paid.record.order).expect("an order is JSON"),
        });
        OrderRows {
            request: Request {
                key: format!("/purchase/confirm-of-{user}"),
                hash: paid.record.head.to_string(),
                answer: answer.to_string(),
            },
            id: id.to_string(),
            user: user.to_string(),
            hold: hold.to_string(),
            created_ms: now_ms,
            tickets: tickets.collect(),
            message: serde_json::to_string(&paid.messages[0]).expect("a message is JSON"),
            stages: [made, confirming, paid].map(stage),
        }
    };
    (0..orders).map(make).collect()
}

fn stage(change: Change) -> Stage {
    let Change {
        record,
        mut entries,
        mut news,
        ..
    } = change;
    let entry = entries.remove(0);
    let news = news.remove(0);
    Stage {
        state: record.order.state.as_str(),
        payment_key: record
            .order
            .payment
            .as_ref()
            .map(|claim| claim.key.as_str().to_owned()),
        due_ms: record.due_ms(),
        version: i64::try_from(record.order.version).expect("a small number"),
        body: serde_json::to_string(&record).expect("an order is JSON"),
        entry_hashes: [entry.prev.to_string(), entry.hash.to_string()],
        entry,
        aggregate: news.aggregate.to_string(),
        news,
    }
}
