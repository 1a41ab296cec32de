//! The whole way of an order: through the HTTP contract, with the relay and the sealer that a shop has beside it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use ticketon_domain::adapter::memory::MemoryBus;
use ticketon_domain::adapter::sandbox::Sandbox;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::audit::{AuditKeys, Sealer};
use ticketon_domain::event::{Currency, Money};
use ticketon_domain::http::{PURCHASE_ROUTES, PurchaseHttp};
use ticketon_domain::outbox::{Relay, Wake};
use ticketon_domain::purchase::Purchases;
use ticketon_queue::http::{ADMISSION_HEADER, Body, Endpoint as _, Inbound, Params, Principal};
use ticketon_queue::{
    AdmissionKeys, EventId, Joined, MemoryStore, RoomConfig, UserId, WaitingQueue,
};

use super::{Buyer, pay};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// As often as in a shop that wants to know soon.
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// More than all rounds let in.
const CROWD: u32 = 200_000;

/// What runs beside purchases.
pub(super) struct Around {
    pub(super) queue: WaitingQueue,
    pub(super) wake: Wake,
    relay: Relay,
    sealer: Sealer,
}

impl Around {
    pub(super) async fn start(store: &SqlStore, event: &EventId) -> Self {
        let queue = WaitingQueue::builder(MemoryStore::new())
            .admission_keys(AdmissionKeys::random())
            .start()
            .await
            .expect("a room in memory");
        let room = RoomConfig::builder()
            .capacity(CROWD)
            .admit_per_second(100_000)
            .admit_burst(CROWD)
            .claim_ttl_seconds(3_600)
            .entry_ttl_seconds(7_200)
            .build();
        queue
            .ensure_room(event, room.expect("a valid room"))
            .await
            .expect("a room");
        let wake = Wake::new();
        let relay = Relay::builder(Arc::new(store.clone()), Arc::new(MemoryBus::new()))
            .wake(wake.clone())
            .start();
        let keys = AuditKeys::new("bench", [7; 32]).expect("a valid key");
        let sealer = Sealer::builder(Arc::new(store.clone()), keys)
            .every(SEAL_EVERY)
            .start();
        Self {
            queue,
            wake,
            relay,
            sealer,
        }
    }
}

/// Where buyers come in.
pub(super) struct Front {
    pub(super) http: PurchaseHttp,
    around: Around,
}

impl Front {
    pub(super) fn new(purchases: &Purchases, around: Around) -> Self {
        Self {
            http: PurchaseHttp::new(purchases, &around.queue),
            around,
        }
    }

    /// Lets somebody in; their token.
    pub(super) async fn admit(&self, event: &EventId, user: &UserId) -> String {
        match self.around.queue.join(event, user).await {
            Ok(Joined::Admitted(admitted)) => admitted.admission_token,
            other => panic!("nobody waits: {other:?}"),
        }
    }

    pub(super) async fn shutdown(&self) {
        self.around.relay.shutdown().await;
        self.around.sealer.shutdown().await;
        self.around.queue.shutdown().await;
    }
}

/// Buys as a browser does.
pub(super) async fn buy(http: &PurchaseHttp, provider: &Sandbox, event: &EventId, buyer: &Buyer) {
    let wanted = json!({"eventId": event, "holdId": buyer.hold.to_string()});
    let (status, order) = call(http, "/purchase/initiate", buyer, &wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let id = order["orderId"].as_str().unwrap_or_default();
    let amount = order["amount"].as_u64().unwrap_or_default();
    let order_id = id.parse().expect("an order's id");
    let key = pay(provider, &order_id, Money::new(amount, Currency::KRW)).await;
    let confirm = json!({"orderId": id, "paymentKey": key, "amount": amount});
    let (status, order) = call(http, "/purchase/confirm", buyer, &confirm).await;
    assert_eq!(status, StatusCode::OK, "{order}");
    assert_eq!(order["status"], "paid");
}

async fn call(http: &PurchaseHttp, path: &str, buyer: &Buyer, body: &Value) -> (StatusCode, Value) {
    let route = PURCHASE_ROUTES.iter().find(|route| route.path == path);
    let mut headers = HeaderMap::new();
    let value = |text: &str| HeaderValue::from_str(text).expect("visible characters");
    headers.insert(http::header::CONTENT_TYPE, value("application/json"));
    headers.insert(ADMISSION_HEADER, value(&buyer.token));
    headers.insert(
        IDEMPOTENCY_KEY,
        value(&format!("{path} of {}", buyer.user).replace(' ', "-")),
    );
    let request = Inbound {
        method: Method::POST,
        params: Params::from_iter(Vec::<(String, String)>::new()),
        query: None,
        headers,
        caller: Some(Principal::new(buyer.user.clone())),
        body: body.to_string().into(),
    };
    let response = http.call(route.expect("a route").op, request).await;
    let status = response.status();
    let body = match response.into_body() {
        Body::Full(body) => serde_json::from_slice(&body).unwrap_or_default(),
        _ => Value::Null,
    };
    (status, body)
}
