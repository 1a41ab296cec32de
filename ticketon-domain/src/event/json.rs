//! The JSON of an event: what operators send and get back.
//!
//! camelCase, times in RFC 3339, amounts in minor units. Unknown fields are refused. What was
//! exported can be imported: `version`, `salesVersion` and `layoutVersion` are read back, and a
//! `version` that is not the stored one makes saving fail, so that nobody overwrites a change
//! that they have not seen.

use serde_json::{Map, Value, json};
use ticketon_queue::clock::{parse_rfc3339, rfc3339};
use ticketon_queue::{ConfigError, EventId, FieldError, UnixMs};

use super::{Category, Event, EventBuilder, Price, Title};
use crate::seat::Orphans;

const KNOWN: [&str; 21] = [
    "id",
    "title",
    "venue",
    "category",
    "categoryName",
    "startsAt",
    "status",
    "sale",
    "seatSelection",
    "ageLimit",
    "currency",
    "prices",
    "limits",
    "holdSeconds",
    "maxHoldSeconds",
    "paymentDeadlineSeconds",
    "paymentMarginSeconds",
    "orphans",
    "layoutVersion",
    "salesVersion",
    "version",
];

const ORPHANS: [(Orphans, &str); 3] = [
    (Orphans::Allow, "allow"),
    (Orphans::Lenient, "lenient"),
    (Orphans::Strict, "strict"),
];

impl Event {
    /// The JSON shape, with all fields.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let orphans = ORPHANS.iter().find(|(orphans, _)| *orphans == self.orphans);
        let prices: Vec<Value> = self
            .prices
            .iter()
            .map(|price| json!({"grade": price.grade, "amount": price.amount}))
            .collect();
        json!({
            "id": self.id,
            "title": {"en": self.title.en, "ko": self.title.ko},
            "venue": self.venue,
            "category": self.category.as_ref().map(|category| &category.id),
            "categoryName": self.category.as_ref().map(|category| &category.name),
            "startsAt": rfc3339(self.starts_at_ms),
            "status": self.status,
            "sale": {
                "opensAt": rfc3339(self.sale.opens_at_ms),
                "closesAt": rfc3339(self.sale.closes_at_ms),
            },
            "seatSelection": self.seat_selection,
            "ageLimit": self.age_limit,
            "currency": self.currency,
            "prices": prices,
            "limits": {"perOrder": self.limits.per_order, "perUser": self.limits.per_user},
            "holdSeconds": self.hold_seconds,
            "maxHoldSeconds": self.max_hold_seconds,
            "paymentDeadlineSeconds": self.payment_deadline_seconds,
            "paymentMarginSeconds": self.payment_margin_seconds,
            "orphans": orphans.map(|(_, name)| name),
            "layoutVersion": self.layout_version,
            "salesVersion": self.sales_version,
            "version": self.version,
        })
    }

    /// Reads the JSON shape. An `id` in it must be the one given; a title in one language stands for both.
    ///
    /// # Errors
    /// [`ConfigError`] with every field that is unknown, missing, of another type, out of its range, or does not fit
    /// another.
    pub fn from_json(id: &EventId, value: &Value) -> Result<Self, ConfigError> {
        let mut errors = Vec::new();
        let builder = match value.as_object() {
            Some(fields) => {
                let mut reader = Reader {
                    at: "",
                    fields,
                    errors: &mut errors,
                };
                reader.event(id)
            }
            None => {
                let fields = vec![FieldError::new("(body)", kind(value), "a JSON object")];
                return Err(ConfigError { fields });
            }
        };
        match builder.build() {
            Ok(event) if errors.is_empty() => Ok(event),
            Ok(_) => Err(ConfigError { fields: errors }),
            Err(more) => {
                // What was refused while reading was built with a stand-in: it is reported once.
                for error in more.fields {
                    let known = |other: &FieldError| {
                        let rest = error.field.strip_prefix(other.field.as_str());
                        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                    };
                    if !errors.iter().any(known) {
                        errors.push(error);
                    }
                }
                Err(ConfigError { fields: errors })
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Reads the fields of one object and keeps every refusal.
struct Reader<'a> {
    /// What the object is called, with a dot; empty for the whole.
    at: &'a str,
    fields: &'a Map<String, Value>,
    errors: &'a mut Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn event(&mut self, id: &EventId) -> EventBuilder {
        let mut builder = Event::builder(id.clone());
        self.unknown(&KNOWN);
        if let Some(own) = self.text("id")
            && own != id.as_str()
        {
            self.refuse("id", format!("{own:?}"), format!("{id:?}, or nothing"));
        }
        builder.title = self.title();
        builder.venue = self.text("venue");
        builder.category = self.category();
        builder.starts_at_ms = self.time("startsAt");
        if let Some(status) = self.text("status") {
            match status.parse() {
                Ok(status) => builder.status = status,
                Err(error) => self.errors.push(error),
            }
        }
        if let Some((opens, closes)) = self.object("sale", "{\"opensAt\", \"closesAt\"}", |sale| {
            sale.unknown(&["opensAt", "closesAt"]);
            (sale.time("opensAt"), sale.time("closesAt"))
        }) {
            builder.opens_at_ms = opens;
            builder.closes_at_ms = closes;
        }
        if let Some(on) = self.flag("seatSelection") {
            builder.seat_selection = on;
        }
        builder.age_limit = self.number("ageLimit");
        builder.currency = self.text("currency");
        builder.prices = self.prices();
        if let Some((order, user)) =
            self.object("limits", "{\"perOrder\", \"perUser\"}", |limits| {
                limits.unknown(&["perOrder", "perUser"]);
                (limits.number("perOrder"), limits.number("perUser"))
            })
        {
            builder.per_order = order;
            builder.per_user = user;
        }
        builder.hold_seconds = self.number("holdSeconds");
        builder.max_hold_seconds = self.number("maxHoldSeconds");
        builder.payment_deadline_seconds = self.number("paymentDeadlineSeconds");
        builder.payment_margin_seconds = self.number("paymentMarginSeconds");
        if let Some(name) = self.text("orphans") {
            match ORPHANS.iter().find(|(_, known)| *known == name) {
                Some((orphans, _)) => builder.orphans = *orphans,
                None => self.refuse("orphans", name, "allow, lenient or strict"),
            }
        }
        builder.layout_version = self.text("layoutVersion").unwrap_or_default();
        builder.sales_version = self.number("salesVersion").unwrap_or_default();
        builder.version = self.number("version").unwrap_or_default();
        builder
    }

    fn title(&mut self) -> Option<Title> {
        let accepted = "{\"en\", \"ko\"}";
        let (en, ko) = self.object("title", accepted, |title| {
            title.unknown(&["en", "ko"]);
            (title.text("en"), title.text("ko"))
        })?;
        let en_or = en.clone().or_else(|| ko.clone()).unwrap_or_default();
        Some(Title {
            ko: ko.or(en).unwrap_or_default(),
            en: en_or,
        })
    }

    fn category(&mut self) -> Option<Category> {
        let (id, name) = (self.text("category"), self.text("categoryName"));
        if id.is_none() && name.is_some() {
            self.refuse("categoryName", "(without category)", "only beside category");
        }
        let id = id?;
        let name = name.unwrap_or_else(|| id.clone());
        Some(Category { id, name })
    }

    fn prices(&mut self) -> Vec<Price> {
        const ACCEPTED: &str = "an array of {\"grade\", \"amount\"}";
        let Some(value) = self.given("prices") else {
            return Vec::new();
        };
        let Some(items) = value.as_array() else {
            self.refuse("prices", kind(value), ACCEPTED);
            return Vec::new();
        };
        // One more than is accepted is enough to be refused; a long list is not read to its end.
        items
            .iter()
            .take(100)
            .enumerate()
            .map(|(index, item)| self.price(index, item))
            .collect()
    }

    fn price(&mut self, index: usize, item: &Value) -> Price {
        let at = format!("prices[{index}].");
        let mut price = Price {
            grade: String::new(),
            amount: 0,
        };
        let Some(fields) = item.as_object() else {
            let name = format!("prices[{index}]");
            self.refuse(&name, kind(item), "an object {\"grade\", \"amount\"}");
            return price;
        };
        let mut reader = Reader {
            at: &at,
            fields,
            errors: &mut *self.errors,
        };
        reader.unknown(&["grade", "amount"]);
        price.grade = reader.text("grade").unwrap_or_default();
        match reader.number("amount") {
            Some(amount) => price.amount = amount,
            None if reader.given("amount").is_none() => {
                reader.refuse("amount", "(missing)", "a whole number of minor units");
            }
            None => {}
        }
        price
    }

    /// A field's value, unless it is absent or null.
    fn given(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn refuse(&mut self, name: &str, value: impl std::fmt::Display, range: impl Into<String>) {
        let field = format!("{}{name}", self.at);
        self.errors.push(FieldError::new(field, value, range));
    }

    fn object<T>(
        &mut self,
        name: &str,
        accepted: &str,
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> Option<T> {
        let value = self.given(name)?;
        let Some(fields) = value.as_object() else {
            self.refuse(name, kind(value), format!("an object {accepted}"));
            return None;
        };
        let at = format!("{}{name}.", self.at);
        Some(read(&mut Reader {
            at: &at,
            fields,
            errors: &mut *self.errors,
        }))
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.given(name)?;
        if let Some(text) = value.as_str() {
            return Some(text.to_owned());
        }
        self.refuse(name, kind(value), "a string");
        None
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.given(name)?;
        if value.as_bool().is_none() {
            self.refuse(name, value, "true or false");
        }
        value.as_bool()
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        let value = self.given(name)?;
        if value.as_u64().is_none() {
            self.refuse(name, value, "a whole number, 0 or more");
        }
        value.as_u64()
    }

    fn time(&mut self, name: &str) -> Option<UnixMs> {
        let value = self.given(name)?;
        let at = value.as_str().and_then(parse_rfc3339);
        if at.is_none() {
            let range = "an RFC 3339 time from 1970 on, like 2026-01-01T00:00:00Z";
            self.refuse(name, value, range);
        }
        at
    }

    fn unknown(&mut self, known: &[&str]) {
        for name in self.fields.keys() {
            if !known.contains(&name.as_str()) {
                let short: String = name.chars().take(64).collect();
                self.refuse(&short, "(unknown field)", known.join(", "));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventStatus;

    fn id() -> EventId {
        EventId::new("tour").unwrap()
    }

    fn minimal() -> Value {
        json!({
            "title": {"en": "Tour"}, "venue": "Hall", "startsAt": "2030-01-01T09:00:00+09:00",
            "currency": "KRW", "prices": [{"grade": "vip", "amount": 165_000}],
        })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut json = minimal();
        json[field] = value;
        json
    }

    fn refused(value: &Value) -> Vec<String> {
        let fields = Event::from_json(&id(), value).unwrap_err().fields;
        fields.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_short_document_is_enough() {
        let event = Event::from_json(&id(), &minimal()).unwrap();
        assert_eq!(event.title().ko, "Tour");
        assert_eq!(event.status(), EventStatus::Draft);
        assert_eq!(event.to_json()["startsAt"], "2030-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        let full = Event::builder(id())
            .title("Tour", "투어")
            .venue("Hall")
            .category("concert", "콘서트")
            .starts_at_ms(1_893_456_000_000)
            .status(EventStatus::Open)
            .sale(1_800_000_000_000, 1_893_455_999_000)
            .seat_selection(false)
            .age_limit(19)
            .currency("USD")
            .price("vip", 12_345)
            .price("standard", 0)
            .limits(2, 6)
            .hold_seconds(120)
            .max_hold_seconds(240)
            .payment_seconds(100, 20)
            .orphans(Orphans::Strict)
            .build()
            .unwrap();
        for event in [full, Event::from_json(&id(), &minimal()).unwrap()] {
            let json = event.to_json();
            assert_eq!(Event::from_json(&id(), &json).unwrap(), event);
            let names: Vec<&String> = json.as_object().unwrap().keys().collect();
            assert!(names.iter().all(|name| KNOWN.contains(&name.as_str())));
        }
    }

    #[test]
    fn every_wrong_field_is_named_once() {
        assert_eq!(refused(&json!([])), ["(body)"]);
        assert_eq!(
            refused(&json!({"titel": 1})),
            [
                "titel", "title.en", "title.ko", "venue", "startsAt", "currency", "prices"
            ]
        );
        assert_eq!(refused(&with("id", json!("other"))), ["id"]);
        assert_eq!(refused(&with("title", json!("Tour"))), ["title"]);
        assert_eq!(
            refused(&with("title", json!({"fr": "x"}))),
            ["title.fr", "title.en", "title.ko"]
        );
        assert_eq!(refused(&with("startsAt", json!(5))), ["startsAt"]);
        assert_eq!(refused(&with("status", json!("deleted"))), ["status"]);
        assert_eq!(
            refused(&with("sale", json!({"opensAt": "soon", "x": 1}))),
            ["sale.x", "sale.opensAt"]
        );
        assert_eq!(
            refused(&with("seatSelection", json!("yes"))),
            ["seatSelection"]
        );
        assert_eq!(refused(&with("ageLimit", json!(-1))), ["ageLimit"]);
        assert_eq!(
            refused(&with("limits", json!({"perOrder": 1.5}))),
            ["limits.perOrder"]
        );
        assert_eq!(refused(&with("holdSeconds", json!("5"))), ["holdSeconds"]);
        assert_eq!(refused(&with("orphans", json!("never"))), ["orphans"]);
        assert_eq!(
            refused(&with("categoryName", json!("Concert"))),
            ["categoryName"]
        );
        assert_eq!(
            refused(&with(
                "prices",
                json!([{"grade": 3, "amount": -1, "x": 1}, 5, {"grade": "a"}])
            )),
            [
                "prices[0].x",
                "prices[0].grade",
                "prices[0].amount",
                "prices[1]",
                "prices[2].amount"
            ]
        );
        let many: Vec<Value> = (0..33)
            .map(|grade| json!({"grade": format!("g{grade}"), "amount": 1}))
            .collect();
        assert_eq!(refused(&with("prices", json!(many))), ["prices"]);
    }

    #[test]
    fn null_is_as_good_as_absent() {
        for field in KNOWN
            .into_iter()
            .filter(|name| !minimal()[*name].is_object())
        {
            let json = with(field, Value::Null);
            let read = Event::from_json(&id(), &json);
            let missing = minimal().get(field).is_some();
            assert_eq!(read.is_err(), missing, "{field}");
        }
    }
}
