//! The calls of operators: events with their layouts, numbers, blocked seats, rebuilds.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use ticketon_queue::http::{
    AdminToken, Body, Code, Endpoint, Inbound, Op, Problem, Route, event_of, json_response,
    without_body,
};
use ticketon_queue::{EventId, FieldError};

use super::request::{ROOT, malformed, seat_labels};
use super::route::{
    ADMIN_EVENT, ADMIN_ROUTES, BLOCK_SEATS, EXPORT_LAYOUT, PUT_EVENT, REBUILD_SEATS, UNBLOCK_SEATS,
};
use crate::event::Event;
use crate::seat::{Outcome, Seats, SeatsError};
use crate::venue::Layout;

/// Serves [`ADMIN_ROUTES`]; every call carries the admin token.
#[derive(Debug, Clone)]
pub struct ShopAdminHttp {
    seats: Seats,
    token: AdminToken,
}

impl ShopAdminHttp {
    /// The operators' calls of these seats.
    #[must_use]
    pub fn new(seats: &Seats, token: AdminToken) -> Self {
        Self {
            seats: seats.clone(),
            token,
        }
    }

    async fn answer(&self, op: Op, request: &Inbound) -> Result<Response<Body>, Problem> {
        self.token.check(&request.headers)?;
        let event = event_of(request)?;
        match op {
            PUT_EVENT => self.put(&event, request).await,
            ADMIN_EVENT => self.event(&event).await,
            EXPORT_LAYOUT => {
                let layout = self.seats.layout(&event).await?;
                let mut response = json_response(StatusCode::OK, &());
                *response.body_mut() = Body::Full(Bytes::from(layout.to_json().to_owned()));
                Ok(response)
            }
            BLOCK_SEATS | UNBLOCK_SEATS => {
                let seats = seat_labels(request)?;
                if op == BLOCK_SEATS {
                    self.seats.block(&event, &seats).await?.done()?;
                } else {
                    self.seats.unblock(&event, &seats).await?.done()?;
                }
                self.event(&event).await
            }
            REBUILD_SEATS => {
                self.seats.rebuild(&event).await?;
                self.event(&event).await
            }
            _ => Err(Problem::new(Code::NOT_FOUND)),
        }
    }

    /// The fields of an event, with `layout` as an object, or `layoutVersion` of one that is known.
    async fn put(&self, id: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        let put = PutEvent::read(id, &request.body)?;
        let layout = match put.layout {
            Some(layout) => layout,
            None => self.known_layout(put.event.layout_version()).await?,
        };
        self.seats.put_event(put.event, layout).await?.saved()?;
        self.event(id).await
    }

    async fn known_layout(&self, version: &str) -> Result<Arc<Layout>, Problem> {
        let found = self.seats.catalog().layout(version).await;
        found.map_err(SeatsError::from)?.ok_or_else(|| {
            let range = "layout, or the version of one that is known";
            let version = if version.is_empty() {
                "(missing)"
            } else {
                version
            };
            Problem::invalid(FieldError::new("layoutVersion", version, range))
        })
    }

    async fn event(&self, id: &EventId) -> Result<Response<Body>, Problem> {
        let mut json = self.seats.event(id).await?.to_json();
        // While the map is being made there are no numbers yet.
        json["seats"] = match self.seats.head(id).await? {
            Outcome::Done(head) => {
                json!({"counts": head.counts, "epoch": head.epoch, "version": head.version})
            }
            Outcome::Refused(_) => Value::Null,
        };
        Ok(json_response(StatusCode::OK, &json))
    }
}

/// An event as an operator sends it: its fields, and perhaps its layout.
struct PutEvent {
    event: Event,
    layout: Option<Arc<Layout>>,
}

impl PutEvent {
    /// Reads both, and refuses all that is wrong with either.
    fn read(id: &EventId, body: &[u8]) -> Result<Self, Problem> {
        // A layout is long: it is read from the text, once.
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_slice(body).map_err(|error| match error.classify() {
                Category::Data => Problem::invalid(FieldError::new(ROOT, &error, "a JSON object")),
                Category::Io | Category::Syntax | Category::Eof => malformed(&error),
            })?;
        let mut refused = Vec::new();
        let mut event = Map::new();
        let mut layout = None;
        for (name, value) in fields {
            match name.as_str() {
                "layout" if value.get() == "null" => {}
                "layout" => match Layout::from_json(value.get()) {
                    Ok(read) => layout = Some(Arc::new(read)),
                    Err(error) => refused.extend(error.into_fields().into_iter().map(in_layout)),
                },
                // The numbers of the map, which the answer has: so what was got can be put.
                "seats" => {}
                _ => {
                    let value = serde_json::from_str(value.get());
                    event.insert(name, value.map_err(|error| malformed(&error))?);
                }
            }
        }
        match (Event::from_json(id, &Value::Object(event)), refused) {
            (Ok(event), refused) if refused.is_empty() => Ok(Self { event, layout }),
            (event, refused) => {
                let mut problem = Problem::new(Code::INVALID);
                problem.errors = event.err().map(|error| error.fields).unwrap_or_default();
                problem.errors.extend(refused);
                Err(problem)
            }
        }
    }
}

/// A refused field of the layout, by its path in the body.
fn in_layout(mut refused: FieldError) -> FieldError {
    refused.field = match refused.field.as_str() {
        ROOT => "layout".to_owned(),
        field => format!("layout.{field}"),
    };
    refused
}

#[async_trait]
impl Endpoint for ShopAdminHttp {
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
