//! What relays need of an outbox and consumers of an inbox, in every store: memory, SQLite, MariaDB.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use ticketon_domain::adapter::memory::{
    Delivery, MemoryBus, MemoryInbox, MemoryOutbox, Subscription,
};
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::outbox::inbox::Inbox;
use ticketon_domain::outbox::{
    Aggregate, Leased, NewMessage, OutboxStore, Recorded, Relay, SHARDS, ShardLease,
};
use ticketon_tests::{MariaDb, eventually};

const SOON: Duration = Duration::from_secs(30);

fn message(order: u64, version: u64) -> NewMessage {
    NewMessage {
        aggregate: Aggregate::order(order),
        version,
        kind: "order.paid".to_owned(),
        occurred_at_ms: 1_000 + i64::try_from(version).unwrap(),
        correlation: version.is_multiple_of(2).then(|| "req-7".to_owned()),
        payload: r#"{"name":"봄 투어"}"#.to_owned(),
    }
}

/// A store, and how messages get into it.
#[derive(Clone)]
enum Store {
    Memory(MemoryOutbox, MemoryInbox),
    Sql(SqlStore),
}

impl Store {
    fn outbox(&self) -> &dyn OutboxStore {
        match self {
            Self::Memory(outbox, _) => outbox,
            Self::Sql(store) => store,
        }
    }

    fn inbox(&self) -> &dyn Inbox {
        match self {
            Self::Memory(_, inbox) => inbox,
            Self::Sql(store) => store,
        }
    }

    async fn append(&self, messages: &[NewMessage]) {
        match self {
            Self::Memory(outbox, _) => outbox.append(messages.iter().cloned()),
            Self::Sql(store) => store.append_messages(messages).await.unwrap(),
        }
    }
}

/// Runs a test on an empty store of each kind.
async fn on_each_store<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    println!("memory");
    test(Store::Memory(MemoryOutbox::new(), MemoryInbox::new())).await;
    println!("SQLite");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let store = SqlStore::sqlite(file.to_str().unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    test(Store::Sql(store)).await;
    println!("MariaDB");
    let server = MariaDb::start().await;
    let store = SqlStore::connect(&server.fresh_database().await)
        .await
        .unwrap();
    store.migrate().await.unwrap();
    test(Store::Sql(store)).await;
}

fn of_shard(leased: Leased, shard: u16) -> ShardLease {
    leased
        .leases
        .into_iter()
        .find(|lease| lease.shard == shard)
        .unwrap()
}

#[tokio::test]
async fn messages_are_read_as_they_were_written_and_gone_once_published() {
    on_each_store(async |store| {
        let outbox = store.outbox();
        let shard = message(1, 1).aggregate.shard();
        let written: Vec<NewMessage> = (1..=7).map(|version| message(1, version)).collect();
        store.append(&written[..4]).await;
        store.append(&written[4..]).await;
        let many: Vec<NewMessage> = (100..450).map(|order| message(order, 1)).collect();
        store.append(&many).await;
        store.append(&[]).await;

        let backlog = outbox.backlog().await.unwrap();
        assert_eq!((backlog.pending, backlog.oldest_ms), (357, Some(1_001)));
        let mut expected: Vec<u16> = many
            .iter()
            .map(|message| message.aggregate.shard())
            .collect();
        expected.push(shard);
        expected.sort_unstable();
        expected.dedup();
        let mut shards = outbox.shards().await.unwrap();
        shards.sort_unstable();
        assert_eq!(shards, expected);

        let read = outbox.unpublished(shard, 500).await.unwrap();
        let of_one: Vec<NewMessage> = read
            .iter()
            .map(|kept| kept.message.clone())
            .filter(|kept| kept.aggregate == Aggregate::order(1))
            .collect();
        assert_eq!(of_one, written);
        assert!(
            read.is_sorted_by_key(|kept| kept.id) && read.iter().all(|kept| kept.shard == shard)
        );
        assert_eq!(outbox.unpublished(shard, 3).await.unwrap(), read[..3]);

        let lease = of_shard(outbox.lease("a", 0, 1_000).await.unwrap(), shard);
        let ids = |range: std::ops::Range<usize>| {
            read[range].iter().map(|kept| kept.id).collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert_eq!(
                outbox.published(&lease, &ids(0..3)).await.unwrap(),
                Recorded::Done
            );
            assert_eq!(outbox.backlog().await.unwrap().pending, 354);
        }
        assert_eq!(outbox.unpublished(shard, 500).await.unwrap(), read[3..]);
        assert_eq!(outbox.published(&lease, &[]).await.unwrap(), Recorded::Done);
    })
    .await;
}

#[tokio::test]
async fn a_shard_has_one_owner_whose_fence_rises_with_each() {
    on_each_store(async |store| {
        let outbox = store.outbox();
        store.append(&[message(1, 1)]).await;
        let shard = message(1, 1).aggregate.shard();
        let id = outbox.unpublished(shard, 1).await.unwrap()[0].id;

        let first = outbox.lease("a", 0, 1_000).await.unwrap();
        assert_eq!(
            (first.leases.len(), first.share),
            (usize::from(SHARDS), usize::from(SHARDS))
        );
        let old = of_shard(first, shard);
        assert_eq!(old.until_ms, 1_000);
        let renewed = of_shard(outbox.lease("a", 500, 1_000).await.unwrap(), shard);
        assert_eq!((renewed.fence, renewed.until_ms), (old.fence, 1_500));
        // Somebody else gets nothing while the leases live, and all of it after.
        let other = outbox.lease("b", 1_499, 1_000).await.unwrap();
        assert_eq!((other.leases.len(), other.share), (0, 32));
        let other = outbox.lease("b", 1_500, 1_000).await.unwrap();
        assert_eq!((other.leases.len(), other.share), (64, 64));
        let new = of_shard(other, shard);
        assert!(new.fence > old.fence);

        assert_eq!(
            outbox.published(&renewed, &[id]).await.unwrap(),
            Recorded::StaleFence
        );
        assert_eq!(outbox.backlog().await.unwrap().pending, 1);
        outbox
            .give_back(std::slice::from_ref(&renewed))
            .await
            .unwrap();
        assert_eq!(outbox.published(&new, &[id]).await.unwrap(), Recorded::Done);
        assert_eq!(outbox.backlog().await.unwrap().pending, 0);

        outbox.give_back(std::slice::from_ref(&new)).await.unwrap();
        assert_eq!(
            outbox.published(&new, &[id]).await.unwrap(),
            Recorded::StaleFence
        );
        let again = of_shard(outbox.lease("b", 1_600, 1_000).await.unwrap(), shard);
        assert!(again.fence > new.fence);
    })
    .await;
}

#[tokio::test]
async fn shares_are_fair_among_the_living() {
    on_each_store(async |store| {
        let outbox = store.outbox();
        let count = |leased: &Leased| (leased.leases.len(), leased.share);
        let a = outbox.lease("a", 0, 1_000).await.unwrap();
        assert_eq!(count(&outbox.lease("b", 10, 1_000).await.unwrap()), (0, 32));
        assert_eq!(
            count(&outbox.lease("a", 20, 1_000).await.unwrap()),
            (64, 32),
            "the surplus is its to give back"
        );
        outbox.give_back(&a.leases[32..]).await.unwrap();
        assert_eq!(
            count(&outbox.lease("c", 30, 1_000).await.unwrap()),
            (22, 22)
        );
        assert_eq!(
            count(&outbox.lease("b", 40, 1_000).await.unwrap()),
            (10, 22)
        );
        outbox.leave("a").await.unwrap();
        assert_eq!(
            count(&outbox.lease("b", 50, 1_000).await.unwrap()),
            (32, 32)
        );
        assert_eq!(
            count(&outbox.lease("c", 60, 1_000).await.unwrap()),
            (32, 32)
        );
        // b dies.
        assert_eq!(
            count(&outbox.lease("c", 1_050, 1_000).await.unwrap()),
            (64, 64)
        );
        let b = outbox.lease("b", 1_060, 1_000).await.unwrap();
        assert_eq!(count(&b), (0, 32));
    })
    .await;
}

#[tokio::test]
async fn relays_that_ask_at_the_same_time_never_share_a_shard() {
    on_each_store(async |store| {
        let mut now = 0;
        for _ in 0..5 {
            now += 10_000;
            let asking = (0..6).map(|relay| {
                let store = store.clone();
                async move {
                    store
                        .outbox()
                        .lease(&format!("relay-{relay}"), now, 1_000)
                        .await
                        .unwrap()
                }
            });
            let leased = futures_util::future::join_all(asking).await;
            let mut shards: Vec<u16> = leased
                .iter()
                .flat_map(|leased| &leased.leases)
                .map(|lease| lease.shard)
                .collect();
            let all = shards.len();
            shards.sort_unstable();
            shards.dedup();
            assert_eq!(shards.len(), all, "a shard has two owners");
            assert_eq!(all, usize::from(SHARDS));
        }
    })
    .await;
}

#[tokio::test]
async fn an_inbox_remembers_the_last_version_of_each_consumer_and_aggregate() {
    on_each_store(async |store| {
        let inbox = store.inbox();
        let [one, other] = [Aggregate::order(1), Aggregate::order(2)];
        assert_eq!(inbox.last("mails", &one).await.unwrap(), 0);
        assert!(inbox.handled("mails", &one, 1).await.unwrap());
        assert!(!inbox.handled("mails", &one, 1).await.unwrap(), "again");
        assert!(inbox.handled("mails", &one, 4).await.unwrap());
        assert!(
            !inbox.handled("mails", &one, 2).await.unwrap(),
            "an old one"
        );
        assert_eq!(inbox.last("mails", &one).await.unwrap(), 4);
        assert_eq!(inbox.last("mails", &other).await.unwrap(), 0);
        assert_eq!(inbox.last("statistics", &one).await.unwrap(), 0);
        let racing = (0..8).map(|_| inbox.handled("mails", &other, 1));
        let won = futures_util::future::join_all(racing).await;
        assert_eq!(
            won.into_iter().filter(|won| *won.as_ref().unwrap()).count(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn nothing_is_published_before_its_commit_and_a_late_commit_is_found() {
    let server = MariaDb::start().await;
    let database = server.fresh_name().await;
    let store = Arc::new(SqlStore::connect(&server.url_of(&database)).await.unwrap());
    store.migrate().await.unwrap();
    let bus = MemoryBus::new();
    let mut seen = bus.subscribe("test", 100).unwrap();
    let relay = Relay::builder(store.clone(), Arc::new(bus))
        .poll(Duration::from_millis(10))
        .start();

    // Two transactions that have their rows, with the lowest numbers, and are not committed.
    let url = server.url_of(&database);
    let mut slow = sqlx::MySqlConnection::connect(&url).await.unwrap();
    let mut lost = sqlx::MySqlConnection::connect(&url).await.unwrap();
    let mut slow = slow.begin().await.unwrap();
    let mut lost = lost.begin().await.unwrap();
    write(&mut slow, 1).await;
    write(&mut lost, 2).await;
    store.append_messages(&[message(3, 1)]).await.unwrap();
    assert_eq!(next(&mut seen).await, "3");
    eventually(SOON, || async {
        store.backlog().await.unwrap().pending == 0
    })
    .await;

    slow.commit().await.unwrap();
    assert_eq!(next(&mut seen).await, "1");
    lost.rollback().await.unwrap();
    store.append_messages(&[message(4, 1)]).await.unwrap();
    assert_eq!(
        next(&mut seen).await,
        "4",
        "what was never committed was published"
    );
    relay.shutdown().await;
}

async fn write(conn: &mut sqlx::MySqlConnection, order: u64) {
    let aggregate = Aggregate::order(order);
    let insert = "INSERT INTO outbox (shard, aggregate, version, kind, occurred_ms, payload) \
                  VALUES (?, ?, 1, 'order.paid', 0, '{}')";
    let query = sqlx::query(insert)
        .bind(aggregate.shard())
        .bind(aggregate.to_string());
    query.execute(conn).await.unwrap();
}

async fn next(seen: &mut Subscription) -> String {
    match tokio::time::timeout(SOON, seen.next())
        .await
        .expect("an event comes")
    {
        Delivery::Event(event) => event.key().to_owned(),
        Delivery::CutOff => panic!("cut off"),
    }
}
