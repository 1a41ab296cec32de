//! Best available over Redis: many buyers who know the same map, in a hall that is empty and in one that is nearly sold.

#[path = "../../../ticketon-domain/tests/best/rush.rs"]
mod rush;

use std::sync::Arc;

use self::rush::{Rush, hall, report, some_seats};
use super::test_map::connect;
use ticketon_tests::RedisServer;

const BUYERS: usize = 1_000;
const SEATS: u32 = 20_000;

/// Groups of one to four.
fn groups() -> Vec<u32> {
    (1..=4).cycle().take(BUYERS).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_buyers_at_once_all_sit_in_an_empty_hall() {
    let redis = RedisServer::start().await;
    let store = Arc::new(connect(&redis.url()).await);
    let rush = Arc::new(Rush::open(store, "empty-hall", hall(SEATS), &[]).await);
    let all = rush.all_at_once(&groups()).await;
    report("an empty hall over Redis", &all);
    rush.verify(&[], &all).await;
    assert!(all.iter().all(|bought| !bought.seats.is_empty()), "all fit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_sold_hall_is_filled_and_no_means_no() {
    let gone = some_seats(SEATS, 950, 3);
    let redis = RedisServer::start().await;
    let store = Arc::new(connect(&redis.url()).await);
    let rush = Arc::new(Rush::open(store, "nearly-sold", hall(SEATS), &gone).await);
    let all = rush.all_at_once(&groups()).await;
    report("a nearly sold hall over Redis", &all);
    rush.verify(&gone, &all).await;
    let refused = all.iter().filter(|bought| bought.seats.is_empty()).count();
    assert!(refused > 100, "{refused} refusals show something");
}
