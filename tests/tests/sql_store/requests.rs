//! Idempotency keys: who may go on under one, and how old ones are forgotten.

use ticketon_domain::purchase::{Begun, MAX_FORGOTTEN, PurchaseStore as _, RequestKey};

use super::shop::{Database, NOW_MS, user};

/// Two who ask at once under a new key: one goes, the other waits, and nobody loses a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_goes_under_a_new_key() {
    for database in Database::all().await {
        let (store, name) = (&database.store, database.name);
        store.ping().await.unwrap();
        let connections = async || match &database.server {
            Some(server) => {
                let told = server.sql("SHOW GLOBAL STATUS LIKE 'Connections'").await;
                let count = told.split_whitespace().last().unwrap();
                count.parse::<u64>().unwrap()
            }
            None => 0,
        };
        // As many as there will be.
        for round in 0..2 {
            let before = connections().await;
            for number in 0..20 {
                let asking = (0..8).map(|_| {
                    let store = store.clone();
                    let request = RequestKey {
                        user: user("ann"),
                        operation: "confirm",
                        key: format!("{round}-{number}"),
                    };
                    tokio::spawn(async move {
                        let begun = store.begin_request(&request, "h", NOW_MS, NOW_MS + 1_000);
                        begun.await.unwrap()
                    })
                });
                let begun = futures_util::future::join_all(asking).await;
                let go = |begun: &&Result<Begun, _>| matches!(begun, Ok(Begun::Go));
                assert_eq!(begun.iter().filter(go).count(), 1, "{name}: {begun:?}");
            }
            let after = connections().await;
            // Each look is a connection, too.
            assert!(
                round == 0 || after - before <= 1,
                "{name}: {before} to {after}"
            );
        }
    }
}

#[tokio::test]
async fn so_many_requests_are_forgotten_at_once() {
    for database in [Database::memory().await, Database::server().await] {
        let (store, name) = (&database.store, database.name);
        let begin = async |number: u64| {
            let request = RequestKey {
                user: user("ann"),
                operation: "confirm",
                key: format!("{number:05}"),
            };
            let begun = store.begin_request(&request, "h", NOW_MS, NOW_MS + 1).await;
            assert_eq!(begun.unwrap(), Begun::Go);
        };
        for number in 0..MAX_FORGOTTEN + 5 {
            begin(number).await;
        }
        let later_ms = NOW_MS + 10;
        assert_eq!(store.forget_requests(NOW_MS).await.unwrap(), 0, "{name}");
        let forgotten = store.forget_requests(later_ms).await.unwrap();
        assert_eq!(forgotten, MAX_FORGOTTEN, "{name}");
        assert_eq!(store.forget_requests(later_ms).await.unwrap(), 5, "{name}");
        assert_eq!(store.forget_requests(later_ms).await.unwrap(), 0, "{name}");
    }
}
