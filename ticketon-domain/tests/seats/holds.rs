//! Holding seats: all or none, for a while, by their holder alone.

use ticketon_domain::event::{EventStatus, NotOnSale};
use ticketon_domain::seat::{EndReason, HoldKey, HoldSeats, Refusal};
use ticketon_queue::FieldError;

use crate::shop::{SHOW_MS, START_MS, Shop, labels, person, since, tour};

#[tokio::test]
async fn a_hold_is_taken_extended_and_given_back() {
    let shop = Shop::open().await;
    let hold = shop.hold("ann", &["A-1-3", "A-2-1"]).await;
    assert_eq!(labels(&hold), ["A-1-3", "A-2-1"]);
    let seat = &hold.seats[1];
    assert_eq!((seat.grade.as_str(), seat.price), ("standard", 90_000));
    assert_eq!(hold.total.to_string(), "KRW 240,000");
    assert_eq!(hold.sales_version, 1);
    assert_eq!(hold.expires_at_ms.map(since), Some(300_000));
    assert_eq!(since(hold.max_expires_at_ms), 600_000);
    assert_eq!(shop.counts().await.held, 2);

    let ann = person("ann");
    shop.pass_seconds(200).await;
    let extended = shop
        .seats
        .extend(&ann, hold.id)
        .await
        .unwrap()
        .taken()
        .unwrap();
    assert_eq!(extended.expires_at_ms.map(since), Some(500_000));
    shop.pass_seconds(200).await;
    let extended = shop
        .seats
        .extend(&ann, hold.id)
        .await
        .unwrap()
        .taken()
        .unwrap();
    assert_eq!(
        extended.expires_at_ms.map(since),
        Some(600_000),
        "the event's limit"
    );
    let paying = shop
        .seats
        .extend_to_pay(&ann, hold.id)
        .await
        .unwrap()
        .taken()
        .unwrap();
    assert_eq!(
        paying.expires_at_ms.map(since),
        Some(670_000),
        "240 + 30 s from now"
    );
    assert_eq!(
        shop.seats
            .get(&ann, hold.id)
            .await
            .unwrap()
            .taken()
            .unwrap(),
        paying
    );

    shop.seats
        .release(&ann, hold.id)
        .await
        .unwrap()
        .released()
        .unwrap();
    assert_eq!(shop.counts().await.held, 0);
    shop.seats
        .release(&ann, hold.id)
        .await
        .unwrap()
        .released()
        .unwrap();
    let ended = Refusal::Ended {
        reason: EndReason::Released,
    };
    assert_eq!(
        shop.seats.get(&ann, hold.id).await.unwrap().taken(),
        Err(ended)
    );
}

#[tokio::test]
async fn only_the_holder_sees_extends_or_releases() {
    let shop = Shop::open().await;
    let hold = shop.hold("ann", &["A-1-1"]).await;
    let ben = person("ben");
    let unknown = Err(Refusal::UnknownHold);
    assert_eq!(
        shop.seats.get(&ben, hold.id).await.unwrap().taken(),
        unknown
    );
    assert_eq!(
        shop.seats.extend(&ben, hold.id).await.unwrap().taken(),
        unknown
    );
    assert_eq!(
        shop.seats.release(&ben, hold.id).await.unwrap().taken(),
        unknown
    );
    let own = |name| {
        let (seats, who) = (shop.seats.clone(), person(name));
        async move { seats.own(&who).await.unwrap().done().unwrap() }
    };
    assert_eq!(own("ann").await, [hold]);
    assert_eq!(own("ben").await, []);
    assert_eq!(shop.counts().await.held, 1);
}

#[tokio::test]
async fn a_retry_finds_its_hold_and_another_request_does_not() {
    let shop = Shop::open().await;
    let ann = person("ann");
    let request = HoldSeats::seats(["A-1-1", "A-1-2"]).idempotency_key("order-1");
    let first = shop
        .seats
        .hold(&ann, &request)
        .await
        .unwrap()
        .taken()
        .unwrap();
    let again = shop
        .seats
        .hold(&ann, &request)
        .await
        .unwrap()
        .taken()
        .unwrap();
    assert_eq!(again, first);
    assert_eq!(shop.counts().await.held, 2);

    let other = HoldSeats::seats(["A-1-5"]).idempotency_key("order-1");
    assert_eq!(shop.refused("ann", other).await, Refusal::Mismatch);
    let bens = HoldSeats::seats(["A-1-5"]).idempotency_key("order-1");
    assert!(
        shop.seats
            .hold(&person("ben"), bens)
            .await
            .unwrap()
            .taken()
            .is_ok()
    );

    shop.seats
        .release(&ann, first.id)
        .await
        .unwrap()
        .released()
        .unwrap();
    let reason = EndReason::Released;
    assert_eq!(
        shop.refused("ann", &request).await,
        Refusal::Ended { reason }
    );
    assert_eq!(shop.counts().await.held, 1, "a late retry takes nothing");
}

#[tokio::test]
async fn best_available_and_areas_find_their_hold_again_too() {
    let shop = Shop::open().await;
    for request in [
        HoldSeats::best(2).idempotency_key("best"),
        HoldSeats::area("floor", 2).idempotency_key("area"),
    ] {
        let ann = person("ann");
        let first = shop
            .seats
            .hold(&ann, &request)
            .await
            .unwrap()
            .taken()
            .unwrap();
        let again = shop
            .seats
            .hold(&ann, &request)
            .await
            .unwrap()
            .taken()
            .unwrap();
        assert_eq!(again, first);
    }
    assert_eq!(shop.counts().await.held, 4);
}

#[tokio::test]
async fn all_seats_are_taken_or_none() {
    let shop = Shop::open().await;
    shop.hold("ann", &["A-1-2", "A-1-4"]).await;
    let refusal = shop.refused("ben", &["A-1-4", "A-1-3", "A-1-2"]).await;
    assert_eq!(refusal.to_string(), "not free: A-1-4, A-1-2");
    assert_eq!(shop.counts().await.held, 2);
}

#[tokio::test]
async fn what_makes_no_sense_is_told_at_once() {
    let shop = Shop::open().await;
    let fields = |refusal: Refusal| match refusal {
        Refusal::Invalid { fields } => fields,
        other => panic!("{other:?}"),
    };
    let names = |fields: &[FieldError]| -> Vec<String> {
        fields.iter().map(|field| field.field.clone()).collect()
    };
    let wrong = fields(shop.refused("ann", &["A-1-1", "B-1-1", "A-1-1", ""]).await);
    assert_eq!(names(&wrong), ["seats[1]", "seats[2]", "seats[3]"]);
    assert_eq!(wrong[0].value, "B-1-1");

    let many = ["A-1-1", "A-1-2", "A-1-3", "A-1-4", "A-1-5"];
    for (request, field, value) in [
        (HoldSeats::seats(many), "seats", "5"),
        (HoldSeats::seats(Vec::<String>::new()), "seats", "0"),
        (HoldSeats::best(5), "bestAvailable.count", "5"),
        (HoldSeats::best(0), "bestAvailable.count", "0"),
        (HoldSeats::area("floor", 5), "count", "5"),
    ] {
        let wrong = fields(shop.refused("ann", request).await);
        assert_eq!(
            (wrong[0].field.as_str(), wrong[0].value.as_str()),
            (field, value)
        );
        assert_eq!(wrong[0].range, "1 to 4 seats an order");
    }
    let wrong = fields(shop.refused("ann", HoldSeats::area("roof", 1)).await);
    assert_eq!(
        (wrong[0].field.as_str(), wrong[0].range.as_str()),
        ("area", "an area of the venue: floor")
    );
    for key in ["", "two words", "열쇠", &"k".repeat(129)] {
        let request = HoldSeats::best(1).idempotency_key(key);
        assert_eq!(
            names(&fields(shop.refused("ann", request).await)),
            ["idempotencyKey"]
        );
    }
    assert_eq!(shop.counts().await.held, 0);
}

#[tokio::test]
async fn a_person_has_no_more_seats_than_they_may() {
    let shop = Shop::open().await;
    let bought = shop.hold("ann", &["A-1-1", "A-1-2", "A-1-3"]).await;
    shop.sell("ann", &bought).await;
    shop.hold("ann", &["A-2-1"]).await;
    let refusal = shop.refused("ann", &["A-2-2", "A-2-3", "A-2-4"]).await;
    assert_eq!(refusal, Refusal::UserLimit { has: 4, limit: 6 });
    shop.hold("ann", &["A-2-2", "A-2-3"]).await;
    shop.refund("ann", &bought).await;
    shop.hold("ann", &["A-1-1", "A-1-2", "A-1-3"]).await;
}

#[tokio::test]
async fn a_hold_ends_at_its_deadline() {
    let shop = Shop::open().await;
    let hold = shop.hold("ann", &["A-1-1"]).await;
    shop.pass_seconds(299).await;
    assert_eq!(shop.counts().await.held, 1);
    shop.pass_seconds(3).await;
    assert_eq!(shop.counts().await.held, 0, "swept");
    let reason = EndReason::Expired;
    let got = shop.seats.get(&person("ann"), hold.id).await.unwrap();
    assert_eq!(got.taken(), Err(Refusal::Ended { reason }));
    shop.hold("ben", &["A-1-1"]).await;
}

#[tokio::test]
async fn a_pinned_hold_waits_for_its_payment() {
    let shop = Shop::open().await;
    let hold = shop.hold("ann", &["A-1-1"]).await;
    let ann = person("ann");
    let key = |fence| HoldKey {
        id: hold.id,
        user: ann.1.clone(),
        fence,
    };
    let stale = shop
        .seats
        .pin(&ann.0, &key(Some(hold.fence - 1)))
        .await
        .unwrap();
    assert_eq!(stale.taken(), Err(Refusal::Forbidden));
    let right = key(Some(hold.fence));
    let pinned = shop
        .seats
        .pin(&ann.0, &right)
        .await
        .unwrap()
        .taken()
        .unwrap();
    assert_eq!(pinned.expires_at_ms, None);
    shop.pass_seconds(700).await;
    assert_eq!(shop.counts().await.held, 1, "no deadline");
    let released = shop.seats.release(&ann, hold.id).await.unwrap();
    assert_eq!(released.released(), Err(Refusal::Pinned));
    let back = shop
        .seats
        .unpin(&ann.0, &right, std::time::Duration::from_secs(60))
        .await;
    let deadline = back.unwrap().taken().unwrap().expires_at_ms;
    assert_eq!(deadline.map(since), Some(760_000));
}

#[tokio::test]
async fn seats_are_held_within_the_sale_alone() {
    let event = tour().sale(START_MS + 60_000, SHOW_MS - 3_600_000);
    let shop = Shop::with(event, None, true).await;
    let not_yet = NotOnSale::NotYet {
        opens_at_ms: START_MS + 60_000,
    };
    assert_eq!(
        shop.refused("ann", &["A-1-1"]).await,
        Refusal::NotOnSale(not_yet)
    );
    shop.pass_seconds(60).await;
    let hold = shop.hold("ann", &["A-1-1"]).await;

    shop.clock.set(SHOW_MS - 3_600_000);
    let over = NotOnSale::Over {
        closed_at_ms: SHOW_MS - 3_600_000,
    };
    assert_eq!(
        shop.refused("ben", HoldSeats::best(1)).await,
        Refusal::NotOnSale(over)
    );
    let extended = shop.seats.extend(&person("ann"), hold.id).await.unwrap();
    assert_eq!(extended.taken(), Err(Refusal::NotOnSale(over)));
    shop.seats
        .release(&person("ann"), hold.id)
        .await
        .unwrap()
        .released()
        .unwrap();
}

#[tokio::test]
async fn only_an_open_event_is_sold() {
    let shop = Shop::with(tour().status(EventStatus::Draft), None, true).await;
    let other = shop.another(false).await;
    for status in [
        EventStatus::Draft,
        EventStatus::Open,
        EventStatus::Closed,
        EventStatus::Cancelled,
    ] {
        let set = shop
            .seats
            .set_status(&crate::shop::id(), status)
            .await
            .unwrap();
        assert_eq!(set.saved().unwrap().status(), status);
        let on_sale = status == EventStatus::Open;
        let here = shop
            .seats
            .hold(&person("ann"), HoldSeats::best(1))
            .await
            .unwrap();
        assert_eq!(here.taken().is_ok(), on_sale, "{status}");
        // Other processes hear of it within a second.
        shop.pass_seconds(1).await;
        let there = other
            .hold(&person("ben"), HoldSeats::best(1))
            .await
            .unwrap();
        assert_eq!(there.taken().is_ok(), on_sale, "{status}");
    }
}

#[tokio::test]
async fn where_seats_are_not_picked_people_get_the_best() {
    let shop = Shop::with(tour().seat_selection(false), None, true).await;
    let refusal = shop.refused("ann", &["A-1-1"]).await;
    assert!(matches!(refusal, Refusal::Invalid { .. }), "{refusal:?}");
    let best = shop
        .seats
        .hold(&person("ann"), HoldSeats::best(2))
        .await
        .unwrap();
    assert_eq!(best.taken().unwrap().seats.len(), 2);
    shop.hold("ben", &["floor/3"]).await;
}

#[cfg(feature = "http")]
#[tokio::test]
async fn refusals_are_problems_of_the_contract() {
    use ticketon_queue::http::Problem;
    let shop = Shop::open().await;
    shop.hold("ann", &["A-1-1"]).await;
    let problem = Problem::from(shop.refused("ben", &["A-1-1", "A-1-2"]).await);
    let json = problem.to_json();
    assert_eq!(
        (json["code"].as_str(), json["status"].as_u64()),
        (Some("seatsTaken"), Some(409))
    );
    assert_eq!(json["errors"][0]["value"], "A-1-1");
    let problem = Problem::from(shop.refused("ben", &["X"]).await);
    assert_eq!(problem.to_json()["code"], "invalid");
    shop.store.memory.clear();
    let problem = Problem::from(shop.refused("ben", &["A-1-2"]).await);
    assert_eq!(problem.to_json()["code"], "mapNotReady");
    assert!(problem.retry_after.is_some());
    let nobody = (ticketon_queue::EventId::new("x").unwrap(), person("ann").1);
    let error = shop.seats.hold(&nobody, &["A-1-1"]).await.unwrap_err();
    assert_eq!(Problem::from(error).to_json()["code"], "unknownEvent");
}
