//! The seat stores against the model, and the model against the promises, in random lives of a seat map
//! ([`ticketon_tests::seat_agreement`]); `cargo xtask soak --seats` does the same for as long as you like.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use ticketon_tests::seat_agreement::{Met, Search, SeatBench, search};

/// Another seed in each run; a failure prints it, and the command that finds the life again.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Lives for so many steps, but no longer than the bound.
async fn live(bench: &SeatBench, seed: u64, steps: u64, bound: Duration) -> Met {
    let started = Instant::now();
    let outcome = search(bench, Search { seed, steps }, |_| started.elapsed() < bound).await;
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn in_any_life_every_store_gives_the_same_answers() {
    let bench = SeatBench::with_redis().await;
    live(&bench, any_seed(), 20_000, Duration::from_secs(15)).await;
}

#[tokio::test]
async fn cluster_gives_the_same_answers_in_any_life() {
    let bench = SeatBench::with_redis_cluster().await;
    live(&bench, any_seed(), 5_000, Duration::from_secs(4)).await;
}

#[tokio::test]
async fn in_any_life_the_model_keeps_the_promises() {
    let bench = SeatBench::of_the_model();
    live(&bench, any_seed(), 60_000, Duration::from_secs(12)).await;
}

#[tokio::test]
async fn lives_meet_what_they_are_for() {
    let met = live(&SeatBench::of_the_model(), 1, 15_000, Duration::MAX).await;
    assert!(met.taken > 500, "{met:?}");
    assert!(met.refused > 1_000, "{met:?}");
    assert!(met.expired > 60, "{met:?}");
    assert!(met.sold > 120, "{met:?}");
    assert!(met.not_ready > 1_000, "{met:?}");
    assert!(met.rebuilt > 250, "{met:?}");
    assert!(met.repeated > 1_000, "{met:?}");
    assert!(met.settled > 3_000, "{met:?}");
}
