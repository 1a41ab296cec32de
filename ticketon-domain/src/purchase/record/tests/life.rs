//! Random commands, sensible and not: after each, the order is what its events make of it.

use proptest::prelude::*;

use super::*;
use crate::purchase::RefundId;

/// What a command is made of, whatever the order is by then.
#[derive(Debug, Clone)]
struct Ask {
    what: u8,
    /// In most cases `false`: the wrong key, the wrong person, an older lease.
    odd: bool,
    odd_too: bool,
    number: u8,
    ms: i64,
}

fn ask() -> impl Strategy<Value = Ask> {
    let ms = prop_oneof![0..2_000_i64, Just(LEASE_MS), Just(WINDOW_MS)];
    let rare = || prop::bool::weighted(0.1);
    (0..32_u8, rare(), rare(), 0..4_u8, ms).prop_map(|(what, odd, odd_too, number, ms)| Ask {
        what,
        odd,
        odd_too,
        number,
        ms,
    })
}

/// The command; `None` lets time pass.
fn command(shelf: &Shelf, ask: &Ask) -> Option<Command> {
    let fence = shelf.fence().saturating_sub(u64::from(ask.odd));
    let user = match ask.odd {
        true => UserId::new("bob").unwrap(),
        false => ann(),
    };
    let refund_id = RefundId::derive(&order_id(), u32::from(ask.number));
    let why = || "why".to_owned();
    Some(match ask.what {
        0..=4 => return None,
        5..=8 => Command::Confirm {
            user,
            provider: "bank".to_owned(),
            key: key(if ask.odd_too { "pay-2" } else { "pay-1" }),
            amount: AMOUNT - u64::from(ask.number == 3),
            lease_ms: LEASE_MS,
        },
        9..=13 => take_up(),
        14..=16 => paid(fence),
        17 => fail((!ask.odd_too).then_some(fence), shelf.now_ms),
        18 => Command::PutOff {
            fence,
            next_ms: shelf.now_ms + ask.ms,
            code: why(),
            detail: why(),
            attend: ask.odd_too,
            new_key: ask.number == 0,
        },
        19 if ask.number == 0 => Command::Cancel { user },
        20 => Command::Expire,
        21..=23 => Command::Refund {
            user: (!ask.odd_too).then_some(user),
            tickets: match ask.number {
                3 => Vec::new(),
                number => vec![ticket(usize::from(number))],
            },
            reason: why(),
            request: (ask.number == 2).then(why),
        },
        24..=26 => Command::Refunded {
            fence,
            refund: refund_id,
            transaction_key: why(),
        },
        27 => Command::RefundRefused {
            fence,
            refund: refund_id,
            code: why(),
            message: why(),
        },
        28 => Command::LateChecked {
            fence,
            charged: ask.odd_too,
        },
        29 => Command::CheckIn {
            ticket: ticket(usize::from(ask.number)),
            request: ask.odd.then(why),
        },
        30 => Command::Attend {
            code: why(),
            detail: why(),
        },
        31 if ask.odd_too => Command::LookNow,
        32 if ask.odd_too => Command::Settle {
            missing: u64::from(ask.number),
        },
        _ => Command::Retry,
    })
}

fn live(asks: &[Ask]) -> Shelf {
    let mut shelf = Shelf::new();
    for ask in asks {
        let Some(command) = command(&shelf, ask) else {
            shelf.now_ms += ask.ms;
            continue;
        };
        // A result that does not belong to the state is a fault of the program, and is refused as well.
        let decided = shelf.record.decide(&command, shelf.now_ms);
        if !matches!(decided, Err(Refused::Impossible(_))) {
            let _ = shelf.ask(&command);
        }
    }
    shelf
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn an_order_is_what_its_events_make_of_it(asks in prop::collection::vec(ask(), 1..80)) {
        live(&asks);
    }

    #[test]
    fn whatever_is_open_ends_when_somebody_works_on_it(
        asks in prop::collection::vec(ask(), 1..80),
        charged in any::<bool>(),
    ) {
        let mut shelf = live(&asks);
        for _ in 0..60 {
            let Some(due_ms) = shelf.record.due_ms() else {
                break;
            };
            shelf.now_ms = shelf.now_ms.max(due_ms);
            if shelf.record.order.state == OrderState::Pending {
                shelf = shelf.ok(&Command::Expire);
                continue;
            }
            shelf = shelf.ok(&take_up());
            let done = match shelf.record.order.state {
                OrderState::Confirming if charged => paid(shelf.fence()),
                OrderState::Confirming => fail(Some(shelf.fence()), shelf.now_ms),
                _ if shelf.record.order.open_refunds().next().is_some() => refunded(&shelf),
                _ => late_checked(&shelf, charged),
            };
            shelf = shelf.ok(&done);
        }
        prop_assert_eq!(shelf.record.due_ms(), None);
        let state = shelf.record.order.state;
        prop_assert!(!matches!(state, OrderState::Pending | OrderState::Confirming));
        prop_assert!(!charged || state != OrderState::Failed || shelf.record.order.payment.is_none()
            || shelf.record.order.refunds.iter().any(|refund| refund.state == RefundState::Refused)
            || shelf.record.work.late_check_ms.is_none());
    }
}
