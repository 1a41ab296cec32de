//! The states of an event, the one table of how they change, and when seats may be held.

use std::fmt;
use std::str::FromStr;

use ticketon_queue::{FieldError, UnixMs};

/// What an event is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EventStatus {
    /// Being prepared: not shown to people, nothing can be held.
    #[default]
    Draft,
    /// On sale within its sale window.
    Open,
    /// No longer on sale; may be opened again.
    Closed,
    /// Will not happen. For good.
    Cancelled,
}

impl EventStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Open, Self::Closed, Self::Cancelled];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an event may go from this state to that one. Staying is always legal.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Draft, Self::Draft | Self::Open | Self::Cancelled)
            | (Self::Open | Self::Closed, Self::Open | Self::Closed | Self::Cancelled)
            | (Self::Cancelled, Self::Cancelled) => true,
            // A draft was never on sale, what was on sale is no draft again, and cancelled is final.
            (Self::Draft, Self::Closed)
            | (Self::Open | Self::Closed, Self::Draft)
            | (Self::Cancelled, Self::Draft | Self::Open | Self::Closed) => false,
        }
    }
}

impl fmt::Display for EventStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventStatus {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == text);
        let range = "draft, open, closed or cancelled";
        known.ok_or_else(|| FieldError::new("status", text, range))
    }
}

impl serde::Serialize for EventStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// When seats may be held: from `opens_at_ms` on, until just before `closes_at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleWindow {
    /// The first moment, in milliseconds since the Unix epoch.
    pub opens_at_ms: UnixMs,
    /// The first moment after it, in milliseconds since the Unix epoch.
    pub closes_at_ms: UnixMs,
}

/// Why an event is not on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotOnSale {
    /// Its status does not allow it.
    Status(EventStatus),
    /// The sale has not begun.
    NotYet {
        /// When it does, in milliseconds since the Unix epoch.
        opens_at_ms: UnixMs,
    },
    /// The sale is over.
    Over {
        /// Since when, in milliseconds since the Unix epoch.
        closed_at_ms: UnixMs,
    },
}

impl SaleWindow {
    /// Whether an event of this status and window is on sale.
    ///
    /// # Errors
    /// Why it is not.
    pub const fn check(self, status: EventStatus, now_ms: UnixMs) -> Result<(), NotOnSale> {
        if !matches!(status, EventStatus::Open) {
            return Err(NotOnSale::Status(status));
        }
        if now_ms < self.opens_at_ms {
            let opens_at_ms = self.opens_at_ms;
            return Err(NotOnSale::NotYet { opens_at_ms });
        }
        if now_ms >= self.closes_at_ms {
            let closed_at_ms = self.closes_at_ms;
            return Err(NotOnSale::Over { closed_at_ms });
        }
        Ok(())
    }
}

impl fmt::Display for NotOnSale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ticketon_queue::clock::rfc3339;
        match self {
            Self::Status(status) => write!(f, "the event is {status}"),
            Self::NotYet { opens_at_ms } => {
                write!(f, "the sale opens at {}", rfc3339(*opens_at_ms))
            }
            Self::Over { closed_at_ms } => {
                write!(f, "the sale closed at {}", rfc3339(*closed_at_ms))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_sale_is_no_draft_and_cancelled_is_final() {
        use EventStatus::{Cancelled, Closed, Draft, Open};
        let legal: Vec<_> = EventStatus::ALL
            .into_iter()
            .flat_map(|from| EventStatus::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from != to && from.may_become(*to))
            .collect();
        assert_eq!(
            legal,
            [
                (Draft, Open),
                (Draft, Cancelled),
                (Open, Closed),
                (Open, Cancelled),
                (Closed, Open),
                (Closed, Cancelled)
            ]
        );
        assert!(EventStatus::ALL.into_iter().all(|s| s.may_become(s)));
        for status in EventStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("Open".parse::<EventStatus>().is_err());
    }

    #[test]
    fn a_window_includes_its_opening_and_not_its_end() {
        let window = SaleWindow {
            opens_at_ms: 10,
            closes_at_ms: 20,
        };
        let check = |now| window.check(EventStatus::Open, now);
        assert_eq!(check(9), Err(NotOnSale::NotYet { opens_at_ms: 10 }));
        assert_eq!(check(10), Ok(()));
        assert_eq!(check(19), Ok(()));
        assert_eq!(check(20), Err(NotOnSale::Over { closed_at_ms: 20 }));
        let draft = EventStatus::Draft;
        assert_eq!(window.check(draft, 15), Err(NotOnSale::Status(draft)));
    }
}
