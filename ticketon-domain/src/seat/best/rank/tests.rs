//! Who is offered what first.

use super::*;
use crate::seat::best::mark_taken;
use crate::seat::{Orphans, SeatState};
use crate::venue::SeatIndex;

/// Two sections. A: row 1 (vip, then standard) with an aisle in the middle, row 2 standard, with a
/// wheelchair space at either end and a companion seat beside the right one. B: one row of grade back. And
/// an area.
const HALL: &str = r#"{
    "name": "Hall", "grades": ["vip", "standard", "back"],
    "sections": [
        {"id": "A", "grade": "standard", "rows": [
            {"id": "1", "segments": [{"from": 1, "count": 4, "x": 0, "y": 0}, {"from": 5, "count": 4, "x": 5, "y": 0}],
             "seatGrades": [{"grade": "vip", "seats": ["1", "2", "3", "4", "5", "6"]}]},
            {"id": "2", "segments": [{"from": 1, "count": 9, "x": 0, "y": 1}],
             "accessible": ["1", "9"], "companion": ["8"]}
        ]},
        {"id": "B", "grade": "back", "rank": 10, "rows": [
            {"id": "1", "segments": [{"from": 1, "count": 6, "x": 1, "y": 9}]}
        ]}
    ],
    "areas": [{"id": "floor", "grade": "back", "capacity": 9}]
}"#;

const TICKETS: [u64; 3] = [300, 200, 100];

struct House {
    ranker: Ranker,
    bits: Vec<u8>,
}

impl House {
    fn new() -> Self {
        let layout = Layout::from_json(HALL).unwrap();
        let bits = vec![0; SeatState::packed_len(layout.seat_count())];
        Self {
            ranker: Ranker::new(Arc::new(layout)),
            bits,
        }
    }

    fn rank(&self, request: &BestRequest) -> Arc<Ranking> {
        self.ranker.rank(request, |grade| {
            TICKETS.get(usize::from(grade.get())).copied()
        })
    }

    /// What is offered first.
    fn best(&self, request: &BestRequest) -> Vec<String> {
        let seats = self
            .rank(request)
            .choose(&self.bits, Orphans::Lenient, 1, &mut || 0);
        let label = |seat: &SeatIndex| self.ranker.layout().label(*seat).unwrap().to_string();
        seats.iter().flatten().map(label).collect()
    }

    /// What is offered one after the other until nothing is left.
    fn sell_out(&mut self, request: &BestRequest) -> Vec<String> {
        let mut sold = Vec::new();
        loop {
            assert!(sold.len() < 100, "offered again and again: {sold:?}");
            let labels = self.best(request);
            if labels.is_empty() {
                return sold;
            }
            self.take(&labels);
            sold.push(labels.join(" "));
        }
    }

    fn take<L: AsRef<str>>(&mut self, labels: &[L]) {
        let seats: Vec<_> = labels
            .iter()
            .map(|label| self.ranker.layout().index_of(label).unwrap())
            .collect();
        mark_taken(&mut self.bits, &seats);
    }
}

fn two() -> BestRequest {
    BestRequest::new(2)
}

#[test]
fn the_best_row_is_sold_first_and_kept_seats_last() {
    let pairs = House::new().sell_out(&two());
    assert_eq!(
        pairs,
        [
            // One grade: the vip seats of row 1 from the aisle on, side by side, then the others.
            "A-1-3 A-1-4",
            "A-1-1 A-1-2",
            "A-1-5 A-1-6",
            "A-1-7 A-1-8",
            // Row 2 from its centre, without the seats that are kept.
            "A-2-4 A-2-5",
            "A-2-6 A-2-7",
            "A-2-2 A-2-3",
            "B-1-3 B-1-4",
            "B-1-1 B-1-2",
            "B-1-5 B-1-6",
            // With seats that are kept for wheelchairs and companions.
            "A-2-8 A-2-9",
        ]
    );
}

#[test]
fn of_a_row_the_middle_is_best() {
    // Seats are 1 apart, and the aisles are as wide as given beyond that.
    let first = |segments: &[u32], aisle: f64, count| {
        let (mut next, mut beyond) = (1, 0.0);
        let segments: Vec<String> = segments
            .iter()
            .map(|seats| {
                let (from, x) = (next, f64::from(next) + beyond);
                (next, beyond) = (next + seats, beyond + aisle);
                format!(r#"{{"from":{from},"count":{seats},"x":{x},"y":0}}"#)
            })
            .collect();
        let json = format!(
            r#"{{"name":"Row","grades":["g"],"sections":[{{"id":"A","rows":[{{"id":"1","segments":[{}]}}]}}]}}"#,
            segments.join(",")
        );
        let ranker = Ranker::new(Arc::new(Layout::from_json(json).unwrap()));
        let ranking = ranker.rank(&BestRequest::new(count), |_| Some(1));
        let seats = ranking
            .choose(&[0; 8], Orphans::Allow, 1, &mut || 0)
            .unwrap();
        // Seats count from 1, indexes from 0.
        seats[0].get() + 1
    };
    let best = |segments: &[u32], count| first(segments, 0.0, count);
    assert_eq!([1, 2, 3, 4].map(|count| best(&[9], count)), [5, 4, 4, 3]);
    assert_eq!([1, 2, 3, 4].map(|count| best(&[10], count)), [5, 5, 4, 4]);
    assert_eq!(
        [1, 2].map(|count| best(&[4, 3, 4], count)),
        [6, 5],
        "the side with the middle"
    );
    assert_eq!(
        [1, 2].map(|count| best(&[4, 4], count)),
        [4, 3],
        "at the aisle"
    );
    assert_eq!(
        [1, 2].map(|count| best(&[2, 6], count)),
        [4, 4],
        "the row's, not the side's"
    );
    // The centre is at 4.3 and at 4.7.
    assert_eq!([1, 2, 3].map(|count| first(&[6, 1], 0.6, count)), [4, 4, 3]);
    assert_eq!([1, 2, 3].map(|count| first(&[6, 1], 1.4, count)), [5, 4, 4]);
}

#[test]
fn prices_grades_and_sections_limit_what_is_offered() {
    let house = House::new();
    let limited = |limit: &dyn Fn(&mut BestRequest)| {
        let mut request = two();
        limit(&mut request);
        house.best(&request).join(" ")
    };
    assert_eq!(
        limited(&|request| request.max_price = Some(299)),
        "A-1-7 A-1-8"
    );
    assert_eq!(
        limited(&|request| request.max_price = Some(100)),
        "B-1-3 B-1-4"
    );
    assert_eq!(limited(&|request| request.max_price = Some(99)), "");
    assert_eq!(
        limited(&|request| request.section = Some("B".to_owned())),
        "B-1-3 B-1-4"
    );
    assert_eq!(
        limited(&|request| request.section = Some("floor".to_owned())),
        "",
        "no rows"
    );
    let back = house.ranker.layout().grade_index("back");
    assert_eq!(
        limited(&|request| request.grades = Some(back.into_iter().collect())),
        "B-1-3 B-1-4"
    );
    assert_eq!(
        limited(&|request| request.grades = Some(Grades::default())),
        ""
    );
    assert_eq!(
        limited(&|request| request.count = 9),
        "A-2-1 A-2-2 A-2-3 A-2-4 A-2-5 A-2-6 A-2-7 A-2-8 A-2-9"
    );
    assert_eq!(
        limited(&|request| request.count = 10),
        "",
        "nobody sits across an aisle"
    );
    assert_eq!(limited(&|request| request.count = 0), "");
    assert!(
        house.ranker.rank(&two(), |_| None).is_empty(),
        "nothing is on sale"
    );
}

#[test]
fn seats_of_two_grades_side_by_side_are_for_when_there_is_nothing_else() {
    let house = House::new();
    let mut four = BestRequest::new(4);
    assert_eq!(house.best(&four).join(" "), "A-1-1 A-1-2 A-1-3 A-1-4");
    four.section = Some("A".to_owned());
    let mut house = house;
    assert_eq!(
        house.sell_out(&four),
        [
            "A-1-1 A-1-2 A-1-3 A-1-4",
            "A-2-3 A-2-4 A-2-5 A-2-6",
            "A-1-5 A-1-6 A-1-7 A-1-8"
        ]
    );
}

#[test]
fn an_accessible_request_has_one_accessible_seat_and_company_beside_it() {
    let accessible = |count| BestRequest {
        accessible: true,
        ..BestRequest::new(count)
    };
    assert_eq!(House::new().sell_out(&accessible(1)), ["A-2-1", "A-2-9"]);
    // The companion seat first, then any.
    assert_eq!(
        House::new().sell_out(&accessible(2)),
        ["A-2-8 A-2-9", "A-2-1 A-2-2"]
    );
    assert_eq!(
        House::new().sell_out(&accessible(3)),
        ["A-2-1 A-2-2 A-2-3", "A-2-7 A-2-8 A-2-9"]
    );
    // Both accessible seats only where the group cannot sit otherwise.
    assert_eq!(House::new().best(&accessible(9)).len(), 9);
    let mut house = House::new();
    house.take(&["A-2-1", "A-2-9"]);
    assert_eq!(
        house.sell_out(&accessible(1)),
        [""; 0],
        "an ordinary seat is no use"
    );
}

#[test]
fn strict_does_not_give_kept_seats_away_to_avoid_a_lone_one() {
    // Left in section A: 6 and 7, beside the companion seat 8, which would be alone; and 1 and 2, a clean
    // pair with a kept seat.
    let mut house = House::new();
    house.take(&["A-2-3", "A-2-4", "A-2-5", "A-2-9"]);
    house.take(&[
        "A-1-1", "A-1-2", "A-1-3", "A-1-4", "A-1-5", "A-1-6", "A-1-7", "A-1-8",
    ]);
    let request = BestRequest {
        section: Some("A".to_owned()),
        ..two()
    };
    let seats = house
        .rank(&request)
        .choose(&house.bits, Orphans::Strict, 9, &mut || 0);
    let wanted = ["A-2-6", "A-2-7"].map(|label| house.ranker.layout().index_of(label).unwrap());
    assert_eq!(seats, Some(wanted.to_vec()));
}

#[test]
fn a_ranking_is_made_once_for_all_limits_that_mean_the_same() {
    let house = House::new();
    let with_limit = |max_price| house.rank(&BestRequest { max_price, ..two() });
    let any = with_limit(None);
    assert!(Arc::ptr_eq(&any, &with_limit(Some(300))));
    assert!(Arc::ptr_eq(&any, &with_limit(Some(u64::MAX))));
    assert!(!Arc::ptr_eq(&any, &with_limit(Some(299))));
    assert!(Arc::ptr_eq(&with_limit(Some(200)), &with_limit(Some(299))));
}

#[test]
fn more_runs_than_a_store_looks_at_are_more_tiers() {
    // Every other seat is of another grade: each is a run of its own.
    let graded: Vec<String> = (1..=2_000)
        .step_by(2)
        .map(|seat| format!("\"{seat}\""))
        .collect();
    let row = |row: u32| {
        let graded = graded.join(",");
        format!(
            r#"{{"id":"{row}","segments":[{{"from":1,"count":2000,"x":0,"y":{row}}}],"seatGrades":[{{"grade":"b","seats":[{graded}]}}]}}"#
        )
    };
    let rows: Vec<String> = (1..=11).map(row).collect();
    let json = format!(
        r#"{{"name":"Odd","grades":["a","b"],"sections":[{{"id":"A","grade":"a","rows":[{}]}}]}}"#,
        rows.join(",")
    );
    let ranker = Ranker::new(Arc::new(Layout::from_json(json).unwrap()));
    let singles = ranker.rank(&BestRequest::new(1), |_| Some(1));
    let lens: Vec<usize> = singles.tiers().iter().map(|tier| tier.len()).collect();
    assert_eq!(lens, [MAX_RUNS, 2_000, 11]);
    let pairs = ranker.rank(&two(), |_| Some(1));
    assert_eq!(pairs.tiers().len(), 1, "only the rows as a whole");
    assert_eq!(pairs.tiers()[0].len(), 11);
}
