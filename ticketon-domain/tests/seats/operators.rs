//! The operator's verbs and what purchases tell the map.

use ticketon_domain::seat::{LedgerChange, Load, MapSpec, Refusal, SeatStore as _};
use ticketon_domain::venue::SeatLabel;

use crate::shop::{Shop, hall, id, label, person};

#[tokio::test]
async fn blocked_seats_stay_blocked_over_a_rebuild() {
    let shop = Shop::open().await;
    let blocked = shop.seats.block(&id(), &["A-1-1", "A-1-2", "A-1-1"]).await;
    blocked.unwrap().done().unwrap();
    assert_eq!(shop.counts().await.blocked, 2);
    assert!(matches!(
        shop.refused("ann", &["A-1-2"]).await,
        Refusal::SeatsTaken { .. }
    ));
    assert!(shop.seats.rebuild(&id()).await.unwrap());
    assert_eq!(shop.counts().await.blocked, 2);
    shop.seats
        .unblock(&id(), &["A-1-2", "A-1-9"])
        .await
        .unwrap()
        .done()
        .unwrap();
    shop.hold("ann", &["A-1-2"]).await;
    assert!(shop.seats.rebuild(&id()).await.unwrap());
    let counts = shop.counts().await;
    assert_eq!((counts.blocked, counts.held), (1, 0));
}

#[tokio::test]
async fn what_somebody_has_is_not_blocked_and_nothing_else_with_it() {
    let shop = Shop::open().await;
    shop.hold("ann", &["A-1-2"]).await;
    let blocked = shop.seats.block(&id(), &["A-1-1", "A-1-2"]).await.unwrap();
    let seats = vec![label("A-1-2")];
    assert_eq!(blocked.done(), Err(Refusal::SeatsTaken { seats }));
    assert_eq!(shop.counts().await.blocked, 0);
    assert!(shop.seats.rebuild(&id()).await.unwrap());
    assert_eq!(shop.counts().await.blocked, 0, "nothing was written down");
    let unknown = shop.seats.block(&id(), &["Z-1-1"]).await.unwrap().done();
    assert!(matches!(unknown, Err(Refusal::Invalid { .. })));
    let none: [&str; 0] = [];
    let nothing = shop.seats.block(&id(), &none).await.unwrap().done();
    assert!(matches!(nothing, Err(Refusal::Invalid { .. })));
}

#[tokio::test]
async fn a_sale_is_told_in_any_number_of_batches_and_times() {
    let shop = Shop::open().await;
    let seats: Vec<SeatLabel> = ["A-1-1", "A-1-2", "floor/1"].map(label).into();
    let ann = person("ann").1;
    let sold = LedgerChange::Sold {
        user: ann.clone(),
        fence: 7,
        seats: seats.clone(),
    };
    let released = LedgerChange::Released {
        user: ann.clone(),
        fence: 7,
        seats: seats[..1].to_vec(),
    };
    let changes = vec![sold.clone(), released];
    let synced = shop
        .seats
        .sync(&id(), &changes)
        .await
        .unwrap()
        .done()
        .unwrap();
    assert_eq!(
        synced.changed, 3,
        "a seat that is sold and given back ends free"
    );
    assert_eq!(shop.counts().await.sold, 2);
    let many: Vec<LedgerChange> = (0..1_000).map(|_| sold.clone()).collect();
    let before = shop.store.calls("sync");
    let synced = shop.seats.sync(&id(), &many).await.unwrap().done().unwrap();
    assert_eq!(synced.changed, 0, "told before");
    assert_eq!(
        shop.store.calls("sync") - before,
        3,
        "3,000 seats in batches of 1,000"
    );
    assert_eq!(
        shop.seats
            .sync(&id(), &[])
            .await
            .unwrap()
            .done()
            .unwrap()
            .changed,
        0
    );
}

#[tokio::test]
async fn a_sale_takes_the_seat_from_whoever_holds_it() {
    let shop = Shop::open().await;
    let bens = shop.hold("ben", &["A-1-1", "A-1-2"]).await;
    let change = LedgerChange::Sold {
        user: person("ann").1,
        fence: bens.fence + 1,
        seats: vec![label("A-1-1")],
    };
    let synced = shop
        .seats
        .sync(&id(), &[change])
        .await
        .unwrap()
        .done()
        .unwrap();
    assert_eq!(synced.lost, [bens.id]);
    let counts = shop.counts().await;
    assert_eq!((counts.sold, counts.held), (1, 0));
}

#[tokio::test]
async fn a_sale_cannot_be_told_to_a_map_that_is_not_ready() {
    let shop = Shop::without_keeper().await;
    let spec = MapSpec {
        layout: hall().version().to_owned(),
        seats: hall().seat_count(),
    };
    let epoch = shop.begin_rebuild(&spec).await;
    let change = LedgerChange::Sold {
        user: person("ann").1,
        fence: 7,
        seats: vec![label("A-1-1")],
    };
    let synced = shop
        .seats
        .sync(&id(), std::slice::from_ref(&change))
        .await
        .unwrap();
    assert!(matches!(synced.done(), Err(Refusal::NotReady { .. })));
    let none: [Load; 0] = [];
    assert!(shop.store.memory.load(&id(), epoch, &none).await.unwrap());
    assert!(
        shop.store
            .memory
            .finish_rebuild(&id(), epoch)
            .await
            .unwrap()
    );
    let synced = shop.seats.sync(&id(), &[change]).await.unwrap();
    assert_eq!(synced.done().unwrap().changed, 1);
}
