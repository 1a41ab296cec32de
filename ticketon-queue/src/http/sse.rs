//! Server-sent events, as the HTML standard spells them.

use bytes::{BufMut as _, Bytes, BytesMut};

/// One event, comment or retry hint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent {
    /// The event's name.
    pub event: Option<&'static str>,
    /// Its id, which a client sends back as `Last-Event-ID`.
    pub id: Option<String>,
    /// Its data.
    pub data: Option<String>,
    /// How many milliseconds a client waits before it reconnects.
    pub retry_ms: Option<u64>,
    /// A comment, which clients ignore.
    pub comment: Option<&'static str>,
    /// The whole event as bytes of the wire; then nothing else counts.
    pub encoded: Option<Bytes>,
}

impl SseEvent {
    /// An event with data.
    #[must_use]
    pub fn new(event: &'static str, id: String, data: String) -> Self {
        Self {
            event: Some(event),
            id: Some(id),
            data: Some(data),
            ..Self::default()
        }
    }

    /// An event that is encoded already, blank line included: many streams share the bytes.
    #[must_use]
    pub fn encoded(bytes: Bytes) -> Self {
        Self {
            encoded: Some(bytes),
            ..Self::default()
        }
    }

    /// A comment that keeps the connection from looking dead.
    #[must_use]
    pub fn keep_alive() -> Self {
        Self {
            comment: Some("keep-alive"),
            ..Self::default()
        }
    }

    /// How long to wait before reconnecting.
    #[must_use]
    pub fn retry(retry_ms: u64) -> Self {
        Self {
            retry_ms: Some(retry_ms),
            ..Self::default()
        }
    }

    /// The bytes on the wire, the blank line included.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if let Some(encoded) = &self.encoded {
            return encoded.clone();
        }
        let data = self.data.as_deref().unwrap_or_default();
        let mut bytes = BytesMut::with_capacity(data.len() + 96);
        let mut line = |name: &str, value: &str| {
            bytes.put_slice(name.as_bytes());
            bytes.put_slice(b": ");
            bytes.put_slice(value.as_bytes());
            bytes.put_u8(b'\n');
        };
        if let Some(comment) = self.comment {
            line("", comment);
        }
        if let Some(retry) = self.retry_ms {
            line("retry", &retry.to_string());
        }
        if let Some(event) = self.event {
            line("event", event);
        }
        if let Some(id) = &self.id {
            line("id", id);
        }
        if self.data.is_some() {
            for part in data.split(['\n', '\r']) {
                line("data", part);
            }
        }
        bytes.put_u8(b'\n');
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_as_the_standard_says() {
        let event = SseEvent::new("waiting", "5-1".to_owned(), "{\"a\":1}".to_owned());
        assert_eq!(
            event.to_bytes(),
            "event: waiting\nid: 5-1\ndata: {\"a\":1}\n\n"
        );
        assert_eq!(SseEvent::keep_alive().to_bytes(), ": keep-alive\n\n");
        assert_eq!(SseEvent::retry(1500).to_bytes(), "retry: 1500\n\n");
        let lines = SseEvent::new("x", String::new(), "a\nb".to_owned());
        assert_eq!(lines.to_bytes(), "event: x\nid: \ndata: a\ndata: b\n\n");
    }

    #[test]
    fn encoded_events_are_passed_on_as_they_are() {
        let bytes = SseEvent::new("stock", "5-1".to_owned(), "{}".to_owned()).to_bytes();
        let shared = SseEvent::encoded(bytes.clone()).to_bytes();
        assert_eq!(shared, bytes);
        assert_eq!(shared.as_ptr(), bytes.as_ptr(), "not copied");
    }
}
