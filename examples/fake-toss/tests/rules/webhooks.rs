//! Webhooks: in order, again until they are heard, and odd ones on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use fake_toss::{FakeToss, Settings};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{confirm, refused};

/// A shop that hears, and answers 503 to the first so many.
struct Shop {
    url: String,
    heard: watch::Receiver<Vec<(String, String, Value)>>,
}

type Ears = (Arc<Mutex<u32>>, watch::Sender<Vec<(String, String, Value)>>);

async fn hear(
    State((deaf, ears)): State<Ears>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    let text = |name: &str| {
        headers[format!("tosspayments-webhook-transmission-{name}")]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert!(text("time").ends_with("+09:00"));
    ears.send_modify(|heard| heard.push((text("id"), text("retried-count"), body)));
    let mut deaf = deaf.lock().unwrap();
    if *deaf == 0 {
        return StatusCode::OK;
    }
    *deaf -= 1;
    StatusCode::SERVICE_UNAVAILABLE
}

impl Shop {
    async fn open(deaf: u32) -> Self {
        let (ears, heard) = watch::channel(Vec::new());
        let router = Router::new()
            .route("/hook", post(hear))
            .with_state((Arc::new(Mutex::new(deaf)), ears));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard }
    }

    async fn toss(&self) -> FakeToss {
        let settings = Settings {
            webhook_url: Some(self.url.clone()),
            webhook_minute: Duration::from_millis(1),
            ..Settings::default()
        };
        FakeToss::start(settings).await.unwrap()
    }

    async fn heard(&mut self, count: usize) -> Vec<(String, String, Value)> {
        let heard = self.heard.wait_for(|heard| heard.len() >= count);
        tokio::time::timeout(Duration::from_secs(20), heard)
            .await
            .unwrap()
            .unwrap()
            .clone()
    }
}

#[tokio::test]
async fn changes_are_told_in_their_order() {
    let mut shop = Shop::open(0).await;
    let toss = shop.toss().await;
    let key = toss
        .open(json!({ "orderId": "order-1", "amount": 5_000, "method": "VIRTUAL_ACCOUNT" }))
        .await;
    let (_, payment) = confirm(&toss, &key, "order-1", 5_000, "").await;
    toss.call(
        "POST",
        &format!("/fake/payments/{key}/deposit"),
        &[],
        &Value::Null,
    )
    .await;
    let heard = shop.heard(3).await;
    let [(_, _, waiting), (_, _, deposit), (_, _, done)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(
        (&waiting["eventType"], &waiting["data"]["status"]),
        (
            &json!("PAYMENT_STATUS_CHANGED"),
            &json!("WAITING_FOR_DEPOSIT")
        )
    );
    assert_eq!(deposit["eventType"], Value::Null);
    assert_eq!(
        (&deposit["secret"], &deposit["status"], &deposit["orderId"]),
        (&payment["secret"], &json!("DONE"), &json!("order-1"))
    );
    assert_eq!(done["data"]["status"], "DONE");
}

#[tokio::test]
async fn what_is_not_heard_comes_again_under_its_name() {
    let mut shop = Shop::open(3).await;
    let toss = shop.toss().await;
    let key = toss.pay("order-1", 1_000).await;
    confirm(&toss, &key, "order-1", 1_000, "").await;
    let heard = shop.heard(4).await;
    let counts: Vec<&str> = heard.iter().map(|(_, count, _)| count.as_str()).collect();
    assert_eq!(counts, ["0", "1", "2", "3"]);
    assert!(
        heard
            .iter()
            .all(|(id, _, body)| *id == heard[0].0 && *body == heard[0].2)
    );
}

#[tokio::test]
async fn disorder_sends_the_newest_first_and_each_twice() {
    let mut shop = Shop::open(0).await;
    let settings = Settings {
        webhook_url: Some(shop.url.clone()),
        webhook_disorder: Some(Duration::from_millis(300)),
        ..Settings::default()
    };
    let toss = FakeToss::start(settings).await.unwrap();
    let key = toss.pay("order-1", 1_000).await;
    confirm(&toss, &key, "order-1", 1_000, "").await;
    let (status, _) = crate::cancel(&toss, &key, json!({ "cancelReason": "rain" }), "").await;
    assert_eq!(status, 200);
    let heard = shop.heard(4).await;
    let statuses: Vec<&Value> = heard
        .iter()
        .map(|(_, _, body)| &body["data"]["status"])
        .collect();
    assert_eq!(statuses, ["CANCELED", "CANCELED", "DONE", "DONE"]);
    assert!(heard[0].0 == heard[1].0 && heard[1].0 != heard[2].0 && heard[2].0 == heard[3].0);
}

#[tokio::test]
async fn odd_webhooks_are_sent_on_demand() {
    let mut shop = Shop::open(0).await;
    let toss = FakeToss::start(Settings::default()).await.unwrap();
    let key = toss.pay("order-1", 1_000).await;
    let sending = json!({ "url": shop.url, "send": [
        { "form": "paymentStatusChanged", "paymentKey": key, "with": { "status": "DONE" }, "times": 2, "transmissionId": "seven" },
        { "form": "paymentStatusChanged", "paymentKey": key, "with": { "status": "ABORTED" } },
        { "form": "depositCallback", "paymentKey": key, "with": { "secret": "guessed" } },
        { "form": "cancelStatusChanged", "paymentKey": key },
        { "form": "raw", "body": { "any": "thing" } },
    ] });
    let (_, answer) = toss.call("POST", "/fake/webhooks", &[], &sending).await;
    assert_eq!(answer["statuses"], json!([200, 200, 200, 200, 200, 200]));
    let heard = shop.heard(6).await;
    assert_eq!((&heard[0].0, &heard[0]), (&"seven".to_owned(), &heard[1]));
    assert_eq!(
        (&heard[1].2["data"]["status"], &heard[2].2["data"]["status"]),
        (&json!("DONE"), &json!("ABORTED"))
    );
    assert_eq!(heard[3].2["secret"], "guessed");
    assert_eq!(heard[4].2["eventType"], "CANCEL_STATUS_CHANGED");
    assert_eq!(heard[5].2, json!({ "any": "thing" }));
    let nobody = json!({ "url": shop.url, "send": [{ "form": "paymentStatusChanged", "paymentKey": "nobody" }] });
    refused(
        &toss.call("POST", "/fake/webhooks", &[], &nobody).await,
        404,
        "NOT_FOUND_PAYMENT",
    );
}
