//! The provider's webhooks, read as hints: which payment to look up, and nothing else.
//!
//! They are unsigned, come twice, late and in any order, and anybody can send one. So a hint carries no status
//! and no amount: there is nothing in it to believe. A deposit's `secret` would tell a forged call from a likely one, for
//! hosts that take deposits ([`TossHint::proves`]); it decides nothing either.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::purchase::{OrderId, PaymentKey};

/// The most bytes of a webhook's body.
pub const MAX_WEBHOOK_BYTES: usize = 64 * 1024;

/// The header that names a delivery; repetitions have the same.
pub const TRANSMISSION_ID: &str = "tosspayments-webhook-transmission-id";

/// The most characters of a delivery's name.
const MAX_TRANSMISSION_ID_CHARS: usize = 200;

/// Which form a webhook has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HintKind {
    /// A payment changed.
    PaymentStatusChanged,
    /// A virtual account was paid, or a payment to it was undone.
    DepositCallback,
    /// A cancel that took its time changed.
    CancelStatusChanged,
}

/// What to look up.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TossHint {
    /// Which form it had.
    pub kind: HintKind,
    /// The payment that it names.
    pub payment_key: Option<PaymentKey>,
    /// The order that it names; `None` also if it is none of ours.
    pub order: Option<OrderId>,
    /// What a deposit proves itself with.
    pub secret: Option<String>,
    /// The delivery's name.
    pub transmission_id: Option<String>,
}

impl fmt::Debug for TossHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TossHint")
            .field("kind", &self.kind)
            .field("payment_key", &self.payment_key)
            .field("order", &self.order)
            .field("secret", &self.secret.as_ref().map(|_| "(hidden)"))
            .field("transmission_id", &self.transmission_id)
            .finish()
    }
}

/// Why a body is no webhook of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HintError {
    /// Too large to be one.
    #[error("a webhook has at most {MAX_WEBHOOK_BYTES} bytes")]
    TooLarge,
    /// No JSON object.
    #[error("a webhook is a JSON object")]
    Unreadable,
    /// An object of another form.
    #[error("not a form of webhook that is known here")]
    UnknownForm,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    event_type: Value,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    secret: Value,
    #[serde(default)]
    order_id: Value,
}

impl TossHint {
    /// Reads a webhook: its body, and the header [`TRANSMISSION_ID`].
    ///
    /// # Errors
    /// [`HintError`]: it is none.
    ///
    /// ```
    /// use ticketon_domain::adapter::toss::webhook::TossHint;
    /// let body = br#"{"eventType": "PAYMENT_STATUS_CHANGED", "data": {"paymentKey": "k", "status": "DONE"}}"#;
    /// let hint = TossHint::parse(body, Some("7")).unwrap();
    /// assert_eq!(hint.payment_key.unwrap().as_str(), "k");
    /// ```
    pub fn parse(body: &[u8], transmission_id: Option<&str>) -> Result<Self, HintError> {
        if body.len() > MAX_WEBHOOK_BYTES {
            return Err(HintError::TooLarge);
        }
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(HintError::Unreadable);
        }
        let body: Body = serde_json::from_slice(body).map_err(|_| HintError::Unreadable)?;
        let kind = match (&body.event_type, &body.secret) {
            (Value::String(name), _) => match name.as_str() {
                "PAYMENT_STATUS_CHANGED" => HintKind::PaymentStatusChanged,
                "CANCEL_STATUS_CHANGED" => HintKind::CancelStatusChanged,
                "DEPOSIT_CALLBACK" => HintKind::DepositCallback,
                _ => return Err(HintError::UnknownForm),
            },
            // The flat form, which has no name.
            (Value::Null, Value::String(_)) => HintKind::DepositCallback,
            _ => return Err(HintError::UnknownForm),
        };
        let nested = |field: &str| body.data.get(field).and_then(Value::as_str);
        let order = nested("orderId").or(body.order_id.as_str());
        let transmission_id =
            transmission_id.filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()));
        Ok(Self {
            kind,
            payment_key: nested("paymentKey").and_then(|key| PaymentKey::new(key).ok()),
            order: order.and_then(|order| order.parse().ok()),
            secret: match kind {
                HintKind::DepositCallback => {
                    body.secret.as_str().or(nested("secret")).map(str::to_owned)
                }
                _ => None,
            },
            transmission_id: transmission_id
                .filter(|id| id.len() <= MAX_TRANSMISSION_ID_CHARS)
                .map(str::to_owned),
        })
    }

    /// Whether it proves itself with this secret. The comparison takes the same time wherever they differ.
    #[must_use]
    pub fn proves(&self, secret: &str) -> bool {
        let Some(claimed) = &self.secret else {
            return false;
        };
        let differ = claimed
            .bytes()
            .zip(secret.bytes())
            .fold(0, |differ, (a, b)| differ | (a ^ b));
        claimed.len() == secret.len() && !secret.is_empty() && differ == 0
    }
}
