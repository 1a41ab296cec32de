//! What can be bought at all.

use ticketon_domain::purchase::{Confirm, OrderState, PaymentKey, PurchaseError};
use ticketon_domain::seat::Refusal;

use crate::shop::Shop;

/// No provider takes a payment of nothing, so none is asked.
#[tokio::test]
async fn what_costs_nothing_needs_no_provider() {
    let shop = Shop::open().await;
    let order = shop.order(&["A-2-1", "A-2-2"]).await;
    assert_eq!(order.amount, 0);
    let confirm = Confirm {
        order: order.order_id,
        key: PaymentKey::new("free").unwrap(),
        amount: 0,
    };
    for _ in 0..2 {
        let paid = shop.purchases.confirm(shop.user(), &confirm).await.unwrap();
        assert_eq!(paid.status, OrderState::Paid);
        assert_eq!(paid.tickets.len(), 2);
    }
    // Another such order is paid by the same word.
    let other = shop.order(&["A-2-3"]).await;
    let confirm = Confirm {
        order: other.order_id,
        ..confirm
    };
    let paid = shop.purchases.confirm(shop.user(), &confirm).await.unwrap();
    assert_eq!(paid.status, OrderState::Paid);
    let back = shop
        .purchases
        .refund(shop.user(), &other.order_id, &[], "ill")
        .await
        .unwrap();
    assert_eq!(back.status, OrderState::Refunded);
    assert_eq!((shop.calls("POST").await, shop.calls("GET").await), (0, 0));
}

#[tokio::test]
async fn what_the_provider_never_takes_is_not_ordered() {
    let shop = Shop::in_currency("USD").await;
    let hold = shop.hold(&["A-1-1"]).await;
    let refused = shop
        .purchases
        .initiate(&(shop.event(), shop.user()), hold)
        .await;
    assert!(
        matches!(refused, Err(PurchaseError::NotPayable { .. })),
        "{refused:?}"
    );
}

/// A gate that says which event it is of uses up no other event's ticket.
#[tokio::test]
async fn a_gate_lets_in_its_own_event_alone() {
    let shop = Shop::open().await;
    shop.paid(&["A-1-1"]).await;
    let ticket = shop
        .purchases
        .tickets(shop.user(), None, 9)
        .await
        .unwrap()
        .orders[0]
        .tickets[0]
        .ticket_id;
    let code = shop
        .purchases
        .ticket_code(shop.user(), &ticket)
        .await
        .unwrap();
    let other = ticketon_queue::EventId::new("another").unwrap();
    let refused = shop.purchases.verify(&code, Some(&other), true).await;
    assert!(
        matches!(refused, Err(PurchaseError::OtherEvent { .. })),
        "{refused:?}"
    );
    let entered = shop
        .purchases
        .verify(&code, Some(shop.event()), true)
        .await
        .unwrap();
    assert_eq!(entered.status, "checkedIn");
}

/// A scan whose answer was lost is made again under its name; another scan of the same ticket opens nothing.
#[tokio::test]
async fn a_scan_that_is_repeated_lets_in_whom_it_let_in() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    let tickets = shop.see(&sale).await.tickets;
    let code = async |number: usize| {
        let ticket = tickets[number].ticket_id;
        let code = shop.purchases.ticket_code(shop.user(), &ticket);
        code.await.unwrap()
    };
    let (first, second) = (code(0).await, code(1).await);
    let scan = async |code: &str, name| shop.purchases.check_in_once(code, None, name).await;
    let entered = scan(&first, "scan-1").await.unwrap();
    assert_eq!(entered.status, "checkedIn");
    shop.clock.advance(std::time::Duration::from_secs(5));
    assert_eq!(scan(&first, "scan-1").await.unwrap(), entered);
    let other = scan(&first, "scan-2").await;
    assert!(
        matches!(other, Err(PurchaseError::Ticket { .. })),
        "{other:?}"
    );
    // A gate that gives every scan the same name lets each ticket in once all the same.
    let entered = scan(&second, "scan-1").await.unwrap();
    assert_eq!(entered.ticket_id, tickets[1].ticket_id);
}

/// A hold that was drawn out to its end cannot last until anybody could pay: no order is made of it.
#[tokio::test]
async fn a_hold_without_time_to_pay_is_not_ordered() {
    let shop = Shop::open().await;
    let hold = shop.hold(&["A-1-1"]).await;
    let holder = (shop.event(), shop.user());
    // It may last 600 s, and then as long as a payment that begins at its end: 240 s, and 30 s to spare. Each order's time
    // to pay has run out when the next one is made.
    for pause in [250, 250, 250, 95] {
        shop.purchases.initiate(&holder, hold).await.unwrap();
        shop.clock.advance(std::time::Duration::from_secs(pause));
    }
    let late = shop.purchases.initiate(&holder, hold).await;
    assert!(
        matches!(late, Err(PurchaseError::Hold(Refusal::Ended { .. }))),
        "{late:?}"
    );
    let all = shop.purchases.history(shop.user(), None, 9).await.unwrap();
    assert_eq!(all.orders.len(), 4);
}
