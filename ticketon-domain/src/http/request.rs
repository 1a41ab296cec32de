//! What callers send: read strictly, refused with every field that is wrong, its value and what is accepted.

use http::HeaderMap;
use serde_json::{Map, Value};
use ticketon_queue::FieldError;
use ticketon_queue::http::{Code, Inbound, Problem};

use crate::seat::{BestAvailable, HoldId, HoldSeats, MAX_HOLD_SEATS};
use crate::venue::MAX_REPORTED;

pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_KEY_BYTES: usize = 128;
/// As many as a layout may have.
const MAX_GRADES: usize = 32;

/// How the body as a whole is named, as in the configs of rooms.
pub(super) const ROOT: &str = "(body)";

/// The ways to say which seats; each body has one.
const FORMS: [&str; 3] = ["seats", "bestAvailable", "area"];
const FORMS_TEXT: &str = "seats; or bestAvailable; or area and count";

/// The hold of the path.
pub(super) fn hold_id(request: &Inbound) -> Result<HoldId, Problem> {
    let text = request.params.get("holdId").unwrap_or_default();
    text.parse().map_err(Problem::invalid)
}

/// The seats that a body asks for: `seats`, `bestAvailable`, or `area` and `count`.
pub(super) fn hold_seats(request: &Inbound) -> Result<HoldSeats, Problem> {
    let key = idempotency_key(&request.headers)?;
    let wanted = fields_of(request, |fields| {
        let given = FORMS
            .into_iter()
            .filter(|name| fields.given(name).is_some());
        let given: Vec<&str> = given.collect();
        for name in given.iter().skip(1) {
            fields.refuse(name, "(given too)", format!("one of {FORMS_TEXT}"));
        }
        match given.first().copied() {
            Some("seats") => {
                fields.only(&["seats"]);
                HoldSeats::seats(fields.labels("seats"))
            }
            Some("bestAvailable") => {
                fields.only(&["bestAvailable"]);
                fields.best_available("bestAvailable").into()
            }
            Some(_) => {
                fields.only(&["area", "count"]);
                HoldSeats::area(fields.text("area").unwrap_or_default(), fields.count())
            }
            None => {
                fields.only(&["seats", "bestAvailable", "area", "count"]);
                fields.refuse("seats", "(missing)", FORMS_TEXT);
                HoldSeats::best(1)
            }
        }
    })?;
    Ok(wanted.idempotency_key(key))
}

/// The labels of a body `{"seats": [...]}`.
pub(super) fn seat_labels(request: &Inbound) -> Result<Vec<String>, Problem> {
    fields_of(request, |fields| {
        fields.only(&["seats"]);
        if fields.given("seats").is_none() {
            fields.refuse("seats", "(missing)", "a list of seat labels");
        }
        fields.labels("seats")
    })
}

/// Reads the body as an object, and refuses it with all that was refused in it.
pub(super) fn fields_of<T>(
    request: &Inbound,
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> Result<T, Problem> {
    let body: Value = serde_json::from_slice(&request.body).map_err(|error| malformed(&error))?;
    let mut refused = Vec::new();
    let Some(object) = body.as_object() else {
        return Err(Problem::invalid(no_object(ROOT, &body)));
    };
    let read = read(&mut Fields {
        at: "",
        object,
        refused: &mut refused,
    });
    if refused.is_empty() {
        return Ok(read);
    }
    let mut problem = Problem::new(Code::INVALID);
    problem.errors = refused;
    Err(problem)
}

/// A body that is no JSON.
pub(super) fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MALFORMED).detail(format!("the body is not JSON: {error}"))
}

fn no_object(field: &str, value: &Value) -> FieldError {
    FieldError::new(field, value, "a JSON object")
}

/// The key that makes retries one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key.to_str().ok(),
        _ => None,
    };
    let is_good = |key: &&str| {
        (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    key.filter(is_good).map(str::to_owned).ok_or_else(|| {
        Problem::new(Code::MALFORMED).detail(format!(
            "the header Idempotency-Key must be there once, with 1 to {MAX_KEY_BYTES} visible ASCII characters"
        ))
    })
}

/// The fields of one object. What is refused is kept, and reading goes on with a stand-in. `null` is as good as absent.
pub(super) struct Fields<'a> {
    /// What the object is called, with a dot; empty for the body.
    at: &'static str,
    object: &'a Map<String, Value>,
    refused: &'a mut Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(super) fn given(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn refuse(
        &mut self,
        name: &str,
        value: impl std::fmt::Display,
        range: impl Into<String>,
    ) {
        let error = FieldError::new(format!("{}{name}", self.at), value, range);
        let is_known = self.refused.iter().any(|other| other.field == error.field);
        // A long list of mistakes must not become a longer answer.
        if !is_known && self.refused.len() < MAX_REPORTED {
            self.refused.push(error);
        }
    }

    /// Refuses fields that are not known.
    pub(super) fn only(&mut self, known: &[&str]) {
        for name in self.object.keys() {
            if self.given(name).is_some() && !known.contains(&name.as_str()) {
                let short: String = name.chars().take(64).collect();
                self.refuse(&short, "(unknown field)", known.join(", "));
            }
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.given(name)?;
        if let Some(text) = value.as_str() {
            return Some(text.to_owned());
        }
        self.refuse(name, value, "a text");
        None
    }

    /// Texts: whether a seat is called so, the venue knows.
    fn labels(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.given(name) else {
            return Vec::new();
        };
        let Some(items) = value.as_array() else {
            self.refuse(name, value, "a list of seat labels");
            return Vec::new();
        };
        let mut labels = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(label) => labels.push(label.to_owned()),
                None => self.refuse(&format!("{name}[{index}]"), item, "a seat label"),
            }
        }
        labels
    }

    fn count(&mut self) -> u32 {
        let range = format!("1 to {MAX_HOLD_SEATS}");
        let Some(value) = self.given("count") else {
            self.refuse("count", "(missing)", range);
            return 1;
        };
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count
            .filter(|count| (1..=MAX_HOLD_SEATS as u32).contains(count))
            .unwrap_or_else(|| {
                self.refuse("count", value, range);
                1
            })
    }

    fn best_available(&mut self, name: &'static str) -> BestAvailable {
        let Some(value) = self.given(name) else {
            return BestAvailable::new(1);
        };
        let Some(object) = value.as_object() else {
            self.refused.push(no_object(name, value));
            return BestAvailable::new(1);
        };
        let mut fields = Fields {
            at: "bestAvailable.",
            object,
            refused: &mut *self.refused,
        };
        fields.only(&["count", "grades", "section", "maxPrice", "accessible"]);
        let mut wanted = BestAvailable::new(fields.count());
        for grade in fields.grades() {
            wanted = wanted.grade(grade);
        }
        if let Some(section) = fields.text("section") {
            wanted = wanted.section(section);
        }
        if let Some(value) = fields.given("maxPrice") {
            match value.as_u64() {
                Some(amount) => wanted = wanted.max_price(amount),
                None => fields.refuse("maxPrice", value, "a whole amount in minor units"),
            }
        }
        match fields.given("accessible") {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => wanted = wanted.accessible(),
            Some(other) => fields.refuse("accessible", other, "true or false"),
        }
        wanted
    }

    fn grades(&mut self) -> Vec<String> {
        let Some(value) = self.given("grades") else {
            return Vec::new();
        };
        let Some(items) = value
            .as_array()
            .filter(|items| (1..=MAX_GRADES).contains(&items.len()))
        else {
            self.refuse(
                "grades",
                value,
                format!("a list of 1 to {MAX_GRADES} grades"),
            );
            return Vec::new();
        };
        let mut grades = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(grade) => grades.push(grade.to_owned()),
                None => self.refuse(&format!("grades[{index}]"), item, "a grade of the venue"),
            }
        }
        grades
    }
}
