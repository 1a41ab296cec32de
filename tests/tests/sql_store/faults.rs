//! What is left when a connection, a server or a file goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, MySqlConnection, SqliteConnection};
use ticketon_domain::adapter::sql::{SqlLimits, SqlStore};
use ticketon_domain::event::{Catalog, EventQuery};
use ticketon_domain::purchase::{Changed, Created, OrderRecord, PurchaseStore};
use ticketon_queue::StoreError;
use ticketon_tests::eventually;

use super::shop::{Database, NOW_MS, confirm, done, order};

const SOON: Duration = Duration::from_secs(20);

/// Buys one order after the other, again where nobody knows what became of a call; answers what was acknowledged.
async fn buy_until(store: SqlStore, person: usize, stop: Arc<AtomicBool>) -> Vec<OrderRecord> {
    let mut bought = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = bought.len();
        let seat = format!("F-{person}-{number}");
        let made = order(
            &format!("u{person}"),
            &format!("{number}"),
            &[&seat],
            NOW_MS + number as i64,
        );
        let id = made.record.order.id;
        loop {
            match store.create(&made).await {
                Ok(created) => {
                    assert_eq!(created, Created::Done);
                    break;
                }
                Err(StoreError::Unavailable { .. } | StoreError::Busy { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let command = confirm(&made.record, &format!("p-{person}-{number}"));
        loop {
            match store.change(&id, &command, NOW_MS).await {
                Ok(Changed::Done(record)) => {
                    bought.push(*record);
                    break;
                }
                // Done before, but the answer was lost: the lease is this one's.
                Ok(Changed::Refused(_, record)) if record.order.payment.is_some() => {
                    bought.push(*record);
                    break;
                }
                Err(StoreError::Unavailable { .. } | StoreError::Busy { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    bought
}

/// All that was acknowledged is there and whole.
async fn prove(store: &SqlStore, bought: &[OrderRecord]) {
    for record in bought {
        let id = record.order.id;
        assert_eq!(store.order(&id).await.unwrap().as_ref(), Some(record));
        let entries = store.entries(&id, 0, 99).await.unwrap();
        assert_eq!(entries.len(), 2, "once each");
        let ticket = record.order.tickets[0].id;
        assert_eq!(
            store.order_of_ticket(&ticket).await.unwrap().as_ref(),
            Some(record)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_connections_are_cut_and_the_server_dies() {
    let mut database = Database::server().await;
    let store = database.store.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let buying: Vec<_> = (0..6)
        .map(|person| tokio::spawn(buy_until(store.clone(), person, Arc::clone(&stop))))
        .collect();
    let server = database.server.as_mut().unwrap();
    let count = format!(
        "SELECT COUNT(*) FROM {}.tickets",
        database.url.rsplit('/').next().unwrap()
    );
    for round in 1..=6_u32 {
        let server = &*server;
        let goal = round * 20;
        let count = &count;
        eventually(SOON, || async move {
            let tickets: u32 = server.sql(count).await.parse().unwrap();
            if tickets < goal { Err(tickets) } else { Ok(()) }
        })
        .await;
        server.cut_connections().await;
    }
    server.kill9();
    server.restart().await;
    let before: u32 = server.sql(&count).await.parse().unwrap();
    let (server, count) = (&*server, &count);
    eventually(SOON, || async move {
        let tickets: u32 = server.sql(count).await.parse().unwrap();
        if tickets < before + 20 {
            Err(tickets)
        } else {
            Ok(())
        }
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let mut bought = Vec::new();
    for task in buying {
        bought.extend(task.await.unwrap());
    }
    prove(&store, &bought).await;
    let tickets: usize = server.sql(count).await.parse().unwrap();
    assert_eq!(
        tickets,
        bought.len(),
        "none is there that nobody was told of"
    );
}

#[tokio::test]
async fn a_server_that_is_silent_holds_nobody_longer_than_the_limit() {
    let mut database = Database::server().await;
    let mut limits = SqlLimits::default();
    limits.within = Duration::from_millis(1_500);
    // Whatever is not about the silence has the time that a busy machine needs.
    let (patient, url) = (database.store.clone(), database.url.clone());
    let hasty = eventually(SOON, || SqlStore::connect_with(&url, limits)).await;
    let made = order("ann", "1", &["A-1-1"], NOW_MS);
    let id = made.record.order.id;
    patient.create(&made).await.unwrap();
    let server = database.server.as_mut().unwrap();
    server.pause();
    let began = Instant::now();
    let command = confirm(&made.record, "p-1");
    for _ in 0..2 {
        let changed = hasty.change(&id, &command, NOW_MS).await;
        assert!(
            matches!(changed, Err(StoreError::Unavailable { .. })),
            "{changed:?}"
        );
        let read = hasty.order(&id).await;
        assert!(
            matches!(read, Err(StoreError::Unavailable { .. })),
            "{read:?}"
        );
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    server.resume();
    // What was cut off before its commit is not done.
    assert_eq!(
        patient.order(&id).await.unwrap().as_ref(),
        Some(&made.record)
    );
    eventually(SOON, || hasty.order(&id)).await;
    done(&patient, &id, &command, NOW_MS).await;
}

#[tokio::test]
async fn whoever_loses_a_deadlock_tries_again() {
    let database = Database::server().await;
    let store = database.store.clone();
    let made = order("ann", "1", &["A-1-1"], NOW_MS);
    store.create(&made).await.unwrap();
    let id = made.record.order.id;
    let mut other = MySqlConnection::connect(&database.url).await.unwrap();
    other.execute("BEGIN").await.unwrap();
    // Many rows: the database takes back the transaction that has done less.
    for number in 0..50 {
        let seat = if number == 0 {
            "A-1-1".to_owned()
        } else {
            format!("G-1-{number}")
        };
        sqlx::query(
            "INSERT INTO tickets VALUES (MD5(?), ?, 'tour', ?, 1, 'valid', 'bob', 1, 1, 'vip', 1)",
        )
        .bind(number)
        .bind("f".repeat(32))
        .bind(seat)
        .execute(&mut other)
        .await
        .unwrap();
    }
    let command = confirm(&made.record, "p-1");
    let changing = tokio::spawn({
        let store = store.clone();
        async move { store.change(&id, &command, NOW_MS).await.unwrap() }
    });
    let server = database.server.as_ref().unwrap();
    let waits = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    eventually(SOON, || async { server.sql(waits).await == "1" }).await;
    let locked = sqlx::query("SELECT body FROM orders WHERE id = ? FOR UPDATE")
        .bind(id.to_string())
        .fetch_one(&mut other)
        .await;
    locked.expect("the other transaction has done less");
    let deadlocks = server.sql("SELECT VARIABLE_VALUE FROM information_schema.global_status WHERE VARIABLE_NAME = 'INNODB_DEADLOCKS'").await;
    assert_eq!(deadlocks, "1");
    other.execute("ROLLBACK").await.unwrap();
    let changed = changing.await.unwrap();
    assert!(matches!(changed, Changed::Done(_)), "{changed:?}");
}

#[tokio::test]
async fn the_line_for_a_connection_is_bounded() {
    let database = Database::server().await;
    let mut limits = SqlLimits::default();
    limits.writers = 1;
    limits.waiting = 2;
    limits.wait = Duration::from_millis(400);
    let store = SqlStore::connect_with(&database.url, limits).await.unwrap();
    let made = order("ann", "1", &["A-1-1"], NOW_MS);
    store.create(&made).await.unwrap();
    let id = made.record.order.id;
    let mut other = MySqlConnection::connect(&database.url).await.unwrap();
    other.execute("BEGIN").await.unwrap();
    other
        .execute("SELECT id FROM orders FOR UPDATE")
        .await
        .unwrap();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let (store, command) = (store.clone(), confirm(&made.record, "p-1"));
            tokio::spawn(async move { store.change(&id, &command, NOW_MS).await })
        })
        .collect();
    let mut busy = Vec::new();
    let mut others = 0;
    let server = database.server.as_ref().unwrap();
    let waits = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    eventually(SOON, || async { server.sql(waits).await == "1" }).await;
    let (mut first, mut rest) = (None, calls);
    // Four of five are told that the line is full, or that it took too long.
    eventually(SOON, || {
        let finished = rest.iter().filter(|call| call.is_finished()).count();
        async move { finished == 4 }
    })
    .await;
    other.execute("ROLLBACK").await.unwrap();
    for call in rest.drain(..) {
        match call.await.unwrap() {
            Err(StoreError::Busy { waiting, limit }) => {
                assert_eq!(limit, 2);
                busy.push(waiting);
            }
            Ok(changed) => first = Some(changed),
            Err(_) => others += 1,
        }
    }
    assert_eq!((busy.len(), others), (4, 0), "{busy:?}");
    assert!(matches!(first, Some(Changed::Done(_))), "{first:?}");
}

#[tokio::test]
async fn listings_come_from_the_replica_and_decisions_from_the_primary() {
    let database = Database::server().await;
    let replica = database.server.as_ref().unwrap().fresh_database().await;
    let behind = SqlStore::connect(&replica).await.unwrap();
    behind.migrate().await.unwrap();
    let made = order("ann", "1", &["A-1-1"], NOW_MS);
    database.store.create(&made).await.unwrap();
    let store = database.store.clone().read_replica(&replica).unwrap();
    assert_eq!(
        store
            .orders_of(&made.record.user, None, 9)
            .await
            .unwrap()
            .items,
        []
    );
    assert!(
        store
            .list(&EventQuery::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(
        store.order(&made.record.order.id).await.unwrap(),
        Some(made.record.clone())
    );
    behind.create(&made).await.unwrap();
    assert_eq!(
        store
            .orders_of(&made.record.user, None, 9)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn a_replica_that_is_away_is_replaced_by_the_primary() {
    let database = Database::server().await;
    let made = order("ann", "1", &["A-1-1"], NOW_MS);
    database.store.create(&made).await.unwrap();
    let port = ticketon_tests::Port::reserve();
    let nobody = format!("mysql://root@127.0.0.1:{}/away", port.number());
    let store = database.store.clone().read_replica(&nobody).unwrap();
    for _ in 0..3 {
        let orders = store.orders_of(&made.record.user, None, 9).await.unwrap();
        assert_eq!(orders.items.len(), 1);
    }
    // Somebody who takes connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("mysql://root@{}/silent", silent.local_addr().unwrap());
    let store = database.store.clone().read_replica(&silent_url).unwrap();
    let orders = store.orders_of(&made.record.user, None, 9).await.unwrap();
    assert_eq!(orders.items.len(), 1);
}

#[tokio::test]
async fn a_file_that_somebody_else_writes_into_is_waited_for_up_to_the_limit() {
    let database = Database::file().await;
    let mut limits = SqlLimits::default();
    limits.within = Duration::from_millis(1_500);
    let hasty = eventually(SOON, || SqlStore::connect_with(&database.url, limits)).await;
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let began = Instant::now();
    let made = order("ann", "1", &["A-1-1"], NOW_MS);
    let created = hasty.create(&made).await;
    assert!(
        matches!(created, Err(StoreError::Unavailable { .. })),
        "{created:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    // Readers do not wait at all.
    assert_eq!(
        database.store.order(&made.record.order.id).await.unwrap(),
        None
    );
    let patient = tokio::spawn({
        let (store, made) = (database.store.clone(), made.clone());
        async move { store.create(&made).await.unwrap() }
    });
    tokio::task::yield_now().await;
    other.execute("COMMIT").await.unwrap();
    assert_eq!(patient.await.unwrap(), Created::Done);
    eventually(SOON, || async { hasty.create(&made).await.is_ok() }).await;
    prove_once(&database.store, &made.record).await;
}

async fn prove_once(store: &SqlStore, record: &OrderRecord) {
    assert_eq!(
        store.order(&record.order.id).await.unwrap().as_ref(),
        Some(record)
    );
    assert_eq!(
        store.entries(&record.order.id, 0, 9).await.unwrap().len(),
        1
    );
}
