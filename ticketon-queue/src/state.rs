//! The states of a room and the one table of how they change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a room does at present.
///
/// | state | join | promotion | people waiting |
/// | --- | --- | --- | --- |
/// | scheduled | yes | no | keep places |
/// | open | yes | yes | move |
/// | paused | yes | no | keep places |
/// | draining | refused | yes | move until empty |
/// | soldOut | refused | no | keep places and are told |
/// | closed | refused | no | ended |
///
/// No state ends a live lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RoomState {
    /// Waits for its opening time.
    Scheduled,
    /// Admits people.
    Open,
    /// Stopped for a while by the operator.
    Paused,
    /// Lets in who waits, and nobody new.
    Draining,
    /// Nothing is left to sell; returned seats may reopen it.
    SoldOut,
    /// Over for good.
    Closed,
}

impl RoomState {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::SoldOut => "soldOut",
            Self::Closed => "closed",
        }
    }

    /// Whether people may join.
    #[must_use]
    pub fn joins(self) -> bool {
        matches!(self, Self::Scheduled | Self::Open | Self::Paused)
    }

    /// Whether people are admitted.
    #[must_use]
    pub fn promotes(self) -> bool {
        matches!(self, Self::Open | Self::Draining)
    }

    /// The state that a verb leads to, or `None` where the verb makes no sense. A verb that has
    /// taken effect already leads to the same state, so that a retry is harmless.
    #[must_use]
    pub fn after(self, verb: RoomVerb) -> Option<Self> {
        use RoomState::{Closed, Draining, Open, Paused, Scheduled, SoldOut};
        match (verb, self) {
            (RoomVerb::Close, _) => Some(Closed),
            (_, Closed) => None,
            (RoomVerb::Open, Scheduled | SoldOut | Draining | Open) => Some(Open),
            (RoomVerb::Pause, Open | Draining | Paused) => Some(Paused),
            (RoomVerb::Resume, Paused | Open) => Some(Open),
            (RoomVerb::Drain, Open | Paused | SoldOut | Draining) => Some(Draining),
            (RoomVerb::SoldOut, Open | Paused | Draining | SoldOut) => Some(SoldOut),
            (RoomVerb::Open, Paused)
            | (RoomVerb::Pause, Scheduled | SoldOut)
            | (RoomVerb::Resume, Scheduled | Draining | SoldOut)
            | (RoomVerb::Drain | RoomVerb::SoldOut, Scheduled) => None,
        }
    }
}

impl fmt::Display for RoomState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoomState {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [
            Self::Scheduled,
            Self::Open,
            Self::Paused,
            Self::Draining,
            Self::SoldOut,
            Self::Closed,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| UnknownName(text.chars().take(64).collect()))
    }
}

/// What an operator asks of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoomVerb {
    /// Open now, or reopen after sold out or while draining.
    Open,
    /// Stop admitting for a while.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Let in who waits, and nobody new.
    Drain,
    /// Nothing is left to sell.
    SoldOut,
    /// End the room for good.
    Close,
}

impl RoomVerb {
    /// All verbs.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Pause,
        Self::Resume,
        Self::Drain,
        Self::SoldOut,
        Self::Close,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
            Self::SoldOut => "soldOut",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for RoomVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoomVerb {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.as_str() == text)
            .ok_or_else(|| UnknownName(text.chars().take(64).collect()))
    }
}

/// A text that names no state, verb or reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known name")]
pub struct UnknownName(pub(crate) String);

/// Why a place or an admission ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The person left, or stayed away for longer than the grace.
    Left,
    /// The admission was not claimed in time, or its time is over.
    Expired,
    /// The purchase is done.
    Completed,
    /// The operator closed the room.
    RoomClosed,
    /// The same person opened a newer stream; this one must not reconnect.
    Replaced,
}

impl Reason {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Expired => "expired",
            Self::Completed => "completed",
            Self::RoomClosed => "roomClosed",
            Self::Replaced => "replaced",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [
            Self::Left,
            Self::Expired,
            Self::Completed,
            Self::RoomClosed,
            Self::Replaced,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| UnknownName(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_is_final_and_retries_are_harmless() {
        for verb in RoomVerb::ALL {
            let after = RoomState::Closed.after(verb);
            assert_eq!(after.is_some(), verb == RoomVerb::Close);
        }
        for (verb, state) in [
            (RoomVerb::Open, RoomState::Open),
            (RoomVerb::Pause, RoomState::Paused),
            (RoomVerb::Resume, RoomState::Open),
            (RoomVerb::Drain, RoomState::Draining),
            (RoomVerb::SoldOut, RoomState::SoldOut),
        ] {
            assert_eq!(state.after(verb), Some(state));
        }
        assert_eq!(RoomState::Paused.after(RoomVerb::Open), None);
        assert_eq!(RoomState::Scheduled.after(RoomVerb::SoldOut), None);
    }

    #[test]
    fn names_survive_their_text() {
        for verb in RoomVerb::ALL {
            assert_eq!(verb.as_str().parse(), Ok(verb));
        }
        assert_eq!("soldOut".parse(), Ok(RoomState::SoldOut));
        assert!("SOLDOUT".parse::<RoomState>().is_err());
        assert_eq!("roomClosed".parse(), Ok(Reason::RoomClosed));
    }
}
