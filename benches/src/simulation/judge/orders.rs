//! The promises of orders and money, of answers, events and the audit.

use std::collections::{BTreeMap, HashMap, HashSet};

use ticketon_domain::purchase::OrderState;

use super::super::evidence::{Charge, Evidence, Order, Told};
use super::{Case, Verdict, number};

pub(super) fn decided(evidence: &Evidence) -> Verdict {
    let mut case = Case::of(
        "P2",
        "every order ends paid with tickets, unpaid, or refunded",
    );
    let orders = &evidence.orders;
    let count = |is: fn(&&Order) -> bool| orders.iter().filter(is).count() as u64;
    case.never(
        u64::from(!evidence.at_rest),
        "sale that did not come to rest",
    );
    let pending =
        |order: &&Order| matches!(order.state, OrderState::Pending | OrderState::Confirming);
    case.never(count(pending), "orders are not decided");
    case.never(
        count(|order| order.open),
        "orders have something left to do",
    );
    case.never(
        count(|order| order.column != order.state.as_str()),
        "orders are in another state by their column",
    );
    case.never(
        count(|order| order.live_tickets != order.expected_tickets),
        "orders have other tickets than they say",
    );
    let good = |order: &&Order| order.state == OrderState::Paid && order.live_tickets == 0;
    case.never(count(good), "paid orders have no tickets");
    let dead = |order: &&Order| !order.state.claims_hold() && order.live_tickets > 0;
    case.never(count(dead), "orders that are not paid have live tickets");
    case.never(
        count(|order| order.attention.is_some()),
        "orders wait for an operator",
    );
    case.needs(count(|order| order.state == OrderState::Paid), "paid order");
    let mut states: BTreeMap<OrderState, u64> = BTreeMap::new();
    for order in orders {
        *states.entry(order.state).or_default() += 1;
    }
    let states: Vec<String> = states
        .iter()
        .map(|(state, count)| format!("{} {state}", number(*count)))
        .collect();
    case.close(format!(
        "{} orders, all decided: {}",
        number(orders.len() as u64),
        states.join(", ")
    ))
}

pub(super) fn money(evidence: &Evidence) -> Verdict {
    let mut case = Case::of(
        "P2",
        "the provider's ledger and the orders agree: at most one charge",
    );
    let mut charges: HashMap<&str, Vec<&Charge>> = HashMap::new();
    for charge in evidence.payments.iter().filter(|charge| charge.charged > 0) {
        charges.entry(&charge.order).or_default().push(charge);
    }
    let (mut twice, mut wrong_amount, mut wrong_rest, mut kept) = (0, 0, 0, 0);
    let mut total = 0;
    for order in &evidence.orders {
        let of_order = charges.remove(order.id.as_str()).unwrap_or_default();
        twice += u64::from(of_order.len() > 1);
        wrong_amount += u64::from(of_order.iter().any(|charge| charge.charged != order.amount));
        let left: u64 = of_order.iter().map(|charge| charge.left).sum();
        total += left;
        match order.state {
            OrderState::Paid | OrderState::PartiallyRefunded | OrderState::Refunded => {
                wrong_rest += u64::from(left + order.refunded != order.amount);
            }
            _ => kept += u64::from(left > 0),
        }
    }
    case.never(twice, "orders were charged twice");
    case.never(wrong_amount, "charges have another amount than their order");
    case.never(wrong_rest, "orders have another balance at the provider");
    case.never(kept, "orders that are not paid keep money at the provider");
    case.never(charges.len() as u64, "charges have no order");
    let undecided = evidence
        .payments
        .iter()
        .filter(|charge| charge.undecided)
        .count();
    case.never(undecided as u64, "payments are not decided");
    let paid = |order: &Order| {
        matches!(
            order.state,
            OrderState::Paid | OrderState::PartiallyRefunded | OrderState::Refunded
        )
    };
    let known: HashSet<&str> = evidence
        .orders
        .iter()
        .filter(|order| paid(order))
        .map(|order| order.id.as_str())
        .collect();
    let forgotten = evidence
        .told
        .paid
        .iter()
        .filter(|order| !known.contains(order.as_str()))
        .count();
    case.never(
        forgotten as u64,
        "orders that somebody was told are paid are not",
    );
    case.needs(total, "charge");
    case.needs(
        evidence.told.paid.len() as u64,
        "person who was told that they paid",
    );
    case.close(format!(
        "{} payments; the provider has KRW {}, the sum of what is paid and not refunded",
        number(evidence.payments.len() as u64),
        number(total)
    ))
}

pub(super) fn prices(evidence: &Evidence) -> Verdict {
    let mut case = Case::of("P3", "the amount is the sum of the server's prices");
    let wrong = |order: &&Order| order.price != Some(order.amount) || order.lines != order.amount;
    case.never(
        evidence.orders.iter().filter(wrong).count() as u64,
        "orders cost something else than their seats",
    );
    case.never(evidence.told.haggled_taken, "lower amounts were taken");
    case.needs(evidence.orders.len() as u64, "order");
    case.needs(evidence.told.haggled, "lower offer");
    case.close(format!(
        "{} orders cost what the list says; {} lower offers refused",
        number(evidence.orders.len() as u64),
        number(evidence.told.haggled)
    ))
}

pub(super) fn same_answers(told: &Told) -> Verdict {
    let mut case = Case::of("P4", "same idempotency key, same answer");
    case.never(
        told.other_answers,
        "retries were answered otherwise than the first call",
    );
    case.never(
        told.mismatches_taken,
        "other requests under a used key were taken",
    );
    case.needs(told.same_answers, "retry");
    case.needs(told.mismatches_refused, "other request under a used key");
    case.close(format!(
        "{} retries answered to the letter, {} other requests under a used key refused",
        number(told.same_answers),
        number(told.mismatches_refused)
    ))
}

pub(super) fn access(told: &Told) -> Verdict {
    let mut case = Case::of("A2", "who may not call changes nothing");
    case.never(
        told.doors_opened,
        "calls about what is not theirs were answered, or had an effect",
    );
    case.needs(told.doors_closed, "call about what is somebody else's");
    case.close(format!(
        "{} calls about orders of others and of operators refused, without effect",
        number(told.doors_closed)
    ))
}

pub(super) fn events(evidence: &Evidence) -> Verdict {
    let mut case = Case::of("P5", "every event is delivered, in the order of its order");
    let outbox = &evidence.outbox;
    let consumed = &outbox.consumed;
    case.never(outbox.waiting, "events wait in the outbox");
    case.never(outbox.seat_messages, "messages wait for the map");
    case.never(
        consumed.gaps,
        "events came while others in front of them were missing",
    );
    case.never(
        u64::from(consumed.cut_off),
        "consumer was too slow for the test",
    );
    let expected = |order: &&Order| consumed.last.get(&order.id) != Some(&order.version);
    let behind = evidence.orders.iter().filter(expected).count() as u64;
    case.never(
        behind,
        "orders whose last event the consumer has not, or has too many of",
    );
    let unknown = consumed.last.len().saturating_sub(evidence.orders.len());
    case.never(
        unknown as u64,
        "orders that the consumer heard of do not exist",
    );
    case.needs(consumed.new, "event");
    case.close(format!(
        "{} events of {} orders without a gap, {} delivered again; the outbox is empty",
        number(consumed.new),
        number(consumed.last.len() as u64),
        number(consumed.again)
    ))
}

pub(super) fn audit(evidence: &Evidence) -> Verdict {
    let mut case = Case::of("A1", "the audit is whole, and makes every order what it is");
    let (audit, rebuilt) = (&evidence.audit, &evidence.rebuilt);
    let first = evidence.audit_finding.as_deref().unwrap_or("(not told)");
    let findings = audit.findings + rebuilt.findings;
    case.never(findings, &format!("findings, the first: {first}"));
    case.never(
        rebuilt.orders.abs_diff(evidence.orders.len() as u64),
        "orders more or fewer than were made anew",
    );
    case.never(audit.unsealed, "entries are not sealed at rest");
    case.needs(audit.entries, "entry");
    case.needs(audit.checkpoints, "checkpoint");
    let entries: u64 = evidence.orders.iter().map(|order| order.version).sum();
    case.never(
        audit.entries.abs_diff(entries),
        "entries more or fewer than things that happened",
    );
    case.close(format!(
        "{} entries of {} orders chained and sealed by {} checkpoints; {} orders made anew are what is stored",
        number(audit.entries),
        number(audit.orders),
        number(audit.checkpoints),
        number(rebuilt.orders)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn a_door_that_opens_is_noticed() {
        let mut told = Told::default();
        assert_eq!(access(&told).outcome, Outcome::NotShown);
        told.doors_closed = 20;
        assert!(access(&told).held());
        told.doors_opened = 1;
        assert_eq!(access(&told).outcome, Outcome::Broken);
    }
}
