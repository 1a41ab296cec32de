//! Each check of a race once without the guard that it is about: it must fail, with the failure that the guard prevents.
//!
//! The guards are the marked lines of `ticketon-domain/src/adapter/redis/lua/` (`-- guard: name`). A row of the
//! table names the guard that a store lacks, the check of the kit that it is given to, and words of the failure. A
//! guard without a row fails the suite.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ticketon_domain::adapter::redis::{RedisSeatStore, guards};
use ticketon_domain::conformance::seats::{self, Subject};
use ticketon_domain::seat::{
    Choice, ENDED_TTL_MS, Hold, HoldReply, Mapped, NotReady, SeatStore, SeatSync,
};
use ticketon_queue::ManualClock;
use ticketon_tests::RedisServer;

use super::test_map::{self, BOUND, TestMap, connect, key, ready};

const PROCESSES: usize = 4;
const START_MS: i64 = 1_767_225_600_000;

macro_rules! without {
    ($($failure:ident: [$guard:literal] $check:ident, $($words:literal),+;)+) => {
        const ROWS: &[&str] = &[$($guard),+];

        $(#[tokio::test(flavor = "multi_thread")]
        async fn $failure() {
            fails($guard, stringify!($check), &[$($words),+]).await;
        })+
    };
}

// The failure that is shown: the guard that is removed, the check, and what it says.
without! {
    a_seat_has_two_holders: ["free"] s1_many_tasks_want_the_same_seats, "S1";
    a_retry_takes_seats_again: ["id"] s1_a_request_that_races_itself_takes_one_hold, "every answer tells of one hold";
    one_order_takes_too_much: ["order-limit"] s1_limits_of_an_order_and_of_a_person, "OverOrderLimit";
    one_person_takes_too_much: ["user-limit"] s1_one_person_in_many_tasks_keeps_the_limit, "two holds of two fit a limit of five";
    a_buyer_is_sent_away_from_what_is_over: ["due"] s1_units_of_an_area, "NoSeats";
    a_stale_fence_has_its_way: ["fence"] s2_only_the_holder_with_the_right_fence, "with the fence";
    a_stranger_has_their_way: ["user"] s2_only_the_holder_with_the_right_fence, "of another user";
    a_hold_is_pinned_without_proof: ["needs-fence"] s2_only_the_holder_with_the_right_fence, "right: NotYours";
    a_stale_refund_frees_a_seat: ["owner"] s2_a_stale_fence_changes_nothing, "a refund of what is another's now";
    a_paid_hold_is_released: ["pinned"] s2_a_pinned_hold_is_ended_by_its_order_alone, "right: Pinned";
    an_old_epoch_has_its_way: ["epoch"] s2_late_calls_of_an_old_epoch_change_nothing, "OtherEpoch";
    a_late_sale_ends_anothers_hold: ["late"] s2_a_late_sale_takes_nothing_from_anybody, "seats that were given back since";
    a_late_sale_undoes_what_was_mended: ["mend-mark"] s2_a_late_sale_takes_nothing_from_anybody, "seats that were mended since";
    a_refund_that_comes_first_is_forgotten: ["mark"] s3_messages_of_the_ledger_in_any_order, ", then [0, 1, 0]";
    a_comparison_that_was_overtaken_has_its_way: ["found"] s3_what_differs_is_read_and_mended, "it was overtaken";
    a_map_is_built_over_another: ["over"] s3_a_rebuild_begins_over_what_was_seen, "over Rebuilding";
    a_held_seat_is_blocked: ["block-free"] s3_seats_are_blocked_all_or_none, "Unavailable";
    a_half_built_map_is_used: ["ready"] s3_a_map_that_is_rebuilt_is_not_ready, "Rebuilding";
    an_old_rebuild_loads_into_a_newer_one: ["load-epoch"] s3_the_newest_rebuild_wins, "assertion failed";
    an_old_rebuild_finishes_a_newer_one: ["finish-epoch"] s3_the_newest_rebuild_wins, "a half-loaded map is never ready";
    a_hold_outlives_its_deadline: ["expired"] s4_an_expired_hold_is_sellable_at_once, "Unavailable";
}

/// Guards that a whole Redis is needed for, or a story that the kit does not tell; each has a test below.
const OTHERS: &[&str] = &["whole", "fence-floor", "epoch-floor", "newer", "id-again"];

#[test]
fn every_guard_has_a_row() {
    let rows = ROWS.iter().chain(OTHERS);
    let rows: BTreeSet<String> = rows.map(ToString::to_string).collect();
    assert_eq!(rows, guards());
}

/// Runs a check of the kit over a store without this guard; it must fail, and say these words.
async fn fails(guard: &str, check: &str, words: &[&str]) {
    let redis = RedisServer::start().await;
    let run = seats::run(check, async |clock: ManualClock| {
        let mut processes: Vec<Arc<dyn SeatStore>> = Vec::new();
        for _ in 0..PROCESSES {
            let store = connect(&redis.url()).await.without_guard(guard);
            processes.push(Arc::new(store.with_clock(Arc::new(clock.clone()))));
        }
        Subject::processes(processes)
    });
    let said = failure(run).await;
    let said = said.unwrap_or_else(|| panic!("{check} holds without {guard:?}"));
    for word in words {
        assert!(
            said.contains(word),
            "without {guard:?} another failure than {word:?} was shown: {said}"
        );
    }
}

/// What a check says when it fails; `None` when it does not.
async fn failure(check: impl Future<Output = ()>) -> Option<String> {
    let run = tokio::time::timeout(BOUND, AssertUnwindSafe(check).catch_unwind());
    let panic: Box<dyn Any + Send> = run.await.expect("a check ends in time").err()?;
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    Some(said.expect("a panic says something"))
}

/// A store on a clock, with all guards or without one.
async fn store(redis: &RedisServer, clock: &ManualClock, without: Option<&str>) -> RedisSeatStore {
    let store = connect(&redis.url()).await;
    let store = store.with_clock(Arc::new(clock.clone()));
    without
        .iter()
        .fold(store, |store, guard| store.without_guard(guard))
}

/// Redis loses everything, a second passes, and the map is built anew.
async fn lose_and_rebuild(
    redis: &RedisServer,
    clock: &ManualClock,
    store: &RedisSeatStore,
) -> TestMap {
    redis.cli(&["FLUSHALL"]).await;
    clock.advance(Duration::from_secs(1));
    TestMap::build(store, 8).await
}

async fn a_hold_of_a_lost_map_is_worth_nothing(without: Option<&str>) {
    let redis = RedisServer::start().await;
    let clock = ManualClock::at(START_MS);
    let store = store(&redis, &clock, without).await;
    let old = TestMap::build(&store, 8).await.take("ann", 1, [2]).await;
    let hall = lose_and_rebuild(&redis, &clock, &store).await;
    let new = hall.take("ann", 1, [3]).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let late = ready(store.release(event, epoch, &key(&old)).await);
    assert_eq!(
        late,
        HoldReply::NotYours,
        "the hold {} of a lost map releases {}",
        old.fence,
        new.fence
    );
}

async fn an_index_of_a_lost_map_is_worth_nothing(without: Option<&str>) {
    let redis = RedisServer::start().await;
    let clock = ManualClock::at(START_MS);
    let store = store(&redis, &clock, without).await;
    let old = TestMap::build(&store, 8).await;
    let hall = lose_and_rebuild(&redis, &clock, &store).await;
    let epoch = hall.epoch;
    let late = store.block(&old.event, old.epoch, &[]).await.unwrap();
    assert_eq!(
        late,
        Mapped::NotReady(NotReady::OtherEpoch { epoch }),
        "{} is taken for the epoch of another map",
        old.epoch
    );
}

async fn a_map_without_its_seats_is_absent(without: Option<&str>) {
    let redis = RedisServer::start().await;
    let clock = ManualClock::at(START_MS);
    let store = store(&redis, &clock, without).await;
    let hall = TestMap::build(&store, 8).await;
    hall.take("ann", 1, [2]).await;
    redis
        .cli(&["DEL", "ticketon:{spring:tour}:seats:map"])
        .await;
    let request = hall.request("bob", 1, Choice::Seats(test_map::seats([2])));
    let held = store.hold(&hall.event, hall.epoch, &request).await;
    let absent = matches!(held, Ok(Mapped::NotReady(NotReady::Absent)));
    assert!(
        absent,
        "of a map that lost its seats, a held one is {held:?}"
    );
}

/// Bought, given back, and bought by somebody else: of the first sale the map hears afterwards.
async fn a_sale_that_was_given_back_comes_late(without: Option<&str>) {
    let redis = RedisServer::start().await;
    let clock = ManualClock::at(START_MS);
    let store = store(&redis, &clock, without).await;
    let hall = TestMap::build(&store, 4).await;
    let sold = |hold: &Hold| SeatSync::Sold {
        user: hold.user.clone(),
        fence: hold.fence,
        seats: hold.seats.clone(),
    };
    let refunded = |hold: &Hold| SeatSync::Released {
        user: hold.user.clone(),
        fence: hold.fence,
        seats: hold.seats.clone(),
    };
    let sync = async |message| {
        let synced = store.sync(&hall.event, hall.epoch, &[message]).await;
        ready(synced).changed
    };
    let ann = hall.take("ann", 1, [1]).await;
    ready(store.release(&hall.event, hall.epoch, &key(&ann)).await);
    let bob = hall.take("bob", 1, [1]).await;
    assert_eq!(sync(sold(&bob)).await, 1);
    assert_eq!(sync(sold(&ann)).await, 0, "the map shows a sold seat");
    assert_eq!(
        sync(refunded(&ann)).await,
        0,
        "is who bought the seat last not its owner"
    );
    let refund = sync(refunded(&bob)).await;
    assert_eq!(refund, 1, "is who bought the seat last not its owner");
}

/// An end is too old to count, no sweep has forgotten it, and its id holds again.
async fn an_id_that_is_used_again_is_not_forgotten(without: Option<&str>) {
    let redis = RedisServer::start().await;
    let clock = ManualClock::at(START_MS);
    let store = store(&redis, &clock, without).await;
    let hall = TestMap::build(&store, 4).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let first = hall.take("ann", 1, [1]).await;
    ready(store.release(event, epoch, &key(&first)).await);
    clock.set(START_MS + ENDED_TTL_MS + 1);
    let again = hall.take("ann", 1, [1]).await;
    assert_eq!(again.id, first.id);
    ready(store.sweep(event).await);
    let found = ready(store.find(event, epoch, &key(&again)).await);
    let lives = HoldReply::Done(again);
    assert_eq!(
        found, lives,
        "the sweep forgot a hold that lives: {found:?}"
    );
}

macro_rules! stories {
    ($($name:ident: [$guard:literal] $check:ident, $words:literal;)+) => {
        $(#[tokio::test]
        async fn $name() {
            $check(None).await;
            let said = failure($check(Some($guard))).await;
            let said = said.expect("without the guard it fails");
            assert!(said.contains($words), "{said}");
        })+
    };
}

stories! {
    a_lost_fence_is_given_again: ["fence-floor"] a_hold_of_a_lost_map_is_worth_nothing,
        "the hold 1 of a lost map releases 1";
    a_lost_epoch_is_given_again: ["epoch-floor"] an_index_of_a_lost_map_is_worth_nothing,
        "1 is taken for the epoch of another map";
    what_is_missing_reads_as_free: ["whole"] a_map_without_its_seats_is_absent,
        "a held one is Ok(Ready(Taken";
    an_older_sale_wins: ["newer"] a_sale_that_was_given_back_comes_late,
        "is who bought the seat last not its owner";
    a_living_hold_is_forgotten: ["id-again"] an_id_that_is_used_again_is_not_forgotten,
        "the sweep forgot a hold that lives: Unknown";
}
