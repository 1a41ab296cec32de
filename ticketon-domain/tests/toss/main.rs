//! The client of Toss Payments against a server that keeps the provider's rules and breaks down as told, over HTTP.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod answers;
mod calls;
mod codes;
mod faults;
mod hints;

use std::time::Duration;

use fake_toss::{FakeToss, Settings};
use ticketon_domain::adapter::toss::{TossPayments, TossPaymentsBuilder};
use ticketon_domain::event::{Currency, Money};
use ticketon_domain::purchase::{
    CancelPayment, ConfirmPayment, OrderId, Payment, PaymentKey, ProviderError,
};

/// An answer of a call that moves money.
pub(crate) type Answer = Result<Payment, ProviderError>;

pub(crate) fn won(amount: u64) -> Money {
    Money::new(amount, Currency::KRW)
}

pub(crate) fn order(number: u8) -> OrderId {
    OrderId::from_bytes([number; 16])
}

/// A client that gives up soon.
pub(crate) fn client(url: &str) -> TossPaymentsBuilder {
    TossPayments::builder("test_sk_fake")
        .base_url(url)
        .read_timeout(Duration::from_secs(10))
}

/// The provider, and a shop's client.
pub(crate) struct Shop {
    pub(crate) fake: FakeToss,
    pub(crate) toss: TossPayments,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let fake = FakeToss::start(Settings::default()).await.unwrap();
        let toss = client(&fake.url()).build().unwrap();
        Self { fake, toss }
    }

    /// A shop whose client gives up after so long.
    pub(crate) async fn impatient(timeout: Duration) -> Self {
        let fake = FakeToss::start(Settings::default()).await.unwrap();
        let toss = client(&fake.url()).read_timeout(timeout).build().unwrap();
        Self { fake, toss }
    }

    /// A payment of order 1 that the buyer has authorized, to be confirmed.
    pub(crate) async fn authorized(&self, amount: u64) -> ConfirmPayment {
        let key = self.fake.pay(&order(1).to_string(), amount).await;
        confirm(&key, amount)
    }

    pub(crate) async fn charges(&self) -> u64 {
        self.fake.ledger(&order(1).to_string()).await.charges
    }

    pub(crate) async fn given_back(&self) -> u64 {
        self.fake.ledger(&order(1).to_string()).await.canceled
    }
}

/// Charge order 1.
pub(crate) fn confirm(key: &str, amount: u64) -> ConfirmPayment {
    ConfirmPayment {
        key: PaymentKey::new(key).unwrap(),
        order: order(1),
        amount: won(amount),
        idempotency_key: format!("confirm-{key}"),
    }
}

/// Give back so much, or all.
pub(crate) fn cancel(
    key: &PaymentKey,
    amount: Option<u64>,
    idempotency_key: &str,
) -> CancelPayment {
    CancelPayment {
        key: key.clone(),
        amount: amount.map(won),
        reason: "rain".to_owned(),
        idempotency_key: idempotency_key.to_owned(),
    }
}

/// Nobody knows, for this reason.
#[track_caller]
pub(crate) fn unknown(answer: &Answer, code: &str) {
    match answer {
        Err(ProviderError::Unknown { code: said, .. }) => assert_eq!(said, code),
        other => panic!("{other:?}"),
    }
}

/// Refused for good, for this reason.
#[track_caller]
pub(crate) fn refused(answer: &Answer, code: &str) {
    match answer {
        Err(ProviderError::Refused { code: said, .. }) => assert_eq!(said, code),
        other => panic!("{other:?}"),
    }
}
