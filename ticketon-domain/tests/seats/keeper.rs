//! The keeper: what the store lost comes back, from the ledger alone.

use std::sync::atomic::Ordering;

use ticketon_domain::seat::{
    EventSaved, HoldSeats, MapSpec, Mapped, NotReady, Outcome, Refusal, SeatStore as _,
};

use crate::shop::{Shop, hall, id, label, labels, person, tour};

#[tokio::test]
async fn a_map_that_the_store_lost_is_built_from_the_ledger() {
    let shop = Shop::open().await;
    let sold = shop.hold("ann", &["A-1-1", "A-1-2"]).await;
    shop.sell("ann", &sold).await;
    shop.seats
        .block(&id(), &["A-2-1"])
        .await
        .unwrap()
        .done()
        .unwrap();
    let held = shop.hold("ben", &["A-1-5"]).await;

    shop.store.memory.clear();
    let refused = shop.refused("eve", &["A-1-1"]).await;
    assert!(
        matches!(refused, Refusal::NotReady { .. }),
        "an absent map never reads as free"
    );
    shop.until("a map", async || {
        shop.store.memory.head(&id()).await.unwrap().ready()
    })
    .await;
    let counts = shop.counts().await;
    assert_eq!((counts.sold, counts.blocked, counts.held), (2, 1, 0));
    assert!(matches!(
        shop.refused("eve", &["A-1-1"]).await,
        Refusal::SeatsTaken { .. }
    ));
    assert!(matches!(
        shop.refused("eve", &["A-2-1"]).await,
        Refusal::SeatsTaken { .. }
    ));
    // The hold is gone with the map; its seats are to be had again.
    let got = shop.seats.get(&person("ben"), held.id).await.unwrap();
    assert_eq!(got.taken(), Err(Refusal::UnknownHold));
    let again = shop.hold("ben", &["A-1-5"]).await;
    assert!(again.fence > sold.fence.max(held.fence));
}

#[tokio::test]
async fn a_big_ledger_is_read_in_pages() {
    let shop = Shop::open().await;
    let json = r#"{"name": "Field", "grades": ["vip", "standard", "floor"],
        "areas": [{"id": "field", "grade": "floor", "capacity": 5000}]}"#;
    let field = ticketon_domain::venue::Layout::from_json(json).unwrap();
    let event = tour().build().unwrap();
    shop.seats
        .put_event(event, field)
        .await
        .unwrap()
        .saved()
        .unwrap();
    let units: Vec<String> = (1..=4_321).map(|unit| format!("field/{unit}")).collect();
    let sold: Vec<_> = units[..2_321]
        .iter()
        .map(|unit| ticketon_domain::seat::SoldSeat {
            seat: label(unit),
            user: person(unit).1,
            fence: 5,
        })
        .collect();
    assert!(shop.ledger.record_sold(&id(), &sold).is_empty());
    for block in units[2_321..].chunks(1_000) {
        shop.seats
            .block(&id(), block)
            .await
            .unwrap()
            .done()
            .unwrap();
    }
    assert!(shop.seats.rebuild(&id()).await.unwrap());
    let counts = shop.counts().await;
    assert_eq!(
        (counts.sold, counts.blocked, counts.free),
        (2_321, 2_000, 679)
    );
}

#[tokio::test]
async fn a_rebuild_that_does_not_end_is_taken_over_after_ten_seconds() {
    let shop = Shop::open().await;
    let spec = MapSpec {
        layout: hall().version().to_owned(),
        seats: hall().seat_count(),
    };
    let dead = shop.begin_rebuild(&spec).await;
    shop.pass_seconds(9).await;
    let head = shop.store.memory.head(&id()).await.unwrap();
    assert_eq!(head, Mapped::NotReady(NotReady::Rebuilding { epoch: dead }));
    shop.pass_seconds(4).await;
    let head = shop
        .store
        .memory
        .head(&id())
        .await
        .unwrap()
        .ready()
        .unwrap();
    assert!(head.epoch > dead);
    assert!(
        !shop.store.memory.finish_rebuild(&id(), dead).await.unwrap(),
        "the newer one won"
    );
}

#[tokio::test]
async fn many_keepers_do_no_more_than_one() {
    let shop = Shop::open().await;
    let others = [
        shop.another(true).await,
        shop.another(true).await,
        shop.another(true).await,
    ];
    let sold = shop.hold("ann", &["A-1-1"]).await;
    shop.sell("ann", &sold).await;
    shop.hold("ben", &["A-1-2"]).await;
    shop.pass_seconds(302).await;
    assert_eq!(shop.counts().await.held, 0);
    shop.store.memory.clear();
    let (rebuilds, loads) = (shop.store.calls("begin_rebuild"), shop.store.calls("load"));
    shop.pass(1_000).await;
    let hold = shop
        .until("a map", async || {
            let held = shop.seats.hold(&person("cat"), &["A-1-3"]).await;
            held.unwrap().taken().ok()
        })
        .await;
    for _ in 0..400 {
        shop.pass(5).await;
    }
    let began = shop.store.calls("begin_rebuild") - rebuilds;
    assert!(began > 1, "several keepers miss it at the same time");
    let loads = shop.store.calls("load") - loads;
    assert_eq!(loads, 1, "one of them builds it");
    let kept = shop.seats.get(&person("cat"), hold.id).await.unwrap();
    assert!(
        matches!(kept, Outcome::Done(_)),
        "it was built once more: {kept:?}"
    );
    assert_eq!(shop.counts().await.sold, 1);
    for other in others {
        other.shutdown().await;
    }
}

#[tokio::test]
async fn a_store_that_was_down_is_caught_up_with() {
    let shop = Shop::open().await;
    shop.hold("ann", &["A-1-1"]).await;
    shop.store.down.store(true, Ordering::SeqCst);
    shop.pass_seconds(310).await;
    assert!(shop.seats.hold(&person("ben"), &["A-1-1"]).await.is_err());
    shop.store.down.store(false, Ordering::SeqCst);
    shop.pass_seconds(2).await;
    assert_eq!(shop.counts().await.held, 0);
}

#[tokio::test]
async fn a_map_of_another_layout_is_built_anew() {
    let shop = Shop::open().await;
    let saved = shop
        .seats
        .put_event(tour().build().unwrap(), crate::shop::layout(12))
        .await;
    assert!(matches!(saved.unwrap(), EventSaved::Changed(_)));
    // Somebody's late rebuild leaves a map of the old layout.
    let spec = MapSpec {
        layout: hall().version().to_owned(),
        seats: hall().seat_count(),
    };
    let epoch = shop.begin_rebuild(&spec).await;
    assert!(
        shop.store
            .memory
            .finish_rebuild(&id(), epoch)
            .await
            .unwrap()
    );
    let refused = shop.refused("ann", HoldSeats::best(2)).await;
    assert!(matches!(refused, Refusal::NotReady { .. }), "{refused:?}");
    let shown = shop.seats.snapshot(&id()).await.unwrap().done();
    assert!(matches!(shown, Err(Refusal::NotReady { .. })), "{shown:?}");
    let hold = shop
        .until("the right map", async || {
            shop.seats
                .hold(&person("ann"), &["A-1-12"])
                .await
                .unwrap()
                .taken()
                .ok()
        })
        .await;
    assert_eq!(labels(&hold), ["A-1-12"]);
}

#[tokio::test]
async fn after_shutdown_nothing_is_kept() {
    let shop = Shop::open().await;
    shop.hold("ann", &["A-1-1"]).await;
    shop.seats.shutdown().await;
    shop.pass_seconds(310).await;
    assert_eq!(shop.counts().await.held, 1);
    let dropped = shop.another(true).await;
    drop(dropped);
    shop.pass_seconds(5).await;
    assert_eq!(shop.counts().await.held, 1);
}
