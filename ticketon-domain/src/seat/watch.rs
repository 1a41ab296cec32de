//! The live map: what changes, told to everybody who watches.
//!
//! One task an event and process asks the store what changed since it last asked, a few times a second while
//! somebody watches. What it hears is encoded once, as a server-sent event, and the same bytes go to all
//! watchers. A watcher who comes back with the version that they know, or who reads too slowly, gets what they missed
//! as one update; where that is no longer known, or longer than a map, they get `resync` and read the map.
//!
//! An update says the state that seats have now, not what was done to them. So it fits whoever knows any version from its
//! `from` on: older than its `version` takes it, newer leaves it.

mod feed;
mod frame;

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use ticketon_queue::FieldError;

pub(crate) use feed::{Feed, POLL_MS, Source, updates};

/// A moment of a map: its epoch and version, written `<epoch>-<version>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapVersion {
    /// The epoch: versions of different epochs have nothing in common.
    pub epoch: u64,
    /// How many changes the map has seen in this epoch.
    pub version: u64,
}

impl fmt::Display for MapVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.version)
    }
}

impl FromStr for MapVersion {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        let parts = text.split_once('-');
        let parsed = parts.and_then(|(epoch, version)| {
            Some(Self {
                epoch: number(epoch)?,
                version: number(version)?,
            })
        });
        parsed.ok_or_else(|| FieldError::new("since", text, "<epoch>-<version>, two numbers"))
    }
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeatUpdate {
    /// The moment of the map that it leads to.
    pub at: MapVersion,
    /// It says no more than that: the map has to be read.
    pub resync: bool,
    /// The server-sent event, blank line included.
    pub frame: Bytes,
}

/// The updates of one watcher. The stream ends when the process shuts down.
#[must_use = "updates do nothing unless they are read"]
pub struct SeatUpdates(Pin<Box<dyn Stream<Item = SeatUpdate> + Send + 'static>>);

impl SeatUpdates {
    pub(super) fn new(stream: impl Stream<Item = SeatUpdate> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// The next update, or `None` after the last.
    pub async fn next(&mut self) -> Option<SeatUpdate> {
        futures_util::StreamExt::next(&mut self.0).await
    }
}

impl fmt::Debug for SeatUpdates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeatUpdates(..)")
    }
}

impl Stream for SeatUpdates {
    type Item = SeatUpdate;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SeatUpdate>> {
        self.0.as_mut().poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_survives_its_text() {
        let at = MapVersion {
            epoch: 17,
            version: 4,
        };
        assert_eq!(at.to_string().parse(), Ok(at));
        for bad in [
            "",
            "17",
            "17-",
            "-4",
            "17-4-2",
            "17-+4",
            "a-4",
            "17-99999999999999999999",
        ] {
            assert!(bad.parse::<MapVersion>().is_err(), "{bad}");
        }
    }
}
