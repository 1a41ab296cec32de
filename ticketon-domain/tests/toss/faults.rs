//! Every way to break down: nothing is believed that was not said, and a look tells the truth afterwards.

use std::time::{Duration, Instant};

use fake_toss::fault::{Call, Fault, Kind, Money};
use ticketon_domain::purchase::{
    ConfirmPayment, PaymentProvider as _, PaymentStatus, ProviderError,
};

use crate::{Answer, Shop, cancel, unknown};

/// Long enough for a call on this machine, short enough to wait for.
const SOON: Duration = Duration::from_millis(700);

const LATE_MS: u64 = 1_500;

/// What a client makes of an answer that came to nothing.
const BROKEN: [(Kind, &str); 9] = [
    (Kind::Drop, "CONNECTION_BROKEN"),
    (Kind::Error, "FAILED_INTERNAL_SYSTEM_PROCESSING"),
    (Kind::Processing, "IDEMPOTENT_REQUEST_PROCESSING"),
    (Kind::Slow, "TIMED_OUT"),
    (Kind::Hang, "TIMED_OUT"),
    (Kind::Garbage, "UNREADABLE_ANSWER"),
    (Kind::Truncated, "UNREADABLE_ANSWER"),
    (Kind::Huge, "UNREADABLE_ANSWER"),
    (Kind::OtherPayment, "ANOTHER_ANSWER"),
];

fn broken(call: Call, kind: Kind, money: Money) -> Fault {
    let hold_ms = if kind == Kind::Slow { LATE_MS } else { 0 };
    Fault {
        call,
        money,
        hold_ms,
        ..Fault::new(kind)
    }
}

/// Sends it until it is no more unknown; the idempotency key stays.
async fn until_known(shop: &Shop, request: &ConfirmPayment) -> Answer {
    let bound = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = shop.toss.confirm(request).await;
        let unknown = matches!(answer, Err(ProviderError::Unknown { .. }));
        if !unknown || Instant::now() > bound {
            return answer;
        }
    }
}

#[tokio::test]
async fn charged_and_not_told() {
    for (kind, code) in BROKEN {
        let shop = Shop::impatient(SOON).await;
        let request = shop.authorized(1_000).await;
        shop.fake
            .fault(&broken(Call::Confirm, kind, Money::Before))
            .await;
        unknown(&shop.toss.confirm(&request).await, code);
        assert_eq!(shop.charges().await, 1, "{kind:?}");
        assert_eq!(
            shop.toss
                .payment(&request.key)
                .await
                .unwrap()
                .unwrap()
                .status,
            PaymentStatus::Done,
            "{kind:?}"
        );
        assert_eq!(
            until_known(&shop, &request).await.unwrap().status,
            PaymentStatus::Done,
            "{kind:?}"
        );
        assert_eq!(shop.charges().await, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn not_charged_and_not_told() {
    // The answers of the last two are errors then, which the fake tells as they are.
    for (kind, code) in BROKEN
        .into_iter()
        .filter(|(kind, _)| *kind != Kind::OtherPayment)
    {
        let shop = Shop::impatient(SOON).await;
        let request = shop.authorized(1_000).await;
        shop.fake
            .fault(&broken(Call::Confirm, kind, Money::Never))
            .await;
        unknown(&shop.toss.confirm(&request).await, code);
        assert_eq!(shop.charges().await, 0, "{kind:?}");
        assert_eq!(
            shop.toss
                .payment(&request.key)
                .await
                .unwrap()
                .unwrap()
                .status,
            PaymentStatus::Pending,
            "{kind:?}"
        );
        assert_eq!(
            until_known(&shop, &request).await.unwrap().status,
            PaymentStatus::Done,
            "{kind:?}"
        );
        assert_eq!(shop.charges().await, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn charged_after_the_client_gave_up() {
    let shop = Shop::impatient(SOON).await;
    let request = shop.authorized(1_000).await;
    shop.fake
        .fault(&broken(Call::Confirm, Kind::Slow, Money::After))
        .await;
    unknown(&shop.toss.confirm(&request).await, "TIMED_OUT");
    // Not yet charged, and yet it will be.
    assert_eq!(shop.charges().await, 0);
    let again = shop.toss.confirm(&request).await;
    let Err(ProviderError::Unknown {
        code, retry_after, ..
    }) = again
    else {
        panic!("{again:?}")
    };
    assert_eq!(
        (code.as_str(), retry_after),
        (
            "IDEMPOTENT_REQUEST_PROCESSING",
            Some(Duration::from_secs(1))
        )
    );
    assert_eq!(
        until_known(&shop, &request).await.unwrap().status,
        PaymentStatus::Done
    );
    assert_eq!(shop.charges().await, 1);
}

#[tokio::test]
async fn charged_and_the_key_forgotten() {
    let shop = Shop::open().await;
    let request = shop.authorized(1_000).await;
    shop.fake
        .fault(&Fault {
            forget: true,
            ..Fault::new(Kind::Error)
        })
        .await;
    unknown(
        &shop.toss.confirm(&request).await,
        "FAILED_INTERNAL_SYSTEM_PROCESSING",
    );
    unknown(
        &shop.toss.confirm(&request).await,
        "ALREADY_PROCESSED_PAYMENT",
    );
    assert_eq!(
        shop.toss
            .payment(&request.key)
            .await
            .unwrap()
            .unwrap()
            .status,
        PaymentStatus::Done
    );
    assert_eq!(shop.charges().await, 1);
}

#[tokio::test]
async fn processing_twice() {
    let shop = Shop::open().await;
    let request = shop.authorized(1_000).await;
    shop.fake
        .fault(&Fault {
            times: 2,
            ..Fault::new(Kind::Processing)
        })
        .await;
    for _ in 0..2 {
        unknown(
            &shop.toss.confirm(&request).await,
            "IDEMPOTENT_REQUEST_PROCESSING",
        );
    }
    assert_eq!(
        shop.toss.confirm(&request).await.unwrap().status,
        PaymentStatus::Done
    );
    assert_eq!(shop.charges().await, 1);
}

#[tokio::test]
async fn given_back_and_not_told() {
    for (kind, code) in BROKEN {
        for (money, moved) in [(Money::Before, 400), (Money::Never, 0)] {
            if kind == Kind::OtherPayment && money == Money::Never {
                continue;
            }
            let shop = Shop::impatient(SOON).await;
            let request = shop.authorized(1_000).await;
            shop.toss.confirm(&request).await.unwrap();
            shop.fake.fault(&broken(Call::Cancel, kind, money)).await;
            let back = cancel(&request.key, Some(400), "refund");
            unknown(&shop.toss.cancel(&back).await, code);
            assert_eq!(shop.given_back().await, moved, "{kind:?}");
            let found = shop.toss.payment(&request.key).await.unwrap().unwrap();
            assert_eq!(found.balance, 1_000 - moved, "{kind:?}");
            let bound = Instant::now() + Duration::from_secs(20);
            while shop.toss.cancel(&back).await.is_err() {
                assert!(Instant::now() < bound, "{kind:?}");
            }
            assert_eq!(shop.given_back().await, 400, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_look_that_fails_says_so() {
    for (kind, code) in BROKEN {
        let shop = Shop::impatient(SOON).await;
        let request = shop.authorized(1_000).await;
        shop.fake
            .fault(&broken(Call::Query, kind, Money::Before))
            .await;
        unknown(
            &shop.toss.payment(&request.key).await.map(Option::unwrap),
            code,
        );
        shop.fake
            .fault(&broken(Call::Query, kind, Money::Before))
            .await;
        unknown(
            &shop
                .toss
                .payment_of(&request.order)
                .await
                .map(Option::unwrap),
            code,
        );
    }
}

#[tokio::test]
async fn a_provider_that_is_gone_is_unknown() {
    let shop = Shop::open().await;
    let request = shop.authorized(1_000).await;
    let Shop { fake, toss } = shop;
    toss.confirm(&request).await.unwrap();
    drop(fake);
    let answer = toss.confirm(&request).await;
    unknown(&answer, "CONNECTION_BROKEN");
    assert!(
        !answer
            .unwrap_err()
            .to_string()
            .contains(request.key.as_str())
    );
}

/// The answer of one call is no answer of the next, whatever that asks.
#[tokio::test]
async fn a_second_answer_answers_nothing() {
    let shop = Shop::open().await;
    let twice = |call| Fault {
        call,
        ..Fault::new(Kind::AnswersTwice)
    };
    for call in [Call::Query, Call::Confirm, Call::Cancel] {
        shop.fake.fault(&twice(call)).await;
    }
    let request = shop.authorized(1_000).await;
    // Each of these asks at once after one that was answered twice, and the other answer would fit it.
    let found = shop.toss.payment(&request.key).await.unwrap().unwrap();
    assert_eq!(found.status, PaymentStatus::Pending);
    let paid = shop.toss.confirm(&request).await.unwrap();
    assert_eq!((paid.status, paid.balance), (PaymentStatus::Done, 1_000));
    let back = shop
        .toss
        .cancel(&cancel(&request.key, Some(400), "refund"))
        .await
        .unwrap();
    assert_eq!(
        (back.status, back.balance),
        (PaymentStatus::PartiallyCanceled, 600)
    );
    let other = shop.fake.pay(&crate::order(2).to_string(), 500).await;
    let other = ticketon_domain::purchase::PaymentKey::new(&other).unwrap();
    let found = shop.toss.payment(&other).await.unwrap().unwrap();
    assert_eq!((found.key, found.status), (other, PaymentStatus::Pending));
}
