//! The HTTP contract of purchases, as clients see it: one suite, run against a program of each framework.
//!
//! Each test starts its own program with orders in a file of its own, so tests share nothing. A test that belongs to
//! the suite is in the list below, once, and runs as `axum::<name>` and `actix::<name>`.

// A failed unwrap in a test is the failure itself.
#![allow(clippy::unwrap_used)]

mod access;
mod buying;
mod client;
mod foreign;
mod input;
mod once;
mod operators;
mod pages;
mod refunds;
mod shop;
mod tickets;
mod webhooks;

/// The page for client writers has every route and every code.
#[test]
fn what_is_served_is_documented() {
    use ticketon_domain::http as contract;
    let page = include_str!("../../../docs/purchase.md");
    let tables = [
        contract::PURCHASE_ROUTES,
        contract::PURCHASE_ADMIN_ROUTES,
        contract::TOSS_ROUTES,
    ];
    for route in tables.into_iter().flatten() {
        let row = format!("| `{} {}` |", route.method, route.path);
        assert!(page.contains(&row), "{row}");
    }
    for code in [
        contract::AMOUNT_MISMATCH,
        contract::FAULT,
        contract::HOLD_ENDED,
        contract::IDEMPOTENCY_MISMATCH,
        contract::MAP_NOT_READY,
        contract::NOT_PAYABLE,
        contract::NOTHING_TO_REFUND,
        contract::ORDER_EXPIRED,
        contract::ORDER_STATE,
        contract::OTHER_EVENT,
        contract::PAYMENT_DECLINED,
        contract::PAYMENT_TAKEN,
        contract::PROVIDER_UNAVAILABLE,
        contract::SALE_CLOSED,
        contract::SALES_CHANGED,
        contract::SEATS_TAKEN,
        contract::STILL_RUNNING,
        contract::TICKET_STATE,
        contract::UNKNOWN_HOLD,
        contract::UNKNOWN_ORDER,
        contract::UNKNOWN_TICKET,
    ] {
        let (status, name) = (code.status().as_u16(), code.as_str());
        let row = |line: &str| {
            line.starts_with(&format!("| {status} |")) && line.contains(&format!("`{name}`"))
        };
        assert!(page.lines().any(row), "{status} {name}");
    }
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
    buying:
        an_order_is_made_of_a_hold,
        a_payment_makes_tickets,
        a_declined_payment_is_final,
        a_payment_that_is_not_decided_is_looked_at_again,
        a_lost_answer_is_paid_once,
        the_amount_is_only_compared,
        a_payment_belongs_to_one_order,
        an_order_is_given_up,
        an_order_that_was_not_paid_in_time_is_gone,
        a_changed_sale_is_not_sold,
        holds_that_cannot_be_bought_say_why;
    once:
        a_key_is_required,
        a_retry_gets_the_same_answer,
        a_refusal_is_given_again,
        another_request_needs_another_key,
        a_key_keeps_its_request_while_nothing_is_decided,
        a_running_request_is_waited_for,
        who_hangs_up_finds_it_done,
        a_crash_frees_the_key,
        many_at_once_charge_once;
    refunds:
        all_is_given_back,
        tickets_are_given_back_one_by_one,
        a_retry_of_a_refund_is_told_what_came_of_it,
        what_cannot_be_given_back_is_refused;
    tickets:
        tickets_carry_their_codes,
        a_code_is_drawn,
        the_gate_opens_once,
        a_gate_names_its_event_and_its_scan,
        what_is_no_good_ticket_is_refused;
    foreign:
        orders_of_others_do_not_exist,
        another_site_can_do_nothing;
    input:
        what_cannot_be_read_is_named_in_full,
        bad_ids_are_named,
        bodies_over_the_limit_are_too_large,
        wrong_methods_and_paths_are_told;
    pages:
        orders_come_by_pages,
        tickets_come_by_pages,
        what_pages_is_checked;
    operators:
        an_order_tells_its_story,
        orders_that_need_somebody_are_listed,
        an_operator_gives_money_back;
    webhooks:
        hints_may_come_in_any_order,
        a_forged_hint_changes_nothing,
        what_is_no_hint_is_refused;
    access:
        every_route_keeps_its_rule;
    client:
        a_client_in_another_language_buys_and_gives_back;
}
