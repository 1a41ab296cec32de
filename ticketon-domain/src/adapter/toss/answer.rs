//! The provider's payment object, read leniently: unknown fields, unknown words and nulls are no errors.
//!
//! Only what a decision hangs on has to be there and make sense: whose payment, how much, how much is left.
//! Amounts are whole won (or another currency without a minor unit), wider than 32 bits.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use ticketon_queue::UnixMs;
use ticketon_queue::clock::parse_rfc3339;

use crate::event::{Currency, Money};
use crate::purchase::{Cancellation, Payment, PaymentKey, PaymentStatus};

/// An error, as the provider tells it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(deserialize_with = "text")]
    pub(super) code: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) message: Option<String>,
}

/// What is read of a payment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    #[serde(deserialize_with = "text")]
    payment_key: Option<String>,
    #[serde(deserialize_with = "text")]
    order_id: Option<String>,
    #[serde(deserialize_with = "text")]
    status: Option<String>,
    #[serde(deserialize_with = "text")]
    currency: Option<String>,
    #[serde(deserialize_with = "amount")]
    total_amount: Option<u64>,
    #[serde(deserialize_with = "amount")]
    balance_amount: Option<u64>,
    #[serde(deserialize_with = "text")]
    approved_at: Option<String>,
    #[serde(deserialize_with = "text")]
    method: Option<String>,
    #[serde(deserialize_with = "text")]
    secret: Option<String>,
    receipt: Value,
    cancels: Option<Vec<Cancel>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cancel {
    #[serde(deserialize_with = "amount")]
    cancel_amount: Option<u64>,
    #[serde(deserialize_with = "text")]
    cancel_reason: Option<String>,
    #[serde(deserialize_with = "text")]
    canceled_at: Option<String>,
    #[serde(deserialize_with = "text")]
    transaction_key: Option<String>,
    #[serde(deserialize_with = "text")]
    cancel_status: Option<String>,
}

/// A text, or nothing: whatever else stands there is not what this version knows.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// A whole amount that is not negative, also as `30000.0`; nothing for anything else.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    /// Above it not every whole number is exact as a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = Value::deserialize(deserializer)?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and in range"
    )]
    let of_float = |float: f64| {
        (float.fract() == 0.0 && (0.0..=EXACT).contains(&float)).then_some(float as u64)
    };
    Ok(value
        .as_u64()
        .or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(of_float)))
}

/// Reads a payment.
///
/// # Errors
/// What is missing or wrong.
pub(super) fn payment(body: &[u8]) -> Result<Payment, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        // The position alone: a body may hold anything.
        format!(
            "no payment at line {} column {}",
            error.line(),
            error.column()
        )
    })?;
    let key = answer.payment_key.ok_or("paymentKey is missing")?;
    let key = PaymentKey::new(key).map_err(|_| "paymentKey is none")?;
    let currency = match answer.currency.as_deref() {
        None => Currency::KRW,
        Some(code) => code.parse().map_err(|_| "currency is unknown")?,
    };
    if currency.decimals() != 0 {
        return Err(format!(
            "currency {currency} has a minor unit, which this client does not read"
        ));
    }
    let total = answer
        .total_amount
        .ok_or("totalAmount is missing or not whole")?;
    let balance = answer
        .balance_amount
        .ok_or("balanceAmount is missing or not whole")?;
    if balance > total {
        return Err("balanceAmount is above totalAmount".to_owned());
    }
    let cancels = answer
        .cancels
        .unwrap_or_default()
        .into_iter()
        .filter(Cancel::is_done);
    let cancels = cancels.map(Cancel::read).collect::<Result<Vec<_>, _>>()?;
    Ok(Payment {
        key,
        order: answer.order_id.ok_or("orderId is missing")?,
        status: status(answer.status.as_deref()),
        total: Money::new(total, currency),
        balance,
        cancels,
        approved_at_ms: time(answer.approved_at.as_deref()),
        method: answer.method,
        receipt_url: answer
            .receipt
            .get("url")
            .and_then(Value::as_str)
            .map(str::to_owned),
        secret: answer.secret,
    })
}

fn status(text: Option<&str>) -> PaymentStatus {
    match text {
        Some("READY" | "IN_PROGRESS") => PaymentStatus::Pending,
        Some("WAITING_FOR_DEPOSIT") => PaymentStatus::AwaitingDeposit,
        Some("DONE") => PaymentStatus::Done,
        Some("PARTIAL_CANCELED") => PaymentStatus::PartiallyCanceled,
        Some("CANCELED") => PaymentStatus::Canceled,
        Some("ABORTED") => PaymentStatus::Aborted,
        Some("EXPIRED") => PaymentStatus::Expired,
        _ => PaymentStatus::Unknown,
    }
}

fn time(text: Option<&str>) -> Option<UnixMs> {
    text.and_then(parse_rfc3339)
}

impl Cancel {
    /// Whether it gave money back: some kinds of payment tell of cancels that still run or came to nothing.
    fn is_done(&self) -> bool {
        self.cancel_status
            .as_deref()
            .is_none_or(|status| status == "DONE")
    }

    fn read(self) -> Result<Cancellation, &'static str> {
        Ok(Cancellation {
            amount: self
                .cancel_amount
                .ok_or("cancelAmount is missing or not whole")?,
            transaction_key: self.transaction_key.unwrap_or_default(),
            reason: self.cancel_reason.unwrap_or_default(),
            at_ms: time(self.canceled_at.as_deref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Payment, String> {
        payment(value.to_string().as_bytes())
    }

    fn done() -> Value {
        json!({
            "paymentKey": "k", "orderId": "o", "status": "DONE", "currency": "KRW",
            "totalAmount": 30_000, "balanceAmount": 30_000, "approvedAt": "2022-01-01T11:31:51+09:00",
            "method": "CARD", "secret": null, "receipt": {"url": "https://r"}, "cancels": null,
        })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut all = done();
        all[field] = value;
        all
    }

    #[test]
    fn a_payment_is_read() {
        let payment = read(&done()).unwrap();
        assert_eq!(payment.status, PaymentStatus::Done);
        assert_eq!(payment.total, Money::new(30_000, Currency::KRW));
        assert_eq!(payment.approved_at_ms, Some(1_641_004_311_000));
        assert_eq!(payment.receipt_url.as_deref(), Some("https://r"));
    }

    #[test]
    fn what_is_unknown_is_no_error() {
        for (field, value) in [
            ("status", json!("SETTLING")),
            ("status", json!(null)),
            ("status", json!(7)),
            ("method", json!({"new": "form"})),
            ("receipt", json!("elsewhere")),
            ("receipt", json!(null)),
            ("approvedAt", json!("lately")),
            ("currency", json!(null)),
            ("cancels", json!([])),
            ("card", json!([1, 2])),
            ("somethingNew", json!({"a": [1]})),
            ("totalAmount", json!(30_000.0)),
        ] {
            let payment = read(&with(field, value.clone()));
            assert!(payment.is_ok(), "{field}: {value}: {payment:?}");
        }
        assert_eq!(
            read(&with("status", json!("SETTLING"))).unwrap().status,
            PaymentStatus::Unknown
        );
    }

    #[test]
    fn what_decides_must_be_there() {
        for (field, value) in [
            ("paymentKey", json!(null)),
            ("paymentKey", json!("")),
            ("orderId", json!(null)),
            ("totalAmount", json!(null)),
            ("totalAmount", json!(-1)),
            ("totalAmount", json!(30_000.5)),
            ("totalAmount", json!("30000")),
            ("balanceAmount", json!(null)),
            ("balanceAmount", json!(30_001)),
            ("currency", json!("USD")),
            ("currency", json!("???")),
            ("cancels", json!([{"cancelAmount": null}])),
        ] {
            let payment = read(&with(field, value.clone()));
            assert!(payment.is_err(), "{field}: {value}: {payment:?}");
        }
        for body in ["", "null", "[]", "<html>", "{}", "\u{0}"] {
            assert!(payment(body.as_bytes()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn amounts_are_wide() {
        let amount = 9_223_372_036_854_775_807_u64;
        let mut wide = with("totalAmount", json!(amount));
        wide["balanceAmount"] = json!(3_000_000_000_u64);
        let payment = read(&wide).unwrap();
        assert_eq!(
            (payment.total.amount, payment.balance),
            (amount, 3_000_000_000)
        );
    }

    #[test]
    fn only_cancels_that_happened_count() {
        let cancel = |amount: u64, status: Value| json!({"cancelAmount": amount, "cancelStatus": status, "transactionKey": "t"});
        let all = json!([
            cancel(1, json!("DONE")),
            cancel(2, json!("IN_PROGRESS")),
            cancel(4, json!("ABORTED")),
            cancel(8, json!(null))
        ]);
        let payment = read(&with("cancels", all)).unwrap();
        let amounts: Vec<u64> = payment.cancels.iter().map(|cancel| cancel.amount).collect();
        assert_eq!(amounts, [1, 8]);
    }
}
