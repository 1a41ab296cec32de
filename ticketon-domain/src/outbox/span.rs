//! Until when a lease lives, seen by somebody whose clock may differ from its owner's.
//!
//! An owner whose clock is ahead writes an end far in the future. Believed as it stands, that would keep a dead one's
//! shards from everybody for as long as its clock was ahead. So an end further away than two terms is doubted: whoever sees
//! it first notes when, a renewal wipes the note out, and a lease that was doubted for a whole term has lapsed.

use ticketon_queue::UnixMs;

/// How a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Until when, on its owner's clock.
    pub(crate) until_ms: UnixMs,
    /// How long it lasts without renewal.
    pub(crate) term_ms: i64,
    /// Since when its end is doubted, on the clock of who doubts it.
    pub(crate) doubted_ms: Option<UnixMs>,
}

/// What a lease is to who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Lives,
    /// It counts as living; that it is doubted must be noted.
    Doubted,
    Lapsed,
}

impl Span {
    /// From now on.
    pub(crate) fn new(now_ms: UnixMs, term_ms: i64) -> Self {
        Self {
            until_ms: now_ms.saturating_add(term_ms),
            term_ms,
            doubted_ms: None,
        }
    }

    /// What it is on this clock.
    pub(crate) fn seen(&self, now_ms: UnixMs) -> Seen {
        let left_ms = self.until_ms.saturating_sub(now_ms);
        if left_ms <= 0 {
            return Seen::Lapsed;
        }
        if left_ms <= self.term_ms.saturating_mul(2) {
            return Seen::Lives;
        }
        match self.doubted_ms {
            Some(since_ms) if since_ms <= now_ms => {
                if now_ms.saturating_sub(since_ms) < self.term_ms {
                    Seen::Lives
                } else {
                    Seen::Lapsed
                }
            }
            // Nobody yet; or somebody whose clock is ahead of this one.
            _ => Seen::Doubted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lives_to_its_end() {
        let span = Span::new(1_000, 300);
        assert_eq!(span.seen(1_000), Seen::Lives);
        assert_eq!(span.seen(1_299), Seen::Lives);
        assert_eq!(span.seen(1_300), Seen::Lapsed);
        // A clock that is behind by less than a term is nothing to doubt.
        assert_eq!(span.seen(700), Seen::Lives);
    }

    #[test]
    fn an_end_far_ahead_is_believed_for_one_term_more() {
        let mut span = Span::new(3_600_000, 300);
        assert_eq!(span.seen(0), Seen::Doubted);
        span.doubted_ms = Some(0);
        assert_eq!(span.seen(299), Seen::Lives);
        assert_eq!(span.seen(300), Seen::Lapsed);
        // Doubted by somebody who is ahead, too: that says nothing here.
        span.doubted_ms = Some(3_000_000);
        assert_eq!(span.seen(300), Seen::Doubted);
    }
}
