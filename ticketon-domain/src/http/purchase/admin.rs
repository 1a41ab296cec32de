//! The calls of operators and of the gate: tickets, orders that wait for somebody, their audit.

use async_trait::async_trait;
use http::{Response, StatusCode};
use serde_json::json;
use ticketon_queue::http::{
    AdminToken, Body, Code, Endpoint, Inbound, Op, Problem, Route, json_response, without_body,
};

use super::request::{self, order_id, page};
use super::route::{
    ADMIN_ORDER, ADMIN_REFUND, AUDIT, LIST_ORDERS, PURCHASE_ADMIN_ROUTES, RETRY, VERIFY,
};
use super::wire::status_of;
use crate::http::TICKET_STATE;
use crate::purchase::correlation::correlated;
use crate::purchase::{PurchaseError, Purchases};

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
            VERIFY => {
                let wanted = request::verify(request)?;
                let ticket = self.purchases.verify(&wanted.code, wanted.check_in);
                let ticket = ticket.await.map_err(|error| match error {
                    // The gate asks for a ticket: of one whose order is refunded, it hears that.
                    PurchaseError::State { .. } => {
                        Problem::new(TICKET_STATE).detail(error.to_string())
                    }
                    error => error.into(),
                })?;
                Ok(json_response(StatusCode::OK, &ticket))
            }
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
                let order = self.purchases.retry(&order_id(request)?).await?;
                Ok(json_response(StatusCode::OK, &order))
            }
            ADMIN_REFUND => {
                let order = order_id(request)?;
                let wanted = request::refund(request)?;
                let order = self
                    .purchases
                    .refund_for(&order, &wanted.tickets, &wanted.reason)
                    .await?;
                Ok(json_response(status_of(&order.order), &order))
            }
            _ => Err(Problem::new(Code::NOT_FOUND)),
        }
    }
}

#[async_trait]
impl Endpoint for PurchaseAdminHttp {
    fn routes(&self) -> &'static [Route] {
        PURCHASE_ADMIN_ROUTES
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
