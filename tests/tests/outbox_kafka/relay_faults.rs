//! Relays that are killed, stopped in their tracks and let go on, over each database.

use ticketon_domain::outbox::OutboxStore as _;
use ticketon_tests::eventually;

use super::world::{Kind, Outbox, SOON, broker};

const COUNT: u64 = 30;

/// While events are written, one relay is killed and one is paused until others had its shards; then it goes on.
async fn relays_die_and_sleep(kind: Kind) {
    let mut outbox = Outbox::new(kind).await;
    let broker = broker().await;
    let mut killed = outbox.relay(&broker.bootstrap()).await;
    let mut paused = outbox.relay(&broker.bootstrap()).await;
    for _ in 0..3 {
        outbox.write(0..COUNT).await;
    }
    killed.kill9();
    outbox.write(0..COUNT).await;
    paused.pause();
    // Both had shards; nobody works.
    outbox.write(0..COUNT).await;
    assert!(outbox.pending().await > 0);
    let mut third = outbox.relay(&broker.bootstrap()).await;
    for _ in 0..2 {
        outbox.write(0..COUNT).await;
    }
    outbox.until_empty().await;
    // What it had read goes out again, its record is refused or finds nothing.
    paused.resume();
    outbox.write(0..COUNT).await;
    outbox.until_empty().await;
    for relay in [&mut paused, &mut third] {
        relay.terminate();
        assert!(relay.wait_exit(SOON).await.success());
    }
    let repeated = outbox.until_whole(&broker).await;
    println!("{repeated} repetitions");

    // Both gave everything back.
    let bus = outbox.store.bus().await.unwrap();
    let free = outbox
        .store
        .lease("next", bus.as_deref(), i64::MAX - 1, 1)
        .await
        .unwrap();
    assert_eq!(free.share, 64, "a relay that ended is still counted");
}

#[tokio::test]
async fn relays_that_die_and_sleep_over_sqlite_keep_every_event_and_its_order() {
    relays_die_and_sleep(Kind::Sqlite).await;
}

#[tokio::test]
async fn relays_that_die_and_sleep_over_mariadb_keep_every_event_and_its_order() {
    relays_die_and_sleep(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_relay_that_was_told_to_end_leaves_its_shards_at_once() {
    let mut outbox = Outbox::new(Kind::Sqlite).await;
    let broker = broker().await;
    let mut first = outbox.relay(&broker.bootstrap()).await;
    outbox.write(0..COUNT).await;
    outbox.until_empty().await;
    first.terminate();
    assert!(first.wait_exit(SOON).await.success());
    let now_ms = 0;
    let bus = outbox.store.bus().await.unwrap();
    let leased = outbox.store.lease("next", bus.as_deref(), now_ms, 1);
    let leased = leased.await.unwrap();
    assert_eq!(leased.leases.len(), 64, "they would have to lapse");
    eventually(SOON, || async { outbox.pending().await == 0 }).await;
    assert_eq!(
        outbox.until_whole(&broker).await,
        0,
        "nothing failed, so nothing is repeated"
    );
}
