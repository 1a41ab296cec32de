//! Events: what saving one does to its map, and what freezes.

use ticketon_domain::event::{Catalog as _, EventRefused, EventStatus, Put, Taken};
use ticketon_domain::seat::{EventSaved, HoldSeats, Refusal};
use ticketon_domain::venue::Layout;

use crate::shop::{Shop, hall, id, label, layout, person, tour};

async fn put(
    shop: &Shop,
    event: ticketon_domain::event::EventBuilder,
    layout: Layout,
) -> EventSaved {
    let event = event.build().unwrap();
    shop.seats.put_event(event, layout).await.unwrap()
}

#[tokio::test]
async fn saving_again_changes_nothing_and_a_change_is_told_apart() {
    let shop = Shop::open().await;
    let EventSaved::Same(event) = put(&shop, tour(), hall()).await else {
        panic!("not the same");
    };
    assert_eq!((event.version(), event.sales_version()), (1, 1));
    let EventSaved::Changed(event) = put(&shop, tour().price("extra", 1), hall()).await else {
        let refused = put(&shop, tour().title("Encore", "앙코르"), hall())
            .await
            .saved()
            .unwrap();
        assert_eq!((refused.version(), refused.sales_version()), (2, 1));
        assert_eq!(shop.seats.event(&id()).await.unwrap().title().en, "Encore");
        return;
    };
    panic!("a price without a grade was accepted: {event:?}");
}

#[tokio::test]
async fn while_nobody_has_a_seat_the_layout_may_change() {
    let shop = Shop::open().await;
    let other = shop.another(false).await;
    let hold = other
        .hold(&person("ben"), &["A-1-10"])
        .await
        .unwrap()
        .taken()
        .unwrap();
    other
        .release(&person("ben"), hold.id)
        .await
        .unwrap()
        .released()
        .unwrap();

    let saved = put(&shop, tour(), layout(12)).await.saved().unwrap();
    assert_eq!(saved.sales_version(), 2);
    assert_eq!(shop.counts().await.free, 54);
    shop.hold("ann", &["A-1-12"]).await;
    // A process that knows the old layout finds out, and asks for the right seat.
    let held = other
        .hold(&person("ben"), &["A-2-12"])
        .await
        .unwrap()
        .taken();
    let held = match held {
        Err(Refusal::Invalid { .. }) => {
            shop.pass_seconds(1).await;
            other
                .hold(&person("ben"), &["A-2-12"])
                .await
                .unwrap()
                .taken()
        }
        held => held,
    };
    assert_eq!(held.unwrap().seats[0].label, label("A-2-12"));
    let best = other
        .hold(&person("eve"), HoldSeats::best(4))
        .await
        .unwrap();
    assert_eq!(best.taken().unwrap().seats.len(), 4);
}

#[tokio::test]
async fn an_old_index_never_means_a_seat_of_another_layout() {
    let shop = Shop::open().await;
    let other = shop.another(false).await;
    // The other process knows the layout and the epoch: `A-2-1` is the eleventh seat.
    let hold = other
        .hold(&person("ben"), &["A-2-1"])
        .await
        .unwrap()
        .taken()
        .unwrap();
    other
        .release(&person("ben"), hold.id)
        .await
        .unwrap()
        .released()
        .unwrap();
    put(&shop, tour(), layout(12)).await.saved().unwrap();
    let hold = other
        .hold(&person("ben"), &["A-2-1"])
        .await
        .unwrap()
        .taken()
        .unwrap();
    assert_eq!(hold.seats[0].grade, "standard");
    assert!(matches!(
        shop.refused("ann", &["A-2-1"]).await,
        Refusal::SeatsTaken { .. }
    ));
    shop.hold("eve", &["A-1-11"]).await;
}

#[tokio::test]
async fn layout_and_currency_freeze_while_seats_are_held_or_sold() {
    let shop = Shop::open().await;
    let frozen = |saved: EventSaved| match saved {
        EventSaved::Refused(EventRefused::Frozen { fields }) => fields,
        other => panic!("{other:?}"),
    };
    let hold = shop.hold("ann", &["A-1-1"]).await;
    let fields = frozen(put(&shop, tour().currency("JPY"), layout(12)).await);
    assert_eq!(fields, ["layout", "currency"]);
    shop.sell("ann", &hold).await;
    // Sold is sold, also while there is no map.
    shop.store.memory.clear();
    assert_eq!(frozen(put(&shop, tour(), layout(12)).await), ["layout"]);
    shop.pass_seconds(2).await;
    shop.refund("ann", &hold).await;
    put(&shop, tour(), layout(12)).await.saved().unwrap();
}

#[tokio::test]
async fn a_price_that_changes_makes_a_new_sales_version() {
    let shop = Shop::open().await;
    shop.hold("ann", &["A-1-1"]).await;
    let mut json = shop.seats.event(&id()).await.unwrap().to_json();
    json["prices"][0]["amount"] = 160_000.into();
    let event = ticketon_domain::event::Event::from_json(&id(), &json).unwrap();
    let saved = shop
        .seats
        .put_event(event.clone(), hall())
        .await
        .unwrap()
        .saved()
        .unwrap();
    assert_eq!(saved.sales_version(), 2);
    let hold = shop.hold("ben", &["A-1-2"]).await;
    assert_eq!((hold.sales_version, hold.total.amount), (2, 160_000));
    // What was exported before is old now.
    let stale = shop.seats.put_event(event, hall()).await.unwrap().saved();
    assert_eq!(stale, Err(EventRefused::Stale { version: 2 }));
    let draft = shop
        .seats
        .set_status(&id(), EventStatus::Draft)
        .await
        .unwrap()
        .saved();
    assert!(matches!(draft, Err(EventRefused::Status { .. })));
}

#[tokio::test]
async fn a_layout_that_was_saved_but_not_built_sells_nothing() {
    let shop = Shop::without_keeper().await;
    let released = shop.hold("ann", &["A-2-1"]).await;
    shop.seats
        .release(&person("ann"), released.id)
        .await
        .unwrap()
        .released()
        .unwrap();
    // Somebody saves another layout, and dies before the map is built.
    let before = shop.seats.event(&id()).await.unwrap();
    let bigger = layout(12);
    let next = tour()
        .build()
        .unwrap()
        .after(Some(&before), &bigger, Taken::No)
        .unwrap();
    shop.catalog
        .put_layout(&std::sync::Arc::new(bigger))
        .await
        .unwrap();
    assert_eq!(shop.catalog.put_event(&next).await.unwrap(), Put::Saved);
    shop.pass_seconds(1).await;
    // Its eleventh seat is another one than that of the map.
    let refused = shop.refused("ann", &["A-2-1"]).await;
    assert!(matches!(refused, Refusal::NotReady { .. }), "{refused:?}");
    let _keeper = shop.another(true).await;
    shop.pass_seconds(7).await;
    assert_eq!(
        shop.hold("ann", &["A-2-1"]).await.seats[0].grade,
        "standard"
    );
}
