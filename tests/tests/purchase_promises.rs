//! The promises of orders over every store: the conformance kit of `ticketon-domain`.
//!
//! A store is one line in the table, and one function that makes it.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;

use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::conformance::purchases::{Subject, run_all};
use ticketon_domain::purchase::PurchaseStore;
use ticketon_tests::MariaDb;
use ticketon_tests::purchase_agreement::{Guards, ModelStore};

/// Processes that share a database.
const PROCESSES: usize = 4;

/// One module a store: each promise of the kit.
macro_rules! stores {
    ($($name:ident: $make:path,)*) => {
        $(mod $name {
            ticketon_domain::purchase_conformance_tests!($make);
        })*
    };
}

stores! {
    model: super::model,
    sqlite: super::sqlite,
    sqlite_in_memory: super::sqlite_in_memory,
}

/// All promises in a row, each in a database of its own, since the server takes seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn mariadb_keeps_every_promise() {
    let server = MariaDb::start().await;
    run_all(async || {
        let url = server.fresh_database().await;
        let mut processes: Vec<Arc<dyn PurchaseStore>> = Vec::new();
        for _ in 0..PROCESSES {
            let store = SqlStore::connect(&url).await.unwrap();
            store.migrate().await.unwrap();
            processes.push(Arc::new(store));
        }
        Subject::processes(processes)
    })
    .await;
}

/// A store that lacks a guard fails the kit.
#[test]
fn the_kit_sees_what_a_store_lacks() {
    let all = Guards::ALL;
    let lacking = [
        (
            "p1_many_orders_want_one_seat",
            Guards {
                one_ticket_a_seat: false,
                ..all
            },
        ),
        (
            "p2_a_refused_command_changes_nothing",
            Guards {
                fence: false,
                ..all
            },
        ),
        (
            "p2_one_of_many_works_on_an_order",
            Guards {
                lease: false,
                ..all
            },
        ),
        (
            "p3_what_is_due_comes_in_its_order",
            Guards {
                late_check: false,
                ..all
            },
        ),
        (
            "p2_a_change_is_all_or_nothing",
            Guards {
                messages: false,
                ..all
            },
        ),
    ];
    for (check, guards) in lacking {
        let checked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let make = async || Subject::new(ModelStore::new(guards));
            runtime.block_on(ticketon_domain::conformance::purchases::run(check, make));
        });
        assert!(checked.join().is_err(), "{check} misses {guards:?}");
    }
}

/// What lives of shops are judged by.
async fn model() -> Subject {
    Subject::new(ModelStore::new(Guards::ALL))
}

/// One file.
async fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.db");
    let store = SqlStore::sqlite(file.to_string_lossy()).await.unwrap();
    store.migrate().await.unwrap();
    Subject::new(store).keeping(folder)
}

/// One connection.
async fn sqlite_in_memory() -> Subject {
    let store = SqlStore::sqlite(":memory:").await.unwrap();
    store.migrate().await.unwrap();
    Subject::new(store)
}
