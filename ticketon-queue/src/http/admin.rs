//! The calls of operators: rooms, their numbers, their states.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;
use sha2::Sha256;

use super::identity::bearer;
use super::problem::{Code, Problem};
use super::reply::{event_of, json_response, without_body};
use super::route::{ADMIN_ROUTES, Body, Endpoint, Inbound, Op, Route};
use super::wire;
use crate::config::RoomConfig;
use crate::error::{ConfigError, FieldError, QueueError};
use crate::id::{EventId, random_bytes};
use crate::queue::WaitingQueue;
use crate::state::RoomVerb;
use crate::store::{RoomSaved, StateChanged};

const MIN_TOKEN_BYTES: usize = 16;
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

/// The secret that operators carry. `Debug` hides it; it is compared in constant time.
#[derive(Clone)]
pub struct AdminToken {
    /// Keyed at random, so that comparing tags tells nothing about the token.
    tag: Hmac<Sha256>,
    expected: Vec<u8>,
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

impl AdminToken {
    /// A token.
    ///
    /// # Errors
    /// [`ConfigError`] when it is shorter than 16 bytes or has characters that a header cannot carry.
    pub fn new(token: &str) -> Result<Self, ConfigError> {
        if token.len() < MIN_TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_graphic()) {
            let length = format!("{} bytes", token.len());
            let range = "at least 16 visible ASCII characters";
            return Err(ConfigError {
                fields: vec![FieldError::new("adminToken", length, range)],
            });
        }
        let tag =
            Hmac::new_from_slice(&random_bytes::<32>()).expect("HMAC takes keys of any length");
        let expected = Self::tag_of(&tag, token);
        Ok(Self { tag, expected })
    }

    /// Whether this is the token.
    #[must_use]
    pub fn matches(&self, token: &str) -> bool {
        let tag = self.tag.clone().chain_update(token);
        tag.verify_slice(&self.expected).is_ok()
    }

    /// Whether a call carries it, as `Authorization: Bearer <admin token>`.
    ///
    /// # Errors
    /// 401 `unauthenticated` without a token, 403 `forbidden` with another.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match bearer(headers) {
            Some(token) if self.matches(token) => Ok(()),
            Some(_) => Err(Problem::new(Code::FORBIDDEN).detail("the admin token is wrong")),
            None => Err(Problem::new(Code::UNAUTHENTICATED)
                .detail("Authorization: Bearer <admin token> is missing")),
        }
    }

    fn tag_of(tag: &Hmac<Sha256>, token: &str) -> Vec<u8> {
        tag.clone()
            .chain_update(token)
            .finalize()
            .into_bytes()
            .to_vec()
    }
}

/// Serves [`ADMIN_ROUTES`].
#[derive(Debug, Clone)]
pub struct AdminHttp {
    queue: WaitingQueue,
    token: AdminToken,
}

impl AdminHttp {
    /// The operators' calls of this queue.
    #[must_use]
    pub fn new(queue: &WaitingQueue, token: AdminToken) -> Self {
        Self {
            queue: queue.clone(),
            token,
        }
    }

    async fn answer(&self, op: Op, request: &Inbound) -> Result<Response<Body>, Problem> {
        self.token.check(&request.headers)?;
        match op {
            Op::LIST_ROOMS => self.list(request).await,
            Op::GET_ROOM => self.numbers(&event_of(request)?).await,
            Op::PUT_ROOM => self.put(&event_of(request)?, request).await,
            Op::CHANGE_ROOM => self.change(&event_of(request)?, request).await,
            _ => Err(Problem::new(Code::NOT_FOUND)),
        }
    }

    async fn list(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let limit = match request.query("limit") {
            None => PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_PAGE).contains(limit))
                .ok_or_else(|| {
                    Problem::invalid(FieldError::new("limit", text, format!("1 to {MAX_PAGE}")))
                })?,
        };
        let after = request.query("after");
        let rooms = self.queue.rooms().await?;
        let mut page = rooms
            .iter()
            .filter(|event| after.as_deref().is_none_or(|after| event.as_str() > after));
        let mut shown: Vec<Value> = Vec::new();
        let mut last = None;
        for event in page.by_ref().take(limit) {
            last = Some(event.clone());
            match self.queue.numbers(event).await {
                Ok(numbers) => {
                    shown.extend(serde_json::to_value(wire::Numbers::new(event, &numbers)));
                }
                // A room may go while the page is read.
                Err(QueueError::UnknownEvent { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let body = wire::Rooms {
            rooms: shown,
            next_after: page.next().and(last),
            store: self.queue.store_name(),
        };
        Ok(json_response(StatusCode::OK, &body))
    }

    async fn numbers(&self, event: &EventId) -> Result<Response<Body>, Problem> {
        let numbers = self.queue.numbers(event).await?;
        Ok(json_response(
            StatusCode::OK,
            &wire::Numbers::new(event, &numbers),
        ))
    }

    async fn put(&self, event: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|error| Problem::new(Code::MALFORMED).detail(error.to_string()))?;
        let config = RoomConfig::from_json(&body)?;
        match self.queue.ensure_room(event, config).await? {
            RoomSaved::Created | RoomSaved::Changed | RoomSaved::Same => self.numbers(event).await,
            RoomSaved::LaneNotEmpty { lane } => Err(Problem::new(Code::CONFLICT).detail(format!(
                "people wait in the lane {lane:?}, which the config lacks"
            ))),
            RoomSaved::Frozen { field } => Err(Problem::new(Code::CONFLICT).detail(format!(
                "somebody has joined, so {field} of the draw stays as it is"
            ))),
            RoomSaved::TooManyRooms { limit } => Err(Problem::new(Code::CONFLICT)
                .detail(format!("there are {limit} rooms, the most there may be"))),
        }
    }

    async fn change(&self, event: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        let text = request.params.get("verb").unwrap_or_default();
        let verb: RoomVerb = text.parse().map_err(|_| {
            let verbs = RoomVerb::ALL.map(RoomVerb::as_str).join(", ");
            Problem::new(Code::NOT_FOUND).detail(format!("the verbs are {verbs}"))
        })?;
        match self.queue.change_state(event, verb).await? {
            StateChanged::Now(_) => self.numbers(event).await,
            StateChanged::Refused(state) => Err(Problem::new(Code::CONFLICT)
                .detail(format!("a room that is {state} cannot {verb}"))),
        }
    }
}

#[async_trait]
impl Endpoint for AdminHttp {
    fn routes(&self) -> &'static [Route] {
        ADMIN_ROUTES
    }

    fn admit(&self, _: Op, headers: &HeaderMap) -> Result<(), Problem> {
        self.token.check(headers)
    }

    async fn call(&self, op: Op, request: Inbound) -> Response<Body> {
        let answer = self.answer(op, &request).await;
        without_body(
            &request.method,
            answer.unwrap_or_else(Problem::into_response),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_matches() {
        let token = AdminToken::new("0123456789abcdef").unwrap();
        assert!(token.matches("0123456789abcdef"));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdeF",
            "0123456789abcdef ",
        ] {
            assert!(!token.matches(wrong));
        }
        assert!(AdminToken::new("short").is_err());
        assert_eq!(format!("{token:?}"), "AdminToken(..)");
    }
}
