//! The HTTP contract, as clients see it: one suite, run against a program of each framework.
//!
//! Each test starts its own program with rooms in memory, so tests share nothing. A test that
//! belongs to the suite is in the list below, once, and runs as `axum::<name>` and `actix::<name>`.

// A failed unwrap in a test is the failure itself.
#![allow(clippy::unwrap_used)]

mod draw;
mod ending;
mod guarded;
mod joining;
mod leaving;
mod operators;
mod outage;
mod refused;
mod shared;
mod shop;

/// Runs each test of the list against both programs.
macro_rules! suite {
    ($($group:ident: $($test:ident),+;)+) => {
        mod axum {
            $($(#[tokio::test]
            async fn $test() {
                super::$group::$test("axum-guard").await;
            })+)+
        }
        mod actix {
            $($(#[tokio::test]
            async fn $test() {
                super::$group::$test("actix-guard").await;
            })+)+
        }
    };
}

suite! {
    joining:
        a_stream_says_waiting_then_admitted,
        a_poll_answers_202_then_200,
        positions_count_from_one,
        a_reload_keeps_the_place,
        a_newer_stream_replaces_the_older,
        looking_never_joins,
        status_looks_without_joining,
        a_full_room_says_when_to_retry,
        an_unknown_event_is_404,
        who_is_not_identified_is_401,
        a_guest_gets_one_cookie;
    leaving:
        leaving_closes_the_stream,
        an_ended_place_is_not_joined_again,
        a_place_of_an_older_epoch_joins_again,
        a_dropped_connection_starts_the_grace,
        another_site_cannot_make_people_leave;
    guarded:
        the_first_call_claims_and_later_ones_pass,
        without_admission_people_are_redirected_and_calls_refused,
        no_other_token_opens_the_door,
        buying_completes_the_admission,
        another_site_cannot_use_the_cookie,
        the_own_lease_can_be_seen;
    refused:
        bad_ids_are_named,
        unusual_ids_are_taken,
        undecodable_paths_are_malformed,
        broken_bodies_are_malformed,
        bodies_over_the_limit_are_too_large,
        unknown_config_fields_are_named,
        config_fields_out_of_range_are_named,
        wrong_methods_are_405,
        unknown_paths_are_404;
    operators:
        operators_need_the_token,
        a_paused_room_admits_nobody,
        a_draining_room_admits_who_waits,
        a_sold_out_room_tells_who_waits,
        a_closed_room_ends_places_but_no_admission,
        a_scheduled_room_opens_on_demand,
        changes_that_make_no_sense_are_conflicts,
        rooms_are_listed_by_pages,
        numbers_count_what_happened;
    draw:
        a_draw_is_published_step_by_step,
        a_draw_tells_no_place_before_it,
        a_draw_needs_its_time;
    shared:
        processes_share_rooms_in_redis;
    outage:
        a_door_stays_shut_while_the_store_is_down,
        a_door_that_fails_open_lets_so_many_in_a_second,
        an_offline_door_asks_no_store;
    ending:
        a_stop_asks_people_to_reconnect,
        wrong_settings_are_named;
}
