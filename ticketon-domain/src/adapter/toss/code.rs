//! The provider's error codes, and what each lets one conclude about the money.
//!
//! A code is terminal only if it is known to be: a server's fault, a conflict and every code that this version
//! does not know mean "ask". No other file says what a code means.

use std::fmt;

/// What an error lets one conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TossClass {
    /// Refused for good: the call moved no money, and no repetition of it will.
    Declined,
    /// Nothing: the payment has to be looked up before anything is decided.
    Ask,
    /// The provider does not accept our keys or the form of our calls; an operator must mend it.
    Misconfigured,
}

macro_rules! codes {
    ($($class:ident { $($name:ident = $text:literal,)+ })+) => {
        /// An error code of the provider; it may add some at any time.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the provider's own words, each its own documentation")]
        pub enum TossCode {
            $($($name,)+)+
            /// A code that this version does not know.
            Other(Box<str>),
        }

        impl TossCode {
            /// Every known code.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// The code of this text.
            #[must_use]
            pub fn parse(text: &str) -> Self {
                match text {
                    $($($text => Self::$name,)+)+
                    _ => Self::Other(loggable(text, MAX_CODE_CHARS).into()),
                }
            }

            /// As the provider writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $($(Self::$name => $text,)+)+
                    Self::Other(text) => text,
                }
            }

            /// What the code alone lets one conclude; an answer's status may make it less ([`TossCode::class_at`]).
            #[must_use]
            pub fn class(&self) -> TossClass {
                match self {
                    $($(Self::$name)|+ => TossClass::$class,)+
                    Self::Other(_) => TossClass::Ask,
                }
            }
        }
    };
}

codes! {
    Declined {
        // Of confirming.
        InvalidRequest = "INVALID_REQUEST",
        BelowMinimumAmount = "BELOW_MINIMUM_AMOUNT",
        InvalidRejectCard = "INVALID_REJECT_CARD",
        InvalidStoppedCard = "INVALID_STOPPED_CARD",
        InvalidCardNumber = "INVALID_CARD_NUMBER",
        InvalidCardExpiration = "INVALID_CARD_EXPIRATION",
        ExceedMaxAmount = "EXCEED_MAX_AMOUNT",
        UnapprovedOrderId = "UNAPPROVED_ORDER_ID",
        CardProcessingError = "CARD_PROCESSING_ERROR",
        RejectCardPayment = "REJECT_CARD_PAYMENT",
        RejectCardCompany = "REJECT_CARD_COMPANY",
        RejectAccountPayment = "REJECT_ACCOUNT_PAYMENT",
        ForbiddenRequest = "FORBIDDEN_REQUEST",
        NotAvailableBank = "NOT_AVAILABLE_BANK",
        InvalidPassword = "INVALID_PASSWORD",
        FdsError = "FDS_ERROR",
        NotFoundPayment = "NOT_FOUND_PAYMENT",
        NotFoundPaymentSession = "NOT_FOUND_PAYMENT_SESSION",
        // Of canceling.
        NotMatchesRefundableAmount = "NOT_MATCHES_REFUNDABLE_AMOUNT",
        InvalidRefundAccountInfo = "INVALID_REFUND_ACCOUNT_INFO",
        InvalidRefundAccountNumber = "INVALID_REFUND_ACCOUNT_NUMBER",
        InvalidBank = "INVALID_BANK",
        RefundRejected = "REFUND_REJECTED",
        NotCancelableAmount = "NOT_CANCELABLE_AMOUNT",
        NotCancelablePayment = "NOT_CANCELABLE_PAYMENT",
        ExceedMaxRefundDue = "EXCEED_MAX_REFUND_DUE",
        NotAllowedPartialRefund = "NOT_ALLOWED_PARTIAL_REFUND",
        ExceedCancelLimit = "EXCEED_CANCEL_LIMIT",
    }
    Ask {
        // Somebody was here before, perhaps an attempt of ours whose answer was lost.
        AlreadyProcessedPayment = "ALREADY_PROCESSED_PAYMENT",
        AlreadyCanceledPayment = "ALREADY_CANCELED_PAYMENT",
        AlreadyRefundPayment = "ALREADY_REFUND_PAYMENT",
        IdempotentRequestProcessing = "IDEMPOTENT_REQUEST_PROCESSING",
        ForbiddenConsecutiveRequest = "FORBIDDEN_CONSECUTIVE_REQUEST",
        // A 400 whose cause is a fault further on.
        ProviderFault = "PROVIDER_ERROR",
        FailedInternalSystemProcessing = "FAILED_INTERNAL_SYSTEM_PROCESSING",
        FailedPaymentInternalSystemProcessing = "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING",
        UnknownPaymentError = "UNKNOWN_PAYMENT_ERROR",
        FailedRefundProcess = "FAILED_REFUND_PROCESS",
        FailedPartialRefund = "FAILED_PARTIAL_REFUND",
        FailedMethodHandlingCancel = "FAILED_METHOD_HANDLING_CANCEL",
        CommonError = "COMMON_ERROR",
    }
    Misconfigured {
        InvalidApiKey = "INVALID_API_KEY",
        UnauthorizedKey = "UNAUTHORIZED_KEY",
        IncorrectBasicAuthFormat = "INCORRECT_BASIC_AUTH_FORMAT",
        InvalidIdempotencyKey = "INVALID_IDEMPOTENCY_KEY",
    }
}

/// The most characters of a code that are kept.
const MAX_CODE_CHARS: usize = 100;

impl TossCode {
    /// What an answer of this status with this code lets one conclude: a conflict and a server's fault say nothing.
    #[must_use]
    pub fn class_at(&self, status: u16) -> TossClass {
        match status {
            400..=408 | 410..=499 => self.class(),
            _ => TossClass::Ask,
        }
    }

    /// Whether it says that there is no such payment.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFoundPayment | Self::NotFoundPaymentSession)
    }
}

impl fmt::Display for TossCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text of somebody else's, fit for a line of a log.
pub(super) fn loggable(text: &str, max_chars: usize) -> String {
    let visible = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    visible.take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_text_and_read_it_back() {
        for code in TossCode::ALL {
            assert_eq!(TossCode::parse(code.as_str()), *code);
        }
        let strange = TossCode::parse("A_CODE_OF_NEXT_YEAR");
        assert_eq!(strange.as_str(), "A_CODE_OF_NEXT_YEAR");
        assert_eq!(strange.class(), TossClass::Ask);
    }

    #[test]
    fn a_conflict_and_a_fault_of_the_server_decide_nothing() {
        let code = TossCode::RejectCardPayment;
        assert_eq!(code.class_at(403), TossClass::Declined);
        for status in [200, 302, 409, 500, 502, 503, 504] {
            assert_eq!(code.class_at(status), TossClass::Ask, "{status}");
        }
    }

    #[test]
    fn texts_of_others_stay_on_their_line() {
        let code = TossCode::parse(&format!("A\r\nB{}", "x".repeat(500)));
        assert!(code.as_str().starts_with("A  B"));
        assert_eq!(code.as_str().chars().count(), 100);
    }
}
