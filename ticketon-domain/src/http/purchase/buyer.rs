//! The calls of people who buy: orders, refunds, tickets.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use ticketon_queue::guard::{Admission, Door, Guard, GuardRequest};
use ticketon_queue::http::{
    Body, Code, Endpoint, Inbound, Op, Problem, Route, empty, json_response, without_body,
};
use ticketon_queue::{EventId, UserId};

use super::once::{Asked, LEASE, hash_of, once, to_its_end};
use super::request::{self, caller, order_id, own_caller, page, ticket_id};
use super::route::{
    CANCEL, CONFIRM, GET_ORDER, HISTORY, INITIATE, PURCHASE_ROUTES, REFUND, TICKET_QR, TICKETS,
};
use super::wire::{order_response, tickets_json};
use crate::http::request::idempotency_key;
use crate::purchase::correlation::correlated;
use crate::purchase::{Purchases, RequestKey, qr_svg};

/// Serves [`PURCHASE_ROUTES`]: orders from the hold to the ticket, and back.
///
/// Making an order needs an admission, which the door checks; all that follows needs only its buyer. Whoever asks for
/// an order or a ticket of somebody else hears that there is none.
#[derive(Debug, Clone)]
pub struct PurchaseHttp {
    purchases: Purchases,
    door: Guard,
    request_lease: Duration,
}

impl PurchaseHttp {
    /// The calls of these purchases, behind this door: a [`Guard`], or a `&WaitingQueue` for a guard of the usual
    /// policy.
    #[must_use]
    pub fn new(purchases: &Purchases, door: impl Into<Guard>) -> Self {
        Self {
            purchases: purchases.clone(),
            door: door.into(),
            request_lease: LEASE,
        }
    }

    /// How long a request has its idempotency key for itself: a minute by default. A crash blocks the key for so long, and
    /// a request that takes nearly as long is answered with 409 `stillRunning`.
    #[must_use]
    pub fn request_lease(mut self, lease: Duration) -> Self {
        self.request_lease = lease;
        self
    }

    async fn answer(&self, op: Op, request: &Inbound) -> Result<Response<Body>, Problem> {
        match op {
            INITIATE => self.initiate(request).await,
            CONFIRM => self.confirm(request).await,
            HISTORY => self.history(request).await,
            GET_ORDER => {
                let user = &caller(request)?.user;
                let order = self.purchases.get(user, &order_id(request)?).await?;
                Ok(json_response(StatusCode::OK, &order))
            }
            CANCEL => {
                let (user, order) = (own_caller(request)?.user.clone(), order_id(request)?);
                let purchases = self.purchases.clone();
                to_its_end(request::correlation(&request.headers), async move {
                    let order = purchases.cancel(&user, &order).await?;
                    Ok(json_response(StatusCode::OK, &order))
                })
                .await
            }
            REFUND => self.refund(request).await,
            TICKETS => self.tickets(request).await,
            TICKET_QR => self.qr(request).await,
            _ => Err(Problem::new(Code::NOT_FOUND)),
        }
    }

    async fn initiate(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        own_caller(request)?;
        let wanted = request::initiate(request)?;
        let admission = self.admission(&wanted.event, request).await?;
        let order = self.purchases.initiate(&admission, wanted.hold).await?;
        let mut response = json_response(StatusCode::CREATED, &order);
        admission.write_to(response.headers_mut());
        Ok(response)
    }

    async fn confirm(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let user = own_caller(request)?.user.clone();
        let key = request_key(request, &user, "confirm")?;
        let confirm = request::confirm(request)?;
        let (order, amount) = (confirm.order.to_string(), confirm.amount.to_string());
        let hash = hash_of(&[
            "POST",
            "/purchase/confirm",
            &order,
            confirm.key.as_str(),
            &amount,
        ]);
        let purchases = self.purchases.clone();
        let work = async move {
            let order = purchases.confirm(&user, &confirm).await?;
            Ok(order_response(&order))
        };
        let asked = Asked {
            key,
            hash,
            lease: self.request_lease,
        };
        let correlation = request::correlation(&request.headers);
        once(&self.purchases, asked, correlation, work).await
    }

    async fn refund(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let user = own_caller(request)?.user.clone();
        let key = request_key(request, &user, "refund")?;
        let order = order_id(request)?;
        let wanted = request::refund(request)?;
        let tickets: Vec<String> = wanted.tickets.iter().map(ToString::to_string).collect();
        let path = format!("/purchase/{order}/refund");
        let hash = hash_of(&["POST", &path, &tickets.join(","), &wanted.reason]);
        let purchases = self.purchases.clone();
        // The order remembers by which requests it was asked: whoever runs one again finds what came of it.
        let name = hash_of(&["refund", &key.key, &hash]);
        let work = async move {
            let (tickets, reason) = (&wanted.tickets, &wanted.reason);
            let refunded = purchases.refund_once(&user, &order, tickets, reason, &name);
            Ok(order_response(&refunded.await?))
        };
        let asked = Asked {
            key,
            hash,
            lease: self.request_lease,
        };
        let correlation = request::correlation(&request.headers);
        once(&self.purchases, asked, correlation, work).await
    }

    async fn history(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let user = &caller(request)?.user;
        let page = page(request)?;
        let orders = self
            .purchases
            .history(user, page.before.as_ref(), page.limit)
            .await?;
        Ok(json_response(StatusCode::OK, &orders))
    }

    async fn tickets(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let user = &caller(request)?.user;
        let page = page(request)?;
        let orders = self
            .purchases
            .tickets(user, page.before.as_ref(), page.limit)
            .await?;
        let keys = self.purchases.ticket_keys();
        Ok(json_response(StatusCode::OK, &tickets_json(&orders, keys)))
    }

    /// The QR code of a ticket. Nothing between here and its holder may keep it.
    async fn qr(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let user = &caller(request)?.user;
        let ticket = ticket_id(request)?;
        let code = self.purchases.ticket_code(user, &ticket).await?;
        let picture = qr_svg(&code).unwrap_or_else(|| unreachable!("a code fits a QR code"));
        let mut response = empty(StatusCode::OK);
        *response.body_mut() = Body::Full(Bytes::from(picture));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("image/svg+xml"),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        Ok(response)
    }

    async fn admission(&self, event: &EventId, request: &Inbound) -> Result<Admission, Problem> {
        let door = self
            .door
            .admit(&GuardRequest {
                event,
                method: &request.method,
                headers: &request.headers,
                address: "/",
                caller: request.caller.as_ref(),
                page: false,
            })
            .await;
        match door {
            Door::Open(admission) => Ok(admission),
            Door::Refuse(problem) => Err(problem),
            Door::Redirect(_) => Err(Problem::new(Code::ADMISSION_REQUIRED)),
        }
    }
}

/// Names the request of a person.
fn request_key(
    request: &Inbound,
    user: &UserId,
    operation: &'static str,
) -> Result<RequestKey, Problem> {
    Ok(RequestKey {
        user: user.clone(),
        operation,
        key: idempotency_key(&request.headers)?,
    })
}

#[async_trait]
impl Endpoint for PurchaseHttp {
    fn routes(&self) -> &'static [Route] {
        PURCHASE_ROUTES
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
