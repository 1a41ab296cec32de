//! What callers of purchases send.

use http::HeaderMap;
use serde_json::Value;
use ticketon_queue::http::{Code, Inbound, Principal, Problem, is_same_origin};
use ticketon_queue::{EventId, FieldError};

use crate::http::request::{Fields, fields_of};
use crate::purchase::{Confirm, MAX_ORDERS, OrderId, PaymentKey, TicketId};
use crate::seat::{HoldId, MAX_HOLD_SEATS};

/// How many orders are listed without `?limit=`.
const PAGE: usize = 20;
/// The most characters of a refund's reason: providers take no more.
const MAX_REASON_CHARS: usize = 200;
const CORRELATION_ID: &str = "x-correlation-id";
const MAX_CORRELATION_BYTES: usize = 128;

/// What makes an order: `{"eventId", "holdId"}`.
pub(super) struct Initiate {
    pub(super) event: EventId,
    pub(super) hold: HoldId,
}

/// What is given back: `{"tickets"?, "reason"}`.
pub(super) struct Refund {
    /// Empty: all that are good.
    pub(super) tickets: Vec<TicketId>,
    pub(super) reason: String,
}

/// What a gate asks: `{"code", "checkIn"?, "eventId"?}`.
pub(super) struct Verify {
    pub(super) code: String,
    pub(super) check_in: bool,
    /// The event that the gate is of: tickets of others are refused untouched.
    pub(super) event: Option<EventId>,
}

/// Which orders of a list.
pub(super) struct Page {
    pub(super) before: Option<OrderId>,
    pub(super) limit: usize,
}

/// Who calls.
pub(super) fn caller(request: &Inbound) -> Result<&Principal, Problem> {
    let caller = request.caller.as_ref();
    caller.ok_or_else(|| Problem::new(Code::UNAUTHENTICATED))
}

/// Who calls to change something: another site cannot, in the name of whoever looks at it.
pub(super) fn own_caller(request: &Inbound) -> Result<&Principal, Problem> {
    let caller = caller(request)?;
    if !is_same_origin(&request.headers) {
        return Err(Problem::new(Code::FORBIDDEN).detail("the request comes from another site"));
    }
    Ok(caller)
}

/// The order of the path.
pub(super) fn order_id(request: &Inbound) -> Result<OrderId, Problem> {
    let text = request.params.get("orderId").unwrap_or_default();
    text.parse().map_err(Problem::invalid)
}

/// The ticket of the path.
pub(super) fn ticket_id(request: &Inbound) -> Result<TicketId, Problem> {
    let text = request.params.get("ticketId").unwrap_or_default();
    text.parse().map_err(Problem::invalid)
}

/// `?before=` and `?limit=`.
pub(super) fn page(request: &Inbound) -> Result<Page, Problem> {
    let mut errors = Vec::new();
    let before = request.query("before").and_then(|text| {
        let read = text.parse().map_err(|mut error: FieldError| {
            "before".clone_into(&mut error.field);
            errors.push(error);
        });
        read.ok()
    });
    let limit = request.query("limit").map_or(PAGE, |text| {
        let limit = text.parse().ok();
        let fits = |limit: &usize| (1..=MAX_ORDERS).contains(limit);
        limit.filter(fits).unwrap_or_else(|| {
            let range = format!("1 to {MAX_ORDERS}");
            errors.push(FieldError::new("limit", text, range));
            PAGE
        })
    });
    if errors.is_empty() {
        return Ok(Page { before, limit });
    }
    let mut problem = Problem::new(Code::INVALID);
    problem.errors = errors;
    Err(problem)
}

/// `?attention=true`, which must be there: other lists may follow.
pub(super) fn attention(request: &Inbound) -> Result<(), Problem> {
    match request.query("attention") {
        Some(text) if text == "true" => Ok(()),
        other => {
            let value = other.unwrap_or_else(|| "(missing)".to_owned());
            Err(Problem::invalid(FieldError::new(
                "attention",
                value,
                "true",
            )))
        }
    }
}

pub(super) fn initiate(request: &Inbound) -> Result<Initiate, Problem> {
    fields_of(request, |fields| {
        fields.only(&["eventId", "holdId"]);
        let event = fields.parsed("eventId", "the id of an event", |text| {
            EventId::new(text).map_err(|error| FieldError::from(&error))
        });
        let hold = fields.parsed("holdId", "the id of a hold", str::parse::<HoldId>);
        event.zip(hold)
    })
    .map(|read| read.map(|(event, hold)| Initiate { event, hold }))
    .and_then(complete)
}

pub(super) fn confirm(request: &Inbound) -> Result<Confirm, Problem> {
    fields_of(request, |fields| {
        fields.only(&["orderId", "paymentKey", "amount"]);
        let order = fields.parsed("orderId", "the id of an order", str::parse::<OrderId>);
        let key = fields.parsed("paymentKey", "the payment's key at its provider", |text| {
            PaymentKey::new(text)
        });
        let amount = fields.amount();
        Some(Confirm {
            order: order?,
            key: key?,
            amount: amount?,
        })
    })
    .and_then(complete)
}

pub(super) fn refund(request: &Inbound) -> Result<Refund, Problem> {
    fields_of(request, |fields| {
        fields.only(&["tickets", "reason"]);
        let tickets = fields.tickets();
        let reason = fields.parsed("reason", REASON, reason);
        Some(Refund {
            tickets,
            reason: reason?,
        })
    })
    .and_then(complete)
}

/// Whether an operator has settled what the order's mark tells: `{"settled": true}`. A body is not asked for, and whatever
/// else one says is passed over.
pub(super) fn retry(request: &Inbound) -> Result<bool, Problem> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match body.get("settled") {
        None => Ok(false),
        Some(Value::Bool(settled)) => Ok(*settled),
        Some(other) => Err(Problem::invalid(FieldError::new(
            "settled",
            other,
            "true or false",
        ))),
    }
}

pub(super) fn verify(request: &Inbound) -> Result<Verify, Problem> {
    fields_of(request, |fields| {
        fields.only(&["code", "checkIn", "eventId"]);
        let code = fields.parsed("code", "the code of a ticket", |text| Ok(text.to_owned()));
        let check_in = fields.flag("checkIn");
        let event = match fields.given("eventId") {
            None => None,
            Some(_) => Some(fields.parsed("eventId", "the id of an event", |text| {
                EventId::new(text).map_err(|error| FieldError::from(&error))
            })?),
        };
        Some(Verify {
            code: code?,
            check_in,
            event,
        })
    })
    .and_then(complete)
}

/// What was read. Something that is missing was refused already.
fn complete<T>(read: Option<T>) -> Result<T, Problem> {
    read.ok_or_else(|| Problem::new(Code::INVALID))
}

const REASON: &str = "1 to 200 characters without line breaks or other control characters";

fn reason(text: &str) -> Result<String, FieldError> {
    let text = text.trim();
    let length = text.chars().take(MAX_REASON_CHARS + 1).count();
    if !(1..=MAX_REASON_CHARS).contains(&length) || text.chars().any(char::is_control) {
        return Err(FieldError::new("reason", text, REASON));
    }
    Ok(text.to_owned())
}

impl Fields<'_> {
    /// A text that must be there and is read further; `None` when it was refused.
    fn parsed<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, FieldError>,
    ) -> Option<T> {
        let Some(value) = self.given(name) else {
            self.refuse(name, "(missing)", what);
            return None;
        };
        let Some(text) = value.as_str() else {
            self.refuse(name, value, format!("a text: {what}"));
            return None;
        };
        match read(text) {
            Ok(read) => Some(read),
            Err(error) => {
                self.refuse(name, error.value, error.range);
                None
            }
        }
    }

    fn amount(&mut self) -> Option<u64> {
        let range = "a whole amount in minor units";
        let Some(value) = self.given("amount") else {
            self.refuse("amount", "(missing)", range);
            return None;
        };
        let amount = value.as_u64();
        if amount.is_none() {
            self.refuse("amount", value, range);
        }
        amount
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.given(name) {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(other) => {
                self.refuse(name, other, "true or false");
                false
            }
        }
    }

    /// Which tickets. A list that is there and empty is a mistake, not a wish to give all back.
    fn tickets(&mut self) -> Vec<TicketId> {
        let Some(value) = self.given("tickets") else {
            return Vec::new();
        };
        let fits = |items: &&Vec<Value>| (1..=MAX_HOLD_SEATS).contains(&items.len());
        let Some(items) = value.as_array().filter(fits) else {
            let range = format!("a list of 1 to {MAX_HOLD_SEATS} ids; all, without this field");
            self.refuse("tickets", value, range);
            return Vec::new();
        };
        let mut tickets = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.as_str().and_then(|text| text.parse().ok()) {
                Some(ticket) => tickets.push(ticket),
                None => self.refuse(&format!("tickets[{index}]"), item, "the id of a ticket"),
            }
        }
        tickets
    }
}

/// What ties the caller's logs to ours, if they sent something that is fit for a log.
pub(super) fn correlation(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CORRELATION_ID)?.to_str().ok()?;
    let fits = (1..=MAX_CORRELATION_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}
