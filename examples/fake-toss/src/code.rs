//! The provider's error codes: the status that each comes with, and a text in both languages.
//!
//! Texts are the provider's where a person would read them, else a general one.

use serde_json::{Value, json};

/// A language of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// By default.
    Korean,
    /// With `Accept-Language: en...`.
    English,
}

/// An error of the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status})")]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The code.
    pub(crate) code: String,
}

/// Status and codes.
const CODES: [(u16, &str); 8] = [
    (
        400,
        "ALREADY_PROCESSED_PAYMENT PROVIDER_ERROR INVALID_REQUEST INVALID_API_KEY BELOW_MINIMUM_AMOUNT \
         INVALID_REJECT_CARD INVALID_STOPPED_CARD INVALID_CARD_NUMBER INVALID_CARD_EXPIRATION EXCEED_MAX_AMOUNT \
         UNAPPROVED_ORDER_ID CARD_PROCESSING_ERROR INVALID_IDEMPOTENCY_KEY DUPLICATED_ORDER_ID",
    ),
    (401, "UNAUTHORIZED_KEY"),
    (
        403,
        "REJECT_CARD_PAYMENT REJECT_CARD_COMPANY REJECT_ACCOUNT_PAYMENT FORBIDDEN_REQUEST \
         INCORRECT_BASIC_AUTH_FORMAT NOT_AVAILABLE_BANK INVALID_PASSWORD FDS_ERROR",
    ),
    (404, "NOT_FOUND_PAYMENT NOT_FOUND_PAYMENT_SESSION NOT_FOUND"),
    (409, "IDEMPOTENT_REQUEST_PROCESSING"),
    (
        500,
        "FAILED_INTERNAL_SYSTEM_PROCESSING FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING UNKNOWN_PAYMENT_ERROR \
         FAILED_REFUND_PROCESS FAILED_PARTIAL_REFUND FAILED_METHOD_HANDLING_CANCEL COMMON_ERROR",
    ),
    (
        400,
        "ALREADY_CANCELED_PAYMENT ALREADY_REFUND_PAYMENT NOT_MATCHES_REFUNDABLE_AMOUNT INVALID_REFUND_ACCOUNT_INFO \
         INVALID_REFUND_ACCOUNT_NUMBER INVALID_BANK REFUND_REJECTED",
    ),
    (
        403,
        "NOT_CANCELABLE_AMOUNT NOT_CANCELABLE_PAYMENT FORBIDDEN_CONSECUTIVE_REQUEST EXCEED_MAX_REFUND_DUE \
         NOT_ALLOWED_PARTIAL_REFUND EXCEED_CANCEL_LIMIT",
    ),
];

/// Texts that people read: code, Korean, English.
const TEXTS: [(&str, &str, &str); 10] = [
    (
        "ALREADY_PROCESSED_PAYMENT",
        "이미 처리된 결제 입니다.",
        "This is a payment that has already been processed.",
    ),
    (
        "REJECT_CARD_PAYMENT",
        "한도초과 혹은 잔액부족으로 결제에 실패했습니다.",
        "The payment was rejected: over the limit, or too little balance.",
    ),
    (
        "REJECT_CARD_COMPANY",
        "결제 승인이 거절되었습니다.",
        "Payment confirm is rejected.",
    ),
    (
        "NOT_FOUND_PAYMENT",
        "존재하지 않는 결제 정보 입니다.",
        "Not found payment.",
    ),
    (
        "NOT_FOUND_PAYMENT_SESSION",
        "결제 시간이 만료되어 결제 진행 데이터가 존재하지 않습니다.",
        "The payment's time ran out, so its session does not exist any more.",
    ),
    (
        "ALREADY_CANCELED_PAYMENT",
        "이미 취소된 결제 입니다.",
        "This is a payment that has already been canceled.",
    ),
    (
        "NOT_CANCELABLE_AMOUNT",
        "취소 할 수 없는 금액 입니다.",
        "This amount cannot be canceled.",
    ),
    (
        "UNAUTHORIZED_KEY",
        "인증되지 않은 시크릿 키 혹은 클라이언트 키 입니다.",
        "Unauthorized secret key or client key.",
    ),
    (
        "PROVIDER_ERROR",
        "일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요.",
        "Temporary error occurred. Please try again later.",
    ),
    (
        "PAY_PROCESS_CANCELED",
        "사용자에 의해 결제가 취소되었습니다.",
        "The payment was canceled by the user.",
    ),
];

impl Refusal {
    /// The error of this code; a code of nobody's is a 400.
    pub(crate) fn of(code: &str) -> Self {
        let known =
            |(_, codes): &&(u16, &str)| codes.split_ascii_whitespace().any(|known| known == code);
        let status = CODES.iter().find(known).map_or(400, |(status, _)| *status);
        Self {
            status,
            code: code.to_owned(),
        }
    }

    /// Its body.
    pub(crate) fn body(&self, language: Language) -> Value {
        let text = TEXTS.iter().find(|(code, ..)| *code == self.code);
        let (korean, english) = text.map_or(
            (
                "요청을 처리할 수 없습니다.",
                "The request cannot be processed.",
            ),
            |(_, ko, en)| (ko, en),
        );
        let message = match language {
            Language::Korean => korean,
            Language::English => english,
        };
        json!({ "code": self.code, "message": message })
    }
}

/// Whether the buyer's side refused, which ends a payment.
pub(crate) fn ends_payment(code: &str) -> bool {
    matches!(
        code,
        "INVALID_REJECT_CARD"
            | "INVALID_STOPPED_CARD"
            | "INVALID_CARD_NUMBER"
            | "INVALID_CARD_EXPIRATION"
            | "EXCEED_MAX_AMOUNT"
            | "REJECT_CARD_PAYMENT"
            | "REJECT_CARD_COMPANY"
            | "REJECT_ACCOUNT_PAYMENT"
            | "NOT_AVAILABLE_BANK"
            | "INVALID_PASSWORD"
            | "FDS_ERROR"
            | "CARD_PROCESSING_ERROR"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_with_their_status() {
        for (status, codes) in CODES {
            for code in codes.split_ascii_whitespace() {
                assert_eq!(Refusal::of(code).status, status, "{code}");
            }
        }
        assert_eq!(Refusal::of("A_CODE_OF_NEXT_YEAR").status, 400);
    }

    #[test]
    fn texts_follow_the_language() {
        let refusal = Refusal::of("REJECT_CARD_COMPANY");
        assert_eq!(
            refusal.body(Language::Korean)["message"],
            "결제 승인이 거절되었습니다."
        );
        assert_eq!(
            refusal.body(Language::English)["message"],
            "Payment confirm is rejected."
        );
    }
}
