//! How the tables come to be.

use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::event::{Catalog, EventQuery};
use ticketon_queue::StoreError;
use ticketon_tests::MariaDb;

fn refusal(outcome: Result<(), StoreError>) -> String {
    match outcome {
        Err(StoreError::Unsafe { detail }) => detail,
        other => panic!("{other:?}"),
    }
}

async fn proves_that_many_may_migrate_at_once(url: &str) {
    let store = SqlStore::connect(url).await.unwrap();
    let detail = refusal(store.is_migrated().await);
    assert!(
        detail.contains("of version 0") && detail.contains("migrate"),
        "{detail}"
    );
    let mut migrating = Vec::new();
    for _ in 0..6 {
        let url = url.to_owned();
        migrating.push(tokio::spawn(async move {
            let store = SqlStore::connect(&url).await.unwrap();
            store.migrate().await.unwrap();
            store.is_migrated().await.unwrap();
        }));
    }
    for task in migrating {
        task.await.unwrap();
    }
    assert!(
        store
            .list(&EventQuery::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn many_processes_may_migrate_a_server_at_once_and_strange_tables_are_refused() {
    let server = MariaDb::start().await;
    let name = server.fresh_name().await;
    let url = server.url_of(&name);
    proves_that_many_may_migrate_at_once(&url).await;
    let store = SqlStore::connect(&url).await.unwrap();
    // A step that broke off in the middle is made again.
    server
        .sql(&format!(
            "DELETE FROM {name}.schema_steps ORDER BY number DESC LIMIT 1"
        ))
        .await;
    assert!(refusal(store.is_migrated().await).contains("migrate the database first"));
    store.migrate().await.unwrap();
    store.is_migrated().await.unwrap();

    server
        .sql(&format!(
            "INSERT INTO {name}.schema_steps VALUES (999, 'later', 'x')"
        ))
        .await;
    for outcome in [store.is_migrated().await, store.migrate().await] {
        let detail = refusal(outcome);
        assert!(detail.contains("newer version of the program"), "{detail}");
    }
    server
        .sql(&format!(
            "DELETE FROM {name}.schema_steps WHERE number = 999"
        ))
        .await;
    server
        .sql(&format!(
            "UPDATE {name}.schema_steps SET hash = 'edited' WHERE number = 1"
        ))
        .await;
    for outcome in [store.is_migrated().await, store.migrate().await] {
        let detail = refusal(outcome);
        assert!(detail.contains("another text"), "{detail}");
    }
}

#[tokio::test]
async fn many_processes_may_migrate_a_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    proves_that_many_may_migrate_at_once(&url).await;
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_refused_without_its_password() {
    for url in [
        "postgres://user:secret@host/db",
        "mysql://user:secret@host",
        "mysql://user:secret@ho st/db",
        "secret",
    ] {
        let error = SqlStore::connect(url).await.unwrap_err();
        assert!(matches!(error, StoreError::Address { .. }), "{error:?}");
        let told = format!("{error} {error:?}");
        assert!(!told.contains("secret"), "{told}");
    }
    let nobody = "mysql://user:secret@127.0.0.1:1/db";
    let error = SqlStore::connect(nobody).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
}
