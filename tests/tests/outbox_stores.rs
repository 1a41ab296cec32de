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
    Aggregate, Leased, MAX_COUNTED, MAX_REST_MS, NewMessage, OutboxMessage, OutboxStore, Recorded,
    Refusal, Relay, SHARDS, ShardLease,
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

/// The first messages of a shard that do not rest at time 0.
async fn read(outbox: &dyn OutboxStore, shard: u16, limit: usize) -> Vec<OutboxMessage> {
    let found = outbox.unpublished(shard, 0, limit).await.unwrap();
    assert_eq!(found.unreadable, []);
    found.messages
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
        let mut shards = outbox.shards(0).await.unwrap();
        shards.sort_unstable();
        assert_eq!(shards, expected);

        let all = read(outbox, shard, 500).await;
        let of_one: Vec<NewMessage> = all
            .iter()
            .map(|kept| kept.message.clone())
            .filter(|kept| kept.aggregate == Aggregate::order(1))
            .collect();
        assert_eq!(of_one, written);
        assert!(all.is_sorted_by_key(|kept| kept.id) && all.iter().all(|kept| kept.shard == shard));
        assert_eq!(read(outbox, shard, 3).await, all[..3]);

        let lease = of_shard(outbox.lease("a", None, 0, 1_000).await.unwrap(), shard);
        let ids = |range: std::ops::Range<usize>| {
            all[range].iter().map(|kept| kept.id).collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert_eq!(
                outbox.published(&lease, &ids(0..3)).await.unwrap(),
                Recorded::Done
            );
            assert_eq!(outbox.backlog().await.unwrap().pending, 354);
        }
        assert_eq!(read(outbox, shard, 500).await, all[3..]);
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
        let id = read(outbox, shard, 1).await[0].id;

        let first = outbox.lease("a", None, 0, 1_000).await.unwrap();
        assert_eq!(
            (first.leases.len(), first.share),
            (usize::from(SHARDS), usize::from(SHARDS))
        );
        let old = of_shard(first, shard);
        assert_eq!(old.until_ms, 1_000);
        let renewed = of_shard(outbox.lease("a", None, 500, 1_000).await.unwrap(), shard);
        assert_eq!((renewed.fence, renewed.until_ms), (old.fence, 1_500));
        // Somebody else gets nothing while the leases live, and all of it after.
        let other = outbox.lease("b", None, 1_499, 1_000).await.unwrap();
        assert_eq!((other.leases.len(), other.share), (0, 32));
        let other = outbox.lease("b", None, 1_500, 1_000).await.unwrap();
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
        let again = of_shard(outbox.lease("b", None, 1_600, 1_000).await.unwrap(), shard);
        assert!(again.fence > new.fence);
    })
    .await;
}

#[tokio::test]
async fn shares_are_fair_among_the_living() {
    on_each_store(async |store| {
        let outbox = store.outbox();
        let count = |leased: &Leased| (leased.leases.len(), leased.share);
        let a = outbox.lease("a", None, 0, 1_000).await.unwrap();
        assert_eq!(
            count(&outbox.lease("b", None, 10, 1_000).await.unwrap()),
            (0, 32)
        );
        assert_eq!(
            count(&outbox.lease("a", None, 20, 1_000).await.unwrap()),
            (64, 32),
            "the surplus is its to give back"
        );
        outbox.give_back(&a.leases[32..]).await.unwrap();
        assert_eq!(
            count(&outbox.lease("c", None, 30, 1_000).await.unwrap()),
            (22, 22)
        );
        assert_eq!(
            count(&outbox.lease("b", None, 40, 1_000).await.unwrap()),
            (10, 22)
        );
        outbox.leave("a").await.unwrap();
        assert_eq!(
            count(&outbox.lease("b", None, 50, 1_000).await.unwrap()),
            (32, 32)
        );
        assert_eq!(
            count(&outbox.lease("c", None, 60, 1_000).await.unwrap()),
            (32, 32)
        );
        // b dies.
        assert_eq!(
            count(&outbox.lease("c", None, 1_050, 1_000).await.unwrap()),
            (64, 64)
        );
        let b = outbox.lease("b", None, 1_060, 1_000).await.unwrap();
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
                        .lease(&format!("relay-{relay}"), None, now, 1_000)
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
async fn a_clock_that_is_ahead_keeps_no_shard_from_the_living() {
    const HOUR: i64 = 3_600_000;
    on_each_store(async |store| {
        let outbox = store.outbox();
        let ahead = outbox.lease("ahead", None, HOUR, 1_000).await.unwrap();
        assert_eq!(ahead.leases.len(), 64);
        // While it lives and renews them, its leases are its own.
        for step in 0..10 {
            let now = step * 400;
            let other = outbox.lease("b", None, now, 1_000).await.unwrap();
            assert_eq!((other.leases.len(), other.share), (0, 32), "at {now}");
            outbox
                .lease("ahead", None, HOUR + now, 1_000)
                .await
                .unwrap();
        }
        // It dies: a term after that was first seen, somebody else has them, and counts it no more.
        let other = outbox.lease("b", None, 4_000, 1_000).await.unwrap();
        assert_eq!((other.leases.len(), other.share), (0, 32));
        let other = outbox.lease("b", None, 4_999, 1_000).await.unwrap();
        assert_eq!((other.leases.len(), other.share), (0, 32));
        let other = outbox.lease("b", None, 5_000, 1_000).await.unwrap();
        assert_eq!((other.leases.len(), other.share), (64, 64));
    })
    .await;
}

#[tokio::test]
async fn an_outbox_belongs_to_the_first_lasting_bus_until_an_operator_says_otherwise() {
    on_each_store(async |store| {
        let outbox = store.outbox();
        let lease = |relay: &'static str, bus: Option<&'static str>, now| async move {
            outbox.lease(relay, bus, now, 1_000).await.unwrap()
        };
        store.append(&[message(1, 1)]).await;
        let shard = message(1, 1).aggregate.shard();
        let id = read(outbox, shard, 1).await[0].id;
        // A bus inside a process needs no step and claims nothing.
        let inside = lease("inside", None, 0).await;
        assert_eq!((inside.leases.len(), inside.other_bus), (64, None));
        assert_eq!(outbox.bus().await.unwrap(), None);
        let old = of_shard(lease("inside", None, 1).await, shard);
        // A lasting one has all from its first word on, whoever had leases.
        let kafka = lease("a", Some("kafka:a"), 2).await;
        assert_eq!((kafka.leases.len(), kafka.share), (64, 64));
        assert_eq!(outbox.bus().await.unwrap().as_deref(), Some("kafka:a"));
        assert_eq!(
            outbox.published(&old, &[id]).await.unwrap(),
            Recorded::StaleFence
        );
        for (relay, bus) in [("inside", None), ("b", Some("kafka:b"))] {
            let refused = lease(relay, bus, 5_000).await;
            assert_eq!((refused.leases.len(), refused.share), (0, 0));
            assert_eq!(refused.other_bus.as_deref(), Some("kafka:a"));
        }
        // Those who were refused are not counted, and take nothing from who has leases.
        let kafka = lease("a", Some("kafka:a"), 900).await;
        assert_eq!((kafka.leases.len(), kafka.share), (64, 64));
        let old = of_shard(kafka, shard);

        outbox.set_bus(Some("kafka:b")).await.unwrap();
        assert_eq!(
            outbox.published(&old, &[id]).await.unwrap(),
            Recorded::StaleFence
        );
        assert_eq!(lease("b", Some("kafka:b"), 901).await.leases.len(), 64);
        let refused = lease("a", Some("kafka:a"), 902).await;
        assert_eq!(refused.other_bus.as_deref(), Some("kafka:b"));
        outbox.set_bus(None).await.unwrap();
        assert_eq!(lease("inside", None, 903).await.leases.len(), 64);
        assert!(outbox.set_bus(Some("")).await.is_err());
        assert!(outbox.set_bus(Some(&"k".repeat(256))).await.is_err());
        assert_eq!(outbox.backlog().await.unwrap().pending, 1);
    })
    .await;
}

/// This many orders whose messages are in one shard.
fn of_one_shard(count: usize) -> Vec<u64> {
    let shard = |order| message(order, 1).aggregate.shard();
    let all = (1..).filter(|order| shard(*order) == shard(1));
    all.take(count).collect()
}

#[tokio::test]
async fn a_parked_aggregate_is_left_out_and_no_other() {
    on_each_store(async |store| {
        let outbox = store.outbox();
        let orders = of_one_shard(301);
        let (good, bad) = orders.split_last().unwrap();
        let shard = message(*good, 1).aggregate.shard();
        let written: Vec<NewMessage> = bad.iter().map(|order| message(*order, 1)).collect();
        store.append(&written).await;
        store.append(&[message(*good, 1), message(bad[0], 2)]).await;
        let lease = of_shard(outbox.lease("a", None, 0, 1_000).await.unwrap(), shard);
        let refusal = |kept: &OutboxMessage, retry_ms| Refusal {
            id: kept.id,
            why: "too large ".repeat(100) + "é",
            retry_ms,
        };
        let stuck = read(outbox, shard, 300).await;
        let refusals: Vec<Refusal> = stuck.iter().map(|kept| refusal(kept, 10_000)).collect();
        let parked = outbox.park(&lease, 7, &refusals).await.unwrap();
        assert_eq!(parked, Recorded::Done);

        let orders_at = async |now| {
            let found = outbox.unpublished(shard, now, 500).await.unwrap();
            let order = |kept: &OutboxMessage| kept.message.aggregate.to_string();
            found.messages.iter().map(order).collect::<Vec<_>>()
        };
        assert_eq!(orders_at(9_999).await, [Aggregate::order(good).to_string()]);
        assert_eq!(orders_at(10_000).await.len(), 302, "the rest is over");
        assert_eq!(outbox.shards(9_999).await.unwrap(), [shard]);
        assert_eq!(outbox.backlog().await.unwrap().parked, 300);
        let listed = outbox.parked(2).await.unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!((listed[0].since_ms, listed[0].refusals), (7, 1));
        assert_eq!((listed[0].version, listed[0].retry_ms), (1, 10_000));
        assert_eq!(listed[0].kind, "order.paid");
        assert!(listed[0].why.starts_with("too large") && listed[0].why.len() <= 500);

        // The others are gone; only what rests is there.
        let last = outbox.unpublished(shard, 9_999, 1).await.unwrap().messages;
        outbox.published(&lease, &[last[0].id]).await.unwrap();
        assert!(outbox.shards(9_999).await.unwrap().is_empty());
        // A clock that is ahead does not make it rest for longer than the bound.
        assert_eq!(
            outbox.shards(10_000 - MAX_REST_MS - 1).await.unwrap(),
            [shard]
        );

        // Refused again: that counts, and since when does not change. Somebody without the lease changes nothing.
        outbox
            .park(&lease, 20, &[refusal(&stuck[0], 20_000)])
            .await
            .unwrap();
        let stale = ShardLease {
            fence: lease.fence + 1,
            ..lease.clone()
        };
        let parked = outbox
            .park(&stale, 20, &[refusal(&stuck[1], 30_000)])
            .await
            .unwrap();
        assert_eq!(parked, Recorded::StaleFence);
        let of = async |order: u64| {
            let all = outbox.parked(500).await.unwrap();
            all.into_iter()
                .find(|parked| parked.aggregate == format!("order/{order}"))
        };
        let first = of(bad[0]).await.unwrap();
        assert_eq!(
            (first.since_ms, first.refusals, first.retry_ms),
            (7, 2, 20_000)
        );
        assert_eq!(of(bad[1]).await.unwrap().retry_ms, 10_000);
        let found = outbox.unpublished(shard, 20_000, 1).await.unwrap();
        assert_eq!(found.messages[0].refusals, 2, "the pause grows with them");

        // An operator lets one be tried again, then all.
        let one = format!("order/{}", bad[0]);
        assert_eq!(outbox.retry(Some(&one)).await.unwrap(), 1);
        assert_eq!(outbox.retry(Some("order/none")).await.unwrap(), 0);
        assert_eq!(orders_at(100).await, [one.clone(), one.clone()]);
        assert_eq!(outbox.retry(None).await.unwrap(), 300);
        assert_eq!(orders_at(100).await.len(), 301);

        // Published at last: it is parked no more. Its next one may be refused, which counts anew.
        outbox.published(&lease, &[stuck[0].id]).await.unwrap();
        assert_eq!(of(bad[0]).await, None);
        let found = outbox.unpublished(shard, 100, 500).await.unwrap().messages;
        let next = found.iter().find(|kept| kept.message.version == 2).unwrap();
        assert_eq!(next.refusals, 0);
        outbox
            .park(&lease, 30, &[refusal(next, 40_000)])
            .await
            .unwrap();
        let next = of(bad[0]).await.unwrap();
        assert_eq!((next.version, next.since_ms, next.refusals), (2, 30, 1));
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_written() {
    on_each_store(async |store| {
        let Store::Sql(store) = store else { return };
        let refused = [
            NewMessage {
                aggregate: Aggregate::order("a/b c"),
                ..message(1, 1)
            },
            NewMessage {
                kind: "k".repeat(65),
                ..message(1, 1)
            },
            NewMessage {
                correlation: Some("c".repeat(513)),
                ..message(1, 1)
            },
        ];
        for refused in refused {
            let both = [message(1, 1), refused];
            let error = store.append_messages(&both).await.unwrap_err();
            assert!(
                error.to_string().contains("could not be read again"),
                "{error}"
            );
        }
        assert_eq!(store.backlog().await.unwrap().pending, 0);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_up_its_own_aggregate_and_no_other() {
    let server = MariaDb::start().await;
    let database = server.fresh_name().await;
    let maria = SqlStore::connect(&server.url_of(&database)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let lite = SqlStore::sqlite(file.to_str().unwrap()).await.unwrap();
    maria.migrate().await.unwrap();
    lite.migrate().await.unwrap();
    // As a program could write it that is not this one; the bytes are no UTF-8.
    let insert = |aggregate: &str| {
        let shard = message(1, 1).aggregate.shard();
        format!(
            "INSERT INTO outbox (shard, aggregate, version, kind, occurred_ms, payload) \
             VALUES ({shard}, {aggregate}, 1, 'order.paid', 0, '{{}}')"
        )
    };
    let mut conn = sqlx::MySqlConnection::connect(&server.url_of(&database))
        .await
        .unwrap();
    for aggregate in ["'order/1 /2'", "X'6F726465722FFF'"] {
        let sql = sqlx::AssertSqlSafe(insert(aggregate));
        sqlx::query(sql).execute(&mut conn).await.unwrap();
    }
    let url = format!("sqlite:{}", file.display());
    let mut conn = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for aggregate in ["'order/1 /2'", "CAST(X'6F726465722FFF' AS TEXT)"] {
        let sql = sqlx::AssertSqlSafe(insert(aggregate));
        sqlx::query(sql).execute(&mut conn).await.unwrap();
    }
    for store in [lite, maria] {
        let bus = MemoryBus::new();
        let mut seen = bus.subscribe("test", 100).unwrap();
        store
            .append_messages(&[message(1, 1), message(1, 2)])
            .await
            .unwrap();
        let relay = Relay::builder(Arc::new(store.clone()), Arc::new(bus))
            .poll(Duration::from_millis(10))
            .start();
        for _ in 0..2 {
            assert_eq!(next(&mut seen).await, "1");
        }
        eventually(SOON, || async { relay.health().backlog.parked == 2 }).await;
        let parked = store.parked(10).await.unwrap();
        assert!(
            parked.iter().all(|one| one.why.contains("cannot be read")),
            "{parked:?}"
        );
        eventually(SOON, || async {
            relay
                .health()
                .trouble
                .is_some_and(|(_, why)| why.contains("cannot be read"))
        })
        .await;
        relay.shutdown().await;
    }
}

#[tokio::test]
async fn the_backlog_is_counted_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let store = SqlStore::sqlite(file.to_str().unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    let url = format!("sqlite:{}", file.display());
    let mut conn = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let many = MAX_COUNTED + 50;
    let insert = format!(
        "INSERT INTO outbox (shard, aggregate, version, kind, occurred_ms, payload) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}) \
         SELECT i % 60, 'order/' || i, 1, 'order.paid', i, '{{}}' FROM n"
    );
    let insert = sqlx::AssertSqlSafe(insert);
    sqlx::query(insert).execute(&mut conn).await.unwrap();
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog.pending, backlog.oldest_ms), (MAX_COUNTED, Some(1)));
    let mut shards = store.shards(0).await.unwrap();
    shards.sort_unstable();
    assert_eq!(shards, (0..60).collect::<Vec<u16>>());
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
