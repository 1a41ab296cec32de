//! Best available for many: how good what they get is, how often they collide, whether a no is true.

#[path = "best/rush.rs"]
mod rush;

use std::sync::Arc;

use rush::{Rush, fits, hall, numbers, report, some_seats};
use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::seat::best::{BestRequest, Ranker, Spread, mark_taken};
use ticketon_domain::seat::{Orphans, SeatState};
use ticketon_domain::venue::SeatIndex;

const BUYERS: usize = 1_000;

/// Groups of one to four.
fn groups(buyers: usize) -> Vec<u32> {
    (1..=4).cycle().take(buyers).collect()
}

fn empty(ranker: &Ranker) -> Vec<u8> {
    vec![0; SeatState::packed_len(ranker.layout().seat_count())]
}

/// How good each seat is: 0 is the best one.
fn ranks(ranker: &Ranker) -> Vec<usize> {
    let layout = ranker.layout();
    let mut seats: Vec<(u32, u64, SeatIndex)> = layout
        .segments()
        .flat_map(|segment| {
            (segment.start.get()..segment.start.get() + segment.len).map(move |seat| {
                let seat = SeatIndex::new(seat);
                (segment.row_rank, layout.off_centre(seat).to_bits(), seat)
            })
        })
        .collect();
    seats.sort_unstable();
    let mut ranks = vec![0; seats.len()];
    for (rank, (_, _, seat)) in seats.into_iter().enumerate() {
        ranks[seat.get() as usize] = rank;
    }
    ranks
}

/// The mean rank of the seats of buyers who come one after the other.
fn mean_rank(ranker: &Ranker, mut places: impl FnMut(u32) -> u32) -> f64 {
    let (ranks, mut bits, mut random) = (ranks(ranker), empty(ranker), numbers(7));
    let mut got = Vec::new();
    for count in groups(BUYERS) {
        let ranking = ranker.rank(&BestRequest::new(count), |_| Some(1));
        let seats = ranking
            .choose(&bits, Orphans::Lenient, places(count), &mut random)
            .expect("the hall is large");
        mark_taken(&mut bits, &seats);
        got.extend(seats.iter().map(|seat| ranks[seat.get() as usize]));
    }
    got.iter().sum::<usize>() as f64 / got.len() as f64
}

#[test]
fn spreading_costs_little_quality() {
    let hall = hall(20_000);
    let optimum = (2_500.0 - 1.0) / 2.0;
    let greedy = mean_rank(&hall, |_| 1);
    let spread = Spread::new();
    let spread = mean_rank(&hall, |count| {
        spread.took();
        spread.places(count)
    });
    let wide = mean_rank(&hall, |count| 32_768 / count);
    println!(
        "mean rank of the seats of {BUYERS} buyers, one after the other: at best {optimum:.0}, greedy {greedy:.0}, spread {spread:.0}, as in the worst rush {wide:.0}"
    );
    assert!(greedy < 1.1 * optimum, "{greedy}");
    assert!(spread < 1.05 * greedy, "{spread}");
    assert!(
        wide > 2.0 * greedy,
        "the measure shows a bad choice: {wide}"
    );
}

/// How many buyers still have nothing after each round, when all choose before any of them is answered.
fn rounds(ranker: &Ranker, spread: Option<&Spread>) -> Vec<usize> {
    let known = empty(ranker);
    let (mut map, mut random) = (known.clone(), numbers(7));
    let mut standing: Vec<(u32, Vec<u8>)> = groups(BUYERS)
        .into_iter()
        .map(|count| (count, known.clone()))
        .collect();
    let mut left = Vec::new();
    for _ in 0..3 {
        let choices: Vec<(u32, Vec<SeatIndex>)> = standing
            .iter()
            .map(|(count, known)| {
                let places = spread.map_or(1, |spread| spread.places(*count));
                let ranking = ranker.rank(&BestRequest::new(*count), |_| Some(1));
                let seats = ranking.choose(known, Orphans::Lenient, places, &mut random);
                (places, seats.expect("the hall is large"))
            })
            .collect();
        let mut again = Vec::new();
        for ((count, mut known), (places, mut seats)) in standing.into_iter().zip(choices) {
            let free = |seat: &SeatIndex| SeatState::at(&map, *seat) == SeatState::Free;
            if seats.iter().all(free) {
                mark_taken(&mut map, &seats);
                spread.inspect(|spread| spread.took());
            } else {
                seats.retain(|seat| !free(seat));
                mark_taken(&mut known, &seats);
                spread.inspect(|spread| spread.collided(count, places));
                again.push((count, known));
            }
        }
        standing = again;
        left.push(standing.len());
    }
    left
}

#[test]
fn buyers_who_know_the_same_map_rarely_collide() {
    let hall = hall(20_000);
    let fresh = Spread::new();
    let begins = rounds(&hall, Some(&fresh));
    let rush = Spread::new();
    (0..3).for_each(|_| rush.collided(1, rush.places(1)));
    let goes_on = rounds(&hall, Some(&rush));
    let greedy = rounds(&hall, None);
    println!(
        "of {BUYERS} buyers with one snapshot of an empty hall of 20,000 have no seat after 1, 2, 3 choices: {begins:?} as a sale begins, {goes_on:?} in a rush that goes on, {greedy:?} without spreading"
    );
    assert!(begins[2] < BUYERS / 2, "{begins:?}");
    assert!(
        goes_on[0] < BUYERS / 5 && goes_on[2] < BUYERS / 50,
        "{goes_on:?}"
    );
    assert!(greedy[2] > BUYERS * 9 / 10, "{greedy:?}");
}

#[test]
fn one_after_the_other_everyone_is_seated_exactly_while_they_fit() {
    let hall = hall(4_000);
    let seats = hall.layout().seat_count();
    for (seed, orphans) in (1..).zip([Orphans::Allow, Orphans::Lenient, Orphans::Strict]) {
        let mut bits = empty(&hall);
        mark_taken(&mut bits, &some_seats(seats, 900, seed));
        let mut random = numbers(seed);
        let mut refused = 0;
        for count in groups(400) {
            let free = |seat| SeatState::at(&bits, SeatIndex::new(seat)) == SeatState::Free;
            let fitting = hall.layout().segments().any(|segment| {
                let (start, end) = (segment.start.get(), segment.start.get() + segment.len);
                (start..=end.saturating_sub(count)).any(|first| (first..first + count).all(free))
            });
            let ranking = hall.rank(&BestRequest::new(count), |_| Some(1));
            let chosen = ranking.choose(&bits, orphans, 16, &mut random);
            assert_eq!(chosen.is_some(), fitting, "{count} under {orphans:?}");
            refused += usize::from(!fitting);
            mark_taken(&mut bits, &chosen.unwrap_or_default());
        }
        assert!(
            refused > 100 && refused < 390,
            "{refused} refusals show something"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_buyers_at_once_all_sit_in_an_empty_hall() {
    let store = Arc::new(MemorySeatStore::new());
    let rush = Arc::new(Rush::open(store, "empty-hall", hall(20_000), &[]).await);
    let all = rush.all_at_once(&groups(BUYERS)).await;
    report("an empty hall of 20,000", &all);
    rush.verify(&[], &all).await;
    assert!(all.iter().all(|bought| !bought.seats.is_empty()), "all fit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_nearly_sold_house_is_filled_and_no_means_no() {
    let hall = hall(8_000);
    let gone = some_seats(8_000, 950, 3);
    let store = Arc::new(MemorySeatStore::new());
    let rush = Arc::new(Rush::open(store, "nearly-sold", hall, &gone).await);
    let all = rush.all_at_once(&groups(500)).await;
    report("a house of which 95% is sold", &all);
    rush.verify(&gone, &all).await;
    let refused = all.iter().filter(|bought| bought.seats.is_empty()).count();
    assert!(refused > 50, "{refused} refusals show something");
    let free = fits(rush.ranker.layout(), &rush.snapshot().await, 1);
    let single_refused = all
        .iter()
        .any(|bought| bought.count == 1 && bought.seats.is_empty());
    assert!(!(free && single_refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_seats_go_to_exactly_as_many() {
    let hall = hall(8_000);
    let gone = some_seats(8_000, 980, 5);
    let store = Arc::new(MemorySeatStore::new());
    let rush = Arc::new(Rush::open(store, "last-seats", hall, &gone).await);
    let free = 8_000 - gone.len();
    let all = rush.all_at_once(&vec![1; 500]).await;
    report(&format!("{free} single seats"), &all);
    rush.verify(&gone, &all).await;
    let got = all.iter().filter(|bought| !bought.seats.is_empty()).count();
    assert_eq!(got, free.min(500));
}
