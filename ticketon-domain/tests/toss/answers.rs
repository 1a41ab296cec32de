//! Answers that no rule foresees: a client alone against raw bytes.

use std::time::Duration;

use ticketon_domain::adapter::toss::TossPayments;
use ticketon_domain::purchase::{PaymentProvider as _, PaymentStatus};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::{client, confirm, order, refused, unknown};

/// A server that answers any call with these bytes; it closes the connection after them unless it keeps it.
async fn answering(bytes: String, keeps: bool) -> TossPayments {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
            if keeps {
                kept.push(stream);
            }
        }
    });
    client(&url)
        .read_timeout(Duration::from_millis(700))
        .build()
        .unwrap()
}

async fn answer(status: &str, headers: &str, body: &str) -> TossPayments {
    let bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    answering(bytes, false).await
}

fn payment(status: &str, more: &str) -> String {
    let order = order(1);
    format!(
        r#"{{"paymentKey":"k","orderId":"{order}","status":{status},"totalAmount":1000,"balanceAmount":1000{more}}}"#
    )
}

#[tokio::test]
async fn a_payment_of_another_year_is_read() {
    let body = payment(
        r#""DONE""#,
        r#","currency":"KRW","method":{"new":1},"cancels":null,"news":[{}],"card":"x","approvedAt":0"#,
    );
    let toss = answer("200 OK", "", &body).await;
    assert_eq!(
        toss.confirm(&confirm("k", 1_000)).await.unwrap().status,
        PaymentStatus::Done
    );
    let toss = answer("200 OK", "", &payment(r#""BEING_SETTLED""#, "")).await;
    assert_eq!(
        toss.confirm(&confirm("k", 1_000)).await.unwrap().status,
        PaymentStatus::Unknown
    );
}

#[tokio::test]
async fn only_an_error_of_the_provider_is_a_refusal() {
    let declined = r#"{"code":"REJECT_CARD_PAYMENT","message":"no\r\nmoney","more":{}}"#;
    let toss = answer("403 Forbidden", "", declined).await;
    let answered = toss.confirm(&confirm("k", 1_000)).await;
    refused(&answered, "REJECT_CARD_PAYMENT");
    assert_eq!(answered.unwrap_err().message(), "no  money");
    for (status, body, code) in [
        // A proxy on the way knows nothing of the money.
        ("403 Forbidden", "<html>blocked</html>", "UNREADABLE_ANSWER"),
        ("404 Not Found", "", "UNREADABLE_ANSWER"),
        ("404 Not Found", "{}", "UNREADABLE_ANSWER"),
        ("404 Not Found", r#"{"code":404}"#, "UNREADABLE_ANSWER"),
        ("404 Not Found", "[]", "UNREADABLE_ANSWER"),
        ("401 Unauthorized", "who?", "UNREADABLE_ANSWER"),
        (
            "429 Too Many Requests",
            r#"{"code":"TOO_MANY_REQUESTS"}"#,
            "TOO_MANY_REQUESTS",
        ),
        ("204 No Content", "", "UNREADABLE_ANSWER"),
        ("200 OK", "", "UNREADABLE_ANSWER"),
        ("200 OK", "null", "UNREADABLE_ANSWER"),
        ("200 OK", declined, "UNREADABLE_ANSWER"),
        ("202 Accepted", declined, "REJECT_CARD_PAYMENT"),
        ("409 Conflict", declined, "REJECT_CARD_PAYMENT"),
        ("500 Internal Server Error", declined, "REJECT_CARD_PAYMENT"),
        ("502 Bad Gateway", "<html>", "UNREADABLE_ANSWER"),
    ] {
        let toss = answer(status, "", body).await;
        unknown(&toss.confirm(&confirm("k", 1_000)).await, code);
        // Nor does it say that there is no payment.
        unknown(
            &toss.payment(&confirm("k", 1).key).await.map(Option::unwrap),
            code,
        );
    }
}

#[tokio::test]
async fn nobody_leads_the_client_elsewhere() {
    let away = answer("200 OK", "", &payment(r#""DONE""#, "")).await;
    let elsewhere = format!("{away:?}");
    let elsewhere = elsewhere
        .split('"')
        .find(|part| part.starts_with("http://"))
        .unwrap();
    for status in [
        "301 Moved Permanently",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let toss = answer(
            status,
            &format!("location: {elsewhere}v1/payments/k\r\n"),
            "",
        )
        .await;
        unknown(
            &toss.confirm(&confirm("k", 1_000)).await,
            "UNREADABLE_ANSWER",
        );
        unknown(
            &toss.payment(&confirm("k", 1).key).await.map(Option::unwrap),
            "UNREADABLE_ANSWER",
        );
    }
}

#[tokio::test]
async fn an_answer_that_stops_in_its_middle_is_none() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"paymentKey\":".to_owned();
    let toss = answering(head.clone(), true).await;
    unknown(&toss.confirm(&confirm("k", 1_000)).await, "TIMED_OUT");
    let toss = answering(head, false).await;
    unknown(
        &toss.confirm(&confirm("k", 1_000)).await,
        "CONNECTION_BROKEN",
    );
    let toss = answering("SSH-2.0-else\r\n".to_owned(), false).await;
    unknown(
        &toss.confirm(&confirm("k", 1_000)).await,
        "CONNECTION_BROKEN",
    );
}

#[tokio::test]
async fn the_provider_may_say_when() {
    use ticketon_domain::purchase::ProviderError;
    for (header, expected) in [
        ("retry-after: 7\r\n", Some(7)),
        ("retry-after: 99999\r\n", Some(600)),
        ("retry-after: soon\r\n", None),
        ("", None),
    ] {
        let toss = answer(
            "503 Service Unavailable",
            header,
            r#"{"code":"COMMON_ERROR","message":"later"}"#,
        )
        .await;
        let answered = toss.confirm(&confirm("k", 1_000)).await;
        let Err(ProviderError::Unknown { retry_after, .. }) = answered else {
            panic!("{answered:?}")
        };
        assert_eq!(retry_after, expected.map(Duration::from_secs), "{header}");
    }
}

#[tokio::test]
async fn an_answer_about_another_payment_or_order_is_not_believed() {
    let toss = answer("200 OK", "", &payment(r#""DONE""#, "")).await;
    unknown(
        &toss
            .payment(&confirm("else", 1).key)
            .await
            .map(Option::unwrap),
        "ANOTHER_ANSWER",
    );
    unknown(
        &toss.payment_of(&order(2)).await.map(Option::unwrap),
        "ANOTHER_ANSWER",
    );
    unknown(
        &toss.confirm(&confirm("else", 1_000)).await,
        "ANOTHER_ANSWER",
    );
    unknown(&toss.confirm(&confirm("k", 999)).await, "ANOTHER_ANSWER");
    let dollars = answer("200 OK", "", &payment(r#""DONE""#, r#","currency":"JPY""#)).await;
    unknown(
        &dollars.confirm(&confirm("k", 1_000)).await,
        "ANOTHER_ANSWER",
    );
}

#[tokio::test]
async fn an_answer_has_a_bound() {
    for (bytes, is_read) in [(200 * 1024, true), (300 * 1024, false)] {
        let pad = format!(r#","pad":"{}""#, "x".repeat(bytes));
        let toss = answer("200 OK", "", &payment(r#""DONE""#, &pad)).await;
        let answered = toss.confirm(&confirm("k", 1_000)).await;
        if is_read {
            assert_eq!(answered.unwrap().status, PaymentStatus::Done);
        } else {
            unknown(&answered, "UNREADABLE_ANSWER");
        }
    }
}
