//! Somebody who buys: from the seat map to the sandbox, and what their browser asks the server.

use std::ops::Deref;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use ticketon_domain::venue::Layout;
use ticketon_tests::eventually;

use super::buyer::{Buyer, Device};
use super::{ADMIN_TOKEN, SOON};

/// A hall whose labels the tests know: two rows at ₩165,000, then rows at ₩143,000.
pub(crate) fn attic() -> Layout {
    let rows: Vec<Value> = (1..=6)
        .map(|row| {
            let grade = if row <= 2 { "vip" } else { "r" };
            json!({"id": row.to_string(), "grade": grade, "segments": [{"count": 10, "x": 0, "y": f64::from(row) * 1.3}]})
        })
        .collect();
    let layout = json!({
        "name": "Attic",
        "grades": ["vip", "r"],
        "stage": {"outline": [[2, -4], [7, -4], [7, -2], [2, -2]]},
        "sections": [{"id": "A", "name": "Floor", "rows": rows}],
    });
    Layout::from_json(layout.to_string()).unwrap()
}

/// Somebody who buys.
pub(crate) struct Shopper {
    buyer: Buyer,
    base_url: String,
}

impl Deref for Shopper {
    type Target = Buyer;

    fn deref(&self) -> &Buyer {
        &self.buyer
    }
}

impl Shopper {
    /// Somebody who is nowhere yet.
    pub(crate) async fn new(base_url: &str, language: &str, device: Device) -> Self {
        Self {
            buyer: Buyer::new(base_url, language, device).await,
            base_url: base_url.to_owned(),
        }
    }

    /// Comes through the waiting room to the map.
    pub(crate) async fn arrive(base_url: &str, language: &str, device: Device) -> Self {
        let shopper = Self::new(base_url, language, device).await;
        shopper.come_in().await;
        shopper
    }

    /// Holds two seats of the third row, and goes on to pay for them.
    pub(crate) async fn check_out(&self) {
        self.click_seat("A-3-1").await;
        self.click_seat("A-3-2").await;
        self.click("#take").await;
        self.click("#next").await;
        self.expect("#pay", "286,000").await;
    }

    /// Presses the button that pays, and says on the sandbox's page what that comes to.
    pub(crate) async fn pay(&self, outcome: &str) {
        self.click("#pay").await;
        self.click(&format!("[data-outcome={outcome}]:enabled"))
            .await;
    }

    /// The order that the address of the checkout names.
    pub(crate) async fn order_id(&self) -> String {
        eventually(SOON, async || {
            let url = self.browser.client().current_url().await.unwrap();
            let order = url.query_pairs().find(|(name, _)| name == "order");
            order.map(|(_, id)| id.into_owned())
        })
        .await
    }

    /// What the server answers this browser.
    pub(crate) async fn asks(&self, path: &str) -> String {
        self.script(&format!(
            "globalThis.answer = null;
             fetch({path:?}).then((response) => response.text()).then((text) => {{ globalThis.answer = text; }})"
        ))
        .await;
        eventually(SOON, async || {
            let answer = self.script("return globalThis.answer").await;
            answer.as_str().map(str::to_owned)
        })
        .await
    }

    /// The same, read.
    pub(crate) async fn asks_json(&self, path: &str) -> Value {
        serde_json::from_str(&self.asks(path).await).unwrap()
    }

    /// A call of the operator's.
    pub(crate) async fn operator(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let answer = reqwest::Client::new()
            .request(method, format!("{}{path}", self.base_url))
            .bearer_auth(ADMIN_TOKEN)
            .json(&body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// How many times money moved for an order, as its audit tells: charges and refunds.
    pub(crate) async fn movements(&self, order: &str) -> (usize, usize) {
        let path = format!("/admin/orders/{order}");
        let (_, order) = self.operator(Method::GET, &path, Value::Null).await;
        let kinds = order["audit"].as_array().unwrap();
        let count = |kind: &str| kinds.iter().filter(|entry| entry["kind"] == kind).count();
        (count("order.paid"), count("order.refunded"))
    }

    /// The key of the payment that an order was paid with.
    pub(crate) async fn payment(&self, order: &str) -> String {
        let path = format!("/admin/orders/{order}");
        let (_, order) = self.operator(Method::GET, &path, Value::Null).await;
        order["payment"]["paymentKey"].as_str().unwrap().to_owned()
    }

    /// Whether each picture of a code is there and drawn.
    pub(crate) async fn codes_are_drawn(&self) -> bool {
        let drawn = "const codes = [...document.querySelectorAll('img.ticket-code')];
             return codes.length > 0 && codes.every(({ complete, naturalWidth }) => complete && naturalWidth > 0)";
        self.script(drawn).await == true
    }

    /// Whether all that a finger presses is large enough; otherwise what is not.
    pub(crate) async fn too_small(&self) -> Value {
        let small = "return [...document.querySelectorAll('main button, main summary, main label, main a, dialog[open] button, nav a')]
            .filter((own) => own.checkVisibility())
            .map((own) => [own.id || own.className || own.textContent, own.getBoundingClientRect()])
            .filter(([, { width, height }]) => width < 44 || height < 44).map(([name]) => name)";
        self.script(small).await
    }
}
