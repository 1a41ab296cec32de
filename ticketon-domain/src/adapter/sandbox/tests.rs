use std::sync::Arc;

use ticketon_queue::{Clock, ManualClock};

use super::*;
use crate::adapter::memory::MemorySandboxBook;
use crate::event::Currency;
use crate::purchase::PaymentStatus;

const WON: u64 = 308_000;

struct Shop {
    sandbox: Sandbox,
    book: MemorySandboxBook,
    clock: ManualClock,
    order: OrderId,
}

fn won(amount: u64) -> Money {
    Money::new(amount, Currency::KRW)
}

impl Shop {
    fn new() -> Self {
        let clock = ManualClock::at(1_700_000_000_000);
        let book = MemorySandboxBook::new();
        let sandbox = Sandbox::with_book(book.clone()).clock(Arc::new(clock.clone()));
        let order = OrderId::random(clock.now_ms());
        Self {
            sandbox,
            book,
            clock,
            order,
        }
    }

    async fn open(&self, outcome: SandboxOutcome) -> PaymentKey {
        let opened = self.sandbox.open(&self.order, won(WON), outcome).await;
        match opened.unwrap() {
            Opened::Payment(key) => key,
            Opened::TooMany => panic!("too many"),
        }
    }

    async fn confirm(&self, key: &PaymentKey) -> Result<Payment, ProviderError> {
        self.confirm_as(key, "c1", WON).await
    }

    async fn confirm_as(
        &self,
        key: &PaymentKey,
        idempotency_key: &str,
        amount: u64,
    ) -> Result<Payment, ProviderError> {
        let request = ConfirmPayment {
            key: key.clone(),
            order: self.order,
            amount: won(amount),
            idempotency_key: idempotency_key.to_owned(),
        };
        self.sandbox.confirm(&request).await
    }

    async fn cancel(
        &self,
        key: &PaymentKey,
        idempotency_key: &str,
        amount: Option<u64>,
    ) -> Result<Payment, ProviderError> {
        let request = CancelPayment {
            key: key.clone(),
            amount: amount.map(won),
            reason: "Plans changed".to_owned(),
            idempotency_key: idempotency_key.to_owned(),
        };
        self.sandbox.cancel(&request).await
    }

    async fn status(&self, key: &PaymentKey) -> PaymentStatus {
        self.sandbox.payment(key).await.unwrap().unwrap().status
    }
}

/// A sandbox after a restart: only the book is the same.
fn restarted(shop: &Shop) -> Shop {
    Shop {
        sandbox: Sandbox::with_book(shop.book.clone()).clock(Arc::new(shop.clock.clone())),
        book: shop.book.clone(),
        clock: shop.clock.clone(),
        order: shop.order,
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, ProviderError>) -> (&'static str, String) {
    let error = answer.unwrap_err();
    let kind = match &error {
        ProviderError::Refused { .. } => "refused",
        ProviderError::Unknown { .. } => "unknown",
        _ => "other",
    };
    (kind, error.code().to_owned())
}

#[tokio::test]
async fn an_approved_payment_is_charged_once() {
    let shop = Shop::new();
    let key = shop.open(SandboxOutcome::Approve).await;
    assert_eq!(shop.status(&key).await, PaymentStatus::Pending);
    let paid = shop.confirm(&key).await.unwrap();
    assert_eq!(paid.status, PaymentStatus::Done);
    assert!(paid.is_for(&key, &shop.order, won(WON)));
    assert_eq!(paid.approved_at_ms, Some(shop.clock.now_ms()));
    assert_eq!(paid.balance, WON);

    shop.clock.advance(Duration::from_secs(60));
    assert_eq!(shop.confirm(&key).await.unwrap(), paid, "the same answer");
    let other = shop.confirm_as(&key, "c2", WON).await;
    assert_eq!(
        code(other),
        ("unknown", "ALREADY_PROCESSED_PAYMENT".to_owned())
    );
}

#[tokio::test]
async fn a_declined_payment_never_charges() {
    let shop = Shop::new();
    let key = shop.open(SandboxOutcome::Decline).await;
    for _ in 0..2 {
        let (kind, code) = code(shop.confirm(&key).await);
        assert_eq!((kind, code.as_str()), ("refused", "REJECT_CARD_PAYMENT"));
        assert_eq!(shop.status(&key).await, PaymentStatus::Aborted);
    }
    let (kind, code) = code(shop.cancel(&key, "r1", None).await);
    assert_eq!((kind, code.as_str()), ("refused", "NOT_CANCELABLE_PAYMENT"));
}

#[tokio::test]
async fn a_late_payment_is_unknown_and_then_charged() {
    let shop = Shop::new();
    let key = shop.open(SandboxOutcome::Delay).await;
    let Err(ProviderError::Unknown { retry_after, .. }) = shop.confirm(&key).await else {
        panic!("it cannot be known yet");
    };
    assert_eq!(retry_after, Some(DELAY));
    assert!(DELAY < shop.sandbox.window());
    shop.clock.advance(DELAY - Duration::from_millis(1));
    assert_eq!(shop.status(&key).await, PaymentStatus::Pending);
    let before = shop.cancel(&key, "r1", None).await;
    assert_eq!(
        code(before),
        ("refused", "NOT_CANCELABLE_PAYMENT".to_owned())
    );
    assert_eq!(code(shop.confirm(&key).await).0, "unknown");

    shop.clock.advance(Duration::from_millis(1));
    let shop = restarted(&shop);
    assert_eq!(shop.status(&key).await, PaymentStatus::Done);
    let paid = shop.confirm(&key).await.unwrap();
    assert_eq!(paid.approved_at_ms, Some(shop.clock.now_ms()));
    // A clock that goes back does not take a charge back.
    shop.clock.set(0);
    assert_eq!(shop.status(&key).await, PaymentStatus::Done);
}

#[tokio::test]
async fn a_lost_answer_has_charged() {
    let shop = Shop::new();
    let key = shop.open(SandboxOutcome::LoseAnswer).await;
    let lost = shop.confirm(&key).await;
    assert_eq!(code(lost), ("unknown", "ANSWER_LOST".to_owned()));
    let shop = restarted(&shop);
    assert_eq!(shop.status(&key).await, PaymentStatus::Done);
    let of_order = shop.sandbox.payment_of(&shop.order).await.unwrap();
    assert_eq!(of_order.unwrap().status, PaymentStatus::Done);
    let again = shop.confirm(&key).await.unwrap();
    assert_eq!(again.status, PaymentStatus::Done);
}

#[tokio::test]
async fn another_order_or_amount_is_refused_and_charges_nothing() {
    let shop = Shop::new();
    let key = shop.open(SandboxOutcome::Approve).await;
    let other = shop.confirm_as(&key, "c1", WON - 1).await;
    assert_eq!(code(other), ("refused", "INVALID_REQUEST".to_owned()));
    let order = OrderId::random(0);
    let request = ConfirmPayment {
        key: key.clone(),
        order,
        amount: won(WON),
        idempotency_key: "c1".to_owned(),
    };
    let other = shop.sandbox.confirm(&request).await;
    assert_eq!(code(other), ("refused", "INVALID_REQUEST".to_owned()));
    let foreign = PaymentKey::new("sandbox_of_nobody").unwrap();
    let none = shop.confirm(&foreign).await;
    assert_eq!(code(none), ("refused", "NOT_FOUND_PAYMENT".to_owned()));
    assert_eq!(shop.sandbox.payment(&foreign).await.unwrap(), None);
    assert_eq!(shop.sandbox.payment_of(&order).await.unwrap(), None);
    assert_eq!(shop.status(&key).await, PaymentStatus::Pending);
}

#[tokio::test]
async fn nobody_confirms_a_payment_that_lay_too_long() {
    let shop = Shop::new();
    let key = shop.open(SandboxOutcome::Approve).await;
    shop.clock.advance(PAYABLE_FOR);
    let late = shop.confirm(&key).await;
    assert_eq!(
        code(late),
        ("refused", "NOT_FOUND_PAYMENT_SESSION".to_owned())
    );
    assert_eq!(shop.status(&key).await, PaymentStatus::Expired);
}

#[tokio::test]
async fn money_is_given_back_in_parts_and_never_twice() {
    let shop = Shop::new();
    let key = shop.open(SandboxOutcome::Approve).await;
    shop.confirm(&key).await.unwrap();
    let part = shop.cancel(&key, "r1", Some(143_000)).await.unwrap();
    assert_eq!(part.status, PaymentStatus::PartiallyCanceled);
    assert_eq!((part.total, part.balance), (won(WON), WON - 143_000));
    assert_eq!(part.cancels.len(), 1);

    let shop = restarted(&shop);
    let again = shop.cancel(&key, "r1", Some(143_000)).await.unwrap();
    assert_eq!(again, part, "a retry moves no money");
    for other in [Some(1), None] {
        let other = shop.cancel(&key, "r1", other).await;
        assert_eq!(
            code(other),
            ("refused", "INVALID_IDEMPOTENCY_KEY".to_owned())
        );
    }
    for bad in [0, WON - 143_000 + 1, u64::MAX] {
        let refused = shop.cancel(&key, "r2", Some(bad)).await;
        assert_eq!(
            code(refused),
            ("refused", "NOT_CANCELABLE_AMOUNT".to_owned())
        );
    }

    let rest = shop.cancel(&key, "r3", None).await.unwrap();
    assert_eq!((rest.status, rest.balance), (PaymentStatus::Canceled, 0));
    let keys: Vec<&str> = rest
        .cancels
        .iter()
        .map(|cancel| cancel.transaction_key.as_str())
        .collect();
    assert_ne!(keys[0], keys[1]);
    let nothing = shop.cancel(&key, "r4", None).await;
    assert_eq!(
        code(nothing),
        ("refused", "ALREADY_CANCELED_PAYMENT".to_owned())
    );
    assert_eq!(
        shop.confirm(&key).await.unwrap().status,
        PaymentStatus::Canceled
    );
}

#[tokio::test]
async fn the_payment_of_an_order_is_the_one_that_was_confirmed() {
    let shop = Shop::new();
    let first = shop.open(SandboxOutcome::Approve).await;
    shop.clock.advance(Duration::from_secs(1));
    let second = shop.open(SandboxOutcome::Approve).await;
    let found = shop.sandbox.payment_of(&shop.order).await.unwrap().unwrap();
    assert_eq!(found.key, second, "the last, as none was confirmed");
    shop.confirm(&first).await.unwrap();
    let found = shop.sandbox.payment_of(&shop.order).await.unwrap().unwrap();
    assert_eq!(found.key, first);
}

#[tokio::test]
async fn an_order_has_a_bounded_number_of_payments() {
    let shop = Shop::new();
    for _ in 0..MAX_PAYMENTS_OF_ORDER {
        shop.open(SandboxOutcome::Approve).await;
    }
    let more = shop
        .sandbox
        .open(&shop.order, won(WON), SandboxOutcome::Approve);
    assert_eq!(more.await.unwrap(), Opened::TooMany);
}

/// A book that lets others in between a look and a change.
#[derive(Debug)]
struct Slow(MemorySandboxBook);

#[async_trait]
impl SandboxBook for Slow {
    async fn load(&self, key: &PaymentKey) -> Result<Option<SandboxPayment>, StoreError> {
        let found = self.0.load(key).await;
        tokio::task::yield_now().await;
        found
    }

    async fn of_order(&self, order: &OrderId) -> Result<Vec<SandboxPayment>, StoreError> {
        self.0.of_order(order).await
    }

    async fn save(
        &self,
        before: Option<&SandboxPayment>,
        after: &SandboxPayment,
    ) -> Result<bool, StoreError> {
        self.0.save(before, after).await
    }
}

#[tokio::test]
async fn of_many_calls_at_once_one_moves_the_money() {
    let mut shop = Shop::new();
    shop.sandbox = Sandbox::with_book(Slow(shop.book.clone())).clock(Arc::new(shop.clock.clone()));
    let key = shop.open(SandboxOutcome::Approve).await;
    let keys: Vec<String> = (0..8).map(|number| format!("k{number}")).collect();
    let calls = keys.iter().map(|own| shop.confirm_as(&key, own, WON));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);

    let half = Some(WON / 2 + 1);
    let calls = keys.iter().map(|own| shop.cancel(&key, own, half));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let payment = shop.sandbox.payment(&key).await.unwrap().unwrap();
    assert_eq!(payment.balance, WON - WON / 2 - 1);
}

/// What every book does.
async fn keeps_its_word(book: &impl SandboxBook) {
    let order = OrderId::random(1);
    let open = |name: &str, outcome| {
        let key = PaymentKey::new(name).unwrap();
        SandboxPayment::open(key, order, won(WON), outcome, 5)
    };
    let first = open("sandbox_1", SandboxOutcome::Approve);
    let second = open("sandbox_2", SandboxOutcome::Decline);
    assert_eq!(book.load(first.key()).await.unwrap(), None);
    assert!(
        !book.save(Some(&first), &first).await.unwrap(),
        "nothing is there"
    );
    assert!(book.save(None, &first).await.unwrap());
    assert!(!book.save(None, &first).await.unwrap(), "it is there");
    assert!(book.save(None, &second).await.unwrap());

    let mut late = first.clone();
    late.settle(i64::MAX);
    assert_ne!(late, first);
    assert!(
        !book.save(Some(&late), &late).await.unwrap(),
        "it is not so yet"
    );
    assert!(book.save(Some(&first), &late).await.unwrap());
    assert!(
        !book.save(Some(&first), &late).await.unwrap(),
        "it is not so any more"
    );
    assert_eq!(book.load(first.key()).await.unwrap(), Some(late.clone()));
    let mut of_order = book.of_order(&order).await.unwrap();
    of_order.sort_by(|a, b| a.key().cmp(b.key()));
    assert_eq!(of_order, [late, second]);
    assert_eq!(book.of_order(&OrderId::random(1)).await.unwrap(), []);
}

#[tokio::test]
async fn a_book_in_memory_keeps_its_word() {
    keeps_its_word(&MemorySandboxBook::new()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_book_in_sql_keeps_its_word() {
    let store = crate::adapter::sql::SqlStore::sqlite(":memory:")
        .await
        .unwrap();
    store.migrate().await.unwrap();
    keeps_its_word(&store).await;
}

#[test]
fn what_is_stored_reads_back_and_outcomes_have_one_name() {
    for outcome in SandboxOutcome::ALL {
        let name = serde_json::to_value(outcome).unwrap();
        assert_eq!(name, outcome.as_str());
        let key = PaymentKey::new("sandbox_1").unwrap();
        let order = OrderId::from_bytes([7; 16]);
        let mut payment = SandboxPayment::open(key.clone(), order, won(WON), outcome, 5);
        let request = ConfirmPayment {
            key,
            order,
            amount: won(WON),
            idempotency_key: "c1".to_owned(),
        };
        payment.confirm(&request, 1_000, 6);
        let text = serde_json::to_string(&payment).unwrap();
        let back: SandboxPayment = serde_json::from_str(&text).unwrap();
        assert_eq!(back, payment);
    }
}
