//! Picks by hand against the definitions, written down naively.

use std::sync::Arc;

use crate::seat::best::oracle;
use crate::seat::best::{Ranker, mark_taken};
use crate::seat::{Orphans, Run};
use crate::venue::{Layout, SeatIndex};

const RULES: [Orphans; 3] = [Orphans::Allow, Orphans::Lenient, Orphans::Strict];

/// Rows of so many seats of one grade; the fields are added to the first row.
fn rows(seats: &[u32], fields: &str) -> Ranker {
    let rows: Vec<String> = (1..)
        .zip(seats)
        .map(|(row, count)| {
            let fields = if row == 1 { fields } else { "" };
            format!(r#"{{"id":"{row}","segments":[{{"from":1,"count":{count},"x":0,"y":{row}}}]{fields}}}"#)
        })
        .collect();
    let json = format!(
        r#"{{"name":"Hall","grades":["g","h"],"sections":[{{"id":"A","grade":"g","rows":[{}]}}]}}"#,
        rows.join(",")
    );
    Ranker::new(Arc::new(Layout::from_json(json).unwrap()))
}

fn indexes(seats: impl IntoIterator<Item = u32>) -> Vec<SeatIndex> {
    seats.into_iter().map(SeatIndex::new).collect()
}

/// What the definitions say of one row of `seats`, bit sets of what is taken and picked.
fn expected(seats: u32, taken: u32, picked: u32, rule: Orphans) -> Vec<SeatIndex> {
    let free = |seat: u32| seat < seats && taken >> seat & 1 == 0;
    let left = |seat: u32| free(seat) && picked >> seat & 1 == 0;
    let beside =
        |seat: u32, is: &dyn Fn(u32) -> bool| seat.checked_sub(1).is_some_and(is) || is(seat + 1);
    let row = Run {
        start: 0,
        len: seats,
        segment_start: 0,
        segment_len: seats,
        centre_twice: 0,
    };
    let clean = |row: &Run, count: u32| {
        oracle::windows(&free, row, count)
            .iter()
            .any(|&at| !oracle::leaves_lone(&free, row, count, at))
    };
    let need_not = |seat: u32| {
        let (mut first, mut end) = (seat, seat + 1);
        while first > 0 && free(first - 1) {
            first -= 1;
        }
        while free(end) {
            end += 1;
        }
        let of_block = (first..end).filter(|seat| picked >> seat & 1 == 1).count() as u32;
        let block = Run {
            start: first,
            len: end - first,
            ..row
        };
        match rule {
            Orphans::Allow => false,
            Orphans::Lenient => clean(&block, of_block),
            Orphans::Strict => clean(
                &row,
                (0..seats)
                    .filter(|&seat| free(seat) && picked >> seat & 1 == 1)
                    .count() as u32,
            ),
        }
    };
    let lone =
        |&seat: &u32| left(seat) && !beside(seat, &left) && beside(seat, &free) && need_not(seat);
    indexes((0..seats).filter(lone))
}

#[test]
fn every_pick_from_every_small_row_agrees_with_the_definitions() {
    for seats in 1..=7_u32 {
        let ranker = rows(&[seats], "");
        for (taken, picked) in
            (0..1_u32 << seats).flat_map(|t| (0..1_u32 << seats).map(move |p| (t, p)))
        {
            let mut bits = [0; 2];
            mark_taken(
                &mut bits,
                &indexes((0..seats).filter(|seat| taken >> seat & 1 == 1)),
            );
            let picks = indexes((0..seats).filter(|seat| picked >> seat & 1 == 1));
            for rule in RULES {
                assert_eq!(
                    ranker.lone_seats(&bits, &picks, rule),
                    expected(seats, taken, picked, rule),
                    "{seats} seats, taken {taken:b}, picked {picked:b}, {rule:?}"
                );
            }
        }
    }
}

#[test]
fn strict_asks_for_another_row_where_lenient_does_not() {
    // Two of three always leave one; the second row has place without.
    let ranker = rows(&[3, 4], "");
    let two = indexes([0, 1]);
    assert_eq!(ranker.lone_seats(&[0; 2], &two, Orphans::Lenient), []);
    assert_eq!(
        ranker.lone_seats(&[0; 2], &two, Orphans::Strict),
        indexes([2])
    );
    let mut bits = [0; 2];
    mark_taken(&mut bits, &indexes([4]));
    assert_eq!(
        ranker.lone_seats(&bits, &two, Orphans::Strict),
        indexes([2]),
        "5 and 6 are left"
    );
    mark_taken(&mut bits, &indexes([5]));
    assert_eq!(
        ranker.lone_seats(&bits, &two, Orphans::Strict),
        [],
        "nothing else fits"
    );
}

#[test]
fn another_grade_is_no_alternative() {
    // Picking seat 1 of grade g alone leaves seat 0; the others are of grade h.
    let graded = r#","seatGrades":[{"grade":"h","seats":["1","3","4"]}]"#;
    let ranker = rows(&[4], graded);
    assert_eq!(ranker.lone_seats(&[0], &indexes([1]), Orphans::Lenient), []);
    assert_eq!(
        rows(&[4], "").lone_seats(&[0], &indexes([1]), Orphans::Lenient),
        indexes([0])
    );
}

#[test]
fn accessible_seats_are_no_alternative_unless_picked() {
    let marked = r#","accessible":["1"],"companion":["4"]"#;
    let ranker = rows(&[4], marked);
    assert_eq!(ranker.lone_seats(&[0], &indexes([1]), Orphans::Lenient), []);
    let plain = rows(&[4], "");
    assert_eq!(
        plain.lone_seats(&[0], &indexes([1]), Orphans::Lenient),
        indexes([0])
    );
    assert_eq!(
        ranker.lone_seats(&[0], &indexes([0, 1, 2]), Orphans::Lenient),
        [],
        "one is left in any case"
    );
}

#[test]
fn picks_that_do_not_exist_or_are_twice_are_nothing_special() {
    let ranker = rows(&[4], "");
    assert_eq!(
        ranker.lone_seats(&[0], &indexes([1, 1, 99]), Orphans::Lenient),
        indexes([0])
    );
    assert_eq!(ranker.lone_seats(&[], &indexes([1]), Orphans::Strict), []);
    assert_eq!(ranker.lone_seats(&[0], &[], Orphans::Strict), []);
}
