//! The form in which events travel: CloudEvents 1.0 in JSON, structured mode.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ticketon_queue::clock::{parse_rfc3339, rfc3339};
use ticketon_queue::{FieldError, UnixMs};

use super::{Aggregate, NewMessage};

/// The largest event that is published, in bytes: well below what brokers accept by default.
pub const MAX_ENVELOPE_BYTES: usize = 512 * 1_024;

/// The topics of Ticketon's own aggregates.
pub const TOPICS: [&str; 1] = ["ticketon.orders.v1"];

/// How the types of events begin.
const TYPE_PREFIX: &str = "com.ticketon.";

/// An event as it is published.
///
/// ```
/// use ticketon_domain::outbox::{Aggregate, Envelope, NewMessage};
/// let message = NewMessage {
///     aggregate: Aggregate::order("42"),
///     version: 3,
///     kind: "order.paid".to_owned(),
///     occurred_at_ms: 1_767_225_600_000,
///     correlation: None,
///     payload: r#"{"amount":165000}"#.to_owned(),
/// };
/// let event = Envelope::of(&message, "/ticketon");
/// assert_eq!(event.topic(), "ticketon.orders.v1");
/// assert_eq!(event.key(), "42");
/// assert_eq!(event.id(), "order/42/3");
/// assert!(event.to_json()?.contains(r#""type":"com.ticketon.order.paid.v1""#));
/// # Ok::<(), ticketon_queue::FieldError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    message: NewMessage,
    source: String,
}

/// The attributes of CloudEvents, in the order in which they are written.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: String,
    dataschema: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    correlationid: Option<String>,
    aggregatetype: String,
    aggregateversion: u64,
    partitionkey: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Envelope {
    /// The event that tells a message; `source` is the URI reference of the service that it comes from.
    #[must_use]
    pub fn of(message: &NewMessage, source: impl Into<String>) -> Self {
        Self {
            message: message.clone(),
            source: source.into(),
        }
    }

    /// The topic that it belongs to: one for each type of aggregate, for example `ticketon.orders.v1`.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("ticketon.{}s.v1", self.message.aggregate.kind())
    }

    /// What orders it among others of its topic: the id of its aggregate.
    #[must_use]
    pub fn key(&self) -> &str {
        self.message.aggregate.id()
    }

    /// Its id: the aggregate and the version.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.message.aggregate, self.message.version)
    }

    /// What happened, for example `order.paid`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.message.kind
    }

    /// What it is about.
    #[must_use]
    pub fn aggregate(&self) -> &Aggregate {
        &self.message.aggregate
    }

    /// Which of the aggregate's events it is.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.message.version
    }

    /// When it happened.
    #[must_use]
    pub fn occurred_at_ms(&self) -> UnixMs {
        self.message.occurred_at_ms
    }

    /// What ties it to the request that caused it.
    #[must_use]
    pub fn correlation(&self) -> Option<&str> {
        self.message.correlation.as_deref()
    }

    /// The facts, as the text of a JSON object.
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.message.payload
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The JSON text.
    ///
    /// # Errors
    /// [`FieldError`] if the aggregate's name could not be read again, the payload is no JSON object, or the whole is larger than [`MAX_ENVELOPE_BYTES`].
    pub fn to_json(&self) -> Result<String, FieldError> {
        let message = &self.message;
        message.check()?;
        let (name, schema) = named_version(&message.kind);
        let no_object = || FieldError::new("payload", &message.payload, "a JSON object");
        let data: &RawValue = serde_json::from_str(&message.payload).map_err(|_| no_object())?;
        if !data.get().starts_with('{') {
            return Err(no_object());
        }
        let wire = Wire {
            specversion: "1.0".to_owned(),
            id: self.id(),
            source: self.source.clone(),
            r#type: format!("{TYPE_PREFIX}{name}.v{schema}"),
            subject: message.aggregate.id().to_owned(),
            time: rfc3339(message.occurred_at_ms),
            datacontenttype: "application/json".to_owned(),
            dataschema: format!("urn:ticketon:event:{name}:{schema}"),
            correlationid: message.correlation.clone(),
            aggregatetype: message.aggregate.kind().to_owned(),
            aggregateversion: message.version,
            partitionkey: message.aggregate.id().to_owned(),
            data,
        };
        let text = serde_json::to_string(&wire).map_err(|_| no_object())?;
        if text.len() > MAX_ENVELOPE_BYTES {
            let size = format!("{} bytes", text.len());
            return Err(FieldError::new(
                "event",
                size,
                format!("at most {MAX_ENVELOPE_BYTES} bytes"),
            ));
        }
        Ok(text)
    }

    /// Reads what [`to_json`](Self::to_json) wrote. Attributes that it does not know are passed over.
    ///
    /// # Errors
    /// [`FieldError`] for anything else.
    pub fn from_json(text: &str) -> Result<Self, FieldError> {
        let malformed =
            |why: String| FieldError::new("event", why, "a CloudEvent of Ticketon in JSON");
        let wire: Wire<'_> =
            serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let kind = wire.r#type.strip_prefix(TYPE_PREFIX);
        let kind = kind.ok_or_else(|| malformed(format!("type {}", wire.r#type)))?;
        let occurred_at_ms =
            parse_rfc3339(&wire.time).ok_or_else(|| malformed(format!("time {}", wire.time)))?;
        let message = NewMessage {
            aggregate: Aggregate::new(wire.aggregatetype, wire.subject)?,
            version: wire.aggregateversion,
            kind: kind.strip_suffix(".v1").unwrap_or(kind).to_owned(),
            occurred_at_ms,
            correlation: wire.correlationid,
            payload: wire.data.get().to_owned(),
        };
        Ok(Self {
            message,
            source: wire.source,
        })
    }
}

/// The name of a kind and the version of its payload's shape: `order.paid` is version 1.
fn named_version(kind: &str) -> (&str, u32) {
    let parts = kind.rsplit_once(".v");
    let versioned = parts.and_then(|(name, version)| Some((name, version.parse().ok()?)));
    versioned.unwrap_or((kind, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> NewMessage {
        NewMessage {
            aggregate: Aggregate::order("0a1b"),
            version: 2,
            kind: "order.paid".to_owned(),
            occurred_at_ms: 1_767_225_600_123,
            correlation: Some("req-7".to_owned()),
            payload: r#"{"amount":165000}"#.to_owned(),
        }
    }

    #[test]
    fn an_event_has_the_attributes_of_its_message_and_is_read_back() {
        let event = Envelope::of(&message(), "/ticketon");
        let text = event.to_json().unwrap();
        let expected = concat!(
            r#"{"specversion":"1.0","id":"order/0a1b/2","source":"/ticketon","type":"com.ticketon.order.paid.v1","#,
            r#""subject":"0a1b","time":"2026-01-01T00:00:00.123Z","datacontenttype":"application/json","#,
            r#""dataschema":"urn:ticketon:event:order.paid:1","correlationid":"req-7","aggregatetype":"order","#,
            r#""aggregateversion":2,"partitionkey":"0a1b","data":{"amount":165000}}"#
        );
        assert_eq!(text, expected);
        assert_eq!(Envelope::from_json(&text), Ok(event));
    }

    #[test]
    fn each_of_our_aggregates_has_a_topic() {
        assert_eq!([Envelope::of(&message(), "/ticketon").topic()], TOPICS);
    }

    #[test]
    fn a_new_shape_is_another_type() {
        let message = NewMessage {
            kind: "order.paid.v2".to_owned(),
            correlation: None,
            ..message()
        };
        let event = Envelope::of(&message, "/ticketon");
        let text = event.to_json().unwrap();
        assert!(
            text.contains(r#""type":"com.ticketon.order.paid.v2""#),
            "{text}"
        );
        assert!(text.contains("urn:ticketon:event:order.paid:2"), "{text}");
        assert!(!text.contains("correlationid"), "{text}");
        assert_eq!(Envelope::from_json(&text), Ok(event));
    }

    #[test]
    fn what_is_no_object_or_too_large_is_refused() {
        for payload in ["", "7", "[1]", "{", "{} {}"] {
            let message = NewMessage {
                payload: payload.to_owned(),
                ..message()
            };
            assert!(Envelope::of(&message, "/t").to_json().is_err(), "{payload}");
        }
        let payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_ENVELOPE_BYTES));
        let message = NewMessage {
            payload,
            ..message()
        };
        assert_eq!(
            Envelope::of(&message, "/t").to_json().unwrap_err().field,
            "event"
        );
        assert!(Envelope::from_json(r#"{"specversion":"1.0"}"#).is_err());
    }
}
