//! The webhook of Toss Payments: a hint that a payment changed.
//!
//! Anybody can send one, and it comes twice, late and in any order. So nothing in it is believed: it only makes the
//! service ask the provider now. Where none comes, the worker asks all the same about orders that are not decided; what
//! becomes of a payment after its order was paid is heard of by webhooks alone. So one that could not be followed is
//! answered 503, and the provider sends it again.

use std::time::Duration;

use async_trait::async_trait;
use http::{Response, StatusCode};
use ticketon_queue::http::{Body, Code, Endpoint, Inbound, Op, Problem, Route, empty};

use super::request;
use super::route::TOSS_ROUTES;
use crate::adapter::toss::webhook::{HintError, TRANSMISSION_ID, TossHint};
use crate::http::PROVIDER_UNAVAILABLE;
use crate::purchase::Purchases;
use crate::purchase::correlation::correlated;

/// When a hint that could not be followed should come again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long the sender waits for an answer, at the most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves [`TOSS_ROUTES`].
#[derive(Debug, Clone)]
pub struct TossWebhookHttp {
    purchases: Purchases,
}

impl TossWebhookHttp {
    /// Hints for these purchases.
    #[must_use]
    pub fn new(purchases: &Purchases) -> Self {
        Self {
            purchases: purchases.clone(),
        }
    }

    async fn answer(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let transmission = request.headers.get(TRANSMISSION_ID);
        let transmission = transmission.and_then(|id| id.to_str().ok());
        let hint = match TossHint::parse(&request.body, transmission) {
            Ok(hint) => hint,
            // The provider may tell more than we listen to; it need not say it again.
            Err(HintError::UnknownForm) => return Ok(empty(StatusCode::OK)),
            Err(error) => return Err(Problem::new(Code::MALFORMED).detail(error.to_string())),
        };
        tracing::debug!(target: "ticketon::http", ?hint, "a hint");
        let purchases = self.purchases.clone();
        let look = async move {
            let looked = purchases.hint(hint.payment_key.as_ref(), hint.order.as_ref());
            looked.await.inspect_err(|error| {
                tracing::info!(target: "ticketon::http", %error, "a hint could not be followed");
            })
        };
        let correlation = request::correlation(&request.headers);
        let looked = tokio::spawn(correlated(correlation, look));
        let followed = tokio::select! {
            looked = looked => matches!(looked, Ok(Ok(()))),
            // The provider waits no longer for an answer; the look goes on.
            () = self.purchases.clock().sleep(PATIENCE) => false,
        };
        if followed {
            Ok(empty(StatusCode::OK))
        } else {
            // Nothing is told of what is known of the payment: the sender may be anybody.
            Err(Problem::new(PROVIDER_UNAVAILABLE).retry_after(AGAIN))
        }
    }
}

#[async_trait]
impl Endpoint for TossWebhookHttp {
    fn routes(&self) -> &'static [Route] {
        TOSS_ROUTES
    }

    async fn call(&self, _: Op, request: Inbound) -> Response<Body> {
        let answer = self.answer(&request).await;
        answer.unwrap_or_else(Problem::into_response)
    }
}
