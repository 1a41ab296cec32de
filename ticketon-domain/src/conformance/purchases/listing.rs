//! How orders are found.

use std::sync::Arc;

use super::order::*;
use crate::purchase::{Command, MAX_DUE, OrderId, OrderPage, PurchaseStore, TicketId};
use crate::seat::HoldId;

/// By its id, its payment, its hold while that is its own, and its tickets.
pub async fn p3_an_order_is_found_by_what_it_has(store: &Arc<dyn PurchaseStore>) {
    let order = make(store, "ann", 1, &[1]).await;
    let hold = HoldId::from_bytes([1; 16]);
    let of_hold = async || {
        let found = store.order_of_hold(&concert(), &hold).await;
        found
            .expect("the store answers")
            .map(|record| record.order.id)
    };
    assert_eq!(of_hold().await, Some(order));
    done(store, &order, &confirm("ann", "pay-1", 1)).await;
    assert_eq!(of_hold().await, Some(order));
    let record = done(store, &order, &fail(1)).await;
    assert_eq!(
        of_hold().await,
        None,
        "its hold may be bought by another order"
    );
    let by_payment = store.order_of_payment(&key("pay-1")).await;
    assert_eq!(
        by_payment.expect("the store answers").as_ref(),
        Some(&record)
    );
    let ticket = TicketId::derive(&order, &seat(1));
    let by_ticket = store.order_of_ticket(&ticket).await;
    assert_eq!(
        by_ticket.expect("the store answers").as_ref(),
        Some(&record)
    );
    let other = store.order_of_payment(&key("PAY-1")).await;
    assert_eq!(
        other.expect("the store answers"),
        None,
        "keys are compared to the letter"
    );
}

/// The newest first, page by page, each once, and only the person's own.
pub async fn p3_orders_come_in_pages(store: &Arc<dyn PurchaseStore>) {
    let mut made = Vec::new();
    for number in 0..23_u8 {
        let name = if number % 3 == 0 { "ben" } else { "ann" };
        let change = initiated(name, number, &[u32::from(number)], NOW + i64::from(number));
        store.create(&change).await.expect("the store answers");
        let order = change.record.order.id;
        if number % 2 == 0 {
            let payment = format!("pay-{number}");
            done(store, &order, &confirm(name, &payment, 1)).await;
            if number % 4 == 0 {
                done(store, &order, &paid(1)).await;
            }
        }
        if name == "ann" {
            made.push((order, number % 4 == 0));
        }
    }
    made.reverse();
    let all: Vec<OrderId> = made.iter().map(|(order, _)| *order).collect();
    let with_tickets = made.iter().filter(|(_, paid)| *paid);
    let with_tickets: Vec<OrderId> = with_tickets.map(|(order, _)| *order).collect();
    for limit in [1, 4, 15, 100] {
        let listed = pages(
            async |before| store.orders_of(&user("ann"), before, limit).await,
            limit,
        );
        assert_eq!(listed.await, all);
        let listed = pages(
            async |before| store.orders_with_tickets(&user("ann"), before, limit).await,
            limit,
        );
        assert_eq!(listed.await, with_tickets);
    }
    let nobody = store.orders_of(&user("Ann"), None, 10).await;
    assert_eq!(nobody.expect("the store answers"), OrderPage::default());
    // Who has given all back has no tickets any more.
    let order = with_tickets[0];
    done(store, &order, &refund(&[])).await;
    let listed = pages(
        async |before| store.orders_with_tickets(&user("ann"), before, 100).await,
        100,
    );
    assert_eq!(
        listed.await.len(),
        with_tickets.len(),
        "they are still being given back"
    );
    give_back(store, &order, NOW).await;
    let listed = pages(
        async |before| store.orders_with_tickets(&user("ann"), before, 100).await,
        100,
    );
    assert_eq!(listed.await, with_tickets[1..]);
}

async fn pages(
    page: impl AsyncFn(Option<&OrderId>) -> Result<OrderPage, ticketon_queue::StoreError>,
    limit: usize,
) -> Vec<OrderId> {
    let mut all = Vec::new();
    let mut before: Option<OrderId> = None;
    loop {
        let found = page(before.as_ref()).await.expect("the store answers");
        assert!(found.items.len() <= limit);
        all.extend(found.items.iter().map(|record| record.order.id));
        let Some(next) = found.next else { return all };
        assert_eq!(all.last(), Some(&next));
        before = Some(next);
    }
}

/// Those that wait the longest first; not those that are not due, nor those with nothing left to do.
pub async fn p3_what_is_due_comes_in_its_order(store: &Arc<dyn PurchaseStore>) {
    let due = async |now_ms| store.due(now_ms, MAX_DUE).await.expect("the store answers");
    let pending = make(store, "ann", 1, &[1]).await;
    let later = initiated("ben", 2, &[2], NOW + 1_000);
    store.create(&later).await.expect("the store answers");
    let later = later.record.order.id;
    let leased = make(store, "cho", 3, &[3]).await;
    done(store, &leased, &confirm("cho", "pay-3", 1)).await;
    let over = make(store, "dan", 4, &[4]).await;
    done(store, &over, &confirm("dan", "pay-4", 1)).await;
    done(store, &over, &paid(1)).await;
    assert_eq!(due(NOW).await, []);
    assert_eq!(due(NOW + LEASE_MS - 1).await, []);
    assert_eq!(due(NOW + LEASE_MS).await, [leased]);
    assert_eq!(due(PAY_UNTIL).await, [leased, pending]);
    assert_eq!(due(PAY_UNTIL + 1_000).await, [leased, pending, later]);
    let first = store.due(PAY_UNTIL + 1_000, 2).await;
    assert_eq!(first.expect("the store answers"), [leased, pending]);
    // A failed one is due once more, when its provider's window is over.
    done(store, &leased, &fail(1)).await;
    done(store, &pending, &Command::Cancel { user: user("ann") }).await;
    assert_eq!(due(NOW + 599_999).await, [later]);
    assert_eq!(due(NOW + 600_000).await, [later, leased]);
    // One to be given back is due at once.
    done(store, &over, &refund(&[])).await;
    assert_eq!(due(NOW).await, [over]);
}

/// The newest first, until they were decided; those where money is missing until an operator has looked.
pub async fn p3_what_needs_a_person_is_listed(store: &Arc<dyn PurchaseStore>) {
    let mut made = Vec::new();
    for number in 0..5_u8 {
        let change = initiated("ann", number, &[u32::from(number)], NOW + i64::from(number));
        store.create(&change).await.expect("the store answers");
        made.push(change.record.order.id);
    }
    let attend = |code: &str| Command::Attend {
        code: code.to_owned(),
        detail: "look".to_owned(),
    };
    for order in [made[1], made[3]] {
        done(store, &order, &attend("UNAUTHORIZED_KEY")).await;
    }
    done(store, &made[4], &attend("refundedElsewhere")).await;
    let listed = async || pages(async |before| store.attention(before, 2).await, 2).await;
    assert_eq!(listed().await, [made[4], made[3], made[1]]);
    for order in [made[3], made[4]] {
        done(store, &order, &Command::Cancel { user: user("ann") }).await;
    }
    // Where money is missing, somebody has to have looked.
    assert_eq!(listed().await, [made[4], made[1]]);
    done(store, &made[4], &Command::Retry).await;
    assert_eq!(listed().await, [made[1]]);
}
