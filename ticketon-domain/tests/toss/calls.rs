//! Paying and giving back when nothing goes wrong, and what the provider refuses.

use std::time::Duration;

use serde_json::{Value, json};
use ticketon_domain::event::{Currency, Money};
use ticketon_domain::purchase::{PaymentKey, PaymentProvider as _, PaymentStatus, ProviderError};

use crate::{Shop, cancel, client, confirm, order, refused, unknown, won};

#[tokio::test]
async fn a_payment_is_charged_looked_up_and_given_back() {
    let shop = Shop::open().await;
    let request = shop.authorized(30_000).await;
    assert_eq!(
        shop.toss
            .payment(&request.key)
            .await
            .unwrap()
            .unwrap()
            .status,
        PaymentStatus::Pending
    );
    let payment = shop.toss.confirm(&request).await.unwrap();
    assert!(payment.is_for(&request.key, &request.order, won(30_000)));
    assert_eq!(
        (payment.status, payment.balance),
        (PaymentStatus::Done, 30_000)
    );
    assert_eq!(payment.method.as_deref(), Some("CARD"));
    assert!(payment.approved_at_ms.is_some() && payment.receipt_url.is_some());
    // Sent again, charged once.
    assert_eq!(shop.toss.confirm(&request).await.unwrap(), payment);
    assert_eq!(shop.charges().await, 1);
    assert_eq!(
        shop.toss.payment(&request.key).await.unwrap().as_ref(),
        Some(&payment)
    );
    assert_eq!(
        shop.toss.payment_of(&order(1)).await.unwrap().as_ref(),
        Some(&payment)
    );

    let part = cancel(&request.key, Some(8_000), "refund-1");
    let payment = shop.toss.cancel(&part).await.unwrap();
    assert_eq!(
        (payment.status, payment.balance),
        (PaymentStatus::PartiallyCanceled, 22_000)
    );
    assert_eq!(
        (
            payment.cancels[0].amount,
            payment.cancels[0].reason.as_str()
        ),
        (8_000, "rain")
    );
    assert_eq!(shop.toss.cancel(&part).await.unwrap(), payment);
    shop.fake.advance(Duration::from_secs(1)).await;
    let payment = shop
        .toss
        .cancel(&cancel(&request.key, None, "refund-2"))
        .await
        .unwrap();
    assert_eq!(
        (payment.status, payment.balance, payment.cancels.len()),
        (PaymentStatus::Canceled, 0, 2)
    );
    assert_eq!(shop.given_back().await, 30_000);
}

#[tokio::test]
async fn amounts_are_wider_than_32_bits() {
    let shop = Shop::open().await;
    let amount = 9_000_000_000_000;
    let request = shop.authorized(amount).await;
    assert_eq!(
        shop.toss.confirm(&request).await.unwrap().total,
        won(amount)
    );
    let payment = shop
        .toss
        .cancel(&cancel(&request.key, Some(amount - 1), "r"))
        .await
        .unwrap();
    assert_eq!(
        (payment.balance, payment.cancels[0].amount),
        (1, amount - 1)
    );
}

#[tokio::test]
async fn a_declined_card_is_refused_for_good() {
    let shop = Shop::open().await;
    let key = shop.fake.open(json!({ "orderId": order(1).to_string(), "amount": 1_000, "decline": "REJECT_CARD_PAYMENT" })).await;
    let request = confirm(&key, 1_000);
    for _ in 0..2 {
        let answer = shop.toss.confirm(&request).await;
        refused(&answer, "REJECT_CARD_PAYMENT");
        assert!(answer.unwrap_err().message().contains("over the limit"));
    }
    assert_eq!(
        shop.toss
            .payment(&request.key)
            .await
            .unwrap()
            .unwrap()
            .status,
        PaymentStatus::Aborted
    );
}

#[tokio::test]
async fn a_late_confirm_is_refused_for_good() {
    let shop = Shop::open().await;
    let request = shop.authorized(1_000).await;
    assert!(shop.toss.window() > Duration::from_secs(600));
    shop.fake.advance(shop.toss.window()).await;
    refused(
        &shop.toss.confirm(&request).await,
        "NOT_FOUND_PAYMENT_SESSION",
    );
    assert_eq!(
        shop.toss
            .payment(&request.key)
            .await
            .unwrap()
            .unwrap()
            .status,
        PaymentStatus::Expired
    );
}

#[tokio::test]
async fn what_was_processed_before_has_to_be_looked_up() {
    let shop = Shop::open().await;
    let mut request = shop.authorized(1_000).await;
    shop.toss.confirm(&request).await.unwrap();
    request.idempotency_key = "another".to_owned();
    unknown(
        &shop.toss.confirm(&request).await,
        "ALREADY_PROCESSED_PAYMENT",
    );
    shop.toss
        .cancel(&cancel(&request.key, None, "a"))
        .await
        .unwrap();
    shop.fake.advance(Duration::from_secs(1)).await;
    unknown(
        &shop.toss.cancel(&cancel(&request.key, None, "b")).await,
        "ALREADY_CANCELED_PAYMENT",
    );
}

#[tokio::test]
async fn a_cancel_that_came_too_soon_was_not_heard_and_needs_another_key() {
    let shop = Shop::open().await;
    let request = shop.authorized(1_000).await;
    shop.toss.confirm(&request).await.unwrap();
    shop.toss
        .cancel(&cancel(&request.key, Some(100), "a"))
        .await
        .unwrap();
    for _ in 0..2 {
        let answer = shop
            .toss
            .cancel(&cancel(&request.key, Some(100), "b"))
            .await;
        assert!(
            matches!(answer, Err(ProviderError::NotNow { .. })),
            "{answer:?}"
        );
        shop.fake.advance(Duration::from_secs(2)).await;
    }
    shop.toss
        .cancel(&cancel(&request.key, Some(100), "c"))
        .await
        .unwrap();
    assert_eq!(shop.given_back().await, 200);
}

#[tokio::test]
async fn a_used_key_answers_with_another_payment_which_is_not_believed() {
    let shop = Shop::open().await;
    let first = shop.authorized(1_000).await;
    shop.toss.confirm(&first).await.unwrap();
    let key = shop.fake.pay(&order(2).to_string(), 1_000).await;
    for (order, key, amount) in [
        (order(2), key.as_str(), 1_000),
        (order(2), first.key.as_str(), 1_000),
        (order(1), first.key.as_str(), 999),
    ] {
        let mut second = confirm(key, amount);
        second.order = order;
        second.idempotency_key.clone_from(&first.idempotency_key);
        unknown(&shop.toss.confirm(&second).await, "ANOTHER_ANSWER");
    }
    shop.toss
        .cancel(&cancel(&first.key, Some(300), "r"))
        .await
        .unwrap();
    unknown(
        &shop.toss.cancel(&cancel(&first.key, Some(400), "r")).await,
        "ANOTHER_ANSWER",
    );
    unknown(
        &shop.toss.cancel(&cancel(&first.key, None, "r")).await,
        "ANOTHER_ANSWER",
    );
    assert_eq!(shop.given_back().await, 300);
}

#[tokio::test]
async fn nobodys_payment_is_none() {
    let shop = Shop::open().await;
    for key in [
        "nobody",
        ".",
        "..",
        "../../fake/ledger",
        "a/b?c#d%2e",
        "orders",
        "confirm",
    ] {
        let key = PaymentKey::new(key).unwrap();
        assert_eq!(shop.toss.payment(&key).await.unwrap(), None, "{key}");
        refused(
            &shop.toss.cancel(&cancel(&key, None, "r")).await,
            "NOT_FOUND_PAYMENT",
        );
        refused(
            &shop.toss.confirm(&confirm(key.as_str(), 1_000)).await,
            "NOT_FOUND_PAYMENT",
        );
    }
    assert_eq!(shop.toss.payment_of(&order(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_deposit_is_waited_for() {
    let shop = Shop::open().await;
    let key = shop.fake.open(json!({ "orderId": order(1).to_string(), "amount": 1_000, "method": "VIRTUAL_ACCOUNT" })).await;
    let request = confirm(&key, 1_000);
    let payment = shop.toss.confirm(&request).await.unwrap();
    assert_eq!(payment.status, PaymentStatus::AwaitingDeposit);
    assert!(payment.secret.is_some());
    shop.fake
        .call(
            "POST",
            &format!("/fake/payments/{key}/deposit"),
            &[],
            &Value::Null,
        )
        .await;
    assert_eq!(
        shop.toss
            .payment(&request.key)
            .await
            .unwrap()
            .unwrap()
            .status,
        PaymentStatus::Done
    );
    // It needs an account to go to, which this client has none of.
    refused(
        &shop.toss.cancel(&cancel(&request.key, None, "r")).await,
        "INVALID_REFUND_ACCOUNT_INFO",
    );
}

#[tokio::test]
async fn what_this_provider_cannot_be_asked_is_not_sent() {
    let shop = Shop::open().await;
    let good = shop.authorized(1_000).await;
    let mut dollars = good.clone();
    dollars.amount = Money::new(1_000, "USD".parse::<Currency>().unwrap());
    let mut key = good.clone();
    key.idempotency_key = "k".repeat(301);
    let mut line = good.clone();
    line.idempotency_key = "a\nb".to_owned();
    for request in [dollars, key, line] {
        let answer = shop.toss.confirm(&request).await;
        assert!(
            matches!(answer, Err(ProviderError::Misconfigured { .. })),
            "{answer:?}"
        );
    }
    let (_, calls) = shop
        .fake
        .call("GET", "/fake/calls", &[], &Value::Null)
        .await;
    assert_eq!(calls, json!([]));
}

#[tokio::test]
async fn a_key_that_is_not_ours_is_a_matter_for_an_operator() {
    let shop = Shop::open().await;
    let request = shop.authorized(1_000).await;
    let toss = ticketon_domain::adapter::toss::TossPayments::builder("test_sk_else")
        .base_url(shop.fake.url())
        .build()
        .unwrap();
    let confirmed = toss.confirm(&request).await.unwrap_err();
    let looked = toss.payment(&request.key).await.unwrap_err();
    for error in [confirmed, looked] {
        assert_eq!(error.code(), "UNAUTHORIZED_KEY");
        assert!(matches!(error, ProviderError::Misconfigured { .. }));
        assert!(!error.to_string().contains("test_sk"));
    }
}

#[tokio::test]
async fn words_come_in_the_language_that_was_asked_for() {
    let shop = Shop::open().await;
    let toss = client(&shop.fake.url()).language("ko-KR").build().unwrap();
    let request = shop.authorized(1_000).await;
    assert_eq!(
        toss.confirm(&request).await.unwrap().method.as_deref(),
        Some("카드")
    );
}

#[tokio::test]
async fn a_long_reason_is_cut_and_the_money_goes_back() {
    let shop = Shop::open().await;
    let request = shop.authorized(1_000).await;
    shop.toss.confirm(&request).await.unwrap();
    let mut back = cancel(&request.key, None, "r");
    back.reason = "비".repeat(300);
    assert_eq!(
        shop.toss.cancel(&back).await.unwrap().cancels[0]
            .reason
            .chars()
            .count(),
        200
    );
}
