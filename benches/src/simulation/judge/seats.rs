//! The promises of seats, and of tickets on them.

use super::super::evidence::{Evidence, Map};
use super::{Case, Verdict, number};

pub(super) fn all_or_none(map: &Map) -> Verdict {
    let mut case = Case::of(
        "S1",
        "a hold takes all its seats or none; a seat has at most one holder",
    );
    case.never(
        map.two_holders.len() as u64,
        "seats had two holders at once",
    );
    if let Some(first) = map.two_holders.first() {
        case.wrong.push(first.clone());
    }
    case.needs(map.holds, "hold");
    case.needs(
        map.seats_again,
        "seat that somebody had after somebody else",
    );
    case.never(
        map.partial_holds,
        "holds have other seats than were asked for",
    );
    case.never(
        map.two_orders,
        "retries found another hold or order than the first call",
    );
    case.close(format!(
        "{} holds, each whole, each retry the same one; {} seats were held by several, one after the other",
        number(map.holds),
        number(map.seats_again)
    ))
}

pub(super) fn holder_alone(map: &Map) -> Verdict {
    let mut case = Case::of("S2", "only the holder releases, extends or buys");
    case.never(map.strangers_served, "times a stranger was served");
    case.needs(map.strangers_refused, "stranger who tried");
    case.close(format!(
        "strangers who knew a hold's id were refused {} times",
        number(map.strangers_refused)
    ))
}

pub(super) fn sums(map: &Map) -> Verdict {
    let mut case = Case::of("S3", "free + held + sold + blocked = seats");
    case.never(map.wrong_sums, "looks at which the states did not add up");
    case.never(
        map.sold_without_ticket,
        "seats are sold on the map and have no ticket",
    );
    case.never(
        map.ticket_not_sold,
        "tickets whose seat the map does not know as sold",
    );
    case.needs(map.looks, "look at the map");
    case.needs(map.sold, "seat that was sold");
    case.close(format!(
        "{} at each of {} looks; at the end {} sold on the map, and the same by their tickets",
        number(map.seats),
        number(map.looks),
        number(map.sold)
    ))
}

pub(super) fn freed(map: &Map) -> Verdict {
    let mut case = Case::of("S4", "a hold that ran out is free again");
    case.never(map.held, "seats are still held after all have gone home");
    case.needs(map.ran_out, "hold that was left to run out");
    case.close(format!(
        "{} holds were left to run out, and no seat is left held",
        number(map.ran_out)
    ))
}

pub(super) fn one_ticket(evidence: &Evidence) -> Verdict {
    let mut case = Case::of("P1", "at most one live ticket a seat");
    let tickets = &evidence.tickets;
    case.never(tickets.seats_with_two, "seats have two live tickets");
    case.never(
        tickets.live.saturating_sub(evidence.map.seats),
        "more live tickets than seats",
    );
    case.never(evidence.told.entered_twice, "tickets let two people in");
    case.needs(tickets.live, "live ticket");
    case.needs(evidence.told.entered, "ticket that was shown at the gate");
    case.close(format!(
        "{} live tickets on as many seats, by SQL; {} came in, nobody twice",
        number(tickets.live),
        number(evidence.told.entered)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn each_break_is_noticed_by_its_promise() {
        let map = Map {
            seats: 10,
            looks: 3,
            holds: 4,
            seats_again: 2,
            strangers_refused: 3,
            ran_out: 1,
            sold: 6,
            ..Map::default()
        };
        for judge in [all_or_none, holder_alone, sums, freed] {
            assert!(judge(&map).held());
        }
        let broken = |change: fn(&mut Map), judge: fn(&Map) -> Verdict| {
            let mut map = map.clone();
            change(&mut map);
            judge(&map).outcome == Outcome::Broken
        };
        assert!(broken(
            |map| map.two_holders.push("seat 1".to_owned()),
            all_or_none
        ));
        assert!(broken(|map| map.strangers_served = 1, holder_alone));
        assert!(broken(|map| map.partial_holds = 1, all_or_none));
        assert!(broken(|map| map.two_orders = 1, all_or_none));
        assert!(broken(|map| map.wrong_sums = 1, sums));
        assert!(broken(|map| map.sold_without_ticket = 1, sums));
        assert!(broken(|map| map.ticket_not_sold = 1, sums));
        assert!(broken(|map| map.held = 1, freed));
        for judge in [all_or_none, holder_alone, sums, freed] {
            assert_eq!(judge(&Map::default()).outcome, Outcome::NotShown);
        }
    }
}
