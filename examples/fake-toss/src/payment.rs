//! One payment: what it is, what it may become, and how the provider writes it.

use serde_json::{Value, json};
use ticketon_queue::UnixMs;

use crate::code::Language;
use crate::random;

/// How long a payment waits for its buyer.
const READY_LIVES_MS: i64 = 30 * 60_000;

/// How long a buyer's authentication is good for.
const IN_PROGRESS_LIVES_MS: i64 = 10 * 60_000;

/// How long a virtual account waits for its deposit.
const DEPOSIT_WITHIN_MS: i64 = 7 * 24 * 3_600_000;

/// The ways to pay: in Korean, in English.
const METHODS: [(&str, &str); 8] = [
    ("카드", "CARD"),
    ("가상계좌", "VIRTUAL_ACCOUNT"),
    ("간편결제", "EASY_PAY"),
    ("휴대폰", "MOBILE_PHONE"),
    ("계좌이체", "TRANSFER"),
    ("문화상품권", "CULTURE_GIFT_CERTIFICATE"),
    ("도서문화상품권", "BOOK_GIFT_CERTIFICATE"),
    ("게임문화상품권", "GAME_GIFT_CERTIFICATE"),
];

/// A way to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method {
    korean: &'static str,
    english: &'static str,
}

impl Method {
    /// By its name in either language.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let named = METHODS
            .iter()
            .find(|(korean, english)| *korean == name || *english == name);
        named.map(|&(korean, english)| Self { korean, english })
    }

    pub(crate) fn is_virtual_account(self) -> bool {
        self.english == "VIRTUAL_ACCOUNT"
    }

    fn name(self, language: Language) -> &'static str {
        match language {
            Language::Korean => self.korean,
            Language::English => self.english,
        }
    }
}

/// What a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ready,
    InProgress,
    WaitingForDeposit,
    Done,
    PartialCanceled,
    Canceled,
    Aborted,
    Expired,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::InProgress => "IN_PROGRESS",
            Self::WaitingForDeposit => "WAITING_FOR_DEPOSIT",
            Self::Done => "DONE",
            Self::PartialCanceled => "PARTIAL_CANCELED",
            Self::Canceled => "CANCELED",
            Self::Aborted => "ABORTED",
            Self::Expired => "EXPIRED",
        }
    }

    /// Every legal transition.
    pub(crate) const fn may_become(self, next: Self) -> bool {
        use Status::{
            Aborted, Canceled, Done, Expired, InProgress, PartialCanceled, Ready, WaitingForDeposit,
        };
        matches!(
            (self, next),
            (Ready, InProgress | WaitingForDeposit | Expired | Aborted)
                | (InProgress, Done | Aborted | Expired | WaitingForDeposit)
                | (WaitingForDeposit, Done | Canceled)
                | (Done, Canceled | PartialCanceled | WaitingForDeposit)
                | (PartialCanceled, Canceled | PartialCanceled)
        )
    }
}

/// Money that was given back.
#[derive(Debug, Clone)]
pub(crate) struct Cancel {
    pub(crate) amount: u64,
    pub(crate) reason: String,
    pub(crate) tax_free: u64,
    pub(crate) left: u64,
    pub(crate) at_ms: UnixMs,
    pub(crate) transaction_key: String,
}

/// A payment.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) key: String,
    pub(crate) order_id: String,
    pub(crate) order_name: String,
    pub(crate) currency: String,
    pub(crate) method: Method,
    pub(crate) total: u64,
    pub(crate) balance: u64,
    pub(crate) tax_free: u64,
    pub(crate) status: Status,
    pub(crate) requested_ms: UnixMs,
    pub(crate) authenticated_ms: Option<UnixMs>,
    pub(crate) approved_ms: Option<UnixMs>,
    pub(crate) deposit_by_ms: Option<UnixMs>,
    pub(crate) canceled_ms: Option<UnixMs>,
    pub(crate) last_transaction_key: Option<String>,
    pub(crate) secret: String,
    pub(crate) partial_cancelable: bool,
    pub(crate) cancels: Vec<Cancel>,
    /// The code with which a confirm is refused.
    pub(crate) decline: Option<String>,
    pub(crate) failure: Option<String>,
}

impl Payment {
    /// Moves on.
    ///
    /// # Panics
    /// When no payment may do so: the fake itself is wrong then.
    pub(crate) fn become_status(&mut self, next: Status) {
        assert!(
            self.status.may_become(next),
            "{:?} -> {next:?}",
            self.status
        );
        self.status = next;
    }

    /// Ends it if its time ran out; whether it did.
    pub(crate) fn expire(&mut self, now_ms: UnixMs) -> bool {
        let (ends_ms, next) = match self.status {
            Status::Ready => (self.requested_ms + READY_LIVES_MS, Status::Expired),
            Status::InProgress => {
                let since = self.authenticated_ms.unwrap_or(self.requested_ms);
                (since + IN_PROGRESS_LIVES_MS, Status::Expired)
            }
            Status::WaitingForDeposit => {
                (self.deposit_by_ms.unwrap_or(UnixMs::MAX), Status::Canceled)
            }
            _ => return false,
        };
        if now_ms < ends_ms {
            return false;
        }
        self.become_status(next);
        true
    }

    /// Takes the money, or waits for its deposit.
    pub(crate) fn approve(&mut self, now_ms: UnixMs) {
        if self.method.is_virtual_account() && self.status == Status::InProgress {
            self.deposit_by_ms = Some(now_ms + DEPOSIT_WITHIN_MS);
            self.become_status(Status::WaitingForDeposit);
        } else {
            self.become_status(Status::Done);
            self.approved_ms = Some(now_ms);
        }
        self.last_transaction_key = Some(random::hex(16));
    }

    /// What is left, split as the tax office wants it: supply and a tenth on top.
    fn split(&self) -> (u64, u64) {
        let taxable = self.balance - self.tax_free.min(self.balance);
        let vat = taxable / 11;
        (taxable - vat, vat)
    }

    /// As the provider writes it.
    pub(crate) fn view(&self, language: Language) -> Value {
        let (supplied, vat) = self.split();
        let charged = self.approved_ms.is_some();
        let secret = self.method.is_virtual_account() && self.last_transaction_key.is_some();
        let failure = self
            .failure
            .as_deref()
            .map(|code| crate::code::Refusal::of(code).body(language));
        json!({
            "version": "2022-11-16",
            "paymentKey": self.key,
            "type": "NORMAL",
            "orderId": self.order_id,
            "orderName": self.order_name,
            "mId": "fake-toss",
            "currency": self.currency,
            "method": self.authenticated_ms.map(|_| self.method.name(language)),
            "totalAmount": self.total,
            "balanceAmount": self.balance,
            "status": self.status.as_str(),
            "requestedAt": written(self.requested_ms),
            "approvedAt": self.approved_ms.map(written),
            "useEscrow": false,
            "lastTransactionKey": self.last_transaction_key,
            "suppliedAmount": supplied,
            "vat": vat,
            "cultureExpense": false,
            "taxFreeAmount": self.tax_free.min(self.balance),
            "taxExemptionAmount": 0,
            "cancels": (!self.cancels.is_empty()).then(|| self.cancels.iter().map(Cancel::view).collect::<Vec<_>>()),
            "isPartialCancelable": self.partial_cancelable,
            "card": (charged && self.method.english == "CARD").then(|| self.card()),
            "virtualAccount": secret.then(|| self.virtual_account()),
            "secret": secret.then_some(&self.secret),
            "mobilePhone": null,
            "giftCertificate": null,
            "transfer": null,
            "easyPay": null,
            "receipt": charged.then(|| json!({ "url": format!("https://dashboard.tosspayments.com/receipt/redirection?transactionId={}", self.key) })),
            "checkout": { "url": format!("https://api.tosspayments.com/v1/payments/{}/checkout", self.key) },
            "country": "KR",
            "failure": failure,
            "cashReceipt": null,
            "cashReceipts": null,
            "discount": null,
            "metadata": null,
        })
    }

    fn card(&self) -> Value {
        json!({
            "issuerCode": "71", "acquirerCode": "71", "number": "12345678****000*", "installmentPlanMonths": 0,
            "approveNo": "00000000", "useCardPoint": false, "cardType": "신용", "ownerType": "개인",
            "acquireStatus": "READY", "isInterestFree": false, "interestPayer": null, "amount": self.total,
        })
    }

    fn virtual_account(&self) -> Value {
        json!({
            "accountType": "일반", "accountNumber": "X6505636518308", "bankCode": "20", "customerName": "Buyer",
            "dueDate": self.deposit_by_ms.map(written), "refundStatus": "NONE", "expired": false,
            "settlementStatus": "INCOMPLETED", "refundReceiveAccount": null,
        })
    }
}

impl Cancel {
    fn view(&self) -> Value {
        json!({
            "cancelAmount": self.amount,
            "cancelReason": self.reason,
            "taxFreeAmount": self.tax_free,
            "taxExemptionAmount": 0,
            "refundableAmount": self.left,
            "easyPayDiscountAmount": 0,
            "canceledAt": written(self.at_ms),
            "transactionKey": self.transaction_key,
            "receiptKey": null,
            "cancelStatus": "DONE",
            "cancelRequestId": null,
        })
    }
}

/// A time as the provider writes it: Korean, to the second.
pub(crate) fn written(ms: UnixMs) -> String {
    let korean = jiff::tz::Offset::constant(9);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MIN);
    korean
        .to_datetime(time)
        .strftime("%Y-%m-%dT%H:%M:%S+09:00")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_korean() {
        assert_eq!(written(1_641_004_311_000), "2022-01-01T11:31:51+09:00");
    }

    #[test]
    fn nothing_leaves_an_end() {
        let all = [
            Status::Ready,
            Status::InProgress,
            Status::WaitingForDeposit,
            Status::Done,
            Status::PartialCanceled,
            Status::Canceled,
            Status::Aborted,
            Status::Expired,
        ];
        for next in all {
            for end in [Status::Canceled, Status::Aborted, Status::Expired] {
                assert!(!end.may_become(next), "{end:?} -> {next:?}");
            }
            assert_eq!(
                Status::Done.may_become(next),
                matches!(
                    next,
                    Status::Canceled | Status::PartialCanceled | Status::WaitingForDeposit
                )
            );
        }
    }
}
