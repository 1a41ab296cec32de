//! What callers send: read strictly, refused with the field, its value and what is accepted.

use serde_json::{Map, Value};
use ticketon_queue::FieldError;
use ticketon_queue::http::{Code, Inbound, Problem};

use crate::seat::{BestAvailable, HoldId, HoldSeats, MAX_HOLD_SEATS};
use crate::venue::SeatLabel;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_KEY_BYTES: usize = 128;

/// The hold of the path.
pub(super) fn hold_id(request: &Inbound) -> Result<HoldId, Problem> {
    let text = request.params.get("holdId").unwrap_or_default();
    text.parse().map_err(Problem::invalid)
}

/// The seats that a body asks for: `seats`, `bestAvailable`, or `area` and `count`.
pub(super) fn hold_seats(request: &Inbound) -> Result<HoldSeats, Problem> {
    let key = idempotency_key(request)?;
    let body = object("", &read(request)?)?;
    let wanted = match (
        body.get("seats"),
        body.get("bestAvailable"),
        body.get("area"),
    ) {
        (Some(seats), None, None) => {
            only(&body, "", &["seats"])?;
            HoldSeats::seats(labels(seats)?)
        }
        (None, Some(best), None) => {
            only(&body, "", &["bestAvailable"])?;
            best_available(&object("bestAvailable", best)?)?
        }
        (None, None, Some(area)) => {
            only(&body, "", &["area", "count"])?;
            HoldSeats::area(text("area", area)?, count("count", body.get("count"))?)
        }
        _ => {
            return Err(Problem::new(Code::MALFORMED)
                .detail("the body has one of: seats; bestAvailable; area and count"));
        }
    };
    Ok(wanted.idempotency_key(key))
}

/// The labels of a body `{"seats": [...]}`.
pub(super) fn seat_labels(request: &Inbound, most: usize) -> Result<Vec<SeatLabel>, Problem> {
    let body = object("", &read(request)?)?;
    only(&body, "", &["seats"])?;
    let seats = body.get("seats").unwrap_or(&Value::Null);
    let seats = labels(seats)?;
    if seats.is_empty() || seats.len() > most {
        let range = format!("1 to {most} labels");
        return Err(refused("seats", &format!("{} labels", seats.len()), &range));
    }
    Ok(seats)
}

/// The body as JSON.
pub(super) fn read(request: &Inbound) -> Result<Value, Problem> {
    serde_json::from_slice(&request.body)
        .map_err(|error| Problem::new(Code::MALFORMED).detail(error.to_string()))
}

fn idempotency_key(request: &Inbound) -> Result<String, Problem> {
    let missing = || {
        Problem::new(Code::MALFORMED).detail(format!(
            "the header Idempotency-Key is missing or not 1 to {MAX_KEY_BYTES} visible ASCII characters"
        ))
    };
    let key = request.headers.get(IDEMPOTENCY_KEY).ok_or_else(missing)?;
    let key = key.to_str().map_err(|_| missing())?;
    let is_good =
        (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_good.then(|| key.to_owned()).ok_or_else(missing)
}

fn best_available(best: &Map<String, Value>) -> Result<HoldSeats, Problem> {
    const KNOWN: [&str; 5] = ["count", "grades", "section", "maxPrice", "accessible"];
    only(best, "bestAvailable.", &KNOWN)?;
    let mut wanted = BestAvailable::new(count("bestAvailable.count", best.get("count"))?);
    if let Some(grades) = best.get("grades") {
        let grades = grades
            .as_array()
            .filter(|grades| !grades.is_empty() && grades.len() <= 32);
        let grades = grades.ok_or_else(|| refused("bestAvailable.grades", "", "1 to 32 grades"))?;
        for grade in grades {
            wanted = wanted.grade(text("bestAvailable.grades", grade)?);
        }
    }
    if let Some(section) = best.get("section") {
        wanted = wanted.section(text("bestAvailable.section", section)?);
    }
    if let Some(price) = best.get("maxPrice") {
        let most = price.as_u64();
        let range = "a whole amount in minor units";
        wanted = wanted.max_price(
            most.ok_or_else(|| refused("bestAvailable.maxPrice", &price.to_string(), range))?,
        );
    }
    match best.get("accessible") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => wanted = wanted.accessible(),
        Some(other) => {
            return Err(refused(
                "bestAvailable.accessible",
                &other.to_string(),
                "true or false",
            ));
        }
    }
    Ok(wanted.into())
}

fn labels(value: &Value) -> Result<Vec<SeatLabel>, Problem> {
    let range = "a list of seat labels";
    let items = value
        .as_array()
        .ok_or_else(|| refused("seats", &value.to_string(), range))?;
    let label = |(index, item): (usize, &Value)| {
        let field = format!("seats[{index}]");
        let label = text(&field, item)?;
        SeatLabel::new(label).map_err(|error| {
            let mut refused = FieldError::from(&error);
            refused.field = field;
            Problem::invalid(refused)
        })
    };
    items.iter().enumerate().map(label).collect()
}

fn count(field: &str, value: Option<&Value>) -> Result<u32, Problem> {
    let count = value
        .and_then(Value::as_u64)
        .and_then(|count| u32::try_from(count).ok());
    let fits = count.filter(|count| (1..=MAX_HOLD_SEATS as u32).contains(count));
    fits.ok_or_else(|| {
        let shown = value.map(Value::to_string).unwrap_or_default();
        refused(field, &shown, &format!("1 to {MAX_HOLD_SEATS}"))
    })
}

fn text(field: &str, value: &Value) -> Result<String, Problem> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| refused(field, &value.to_string(), "a text"))
}

fn object(field: &str, value: &Value) -> Result<Map<String, Value>, Problem> {
    let object = value.as_object().cloned();
    object.ok_or_else(|| {
        let what = if field.is_empty() { "the body" } else { field };
        Problem::new(Code::MALFORMED).detail(format!("{what} is not a JSON object"))
    })
}

/// Refuses fields that are not known.
fn only(object: &Map<String, Value>, prefix: &str, known: &[&str]) -> Result<(), Problem> {
    match object
        .iter()
        .find(|(name, _)| !known.contains(&name.as_str()))
    {
        None => Ok(()),
        Some((name, value)) => Err(refused(
            &format!("{prefix}{name}"),
            &value.to_string(),
            &known.join(", "),
        )),
    }
}

fn refused(field: &str, value: &str, range: &str) -> Problem {
    Problem::invalid(FieldError::new(field, value, range))
}
