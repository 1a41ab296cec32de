//! What maps are rebuilt from.

use std::collections::BTreeSet;
use std::sync::Arc;

use ticketon_domain::adapter::memory::MemoryLedger;
use ticketon_domain::purchase::PurchaseStore;
use ticketon_domain::seat::{HoldId, SeatLedger, Untold};
use ticketon_domain::venue::SeatLabel;
use ticketon_queue::EventId;

use super::shop::{
    Database, NOW_MS, confirm, done, event, order, order_under, paid, refund, seat, user,
};

async fn blocked(ledger: &Arc<dyn SeatLedger>, event: &EventId, limit: usize) -> Vec<SeatLabel> {
    let mut seats = Vec::new();
    let mut from = None;
    loop {
        let page = ledger.blocked(event, from.as_ref(), limit).await.unwrap();
        assert!(page.items.len() <= limit);
        seats.extend(page.items);
        from = page.next;
        if from.is_none() {
            return seats;
        }
    }
}

#[tokio::test]
async fn blocked_seats_are_listed_once_in_the_order_of_their_labels() {
    let databases = Database::all().await;
    let mut ledgers: Vec<(&str, Arc<dyn SeatLedger>)> =
        vec![("model", Arc::new(MemoryLedger::new()))];
    for database in &databases {
        ledgers.push((database.name, Arc::new(database.store.clone())));
    }
    for (name, ledger) in &ledgers {
        let seats: Vec<SeatLabel> = (1..=1_203)
            .map(|number| seat(&format!("A-1-{number}")))
            .collect();
        for seats in [&seats[..], &seats[500..900], &[]] {
            ledger.set_blocked(&event(), seats, true).await.unwrap();
        }
        let other = EventId::new("else").unwrap();
        ledger
            .set_blocked(
                &other,
                &[seat("가-1-1"), seat("a-1-1"), seat("A-1-1")],
                true,
            )
            .await
            .unwrap();
        let sorted: BTreeSet<SeatLabel> = seats.iter().cloned().collect();
        assert!(
            blocked(ledger, &event(), 100).await.iter().eq(&sorted),
            "{name}"
        );
        ledger
            .set_blocked(&event(), &seats[3..], false)
            .await
            .unwrap();
        ledger
            .set_blocked(&event(), &seats[3..], false)
            .await
            .unwrap();
        assert_eq!(blocked(ledger, &event(), 2).await, &seats[..3], "{name}");
        let labels = [seat("A-1-1"), seat("a-1-1"), seat("가-1-1")];
        assert_eq!(blocked(ledger, &other, 1).await, labels, "{name}");
    }
}

#[tokio::test]
async fn seats_that_are_paid_for_are_sold_until_they_are_given_back() {
    for database in Database::all().await {
        let store = &database.store;
        let change = order("ann", "1", &["A-1-2", "A-1-10", "A-1-1"], NOW_MS);
        store.create(&change).await.unwrap();
        let id = change.record.order.id;
        assert_eq!(store.sold(&event(), None, 10).await.unwrap().items, []);
        let record = done(store, &id, &confirm(&change.record, "p-1"), NOW_MS).await;
        let page = store.sold(&event(), None, 2).await.unwrap();
        let labels: Vec<&str> = page.items.iter().map(|sold| sold.seat.as_str()).collect();
        assert_eq!(labels, ["A-1-1", "A-1-10"], "{}", database.name);
        assert!(
            page.items
                .iter()
                .all(|sold| sold.user == record.user && sold.fence == record.order.fence)
        );
        let rest = store.sold(&event(), page.next.as_ref(), 2).await.unwrap();
        assert_eq!((rest.items.len(), rest.next), (1, None));
        let failed = ticketon_domain::purchase::Command::Fail {
            fence: Some(record.work.fence),
            code: "declined".to_owned(),
            message: "declined".to_owned(),
            late_check_ms: None,
        };
        done(store, &id, &failed, NOW_MS + 1).await;
        assert_eq!(
            store.sold(&event(), None, 10).await.unwrap().items,
            [],
            "{}",
            database.name
        );
    }
}

/// From what a map that is built anew knows which messages of sales come late.
#[tokio::test]
async fn seats_that_were_given_back_are_listed_under_their_newest_fence() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        let buy = async |fence: u64, seats: &[&str]| {
            let made = order_under(fence, "ann", &fence.to_string(), seats, NOW_MS);
            store.create(&made).await.unwrap();
            let id = made.record.order.id;
            let key = format!("p-{fence}");
            let record = done(store, &id, &confirm(&made.record, &key), NOW_MS).await;
            done(store, &id, &paid(&record), NOW_MS).await
        };
        let listed = async |after: Option<&SeatLabel>, limit: usize| {
            let page = store.given_back(&event(), after, limit).await.unwrap();
            let items = page.items.iter();
            let items = items.map(|given| (given.seat.to_string(), given.fence));
            (items.collect::<Vec<_>>(), page.next)
        };
        // Above what a 32-bit number holds.
        let first = 1 << 40;
        let bought = buy(first, &["B-1-1", "B-1-2", "B-1-3"]).await;
        assert_eq!(listed(None, 9).await, (Vec::new(), None), "{name}");
        let two: Vec<_> = bought.order.tickets[..2].iter().map(|one| one.id).collect();
        refund(store, &bought, two).await;
        // One of them is sold again, and given back, and sold again.
        let again = buy(first + 5, &["B-1-2"]).await;
        refund(store, &again, Vec::new()).await;
        buy(first + 9, &["B-1-2"]).await;
        let one = ("B-1-1".to_owned(), first);
        let other = ("B-1-2".to_owned(), first + 5);
        let all = (vec![one.clone(), other.clone()], None);
        assert_eq!(listed(None, 9).await, all, "{name}");
        let (items, next) = listed(None, 1).await;
        assert_eq!((items, &next), (vec![one], &Some(seat("B-1-1"))), "{name}");
        assert_eq!(
            listed(next.as_ref(), 1).await,
            (vec![other], None),
            "{name}"
        );
        let other = EventId::new("else").unwrap();
        let none = store.given_back(&other, None, 9).await.unwrap();
        assert_eq!(none.items, [], "{name}");
    }
}

/// Whom the keeper asks before it mends a map.
#[tokio::test]
async fn it_is_known_who_pays_and_what_the_map_has_yet_to_hear() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        let hold = |key: &str| HoldId::derive(&event(), &user("ann"), key);
        let other = EventId::new("else").unwrap();
        let pending = order("ann", "1", &["A-1-1"], NOW_MS);
        let paying = order("ann", "2", &["A-1-2"], NOW_MS);
        let bought = order("ann", "3", &["A-1-3"], NOW_MS);
        for change in [&pending, &paying, &bought] {
            store.create(change).await.unwrap();
        }
        assert_eq!(
            store.untold(&event()).await.unwrap(),
            Untold::Nothing,
            "{name}"
        );
        let id = paying.record.order.id;
        let record = done(store, &id, &confirm(&paying.record, "p-2"), NOW_MS).await;
        let id = bought.record.order.id;
        let sold = done(store, &id, &confirm(&bought.record, "p-3"), NOW_MS).await;
        done(store, &id, &paid(&sold), NOW_MS).await;

        // More than one statement asks for.
        let mut asked: Vec<HoldId> = (0..1_200).map(|key| hold(&format!("no-{key}"))).collect();
        asked.extend(["1", "2", "3"].map(hold));
        let found = store.paid_for(&event(), &asked).await.unwrap();
        assert_eq!(found, [hold("2")], "{name}: of those one is being paid for");
        assert_eq!(store.paid_for(&event(), &[]).await.unwrap(), [], "{name}");
        assert_eq!(store.paid_for(&other, &asked).await.unwrap(), [], "{name}");

        let first = store.seat_messages(0, 9).await.unwrap()[0].id;
        let one = Untold::Changes {
            oldest: first,
            newest: first,
        };
        assert_eq!(store.untold(&event()).await.unwrap(), one, "{name}");
        done(store, &record.order.id, &paid(&record), NOW_MS).await;
        let second = store.seat_messages(first, 9).await.unwrap()[0].id;
        let both = Untold::Changes {
            oldest: first,
            newest: second,
        };
        assert_eq!(store.untold(&event()).await.unwrap(), both, "{name}");
        assert_eq!(
            store.untold(&other).await.unwrap(),
            Untold::Nothing,
            "{name}"
        );
        assert_eq!(
            store.paid_for(&event(), &asked).await.unwrap(),
            [],
            "{name}"
        );
        store.applied(&[first]).await.unwrap();
        let rest = Untold::Changes {
            oldest: second,
            newest: second,
        };
        assert_eq!(store.untold(&event()).await.unwrap(), rest, "{name}");
    }
}
