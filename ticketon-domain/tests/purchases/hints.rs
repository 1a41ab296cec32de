//! Hints that anybody may send, as often as they like.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use ticketon_domain::purchase::PurchaseError;

use crate::shop::Shop;

#[tokio::test]
async fn many_hints_share_a_look() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1"]).await;
    let before = shop.calls("GET").await;
    let hints = (0..50).map(|_| shop.purchases.hint(Some(&sale.payment), None));
    let hints = shop.meanwhile(join_all(hints)).await;
    assert!(hints.iter().all(Result::is_ok), "{hints:?}");
    let looks = shop.calls("GET").await - before;
    assert!((1..=3).contains(&looks), "{looks} looks");
}

#[tokio::test]
async fn more_hints_than_anybody_sends_are_turned_away() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1"]).await;
    let before = shop.calls("GET").await;
    let hints = (0..500).map(|_| shop.purchases.hint(Some(&sale.payment), None));
    let hints = shop.meanwhile(join_all(hints)).await;
    let turned_away =
        |hint: &&Result<(), PurchaseError>| matches!(hint, Err(PurchaseError::Running { .. }));
    assert!(hints.iter().filter(turned_away).count() > 300);
    assert!(shop.calls("GET").await - before <= 10);
}

/// It is the only way to hear of money that was given back elsewhere: who sent it has to send it again.
#[tokio::test]
async fn a_hint_that_cannot_be_followed_is_an_error() {
    let shop = Shop::open().await;
    let sale = shop.paid(&["A-1-1"]).await;
    shop.cancel_elsewhere(&sale, None).await;
    shop.fault(&sale, json!({"call": "query", "fault": "error"}))
        .await;
    let lost = shop.hint(&sale).await;
    assert!(matches!(lost, Err(PurchaseError::Provider(_))), "{lost:?}");
    assert_eq!(shop.attention(&sale).await, None);
    shop.hint(&sale).await.unwrap();
    assert_eq!(
        shop.attention(&sale).await.as_deref(),
        Some("refundedElsewhere")
    );
}

/// An order failed, was charged after all, and the provider refuses to give that back. Whoever says again that the payment
/// has changed brings no further refund, and takes the order off nobody's list.
#[tokio::test]
async fn a_hint_is_no_operator() {
    let shop = Shop::open().await;
    let sale = shop.sale(&["A-1-1"]).await;
    shop.fault(
        &sale,
        json!({"call": "confirm", "fault": "error", "code": "REJECT_CARD_PAYMENT"}),
    )
    .await;
    let declined = shop.confirm(&sale).await;
    assert!(
        matches!(declined, Err(PurchaseError::Declined { .. })),
        "{declined:?}"
    );
    shop.fault(&sale, json!({"call": "cancel", "fault": "error", "money": "never", "code": "EXCEED_CANCEL_LIMIT"})).await;
    shop.hint(&sale).await.unwrap();
    assert_eq!(shop.see(&sale).await.refunds.len(), 1);
    let asked = shop.calls("POST").await;
    for _ in 0..3 {
        shop.clock.advance(Duration::from_secs(2));
        shop.hint(&sale).await.unwrap();
        assert_eq!(
            shop.attention(&sale).await.as_deref(),
            Some("refundRefused")
        );
    }
    assert_eq!(shop.see(&sale).await.refunds.len(), 1);
    assert_eq!(shop.calls("POST").await, asked);
    // An operator who has seen it may.
    shop.toss.advance(Duration::from_secs(2)).await;
    shop.purchases.retry(&sale.order).await.unwrap();
    assert_eq!(shop.ledger(&sale).await.balance, 0);
}
