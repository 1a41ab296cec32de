//! Orders to check stores with, and what is done to them.

use std::sync::Arc;

use ticketon_queue::{EventId, UnixMs, UserId};

use crate::audit::{ChainHash, Entry};
use crate::event::Currency;
use crate::purchase::event::buyer_hash;
use crate::purchase::order::Order;
use crate::purchase::{
    Change, Changed, Command, Created, Line, OrderEvent, OrderId, OrderRecord, PaymentKey,
    PurchaseStore, TicketId,
};
use crate::seat::HoldId;
use crate::venue::SeatLabel;

/// When the checks begin: 2026-01-01T00:00:00Z.
pub(super) const NOW: UnixMs = 1_767_225_600_000;
/// Until when orders may be paid.
pub(super) const PAY_UNTIL: UnixMs = NOW + 240_000;
/// How long a lease lasts.
pub(super) const LEASE_MS: i64 = 60_000;
/// What a seat costs.
pub(super) const PRICE: u64 = 90_000;

pub(super) fn concert() -> EventId {
    EventId::new("concert").expect("a good id")
}

pub(super) fn user(name: &str) -> UserId {
    UserId::new(name).expect("a good id")
}

pub(super) fn seat(number: u32) -> SeatLabel {
    SeatLabel::new(format!("A-1-{number}")).expect("a good label")
}

pub(super) fn key(name: &str) -> PaymentKey {
    PaymentKey::new(name).expect("a good key")
}

/// A new order of this person, of a hold of this number, for these seats.
pub(super) fn initiated(name: &str, hold: u8, seats: &[u32], now_ms: UnixMs) -> Change {
    let id = OrderId::random(now_ms);
    let lines = seats.iter().map(|number| Line {
        seat: seat(*number),
        grade: "R".to_owned(),
        price: PRICE,
    });
    let event = OrderEvent::Initiated {
        event_id: concert(),
        buyer: buyer_hash(&id, &user(name)),
        hold_id: HoldId::from_bytes([hold; 16]),
        fence: 1_000 + u64::from(hold),
        sales_version: 1,
        lines: lines.collect(),
        amount: PRICE * seats.len() as u64,
        currency: Currency::KRW,
        pay_until_ms: PAY_UNTIL + (now_ms - NOW),
        hold_until_ms: PAY_UNTIL + 30_000 + (now_ms - NOW),
    };
    let correlation = Some(format!("request of {name}"));
    OrderRecord::initiate(id, user(name), now_ms, &event, Some(7), correlation)
        .expect("an order begins so")
}

/// Makes one and answers its id.
pub(super) async fn make(
    store: &Arc<dyn PurchaseStore>,
    name: &str,
    hold: u8,
    seats: &[u32],
) -> OrderId {
    let change = initiated(name, hold, seats, NOW);
    let created = store.create(&change).await.expect("the store answers");
    assert_eq!(created, Created::Done);
    change.record.order.id
}

pub(super) fn confirm(name: &str, payment: &str, seats: u64) -> Command {
    Command::Confirm {
        user: user(name),
        provider: "bank".to_owned(),
        key: key(payment),
        amount: PRICE * seats,
        lease_ms: LEASE_MS,
    }
}

pub(super) fn paid(fence: u64) -> Command {
    Command::Paid {
        fence,
        approved_at_ms: Some(NOW),
        method: Some("card".to_owned()),
    }
}

pub(super) fn fail(fence: u64) -> Command {
    Command::Fail {
        fence: Some(fence),
        code: "declined".to_owned(),
        message: "the card is empty".to_owned(),
        late_check_ms: Some(NOW + 600_000),
    }
}

pub(super) fn refund(tickets: &[TicketId]) -> Command {
    Command::Refund {
        user: None,
        tickets: tickets.to_vec(),
        reason: "the show changed".to_owned(),
        request: None,
    }
}

pub(super) const TAKE_UP: Command = Command::TakeUp { lease_ms: LEASE_MS };

/// Asks what must be done.
pub(super) async fn done(
    store: &Arc<dyn PurchaseStore>,
    order: &OrderId,
    command: &Command,
) -> OrderRecord {
    done_at(store, order, command, NOW).await
}

pub(super) async fn done_at(
    store: &Arc<dyn PurchaseStore>,
    order: &OrderId,
    command: &Command,
    now_ms: UnixMs,
) -> OrderRecord {
    match ask(store, order, command, now_ms).await {
        Changed::Done(record) => *record,
        other => panic!("{command:?} was not done: {other:?}"),
    }
}

pub(super) async fn ask(
    store: &Arc<dyn PurchaseStore>,
    order: &OrderId,
    command: &Command,
    now_ms: UnixMs,
) -> Changed {
    let changed = store.change(order, command, now_ms).await;
    changed.expect("the store answers")
}

/// An order that is there.
pub(super) async fn stored(store: &Arc<dyn PurchaseStore>, order: &OrderId) -> OrderRecord {
    let record = store.order(order).await.expect("the store answers");
    record.unwrap_or_else(|| panic!("order {order} is not there"))
}

/// Gives the oldest open refund back.
pub(super) async fn give_back(store: &Arc<dyn PurchaseStore>, order: &OrderId, now_ms: UnixMs) {
    let record = done_at(store, order, &TAKE_UP, now_ms).await;
    let open = record.order.open_refunds().next();
    let refunded = Command::Refunded {
        fence: record.work.fence,
        refund: open.expect("a refund is open").id,
        transaction_key: "movement".to_owned(),
    };
    done_at(store, order, &refunded, now_ms).await;
}

/// Everything that is stored of an order fits together: the record, its entries, and what it is found by.
pub(super) async fn check(store: &Arc<dyn PurchaseStore>, order: &OrderId) -> Vec<Entry> {
    let record = stored(store, order).await;
    let entries = store.entries(order, 0, 1_000).await;
    let entries = entries.expect("the store answers");
    let mut head = ChainHash::START;
    let mut rebuilt: Option<Order> = None;
    for (at, entry) in entries.iter().enumerate() {
        assert_eq!(
            (entry.seq, entry.prev),
            (at as u64 + 1, head),
            "{entries:?}"
        );
        assert!(entry.is_whole(), "{entry:?}");
        head = entry.hash;
        let event: OrderEvent = serde_json::from_str(&entry.body).expect("an event");
        match &mut rebuilt {
            None => rebuilt = Order::initiated(*order, entry.at_ms, &event),
            Some(order) => order.apply(entry.at_ms, &event).expect("it happened"),
        }
    }
    assert_eq!(rebuilt.as_ref(), Some(&record.order));
    assert_eq!(head, record.head);
    entries
}
