//! Many buyers at once over a store: what each got, and whether that was right.
//!
//! It knows stores by their port alone, so that other crates' tests include this file for theirs.

#![allow(unreachable_pub)] // a module of whichever test includes it

use std::collections::BTreeSet;
use std::sync::Arc;

use ticketon_domain::seat::best::{BestRequest, Ranker, Spread, mark_taken};
use ticketon_domain::seat::{
    Choice, Held, HoldId, HoldRequest, Limits, Load, MAX_BATCH, MapSpec, Mapped, Orphans, Over,
    SeatState, SeatStore, Snapshot,
};
use ticketon_domain::venue::{Layout, SeatIndex};
use ticketon_queue::{EventId, UserId};
use tokio::sync::Barrier;

/// How often a buyer chooses from the snapshot before the store chooses.
const ATTEMPTS: u32 = 3;

/// A hall of rows with 10, 20 and 10 seats between two aisles; every fiftieth row has a wheelchair space at
/// either end.
pub fn hall(seats: u32) -> Arc<Ranker> {
    let row = |row: u32| {
        let kept = if row.is_multiple_of(50) {
            r#","accessible":["1","40"],"companion":["2","39"]"#
        } else {
            ""
        };
        format!(
            r#"{{"id":"{row}","segments":[{{"from":1,"count":10,"x":0,"y":{row}}},{{"from":11,"count":20,"x":12,"y":{row}}},{{"from":31,"count":10,"x":34,"y":{row}}}]{kept}}}"#
        )
    };
    let rows: Vec<String> = (1..=seats / 40).map(row).collect();
    let sections: Vec<String> = (1..)
        .zip(rows.chunks(500))
        .map(|(id, rows)| format!(r#"{{"id":"{id}","rows":[{}]}}"#, rows.join(",")))
        .collect();
    let json = format!(
        r#"{{"name":"Hall","grades":["any"],"sections":[{}]}}"#,
        sections.join(",")
    );
    Arc::new(Ranker::new(Arc::new(
        Layout::from_json(json).expect("the hall is valid"),
    )))
}

/// The same numbers for the same seed.
pub fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Some seats of a house, this share in a thousand, at random.
pub fn some_seats(seats: u32, per_mille: u64, seed: u64) -> Vec<SeatIndex> {
    let mut random = numbers(seed);
    (0..seats)
        .filter(|_| (random() >> 32) % 1_000 < per_mille)
        .map(SeatIndex::new)
        .collect()
}

/// A buyer, and what came of it.
#[derive(Debug)]
pub struct Bought {
    /// How many seats were wanted.
    pub count: u32,
    /// What is held; nothing if the answer was no.
    pub seats: Vec<SeatIndex>,
    /// How many choices from the snapshot somebody else was faster with.
    pub collisions: u32,
    /// The store chose.
    pub in_store: bool,
}

/// An event on sale.
pub struct Rush {
    pub store: Arc<dyn SeatStore>,
    pub event: EventId,
    pub ranker: Arc<Ranker>,
    pub orphans: Orphans,
    pub spread: Arc<Spread>,
    epoch: u64,
}

impl Rush {
    /// Puts a house on sale of which these seats are gone.
    pub async fn open(
        store: Arc<dyn SeatStore>,
        event: &str,
        ranker: Arc<Ranker>,
        gone: &[SeatIndex],
    ) -> Self {
        let event = EventId::new(event).expect("a valid id");
        let layout = ranker.layout();
        let spec = MapSpec {
            layout: layout.version().to_owned(),
            seats: layout.seat_count(),
        };
        let epoch = store
            .begin_rebuild(&event, &spec, Over::Any)
            .await
            .expect("the store answers")
            .expect("it begins");
        for gone in gone.chunks(MAX_BATCH) {
            let gone: Vec<Load> = gone.iter().map(|&seat| Load::Blocked { seat }).collect();
            assert!(
                store
                    .load(&event, epoch, &gone)
                    .await
                    .expect("the store answers")
            );
        }
        assert!(
            store
                .finish_rebuild(&event, epoch)
                .await
                .expect("the store answers")
        );
        Self {
            store,
            event,
            ranker,
            epoch,
            orphans: Orphans::Lenient,
            spread: Arc::new(Spread::new()),
        }
    }

    pub async fn snapshot(&self) -> Snapshot {
        ready(
            self.store
                .snapshot(&self.event)
                .await
                .expect("the store answers"),
        )
    }

    /// One buyer, who knows the map as it was in `snapshot`.
    pub async fn buy(&self, snapshot: &Snapshot, buyer: usize, count: u32) -> Bought {
        let mut bought = Bought {
            count,
            seats: Vec::new(),
            collisions: 0,
            in_store: false,
        };
        let ranking = self.ranker.rank(&BestRequest::new(count), |_| Some(1));
        let (mut bits, mut random) = (snapshot.bits.to_vec(), numbers(buyer as u64));
        for _ in 0..ATTEMPTS {
            let places = self.spread.places(count);
            let Some(seats) = ranking.choose(&bits, self.orphans, places, &mut random) else {
                break;
            };
            match self.hold(buyer, Choice::Seats(seats)).await {
                Held::Taken(hold) => {
                    self.spread.took();
                    bought.seats = hold.seats;
                    return bought;
                }
                Held::Unavailable { seats } => {
                    self.spread.collided(count, places);
                    bought.collisions += 1;
                    mark_taken(&mut bits, &seats);
                }
                other => panic!("{other:?}"),
            }
        }
        bought.in_store = true;
        for runs in ranking.tiers() {
            let choice = Choice::Adjacent {
                count,
                runs: Arc::clone(runs),
                orphans: self.orphans,
            };
            match self.hold(buyer, choice).await {
                Held::Taken(hold) => {
                    bought.seats = hold.seats;
                    return bought;
                }
                Held::NoSeats => {}
                other => panic!("{other:?}"),
            }
        }
        bought
    }

    async fn hold(&self, buyer: usize, choice: Choice) -> Held {
        let user = UserId::new(format!("buyer-{buyer}")).expect("a valid id");
        let request = HoldRequest {
            id: HoldId::derive(&self.event, &user, "only"),
            user,
            request_hash: 1,
            choice,
            ttl_ms: 600_000,
            limits: Limits::default(),
        };
        let held = self.store.hold(&self.event, self.epoch, &request).await;
        ready(held.expect("the store answers"))
    }

    /// All buyers at once, who all know the map as it is now. Whoever is told no looks at once whether that
    /// is true.
    pub async fn all_at_once(self: &Arc<Self>, counts: &[u32]) -> Vec<Bought> {
        let snapshot = Arc::new(self.snapshot().await);
        let start = Arc::new(Barrier::new(counts.len()));
        let buyers: Vec<_> = (0..)
            .zip(counts.iter().copied())
            .map(|(buyer, count)| {
                let (rush, snapshot, start) =
                    (Arc::clone(self), Arc::clone(&snapshot), Arc::clone(&start));
                tokio::spawn(async move {
                    start.wait().await;
                    let bought = rush.buy(&snapshot, buyer, count).await;
                    if bought.seats.is_empty() {
                        // Seats only become fewer, so what fits now fitted when the answer was no.
                        let later = rush.snapshot().await;
                        assert!(
                            !fits(rush.ranker.layout(), &later, count),
                            "{count} fit, and buyer {buyer} was told no"
                        );
                    }
                    bought
                })
            })
            .collect();
        let mut all = Vec::new();
        for buyer in buyers {
            all.push(buyer.await.expect("a buyer does not panic"));
        }
        all
    }

    /// Asserts that everyone has what they wanted, side by side, that nobody else has; that the map says
    /// the same; and that whoever has nothing would not fit.
    pub async fn verify(&self, gone: &[SeatIndex], all: &[Bought]) {
        let (layout, after) = (self.ranker.layout(), self.snapshot().await);
        let mut held: BTreeSet<SeatIndex> = BTreeSet::new();
        for bought in all.iter().filter(|bought| !bought.seats.is_empty()) {
            assert_eq!(bought.seats.len(), bought.count as usize, "{bought:?}");
            let segment = layout.segment_of(bought.seats[0]);
            for (place, seat) in (0..).zip(&bought.seats) {
                assert_eq!(seat.get(), bought.seats[0].get() + place, "{bought:?}");
                assert_eq!(layout.segment_of(*seat), segment, "{bought:?}");
                assert!(held.insert(*seat), "{seat:?} was given to two");
            }
        }
        for seat in (0..layout.seat_count()).map(SeatIndex::new) {
            let expected = match (held.contains(&seat), gone.contains(&seat)) {
                (true, _) => SeatState::Held,
                (_, true) => SeatState::Blocked,
                _ => SeatState::Free,
            };
            assert_eq!(after.state(seat), Some(expected), "{seat:?}");
        }
        let refused: BTreeSet<u32> = all
            .iter()
            .filter(|bought| bought.seats.is_empty())
            .map(|bought| bought.count)
            .collect();
        for count in refused {
            assert!(
                !fits(layout, &after, count),
                "{count} fit, and somebody was told no"
            );
        }
    }
}

/// Whether so many fit anywhere side by side: the naive way.
pub fn fits(layout: &Layout, map: &Snapshot, count: u32) -> bool {
    layout.segments().any(|segment| {
        let mut side_by_side = 0;
        (segment.start.get()..segment.start.get() + segment.len).any(|seat| {
            let free = map.state(SeatIndex::new(seat)) == Some(SeatState::Free);
            side_by_side = if free { side_by_side + 1 } else { 0 };
            side_by_side >= count
        })
    })
}

/// How a rush went, in numbers.
pub fn report(what: &str, all: &[Bought]) {
    let got = all.iter().filter(|bought| !bought.seats.is_empty()).count();
    let seats: usize = all.iter().map(|bought| bought.seats.len()).sum();
    let collisions: u32 = all.iter().map(|bought| bought.collisions).sum();
    let at_once = all
        .iter()
        .filter(|bought| bought.collisions == 0 && !bought.in_store)
        .count();
    let in_store = all.iter().filter(|bought| bought.in_store).count();
    let buyers = all.len();
    println!(
        "{what}: {got} of {buyers} buyers got {seats} seats; {at_once} at the first attempt, {in_store} chose in the store, {collisions} collisions"
    );
}

fn ready<T: std::fmt::Debug>(mapped: Mapped<T>) -> T {
    match mapped {
        Mapped::Ready(answer) => answer,
        Mapped::NotReady(why) => panic!("{why:?}"),
    }
}
