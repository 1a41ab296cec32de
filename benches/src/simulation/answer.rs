//! Calls by the HTTP contract, without a socket: a payment as a browser confirms it.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ticketon_domain::http::{PURCHASE_ROUTES, PurchaseHttp};
use ticketon_domain::purchase::{OrderId, PaymentKey};
use ticketon_queue::UserId;
use ticketon_queue::http::{Body, Endpoint as _, Inbound, Params, Principal};

use super::diary::Answered;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A confirmation as it goes over the wire.
#[derive(Debug, Clone)]
pub(super) struct Confirmation {
    pub(super) user: UserId,
    pub(super) order: OrderId,
    pub(super) payment: PaymentKey,
    pub(super) amount: u64,
    pub(super) key: String,
}

impl Confirmation {
    fn body(&self) -> String {
        let Self {
            order,
            payment,
            amount,
            ..
        } = self;
        serde_json::json!({"orderId": order, "paymentKey": payment, "amount": amount}).to_string()
    }

    /// Sends it.
    pub(super) async fn send(&self, http: &PurchaseHttp) -> Answered {
        let route = PURCHASE_ROUTES
            .iter()
            .find(|route| route.path == "/purchase/confirm");
        let op = route.unwrap_or_else(|| panic!("payments are confirmed")).op;
        let mut headers = HeaderMap::new();
        if let Ok(key) = HeaderValue::from_str(&self.key) {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let content = HeaderValue::from_static("application/json");
        headers.insert(http::header::CONTENT_TYPE, content);
        let request = Inbound {
            method: Method::POST,
            params: Params::from_iter(Vec::<(String, String)>::new()),
            query: None,
            headers,
            caller: Some(Principal::new(self.user.clone())),
            body: self.body().into(),
        };
        let response = http.call(op, request).await;
        let status = response.status().as_u16();
        let body = match response.into_body() {
            Body::Full(body) => String::from_utf8_lossy(&body).into_owned(),
            _ => String::new(),
        };
        Answered {
            asked: self.body(),
            status,
            body,
        }
    }
}

impl Answered {
    /// A field of the answer.
    pub(super) fn text(&self, field: &str) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body[field].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it will not change when the same is asked again.
    pub(super) fn is_final(&self) -> bool {
        let again = self.status == 409 && self.text("code") == "stillRunning";
        !(self.status >= 500 || self.status == 202 || again)
    }
}
