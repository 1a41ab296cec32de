//! The map as it is shown: read rarely, shared by all who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ticketon_domain::seat::Refusal;

use crate::shop::{Shop, id};

#[tokio::test]
async fn a_crowd_reads_the_map_once() {
    let shop = Shop::without_keeper().await;
    let before = shop.store.calls("snapshot");
    let encoded = Arc::new(AtomicUsize::new(0));
    for (wait_ms, reads) in [(0, 1), (199, 1), (1, 2), (500, 3)] {
        shop.pass(wait_ms).await;
        let crowd = (0..50).map(|_| {
            let (seats, encoded) = (shop.seats.clone(), Arc::clone(&encoded));
            tokio::spawn(async move {
                let view = seats.snapshot(&id()).await.unwrap().done().unwrap();
                view.json(|snapshot| {
                    encoded.fetch_add(1, Ordering::SeqCst);
                    Bytes::from(snapshot.head.version.to_string())
                })
            })
        });
        for reader in crowd.collect::<Vec<_>>() {
            assert_eq!(reader.await.unwrap(), "0");
        }
        assert_eq!(shop.store.calls("snapshot") - before, reads);
    }
    assert_eq!(
        encoded.load(Ordering::SeqCst),
        1,
        "nothing changed, nothing is encoded anew"
    );
    shop.hold("ann", &["A-1-1"]).await;
    shop.pass(250).await;
    let view = shop.seats.snapshot(&id()).await.unwrap().done().unwrap();
    assert_eq!(view.snapshot().head.counts.held, 1);
}

#[tokio::test]
async fn a_crowd_at_a_store_that_is_down_asks_it_once() {
    let shop = Shop::without_keeper().await;
    shop.store.down.store(true, Ordering::SeqCst);
    let before = shop.store.calls("snapshot");
    let crowd = (0..50).map(|_| {
        let seats = shop.seats.clone();
        tokio::spawn(async move { seats.snapshot(&id()).await.is_err() })
    });
    for reader in crowd.collect::<Vec<_>>() {
        assert!(reader.await.unwrap());
    }
    assert_eq!(shop.store.calls("snapshot") - before, 1);
}

#[tokio::test]
async fn a_map_that_is_missing_is_not_shown_as_free() {
    let shop = Shop::without_keeper().await;
    shop.store.memory.clear();
    let shown = shop.seats.snapshot(&id()).await.unwrap().done();
    assert!(matches!(shown, Err(Refusal::NotReady { .. })), "{shown:?}");
    assert!(
        shop.seats
            .snapshot(&ticketon_queue::EventId::new("x").unwrap())
            .await
            .is_err()
    );
}
