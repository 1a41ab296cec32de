//! Best available in a large hall, from empty to nearly sold, against scanning the rows seat by seat.

use std::sync::Arc;

use ticketon_domain::seat::best::{BestRequest, Ranker};
use ticketon_domain::seat::{Orphans, SeatState};
use ticketon_domain::venue::{Layout, SeatIndex, sample};

use crate::measure::{ROUNDS, Table, Times, median, shown};

const SEATS: u32 = 50_000;
const CHOICES: usize = 2_000;

pub(crate) fn measure(table: &mut Table) {
    let name = |sold: u64| format!("best available, 4 of 50,000 seats, {sold}% sold");
    if ![0, 50, 95].into_iter().any(|sold| table.wants(&name(sold))) {
        return;
    }
    let layout = Arc::new(sample::theatre(SEATS));
    let ranker = Ranker::new(Arc::clone(&layout));
    let ranking = ranker.rank(&BestRequest::new(4), |_| Some(1));
    let mut random = Random(7);
    for sold in [0, 50, 95] {
        let mut bits = vec![0_u8; SeatState::packed_len(layout.seat_count())];
        for seat in 0..layout.seat_count() {
            if random.next() % 100 < sold {
                SeatState::Sold.put(&mut bits, SeatIndex::new(seat));
            }
        }
        let (mut ours, mut theirs, mut ratios) = (Times::new(), Times::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (mut subject, mut baseline) = (Times::new(), Times::new());
            for _ in 0..CHOICES / ROUNDS {
                let chosen = subject
                    .time(|| ranking.choose(&bits, Orphans::Lenient, 64, &mut || random.next()));
                let found = baseline.time(|| scan(&layout, &bits));
                assert_eq!(chosen.is_some(), found.is_some());
            }
            ratios.push(subject.median().as_secs_f64() / baseline.median().as_secs_f64());
            ours.merge(&subject);
            theirs.merge(&baseline);
        }
        let both =
            |times: &Times| format!("{} (p99 {})", shown(times.median()), shown(times.p99()));
        table.add(
            name(sold),
            median(ratios),
            both(&ours),
            both(&theirs),
            "time ÷ time of the first four free in file order",
        );
    }
}

/// Four free seats side by side, the first in the file's order: no ranking, no spread, no lone seats.
fn scan(layout: &Layout, bits: &[u8]) -> Option<u32> {
    layout.segments().find_map(|segment| {
        let first = segment.start.get();
        let mut free = 0;
        (first..first + segment.len).find_map(|seat| {
            free = if SeatState::at(bits, SeatIndex::new(seat)) == SeatState::Free {
                free + 1
            } else {
                0
            };
            (free == 4).then(|| seat - 3)
        })
    })
}

/// The same numbers in each run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
