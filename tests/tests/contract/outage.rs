//! The door while its Redis is dead, by each policy that a host may choose.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;
use ticketon_tests::{RedisServer, eventually};
use tokio::time::interval;

use super::shop::{ADMISSION, Answer, Guest, SOON, Shop};

/// A Redis that keeps what it was told through its death.
async fn redis() -> RedisServer {
    RedisServer::builder().appendonly(true).start().await
}

/// The door at this token, or the problem of a store that is down.
async fn enters(guest: &Guest<'_>, token: &str) -> bool {
    let answer = guest.shop("outage", token).await;
    if answer.status == 200 {
        return true;
    }
    is_down(answer);
    false
}

#[track_caller]
fn is_down(answer: Answer) {
    let says_when = answer.header("retry-after").is_some();
    assert!(says_when, "{}: {}", answer.status, answer.body);
    answer.problem(503, "storeUnavailable");
}

/// What opens no door, whatever the store does.
async fn nobody_else_enters(ann: &Guest<'_>, ben: &Guest<'_>, token_of_ann: &str) {
    ben.shop("outage", token_of_ann)
        .await
        .problem(403, "admissionRequired");
    let tampered = &token_of_ann[..token_of_ann.len() - 2];
    ann.shop("outage", tampered)
        .await
        .problem(403, "admissionRequired");
    ben.shop("outage", "")
        .await
        .problem(403, "admissionRequired");
}

pub(crate) async fn a_door_stays_shut_while_the_store_is_down(program: &str) {
    let mut redis = redis().await;
    let shop = Shop::over_redis(program, &redis.url()).await;
    shop.room("outage", &json!({"capacity": 5})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);
    let (unclaimed, token) = (ann.admitted("outage").await, ben.admitted("outage").await);
    let first = ben.shop("outage", &token).await.is(200);
    let claimed = first.header(ADMISSION).expect("a claimed token").to_owned();
    redis.kill9();
    is_down(ann.shop("outage", &unclaimed).await);
    // What the store said a second ago is forgotten.
    eventually(SOON, async || !enters(&ben, &claimed).await).await;
    nobody_else_enters(&ben, &ann, &claimed).await;
    redis.restart().await;
    eventually(SOON, async || enters(&ben, &claimed).await).await;
    ann.shop("outage", &unclaimed).await.is(200);
}

pub(crate) async fn a_door_that_fails_open_lets_so_many_in_a_second(program: &str) {
    const PER_SECOND: f64 = 5.0;
    const CALLS: usize = 150;
    let mut redis = redis().await;
    let settings = [("TICKETON_STORE_DOWN", "5")];
    let shop = Shop::over_redis_with(program, &redis.url(), &settings).await;
    shop.room("outage", &json!({"capacity": 5})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);
    let token = ann.admitted("outage").await;
    redis.kill9();
    // A steady stream of calls, ten times as many as may pass.
    let began = Instant::now();
    let mut pace = interval(Duration::from_millis(20));
    let mut calls = FuturesUnordered::new();
    let (mut sent, mut entered) = (0, 0.0);
    while sent < CALLS || !calls.is_empty() {
        tokio::select! {
            _ = pace.tick(), if sent < CALLS => {
                sent += 1;
                calls.push(enters(&ann, &token));
            }
            Some(passed) = calls.next() => entered += f64::from(u8::from(passed)),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    assert!(entered > PER_SECOND, "only the first {entered} came in");
    let most = PER_SECOND * (1.0 + seconds);
    assert!(entered <= most, "{entered} in {seconds} s");
    nobody_else_enters(&ann, &ben, &token).await;

    // The claim was not made meanwhile; now it is.
    redis.restart().await;
    let claims = async || ann.shop("outage", &token).await.header(ADMISSION).is_some();
    eventually(SOON, claims).await;
    assert_eq!(shop.numbers("outage").await["admittedTotal"], 1);
}

pub(crate) async fn an_offline_door_asks_no_store(program: &str) {
    let mut redis = redis().await;
    let settings = [("TICKETON_CHECK", "offline")];
    let shop = Shop::over_redis_with(program, &redis.url(), &settings).await;
    shop.room("outage", &json!({"capacity": 5})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);
    let (token, unclaimed) = (ann.admitted("outage").await, ben.admitted("outage").await);
    let first = ann.shop("outage", &token).await.is(200);
    let claimed = first.header(ADMISSION).expect("a claimed token").to_owned();

    redis.kill9();
    let began = Instant::now();
    // For longer than any answer of the store is believed elsewhere.
    while began.elapsed() < Duration::from_secs(2) {
        let passed = ann.shop("outage", &claimed).await.is(200);
        assert_eq!(passed.header(ADMISSION), None);
    }
    // A claim is made in the store, or not at all.
    is_down(ben.shop("outage", &unclaimed).await);
    nobody_else_enters(&ann, &ben, &claimed).await;

    redis.restart().await;
    eventually(SOON, async || enters(&ben, &unclaimed).await).await;
    // The price: whoever has left may come in until the token expires; the entry call asks the store.
    ann.leave("outage").await.is(204);
    ann.shop("outage", &claimed).await.is(200);
    let numbers = shop.numbers("outage").await;
    assert_eq!(
        (&numbers["active"], &numbers["leftTotal"]),
        (&json!(1), &json!(1))
    );
}
