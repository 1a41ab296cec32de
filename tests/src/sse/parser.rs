//! The `text/event-stream` format, as the HTML standard describes its reading.

use std::collections::VecDeque;
use std::time::Duration;

use serde::de::DeserializeOwned;

/// One block of a stream: what stands between two empty lines.
///
/// A browser dispatches only blocks with data ([`Self::is_message`]); tests also want to see the
/// others, such as keep-alive comments and a lone `retry:`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    /// The event's type; `message` if the block does not say.
    pub event: String,
    /// The lines of data, joined by line feeds.
    pub data: String,
    /// The block's own `id:`.
    pub id: Option<String>,
    /// The time to wait before connecting again.
    pub retry: Option<Duration>,
    /// The comment lines, joined by line feeds, each without the space that follows the colon.
    pub comment: Option<String>,
    has_data: bool,
}

impl SseEvent {
    /// Whether a browser would dispatch it: it has at least one line of data.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.has_data
    }

    /// The data, read as JSON.
    ///
    /// # Panics
    /// If the data is no such JSON.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.data)
            .unwrap_or_else(|error| panic!("not the expected JSON: {error}, in {self:?}"))
    }
}

/// Turns bytes, cut anywhere, into blocks.
///
/// ```
/// let mut parser = ticketon_tests::SseParser::default();
/// parser.push(b"event: waiting\r\ndata: {\"pos");
/// assert_eq!(parser.next_block(), None);
/// parser.push(b"ition\":1}\r\n\r\n");
/// let block = parser.next_block().unwrap();
/// assert_eq!((block.event.as_str(), block.data.as_str()), ("waiting", "{\"position\":1}"));
/// ```
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    /// A byte order mark may stand before the first line only.
    past_first_line: bool,
    block: Block,
    ready: VecDeque<SseEvent>,
}

/// The block that is being read.
#[derive(Debug, Default)]
struct Block {
    event: Option<String>,
    data: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    comment: Option<String>,
}

impl SseParser {
    /// Reads more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {}
                b'\n' => self.end_line(),
                b'\r' => {
                    self.after_return = true;
                    self.end_line();
                }
                _ => self.line.push(byte),
            }
        }
    }

    /// The next complete block. What follows the last empty line of a stream never is one.
    pub fn next_block(&mut self) -> Option<SseEvent> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut line = String::from_utf8_lossy(&line).into_owned();
        if !std::mem::replace(&mut self.past_first_line, true) && line.starts_with('\u{feff}') {
            line.remove(0);
        }
        if line.is_empty() {
            self.ready.extend(std::mem::take(&mut self.block).finish());
        } else {
            self.block.field(&line);
        }
    }
}

impl Block {
    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" => append(&mut self.comment, value),
            "data" => append(&mut self.data, value),
            "event" => self.event = Some(value.to_owned()),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            // Unknown fields are for the future.
            _ => {}
        }
    }

    fn finish(self) -> Option<SseEvent> {
        let Self {
            event,
            data,
            id,
            retry,
            comment,
        } = self;
        if (&event, &data, &id, &retry, &comment) == (&None, &None, &None, &None, &None) {
            return None;
        }
        Some(SseEvent {
            event: event
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "message".to_owned()),
            has_data: data.is_some(),
            data: data.unwrap_or_default(),
            id,
            retry,
            comment,
        })
    }
}

fn append(text: &mut Option<String>, line: &str) {
    match text {
        None => *text = Some(line.to_owned()),
        Some(text) => {
            text.push('\n');
            text.push_str(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(stream: &[u8]) -> Vec<SseEvent> {
        let mut parser = SseParser::default();
        parser.push(stream);
        std::iter::from_fn(|| parser.next_block()).collect()
    }

    fn only(stream: &str) -> SseEvent {
        let mut found = blocks(stream.as_bytes());
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn every_field_is_read() {
        let block = only(": hello\nid: 7-1\nevent: waiting\nretry: 1500\ndata: {\"a\":1}\n\n");
        assert_eq!(block.comment.as_deref(), Some("hello"));
        assert_eq!(block.id.as_deref(), Some("7-1"));
        assert_eq!(block.event, "waiting");
        assert_eq!(block.retry, Some(Duration::from_millis(1500)));
        assert_eq!(block.json::<serde_json::Value>()["a"], 1);
        assert!(block.is_message());
    }

    #[test]
    fn lines_of_data_are_joined() {
        assert_eq!(
            only("data: one\ndata:two\ndata\ndata:  three\n\n").data,
            "one\ntwo\n\n three"
        );
    }

    #[test]
    fn all_line_ends_are_the_same() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = "event: a\ndata: 1\n\ndata: 2\n\n".replace('\n', end);
            let found = blocks(stream.as_bytes());
            assert_eq!(found.len(), 2, "{end:?}: {found:?}");
            assert_eq!(
                (found[0].event.as_str(), found[0].data.as_str()),
                ("a", "1")
            );
            assert_eq!(
                (found[1].event.as_str(), found[1].data.as_str()),
                ("message", "2")
            );
        }
    }

    #[test]
    fn any_cut_of_the_bytes_reads_the_same() {
        let stream =
            "\u{feff}: \u{c548}\u{b155}\r\n\r\nid: 1\r\ndata: \u{b300}\u{ae30}\r\rdata: x\n\n"
                .as_bytes();
        let whole = blocks(stream);
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[1].data, "\u{b300}\u{ae30}");
        for cut in 0..=stream.len() {
            let mut parser = SseParser::default();
            parser.push(&stream[..cut]);
            parser.push(&stream[cut..]);
            let found: Vec<_> = std::iter::from_fn(|| parser.next_block()).collect();
            assert_eq!(found, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_block_without_data_is_seen_but_is_no_message() {
        let block = only(": keep-alive\n\n");
        assert_eq!(block.comment.as_deref(), Some("keep-alive"));
        assert!(!block.is_message());
        assert!(!only("retry: 10\n\n").is_message());
        assert!(only("data\n\n").is_message());
    }

    #[test]
    fn nothing_comes_of_empty_lines_or_of_an_unfinished_end() {
        assert_eq!(blocks(b"\n\n\n"), []);
        assert_eq!(blocks(b"unknown: 1\n\n"), []);
        assert_eq!(blocks(b"data: lost\n"), []);
    }

    #[test]
    fn wrong_ids_and_times_are_ignored() {
        let block = only("id: a\0b\nretry: 1s\ndata: x\n\n");
        assert_eq!((block.id, block.retry), (None, None));
        // An empty id is one: it resets what the client sends next time.
        assert_eq!(only("id\ndata: x\n\n").id.as_deref(), Some(""));
    }
}
