//! Payments by bank transfer, which would keep seats for days.

use serde_json::json;
use ticketon_domain::purchase::{OrderState, PurchaseError};

use crate::shop::Shop;

#[tokio::test]
async fn a_payment_that_waits_for_a_transfer_is_called_off() {
    let shop = Shop::open().await;
    let transfer = json!({"method": "VIRTUAL_ACCOUNT"});
    let sale = shop.sale_by(&["A-1-1"], transfer).await;
    let refused = shop.confirm(&sale).await.unwrap_err();
    assert!(
        matches!(&refused, PurchaseError::Declined { code, .. } if code == "depositNotTaken"),
        "{refused:?}"
    );
    assert_eq!(shop.see(&sale).await.status, OrderState::Failed);
    // The provider takes no deposit any more, and the seat is good for another order.
    let path = format!("/fake/payments/{}/deposit", sale.payment);
    let (status, _) = shop.toss.call("POST", &path, &[], &json!({})).await;
    assert!(status >= 400, "{status}");
    assert_eq!(shop.ledger(&sale).await.balance, 0);
}

/// The money came before the payment could be called off: it is paid. And when the bank takes it back, somebody is told.
#[tokio::test]
async fn a_deposit_that_came_first_pays_and_may_be_undone() {
    let shop = Shop::open().await;
    let sale = shop
        .sale_by(&["A-1-1"], json!({"method": "VIRTUAL_ACCOUNT"}))
        .await;
    shop.fault(&sale, json!({"call": "query", "fault": "error"}))
        .await;
    shop.fault(
        &sale,
        json!({"call": "cancel", "fault": "drop", "money": "never"}),
    )
    .await;
    let doubt = shop.confirm(&sale).await.unwrap();
    assert_eq!(doubt.status, OrderState::Confirming);
    shop.provider(&sale, "deposit", &json!({})).await;
    let paid = shop
        .until(&sale, &[OrderState::Paid, OrderState::Failed])
        .await;
    assert_eq!(paid.status, OrderState::Paid);
    shop.hint(&sale).await.unwrap();
    assert_eq!(shop.attention(&sale).await, None);
    shop.provider(&sale, "undo-deposit", &json!({})).await;
    shop.hint(&sale).await.unwrap();
    assert_eq!(shop.attention(&sale).await.as_deref(), Some("chargeUndone"));
}
