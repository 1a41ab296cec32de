//! The page that stands in for the payment window.

use fake_toss::FakeToss;
use serde_json::Value;

use crate::{confirm, look, started};

const ASKED: &str = "/pay?orderId=order-1&amount=12000&orderName=%3Cb%3ERow%201%3C%2Fb%3E&successUrl=http%3A%2F%2Fshop.example%2Fok%3Fa%3D1&failUrl=http%3A%2F%2Fshop.example%2Fno";

async fn html(toss: &FakeToss) -> String {
    let (status, text) = toss.text("GET", ASKED, "").await;
    assert_eq!(status, 200, "{text}");
    text
}

/// Decides as the form does; where the buyer is sent.
async fn decide(toss: &FakeToss, html: &str, choice: &str) -> (String, String) {
    let key = html
        .split("name=\"paymentKey\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let urls =
        "successUrl=http%3A%2F%2Fshop.example%2Fok%3Fa%3D1&failUrl=http%3A%2F%2Fshop.example%2Fno";
    let (status, target) = toss
        .text(
            "POST",
            "/pay/decide",
            &format!("paymentKey={key}&{urls}&{choice}"),
        )
        .await;
    assert_eq!(status, 303, "{target}");
    (key.to_owned(), target)
}

#[tokio::test]
async fn approving_sends_the_buyer_back_with_the_payment() {
    let toss = started().await;
    let html = html(&toss).await;
    assert!(
        html.contains("₩12,000")
            && html.contains("&lt;b&gt;Row 1&lt;/b&gt;")
            && !html.contains("<b>")
    );
    let (key, target) = decide(&toss, &html, "decision=approve&trouble=none").await;
    assert_eq!(
        target,
        format!(
            "http://shop.example/ok?a=1&paymentType=NORMAL&orderId=order-1&paymentKey={key}&amount=12000"
        )
    );
    assert_eq!(
        confirm(&toss, &key, "order-1", 12_000, "").await.1["status"],
        "DONE"
    );
}

#[tokio::test]
async fn declining_sends_the_buyer_back_with_the_reason() {
    let toss = started().await;
    let html = html(&toss).await;
    let (key, target) = decide(&toss, &html, "decision=decline").await;
    assert!(
        target.starts_with("http://shop.example/no?code=REJECT_CARD_COMPANY&message="),
        "{target}"
    );
    assert!(target.ends_with("&orderId=order-1"), "{target}");
    assert_eq!(look(&toss, &key).await.1["status"], "ABORTED");
}

#[tokio::test]
async fn closing_the_window_names_no_order_and_leaves_it_to_be_paid() {
    let toss = started().await;
    let html = html(&toss).await;
    let (key, target) = decide(&toss, &html, "decision=close").await;
    assert!(
        target.starts_with("http://shop.example/no?code=PAY_PROCESS_CANCELED&message="),
        "{target}"
    );
    assert!(!target.contains("orderId"), "{target}");
    assert_eq!(look(&toss, &key).await.1["status"], "READY");
    // The same order, in another window.
    let html = self::html(&toss).await;
    let (key, _) = decide(&toss, &html, "decision=approve").await;
    let (status, paid) = confirm(&toss, &key, "order-1", 12_000, "").await;
    assert_eq!(status, 200, "{paid}");
}

#[tokio::test]
async fn the_script_opens_the_page() {
    let toss = started().await;
    let (status, script) = toss.text("GET", "/v2/standard", "").await;
    assert_eq!(status, 200);
    for name in ["TossPayments", "ANONYMOUS", "requestPayment", "USER_CANCEL"] {
        assert!(script.contains(name), "{name}");
    }
}

#[tokio::test]
async fn trouble_can_be_chosen() {
    let toss = started().await;
    let html = html(&toss).await;
    let (key, _) = decide(&toss, &html, "decision=approve&trouble=declined").await;
    assert_eq!(
        confirm(&toss, &key, "order-1", 12_000, "").await.1["code"],
        "REJECT_CARD_PAYMENT"
    );
    let html = self::html(&toss).await;
    decide(&toss, &html, "decision=approve&trouble=answerLost").await;
    let (_, faults) = toss.call("GET", "/fake/faults", &[], &Value::Null).await;
    assert_eq!(
        (&faults[0]["fault"], &faults[0]["call"]),
        (&"drop".into(), &"confirm".into())
    );
}

#[tokio::test]
async fn a_buyer_is_sent_to_web_addresses_alone() {
    let toss = started().await;
    for bad in ["javascript:alert(1)", "file:///etc/passwd", "nowhere"] {
        let path = format!(
            "/pay?orderId=order-1&amount=1000&successUrl={bad}&failUrl=http://shop.example"
        );
        assert_eq!(toss.text("GET", &path, "").await.0, 400, "{bad}");
    }
}
