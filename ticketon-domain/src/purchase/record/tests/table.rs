//! Which command is granted in which state: a table, and everything else is refused and changes nothing.

use super::*;

/// The commands, and the shelves in which each is granted. All others refuse it.
const GRANTED: &[(&str, &[&str])] = &[
    ("confirm", &["pending", "put off"]),
    ("confirm with another key", &["pending"]),
    ("confirm by another person", &[]),
    ("confirm another amount", &[]),
    ("take up", &["refunding"]),
    ("paid", &["confirming"]),
    ("fail", &["confirming"]),
    ("fail before it began", &["pending"]),
    ("put off", AT_WORK),
    ("cancel", &["pending"]),
    ("cancel by another person", &[]),
    ("expire", &[]),
    ("refund one", PAID),
    ("refund all", PAID),
    ("refund by another person", &[]),
    ("refunded", GIVING_BACK),
    ("refund refused", GIVING_BACK),
    ("not charged", &["checking late"]),
    ("charged", &["checking late"]),
    ("check in", PAID),
    ("check in another order's ticket", &[]),
    ("look now", &["put off", "failed", "checked late"]),
    (
        "retry",
        &["pending", "put off", "failed", "refunding", "checked late"],
    ),
    ("settle", &["refused"]),
    ("renew", AT_WORK),
];
const PAID: &[&str] = &["paid", "partially refunded", "refunding", "refunding now"];
const GIVING_BACK: &[&str] = &["refunding now", "refunding the rest", "charged late"];
const AT_WORK: &[&str] = &[
    "confirming",
    "refunding now",
    "refunding the rest",
    "checking late",
    "charged late",
];

fn commands(shelf: &Shelf) -> Vec<(&'static str, Command)> {
    let bob = || UserId::new("bob").unwrap();
    let fence = shelf.fence();
    let confirm_of = |user: UserId, name: &str, amount: u64| Command::Confirm {
        user,
        provider: "bank".to_owned(),
        key: key(name),
        amount,
        lease_ms: LEASE_MS,
    };
    let other = TicketId::from_bytes([9; 16]);
    let check_in = |ticket| Command::CheckIn {
        ticket,
        request: None,
    };
    vec![
        ("confirm", confirm()),
        (
            "confirm with another key",
            confirm_of(ann(), "pay-2", AMOUNT),
        ),
        (
            "confirm by another person",
            confirm_of(bob(), "pay-1", AMOUNT),
        ),
        (
            "confirm another amount",
            confirm_of(ann(), "pay-1", AMOUNT - 1),
        ),
        ("take up", take_up()),
        ("paid", paid(fence)),
        ("fail", fail(Some(fence), shelf.now_ms)),
        ("fail before it began", fail(None, shelf.now_ms)),
        ("put off", put_off(fence)),
        ("cancel", Command::Cancel { user: ann() }),
        ("cancel by another person", Command::Cancel { user: bob() }),
        ("expire", Command::Expire),
        ("refund one", refund(&[ticket(1), ticket(1)])),
        ("refund all", refund(&[])),
        ("refund by another person", refund_by(&bob(), &[])),
        ("refunded", refunded(shelf)),
        ("refund refused", refund_refused(shelf)),
        ("not charged", late_checked(shelf, false)),
        ("charged", late_checked(shelf, true)),
        ("check in", check_in(ticket(2))),
        ("check in another order's ticket", check_in(other)),
        ("look now", Command::LookNow),
        ("retry", Command::Retry),
        ("settle", Command::Settle { missing: 1 }),
        (
            "renew",
            Command::Renew {
                fence,
                lease_ms: LEASE_MS,
            },
        ),
    ]
}

#[test]
fn every_command_in_every_state_is_as_the_table_says() {
    let shelves = shelves();
    let mut tried = 0;
    for (state, shelf) in &shelves {
        for (name, command) in commands(shelf) {
            let row = GRANTED.iter().find(|(one, _)| *one == name);
            let granted = row.unwrap_or_else(|| panic!("{name} is in the table")).1;
            let decided = shelf.record.decide(&command, shelf.now_ms);
            assert_eq!(
                decided.is_ok(),
                granted.contains(state),
                "{name} of an order that is {state}: {decided:?}"
            );
            if decided.is_ok() {
                shelf.clone().ask(&command).unwrap();
            }
            tried += 1;
        }
    }
    assert_eq!(tried, shelves.len() * GRANTED.len());
    let states: std::collections::BTreeSet<_> = shelves
        .iter()
        .map(|(_, shelf)| shelf.record.order.state)
        .collect();
    assert_eq!(states.len(), OrderState::ALL.len(), "every state is tried");
}

#[test]
fn the_result_of_an_older_lease_is_refused() {
    for (state, shelf) in shelves() {
        // What somebody else had before, who does not know that the order was taken over.
        let mut stale = shelf.clone();
        stale.record.work.fence = stale.record.work.fence.saturating_sub(1);
        let results = ["paid", "fail", "put off", "refunded", "refund refused"];
        for (name, command) in commands(&stale) {
            if !results.contains(&name) && !["charged", "not charged"].contains(&name) {
                continue;
            }
            let decided = shelf.record.decide(&command, shelf.now_ms);
            assert!(
                matches!(decided, Err(Refused::Fenced | Refused::State { .. })),
                "{name} under an older lease of an order that is {state}: {decided:?}"
            );
        }
    }
}

#[test]
fn two_refunds_of_one_payment_keep_their_distance() {
    let shelf = Shelf::new()
        .ok(&confirm())
        .ok(&paid(1))
        .ok(&refund(&[ticket(0)]))
        .ok(&refund(&[ticket(1)]))
        .ok(&take_up());
    let mut shelf = shelf.clone().ok(&refunded(&shelf));
    assert_eq!(shelf.ask(&take_up()), Err(Refused::NotDue));
    shelf.now_ms += 1_199;
    assert_eq!(shelf.ask(&take_up()), Err(Refused::NotDue));
    shelf.now_ms += 1;
    assert_eq!(shelf.ask(&take_up()), Ok(()));
}

#[test]
fn a_lapsed_lease_is_taken_over_and_a_live_one_is_not() {
    let mut shelf = Shelf::new().ok(&confirm());
    for command in [take_up(), confirm(), Command::Retry, Command::LookNow] {
        assert!(shelf.ask(&command).is_err(), "{command:?}");
    }
    shelf.now_ms += LEASE_MS;
    let mut late = shelf.clone().ok(&take_up());
    assert_eq!(late.fence(), 2);
    assert_eq!(late.ask(&paid(1)), Err(Refused::Fenced));
    assert_eq!(late.ask(&paid(2)), Ok(()));
    // Nobody took over: whoever had the lease may still say what came of it.
    assert_eq!(shelf.ask(&paid(1)), Ok(()));
}

#[test]
fn a_payment_cannot_begin_when_its_time_is_over() {
    let pay_until_ms = START_MS + PAY_MS;
    let mut shelf = Shelf::new().at(pay_until_ms);
    assert_eq!(
        shelf.ask(&confirm()),
        Err(Refused::TooLate { pay_until_ms })
    );
    assert_eq!(Shelf::new().ask(&Command::Expire), Err(Refused::NotDue));
}

#[test]
fn an_operators_early_look_does_not_replace_the_late_one() {
    let shelf = Shelf::new().ok(&confirm()).ok(&fail(Some(1), START_MS));
    let shelf = shelf
        .at(START_MS + 1_000)
        .ok(&Command::Retry)
        .ok(&take_up());
    let shelf = shelf.clone().ok(&late_checked(&shelf, false));
    // A charge that was under way may still arrive within the provider's window.
    assert_eq!(shelf.record.due_ms(), Some(START_MS + WINDOW_MS));
    let shelf = shelf.at(START_MS + WINDOW_MS).ok(&take_up());
    let shelf = shelf.clone().ok(&late_checked(&shelf, false));
    assert_eq!(shelf.record.due_ms(), None);
}

#[test]
fn a_hint_does_not_make_an_order_forget_what_it_tried() {
    let mut shelf = Shelf::new().ok(&confirm());
    for _ in 0..20 {
        let fence = shelf.fence();
        shelf = shelf
            .ok(&put_off(fence))
            .ok(&Command::LookNow)
            .ok(&take_up());
    }
    assert_eq!(shelf.record.work.attempts, 20);
    assert!(shelf.record.work.attention.is_some());
}

#[test]
fn what_the_provider_refuses_again_and_again_is_an_operators_to_ask() {
    let mut shelf = Shelf::new().ok(&confirm()).ok(&paid(1));
    for _ in 0..MAX_REFUSED {
        shelf.now_ms += 1_200;
        let asked = shelf.clone().ok(&refund(&[ticket(1)])).ok(&take_up());
        shelf = asked.clone().ok(&refund_refused(&asked));
    }
    assert_eq!(
        shelf.clone().ask(&refund(&[ticket(1)])),
        Err(Refused::NothingToRefund)
    );
    let by_operator = Command::Refund {
        user: None,
        tickets: vec![ticket(1)],
        reason: "the provider was called".to_owned(),
        request: None,
    };
    shelf.now_ms += 1_200;
    let asked = shelf.ok(&by_operator).ok(&take_up());
    let ended = asked.clone().ok(&refunded(&asked));
    assert_eq!(ended.record.order.state, OrderState::PartiallyRefunded);
}

#[test]
fn a_ticket_that_cost_nothing_can_be_given_back() {
    let mut shelf = Shelf::priced([0, 70_000, 0]);
    let confirm = Command::Confirm {
        user: ann(),
        provider: "bank".to_owned(),
        key: key("pay-1"),
        amount: 70_000,
        lease_ms: LEASE_MS,
    };
    shelf = shelf.ok(&confirm).ok(&paid(1));
    let mut give_back = |tickets: &[TicketId]| {
        shelf.now_ms += 1_200;
        let asked = shelf.clone().ok(&refund(tickets)).ok(&take_up());
        shelf = asked.clone().ok(&refunded(&asked));
        shelf.record.order.state
    };
    assert_eq!(give_back(&[ticket(0)]), OrderState::PartiallyRefunded);
    assert_eq!(give_back(&[ticket(1)]), OrderState::PartiallyRefunded);
    assert_eq!(give_back(&[ticket(2)]), OrderState::Refunded);
}
