//! One order after the other: what is written, and what is not.

use std::sync::Arc;

use super::order::*;
use crate::purchase::{
    Changed, Command, Created, OrderId, OrderState, PurchaseStore, Refused, TicketId, TicketState,
};

/// A seat that has a live ticket is sold to nobody else: nothing of the order that wanted it is changed.
pub async fn p1_a_seat_has_one_live_ticket(store: &Arc<dyn PurchaseStore>) {
    let ann = make(store, "ann", 1, &[1, 2]).await;
    let ben = make(store, "ben", 2, &[2, 3]).await;
    done(store, &ann, &confirm("ann", "pay-1", 2)).await;
    let before = stored(store, &ben).await;
    let taken = ask(store, &ben, &confirm("ben", "pay-2", 2), NOW).await;
    assert_eq!(taken, Changed::SeatsTaken(vec![seat(2)]));
    assert_eq!(stored(store, &ben).await, before);
    assert_eq!(check(store, &ben).await.len(), 1);
    let bound = store.order_of_payment(&key("pay-2")).await;
    assert_eq!(bound.expect("the store answers"), None);
    for number in [2, 3] {
        let ticket = TicketId::derive(&ben, &seat(number));
        let found = store.order_of_ticket(&ticket).await;
        assert_eq!(found.expect("the store answers"), None);
    }
    // The seat that it did not get is still to be had.
    let cho = make(store, "cho", 3, &[3]).await;
    done(store, &cho, &confirm("cho", "pay-2", 1)).await;
}

/// A seat whose payment failed, or whose ticket was given back, can be bought again and again.
pub async fn p1_seats_that_are_given_back_can_be_bought_again(store: &Arc<dyn PurchaseStore>) {
    for round in 0..6_u8 {
        let name = format!("buyer-{round}");
        let order = make(store, &name, round, &[1, 2]).await;
        let payment = format!("pay-{round}");
        let record = done(store, &order, &confirm(&name, &payment, 2)).await;
        let fence = record.work.fence;
        if round % 2 == 0 {
            done(store, &order, &fail(fence)).await;
        } else {
            let record = done(store, &order, &paid(fence)).await;
            done(store, &order, &refund(&[record.order.tickets[0].id])).await;
            give_back(store, &order, NOW).await;
            done(store, &order, &refund(&[])).await;
            give_back(store, &order, NOW + 1_200).await;
            assert_eq!(
                stored(store, &order).await.order.state,
                OrderState::Refunded
            );
        }
        check(store, &order).await;
    }
}

/// All of a change is there: the order, its history, its tickets, what the map must hear.
pub async fn p2_a_change_is_all_or_nothing(store: &Arc<dyn PurchaseStore>) {
    let order = make(store, "ann", 1, &[1, 2]).await;
    let record = done(store, &order, &confirm("ann", "pay-1", 2)).await;
    assert_eq!(stored(store, &order).await, record);
    let record = done(store, &order, &paid(1)).await;
    assert_eq!(stored(store, &order).await, record);
    let kinds: Vec<String> = check(store, &order)
        .await
        .into_iter()
        .map(|one| one.kind)
        .collect();
    assert_eq!(
        kinds,
        ["order.initiated", "order.confirmStarted", "order.paid"]
    );
    let later = store
        .entries(&order, 1, 1)
        .await
        .expect("the store answers");
    assert_eq!(later.len(), 1);
    assert_eq!(later[0].seq, 2);
    let messages = store.seat_messages_of(&order).await;
    assert_eq!(messages.expect("the store answers").len(), 1);
    for number in [1, 2] {
        let ticket = TicketId::derive(&order, &seat(number));
        let found = store.order_of_ticket(&ticket).await;
        assert_eq!(found.expect("the store answers").as_ref(), Some(&record));
    }
}

/// What is refused is told with the order as it is, and nothing is written.
pub async fn p2_a_refused_command_changes_nothing(store: &Arc<dyn PurchaseStore>) {
    let order = make(store, "ann", 1, &[1]).await;
    done(store, &order, &confirm("ann", "pay-1", 1)).await;
    let before = stored(store, &order).await;
    let refused = [
        (confirm("ben", "pay-1", 1), Refused::NotYours),
        (confirm("ann", "pay-2", 1), Refused::OtherPayment),
        (paid(7), Refused::Fenced),
        (TAKE_UP, Refused::NotDue),
        (
            Command::Expire,
            Refused::State {
                state: OrderState::Confirming,
            },
        ),
    ];
    for (command, why) in refused {
        let changed = ask(store, &order, &command, NOW).await;
        assert_eq!(changed, Changed::Refused(why, Box::new(before.clone())));
        assert_eq!(stored(store, &order).await, before);
    }
    assert_eq!(check(store, &order).await.len(), 2);
    let nobody = OrderId::from_bytes([9; 16]);
    let unknown = ask(store, &nobody, &Command::Retry, NOW).await;
    assert_eq!(unknown, Changed::Unknown);
    assert_eq!(store.order(&nobody).await.expect("the store answers"), None);
}

/// A payment belongs to one order, also after that order has failed.
pub async fn p2_a_payment_is_bound_to_one_order(store: &Arc<dyn PurchaseStore>) {
    let ann = make(store, "ann", 1, &[1]).await;
    let ben = make(store, "ben", 2, &[2]).await;
    done(store, &ann, &confirm("ann", "pay-1", 1)).await;
    let before = stored(store, &ben).await;
    for _ in 0..2 {
        let taken = ask(store, &ben, &confirm("ben", "pay-1", 1), NOW).await;
        assert_eq!(taken, Changed::PaymentTaken);
        assert_eq!(stored(store, &ben).await, before);
        let failed = ask(store, &ann, &fail(1), NOW).await;
        drop(failed);
    }
    let bound = store.order_of_payment(&key("pay-1")).await;
    let bound = bound.expect("the store answers").expect("it is bound");
    assert_eq!(bound.order.id, ann);
    assert_eq!(bound.order.tickets[0].state, TicketState::Void);
}

/// A verb whose answer was lost may be sent again.
pub async fn p2_verbs_may_be_sent_again(store: &Arc<dyn PurchaseStore>) {
    let change = initiated("ann", 1, &[1], NOW);
    let order = change.record.order.id;
    for _ in 0..3 {
        let created = store.create(&change).await.expect("the store answers");
        assert_eq!(created, Created::Done);
    }
    assert_eq!(check(store, &order).await.len(), 1);
    done(store, &order, &confirm("ann", "pay-1", 1)).await;
    done(store, &order, &paid(1)).await;
    let again = ask(store, &order, &paid(1), NOW).await;
    assert!(
        matches!(again, Changed::Refused(Refused::Fenced, _)),
        "{again:?}"
    );
    // Its order has gone on: it stays what it is.
    let created = store.create(&change).await.expect("the store answers");
    assert_eq!(created, Created::Done);
    assert_eq!(stored(store, &order).await.order.state, OrderState::Paid);
    let messages = store
        .seat_messages_of(&order)
        .await
        .expect("the store answers");
    let ids: Vec<u64> = messages.iter().map(|message| message.id).collect();
    for _ in 0..2 {
        store.applied(&ids).await.expect("the store answers");
    }
    store.applied(&[]).await.expect("the store answers");
    assert_eq!(
        store.seat_messages(0, 10).await.expect("the store answers"),
        []
    );
}
