//! The HTTP contract of events, the seat map and holds, as clients see it: one suite, run against a program of each
//! framework.
//!
//! Each test starts its own program with seats in memory, so tests share nothing. A test that belongs to the suite is
//! in the list below, once, and runs as `axum::<name>` and `actix::<name>`.

// A failed unwrap in a test is the failure itself.
#![allow(clippy::unwrap_used)]

mod access;
mod events;
mod holds;
mod keeping;
mod layouts;
mod maps;
mod operators;
mod refused;
mod shared;
mod shop;
mod updates;

/// The page for client writers has every route and every code.
#[test]
fn what_is_served_is_documented() {
    use ticketon_domain::http as contract;
    let page = include_str!("../../../docs/seats.md");
    for route in contract::ROUTES.iter().chain(contract::ADMIN_ROUTES) {
        let row = format!("| `{} {}` |", route.method, route.path);
        assert!(page.contains(&row), "{row}");
    }
    for code in [
        contract::HOLD_ENDED,
        contract::IDEMPOTENCY_MISMATCH,
        contract::LEAVES_ORPHAN,
        contract::MAP_NOT_READY,
        contract::NO_SEATS,
        contract::SALE_CLOSED,
        contract::SEATS_TAKEN,
        contract::UNKNOWN_HOLD,
        contract::USER_LIMIT,
    ] {
        let (status, name) = (code.status().as_u16(), code.as_str());
        let row = |line: &str| {
            line.starts_with(&format!("| {status} |")) && line.contains(&format!("`{name}`"))
        };
        assert!(page.lines().any(row), "{status} {name}");
    }
    assert!(page.contains(contract::SNAPSHOT_TYPE));
}

/// Runs each test of the list against both programs.
macro_rules! suite {
    ($($group:ident: $($test:ident),+;)+) => {
        mod axum {
            $($(#[tokio::test]
            async fn $test() {
                super::$group::$test(env!("CARGO_BIN_EXE_shop_axum")).await;
            })+)+
        }
        mod actix {
            $($(#[tokio::test]
            async fn $test() {
                super::$group::$test(env!("CARGO_BIN_EXE_shop_actix")).await;
            })+)+
        }
    };
}

suite! {
    events:
        events_are_listed_by_pages,
        an_event_is_shown_whole,
        unknown_events_and_drafts_are_404,
        what_selects_events_is_checked;
    maps:
        a_layout_is_kept_by_its_version,
        a_snapshot_has_two_forms,
        a_snapshot_is_known_by_its_tag,
        head_is_get_without_a_body;
    updates:
        updates_need_an_admission,
        changes_come_in_order_and_without_a_gap,
        who_knows_no_map_reads_it_first,
        a_reconnect_misses_nothing,
        a_gap_asks_to_read_the_map,
        a_since_that_cannot_be_read_is_named,
        a_stop_ends_streams;
    holds:
        seats_are_held_by_their_labels,
        the_best_available_fit_every_wish,
        units_of_an_area_are_held,
        a_retry_finds_its_hold,
        a_key_is_required,
        taken_seats_are_named,
        nothing_is_held_where_nothing_fits,
        limits_are_kept,
        what_cannot_be_read_is_named_in_full,
        what_the_venue_lacks_is_named,
        an_event_off_sale_sells_nothing,
        nobody_leaves_a_seat_alone_where_that_is_refused,
        a_handler_of_the_host_holds_seats;
    keeping:
        own_holds_are_ones_own,
        a_hold_is_extended_up_to_the_cap,
        a_release_may_be_repeated,
        nobody_else_touches_a_hold,
        an_ended_hold_says_why,
        another_site_can_do_nothing;
    access:
        every_route_keeps_its_rule;
    refused:
        bad_ids_are_named,
        bodies_over_the_limit_are_too_large,
        wrong_methods_are_405,
        unknown_paths_are_404;
    operators:
        operators_need_the_token,
        an_event_is_made_and_changed,
        changes_that_make_no_sense_are_conflicts,
        numbers_say_what_is_taken,
        blocked_seats_are_out_of_sale,
        labels_of_operators_are_checked,
        a_rebuild_keeps_what_lasts;
    layouts:
        a_bad_layout_is_refused_by_path,
        a_layout_survives_its_export,
        a_layout_is_sold_by_its_version;
    shared:
        processes_share_seats_in_redis,
        a_map_that_is_gone_is_not_ready,
        a_store_that_is_silent_is_unavailable;
}
