//! Refunds beside what others do at the provider.

use std::time::Duration;

use serde_json::json;
use ticketon_domain::purchase::{OrderState, PurchaseError, TicketState};

use crate::shop::{PRICE, Shop};

/// An operator gave all back in the provider's own pages. A refund of ours would wait for ever for a balance that never
/// comes; it is done, and somebody is told of what else is gone.
#[tokio::test]
async fn a_refund_ends_though_more_was_given_back_elsewhere() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    let tickets = shop.see(&sale).await.tickets;
    let (first, second) = ([tickets[0].ticket_id], [tickets[1].ticket_id]);
    shop.cancel_elsewhere(&sale, None).await;
    let refund = shop
        .purchases
        .refund(shop.user(), &sale.order, &first, "ill");
    refund.await.unwrap();
    let half = shop.until(&sale, &[OrderState::PartiallyRefunded]).await;
    assert_eq!(half.refunded_amount, PRICE);
    assert_eq!(
        shop.attention(&sale).await.as_deref(),
        Some("refundedElsewhere")
    );
    // The other ticket is good without money until an operator ends that.
    let rest = shop
        .purchases
        .refund_for(&sale.order, &second, "given back by hand");
    rest.await.unwrap();
    shop.until(&sale, &[OrderState::Refunded]).await;
    let ledger = shop.ledger(&sale).await;
    assert_eq!((ledger.charged, ledger.canceled), (2 * PRICE, 2 * PRICE));
}

/// An operator gave a ticket's money back in the provider's own pages, and then the ticket here: that is not paid twice.
#[tokio::test]
async fn what_was_given_back_at_the_provider_is_not_given_back_again() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    let first = [shop.see(&sale).await.tickets[0].ticket_id];
    shop.cancel_elsewhere(&sale, Some(PRICE)).await;
    let reason = "given back by hand";
    let refund = shop.purchases.refund_for(&sale.order, &first, reason);
    refund.await.unwrap();
    let half = shop.until(&sale, &[OrderState::PartiallyRefunded]).await;
    assert_eq!(half.tickets[0].status, TicketState::Refunded);
    assert_eq!(half.tickets[1].status, TicketState::Valid);
    let ledger = shop.ledger(&sale).await;
    assert_eq!((ledger.cancels, ledger.canceled), (1, PRICE), "{ledger:?}");
    assert_eq!(shop.attention(&sale).await, None);
}

/// What somebody gave back besides is neither before nor after a refund of ours: that is done all the same.
#[tokio::test]
async fn a_part_that_was_given_back_elsewhere_holds_up_no_refund() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2", "A-1-3"]).await;
    let tickets = shop.see(&sale).await.tickets;
    let give_back = async |number: usize| {
        let ticket = [tickets[number].ticket_id];
        let refund = shop
            .purchases
            .refund(shop.user(), &sale.order, &ticket, "ill");
        refund.await.unwrap();
        shop.toss.advance(Duration::from_secs(2)).await;
        shop.clock.advance(Duration::from_secs(2));
    };
    give_back(0).await;
    shop.cancel_elsewhere(&sale, Some(PRICE / 2)).await;
    give_back(1).await;
    let seen = shop.see(&sale).await;
    assert_eq!(seen.refunded_amount, 2 * PRICE, "{seen:?}");
    assert_eq!(shop.ledger(&sale).await.balance, PRICE / 2);
    let marked = shop.attention(&sale).await;
    assert_eq!(marked.as_deref(), Some("refundedElsewhere"));
    // More than is left: the provider refuses, and somebody has to see it.
    give_back(2).await;
    let seen = shop.see(&sale).await;
    assert_eq!(seen.tickets[2].status, TicketState::Valid, "{seen:?}");
    let marked = shop.attention(&sale).await;
    assert_eq!(marked.as_deref(), Some("refundRefused"));
    assert_eq!(shop.ledger(&sale).await.balance, PRICE / 2);
}

/// Looking again takes an order off the list only where its money is where its tickets say.
#[tokio::test]
async fn an_order_stays_on_the_list_while_its_money_is_gone() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    shop.cancel_elsewhere(&sale, Some(PRICE)).await;
    shop.hint(&sale).await.unwrap();
    let marked = async || shop.attention(&sale).await;
    assert_eq!(marked().await.as_deref(), Some("refundedElsewhere"));
    let asked = shop.calls("GET").await;
    shop.purchases.retry(&sale.order).await.unwrap();
    assert_eq!(marked().await.as_deref(), Some("refundedElsewhere"));
    assert!(shop.calls("GET").await > asked, "the provider was asked");
    // Nor where nobody knows.
    shop.fault(&sale, json!({"call": "query", "fault": "error"}))
        .await;
    let unknown = shop.purchases.retry(&sale.order).await;
    assert!(
        matches!(unknown, Err(PurchaseError::Provider(_))),
        "{unknown:?}"
    );
    assert_eq!(marked().await.as_deref(), Some("refundedElsewhere"));
    let first = [shop.see(&sale).await.tickets[0].ticket_id];
    let refund = shop.purchases.refund_for(&sale.order, &first, "by hand");
    refund.await.unwrap();
    shop.until(&sale, &[OrderState::PartiallyRefunded]).await;
    shop.purchases.retry(&sale.order).await.unwrap();
    assert_eq!(marked().await, None);
}

/// An operator gave a part of the price back and let the tickets be: once that is settled nobody is bothered with it, and
/// a later refund gives back what its tickets cost.
#[tokio::test]
async fn what_an_operator_has_settled_brings_no_mark_again() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    let marked = async || shop.attention(&sale).await;
    // Nothing is to be settled yet, and nothing is.
    shop.purchases.settle(&sale.order).await.unwrap();
    shop.cancel_elsewhere(&sale, Some(PRICE)).await;
    shop.hint(&sale).await.unwrap();
    assert_eq!(marked().await.as_deref(), Some("refundedElsewhere"));
    // Not while nobody knows how much it is.
    shop.fault(&sale, json!({"call": "query", "fault": "error"}))
        .await;
    let unknown = shop.purchases.settle(&sale.order).await;
    assert!(
        matches!(unknown, Err(PurchaseError::Provider(_))),
        "{unknown:?}"
    );
    assert_eq!(marked().await.as_deref(), Some("refundedElsewhere"));
    shop.purchases.settle(&sale.order).await.unwrap();
    assert_eq!(marked().await, None);
    shop.clock.advance(Duration::from_secs(2));
    shop.hint(&sale).await.unwrap();
    assert_eq!(marked().await, None);
    let first = [shop.see(&sale).await.tickets[0].ticket_id];
    let refund = shop
        .purchases
        .refund(shop.user(), &sale.order, &first, "ill");
    refund.await.unwrap();
    let ledger = shop.ledger(&sale).await;
    assert_eq!(
        (ledger.cancels, ledger.balance),
        (2, 0),
        "both were given back"
    );
    assert_eq!(marked().await, None);
}

/// The provider refuses; the buyer's program asks again under the same name. Nothing more is asked of the provider.
#[tokio::test]
async fn a_refund_is_asked_for_once_under_its_name() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    let ticket = shop.see(&sale).await.tickets[0].ticket_id;
    shop.fault(&sale, json!({"call": "cancel", "fault": "error", "money": "never", "code": "EXCEED_CANCEL_LIMIT"})).await;
    let ask = async |name: &str| {
        let (user, tickets) = (shop.user(), [ticket]);
        shop.purchases
            .refund_once(user, &sale.order, &tickets, "ill", name)
            .await
            .unwrap()
    };
    let refused = ask("one").await;
    assert_eq!(refused.tickets[0].status, TicketState::Valid, "{refused:?}");
    let asked = shop.calls("POST").await;
    let again = ask("one").await;
    assert_eq!(again.tickets[0].status, TicketState::Valid);
    assert_eq!(shop.calls("POST").await, asked);
    assert_eq!(again.refunds.len(), 1);
    shop.toss.advance(Duration::from_secs(2)).await;
    shop.clock.advance(Duration::from_secs(2));
    ask("another").await;
    shop.until(&sale, &[OrderState::PartiallyRefunded]).await;
}

/// What an operator has to see stays on their list whatever else becomes of the order, until they have.
#[tokio::test]
async fn a_refused_refund_stays_on_the_list() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    let tickets = shop.see(&sale).await.tickets;
    let give_back = async |number: usize| {
        let ticket = [tickets[number].ticket_id];
        shop.purchases
            .refund(shop.user(), &sale.order, &ticket, "ill")
            .await
            .unwrap();
    };
    shop.fault(&sale, json!({"call": "cancel", "fault": "error", "money": "never", "code": "EXCEED_CANCEL_LIMIT"})).await;
    give_back(0).await;
    assert_eq!(
        shop.attention(&sale).await.as_deref(),
        Some("refundRefused")
    );
    shop.toss.advance(Duration::from_secs(2)).await;
    shop.clock.advance(Duration::from_secs(2));
    give_back(1).await;
    shop.until(&sale, &[OrderState::PartiallyRefunded]).await;
    assert_eq!(
        shop.attention(&sale).await.as_deref(),
        Some("refundRefused")
    );
    shop.purchases.retry(&sale.order).await.unwrap();
    assert_eq!(shop.attention(&sale).await, None);
}

/// Each message of an order names the request that caused it.
#[tokio::test]
async fn a_refund_carries_its_own_correlation() {
    use ticketon_domain::outbox::OutboxStore as _;
    use ticketon_domain::purchase::correlation::correlated;
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1"]).await;
    let refund = shop.purchases.refund(shop.user(), &sale.order, &[], "ill");
    correlated(Some("the-refund".to_owned()), refund)
        .await
        .unwrap();
    let mut told = Vec::new();
    let now_ms = ticketon_queue::Clock::now_ms(&shop.clock);
    for shard in shop.store.shards(now_ms).await.unwrap() {
        let unpublished = shop.store.unpublished(shard, now_ms, 100).await.unwrap();
        for event in unpublished.messages {
            let message = event.message;
            told.push((message.kind, message.correlation));
        }
    }
    let of = |kind: &str| told.iter().find(|(of, _)| of == kind).unwrap().1.as_deref();
    assert_eq!(of("order.refundRequested"), Some("the-refund"));
    assert_eq!(of("order.paid"), None);
}

/// The provider had a fault of its own, and answers the same to the same key for days: another key gets it heard.
#[tokio::test]
async fn a_refund_that_met_a_fault_that_is_kept_is_asked_for_anew() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1", "A-1-2"]).await;
    let ticket = [shop.see(&sale).await.tickets[0].ticket_id];
    shop.fault(
        &sale,
        json!({"call": "cancel", "fault": "error", "money": "never", "code": "PROVIDER_ERROR"}),
    )
    .await;
    let asked = shop
        .purchases
        .refund(shop.user(), &sale.order, &ticket, "ill")
        .await
        .unwrap();
    assert_eq!(asked.status, OrderState::Paid, "{asked:?}");
    let before = shop.calls("POST").await;
    let half = shop.until(&sale, &[OrderState::PartiallyRefunded]).await;
    assert_eq!(half.refunded_amount, PRICE);
    let ledger = shop.ledger(&sale).await;
    assert_eq!((ledger.charged, ledger.canceled), (2 * PRICE, PRICE));
    // Not at the first sight: twice more under the same key.
    assert_eq!(shop.calls("POST").await - before, 3);
}
