//! The calls of operators: events with their layouts, numbers, blocked seats, rebuilds.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use ticketon_queue::http::{
    AdminToken, Body, Code, Endpoint, Inbound, Op, Problem, Route, event_of, json_response,
    without_body,
};
use ticketon_queue::{EventId, FieldError};

use super::request::{read, seat_labels};
use super::route::{
    ADMIN_EVENT, ADMIN_ROUTES, BLOCK_SEATS, EXPORT_LAYOUT, PUT_EVENT, REBUILD_SEATS, UNBLOCK_SEATS,
};
use crate::event::Event;
use crate::seat::{MAX_BATCH, Outcome, Seats, SeatsError};
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
                let mut response =
                    Response::new(Body::Full(Bytes::from(layout.to_json().to_owned())));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                Ok(response)
            }
            BLOCK_SEATS | UNBLOCK_SEATS => {
                let seats = seat_labels(request, MAX_BATCH)?;
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
        let mut body = read(request)?;
        let layout = body.as_object_mut().and_then(|body| body.remove("layout"));
        let event = Event::from_json(id, &body)?;
        let layout = match layout {
            Some(layout) => {
                let read = Layout::from_json(layout.to_string());
                Arc::new(read.map_err(|error| {
                    let mut problem = Problem::new(Code::INVALID).detail("the layout is refused");
                    problem.errors = error.into_fields();
                    for refused in &mut problem.errors {
                        refused.field = format!("layout.{}", refused.field);
                    }
                    problem
                })?)
            }
            None => match self
                .seats
                .catalog()
                .layout(event.layout_version())
                .await
                .map_err(SeatsError::from)?
            {
                Some(layout) => layout,
                None => {
                    let range = "layout, or the version of one that is known";
                    let refused = FieldError::new("layoutVersion", event.layout_version(), range);
                    return Err(Problem::invalid(refused));
                }
            },
        };
        self.seats.put_event(event, layout).await?.saved()?;
        self.event(id).await
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

#[async_trait]
impl Endpoint for ShopAdminHttp {
    fn routes(&self) -> &'static [Route] {
        ADMIN_ROUTES
    }

    async fn call(&self, op: Op, request: Inbound) -> Response<Body> {
        let answer = self.answer(op, &request).await;
        without_body(
            &request.method,
            answer.unwrap_or_else(Problem::into_response),
        )
    }
}
