//! Payments of which nobody knows for a while what became of them.

use serde_json::json;
use ticketon_domain::purchase::OrderState;

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
