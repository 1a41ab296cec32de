//! What goes wrong, as told: for the next calls of anybody, or of one payment.
//!
//! A fault has two sides: whether the money moves, and what becomes of the answer. So "charged, but the
//! connection broke" and "not charged, and the connection broke" are the same fault with another `money`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The most faults that may wait.
pub(crate) const MAX_FAULTS: usize = 10_000;

/// Which calls a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Call {
    /// Confirms.
    Confirm,
    /// Cancels.
    Cancel,
    /// Look-ups.
    Query,
    /// Any.
    #[default]
    Any,
}

/// What becomes of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Kind {
    /// The connection is closed without a byte.
    Drop,
    /// A server's fault, 500; or the error of `code`.
    Error,
    /// 409: an earlier call with this idempotency key still runs.
    Processing,
    /// The answer comes after `holdMs`.
    Slow,
    /// The answer is no JSON.
    Garbage,
    /// The answer breaks off in its middle.
    Truncated,
    /// The answer is of megabytes.
    Huge,
    /// The answer is another payment's.
    OtherPayment,
    /// The answer comes twice on the same connection, whole both times.
    AnswersTwice,
    /// Nothing comes, ever.
    Hang,
}

/// When the money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Money {
    /// At once; what goes wrong goes wrong then.
    #[default]
    Before,
    /// After `holdMs`, even if the caller has left by then.
    After,
    /// It does not.
    Never,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Which calls it meets.
    #[serde(default)]
    pub call: Call,
    /// What becomes of the answer.
    pub fault: Kind,
    /// When the money moves.
    #[serde(default)]
    pub money: Money,
    /// How long the call is held, at most an hour.
    #[serde(default)]
    pub hold_ms: u64,
    /// How many calls it meets.
    #[serde(default = "once")]
    pub times: u32,
    /// Meets the calls of this order alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The error's code, of [`Kind::Error`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether the idempotency key forgets the answer, so that the next call is a new one.
    #[serde(default)]
    pub forget: bool,
}

const fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that meets one call of any kind after the money moved.
    #[must_use]
    pub fn new(fault: Kind) -> Self {
        Self {
            call: Call::Any,
            fault,
            money: Money::Before,
            hold_ms: 0,
            times: 1,
            order_id: None,
            code: None,
            forget: false,
        }
    }
}

/// The faults that wait, the first come first met.
#[derive(Debug, Default)]
pub(crate) struct Faults(VecDeque<Fault>);

impl Faults {
    /// Adds one; whether there is room.
    pub(crate) fn add(&mut self, fault: Fault) -> bool {
        let room = self.0.len() < MAX_FAULTS && fault.times > 0;
        if room {
            self.0.push_back(fault);
        }
        room
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.0.iter().cloned().collect()
    }

    /// The fault that this call meets.
    pub(crate) fn take(&mut self, call: Call, order_id: Option<&str>) -> Option<Fault> {
        let meets = |fault: &Fault| {
            (fault.call == Call::Any || fault.call == call)
                && fault
                    .order_id
                    .as_deref()
                    .is_none_or(|id| Some(id) == order_id)
        };
        let at = self.0.iter().position(meets)?;
        let fault = self.0.get_mut(at)?;
        fault.times -= 1;
        let met = fault.clone();
        if met.times == 0 {
            self.0.remove(at);
        }
        Some(met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_the_calls_that_it_is_for_and_no_more() {
        let mut faults = Faults::default();
        let fault = r#"{"call": "cancel", "fault": "drop", "money": "never", "times": 2, "orderId": "order-1"}"#;
        assert!(faults.add(serde_json::from_str(fault).unwrap()));
        assert_eq!(faults.take(Call::Confirm, Some("order-1")), None);
        assert_eq!(faults.take(Call::Cancel, Some("order-2")), None);
        assert_eq!(
            faults.take(Call::Cancel, Some("order-1")).unwrap().money,
            Money::Never
        );
        assert!(faults.take(Call::Cancel, Some("order-1")).is_some());
        assert_eq!(faults.take(Call::Cancel, Some("order-1")), None);
        assert_eq!(
            serde_json::from_str::<Fault>(r#"{"fault": "drop"}"#).unwrap(),
            Fault::new(Kind::Drop)
        );
    }
}
