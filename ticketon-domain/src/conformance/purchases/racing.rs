//! Many at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::order::*;
use crate::purchase::{
    Change, Changed, Command, Created, OrderId, OrderState, PurchaseStore, Refused,
};
use crate::seat::HoldId;

/// How many want the same.
const MANY: u8 = 32;

fn handle(stores: &[Arc<dyn PurchaseStore>], number: u8) -> Arc<dyn PurchaseStore> {
    Arc::clone(&stores[usize::from(number) % stores.len()])
}

/// Runs all of them at once, each as its own task.
async fn at_once<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: JoinSet<T> = work.into_iter().collect();
    tasks.join_all().await
}

/// Of many orders for the same seats one gets them, whatever order each names them in; the rest are told which.
pub async fn p1_many_orders_want_one_seat(stores: &[Arc<dyn PurchaseStore>]) {
    let mut orders = Vec::new();
    for number in 0..MANY {
        let seats = match number % 3 {
            0 => [1, 2],
            1 => [2, 1],
            _ => [2, 3],
        };
        let name = format!("buyer-{number}");
        orders.push((number, make(&stores[0], &name, number, &seats).await));
    }
    let wants = orders.clone().into_iter().map(|(number, order)| {
        let store = handle(stores, number);
        async move {
            let (name, payment) = (format!("buyer-{number}"), format!("pay-{number}"));
            (
                order,
                ask(&store, &order, &confirm(&name, &payment, 2), NOW).await,
            )
        }
    });
    let mut winners = Vec::new();
    for (order, changed) in at_once(wants).await {
        match changed {
            Changed::Done(_) => winners.push(order),
            Changed::SeatsTaken(seats) => assert!(seats.contains(&seat(2)), "{seats:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "of all who wanted seat 2 one has it");
    for (_, order) in orders {
        let record = stored(&stores[0], &order).await;
        let expected = match winners.contains(&order) {
            true => OrderState::Confirming,
            false => OrderState::Pending,
        };
        assert_eq!(record.order.state, expected);
        check(&stores[0], &order).await;
    }
}

/// Of many orders of one hold one is made, and the others are told of it; when it has ended, another may be.
pub async fn p2_a_hold_is_claimed_by_one_order(stores: &[Arc<dyn PurchaseStore>]) {
    for round in 0..3 {
        let changes: Vec<Change> = (0..MANY).map(|_| initiated("ann", 1, &[1], NOW)).collect();
        let makes = changes.into_iter().zip(0..).map(|(change, number)| {
            let store = handle(stores, number);
            async move { (change.record.order.id, store.create(&change).await) }
        });
        let mut made = Vec::new();
        let mut told: Vec<OrderId> = Vec::new();
        for (order, created) in at_once(makes).await {
            match created.expect("the store answers") {
                Created::Done => made.push(order),
                Created::Claimed(other) => told.push(other.order.id),
            }
        }
        assert_eq!(made.len(), 1, "round {round}");
        assert!(told.iter().all(|other| *other == made[0]));
        let (event, hold) = (concert(), HoldId::from_bytes([1; 16]));
        let claims = stores[0].order_of_hold(&event, &hold);
        let claims = claims
            .await
            .expect("the store answers")
            .expect("it is claimed");
        assert_eq!(claims.order.id, made[0]);
        let cancel = Command::Cancel { user: user("ann") };
        done(&stores[0], &made[0], &cancel).await;
    }
}

/// Many orders are paid by one payment at once: one of them is.
pub async fn p2_a_payment_is_bound_once_by_many(stores: &[Arc<dyn PurchaseStore>]) {
    let mut orders = Vec::new();
    for number in 0..MANY {
        orders.push(make(&stores[0], "ann", number, &[u32::from(number)]).await);
    }
    let confirms = orders.into_iter().zip(0..).map(|(order, number)| {
        let store = handle(stores, number);
        async move { ask(&store, &order, &confirm("ann", "pay-1", 1), NOW).await }
    });
    let all = at_once(confirms).await;
    let bound = all
        .iter()
        .filter(|changed| matches!(changed, Changed::Done(_)));
    assert_eq!(bound.count(), 1);
    let taken = all
        .iter()
        .filter(|changed| matches!(changed, Changed::PaymentTaken));
    assert_eq!(taken.count(), usize::from(MANY) - 1);
}

/// Of many who confirm an order at once, or take it up, one has the lease; each lease has a fence of its own.
pub async fn p2_one_of_many_works_on_an_order(stores: &[Arc<dyn PurchaseStore>]) {
    let order = make(&stores[0], "ann", 1, &[1]).await;
    for (round, command) in [
        confirm("ann", "pay-1", 1),
        TAKE_UP,
        confirm("ann", "pay-1", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let now_ms = NOW + LEASE_MS * round as i64;
        let asks = (0..MANY).map(|number| {
            let (store, command) = (handle(stores, number), command.clone());
            async move { ask(&store, &order, &command, now_ms).await }
        });
        let mut taken = 0;
        for changed in at_once(asks).await {
            match changed {
                Changed::Done(record) => {
                    taken += 1;
                    assert_eq!(record.work.fence, round as u64 + 1);
                }
                Changed::Refused(Refused::Running { .. } | Refused::NotDue, _) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(taken, 1, "{command:?}");
    }
    check(&stores[0], &order).await;
}

/// Many change one order at once: each decision is about what the one before left, and none is lost.
pub async fn p3_what_was_decided_is_what_is_stored(stores: &[Arc<dyn PurchaseStore>]) {
    let seats: Vec<u32> = (0..u32::from(MANY)).collect();
    let order = make(&stores[0], "ann", 1, &seats).await;
    done(
        &stores[0],
        &order,
        &confirm("ann", "pay-1", seats.len() as u64),
    )
    .await;
    let record = done(&stores[0], &order, &paid(1)).await;
    let twice = record.order.tickets.iter().chain(&record.order.tickets);
    let come_in = twice.zip(0..).map(|(ticket, number)| {
        let (store, ticket) = (handle(stores, number / 3), ticket.id);
        let check_in = Command::CheckIn {
            ticket,
            request: None,
        };
        async move { ask(&store, &order, &check_in, NOW).await }
    });
    let all = at_once(come_in).await;
    let done = all
        .iter()
        .filter(|changed| matches!(changed, Changed::Done(_)));
    assert_eq!(done.count(), usize::from(MANY), "each ticket lets in once");
    assert_eq!(check(&stores[0], &order).await.len(), usize::from(MANY) + 3);
}
