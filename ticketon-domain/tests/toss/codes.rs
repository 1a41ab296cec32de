//! Every error code of the provider, asked for by header, and what the port makes of it.

use fake_toss::{FakeToss, Settings};
use ticketon_domain::adapter::toss::TossCode;
use ticketon_domain::purchase::{PaymentKey, PaymentProvider as _, ProviderError};

use crate::{cancel, client, confirm};

/// Refused for good.
const REFUSED: &str = "INVALID_REQUEST BELOW_MINIMUM_AMOUNT INVALID_REJECT_CARD INVALID_STOPPED_CARD INVALID_CARD_NUMBER \
    INVALID_CARD_EXPIRATION EXCEED_MAX_AMOUNT UNAPPROVED_ORDER_ID CARD_PROCESSING_ERROR REJECT_CARD_PAYMENT \
    REJECT_CARD_COMPANY REJECT_ACCOUNT_PAYMENT FORBIDDEN_REQUEST NOT_AVAILABLE_BANK INVALID_PASSWORD FDS_ERROR \
    NOT_FOUND_PAYMENT NOT_FOUND_PAYMENT_SESSION NOT_MATCHES_REFUNDABLE_AMOUNT INVALID_REFUND_ACCOUNT_INFO \
    INVALID_REFUND_ACCOUNT_NUMBER INVALID_BANK REFUND_REJECTED NOT_CANCELABLE_AMOUNT NOT_CANCELABLE_PAYMENT \
    EXCEED_MAX_REFUND_DUE NOT_ALLOWED_PARTIAL_REFUND EXCEED_CANCEL_LIMIT";

/// The provider has to be asked.
const UNKNOWN: &str = "ALREADY_PROCESSED_PAYMENT PROVIDER_ERROR IDEMPOTENT_REQUEST_PROCESSING ALREADY_CANCELED_PAYMENT \
    ALREADY_REFUND_PAYMENT FAILED_INTERNAL_SYSTEM_PROCESSING FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING \
    UNKNOWN_PAYMENT_ERROR FAILED_REFUND_PROCESS FAILED_PARTIAL_REFUND FAILED_METHOD_HANDLING_CANCEL COMMON_ERROR \
    A_CODE_OF_NEXT_YEAR NOT_FOUND";

/// Not heard under this key; the provider has to be asked all the same.
const NOT_NOW: &str = "FORBIDDEN_CONSECUTIVE_REQUEST";

/// An operator has to mend it.
const MISCONFIGURED: &str =
    "INVALID_API_KEY UNAUTHORIZED_KEY INCORRECT_BASIC_AUTH_FORMAT INVALID_IDEMPOTENCY_KEY";

fn class(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Refused { .. } => "refused",
        ProviderError::Unknown { .. } => "unknown",
        ProviderError::NotNow { .. } => "notNow",
        ProviderError::Misconfigured { .. } => "misconfigured",
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_code_has_its_class() {
    let fake = FakeToss::start(Settings::default()).await.unwrap();
    let mut known = 0;
    for (codes, expected) in [
        (REFUSED, "refused"),
        (UNKNOWN, "unknown"),
        (NOT_NOW, "notNow"),
        (MISCONFIGURED, "misconfigured"),
    ] {
        for code in codes.split_ascii_whitespace() {
            known += usize::from(!matches!(TossCode::parse(code), TossCode::Other(_)));
            let toss = client(&fake.url()).test_code(code).build().unwrap();
            let key = PaymentKey::new("nobody").unwrap();
            let confirmed = toss.confirm(&confirm("nobody", 1_000)).await.unwrap_err();
            let canceled = toss.cancel(&cancel(&key, None, "r")).await.unwrap_err();
            for error in [confirmed, canceled] {
                assert_eq!((error.code(), class(&error)), (code, expected));
                assert!(!error.message().is_empty(), "{code}");
            }
            // Looking is never refused.
            match (toss.payment(&key).await, expected) {
                (Ok(None), "refused") => assert!(code.starts_with("NOT_FOUND_PAYMENT"), "{code}"),
                (Err(error), "refused" | "misconfigured") => {
                    assert_eq!(class(&error), "misconfigured", "{code}");
                }
                (Err(error), _) => assert_eq!(class(&error), "unknown", "{code}"),
                (found, _) => panic!("{code}: {found:?}"),
            }
        }
    }
    assert_eq!(
        known,
        TossCode::ALL.len(),
        "this table has every code that the client knows"
    );
}
