//! The sandbox's page, where a buyer says what a payment comes to, and the call that opens it.

use std::fmt;

use async_trait::async_trait;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use ticketon_queue::FieldError;
use ticketon_queue::http::{
    Access, Body, Code, Endpoint, Inbound, Op, Problem, Route, is_same_origin, json_response,
    not_found, safe_return, without_body,
};
use ticketon_queue::page::{file, fill, html};

use super::{Opened, Sandbox, SandboxOutcome};
use crate::event::{Currency, Money};
use crate::purchase::OrderId;

const TEMPLATE: &str = include_str!("assets/pay.html");

/// The files that the page loads.
const ASSETS: &[(&str, &[u8])] = &[
    ("pay-texts.js", include_bytes!("assets/pay-texts.js")),
    ("pay.css", include_bytes!("assets/pay.css")),
    ("pay.js", include_bytes!("assets/pay.js")),
];

/// The highest amount, in minor units: what JSON carries exactly.
const MAX_TOTAL: u64 = (1 << 53) - 1;

/// 409: the order has as many payments as it may.
pub const TOO_MANY_PAYMENTS: Code = Code::new(
    409,
    "tooManyPayments",
    "The order has too many payments already",
);

const PAY_PAGE: Op = Op::new("sandboxPage");
const PAY_ASSET: Op = Op::new("sandboxAsset");
const OPEN_PAYMENT: Op = Op::new("openSandboxPayment");

/// The routes of the sandbox.
pub const SANDBOX_ROUTES: &[Route] = &[
    Route {
        op: PAY_PAGE,
        method: "GET",
        path: "/sandbox/pay",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: None,
        summary: "The sandbox's page: ?orderId=, ?amount=, ?currency= and ?returnUrl=, a path of this site",
    },
    Route {
        op: PAY_ASSET,
        method: "GET",
        path: "/sandbox/assets/{asset}",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: None,
        summary: "The files of the sandbox's page",
    },
    Route {
        op: OPEN_PAYMENT,
        method: "POST",
        path: "/sandbox/payments",
        access: Access::Identified,
        body_limit: 4 * 1024,
        request: Some("SandboxPayment"),
        response: Some("SandboxPaymentKey"),
        summary: "Open a payment of the sandbox, with what it comes to",
    },
];

/// Serves [`SANDBOX_ROUTES`]: an [`Endpoint`] beside the waiting page, whose sheet and words it shares.
#[derive(Clone)]
pub struct SandboxHttp {
    sandbox: Sandbox,
    base: String,
}

impl fmt::Debug for SandboxHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxHttp")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    order_id: OrderId,
    amount: u64,
    currency: Currency,
    outcome: SandboxOutcome,
}

impl SandboxHttp {
    /// The page of this sandbox, its routes at the host's root.
    #[must_use]
    pub fn new(sandbox: &Sandbox) -> Self {
        Self {
            sandbox: sandbox.clone(),
            base: String::new(),
        }
    }

    /// Where these routes and the waiting page's are nested, without a trailing slash.
    #[must_use]
    pub fn nested_at(mut self, path: impl Into<String>) -> Self {
        self.base = path.into();
        self
    }

    fn page(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let text = |name: &str| request.query(name).unwrap_or_default();
        let order: OrderId = text("orderId").parse().map_err(Problem::invalid)?;
        let amount: u64 = text("amount")
            .parse()
            .ok()
            .filter(is_payable)
            .ok_or_else(|| Problem::invalid(bad_amount(&text("amount"))))?;
        let currency: Currency = match request.query("currency") {
            None => Currency::KRW,
            Some(code) => code.parse().map_err(Problem::invalid)?,
        };
        let return_url = text("returnUrl");
        // Where the buyer comes back to is this site alone: the key of their payment goes there.
        let Some(return_url) = safe_return(&return_url) else {
            let range = "a path of this site, like /pay/return";
            return Err(Problem::invalid(FieldError::new(
                "returnUrl",
                &return_url,
                range,
            )));
        };
        Ok(html(fill(
            TEMPLATE,
            &[
                ("order_id", &order.to_string()),
                ("amount", &amount.to_string()),
                ("currency", currency.code()),
                ("money", &Money::new(amount, currency).to_string()),
                ("return_url", return_url),
                ("waiting_base", &format!("{}/ticketon", self.base)),
                ("assets_base", &format!("{}/sandbox/assets", self.base)),
                ("payments_url", &format!("{}/sandbox/payments", self.base)),
            ],
        )))
    }

    async fn open(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        if request.caller.is_none() {
            return Err(Problem::new(Code::UNAUTHENTICATED));
        }
        if !is_same_origin(&request.headers) {
            return Err(Problem::new(Code::FORBIDDEN).detail("the request comes from another site"));
        }
        let wanted: Wanted = serde_json::from_slice(&request.body).map_err(|error| {
            let code = match error.classify() {
                serde_json::error::Category::Data => Code::INVALID,
                _ => Code::MALFORMED,
            };
            Problem::new(code).detail(error.to_string())
        })?;
        if !is_payable(&wanted.amount) {
            return Err(Problem::invalid(bad_amount(&wanted.amount.to_string())));
        }
        let amount = Money::new(wanted.amount, wanted.currency);
        let opened = self
            .sandbox
            .open(&wanted.order_id, amount, wanted.outcome)
            .await;
        match opened {
            Ok(Opened::Payment(key)) => Ok(json_response(
                StatusCode::CREATED,
                &json!({"paymentKey": key}),
            )),
            Ok(Opened::TooMany) => Err(Problem::new(TOO_MANY_PAYMENTS)),
            Err(error) => {
                tracing::warn!(target: "ticketon::sandbox", error = &error as &dyn std::error::Error, "a payment was not opened");
                Err(Problem::new(Code::STORE_UNAVAILABLE))
            }
        }
    }
}

/// Whether an order may cost so much.
const fn is_payable(amount: &u64) -> bool {
    *amount <= MAX_TOTAL
}

fn bad_amount(text: &str) -> FieldError {
    FieldError::new("amount", text, format!("0 to {MAX_TOTAL}, in minor units"))
}

#[async_trait]
impl Endpoint for SandboxHttp {
    fn routes(&self) -> &'static [Route] {
        SANDBOX_ROUTES
    }

    async fn call(&self, op: Op, request: Inbound) -> Response<Body> {
        let answer = match op {
            PAY_PAGE => self.page(&request),
            OPEN_PAYMENT => self.open(&request).await,
            PAY_ASSET => {
                let name = request.params.get("asset").unwrap_or_default();
                Ok(match ASSETS.iter().find(|(other, _)| *other == name) {
                    Some((name, bytes)) => file(&request.headers, name, bytes),
                    None => not_found(),
                })
            }
            _ => Err(Problem::new(Code::NOT_FOUND)),
        };
        without_body(
            &request.method,
            answer.unwrap_or_else(Problem::into_response),
        )
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};
    use serde_json::Value;
    use ticketon_queue::UserId;
    use ticketon_queue::http::{Params, Principal};

    use super::*;
    use crate::purchase::{PaymentKey, PaymentProvider as _};

    const ORDER: &str = "018c0000000000000000000000000001";

    fn request(query: &str, body: &str) -> Inbound {
        Inbound {
            method: Method::GET,
            params: Params::default(),
            query: Some(query.to_owned()),
            headers: HeaderMap::new(),
            caller: Some(Principal::new(UserId::new("ann").unwrap())),
            body: body.to_owned().into(),
        }
    }

    fn text(response: Response<Body>) -> String {
        match response.into_body() {
            Body::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        }
    }

    async fn page(query: &str) -> (u16, String) {
        let http = SandboxHttp::new(&Sandbox::new());
        let response = http.call(PAY_PAGE, request(query, "")).await;
        (response.status().as_u16(), text(response))
    }

    #[tokio::test]
    async fn the_page_says_the_amount_and_comes_back_to_this_site_alone() {
        let good = format!("orderId={ORDER}&amount=308000&returnUrl=/pay/return");
        let (status, body) = page(&good).await;
        assert_eq!(status, 200);
        assert!(body.contains("KRW 308,000"), "{body}");
        assert!(!body.contains("{{"));
        for (from, to) in [
            ("/pay/return", "//evil.test"),
            ("/pay/return", "https://evil.test/"),
            ("/pay/return", ""),
            ("308000", "-1"),
            ("308000", "99999999999999999999"),
            (ORDER, "none"),
            ("amount=308000", "amount=308000&currency=XXX"),
        ] {
            let (status, body) = page(&good.replace(from, to)).await;
            assert_eq!(status, 422, "{to}: {body}");
        }
        let (_, body) = page(
            &good
                .replace("return&", "x")
                .replace("/pay/return", "/a%22%3E"),
        )
        .await;
        assert!(!body.contains("/a\">"), "{body}");
    }

    #[tokio::test]
    async fn an_opened_payment_can_be_looked_up() {
        let sandbox = Sandbox::new();
        let http = SandboxHttp::new(&sandbox);
        let body =
            json!({"orderId": ORDER, "amount": 5, "currency": "USD", "outcome": "loseAnswer"});
        let response = http
            .call(OPEN_PAYMENT, request("", &body.to_string()))
            .await;
        assert_eq!(response.status(), 201);
        let answer: Value = serde_json::from_str(&text(response)).unwrap();
        let key = PaymentKey::new(answer["paymentKey"].as_str().unwrap()).unwrap();
        let payment = sandbox.payment(&key).await.unwrap().unwrap();
        assert_eq!(payment.order, ORDER);
        assert_eq!(payment.total.to_string(), "USD 0.05");
    }

    #[tokio::test]
    async fn what_is_not_right_opens_nothing() {
        let sandbox = Sandbox::new();
        let http = SandboxHttp::new(&sandbox);
        let good = json!({"orderId": ORDER, "amount": 5, "currency": "KRW", "outcome": "approve"});
        for (field, value, status) in [
            ("orderId", json!("x"), 422),
            ("amount", json!(-1), 422),
            ("amount", json!(MAX_TOTAL + 1), 422),
            ("currency", json!("XXX"), 422),
            ("outcome", json!("steal"), 422),
            ("more", json!(1), 422),
        ] {
            let mut body = good.clone();
            body[field] = value;
            let answer = http.call(OPEN_PAYMENT, request("", &body.to_string()));
            assert_eq!(answer.await.status(), status, "{field}");
        }
        let unread = http.call(OPEN_PAYMENT, request("", "{")).await;
        assert_eq!(unread.status(), 400);
        let mut nobody = request("", &good.to_string());
        nobody.caller = None;
        assert_eq!(http.call(OPEN_PAYMENT, nobody).await.status(), 401);
        let mut foreign = request("", &good.to_string());
        let site = HeaderValue::from_static("cross-site");
        foreign.headers.insert("sec-fetch-site", site);
        assert_eq!(http.call(OPEN_PAYMENT, foreign).await.status(), 403);
        let order = ORDER.parse().unwrap();
        assert_eq!(sandbox.payment_of(&order).await.unwrap(), None);
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/adapter/sandbox/assets");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let served = name == "pay.html" || ASSETS.iter().any(|(other, _)| *other == name);
            assert!(served, "{name}");
        }
    }
}
