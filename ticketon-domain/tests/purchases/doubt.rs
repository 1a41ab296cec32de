//! Payments of which nobody knows for a while what became of them.

use serde_json::json;
use ticketon_domain::purchase::{OrderState, PurchaseError};
use ticketon_queue::http::Problem;

use crate::shop::{PRICE, Shop};

/// Charged and not told; then somebody gives the money back at the provider. A repeated confirm is answered as the first
/// was, and that answer is old.
#[tokio::test]
async fn the_answer_to_a_repetition_is_old() {
    let shop = Shop::open().await;
    let sale = shop.sale(&["A-1-1"]).await;
    shop.fault(&sale, json!({"call": "confirm", "fault": "drop"}))
        .await;
    shop.fault(&sale, json!({"call": "query", "fault": "error"}))
        .await;
    let doubt = shop.confirm(&sale).await.unwrap();
    assert_eq!(doubt.status, OrderState::Confirming);
    shop.cancel_elsewhere(&sale, None).await;
    let ended = shop
        .until(&sale, &[OrderState::Paid, OrderState::Failed])
        .await;
    assert_eq!(ended.status, OrderState::Failed, "{ended:?}");
    assert_eq!(ended.failure.unwrap().code, "canceledAtProvider");
    assert_eq!(shop.ledger(&sale).await.balance, 0);
}

/// Nobody was charged yet, and the map has forgotten the hold: the seats are the order's all the same.
#[tokio::test]
async fn a_map_that_was_lost_is_no_refusal() {
    let shop = Shop::open().await;
    let sale = shop.sale(&["A-1-1", "A-1-2"]).await;
    shop.fault(
        &sale,
        json!({"call": "confirm", "fault": "drop", "money": "never"}),
    )
    .await;
    shop.fault(&sale, json!({"call": "query", "fault": "error"}))
        .await;
    let doubt = shop.confirm(&sale).await.unwrap();
    assert_eq!(doubt.status, OrderState::Confirming);
    assert!(shop.seats.rebuild(shop.event()).await.unwrap());
    let ended = shop
        .until(&sale, &[OrderState::Paid, OrderState::Failed])
        .await;
    assert_eq!(ended.status, OrderState::Paid, "{ended:?}");
    let ledger = shop.ledger(&sale).await;
    assert_eq!((ledger.charges, ledger.charged), (1, 2 * PRICE));
    assert_eq!(sold(&shop).await, 2);
}

/// The provider is never asked to charge for seats that cannot be kept, and the buyer is told that it was not the card.
#[tokio::test]
async fn a_hold_that_is_gone_is_not_paid_for() {
    let shop = Shop::open().await;
    let sale = shop.sale(&["A-1-1"]).await;
    assert!(shop.seats.rebuild(shop.event()).await.unwrap());
    for _ in 0..2 {
        let refused = shop.confirm(&sale).await.unwrap_err();
        assert!(
            matches!(&refused, PurchaseError::Declined { code, .. } if code == "holdEnded"),
            "{refused:?}"
        );
        let problem = Problem::from(refused);
        assert_eq!(problem.code.as_str(), "holdEnded");
        assert_eq!(problem.code.status(), 410);
    }
    let seen = shop.see(&sale).await;
    assert_eq!(seen.status, OrderState::Failed);
    assert_eq!(seen.failure.unwrap().code, "holdEnded");
    assert_eq!(shop.ledger(&sale).await.charges, 0);
}

async fn sold(shop: &Shop) -> u32 {
    shop.seats
        .head(shop.event())
        .await
        .unwrap()
        .done()
        .unwrap()
        .counts
        .sold
}
