//! Each check of a race once without the guard that it is about: it must fail, with the failure that the guard prevents.
//!
//! The guards are the marked lines of `ticketon-queue/src/redis/lua/` (`-- guard: name`). A row of the table names the
//! guards that a store lacks, the check of the kit that it is given to, and words of the failure. A guard without a row
//! fails the suite, and so does a check of the kit that has neither a row nor a reason.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ticketon_queue::conformance::{self, CHECKS, Subject};
use ticketon_queue::redis::guards;
use ticketon_queue::{
    EventId, Fenced, JoinReply, JoinRequest, ManualClock, Presence, QueueStore, RedisStore,
    RoomConfig, UserId,
};
use ticketon_tests::RedisServer;

const PROCESSES: usize = 4;
const BOUND: Duration = Duration::from_secs(60);
const START_MS: i64 = 1_767_225_600_000;

/// A check, the guards that its store lacks, and words of the failure.
struct Row {
    guards: &'static [&'static str],
    check: &'static str,
}

macro_rules! without {
    ($($failure:ident: [$($guard:literal),+] $check:ident, $($words:literal),+;)+) => {
        const ROWS: &[Row] = &[$(Row { guards: &[$($guard),+], check: stringify!($check) }),+];

        $(#[tokio::test(flavor = "multi_thread")]
        async fn $failure() {
            fails(&[$($guard),+], stringify!($check), &[$($words),+]).await;
        })+
    };
}

// The failure that is shown: the guards that are removed, the check, and what it says.
without! {
    dispatchers_together_exceed_the_capacity: ["tick-capacity"] q1_many_dispatchers_never_admit_beyond_the_capacity,
        "people are admitted at a time, with a capacity of 7";
    a_tick_ignores_a_smaller_capacity: ["tick-capacity"] q1_a_smaller_capacity_admits_nobody_until_leases_end,
        "with 5 live leases of 2", "left: 5";
    newcomers_exceed_the_capacity: ["join-capacity"] q7_a_tick_admits_whenever_it_may,
        "left: 20\n right: 2";
    a_lapsed_admission_blocks_its_slot: ["join-sweep"] q1_a_lapsed_lease_that_nobody_swept_takes_no_slot,
        "[Waiting";
    a_slot_is_given_twice: ["join-sweep", "lapsed-slots"] q1_a_slot_given_on_the_spot_is_not_given_back,
        "the slot was given by ending the admission that had it";
    slots_of_an_outage_are_given_twice: ["lapsed-slots"] q1_admissions_that_outlive_an_outage_keep_their_slots,
        "people were admitted to slots whose owners lost them to nobody's absence", "left: 100";

    a_newcomer_overtakes_the_line: ["join-order"] q2_nobody_overtakes_the_line_by_joining,
        "somebody overtook three people by joining";
    an_empty_lane_saves_up_turns: ["join-clamp"] q2_a_lane_that_was_empty_has_saved_nothing_up,
        "of 20 admissions, vip and general got [20, 0]";

    a_promoted_person_is_swept_from_the_line: ["tick-away"] q3_everybody_is_in_exactly_one_place,
        "places ever given = waiting + admitted + ended";
    an_admitted_person_joins_again: ["join-admitted"] q3_everybody_is_in_exactly_one_place,
        "people found in line, and their number";

    a_join_that_is_sent_again_loses_the_place: ["join-waiting"] q4_a_join_may_be_sent_any_number_of_times,
        "places given", "right: 100";
    a_join_whose_answer_was_lost_counts_twice: ["join-waiting"] q8_a_lost_answer_may_be_asked_for_again,
        "a join that was sent again led to Waiting", "new: true";
    who_was_told_to_go_joins_by_accident: ["join-resume"] q4_a_place_is_resumed_or_its_end_is_told,
        "the place has ended", "left: [Waiting";

    dispatchers_together_exceed_the_pace: ["tick-pace"] q5_many_dispatchers_together_keep_the_pace,
        "admissions within 0 ms at 200 a second with a burst of 30", "left: 250";
    newcomers_exceed_the_pace: ["join-pace"] q5_quiet_time_is_not_saved_up_beyond_the_burst,
        "admitted at once, with a burst of 5", "left: 50";
    quiet_time_is_saved_up: ["pace-burst"] q5_quiet_time_is_not_saved_up_beyond_the_burst,
        "admitted at once, with a burst of 5", "left: 50";
    a_clock_that_goes_back_stops_the_line: ["pace-clock"] q5_neither_a_pause_nor_a_clock_step_lends_admissions,
        "a fifth of a second later", "left: 0";

    a_stale_fence_claims: ["claim-fence"] q8_a_claim_holds_whoever_hears_of_it,
        "left: Done(Lease", "right: Stale";
    a_stale_fence_completes: ["complete-fence"] q8_a_claim_holds_whoever_hears_of_it,
        "left: Done(())", "right: Stale";
    a_stale_fence_leaves: ["leave-fence"] q8_a_claim_holds_whoever_hears_of_it,
        "left: Admitted", "right: Stale";
    a_lapsed_admission_ends_without_a_reason: ["lapsed-lease"] q8_a_claim_holds_whoever_hears_of_it,
        "at its end", "right: Ended { reason: Expired }";
    a_completion_whose_answer_was_lost_is_refused: ["complete-again"] q8_a_lost_answer_may_be_asked_for_again,
        "completed is completed";

    an_outage_costs_places: ["outage-away"] q8_time_lost_to_an_outage_costs_nobody_a_place,
        "after 3600000 ms were lost", "left: (0, 2, 0)";
    an_outage_costs_admissions: ["outage-claim"] q8_time_lost_to_an_outage_costs_nobody_a_place,
        "after 3600000 ms were lost", "left: (1, 0, 1)";
    an_outage_is_not_noticed: ["outage-grace"] q8_time_lost_to_an_outage_costs_nobody_a_place,
        "after 3600000 ms were lost", "left: (1, 2, 1)";
    an_outage_costs_brokers: ["take-over-outage"] q8_time_lost_to_an_outage_costs_nobody_a_place,
        "left: Moved { people: 1, more: false }";
    a_claim_after_an_outage_comes_too_late: ["outage-late-claim"] q8_an_admission_outlives_an_outage_that_no_tick_has_seen,
        "an hour of no store ended an admission: Ended { reason: Expired }";
    a_newcomer_after_an_outage_takes_an_admission: ["join-outage"] q8_an_admission_outlives_an_outage_that_no_tick_has_seen,
        "user-1 should wait, but is Admitted";

    a_live_broker_is_taken_over: ["take-over-deadline"] q8_people_of_a_dead_broker_keep_their_place_for_the_grace,
        "within its lease", "left: Moved { people: 4, more: false }";
    who_went_to_another_broker_is_taken_over: ["take-over-owner"] q8_people_of_a_dead_broker_keep_their_place_for_the_grace,
        "left: Moved { people: 5, more: false }";
    a_broker_that_is_taken_over_lives_on: ["take-over-mark"] q8_a_take_over_may_stop_in_the_middle,
        "left: Observed", "right: BrokerLapsed";
    a_lapsed_broker_is_not_told: ["observe-lapsed"] q8_a_broker_that_was_taken_over_comes_back,
        "left: Observed", "right: BrokerLapsed";
    a_lapsed_broker_takes_newcomers: ["join-lapsed"] q8_a_take_over_may_stop_in_the_middle,
        "left: [Waiting", "right: [BrokerLapsed]";
    an_incarnation_takes_people_from_another_broker: ["attach-owner"] q8_a_broker_that_was_taken_over_comes_back,
        "left: [Owner, NoPlace, Owner, Owner]";
    people_are_attached_to_a_dead_incarnation: ["attach-lapsed"] q8_connections_stay_away_from_an_incarnation_that_lapsed,
        "nobody watches over this incarnation any more", "left: [Owner]";
    a_late_disconnect_starts_the_grace: ["disconnect-owner"] q8_a_late_disconnect_changes_nothing,
        "left: None", "ConnId(3)";
    a_late_disconnect_hides_a_newer_stream: ["disconnect-newer"] q8_a_newer_stream_dies_with_its_broker,
        "nobody has been there for longer than the grace", "left: Waiting";
    a_poll_beside_a_stream_starts_the_grace: ["poll-beside-stream"] q8_a_late_disconnect_changes_nothing,
        "Gone { reason: Left, fence: 0 }";

    a_replaced_config_is_gone_by: ["stale-config"] a_config_that_another_process_changed_is_honoured,
        "by an old config and by the new one";
    a_line_outgrows_its_limit: ["join-full"] a_line_takes_as_many_as_its_config_allows,
        "40 people wait where 13 may";
    people_are_left_in_a_lane_that_is_gone: ["save-lane"] a_room_is_made_changed_and_listed,
        "left: Changed", "right: LaneNotEmpty";

    latecomers_are_drawn: ["join-opens"] draw_who_joins_at_the_opening_is_not_drawn,
        "somebody who joined at the opening was drawn";
    a_draw_moves_under_those_who_stand_in_it: ["draw-frozen"] draw_settings_freeze_at_the_first_join,
        "the time of a draw in which somebody stands", "left: Changed";
    a_key_that_is_known_draws: ["draw-known-key"] draw_a_key_that_was_made_known_is_not_used_again,
        "a key that everybody knows draws again";
}

/// Guards that a whole Redis is needed for; each has a test below.
const OF_A_FLUSH: &[&str] = &["fence-of-lost-room", "save-outlived"];

/// Checks of what is no race: what they check is the work of a verb, and no line stands guard over it.
const NO_RACE: &[(&str, &str)] = &[
    (
        "a_room_that_does_not_exist_answers_nothing",
        "without a room there is nothing to race for",
    ),
    (
        "q2_a_lane_keeps_its_order_and_lanes_share_by_weight",
        "the order is that of a sorted set, popped by one script",
    ),
    (
        "q2_who_comes_back_stands_at_the_back",
        "the sequence rises with each place",
    ),
    (
        "q3_every_end_has_its_reason",
        "each end is written by the script that ends",
    ),
    (
        "q7_the_state_says_who_may_move",
        "the table of states, one script a verb",
    ),
    (
        "q8_who_was_promoted_is_found_without_an_announcement",
        "the watermark is written with the lease, by one script",
    ),
];

#[test]
fn every_guard_has_a_row() {
    let rows = ROWS.iter().flat_map(|row| row.guards).chain(OF_A_FLUSH);
    let rows: BTreeSet<String> = rows.map(ToString::to_string).collect();
    assert_eq!(rows, guards());
}

#[test]
fn every_check_of_the_kit_has_a_row_or_a_reason() {
    let rows = ROWS.iter().map(|row| row.check);
    let named: Vec<&str> = rows
        .chain(NO_RACE.iter().map(|(check, _)| *check))
        .collect();
    let left: Vec<&str> = CHECKS
        .iter()
        .map(conformance::Check::name)
        .filter(|check| !named.contains(check))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
#[should_panic(expected = "no script has the guard \"tick-capcity\"")]
fn a_guard_that_does_not_exist_cannot_be_removed() {
    let _ = RedisStore::builder("redis://127.0.0.1:1").without_guard("tick-capcity");
}

async fn store(redis: &RedisServer, guards: &[&str], clock: &ManualClock) -> RedisStore {
    let builder = RedisStore::builder(redis.url())
        .response_timeout(BOUND)
        .clock(Arc::new(clock.clone()));
    let builder = guards
        .iter()
        .fold(builder, |builder, guard| builder.without_guard(guard));
    builder.connect().await.unwrap()
}

/// Runs a check of the kit over a store without these guards; it must fail, and say these words.
async fn fails(guards: &[&str], check: &str, words: &[&str]) {
    let redis = RedisServer::start().await;
    let run = conformance::run(check, async |clock| {
        let mut processes: Vec<Arc<dyn QueueStore>> = Vec::new();
        for _ in 0..PROCESSES {
            processes.push(Arc::new(store(&redis, guards, &clock).await));
        }
        Subject::processes(processes)
    });
    let said = failure(run).await;
    let said = said.unwrap_or_else(|| panic!("{check} holds without {guards:?}"));
    for word in words {
        assert!(
            said.contains(word),
            "without {guards:?} another failure than {word:?} was shown: {said}"
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

fn event() -> EventId {
    EventId::new("flushed").unwrap()
}

fn user(index: usize) -> UserId {
    UserId::new(format!("user-{index}")).unwrap()
}

async fn join(store: &RedisStore, index: usize) -> JoinReply {
    let request = JoinRequest {
        user: user(index),
        lane: None,
        presence: Presence::Poll,
        resume: None,
    };
    let replies = store.join(&event(), &[request]).await.unwrap().unwrap();
    replies.into_iter().next().unwrap()
}

async fn make(store: &RedisStore) {
    let config = RoomConfig::builder().capacity(1).build().unwrap();
    store.save_room(&event(), &config).await.unwrap();
}

/// Redis loses everything, and the same person is admitted again: the old admission is good for nothing.
async fn a_fence_of_a_lost_room_is_not_given_again(guards: &[&str]) {
    let redis = RedisServer::start().await;
    let clock = ManualClock::at(START_MS);
    let store = store(&redis, guards, &clock).await;
    let mut fences = Vec::new();
    for _ in 0..2 {
        make(&store).await;
        match join(&store, 0).await {
            JoinReply::Admitted { lease, .. } => fences.push(lease.fence),
            other => panic!("{other:?}"),
        }
        redis.cli(&["FLUSHALL"]).await;
        clock.advance(Duration::from_secs(1));
    }
    make(&store).await;
    join(&store, 0).await;
    let old = store.claim(&event(), &user(0), fences[0]).await;
    assert_eq!(
        old.unwrap().unwrap(),
        Fenced::Stale,
        "the admission of a lost room with fence {} claims one of the new room",
        fences[0]
    );
}

/// Redis loses the room, and not who waits in it: they stay ahead of who comes later.
async fn places_that_outlive_their_room_stay_ahead(guards: &[&str]) {
    let redis = RedisServer::start().await;
    let store = store(&redis, guards, &ManualClock::at(START_MS)).await;
    make(&store).await;
    for index in 0..4 {
        join(&store, index).await;
    }
    redis.cli(&["DEL", "ticketon:{flushed}:room"]).await;
    make(&store).await;
    match join(&store, 4).await {
        JoinReply::Waiting { place, .. } => assert_eq!(
            place.position,
            Some(4),
            "a newcomer stands among those who were there before"
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_rooms_fence_is_given_again() {
    a_fence_of_a_lost_room_is_not_given_again(&[]).await;
    let said = failure(a_fence_of_a_lost_room_is_not_given_again(&[
        "fence-of-lost-room",
    ]))
    .await;
    let said = said.expect("without the guard it fails");
    assert!(
        said.contains("with fence 1 claims one of the new room"),
        "{said}"
    );
}

#[tokio::test]
async fn newcomers_stand_among_those_who_outlived_their_room() {
    places_that_outlive_their_room_stay_ahead(&[]).await;
    let said = failure(places_that_outlive_their_room_stay_ahead(&[
        "save-outlived",
    ]))
    .await;
    let said = said.expect("without the guard it fails");
    assert!(said.contains("a newcomer stands among those"), "{said}");
}
