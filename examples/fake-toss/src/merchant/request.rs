//! What a shop asks for, checked as the provider checks it.

use serde::Deserialize;

use crate::code::Refusal;

/// The highest amount: what fits 64 bits with a sign.
const MAX_AMOUNT: u64 = i64::MAX.unsigned_abs();

/// Opens a payment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewPayment {
    pub(crate) order_id: String,
    pub(crate) amount: u64,
    #[serde(default = "order_name")]
    pub(crate) order_name: String,
    #[serde(default = "currency")]
    pub(crate) currency: String,
    #[serde(default = "method")]
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) tax_free_amount: u64,
    #[serde(default = "yes")]
    pub(crate) authenticated: bool,
    #[serde(default = "yes")]
    pub(crate) partial_cancelable: bool,
    #[serde(default)]
    pub(crate) decline: Option<String>,
}

fn order_name() -> String {
    "Order".to_owned()
}

fn currency() -> String {
    "KRW".to_owned()
}

fn method() -> String {
    "CARD".to_owned()
}

const fn yes() -> bool {
    true
}

impl NewPayment {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let name = (1..=100).contains(&self.order_name.chars().count());
        let tax_free = self.tax_free_amount <= self.amount;
        ok(is_order_id(&self.order_id) && name && tax_free && self.amount <= MAX_AMOUNT)
    }
}

/// Charges a payment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfirmRequest {
    pub(crate) payment_key: String,
    pub(crate) order_id: String,
    pub(crate) amount: u64,
}

impl ConfirmRequest {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let key = (1..=200).contains(&self.payment_key.chars().count());
        ok(key && is_order_id(&self.order_id))
    }
}

/// Gives money back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelRequest {
    pub(crate) cancel_reason: String,
    #[serde(default)]
    pub(crate) cancel_amount: Option<u64>,
    #[serde(default)]
    pub(crate) tax_free_amount: u64,
    #[serde(default)]
    pub(crate) currency: Option<String>,
    #[serde(default)]
    pub(crate) refund_receive_account: Option<RefundAccount>,
}

/// Where the refund of a virtual account goes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RefundAccount {
    pub(crate) bank: String,
    pub(crate) account_number: String,
    pub(crate) holder_name: String,
}

impl CancelRequest {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let reason = (1..=200).contains(&self.cancel_reason.chars().count());
        ok(reason && self.cancel_amount != Some(0))
    }
}

impl RefundAccount {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let code = if self.bank.is_empty() {
            "INVALID_BANK"
        } else if !(1..=20).contains(&self.account_number.len())
            || !self
                .account_number
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        {
            "INVALID_REFUND_ACCOUNT_NUMBER"
        } else if !(1..=60).contains(&self.holder_name.chars().count()) {
            "INVALID_REFUND_ACCOUNT_INFO"
        } else {
            return Ok(());
        };
        Err(Refusal::of(code))
    }
}

/// 6 to 64 of letters, digits, `-` and `_`.
pub(crate) fn is_order_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (6..=64).contains(&text.len()) && text.bytes().all(fits)
}

fn ok(fine: bool) -> Result<(), Refusal> {
    if fine {
        Ok(())
    } else {
        Err(Refusal::of("INVALID_REQUEST"))
    }
}
