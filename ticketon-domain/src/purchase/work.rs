//! What is left to do about an order, and who does it: kept beside the order, not part of its history.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ticketon_queue::UnixMs;

use super::order::Order;
use super::state::OrderState;

/// After so many attempts in a row without a decision, an operator is asked to look.
pub const ATTEMPTS_BEFORE_ATTENTION: u32 = 8;
/// Cancels of one payment are further apart than this, in milliseconds: a provider may drop those within a second.
pub const CANCEL_SPACING_MS: i64 = 1_200;
/// The longest pause between two attempts, in milliseconds.
const MAX_PAUSE_MS: i64 = 300_000;
/// The longest that a provider may put the next attempt off.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Somebody works on an order until then; nobody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Until when.
    pub until_ms: UnixMs,
    /// Rises with every lease: a result under an older one is refused.
    pub fence: u64,
}

/// Why an operator should look at an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// For programs.
    pub code: String,
    /// What was seen and what can be done.
    pub detail: String,
    /// Since when.
    pub since_ms: UnixMs,
}

impl Attention {
    /// Whether it stays until an operator has looked, whatever else becomes of the order.
    fn stays(&self) -> bool {
        stays(&self.code)
    }
}

/// What says that tickets and money do not belong together any more, or that somebody waits for money in vain.
fn stays(code: &str) -> bool {
    matches!(code, "refundRefused" | "refundedElsewhere" | "chargeUndone")
}

/// What is left to do about an order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Work {
    /// Who works on it.
    pub lease: Option<Lease>,
    /// The last lease's fence.
    pub fence: u64,
    /// Attempts in a row without a decision.
    pub attempts: u32,
    /// Attempts since the last decision whose lease lapsed: whoever made them was too slow, or died.
    #[serde(default)]
    pub broken_off: u32,
    /// Not before then.
    pub next_ms: Option<UnixMs>,
    /// The next cancel of its payment not before then.
    pub next_cancel_ms: Option<UnixMs>,
    /// How often the open refund needed another key, because the provider refused it for a moment under the last.
    pub cancel_key: u32,
    /// When the provider is asked whether it charged after all.
    pub late_check_ms: Option<UnixMs>,
    /// Until when it still may charge: a look before then does not replace the one after it.
    #[serde(default)]
    pub charge_until_ms: Option<UnixMs>,
    /// Why an operator should look.
    pub attention: Option<Attention>,
    /// How much of its payment an operator has settled that the provider gave back besides its refunds, in minor units:
    /// nobody need look at that again.
    #[serde(default)]
    pub settled: Option<u64>,
}

impl Work {
    /// Whether somebody works on it at this time.
    #[must_use]
    pub fn is_leased(&self, now_ms: UnixMs) -> bool {
        self.lease.is_some_and(|lease| now_ms < lease.until_ms)
    }

    /// Whether its lease is the first: nobody has asked the provider for anything yet, and every attempt takes a lease first.
    #[must_use]
    pub fn is_first_attempt(&self) -> bool {
        self.fence <= 1
    }

    /// How long the next attempt waits, in milliseconds: longer where the provider wants so.
    pub(super) fn pause_ms(&self, retry_after: Option<Duration>) -> i64 {
        let wanted = retry_after.unwrap_or_default().min(LONGEST_WAIT);
        i64::try_from(pause(self.attempts).max(wanted).as_millis()).unwrap_or(MAX_PAUSE_MS)
    }

    /// Whether so many attempts decided nothing that an operator should look.
    pub(super) fn is_stuck(&self) -> bool {
        self.attempts.saturating_add(self.broken_off) >= ATTEMPTS_BEFORE_ATTENTION
    }

    /// Takes the lease.
    pub(super) fn take(&mut self, now_ms: UnixMs, lease_ms: i64) {
        if self.lease.is_some() {
            // Nobody has given it back.
            self.broken_off += 1;
            if self.is_stuck() {
                let detail = format!(
                    "{} attempts did not end within their lease: the provider or a store is too slow, or processes die",
                    self.broken_off
                );
                self.attend(now_ms, "brokenOff", &detail);
            }
        }
        self.fence += 1;
        self.lease = Some(Lease {
            until_ms: now_ms + lease_ms,
            fence: self.fence,
        });
    }

    /// Gives the lease back, with all that was remembered between attempts. What an operator has to see whatever is
    /// decided stays, until they have.
    pub(super) fn decided(&mut self) {
        self.lease = None;
        self.attempts = 0;
        self.broken_off = 0;
        self.next_ms = None;
        self.attention = self.attention.take().filter(Attention::stays);
    }

    /// An operator should look.
    pub(super) fn attend(&mut self, now_ms: UnixMs, code: &str, detail: &str) {
        let before = self.attention.take();
        self.attention = Some(match before {
            Some(before) if before.stays() && !stays(code) => before,
            before => Attention {
                since_ms: before.map_or(now_ms, |before| before.since_ms),
                code: code.to_owned(),
                detail: detail.to_owned(),
            },
        });
    }

    /// When somebody must look at the order next; `None` when nothing is left to do.
    #[must_use]
    pub fn due_ms(&self, order: &Order) -> Option<UnixMs> {
        let due_ms = match order.state {
            OrderState::Pending => Some(order.pay_until_ms),
            OrderState::Confirming => Some(0),
            _ if order.open_refunds().next().is_some() => Some(self.next_cancel_ms.unwrap_or(0)),
            OrderState::Failed => self.late_check_ms,
            _ => None,
        }?;
        Some(match self.lease {
            Some(lease) => lease.until_ms,
            None => due_ms.max(self.next_ms.unwrap_or(0)),
        })
    }
}

/// How long the next attempt waits: twice as long each time, and then five minutes.
#[must_use]
pub fn pause(attempts: u32) -> Duration {
    let ms = 1_000_i64
        .checked_shl(attempts.min(16))
        .unwrap_or(MAX_PAUSE_MS)
        .min(MAX_PAUSE_MS);
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
