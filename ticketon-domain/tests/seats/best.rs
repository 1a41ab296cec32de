//! The best available: chosen here, spread, and by the store when others are faster.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use ticketon_domain::event::Event;
use ticketon_domain::seat::{BestAvailable, HoldSeats, Orphans, Refusal};
use ticketon_queue::EventId;

use crate::shop::{Shop, labels, person, tour};

#[tokio::test]
async fn wishes_are_granted_or_refused() {
    let shop = Shop::open().await;
    let best = |request: BestAvailable| {
        let (seats, ann) = (
            shop.seats.clone(),
            person(ticketon_queue::id::random_bytes::<4>()[0]),
        );
        async move { seats.hold(&ann, request).await.unwrap().taken() }
    };
    let hold = best(BestAvailable::new(3)).await.unwrap();
    assert!(labels(&hold).iter().all(|label| label.starts_with("A-")));
    let numbers: Vec<u32> = labels(&hold)
        .iter()
        .map(|label| label[4..].parse().unwrap())
        .collect();
    assert!(
        numbers.windows(2).all(|two| two[0] + 1 == two[1]),
        "{numbers:?}"
    );

    let cheap = best(BestAvailable::new(2).section("A").max_price(90_000))
        .await
        .unwrap();
    assert!(cheap.seats.iter().all(|seat| seat.grade == "standard"));
    let graded = best(BestAvailable::new(2).grade("vip")).await.unwrap();
    assert!(graded.seats.iter().all(|seat| seat.grade == "vip"));
    let standing = best(BestAvailable::new(2).grade("floor")).await.unwrap();
    assert!(
        standing
            .seats
            .iter()
            .all(|seat| seat.label.area().is_some())
    );
    let section = best(BestAvailable::new(2).section("floor")).await.unwrap();
    assert!(section.seats.iter().all(|seat| seat.label.area().is_some()));

    let too_cheap = best(BestAvailable::new(2).max_price(40_000)).await;
    assert_eq!(too_cheap, Err(Refusal::NoSeats));
    let Err(Refusal::Invalid { fields }) =
        best(BestAvailable::new(1).grade("gold").section("Z")).await
    else {
        panic!("unknown wishes were granted");
    };
    let names: Vec<&str> = fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(names, ["bestAvailable.grades[0]", "bestAvailable.section"]);
}

#[tokio::test]
async fn who_loses_three_times_has_the_store_choose() {
    for (rivals, asked, chosen) in [(0, 1, 0), (2, 3, 0), (3, 3, 1), (9, 3, 1)] {
        let shop = Shop::open().await;
        shop.store.rivals.store(rivals, Ordering::SeqCst);
        let held = shop.seats.hold(&person("ann"), HoldSeats::best(2)).await;
        assert_eq!(held.unwrap().taken().unwrap().seats.len(), 2);
        assert_eq!(shop.store.calls("hold"), asked, "{rivals} rivals");
        assert_eq!(shop.store.calls("choose"), chosen, "{rivals} rivals");
    }
}

#[tokio::test]
async fn there_are_no_seats_only_when_the_store_finds_none() {
    let shop = Shop::open().await;
    let _ = shop.seats.snapshot(&crate::shop::id()).await.unwrap();
    // What this process saw is old by now: others hold all.
    let other = shop.another(false).await;
    for (number, (row, first)) in [(1, 1), (1, 5), (2, 1), (2, 5)].into_iter().enumerate() {
        let labels: Vec<String> = (first..first + 4)
            .map(|seat| format!("A-{row}-{seat}"))
            .collect();
        let hold = other.hold(&person(number), &labels).await;
        hold.unwrap().taken().unwrap();
    }
    for (row, name) in [(1, "eve"), (2, "bob")] {
        let labels = [format!("A-{row}-9"), format!("A-{row}-10")];
        let hold = other.hold(&person(name), &labels).await;
        hold.unwrap().taken().unwrap();
    }
    let refused = shop
        .refused("ann", BestAvailable::new(2).section("A"))
        .await;
    assert_eq!(refused, Refusal::NoSeats);
    let refused = shop.refused("ann", HoldSeats::best(2)).await;
    assert_eq!(
        refused,
        Refusal::NoSeats,
        "who wants to sit is not sent to the floor"
    );
    shop.pass(250).await;
    assert_eq!(
        shop.refused("ann", BestAvailable::new(2).section("A"))
            .await,
        Refusal::NoSeats
    );
    // The map that this process has says that all is held; the store knows better.
    let zero = person(0);
    let own = other.own(&zero).await.unwrap().done().unwrap();
    other
        .release(&zero, own[0].id)
        .await
        .unwrap()
        .released()
        .unwrap();
    let reads = shop.store.calls("snapshot");
    let hold = shop
        .seats
        .hold(&person("ann"), BestAvailable::new(2).section("A"))
        .await;
    assert_eq!(hold.unwrap().taken().unwrap().seats.len(), 2);
    assert_eq!(shop.store.calls("snapshot"), reads);
}

#[tokio::test]
async fn a_crowd_of_one_process_takes_every_seat_and_never_collides() {
    let shop = Shop::without_keeper().await;
    let crowd = (0..10).map(|number| {
        let seats = shop.seats.clone();
        tokio::spawn(async move {
            let best = BestAvailable::new(2).section("A");
            seats
                .hold(&person(number), best)
                .await
                .unwrap()
                .taken()
                .unwrap()
        })
    });
    let mut taken = HashSet::new();
    for buyer in crowd.collect::<Vec<_>>() {
        for seat in buyer.await.unwrap().seats {
            assert!(taken.insert(seat.label.to_string()), "{} twice", seat.label);
        }
    }
    assert_eq!(taken.len(), 20);
    assert_eq!(
        shop.store.calls("hold"),
        10,
        "within a process nobody collides"
    );
    assert_eq!(shop.counts().await.free, 30);
}

#[tokio::test]
async fn a_failing_store_leaves_nothing_behind_in_the_choosers_map() {
    let shop = Shop::open().await;
    shop.seats
        .hold(&person("ann"), HoldSeats::best(1))
        .await
        .unwrap()
        .taken()
        .unwrap();
    shop.store.down.store(true, Ordering::SeqCst);
    for number in 0..20 {
        let failed = shop
            .seats
            .hold(&person(number), BestAvailable::new(4).section("A"))
            .await;
        assert!(failed.is_err());
    }
    shop.store.down.store(false, Ordering::SeqCst);
    let before = shop.store.calls("hold");
    let held = shop
        .seats
        .hold(&person("ben"), BestAvailable::new(4).section("A"))
        .await;
    held.unwrap().taken().unwrap();
    assert_eq!(shop.store.calls("hold"), before + 1, "chosen at once");
}

#[tokio::test]
async fn a_strict_event_refuses_picks_that_leave_a_seat_alone() {
    let shop = Shop::with(tour().orphans(Orphans::Strict), None, true).await;
    let refusal = shop.refused("ann", &["A-1-2", "A-1-3"]).await;
    assert_eq!(refusal.to_string(), "these would be left alone: A-1-1");
    shop.hold("ann", &["A-1-1", "A-1-2"]).await;
    shop.hold("ben", &["A-1-4"]).await;

    let lenient = Shop::open().await;
    lenient.hold("ann", &["A-1-2", "A-1-3"]).await;
}

#[tokio::test]
async fn where_nobody_sits_the_best_is_the_floor() {
    let shop = Shop::open().await;
    let club =
        r#"{"name": "Club", "grades": ["floor"], "areas": [{"id": "floor", "capacity": 5}]}"#;
    let club = ticketon_domain::venue::Layout::from_json(club).unwrap();
    let night = EventId::new("night").unwrap();
    let event = Event::builder(night.clone())
        .title("Night", "밤")
        .venue("Club")
        .starts_at_ms(crate::shop::SHOW_MS)
        .status(ticketon_domain::event::EventStatus::Open)
        .currency("KRW")
        .price("floor", 30_000);
    shop.seats
        .put_event(event.build().unwrap(), club)
        .await
        .unwrap()
        .saved()
        .unwrap();
    let ann = (night, person("ann").1);
    let hold = shop
        .seats
        .hold(&ann, HoldSeats::best(3))
        .await
        .unwrap()
        .taken()
        .unwrap();
    assert_eq!(hold.seats.len(), 3);
    let ben = (ann.0.clone(), person("ben").1);
    let refused = shop
        .seats
        .hold(&ben, HoldSeats::best(3))
        .await
        .unwrap()
        .taken();
    assert_eq!(refused, Err(Refusal::NoSeats));
}
