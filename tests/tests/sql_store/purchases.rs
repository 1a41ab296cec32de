//! Orders, tickets, idempotency keys and seat messages.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, MySqlConnection};
use ticketon_domain::purchase::{
    Begun, Changed, Command, Created, OrderId, OrderState, PurchaseStore, Refused, RequestEnd,
    RequestKey, SeatMessage, TicketState,
};
use ticketon_domain::seat::{HoldId, SeatLedger};
use ticketon_tests::eventually;

use super::shop::{Database, NOW_MS, confirm, done, event, key, order, paid, refund, seat, user};

#[tokio::test]
async fn an_order_lives_from_the_hold_to_the_refund() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        let made = order("ann", "1", &["A-1-1", "A-1-2"], NOW_MS);
        let id = made.record.order.id;
        assert_eq!(store.create(&made).await.unwrap(), Created::Done, "{name}");
        assert_eq!(
            store.create(&made).await.unwrap(),
            Created::Done,
            "{name}: sent again"
        );
        let again = order("ann", "1", &["A-1-1", "A-1-2"], NOW_MS);
        let claimed = Created::Claimed(Box::new(made.record.clone()));
        assert_eq!(store.create(&again).await.unwrap(), claimed, "{name}");
        assert_eq!(
            store.order(&id).await.unwrap(),
            Some(made.record.clone()),
            "{name}"
        );
        assert_eq!(
            store.order(&again.record.order.id).await.unwrap(),
            None,
            "{name}"
        );
        let hold = HoldId::derive(&event(), &user("ann"), "1");
        let of_hold = store.order_of_hold(&event(), &hold).await.unwrap();
        assert_eq!(of_hold.as_ref(), Some(&made.record), "{name}");

        let asked = confirm(&made.record, "p-1");
        let record = done(store, &id, &asked, NOW_MS + 1).await;
        assert_eq!(record.order.state, OrderState::Confirming);
        assert_eq!(
            store.order(&id).await.unwrap(),
            Some(record.clone()),
            "{name}"
        );
        assert_eq!(
            store.order_of_payment(&key("p-1")).await.unwrap(),
            Some(record.clone()),
            "{name}"
        );
        assert_eq!(
            store.order_of_payment(&key("P-1")).await.unwrap(),
            None,
            "{name}"
        );
        let ticket = record.order.tickets[1].id;
        assert_eq!(
            store.order_of_ticket(&ticket).await.unwrap(),
            Some(record.clone()),
            "{name}"
        );
        assert_eq!(
            store
                .orders_with_tickets(&user("ann"), None, 9)
                .await
                .unwrap()
                .items,
            [],
            "{name}"
        );
        let running = store.change(&id, &asked, NOW_MS + 2).await.unwrap();
        let refused = Refused::Running {
            until_ms: NOW_MS + 30_001,
        };
        assert_eq!(
            running,
            Changed::Refused(refused, Box::new(record.clone())),
            "{name}"
        );
        assert_eq!(store.seat_messages(0, 9).await.unwrap(), [], "{name}");

        let record = done(store, &id, &paid(&record), NOW_MS + 3).await;
        let told = store.seat_messages(0, 9).await.unwrap();
        assert_eq!(told.len(), 1, "{name}");
        assert!(
            matches!(&told[0].message, SeatMessage::Sold { seats, .. } if seats.len() == 2),
            "{told:?}"
        );
        assert_eq!((&told[0].event, told[0].order), (&event(), id), "{name}");
        assert_eq!(
            store.seat_messages(told[0].id, 9).await.unwrap(),
            [],
            "{name}"
        );
        let page = store
            .orders_with_tickets(&user("ann"), None, 9)
            .await
            .unwrap();
        assert_eq!(page.items.len(), 1, "{name}");
        assert_eq!(*page.items[0], record, "{name}");

        // One ticket goes back; its seat can be sold again once the money is.
        let refund = Command::Refund {
            user: Some(user("ann")),
            tickets: vec![ticket],
            reason: "ill".to_owned(),
            request: None,
        };
        done(store, &id, &refund, NOW_MS + 4).await;
        assert_eq!(store.due(NOW_MS + 5, 9).await.unwrap(), [id], "{name}");
        let record = done(store, &id, &Command::TakeUp { lease_ms: 1_000 }, NOW_MS + 5).await;
        assert_eq!(
            store.due(NOW_MS + 6, 9).await.unwrap(),
            [],
            "{name}: leased"
        );
        let refunded = Command::Refunded {
            fence: record.work.fence,
            refund: record.order.refunds[0].id,
            transaction_key: "t-1".to_owned(),
        };
        assert_eq!(
            store.sold(&event(), None, 9).await.unwrap().items.len(),
            2,
            "{name}"
        );
        let record = done(store, &id, &refunded, NOW_MS + 6).await;
        assert_eq!(record.order.state, OrderState::PartiallyRefunded);
        assert_eq!(record.order.tickets[1].state, TicketState::Refunded);
        let sold = store.sold(&event(), None, 9).await.unwrap().items;
        assert_eq!(sold.len(), 1, "{name}");
        let messages = store.seat_messages_of(&id).await.unwrap();
        assert_eq!(messages.len(), 2, "{name}");
        assert!(messages[0].id < messages[1].id);
        let ids: Vec<u64> = messages.iter().map(|message| message.id).collect();
        store.applied(&ids[..1]).await.unwrap();
        store.applied(&ids[..1]).await.unwrap();
        assert_eq!(
            store.seat_messages(0, 9).await.unwrap(),
            &messages[1..],
            "{name}"
        );

        // All of it is in its audit, chained.
        let entries = store.entries(&id, 0, 100).await.unwrap();
        assert_eq!(entries.len() as u64, record.order.version, "{name}");
        assert!(
            entries.iter().all(ticketon_domain::audit::Entry::is_whole),
            "{name}"
        );
        assert!(
            entries.windows(2).all(|pair| pair[1].prev == pair[0].hash),
            "{name}"
        );
        assert_eq!(entries.last().unwrap().hash, record.head, "{name}");
        assert_eq!(
            store.entries(&id, 2, 1).await.unwrap(),
            &entries[2..3],
            "{name}"
        );

        // Somebody else buys the seat that was given back.
        let other = order("bob", "1", &["A-1-2"], NOW_MS + 7);
        store.create(&other).await.unwrap();
        done(
            store,
            &other.record.order.id,
            &confirm(&other.record, "p-2"),
            NOW_MS + 7,
        )
        .await;
        assert_eq!(
            store.sold(&event(), None, 9).await.unwrap().items.len(),
            2,
            "{name}"
        );
        let unknown = store
            .change(&OrderId::random(0), &Command::Retry, NOW_MS)
            .await
            .unwrap();
        assert_eq!(unknown, Changed::Unknown, "{name}");
    }
}

#[tokio::test]
async fn a_refused_change_leaves_nothing_behind() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        let first = order("ann", "1", &["A-1-1", "A-1-2", "A-1-3"], NOW_MS);
        let second = order("bob", "1", &["A-1-3", "A-1-4", "A-1-1"], NOW_MS);
        let third = order("eve", "1", &["A-1-9"], NOW_MS);
        for made in [&first, &second, &third] {
            assert_eq!(store.create(made).await.unwrap(), Created::Done);
        }
        done(
            store,
            &first.record.order.id,
            &confirm(&first.record, "p-1"),
            NOW_MS,
        )
        .await;
        let command = confirm(&second.record, "p-2");
        let taken = store
            .change(&second.record.order.id, &command, NOW_MS)
            .await
            .unwrap();
        let seats = vec![seat("A-1-1"), seat("A-1-3")];
        assert_eq!(taken, Changed::SeatsTaken(seats), "{name}");
        let command = confirm(&third.record, "p-1");
        let bound = store
            .change(&third.record.order.id, &command, NOW_MS)
            .await
            .unwrap();
        assert_eq!(bound, Changed::PaymentTaken, "{name}");
        for made in [&second, &third] {
            let id = made.record.order.id;
            assert_eq!(
                store.order(&id).await.unwrap().as_ref(),
                Some(&made.record),
                "{name}"
            );
            assert_eq!(
                store.entries(&id, 0, 9).await.unwrap(),
                made.entries,
                "{name}"
            );
        }
        assert_eq!(
            store.order_of_payment(&key("p-2")).await.unwrap(),
            None,
            "{name}"
        );
        let sold = store.sold(&event(), None, 9).await.unwrap().items;
        assert_eq!(sold.len(), 3, "{name}: {sold:?}");
        // And a change after it is as whole as ever.
        done(
            store,
            &third.record.order.id,
            &confirm(&third.record, "p-3"),
            NOW_MS,
        )
        .await;
    }
}

/// P1: whoever comes when, a seat has one live ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_of_all_who_pay_for_a_seat_at_once_one_gets_it() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        for round in 0..10 {
            let at_ms = NOW_MS + round;
            let seats = [
                format!("B-{round}-1"),
                format!("B-{round}-2"),
                format!("B-{round}-3"),
            ];
            let mut paying = Vec::new();
            for number in 0..12_usize {
                // Two seats each, in an order that provokes deadlocks.
                let wanted = [seats[number % 3].as_str(), seats[(number + 1) % 3].as_str()];
                let made = order(&format!("u{number}"), &format!("{round}"), &wanted, at_ms);
                let store = store.clone();
                paying.push(tokio::spawn(async move {
                    store.create(&made).await.unwrap();
                    let command = confirm(&made.record, &format!("p-{round}-{number}"));
                    store
                        .change(&made.record.order.id, &command, at_ms)
                        .await
                        .unwrap()
                }));
            }
            let mut bought = Vec::new();
            for task in paying {
                match task.await.unwrap() {
                    Changed::Done(record) => bought.push(record),
                    Changed::SeatsTaken(seats) => assert!(!seats.is_empty()),
                    other => panic!("{name}: {other:?}"),
                }
            }
            assert_eq!(bought.len(), 1, "{name}: any two want a seat in common");
            let sold = store.sold(&event(), None, 10_000).await.unwrap().items;
            let here: BTreeSet<_> = sold
                .iter()
                .filter(|sold| sold.seat.as_str().starts_with(&format!("B-{round}-")))
                .collect::<Vec<_>>()
                .iter()
                .map(|sold| &sold.user)
                .collect();
            assert_eq!(
                here.into_iter().collect::<Vec<_>>(),
                [&bought[0].user],
                "{name}"
            );
        }
    }
}

/// Of two commands on one order at once each is decided from what the other left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_one_order_come_one_after_the_other() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        let made = order("ann", "1", &["A-1-1"], NOW_MS);
        let id = made.record.order.id;
        store.create(&made).await.unwrap();
        done(store, &id, &confirm(&made.record, "p-1"), NOW_MS).await;
        // On the server all of them have come before the first one goes on.
        let mut lock = None;
        if database.server.is_some() {
            let mut other = MySqlConnection::connect(&database.url).await.unwrap();
            other.execute("BEGIN").await.unwrap();
            other
                .execute("SELECT id FROM orders FOR UPDATE")
                .await
                .unwrap();
            lock = Some(other);
        }
        let mut taking = Vec::new();
        for _ in 0..20 {
            let store = store.clone();
            let command = Command::TakeUp { lease_ms: 60_000 };
            taking.push(tokio::spawn(async move {
                store.change(&id, &command, NOW_MS + 40_000).await.unwrap()
            }));
        }
        if let (Some(mut other), Some(server)) = (lock, &database.server) {
            let within = Duration::from_secs(20);
            eventually(within, || async { server.lock_waits().await >= 5 }).await;
            other.execute("ROLLBACK").await.unwrap();
        }
        let mut took = 0;
        for task in taking {
            match task.await.unwrap() {
                Changed::Done(_) => took += 1,
                Changed::Refused(Refused::NotDue, _) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(took, 1, "{name}: one took the lease");
        assert_eq!(
            store.order(&id).await.unwrap().unwrap().work.fence,
            2,
            "{name}"
        );
    }
}

#[tokio::test]
async fn lists_have_every_order_once() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        let mut ids = Vec::new();
        for number in 0..23 {
            let made = order(
                "ann",
                &format!("{number}"),
                &[&format!("C-1-{number}")],
                NOW_MS + number,
            );
            store.create(&made).await.unwrap();
            let id = made.record.order.id;
            if number % 2 == 0 {
                let (code, detail) = ("odd".to_owned(), "look".to_owned());
                done(store, &id, &Command::Attend { code, detail }, NOW_MS).await;
            }
            ids.push(id);
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let other = order("bob", "1", &["C-2-1"], NOW_MS);
        store.create(&other).await.unwrap();
        for attention in [false, true] {
            let mut seen = Vec::new();
            let mut before: Option<OrderId> = None;
            loop {
                let page = if attention {
                    store.attention(before.as_ref(), 5).await.unwrap()
                } else {
                    store
                        .orders_of(&user("ann"), before.as_ref(), 5)
                        .await
                        .unwrap()
                };
                assert!(page.items.len() <= 5);
                seen.extend(page.items.iter().map(|item| item.order.id));
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            let expected: Vec<OrderId> = ids
                .iter()
                .step_by(1 + usize::from(attention))
                .copied()
                .collect();
            assert_eq!(seen, expected, "{name}");
        }
        // The longest due first.
        assert_eq!(store.due(NOW_MS + 599_999, 99).await.unwrap(), [], "{name}");
        let due = store.due(NOW_MS + 600_003, 99).await.unwrap();
        let mut expected: Vec<OrderId> = ids[19..].to_vec();
        expected.push(other.record.order.id);
        assert_eq!(
            due.iter().collect::<BTreeSet<_>>(),
            expected.iter().collect(),
            "{name}"
        );
        assert_eq!(due[2..], [ids[21], ids[20], ids[19]], "{name}");
        assert_eq!(
            store.due(NOW_MS + 600_003, 2).await.unwrap(),
            due[..2],
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_request_runs_once_and_is_answered_alike() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        let request = |key: &str| RequestKey {
            user: user("ann"),
            operation: "confirm",
            key: key.to_owned(),
        };
        let (one, hash) = (request("k"), "a".repeat(64));
        let begin = async |key: &RequestKey, hash: &str, now_ms: i64| {
            store
                .begin_request(key, hash, now_ms, now_ms + 100)
                .await
                .unwrap()
        };
        assert_eq!(begin(&one, &hash, 1_000).await, Begun::Go, "{name}");
        let running = Begun::Running { until_ms: 1_100 };
        assert_eq!(begin(&one, &hash, 1_099).await, running, "{name}");
        assert_eq!(
            begin(&one, &"b".repeat(64), 1_099).await,
            Begun::Mismatch,
            "{name}"
        );
        assert_eq!(
            begin(&request("K"), &hash, 1_000).await,
            Begun::Go,
            "{name}: another key"
        );
        assert_eq!(
            begin(&one, &hash, 1_100).await,
            Begun::Go,
            "{name}: whoever ran it died"
        );
        store
            .end_request(&one, RequestEnd::Answered("{\"ok\":true}"))
            .await
            .unwrap();
        let answered = Begun::Answered("{\"ok\":true}".to_owned());
        assert_eq!(begin(&one, &hash, 9_999).await, answered, "{name}");
        store
            .end_request(&request("K"), RequestEnd::Forgotten)
            .await
            .unwrap();
        assert_eq!(
            begin(&request("K"), &"b".repeat(64), 2_000).await,
            Begun::Go,
            "{name}: forgotten"
        );

        assert_eq!(store.forget_requests(1_000).await.unwrap(), 0, "{name}");
        assert_eq!(
            store.forget_requests(2_050).await.unwrap(),
            1,
            "{name}: the other one runs"
        );
        assert_eq!(begin(&one, &hash, 9_999).await, Begun::Go, "{name}");
        assert_eq!(store.forget_requests(99_999).await.unwrap(), 2, "{name}");

        let mut beginning = Vec::new();
        for _ in 0..10 {
            let (store, key, hash) = (store.clone(), request("race"), hash.clone());
            beginning.push(tokio::spawn(async move {
                store
                    .begin_request(&key, &hash, 5_000, 6_000)
                    .await
                    .unwrap()
            }));
        }
        let mut went = 0;
        for task in beginning {
            went += u32::from(task.await.unwrap() == Begun::Go);
        }
        assert_eq!(went, 1, "{name}");
        store.ping().await.unwrap();
    }
}

/// A newer version wrote a message that this one cannot read: it waits, what comes after it of its order too, and nothing else.
#[tokio::test]
async fn a_message_that_cannot_be_read_holds_up_its_own_order_alone() {
    for database in [Database::file().await, Database::server().await] {
        let (store, name) = (&database.store, database.name);
        let mut orders = Vec::new();
        for number in 1..=5 {
            let (person, seat) = (format!("buyer-{number}"), format!("A-1-{number}"));
            let made = order(&person, "1", &[&seat], NOW_MS);
            store.create(&made).await.unwrap();
            let id = made.record.order.id;
            let asked = confirm(&made.record, &format!("p-{number}"));
            let record = done(store, &id, &asked, NOW_MS).await;
            orders.push(done(store, &id, &paid(&record), NOW_MS).await);
        }
        // The first order has another message behind all those.
        let first = &orders[0];
        let id = first.order.id;
        refund(store, first, Vec::new()).await;
        assert_eq!(store.seat_messages(0, 9).await.unwrap().len(), 6, "{name}");

        let newer = "UPDATE seat_messages SET body = '{\"kind\":\"teleported\"}' WHERE id = (SELECT id FROM (SELECT MIN(id) AS id FROM seat_messages) AS first)";
        match database.url.starts_with("sqlite") {
            true => {
                let mut hand = sqlx::SqliteConnection::connect(&database.url)
                    .await
                    .unwrap();
                assert_eq!(hand.execute(newer).await.unwrap().rows_affected(), 1);
            }
            false => {
                let mut hand = MySqlConnection::connect(&database.url).await.unwrap();
                assert_eq!(hand.execute(newer).await.unwrap().rows_affected(), 1);
            }
        }
        let others: Vec<OrderId> = orders[1..].iter().map(|record| record.order.id).collect();
        // A page is full though a row of it cannot be read; fewer than asked for are the last.
        let page = store.seat_messages(0, 3).await.unwrap();
        let found: Vec<OrderId> = page.iter().map(|one| one.order).collect();
        assert_eq!(found, others[..3], "{name}");
        let all = store.seat_messages(0, 9).await.unwrap();
        let found: Vec<OrderId> = all.iter().map(|one| one.order).collect();
        assert_eq!(found, others, "{name}");
        assert_eq!(store.seat_messages_of(&id).await.unwrap(), [], "{name}");
    }
}
