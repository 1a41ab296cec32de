//! Transactions that share a commit: on SQLite, where one writes at a time.

use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::purchase::{Changed, Created, PurchaseStore};

use super::shop::{Database, NOW_MS, confirm, order};

/// Callers leave at any moment: what was answered is there, and whatever is there is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_leave_take_nothing_of_others_with_them() {
    for database in [
        Database::memory().await,
        Database::file().await,
        Database::server().await,
    ] {
        let (store, name) = (&database.store, database.name);
        let mut buying = Vec::new();
        for number in 0..150_i64 {
            let made = order(
                &format!("u{number}"),
                "1",
                &[&format!("D-1-{number}")],
                NOW_MS + number,
            );
            let id = made.record.order.id;
            let store = store.clone();
            let task = tokio::spawn(async move {
                assert_eq!(store.create(&made).await.unwrap(), Created::Done);
                let command = confirm(&made.record, &format!("p-{number}"));
                store.change(&id, &command, NOW_MS).await.unwrap()
            });
            // Every third leaves, each a little later than the one before.
            if number % 3 == 0 {
                for _ in 0..number / 10 {
                    tokio::task::yield_now().await;
                }
                task.abort();
            }
            buying.push((id, number, task));
        }
        for (id, number, task) in buying {
            let answer = task.await.ok();
            let stored = store.order(&id).await.unwrap();
            if number % 3 != 0 {
                let Some(Changed::Done(record)) = answer else {
                    panic!("{name}: {answer:?}");
                };
                assert_eq!(stored, Some(*record), "{name}");
            }
            let entries = store.entries(&id, 0, 99).await.unwrap();
            let version = stored.as_ref().map_or(0, |stored| stored.order.version);
            assert_eq!(entries.len() as u64, version, "{name}: half of a change");
            for ticket in stored.iter().flat_map(|stored| &stored.order.tickets) {
                let of_ticket = store.order_of_ticket(&ticket.id).await.unwrap();
                assert_eq!(of_ticket, stored, "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_seen_by_another_process_at_once() {
    let database = Database::file().await;
    let other = SqlStore::connect(&database.url).await.unwrap();
    let mut buying = Vec::new();
    for number in 0..100_i64 {
        let made = order(
            &format!("u{number}"),
            "1",
            &[&format!("E-1-{number}")],
            NOW_MS + number,
        );
        // Both processes write.
        let (writes, reads) = match number % 2 {
            0 => (database.store.clone(), other.clone()),
            _ => (other.clone(), database.store.clone()),
        };
        buying.push(tokio::spawn(async move {
            assert_eq!(writes.create(&made).await.unwrap(), Created::Done);
            let stored = reads.order(&made.record.order.id).await.unwrap();
            assert_eq!(stored, Some(made.record));
        }));
    }
    for task in buying {
        task.await.unwrap();
    }
}
