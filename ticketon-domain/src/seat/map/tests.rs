use std::sync::Arc;

use super::*;
use crate::seat::store::{
    Blocked, Changes, Choice, Held, HoldKey, HoldReply, HoldRequest, Limits, Load, Orphans, Over,
    Run, SeatSync, Synced,
};

const NOW: UnixMs = 1_000_000;
const TTL: i64 = 1_000;

/// A map that is ready, and its epoch.
fn ready(seats: u32) -> (SeatMap, u64) {
    let mut map = SeatMap::new();
    let layout = "hall".to_owned();
    let spec = MapSpec { layout, seats };
    let epoch = map.begin_rebuild(&spec, Over::Absent, NOW).unwrap();
    assert!(map.finish_rebuild(epoch));
    (map, epoch)
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn indexes(seats: impl IntoIterator<Item = u32>) -> Vec<SeatIndex> {
    seats.into_iter().map(SeatIndex::new).collect()
}

fn request(id: u8, name: &str, choice: Choice) -> HoldRequest {
    HoldRequest {
        id: HoldId::from_bytes([id; 16]),
        user: user(name),
        request_hash: 1,
        choice,
        ttl_ms: TTL,
        limits: Limits::default(),
    }
}

fn named(id: u8, name: &str, seats: &[u32]) -> HoldRequest {
    request(id, name, Choice::Seats(indexes(seats.iter().copied())))
}

fn taken(map: &mut SeatMap, epoch: u64, request: &HoldRequest, now: UnixMs) -> Hold {
    match map.hold(epoch, request, now) {
        Mapped::Ready(Held::Taken(hold)) => hold,
        other => panic!("{other:?}"),
    }
}

fn key(hold: &Hold) -> HoldKey {
    HoldKey {
        id: hold.id,
        user: hold.user.clone(),
        fence: Some(hold.fence),
    }
}

#[test]
fn numbers_grow_by_time_and_by_one_and_fit_a_double() {
    assert_eq!(next(0, 5), 5 * 1_024);
    assert_eq!(next(9_000, 5), 9_001);
    assert_eq!(next(0, -5), 1);
    assert_eq!(next(0, UnixMs::MAX), (1 << 53) - 1);
}

#[test]
fn a_call_is_one_change_of_every_seat_it_wrote() {
    let (mut map, epoch) = ready(6);
    taken(&mut map, epoch, &named(1, "ann", &[4, 1]), NOW);
    // Ann's hold is over: one of its seats is taken again, the other one becomes free.
    taken(&mut map, epoch, &named(2, "bob", &[4, 5]), NOW + TTL);
    let Mapped::Ready(Changes::Since(changes)) = map.changes(epoch, 1) else {
        panic!("no changes")
    };
    let states = [SeatState::Free, SeatState::Held, SeatState::Held];
    let seats = indexes([1, 4, 5]).into_iter().zip(states).collect();
    assert_eq!(changes, [Change { version: 2, seats }]);
    assert_eq!(map.changes(epoch, 3), Mapped::Ready(Changes::Gap));
    map.check().unwrap();
}

#[test]
fn a_refused_hold_still_ends_what_was_over() {
    let (mut map, epoch) = ready(6);
    taken(&mut map, epoch, &named(1, "ann", &[0, 1]), NOW);
    taken(&mut map, epoch, &named(2, "bob", &[2]), NOW + 1);
    let refused = map.hold(epoch, &named(3, "cat", &[2, 0]), NOW + TTL);
    let seats = indexes([2]);
    assert_eq!(refused, Mapped::Ready(Held::Unavailable { seats }));
    assert_eq!(map.head().ready().unwrap().counts.free, 5);
    map.check().unwrap();
}

#[test]
fn a_seat_named_twice_or_beyond_the_map_is_not_available() {
    let (mut map, epoch) = ready(3);
    for (asked, refused) in [(vec![1, 1], vec![1]), (vec![3, 0, 9], vec![3, 9])] {
        let got = map.hold(epoch, &named(1, "ann", &asked), NOW);
        let seats = indexes(refused);
        assert_eq!(got, Mapped::Ready(Held::Unavailable { seats }));
    }
}

#[test]
fn units_are_walked_from_the_offset_around_the_area() {
    let (mut map, epoch) = ready(6);
    let units = |id, count, offset| {
        let (start, len) = (1, 4);
        let choice = Choice::Units {
            count,
            start,
            len,
            offset,
        };
        request(id, "ann", choice)
    };
    let hold = taken(&mut map, epoch, &units(1, 2, 7), NOW);
    assert_eq!(hold.seats, indexes([4, 1]));
    let full = map.hold(epoch, &units(2, 3, 0), NOW);
    assert_eq!(full, Mapped::Ready(Held::OverUserLimit { has: 2 }));
    let none = request(
        3,
        "ann",
        Choice::Units {
            count: 1,
            start: u32::MAX,
            len: 0,
            offset: 0,
        },
    );
    assert_eq!(map.hold(epoch, &none, NOW), Mapped::Ready(Held::NoSeats));
}

#[test]
fn no_seats_is_said_only_after_a_sweep() {
    let (mut map, epoch) = ready(3);
    taken(&mut map, epoch, &named(1, "ann", &[1]), NOW);
    let run = Run {
        start: 0,
        len: 3,
        segment_start: 0,
        segment_len: 3,
        centre_twice: 2,
    };
    let adjacent = |id| {
        let runs = Arc::from([run]);
        let orphans = Orphans::Lenient;
        let choice = Choice::Adjacent {
            count: 2,
            runs,
            orphans,
        };
        request(id, "bob", choice)
    };
    let early = map.hold(epoch, &adjacent(2), NOW + TTL - 1);
    assert_eq!(early, Mapped::Ready(Held::NoSeats));
    let hold = taken(&mut map, epoch, &adjacent(3), NOW + TTL);
    assert_eq!(hold.seats, indexes([0, 1]));
    map.check().unwrap();
}

#[test]
fn an_end_is_remembered_for_a_while() {
    use crate::seat::store::ENDED_TTL_MS;
    let (mut map, epoch) = ready(3);
    let asked = named(1, "ann", &[1]);
    let hold = taken(&mut map, epoch, &asked, NOW);
    map.release(epoch, &key(&hold), NOW);
    let reason = EndReason::Released;
    let until = NOW + ENDED_TTL_MS;
    let again = map.hold(epoch, &asked, until);
    assert_eq!(again, Mapped::Ready(Held::Ended { reason }));
    let unknown = Mapped::Ready(HoldReply::Unknown);
    assert_eq!(map.find(epoch, &key(&hold), until + 1), unknown);
    assert_ne!(taken(&mut map, epoch, &asked, until + 1).fence, hold.fence);
    map.check().unwrap();
}

#[test]
fn what_is_sold_takes_the_whole_hold_of_somebody_else_but_one_seat_of_a_pinned_one() {
    let (mut map, epoch) = ready(6);
    let ann = taken(&mut map, epoch, &named(1, "ann", &[0, 1]), NOW);
    let bob = taken(&mut map, epoch, &named(2, "bob", &[2, 3]), NOW);
    map.pin(epoch, &key(&bob), NOW);
    let sold = |seats: &[u32]| SeatSync::Sold {
        user: user("cat"),
        fence: 77,
        seats: indexes(seats.iter().copied()),
    };
    let synced = map.sync(epoch, &[sold(&[1, 2])], NOW).ready().unwrap();
    let (changed, lost) = (3, vec![ann.id]);
    assert_eq!(
        synced,
        Synced {
            changed,
            lost,
            late: 0
        }
    );
    assert_eq!(map.holds[&bob.fence].hold.seats, indexes([3]));
    // A pinned hold without seats is none.
    let synced = map.sync(epoch, &[sold(&[3])], NOW).ready().unwrap();
    assert_eq!(synced.lost, [bob.id]);
    map.check().unwrap();
}

#[test]
fn a_sale_and_its_refund_in_the_wrong_order_leave_the_seat_free() {
    let (mut map, epoch) = ready(3);
    let hold = taken(&mut map, epoch, &named(1, "ann", &[0]), NOW);
    let (user, fence, seats) = (hold.user.clone(), hold.fence, hold.seats.clone());
    let sold = SeatSync::Sold {
        user: user.clone(),
        fence,
        seats: seats.clone(),
    };
    let released = SeatSync::Released { user, fence, seats };
    map.sync(epoch, &[released, sold], NOW);
    assert_eq!(map.head().ready().unwrap().counts.free, 3);
    assert!(map.users.is_empty() && map.sold.is_empty());
    map.check().unwrap();
}

#[test]
fn of_two_sales_of_a_seat_the_newer_fence_counts() {
    let (mut map, epoch) = ready(1);
    let sold = |name, fence| SeatSync::Sold {
        user: user(name),
        fence,
        seats: indexes([0]),
    };
    let batch = [sold("ann", 5), sold("bob", 9), sold("cat", 7)];
    let synced = map.sync(epoch, &batch, NOW).ready().unwrap();
    assert_eq!(synced.changed, 1);
    assert_eq!(map.sold[&9], (user("bob"), 1));
    assert_eq!(map.users.len(), 1);
    map.check().unwrap();
}

#[test]
fn seats_are_blocked_all_or_none() {
    let (mut map, epoch) = ready(4);
    taken(&mut map, epoch, &named(1, "ann", &[2]), NOW);
    let seats = indexes([2, 9]);
    let all = map.block(epoch, &indexes([0, 2, 9]), NOW);
    assert_eq!(all, Mapped::Ready(Blocked::Unavailable { seats }));
    assert_eq!(map.head().ready().unwrap().counts.blocked, 0);
    for _ in 0..2 {
        let done = map.block(epoch, &indexes([0, 2]), NOW + TTL);
        assert_eq!(done, Mapped::Ready(Blocked::Done));
        map.check().unwrap();
    }
    assert_eq!(map.head().ready().unwrap().counts.blocked, 2);
}

#[test]
fn a_rebuild_keeps_nothing_but_the_last_fence() {
    let (mut map, epoch) = ready(4);
    let hold = taken(&mut map, epoch, &named(1, "ann", &[2]), NOW);
    let spec = map.spec.clone();
    let stopped = map.begin_rebuild(&spec, Over::Any, NOW).unwrap();
    let newer = map.begin_rebuild(&spec, Over::Any, NOW - 500).unwrap();
    assert!(epoch < stopped && stopped < newer);
    let seat = SeatIndex::new(1);
    let blocked = Load::Blocked { seat };
    let sold = |fence| Load::Sold {
        seat,
        user: user("bob"),
        fence,
    };
    assert!(!map.load(stopped, &[sold(1)]));
    assert!(!map.finish_rebuild(stopped));
    let late = hold.fence + 50;
    assert!(map.load(newer, &[blocked.clone(), sold(late), sold(3), blocked]));
    assert!(map.finish_rebuild(newer) && map.finish_rebuild(newer));
    assert!(!map.load(newer, &[]));
    assert_eq!(map.sold[&late], (user("bob"), 1));
    let fence = taken(&mut map, newer, &named(1, "ann", &[2]), NOW).fence;
    assert_eq!(fence, late + 1);
    assert_eq!(map.head().ready().unwrap().version, 1);
    map.check().unwrap();
}
