//! The calls of operators and of the gate: tickets, orders that wait for somebody, their audit.

use async_trait::async_trait;
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use ticketon_queue::http::{
    AdminToken, Body, Code, Endpoint, Inbound, Op, Problem, Route, json_response, without_body,
};
use ticketon_queue::{EventId, UserId};

use super::once::{Asked, LEASE, hash_of, once, to_its_end};
use super::request::{self, order_id, page};
use super::route::{
    ADMIN_ORDER, ADMIN_REFUND, AUDIT, LIST_ORDERS, PURCHASE_ADMIN_ROUTES, RETRY, VERIFY,
};
use super::wire::status_of;
use crate::http::request::{IDEMPOTENCY_KEY, idempotency_key};
use crate::http::{FAULT, TICKET_STATE};
use crate::purchase::correlation::correlated;
use crate::purchase::{PurchaseError, Purchases, RequestKey};

/// Who asks at a gate, where idempotency keys belong to somebody.
const GATE: &str = "gate";

/// Serves [`PURCHASE_ADMIN_ROUTES`]; every call carries the admin token.
#[derive(Debug, Clone)]
pub struct PurchaseAdminHttp {
    purchases: Purchases,
    token: AdminToken,
}

impl PurchaseAdminHttp {
    /// The operators' calls of these purchases.
    #[must_use]
    pub fn new(purchases: &Purchases, token: AdminToken) -> Self {
        Self {
            purchases: purchases.clone(),
            token,
        }
    }

    async fn answer(&self, op: Op, request: &Inbound) -> Result<Response<Body>, Problem> {
        self.token.check(&request.headers)?;
        match op {
            VERIFY => self.verify(request).await,
            LIST_ORDERS => {
                request::attention(request)?;
                let page = page(request)?;
                let orders = self
                    .purchases
                    .attention(page.before.as_ref(), page.limit)
                    .await?;
                Ok(json_response(StatusCode::OK, &orders))
            }
            ADMIN_ORDER => {
                let order = self.purchases.admin_get(&order_id(request)?).await?;
                Ok(json_response(StatusCode::OK, &order))
            }
            AUDIT => {
                let order = self.purchases.admin_get(&order_id(request)?).await?;
                let audit = json!({"orderId": order.order.order_id, "audit": order.audit});
                Ok(json_response(StatusCode::OK, &audit))
            }
            RETRY => {
                let (purchases, order) = (self.purchases.clone(), order_id(request)?);
                let is_settled = request::retry(request)?;
                to_its_end(request::correlation(&request.headers), async move {
                    let order = match is_settled {
                        true => purchases.settle(&order).await?,
                        false => purchases.retry(&order).await?,
                    };
                    Ok(json_response(StatusCode::OK, &order))
                })
                .await
            }
            ADMIN_REFUND => {
                let (purchases, order) = (self.purchases.clone(), order_id(request)?);
                let wanted = request::refund(request)?;
                to_its_end(request::correlation(&request.headers), async move {
                    let (tickets, reason) = (&wanted.tickets, &wanted.reason);
                    let order = purchases.refund_for(&order, tickets, reason).await?;
                    Ok(json_response(status_of(&order.order), &order))
                })
                .await
            }
            _ => Err(Problem::new(Code::NOT_FOUND)),
        }
    }
}

impl PurchaseAdminHttp {
    /// A gate that did not hear the answer asks again under its key, and hears it.
    async fn verify(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let wanted = request::verify(request)?;
        let correlation = request::correlation(&request.headers);
        let asked = if request.headers.contains_key(IDEMPOTENCY_KEY) {
            let event = wanted.event.as_ref().map_or("", EventId::as_str);
            let check_in = wanted.check_in.to_string();
            Some(Asked {
                key: RequestKey {
                    user: UserId::new(GATE).map_err(|_| Problem::new(FAULT))?,
                    operation: "verify",
                    key: idempotency_key(&request.headers)?,
                },
                hash: hash_of(&["POST", "/tickets/verify", &wanted.code, event, &check_in]),
                lease: LEASE,
            })
        } else {
            None
        };
        let purchases = self.purchases.clone();
        // The same scan may have let somebody in without being answered for good.
        let scan = asked.as_ref().map(|asked| asked.key.key.clone());
        let work = async move {
            let (code, event) = (&wanted.code, wanted.event.as_ref());
            let ticket = match scan.filter(|_| wanted.check_in) {
                Some(scan) => purchases.check_in_once(code, event, &scan).await,
                None => purchases.verify(code, event, wanted.check_in).await,
            };
            let ticket = ticket.map_err(|error| match error {
                // The gate asks for a ticket: of one whose order is refunded, it hears that.
                PurchaseError::State { .. } => Problem::new(TICKET_STATE).detail(error.to_string()),
                error => error.into(),
            })?;
            Ok(json_response(StatusCode::OK, &ticket))
        };
        match asked {
            Some(asked) => once(&self.purchases, asked, correlation, work).await,
            None => to_its_end(correlation, work).await,
        }
    }
}

#[async_trait]
impl Endpoint for PurchaseAdminHttp {
    fn routes(&self) -> &'static [Route] {
        PURCHASE_ADMIN_ROUTES
    }

    fn admit(&self, _: Op, headers: &HeaderMap) -> Result<(), Problem> {
        self.token.check(headers)
    }

    async fn call(&self, op: Op, request: Inbound) -> Response<Body> {
        let correlation = request::correlation(&request.headers);
        let answer = correlated(correlation, self.answer(op, &request)).await;
        without_body(
            &request.method,
            answer.unwrap_or_else(Problem::into_response),
        )
    }
}
