//! Sealing: all of it, once, by whoever comes first.

use std::sync::Arc;
use std::time::Duration;

use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::audit::{
    AuditKeys, AuditLog, AuditStore as _, ChainHash, Checkpoint, CheckpointNote, Entry, MAX_HEADS,
    MemoryNote, Noted, Put, Sealer, seal, seal_noted,
};
use ticketon_domain::purchase::{OrderId, PurchaseStore as _};
use ticketon_queue::{Clock, StoreError};

use super::house::House;
use super::lives::{Dice, live};

#[tokio::test]
async fn only_what_is_new_is_sealed() {
    for mut house in House::both().await {
        assert_eq!(
            house.seal().await.checkpoints,
            0,
            "nothing to seal, no checkpoint"
        );
        let a = house.paid(2).await;
        house.order(1).await;
        let sealed = house.seal().await;
        assert_eq!(
            (sealed.checkpoints, sealed.heads, sealed.more),
            (1, 2, false)
        );
        assert_eq!(house.seal().await.checkpoints, 0);
        house.used(&a, 1).await;
        assert_eq!(house.seal().await.heads, 1);
        let stored = house.store.checkpoints(2, 10).await.unwrap();
        let second = stored[0].read().unwrap();
        assert_eq!(
            (second.number, second.heads[0].order, second.heads[0].seq),
            (2, a.order.id, 4)
        );
        let verified = house.is_whole().await;
        assert_eq!((verified.unsealed, verified.checkpoints), (0, 2));
    }
}

#[tokio::test]
async fn sealers_of_several_processes_do_not_fork() {
    for mut house in House::both().await {
        let mut dice = Dice(99);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut sealers = Vec::new();
        for _ in 0..4 {
            // Another process has connections of its own.
            let store = SqlStore::connect(&house.url).await.unwrap();
            let (keys, clock, stopped) = (house.keys.clone(), house.clock.clone(), stopped.clone());
            sealers.push(tokio::spawn(async move {
                let mut made = 0;
                while !*stopped.borrow() {
                    made += seal(&store, &keys, &clock).await.unwrap().checkpoints;
                    tokio::task::yield_now().await;
                }
                made
            }));
        }
        live(&mut house, 12, &mut dice).await;
        stop.send_replace(true);
        let mut made = 0;
        for sealer in sealers {
            made += sealer.await.unwrap();
        }
        made += house.seal().await.checkpoints;
        let verified = house.is_whole().await;
        assert_eq!(verified.unsealed, 0);
        // Those that `live` made by itself come on top.
        assert!(
            verified.checkpoints >= made && made > 1,
            "{made} {verified:?}"
        );
    }
}

#[tokio::test]
async fn a_checkpoint_is_put_behind_the_last_one_alone() {
    for mut house in House::both().await {
        house.order(1).await;
        let runs = house.store.unsealed("", 10).await.unwrap();
        let heads = vec![runs[0].head().unwrap()];
        let at = |number, prev| Checkpoint::signed(number, 1, prev, heads.clone(), &house.keys);
        let first = at(1, ChainHash::START);
        let put = async |checkpoint: &Checkpoint| {
            house.store.put_checkpoint(checkpoint, &runs).await.unwrap()
        };
        assert_eq!(
            put(&at(2, ChainHash::START)).await,
            Put::Conflict,
            "there is no first one"
        );
        assert_eq!(
            put(&at(1, first.hash)).await,
            Put::Conflict,
            "nothing is before the first one"
        );
        assert_eq!(put(&first).await, Put::Done);
        assert_eq!(put(&first).await, Put::Conflict, "sent again");
        assert_eq!(put(&at(2, ChainHash::START)).await, Put::Conflict, "a fork");
        // What it would seal was sealed: nothing is left of it.
        assert_eq!(put(&at(2, first.hash)).await, Put::Conflict);
        assert_eq!(house.store.checkpoints(0, 10).await.unwrap().len(), 1);
        house.is_whole().await;
    }
}

#[tokio::test]
async fn many_new_chains_go_into_several_checkpoints() {
    for mut house in House::both().await {
        let chains = 2 * MAX_HEADS as u64 + 100;
        for from in (0..chains).step_by(100) {
            let rows: Vec<String> = (from..from + 100)
                .map(|number| {
                    let order = OrderId::from_bytes(u128::from(number).to_be_bytes());
                    let entry = Entry::chained(order, 1, 5, "k", "{}".to_owned(), ChainHash::START);
                    format!(
                        "('{order}', 1, 5, 'k', '{{}}', '{}', '{}')",
                        entry.prev, entry.hash
                    )
                })
                .collect();
            let sql =
                "INSERT INTO audit (order_id, seq, at_ms, kind, body, prev_hash, hash) VALUES";
            house.write(format!("{sql} {}", rows.join(","))).await;
        }
        let sealed = house.seal().await;
        assert_eq!(
            (sealed.checkpoints, sealed.heads, sealed.more),
            (3, chains, false)
        );
        let sizes: Vec<usize> = house
            .store
            .checkpoints(0, 10)
            .await
            .unwrap()
            .iter()
            .map(|stored| stored.read().unwrap().heads.len())
            .collect();
        assert_eq!(sizes, [MAX_HEADS, MAX_HEADS, 100]);
        let (verified, findings) = house.verify().await;
        assert_eq!(
            (verified.heads, findings.len() as u64),
            (chains, chains),
            "an order is missing each"
        );
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_sealed_holds_nothing_up() {
    for mut house in House::both().await {
        let bad = house.order(1).await.order.id;
        house
            .write(format!(
                "UPDATE audit SET hash = 'none' WHERE order_id = '{bad}'"
            ))
            .await;
        house.order(1).await;
        let sealed = house.seal().await;
        assert_eq!((sealed.heads, sealed.unreadable), (1, 1));
        assert!(!house.findings().await.is_empty());
    }
}

#[tokio::test]
async fn nothing_is_built_upon_a_checkpoint_that_was_forged() {
    for mut house in House::both().await {
        house.order(1).await;
        house.seal().await;
        house.order(1).await;
        house.remember().await;
        let refused =
            async |house: &House, keys: &AuditKeys| match seal(&*house.store, keys, &house.clock)
                .await
            {
                Err(StoreError::Unsafe { detail }) => detail,
                other => panic!("{other:?}"),
            };
        house.write("UPDATE audit_checkpoints SET at_ms = 1").await;
        assert!(refused(&house, &house.keys).await.contains("checkpoint 1"));
        house
            .write("UPDATE audit_checkpoints SET body = '[]'")
            .await;
        assert!(refused(&house, &house.keys).await.contains("checkpoint 1"));
        house.restore().await;
        let new = AuditKeys::new("2028", [8; 32]).unwrap();
        assert!(refused(&house, &new).await.contains("key \"2027\""));
        house.keys = new.also_accept(house.keys.public()).unwrap();
        assert_eq!(house.seal().await.heads, 1);
        assert_eq!(house.is_whole().await.checkpoints, 2);
    }
}

#[tokio::test]
async fn the_task_seals_at_its_interval_and_at_its_end() {
    let mut house = House::file().await;
    house.order(1).await;
    let clock: Arc<dyn Clock> = Arc::new(house.clock.clone());
    let sealer = Sealer::builder(house.store.clone(), house.keys.clone())
        .clock(clock)
        .every(Duration::from_secs(60))
        .start();
    assert_eq!(sealer.rounds(1).await.sealed.heads, 1);
    house.order(1).await;
    // The sleep may begin a little after the round was told.
    ticketon_tests::eventually(Duration::from_secs(10), || {
        house.clock.advance(Duration::from_secs(61));
        let rounds = sealer.health().rounds;
        async move { rounds >= 2 }
    })
    .await;
    assert_eq!(sealer.health().sealed.heads, 2);
    house.order(1).await;
    sealer.shutdown().await;
    assert_eq!(sealer.health().sealed.heads, 3);
    assert_eq!(house.is_whole().await.unsealed, 0);

    let other = AuditKeys::new("2028", [8; 32]).unwrap();
    let sealer = Sealer::builder(house.store.clone(), other).start();
    assert!(
        sealer
            .rounds(1)
            .await
            .trouble
            .unwrap()
            .contains("checkpoint")
    );
}

/// Somebody takes all checkpoints away and writes the chain of an order anew: cheaper, and with its order.
async fn rewrite(house: &mut House, order: &OrderId) {
    let log: &dyn AuditLog = &*house.store;
    let old = log.entries(&order.to_string(), 1, 1).await.unwrap();
    let old = old[0].read().unwrap();
    let body = old.body.replace("165000", "1");
    let new = Entry::chained(old.order, 1, old.at_ms, old.kind, body, old.prev);
    let mut record = house.store.order(order).await.unwrap().unwrap();
    record.head = new.hash;
    record.order.amount = 1;
    record.order.lines[0].price = 1;
    let record = serde_json::to_string(&record).unwrap();
    for sql in [
        "DELETE FROM audit_checkpoints".to_owned(),
        "UPDATE audit SET checkpoint = NULL".to_owned(),
        format!(
            "UPDATE audit SET body = '{}', hash = '{}' WHERE order_id = '{order}'",
            new.body, new.hash
        ),
        format!("UPDATE orders SET body = '{record}' WHERE id = '{order}'"),
    ] {
        assert!(house.write(sql.as_str()).await > 0, "{sql}");
    }
}

#[tokio::test]
async fn a_history_that_was_rewritten_is_not_signed_anew() {
    for mut house in House::both().await {
        let note = MemoryNote::default();
        let order = house.order(1).await.order.id;
        let noted =
            async |house: &House| seal_noted(&*house.store, &house.keys, &house.clock, &note).await;
        assert_eq!(noted(&house).await.unwrap().heads, 1);
        let seen = note.read().await.unwrap().unwrap();
        assert_eq!(seen.number, 1);
        assert_eq!(noted(&house).await.unwrap().heads, 0, "nothing is new");

        rewrite(&mut house, &order).await;
        // Nothing in the database says so: this is what the note is for.
        house.is_whole().await;
        for _ in 0..2 {
            match noted(&house).await {
                Err(StoreError::Unsafe { detail }) => {
                    assert!(detail.contains("checkpoint 1 of the audit"), "{detail}");
                    assert!(detail.contains("is not there any more"), "{detail}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(house.store.checkpoints(1, 10).await.unwrap(), []);

        // Somebody who noted nothing signs it; then there is another one in its place, and one behind it.
        for checkpoints in [1, 2] {
            house.clock.advance(Duration::from_secs(1));
            assert_eq!(house.seal().await.checkpoints, 1);
            match noted(&house).await {
                Err(StoreError::Unsafe { detail }) => {
                    assert!(detail.contains("has the hash"), "{checkpoints}: {detail}");
                }
                other => panic!("{other:?}"),
            }
            house.order(1).await;
        }
        assert_eq!(note.read().await.unwrap(), Some(seen), "it stays as it was");
    }
}

#[tokio::test]
async fn a_note_follows_what_others_seal() {
    let mut house = House::file().await;
    let note = MemoryNote::default();
    for number in 1..=3 {
        house.order(1).await;
        assert_eq!(house.seal().await.checkpoints, 1);
        let mine = seal_noted(&*house.store, &house.keys, &house.clock, &note).await;
        assert_eq!(mine.unwrap().checkpoints, 0);
        let last = house.store.last_checkpoint().await.unwrap().unwrap();
        let last = Noted::of(&last.read().unwrap());
        assert_eq!(last.number, number);
        assert_eq!(note.read().await.unwrap(), Some(last));
    }
}

#[tokio::test]
async fn a_running_sealer_refuses_a_rewritten_history() {
    let mut house = House::file().await;
    let order = house.order(1).await.order.id;
    let clock: Arc<dyn Clock> = Arc::new(house.clock.clone());
    let sealer = Sealer::builder(house.store.clone(), house.keys.clone())
        .clock(clock)
        .every(Duration::from_secs(60))
        .start();
    assert_eq!(sealer.rounds(1).await.trouble, None);
    rewrite(&mut house, &order).await;
    ticketon_tests::eventually(Duration::from_secs(10), || {
        house.clock.advance(Duration::from_secs(61));
        let rounds = sealer.health().rounds;
        async move { rounds >= 2 }
    })
    .await;
    let trouble = sealer.health().trouble.unwrap();
    assert!(
        trouble.contains("somebody rewrote the history"),
        "{trouble}"
    );
    sealer.shutdown().await;
    assert_eq!(house.store.checkpoints(1, 10).await.unwrap(), []);
}

/// A note beside which another sealer works whenever it is read.
#[derive(Debug)]
struct Shared {
    note: MemoryNote,
    store: Arc<SqlStore>,
    keys: AuditKeys,
    clock: Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl CheckpointNote for Shared {
    async fn read(&self) -> Result<Option<Noted>, StoreError> {
        seal_noted(&*self.store, &self.keys, &*self.clock, &self.note).await?;
        self.note.read().await
    }

    async fn write(&self, noted: Noted) -> Result<(), StoreError> {
        self.note.write(noted).await
    }
}

#[tokio::test]
async fn sealers_may_share_a_note() {
    for mut house in House::both().await {
        let shared = Shared {
            note: MemoryNote::default(),
            store: Arc::clone(&house.store),
            keys: house.keys.clone(),
            clock: Arc::new(house.clock.clone()),
        };
        for _ in 0..3 {
            house.paid(1).await;
            let store = &*house.store;
            let sealed = seal_noted(store, &house.keys, &house.clock, &shared).await;
            sealed.unwrap();
        }
        assert_eq!(house.is_whole().await.unsealed, 0);
    }
}
