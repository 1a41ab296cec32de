//! What is left when a connection, a server or a file goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, MySqlConnection, SqliteConnection};
use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::adapter::sandbox::Sandbox;
use ticketon_domain::adapter::sql::{SqlLimits, SqlStore};
use ticketon_domain::event::{Catalog, EventQuery};
use ticketon_domain::purchase::{
    Changed, Created, OrderId, OrderRecord, OrderState, PurchaseStore, Purchases,
};
use ticketon_domain::seat::Seats;
use ticketon_queue::{ManualClock, StoreError};
use ticketon_tests::eventually;

use super::shop::{Database, NOW_MS, confirm, done, order, user};

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
    eventually(SOON, || async { server.lock_waits().await == 1 }).await;
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

/// Does not do this insert, and says so with the code that is told; once.
const REFUSE: &str = "CREATE TRIGGER refuse BEFORE INSERT ON tickets FOR EACH ROW BEGIN \
    DECLARE told INT; \
    SELECT MAX(code) INTO told FROM refusals; \
    IF told IS NOT NULL THEN \
        DELETE FROM refusals; \
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = told; \
    END IF; \
END";

#[tokio::test]
async fn what_the_server_says_that_it_did_not_do_is_tried_again() {
    let database = Database::server().await;
    let store = &database.store;
    let mut other = MySqlConnection::connect(&database.url).await.unwrap();
    // A kind of table that nothing is taken back in.
    let table = "CREATE TABLE refusals (code INT) ENGINE = MyISAM";
    other.execute(table).await.unwrap();
    sqlx::raw_sql(REFUSE).execute(&mut other).await.unwrap();
    let rolled_back = [1205, 1213, 1020, 3101];
    let leaving = [1053, 1927, 1317, 1040, 1203, 1290, 1836, 1047];
    let unknown = 1644;
    for code in rolled_back.into_iter().chain(leaving).chain([unknown]) {
        let made = order("ann", &code.to_string(), &[&format!("K-1-{code}")], NOW_MS);
        store.create(&made).await.unwrap();
        let (id, command) = (
            made.record.order.id,
            confirm(&made.record, &format!("p-{code}")),
        );
        let told = sqlx::query("INSERT INTO refusals VALUES (?)").bind(code);
        told.execute(&mut other).await.unwrap();
        let changed = store.change(&id, &command, NOW_MS).await;
        let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM refusals")
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert_eq!(left, 0, "{code} was told");
        let changed = if code == unknown {
            assert!(
                matches!(changed, Err(StoreError::Unavailable { .. })),
                "{changed:?}"
            );
            assert_eq!(store.order(&id).await.unwrap(), Some(made.record));
            store.change(&id, &command, NOW_MS).await
        } else {
            changed
        };
        let Ok(Changed::Done(record)) = changed else {
            panic!("{code}: {changed:?}");
        };
        prove(store, &[*record]).await;
    }
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
    eventually(SOON, || async { server.lock_waits().await == 1 }).await;
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

/// Makes the bodies of these orders what no version has written.
async fn spoil(database: &Database, orders: &[OrderId]) {
    let sql = "UPDATE orders SET body = '{}' WHERE id = ?";
    for order in orders {
        let id = order.to_string();
        let changed = if database.server.is_some() {
            let mut other = MySqlConnection::connect(&database.url).await.unwrap();
            let spoilt = sqlx::query(sql).bind(id).execute(&mut other).await;
            spoilt.unwrap().rows_affected()
        } else {
            let mut other = SqliteConnection::connect(&database.url).await.unwrap();
            let spoilt = sqlx::query(sql).bind(id).execute(&mut other).await;
            spoilt.unwrap().rows_affected()
        };
        assert_eq!(changed, 1);
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_hides_no_other() {
    for database in [Database::file().await, Database::server().await] {
        let (store, name) = (&database.store, database.name);
        let mut ids = Vec::new();
        for number in 0..5 {
            let seat = format!("L-1-{number}");
            let made = order("ann", &number.to_string(), &[&seat], NOW_MS + number);
            store.create(&made).await.unwrap();
            ids.push(made.record.order.id);
        }
        spoil(&database, &[ids[0], ids[2], ids[4]]).await;
        let mut listed = Vec::new();
        let mut before = None;
        loop {
            let page = store.orders_of(&user("ann"), before.as_ref(), 2).await;
            let page = page.unwrap();
            listed.extend(page.items.iter().map(|record| record.order.id));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(listed, [ids[3], ids[1]], "{name}");
    }
}

/// More orders that cannot be read than a process works on at once, all of them due first.
#[tokio::test]
async fn orders_that_cannot_be_read_hold_up_no_other() {
    let database = Database::file().await;
    let store = &database.store;
    let mut ids = Vec::new();
    for number in 0..60 {
        let seat = format!("M-1-{number}");
        let made = order("ann", &number.to_string(), &[&seat], NOW_MS + number);
        store.create(&made).await.unwrap();
        ids.push(made.record.order.id);
    }
    let last = ids.pop().unwrap();
    spoil(&database, &ids).await;
    let clock = ManualClock::at(NOW_MS + 86_400_000);
    let seats = Seats::builder(MemorySeatStore::new())
        .catalog(store.clone())
        .ledger(store.clone())
        .start()
        .await
        .unwrap();
    let purchases = Purchases::builder(store.clone(), &seats, Sandbox::new())
        .clock(Arc::new(clock.clone()))
        .start()
        .await
        .unwrap();
    eventually(SOON, || async {
        clock.advance(Duration::from_millis(500));
        let state = store.order(&last).await.unwrap().unwrap().order.state;
        if state == OrderState::Expired {
            Ok(())
        } else {
            Err(state)
        }
    })
    .await;
    purchases.shutdown().await;
}
