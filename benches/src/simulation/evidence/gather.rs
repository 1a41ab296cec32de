//! Asking the stores: the database by SQL of its own, the provider for its ledger, the map for its seats.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::audit::{Rebuilt, Verified, Verifier, rebuild};
use ticketon_domain::purchase::{OrderRecord, PaymentStatus};
use ticketon_domain::seat::SeatState;
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{Clock as _, SystemClock};

use super::super::diary::{Admitted, Diary, Ending, Held};
use super::super::faults::{self, Mark};
use super::super::moment::Moment;
use super::super::plan::LANES;
use super::super::world::World;
use super::{Charge, Evidence, Line, Map, Order, Outbox, Tickets, Told};

/// So many wait in a lane that it was not empty between two looks.
const CROWD: u64 = 5;
/// How often the room's numbers are read until they add up, at the most: until the last lease has ended, which lasts 15 s.
const LOOKS: usize = 250;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

impl Evidence {
    pub(in crate::simulation) async fn gather(
        world: &World,
        moments: &[Moment],
        marks: &[Mark],
        at_rest: bool,
    ) -> Self {
        let orders = orders(world).await;
        let (audit, rebuilt, audit_finding) = audit(world).await;
        let number = |sql| world.database.number(sql);
        Self {
            at_rest,
            faults: (marks.len(), faults::COUNT),
            line: line(world, moments).await,
            map: map(world, moments).await,
            tickets: Tickets {
                live: number("SELECT COUNT(*) FROM tickets WHERE live = 1").await,
                seats_with_two: number(
                    "SELECT COUNT(*) FROM (SELECT seat FROM tickets WHERE live = 1 GROUP BY event_id, seat \
                     HAVING COUNT(*) > 1) AS twice",
                )
                .await,
                used: number("SELECT COUNT(*) FROM tickets WHERE state = 'used'").await,
            },
            payments: payments(world, &orders).await,
            orders,
            told: told(&world.diary),
            outbox: Outbox {
                waiting: number("SELECT COUNT(*) FROM outbox").await,
                seat_messages: number("SELECT COUNT(*) FROM seat_messages").await,
                consumed: world.consumed(),
            },
            audit,
            rebuilt,
            audit_finding,
        }
    }
}

async fn line(world: &World, moments: &[Moment]) -> Line {
    let config = world.plan.room();
    let counters = &world.diary.counters;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let endings: HashMap<Ending, u64> = world.diary.endings().into_iter().collect();
    let mut line = Line {
        capacity: u64::from(config.capacity()),
        per_second: u64::from(config.admit_per_second()),
        burst: u64::from(config.admit_burst()),
        most_active: moments
            .iter()
            .map(|moment| moment.active)
            .max()
            .unwrap_or(0),
        looks: moments.len() as u64,
        admissions: world.diary.admissions(),
        longest_stall_ms: longest_stall(moments, u64::from(config.capacity())),
        joins: count(&counters.joins),
        second_places: count(&counters.second_places),
        vanished: count(&counters.vanished),
        positions: count(&counters.positions),
        positions_up: count(&counters.positions_up),
        joined_twice: count(&counters.joined_twice),
        waited_looks: moments.iter().filter(|moment| moment.waiting > 0).count() as u64,
        shares: shares(moments, &world.diary.admissions()),
        cut: count(&counters.cut_connections),
        found_again: count(&counters.found_again),
        lost_after_cut: count(&counters.lost_after_cut),
        faults_met: endings.get(&Ending::Fault).copied().unwrap_or(0),
        wrong_tokens_refused: counters.wrong_tokens_refused.load(Ordering::Relaxed),
        wrong_tokens_taken: counters.wrong_tokens_taken.load(Ordering::Relaxed),
        right_tokens_taken: counters.right_tokens_taken.load(Ordering::Relaxed),
        ..Line::default()
    };
    // A lease that ran out is neither active nor counted as expired until the next tick: then it is asked again.
    // Without a process there is no tick.
    let looks = if world.is_served() { LOOKS } else { 1 };
    for _ in 0..looks {
        let Some(numbers) = world.numbers().await else {
            break;
        };
        line.places = numbers.joined_total;
        line.admitted = numbers.admitted_total;
        let (waiting, active) = (numbers.waiting(), numbers.active);
        let (completed, expired) = (numbers.completed_total, numbers.expired_total);
        let left = numbers.left_total;
        line.accounted = waiting + active + completed + expired + left;
        line.account = format!(
            "{waiting} wait, {active} are in, {completed} have bought, {expired} ran out, {left} left"
        );
        if line.places == line.accounted {
            break;
        }
        SystemClock.sleep(BETWEEN_LOOKS).await;
    }
    line
}

/// The longest time in which somebody waited, a slot was free, and nobody was let in.
fn longest_stall(moments: &[Moment], capacity: u64) -> i64 {
    let mut longest = 0;
    let mut since: Option<(i64, u64)> = None;
    for moment in moments {
        let idle = moment.open && moment.waiting > 0 && moment.active < capacity;
        since = match since {
            Some((at_ms, admitted)) if idle && admitted == moment.admitted => {
                longest = longest.max(moment.at_ms - at_ms);
                Some((at_ms, admitted))
            }
            _ if idle => Some((moment.at_ms, moment.admitted)),
            _ => None,
        };
    }
    longest
}

/// How many were let in by each lane while people surely waited in all of them.
fn shares(moments: &[Moment], admissions: &[Admitted]) -> Vec<(String, u32, u64)> {
    let crowded = |moment: &Moment| {
        moment.lanes.len() == LANES.len() && moment.lanes.iter().all(|lane| *lane >= CROWD)
    };
    let times: Vec<(i64, i64)> = moments
        .windows(2)
        .filter(|pair| pair.iter().all(crowded))
        .map(|pair| (pair[0].store_ms, pair[1].store_ms))
        .collect();
    let is_in = |at_ms: i64| {
        let next = times.partition_point(|(_, to_ms)| *to_ms < at_ms);
        times.get(next).is_some_and(|(from_ms, _)| *from_ms < at_ms)
    };
    LANES
        .iter()
        .map(|(lane, weight)| {
            let of_lane = admissions
                .iter()
                .filter(|one| one.lane == *lane && is_in(one.at_ms));
            ((*lane).to_owned(), *weight, of_lane.count() as u64)
        })
        .collect()
}

/// Seats that several held one after the other, and those that two held at once, in words.
fn holders(mut holds: Vec<Held>, maps_lost: &[(i64, i64)]) -> (u64, Vec<String>) {
    for hold in &mut holds {
        // A map that is lost takes its holds with it.
        for (from_ms, to_ms) in maps_lost {
            if hold.from_ms <= *to_ms {
                hold.until_ms = hold.until_ms.min(*from_ms);
            }
        }
    }
    let mut seats: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
    for hold in &holds {
        for seat in &hold.seats {
            seats.entry(seat).or_default().push(hold);
        }
    }
    let again = seats.values().filter(|holds| holds.len() > 1).count();
    let mut twice = Vec::new();
    for (seat, holds) in &mut seats {
        holds.sort_unstable_by_key(|hold| (hold.from_ms, hold.until_ms));
        let mut last: Option<&Held> = None;
        for hold in holds.iter() {
            if let Some(last) = last.filter(|last| hold.from_ms < last.until_ms) {
                let told = |hold: &Held| {
                    let Held {
                        hold,
                        fence,
                        from_ms,
                        until_ms,
                        ..
                    } = hold;
                    format!("hold {hold} (fence {fence}) from {from_ms} to {until_ms} ms")
                };
                twice.push(format!("seat {seat}: {} and {}", told(last), told(hold)));
                break;
            }
            last = match last {
                Some(last) if last.until_ms > hold.until_ms => Some(last),
                _ => Some(hold),
            };
        }
    }
    (again as u64, twice)
}

async fn map(world: &World, moments: &[Moment]) -> Map {
    let seats = u64::from(world.plan.seats);
    let counters = &world.diary.counters;
    let (seats_again, two_holders) = holders(world.diary.holds(), &world.diary.maps_lost());
    let looks: Vec<_> = moments.iter().filter_map(|moment| moment.seats).collect();
    let wrong = looks
        .iter()
        .filter(|look| look.free + look.held + look.sold + look.blocked != seats);
    let mut map = Map {
        seats,
        wrong_sums: wrong.count() as u64,
        looks: looks.len() as u64,
        holds: counters.holds.load(Ordering::Relaxed),
        partial_holds: counters.partial_holds.load(Ordering::Relaxed),
        two_orders: counters.two_orders.load(Ordering::Relaxed),
        seats_again,
        two_holders,
        ran_out: counters.ran_out.load(Ordering::Relaxed),
        strangers_refused: counters.strangers_refused.load(Ordering::Relaxed),
        strangers_served: counters.strangers_served.load(Ordering::Relaxed),
        ..Map::default()
    };
    let tickets = world
        .database
        .texts("SELECT DISTINCT seat FROM tickets WHERE live = 1")
        .await;
    let tickets: HashSet<String> = tickets.into_iter().collect();
    let Some(snapshot) = world.snapshot().await else {
        map.ticket_not_sold = tickets.len() as u64;
        return map;
    };
    for seat in (0..world.plan.seats).map(SeatIndex::new) {
        let state = snapshot.state(seat);
        let label = world
            .house
            .layout
            .label(seat)
            .map(|label| label.to_string());
        let has_ticket = label.is_some_and(|label| tickets.contains(&label));
        map.held += u64::from(state == Some(SeatState::Held));
        map.sold += u64::from(state == Some(SeatState::Sold));
        map.sold_without_ticket += u64::from(state == Some(SeatState::Sold) && !has_ticket);
        map.ticket_not_sold += u64::from(state != Some(SeatState::Sold) && has_ticket);
    }
    map
}

async fn orders(world: &World) -> Vec<Order> {
    let bodies = world
        .database
        .texts("SELECT body FROM orders ORDER BY id")
        .await;
    let columns = world
        .database
        .texts("SELECT state FROM orders ORDER BY id")
        .await;
    let live = world
        .database
        .texts("SELECT order_id FROM tickets WHERE live = 1")
        .await;
    let mut live_tickets: HashMap<String, u64> = HashMap::new();
    for order in live {
        *live_tickets.entry(order).or_default() += 1;
    }
    let read = |(body, column): (String, String)| {
        let record: OrderRecord = serde_json::from_str(&body)
            .unwrap_or_else(|error| panic!("an order cannot be read: {error}"));
        let order = &record.order;
        let id = order.id.to_string();
        let prices = order
            .lines
            .iter()
            .map(|line| world.house.price(line.seat.as_str()));
        Order {
            state: order.state,
            column,
            amount: order.amount,
            price: prices.sum(),
            lines: order.lines.iter().map(|line| line.price).sum(),
            refunded: order.refunded(),
            open: record.due_ms().is_some() || order.open_refunds().next().is_some(),
            attention: record
                .work
                .attention
                .as_ref()
                .map(|attention| attention.code.clone()),
            live_tickets: live_tickets.get(&id).copied().unwrap_or(0),
            expected_tickets: order
                .tickets
                .iter()
                .filter(|ticket| ticket.state.is_live())
                .count() as u64,
            version: order.version,
            id,
        }
    };
    bodies.into_iter().zip(columns).map(read).collect()
}

/// All payments that buyers authorized, and whatever else the provider has for an order.
async fn payments(world: &World, orders: &[Order]) -> Vec<Charge> {
    let provider = &world.house.provider;
    let mut keys: HashMap<_, String> = HashMap::new();
    for (order, key) in world.diary.payments() {
        keys.insert(key, order.to_string());
    }
    for order in orders {
        let found = order.id.parse().ok();
        if let Some(id) = found
            && let Some(payment) = provider.ledger_of(&id).await
        {
            keys.insert(payment.key, order.id.clone());
        }
    }
    let mut charges = Vec::with_capacity(keys.len());
    for (key, order) in keys {
        let Some(payment) = provider.ledger(&key).await else {
            continue;
        };
        let charged = matches!(
            payment.status,
            PaymentStatus::Done | PaymentStatus::PartiallyCanceled | PaymentStatus::Canceled
        );
        charges.push(Charge {
            order,
            charged: if charged { payment.total.amount } else { 0 },
            left: if charged { payment.balance } else { 0 },
            // One that nobody confirmed waits for its own time to run out, and charges nothing.
            undecided: payment.status == PaymentStatus::Unknown,
        });
    }
    charges
}

fn told(diary: &Diary) -> Told {
    let counters = &diary.counters;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Told {
        paid: diary
            .all_told_paid()
            .iter()
            .map(ToString::to_string)
            .collect(),
        same_answers: count(&counters.same_answers),
        other_answers: count(&counters.other_answers),
        mismatches_refused: count(&counters.other_bodies),
        mismatches_taken: count(&counters.other_bodies_taken),
        haggled: count(&counters.haggled),
        haggled_taken: count(&counters.haggled_taken),
        entered: count(&counters.entered),
        entered_twice: count(&counters.entered_twice),
        doors_closed: count(&counters.doors_closed),
        doors_opened: count(&counters.doors_opened),
    }
}

async fn audit(world: &World) -> (Verified, Rebuilt, Option<String>) {
    let store = SqlStore::connect(world.database.url()).await;
    let store = store.unwrap_or_else(|error| panic!("{error}"));
    let mut first = None;
    let mut findings = |finding: ticketon_domain::audit::Finding| {
        first.get_or_insert(finding.to_string());
    };
    let verifier = Verifier::new(world.house.audit_keys.public().clone());
    let verified = verifier.verify(&store, &mut findings).await;
    let rebuilt = rebuild(&store, &mut findings).await;
    (
        verified.unwrap_or_else(|error| panic!("the audit cannot be read: {error}")),
        rebuilt.unwrap_or_else(|error| panic!("the audit cannot be read: {error}")),
        first,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(hold: &str, seat: &str, from_ms: i64, until_ms: i64) -> Held {
        Held {
            hold: hold.to_owned(),
            fence: 1,
            seats: vec![seat.to_owned()],
            from_ms,
            until_ms,
        }
    }

    #[test]
    fn two_who_hold_a_seat_at_once_are_found() {
        let count = |holds, lost: &[(i64, i64)]| {
            let (again, twice) = holders(holds, lost);
            (again, twice.len())
        };
        let apart = [held("a", "1", 0, 10), held("b", "1", 10, 20)];
        assert_eq!(count(apart.to_vec(), &[]), (1, 0));
        let other_seat = [held("a", "1", 0, 10), held("b", "2", 5, 20)];
        assert_eq!(count(other_seat.to_vec(), &[]), (0, 0));
        let at_once = [held("b", "1", 9, 20), held("a", "1", 0, 10)];
        assert_eq!(count(at_once.to_vec(), &[]), (1, 1));
        let within = [
            held("a", "1", 0, 30),
            held("b", "1", 5, 6),
            held("c", "1", 20, 25),
        ];
        assert_eq!(count(within.to_vec(), &[]), (1, 1));
        // The map was lost between the two.
        assert_eq!(count(at_once.to_vec(), &[(3, 4)]), (1, 0));
        assert_eq!(count(at_once.to_vec(), &[(12, 13)]), (1, 1));
    }

    #[test]
    fn shares_are_counted_while_all_lanes_are_crowded() {
        let moment = |at_ms: i64, fans: u64| Moment {
            at_ms,
            store_ms: at_ms,
            waiting: 100 + fans,
            lanes: vec![100, fans],
            active: 0,
            admitted: 0,
            open: true,
            paid: 0,
            declined: 0,
            seats: None,
        };
        let moments = [moment(0, 50), moment(10, 20), moment(20, 0), moment(30, 50)];
        let admitted = |lane: &str, at_ms: i64| Admitted {
            lane: lane.to_owned(),
            sequence: at_ms,
            fence: 1,
            at_ms,
            until_ms: at_ms,
        };
        let admissions = [
            admitted("general", 1),
            admitted("general", 10),
            admitted("fanclub", 5),
            admitted("general", 15),
            admitted("fanclub", 31),
        ];
        let expected = [("general".to_owned(), 3, 2), ("fanclub".to_owned(), 1, 1)];
        assert_eq!(shares(&moments, &admissions), expected);
    }
}
