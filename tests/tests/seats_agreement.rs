//! The seat stores against the model, and the model against the promises, in random lives of a seat map
//! ([`ticketon_tests::seat_agreement`]); `cargo xtask soak --seats` does the same for as long as you like.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use ticketon_domain::seat::{Limits, Orphans};
use ticketon_tests::lives::World;
use ticketon_tests::seat_agreement::{
    Message, Met, Right, Search, SeatBench, Step, Verb, Wish, search,
};

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
    assert!(met.compared > 100, "{met:?}");
    assert!(met.mended > 50, "{met:?}");
    assert!(met.outrun > 20, "{met:?}");
}

/// A request of these seats or units for a minute, by who may have many.
fn hold(user: u8, key: u8, wish: Wish, ttl_ms: i64) -> Step {
    let limits = Limits {
        per_order: 9,
        per_user: 99,
    };
    Step::Ask(0, Verb::Hold(user, key, wish, ttl_ms, limits))
}

fn seats(mask: u32) -> Wish {
    Wish::Seats(mask, false)
}

fn sold(hold: u8, mask: u32) -> Step {
    told(true, hold, mask)
}

fn given_back(hold: u8, mask: u32) -> Step {
    told(false, hold, mask)
}

fn told(is_sold: bool, hold: u8, mask: u32) -> Step {
    let message = Message {
        is_sold,
        hold,
        mask,
    };
    Step::Ask(0, Verb::Sync(vec![message]))
}

/// Lives that a search has found, as it printed them: each broke a store or the model with a fault in it.
#[tokio::test]
async fn lives_that_broke_something_stay_whole() {
    let few = Limits {
        per_order: 4,
        per_user: 4,
    };
    let lives = [
        // An id that had ended took seats again.
        vec![
            hold(2, 4, Wish::Units(2, 4), 60_000),
            Step::Buy(1, 0),
            Step::Pay(2, 0, true),
            Step::Deliver(2, 3, false),
            hold(2, 4, seats(512), 60_000),
        ],
        // What somebody had bought did not count.
        vec![
            hold(2, 3, Wish::Units(2, 6), 60_000),
            hold(2, 7, Wish::Units(1, 8), 60_000),
            hold(3, 17, Wish::Adjacent(1, Orphans::Lenient), 0),
            sold(1, 65_536),
            Step::Ask(0, Verb::Hold(2, 17, Wish::Seats(134_144, true), 1_000, few)),
        ],
        // Time was over for one's own seats, and they counted.
        vec![
            hold(1, 4, Wish::Adjacent(3, Orphans::Lenient), -5),
            hold(1, 10, seats(16_416), 60_000),
            Step::Wait(60_000),
            Step::Ask(0, Verb::Hold(1, 8, seats(7), 1, few)),
        ],
        // There were no seats, because nobody had swept.
        vec![
            hold(1, 11, seats(257), 60_000),
            hold(1, 0, seats(2_048), 5_000),
            Step::Wait(60_000),
            hold(3, 16, Wish::Adjacent(3, Orphans::Lenient), 0),
        ],
        // A late message sold what had been given back.
        vec![
            hold(2, 2, seats(1_024), 60_000),
            sold(0, 1_024),
            given_back(0, 1_024),
            sold(0, 1_030),
        ],
        // A sale was dropped, because its hold had ended before the map was told.
        vec![
            hold(2, 2, seats(1_024), 1_000),
            Step::Wait(5_000),
            Step::Ask(0, Verb::Sweep),
            sold(0, 1_030),
        ],
        // The sale came behind its refund, when the hold had ended; and a seat was blocked in between.
        vec![
            hold(2, 2, seats(1_026), 60_000),
            Step::Ask(0, Verb::Release(0, Right::Own)),
            given_back(0, 2),
            Step::Ask(0, Verb::Block(1_024)),
            Step::Ask(0, Verb::Unblock(1_024)),
            sold(0, 1_026),
            Step::Repair(0),
        ],
        // Of two who saw the map as it was, the second one built over the first one's.
        vec![
            Step::Rebuild(2, 0, 1),
            Step::Rebuild(0, 0, 9),
            hold(2, 2, seats(1_026), 60_000),
            Step::Rebuild(2, 0, 9),
        ],
        // A sale took one seat of a hold, and left the person the others.
        vec![
            hold(3, 2, seats(8_256), 60_000),
            hold(0, 2, seats(1), 60_000),
            sold(0, 76),
        ],
        // An older sale took over from a newer one.
        vec![
            hold(2, 8, seats(64), 60_000),
            hold(4, 7, Wish::Units(1, 8), 1_000),
            hold(4, 0, Wish::Units(1, 3), 60_000),
            sold(2, 131_104),
            sold(9, 1_568),
            Step::Ask(0, Verb::Hold(2, 10, seats(7), 1_000, few)),
        ],
        // Some of the seats were blocked; and none, because nobody had swept.
        vec![
            hold(4, 11, seats(1_024), 60_000),
            Step::Ask(0, Verb::Block(1_040)),
            Step::Wait(600_000),
            Step::Ask(0, Verb::Block(1_040)),
        ],
        // An older rebuild went on loading, and was finished.
        vec![
            Step::Rebuild(2, 0, 2),
            Step::Renew(0, 0),
            hold(0, 6, Wish::Adjacent(3, Orphans::Allow), 60_000),
            Step::Buy(1, 0),
            Step::Pay(0, 0, true),
            Step::Rebuild(0, 0, 6),
            Step::Rebuild(2, 2, 1),
            Step::Rebuild(0, 0, 9),
        ],
        // A seat that was loaded twice counted twice.
        vec![
            hold(3, 16, Wish::Units(2, 1), 60_000),
            Step::Buy(1, 0),
            Step::Pay(1, 0, true),
            Step::Rebuild(2, 0, 10),
        ],
        // Another fence, and none where one is needed.
        vec![
            hold(1, 0, seats(256), 60_000),
            Step::Ask(0, Verb::Release(0, Right::Stale(8))),
            Step::Ask(0, Verb::Pin(0, Right::Unfenced)),
            Step::Ask(0, Verb::Extend(0, Right::Foreign, 90_000, 90_000)),
        ],
    ];
    let bench = SeatBench::with_redis().await;
    for life in lives {
        let lived = bench.live(&life).await;
        lived.unwrap_or_else(|broken| panic!("{}", broken.why));
    }
}
