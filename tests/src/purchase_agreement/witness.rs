//! What must be true of a shop in which all is decided.

use std::collections::{BTreeMap, BTreeSet};

use ticketon_domain::audit::ChainHash;
use ticketon_domain::outbox::Aggregate;
use ticketon_domain::purchase::order::Order;
use ticketon_domain::purchase::{
    OrderEvent, OrderId, OrderRecord, OrderState, PaymentKey, TicketState,
};
use ticketon_domain::seat::{Mapped, SeatState};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::UserId;

use super::life::Told;
use super::shop::{SEATS, Shop};

/// Checks all orders of these people, the bank, the map and what is left to do.
pub(super) async fn check(shop: &Shop, users: &[UserId]) -> Result<Vec<OrderRecord>, String> {
    let fault = |error: ticketon_queue::StoreError| format!("a store fails in the end: {error}");
    let mut orders = Vec::new();
    for user in users {
        let mut before: Option<OrderId> = None;
        loop {
            let page = shop
                .books
                .orders_of(user, before.as_ref(), 7)
                .await
                .map_err(fault)?;
            orders.extend(page.items.iter().map(|record| OrderRecord::clone(record)));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
    }
    let mut live = BTreeSet::new();
    for record in &orders {
        check_order(record)?;
        check_history(shop, record).await?;
        check_money(shop, record).await?;
        for ticket in record
            .order
            .tickets
            .iter()
            .filter(|ticket| ticket.state.is_live())
        {
            if !live.insert(ticket.seat.clone()) {
                return Err(format!("P1: two live tickets of seat {}", ticket.seat));
            }
        }
    }
    check_news(shop, &orders).await?;
    let messages = shop.books.seat_messages(0, 10).await.map_err(fault)?;
    if !messages.is_empty() {
        return Err(format!("the map has not heard {messages:?}"));
    }
    let snapshot = match shop.maps.snapshot(&shop.event).await.map_err(fault)? {
        Mapped::Ready(snapshot) => snapshot,
        Mapped::NotReady(why) => return Err(format!("the map is not ready: {why:?}")),
    };
    let layout = shop.processes[0].seats.layout(&shop.event).await;
    let layout = layout.map_err(|error| error.to_string())?;
    let mut sold = BTreeSet::new();
    for index in (0..u32::from(SEATS)).map(SeatIndex::new) {
        if snapshot.state(index) == Some(SeatState::Sold) {
            sold.extend(layout.label(index));
        }
    }
    if sold != live {
        return Err(format!(
            "S3: the map has {sold:?} as sold, people have tickets for {live:?}"
        ));
    }
    let ledger = shop
        .books
        .sold(&shop.event, None, 100)
        .await
        .map_err(fault)?;
    let ledger: BTreeSet<_> = ledger.items.into_iter().map(|sold| sold.seat).collect();
    if ledger != live {
        return Err(format!(
            "the ledger has {ledger:?}, people have tickets for {live:?}"
        ));
    }
    Ok(orders)
}

/// Others hear each event of each order once, in its order, and nothing else.
async fn check_news(shop: &Shop, orders: &[OrderRecord]) -> Result<(), String> {
    let heard = shop
        .books
        .drain()
        .await
        .map_err(|error| error.to_string())?;
    let mut versions: BTreeMap<Aggregate, u64> = BTreeMap::new();
    for (aggregate, version) in heard {
        let last = versions.entry(aggregate.clone()).or_default();
        if version != *last + 1 {
            return Err(format!("P5: {aggregate} {version} is heard after {last}"));
        }
        *last = version;
    }
    for record in orders {
        let heard = versions.remove(&Aggregate::order(record.order.id));
        if heard != Some(record.order.version) {
            let (id, version) = (record.order.id, record.order.version);
            return Err(format!(
                "P5: of {version} events of order {id} {heard:?} are heard"
            ));
        }
    }
    match versions.first_key_value() {
        None => Ok(()),
        Some((aggregate, _)) => Err(format!("P5: {aggregate} is heard of, but is not there")),
    }
}

fn check_order(record: &OrderRecord) -> Result<(), String> {
    let order = &record.order;
    let sum: u64 = order.lines.iter().map(|line| line.price).sum();
    if sum != order.amount {
        return Err(format!(
            "P3: {} is not the sum of {:?}",
            order.amount, order.lines
        ));
    }
    if matches!(order.state, OrderState::Pending | OrderState::Confirming) {
        return Err(format!("P2: order {} stays {}", order.id, order.state));
    }
    if record.due_ms().is_some() || order.open_refunds().next().is_some() {
        return Err(format!("P2: order {} stays open: {record:?}", order.id));
    }
    let is_good = |state| matches!(state, TicketState::Valid | TicketState::Used);
    let good = order.tickets.iter().filter(|ticket| is_good(ticket.state));
    let worth: u64 = good.map(|ticket| ticket.price).sum();
    let paid = match order.state {
        OrderState::Paid | OrderState::PartiallyRefunded => order.amount - order.refunded(),
        _ => 0,
    };
    if worth != paid {
        return Err(format!(
            "P2: tickets for {worth}, paid for {paid}: {order:?}"
        ));
    }
    Ok(())
}

/// The audit is whole, and the order is what it says; others heard each step once.
async fn check_history(shop: &Shop, record: &OrderRecord) -> Result<(), String> {
    let id = record.order.id;
    let entries = shop
        .books
        .entries(&id, 0, 1_000)
        .await
        .map_err(|error| error.to_string())?;
    let mut head = ChainHash::START;
    let mut rebuilt: Option<Order> = None;
    for (at, entry) in entries.iter().enumerate() {
        if entry.seq != at as u64 + 1 || entry.prev != head || !entry.is_whole() {
            return Err(format!("A1: the audit of {id} is broken at {}", entry.seq));
        }
        head = entry.hash;
        let event: OrderEvent =
            serde_json::from_str(&entry.body).map_err(|error| error.to_string())?;
        match &mut rebuilt {
            None => rebuilt = Order::initiated(id, entry.at_ms, &event),
            Some(order) => order.apply(entry.at_ms, &event).map_err(|error| {
                format!("A1: the history of {id} cannot have happened: {error}")
            })?,
        }
    }
    if rebuilt.as_ref() != Some(&record.order) || head != record.head {
        return Err(format!(
            "order {id} is not what its history made it: {rebuilt:?} {record:?}"
        ));
    }
    Ok(())
}

async fn check_money(shop: &Shop, record: &OrderRecord) -> Result<(), String> {
    let order = &record.order;
    let ledger = shop.bank.ledger(&order.id).await;
    if ledger.charges > 1 {
        return Err(format!(
            "P2: order {} was charged {} times",
            order.id, ledger.charges
        ));
    }
    let owed = match order.state {
        OrderState::Paid | OrderState::PartiallyRefunded => order.amount - order.refunded(),
        _ => 0,
    };
    let is_charged = ledger.charges == 1;
    if ledger.kept != owed || (owed > 0 && !is_charged) {
        return Err(format!(
            "P2: order {} is {} with {owed} paid, the bank has {ledger:?}: {record:?}",
            order.id, order.state
        ));
    }
    Ok(())
}

/// Who was told something of a payment was told the truth.
pub(super) fn check_told(
    orders: &[OrderRecord],
    told: &[(OrderId, PaymentKey, Told)],
) -> Result<(), String> {
    for (id, key, told) in told {
        let record = orders.iter().find(|record| record.order.id == *id);
        let Some(record) = record else {
            return Err(format!("order {id}, of which somebody was told, is gone"));
        };
        let claim = record.order.payment.as_ref().map(|claim| &claim.key);
        let failure = record
            .order
            .failure
            .as_ref()
            .map(|failure| failure.code.clone());
        let truth = match told {
            // What costs nothing is paid by no payment.
            Told::Paid => claim == Some(key) || record.order.amount == 0,
            Told::Declined(code) => failure.as_ref() == Some(code),
        };
        let charged_late = failure.is_some() && record.order.state == OrderState::Refunded;
        if !truth || (*told == Told::Paid && failure.is_some() && !charged_late) {
            return Err(format!(
                "somebody was told {told:?} of {key}, but {record:?}"
            ));
        }
    }
    Ok(())
}
