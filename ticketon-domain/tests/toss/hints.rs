//! Webhooks: what is read of them, and that nothing of them is believed.

use std::time::Duration;

use serde_json::{Value, json};
use ticketon_domain::adapter::toss::webhook::{HintError, HintKind, MAX_WEBHOOK_BYTES, TossHint};
use ticketon_domain::purchase::{PaymentProvider as _, PaymentStatus};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::{Shop, confirm, order};

fn read(body: &Value) -> Result<TossHint, HintError> {
    TossHint::parse(body.to_string().as_bytes(), Some("t-1"))
}

#[test]
fn the_three_forms_are_read() {
    let id = order(1).to_string();
    let hint = read(&json!({ "eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2022-01-01T00:00:00.000000", "data": {
        "paymentKey": "k", "orderId": id, "status": "DONE", "secret": "not this one", "totalAmount": 1 } })).unwrap();
    assert_eq!(
        (hint.kind, hint.order),
        (HintKind::PaymentStatusChanged, Some(order(1)))
    );
    assert_eq!(
        (
            hint.payment_key.unwrap().as_str(),
            hint.secret,
            hint.transmission_id.as_deref()
        ),
        ("k", None, Some("t-1"))
    );

    let hint = read(&json!({ "createdAt": "x", "secret": "ps_1", "status": "DONE", "transactionKey": "t", "orderId": id })).unwrap();
    assert_eq!(
        (hint.kind, hint.order, &hint.payment_key),
        (HintKind::DepositCallback, Some(order(1)), &None)
    );
    assert!(hint.proves("ps_1") && !hint.proves("ps_2") && !hint.proves("ps_") && !hint.proves(""));
    assert!(!format!("{hint:?}").contains("ps_1"));

    let hint = read(&json!({ "eventType": "CANCEL_STATUS_CHANGED", "data": { "transactionKey": "t", "cancelStatus": "DONE" } })).unwrap();
    assert_eq!(
        (hint.kind, hint.order, hint.payment_key),
        (HintKind::CancelStatusChanged, None, None)
    );
}

#[test]
fn strange_bodies_are_told_apart() {
    let changed =
        |data: Value| read(&json!({ "eventType": "PAYMENT_STATUS_CHANGED", "data": data }));
    for data in [
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!({ "paymentKey": 7, "orderId": ["x"] }),
        json!({ "paymentKey": "a b", "orderId": "order-of-others" }),
    ] {
        let hint = changed(data.clone()).unwrap();
        assert_eq!((hint.payment_key, hint.order), (None, None), "{data}");
    }
    for body in [
        json!({}),
        json!({ "eventType": "METHOD_UPDATED" }),
        json!({ "eventType": 7, "secret": "s" }),
        json!({ "secret": null, "orderId": "x" }),
    ] {
        assert_eq!(read(&body), Err(HintError::UnknownForm), "{body}");
    }
    for body in [
        "",
        "null",
        "[]",
        "[1,2,3,4]",
        "7",
        "\"x\"",
        "{",
        "{\"a\":1}{",
        "\u{0}",
        "eventType=PAYMENT_STATUS_CHANGED",
    ] {
        assert_eq!(
            TossHint::parse(body.as_bytes(), None),
            Err(HintError::Unreadable),
            "{body}"
        );
    }
    assert_eq!(
        TossHint::parse(&[b'{', 0xff, b'}'], None),
        Err(HintError::Unreadable)
    );
    let deep = format!(
        "{{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"data\":{}",
        "[".repeat(60_000)
    );
    assert_eq!(
        TossHint::parse(deep.as_bytes(), None),
        Err(HintError::Unreadable)
    );
}

#[test]
fn an_oversized_body_is_not_read() {
    let body = |bytes: usize| {
        let empty = json!({ "eventType": "PAYMENT_STATUS_CHANGED", "data": { "pad": "" } })
            .to_string()
            .len();
        json!({ "eventType": "PAYMENT_STATUS_CHANGED", "data": { "pad": "x".repeat(bytes - empty) } })
    };
    assert!(read(&body(MAX_WEBHOOK_BYTES)).is_ok());
    assert_eq!(read(&body(MAX_WEBHOOK_BYTES + 1)), Err(HintError::TooLarge));
}

#[test]
fn the_name_of_a_delivery_is_fit_for_a_log() {
    let body = br#"{"eventType":"PAYMENT_STATUS_CHANGED","data":{}}"#;
    for (name, kept) in [
        ("t-1", true),
        ("a b", false),
        ("a\nb", false),
        (&*"x".repeat(201), false),
    ] {
        let hint = TossHint::parse(body, Some(name)).unwrap();
        assert_eq!(hint.transmission_id.is_some(), kept, "{name:?}");
    }
}

/// Hears webhooks, answers 200, and yields their bodies.
async fn hear(listener: &TcpListener) -> Vec<u8> {
    let heard = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            let length = text
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
            if let (Some(length), Some(head)) = (length, text.find("\r\n\r\n"))
                && request.len() >= head + 4 + length
            {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await
                    .unwrap();
                return request.split_off(head + 4);
            }
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_forged_webhook_leads_to_a_look_that_tells_the_truth() {
    let shop = Shop::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let key = shop.fake.open(json!({ "orderId": order(1).to_string(), "amount": 1_000, "method": "VIRTUAL_ACCOUNT" })).await;
    let secret = shop
        .toss
        .confirm(&confirm(&key, 1_000))
        .await
        .unwrap()
        .secret
        .unwrap();
    let sending = json!({ "url": format!("http://{}", listener.local_addr().unwrap()), "send": [
        { "form": "paymentStatusChanged", "paymentKey": key, "with": { "status": "DONE" } },
        { "form": "paymentStatusChanged", "paymentKey": key, "with": { "status": "ABORTED" } },
        { "form": "depositCallback", "paymentKey": key, "with": { "status": "DONE", "secret": "guessed" } },
        { "form": "depositCallback", "paymentKey": key },
        { "form": "cancelStatusChanged", "paymentKey": key },
        { "form": "raw", "body": { "eventType": "PAYMENT_STATUS_CHANGED", "data": { "paymentKey": "nobody" } } },
    ] });
    let hear_all = async {
        let mut hints = Vec::new();
        for _ in 0..6 {
            hints.push(TossHint::parse(&hear(&listener).await, None).unwrap());
        }
        hints
    };
    let (hints, _) = tokio::join!(
        hear_all,
        shop.fake.call("POST", "/fake/webhooks", &[], &sending)
    );
    let proofs: Vec<bool> = hints.iter().map(|hint| hint.proves(&secret)).collect();
    assert_eq!(proofs, [false, false, false, true, false, false]);
    for hint in &hints[..4] {
        let found = match (&hint.payment_key, &hint.order) {
            (Some(key), _) => shop.toss.payment(key).await,
            (None, Some(order)) => shop.toss.payment_of(order).await,
            (None, None) => panic!("{hint:?}"),
        };
        assert_eq!(
            found.unwrap().unwrap().status,
            PaymentStatus::AwaitingDeposit
        );
    }
    assert_eq!((&hints[4].payment_key, hints[4].order), (&None, None));
    assert_eq!(
        shop.toss
            .payment(hints[5].payment_key.as_ref().unwrap())
            .await
            .unwrap(),
        None
    );
}
