//! The live map: nothing is missed, nobody waits for who reads slowly.

use std::time::Duration;

use ticketon_domain::seat::{
    MapSpec, MapVersion, SeatState, SeatStore as _, SeatUpdate, SeatUpdates,
};
use ticketon_domain::venue::SeatIndex;

use crate::shop::{Shop, hall, id, person, settle};

/// A map as a client has it: follows updates by the rules of the page.
#[derive(Debug, Clone)]
struct Client {
    at: MapVersion,
    states: Vec<SeatState>,
    resyncs: usize,
}

impl Client {
    async fn reads(shop: &Shop) -> Self {
        let snapshot = shop
            .store
            .memory
            .snapshot(&id())
            .await
            .unwrap()
            .ready()
            .unwrap();
        let head = &snapshot.head;
        let seats = (0..head.spec.seats).map(SeatIndex::new);
        Self {
            at: MapVersion {
                epoch: head.epoch,
                version: head.version,
            },
            states: seats.map(|seat| snapshot.state(seat).unwrap()).collect(),
            resyncs: 0,
        }
    }

    async fn takes(&mut self, shop: &Shop, update: &SeatUpdate) {
        let text = std::str::from_utf8(&update.frame).unwrap();
        let data = text
            .lines()
            .find_map(|line| line.strip_prefix("data: "))
            .unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert!(text.contains(&format!("\nid: {}\n", update.at)), "{text}");
        if update.resync {
            let resyncs = self.resyncs + 1;
            *self = Self::reads(shop).await;
            self.resyncs = resyncs;
            return;
        }
        assert_eq!(data["epoch"], self.at.epoch);
        let number = |name: &str| data[name].as_u64().unwrap();
        assert!(
            number("from") <= self.at.version,
            "a gap: {text} at {}",
            self.at
        );
        if number("version") <= self.at.version {
            return;
        }
        for (state, name) in SeatState::ALL
            .into_iter()
            .zip(["free", "held", "sold", "blocked"])
        {
            for seat in data[name].as_array().into_iter().flatten() {
                self.states[seat.as_u64().unwrap() as usize] = state;
            }
        }
        self.at.version = number("version");
    }

    async fn agrees(&self, shop: &Shop) {
        let truth = Self::reads(shop).await;
        assert_eq!((self.at, &self.states), (truth.at, &truth.states));
    }
}

/// What is there to read now.
async fn waiting(updates: &mut SeatUpdates) -> Vec<SeatUpdate> {
    let mut all = Vec::new();
    while let Ok(Some(update)) = tokio::time::timeout(Duration::ZERO, updates.next()).await {
        all.push(update);
    }
    all
}

#[tokio::test]
async fn a_watcher_sees_what_happens() {
    let shop = Shop::open().await;
    let mut client = Client::reads(&shop).await;
    let mut updates = shop.seats.watch(&id(), Some(client.at)).await.unwrap();
    assert!(
        waiting(&mut updates).await.is_empty(),
        "nothing happened yet"
    );

    let hold = shop.hold("ann", &["A-1-1", "A-1-2"]).await;
    shop.hold("ben", &["A-2-1"]).await;
    shop.pass(250).await;
    let news = waiting(&mut updates).await;
    assert_eq!(news.len(), 1, "what happened together is told together");
    let text = std::str::from_utf8(&news[0].frame).unwrap();
    assert!(
        text.contains("\"from\":0,\"version\":2,\"held\":[0,1,10]}"),
        "{text}"
    );
    client.takes(&shop, &news[0]).await;
    client.agrees(&shop).await;

    shop.sell("ann", &hold).await;
    shop.seats
        .block(&id(), &["floor/1"])
        .await
        .unwrap()
        .done()
        .unwrap();
    shop.pass_seconds(302).await;
    for update in waiting(&mut updates).await {
        client.takes(&shop, &update).await;
    }
    client.agrees(&shop).await;
    assert_eq!(client.resyncs, 0);
}

#[tokio::test]
async fn many_watchers_share_one_poll_and_the_same_bytes() {
    let shop = Shop::without_keeper().await;
    let mut watchers = Vec::new();
    for _ in 0..100 {
        let at = Client::reads(&shop).await.at;
        watchers.push(shop.seats.watch(&id(), Some(at)).await.unwrap());
    }
    let before = shop.store.calls("changes");
    shop.hold("ann", &["A-1-1"]).await;
    shop.pass(250).await;
    assert_eq!(shop.store.calls("changes") - before, 1);
    let mut bytes = Vec::new();
    for watcher in &mut watchers {
        let news = waiting(watcher).await;
        assert_eq!(news.len(), 1);
        bytes.push(news[0].frame.as_ptr());
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1, "encoded once");

    drop(watchers);
    shop.pass_seconds(1).await;
    let before = shop.store.calls("changes");
    shop.pass_seconds(5).await;
    assert_eq!(
        shop.store.calls("changes"),
        before,
        "nobody watches, nobody asks"
    );
    let mut back = shop.seats.watch(&id(), None).await.unwrap();
    assert!(waiting(&mut back).await[0].resync);
    shop.hold("ben", &["A-1-2"]).await;
    shop.pass(250).await;
    assert_eq!(
        waiting(&mut back).await.len(),
        1,
        "and asks again for who comes"
    );
}

#[tokio::test]
async fn who_comes_back_is_told_what_they_missed() {
    let shop = Shop::open().await;
    let start = Client::reads(&shop).await;
    let mut first = shop.seats.watch(&id(), Some(start.at)).await.unwrap();
    let mut clients = vec![start.clone()];
    for number in 1..=6 {
        shop.hold(&format!("user-{number}"), &[&format!("A-1-{number}")])
            .await;
        shop.pass(250).await;
        clients.push(Client::reads(&shop).await);
    }
    assert_eq!(waiting(&mut first).await.len(), 6);
    let asked = shop.store.calls("changes");
    for mut client in clients {
        let mut updates = shop.seats.watch(&id(), Some(client.at)).await.unwrap();
        let missed = waiting(&mut updates).await;
        assert!(missed.len() <= 1, "as one update");
        for update in &missed {
            client.takes(&shop, update).await;
        }
        client.agrees(&shop).await;
        assert_eq!(client.resyncs, 0);
    }
    assert_eq!(
        shop.store.calls("changes"),
        asked,
        "told from what this process heard"
    );
}

#[tokio::test]
async fn the_store_remembers_for_a_process_that_heard_nothing() {
    let shop = Shop::open().await;
    let mut old = Client::reads(&shop).await;
    for number in 1..=4 {
        shop.hold(&format!("user-{number}"), &[&format!("A-1-{number}")])
            .await;
    }
    let newer = Client::reads(&shop).await.at;
    // This process begins where its first watcher is; the second one is older, and there is news since.
    let _first = shop.seats.watch(&id(), Some(newer)).await.unwrap();
    shop.hold("eve", &["A-2-5"]).await;
    let mut updates = shop.seats.watch(&id(), Some(old.at)).await.unwrap();
    let missed = waiting(&mut updates).await;
    assert_eq!((missed.len(), missed[0].resync), (1, false));
    old.takes(&shop, &missed[0]).await;
    old.agrees(&shop).await;
    shop.pass(250).await;
    assert!(
        waiting(&mut updates).await.is_empty(),
        "nothing is told twice"
    );
    shop.hold("bob", &["A-2-8"]).await;
    shop.pass(250).await;
    for update in waiting(&mut updates).await {
        old.takes(&shop, &update).await;
    }
    old.agrees(&shop).await;
    assert_eq!(old.resyncs, 0);
}

#[tokio::test]
async fn who_knows_nothing_or_nonsense_reads_the_map() {
    let shop = Shop::open().await;
    shop.hold("ann", &["A-1-1"]).await;
    let at = Client::reads(&shop).await.at;
    let (epoch, version) = (at.epoch, at.version);
    for since in [
        None,
        Some(MapVersion {
            epoch: epoch - 1,
            version,
        }),
        Some(MapVersion {
            epoch: epoch + 1,
            version,
        }),
        Some(MapVersion {
            epoch,
            version: version + 1,
        }),
        Some(MapVersion {
            epoch,
            version: u64::MAX,
        }),
        Some(MapVersion {
            epoch: 0,
            version: 0,
        }),
    ] {
        let mut updates = shop.seats.watch(&id(), since).await.unwrap();
        let first = waiting(&mut updates).await;
        assert_eq!(first.len(), 1, "{since:?}");
        assert!(first[0].resync, "{since:?}");
        assert_eq!(first[0].at, at);
    }
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_state_and_no_backlog() {
    let shop = Shop::without_keeper().await;
    let mut client = Client::reads(&shop).await;
    let mut slow = shop.seats.watch(&id(), Some(client.at)).await.unwrap();
    for round in 0..100 {
        let hold = shop
            .hold("ann", &[&format!("A-1-{}", round % 10 + 1)])
            .await;
        if round < 97 {
            shop.seats
                .release(&person("ann"), hold.id)
                .await
                .unwrap()
                .released()
                .unwrap();
        }
        shop.pass(250).await;
    }
    let news = waiting(&mut slow).await;
    assert_eq!(news.len(), 1, "a hundred updates as one");
    client.takes(&shop, &news[0]).await;
    client.agrees(&shop).await;
    assert_eq!(client.resyncs, 0);
}

#[tokio::test]
async fn a_gap_that_nobody_can_fill_is_a_resync() {
    let shop = Shop::without_keeper().await;
    let mut client = Client::reads(&shop).await;
    let mut updates = shop.seats.watch(&id(), Some(client.at)).await.unwrap();
    settle().await;
    let store = &shop.store.memory;
    let epoch = client.at.epoch;
    for _ in 0..2_100 {
        store
            .block(&id(), epoch, &[SeatIndex::new(3)])
            .await
            .unwrap();
        store
            .unblock(&id(), epoch, &[SeatIndex::new(3)])
            .await
            .unwrap();
    }
    store
        .block(&id(), epoch, &[SeatIndex::new(3)])
        .await
        .unwrap();
    shop.pass(250).await;
    for update in waiting(&mut updates).await {
        client.takes(&shop, &update).await;
    }
    client.agrees(&shop).await;
    assert_eq!(client.resyncs, 1, "the store kept 4,096 changes of 4,201");
}

#[tokio::test]
async fn a_new_epoch_is_a_resync() {
    let shop = Shop::open().await;
    let mut client = Client::reads(&shop).await;
    let mut updates = shop.seats.watch(&id(), Some(client.at)).await.unwrap();
    shop.hold("ann", &["A-1-1"]).await;
    shop.pass(250).await;
    assert!(shop.seats.rebuild(&id()).await.unwrap());
    shop.pass(250).await;
    for update in waiting(&mut updates).await {
        client.takes(&shop, &update).await;
    }
    client.agrees(&shop).await;
    assert_eq!(client.resyncs, 1);

    shop.store.memory.clear();
    shop.until("a map", async || {
        shop.store.memory.head(&id()).await.unwrap().ready()
    })
    .await;
    shop.pass(500).await;
    for update in waiting(&mut updates).await {
        client.takes(&shop, &update).await;
    }
    client.agrees(&shop).await;
    assert_eq!(client.resyncs, 2);
}

#[tokio::test]
async fn who_waits_for_a_map_is_told_when_it_is_ready() {
    let shop = Shop::without_keeper().await;
    let spec = MapSpec {
        layout: hall().version().to_owned(),
        seats: hall().seat_count(),
    };
    let epoch = shop.begin_rebuild(&spec).await;
    let mut updates = shop.seats.watch(&id(), None).await.unwrap();
    shop.pass_seconds(2).await;
    assert!(waiting(&mut updates).await.is_empty());
    assert!(
        shop.store
            .memory
            .finish_rebuild(&id(), epoch)
            .await
            .unwrap()
    );
    shop.pass(250).await;
    let first = waiting(&mut updates).await;
    assert_eq!(
        (first.len(), first[0].resync, first[0].at.epoch),
        (1, true, epoch)
    );
}

#[tokio::test]
async fn streams_end_with_the_process() {
    let shop = Shop::open().await;
    let mut updates = shop.seats.watch(&id(), None).await.unwrap();
    assert!(waiting(&mut updates).await[0].resync);
    shop.seats.shutdown().await;
    let ended = tokio::time::timeout(Duration::from_secs(5), updates.next()).await;
    assert!(ended.unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_was_down_loses_no_change() {
    let shop = Shop::open().await;
    let mut client = Client::reads(&shop).await;
    let mut updates = shop.seats.watch(&id(), Some(client.at)).await.unwrap();
    shop.hold("ann", &["A-1-1"]).await;
    shop.store
        .down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    shop.pass_seconds(5).await;
    assert!(waiting(&mut updates).await.is_empty());
    shop.store
        .down
        .store(false, std::sync::atomic::Ordering::SeqCst);
    shop.pass(250).await;
    for update in waiting(&mut updates).await {
        client.takes(&shop, &update).await;
    }
    client.agrees(&shop).await;
    assert_eq!(client.resyncs, 0);
}

#[tokio::test]
async fn what_a_feed_has_forgotten_is_not_left_out() {
    let shop = Shop::without_keeper().await;
    let mut old = Client::reads(&shop).await;
    let _first = shop.seats.watch(&id(), Some(old.at)).await.unwrap();
    shop.hold("ann", &["A-1-1"]).await;
    let epoch = old.at.epoch;
    for _ in 0..5 {
        for _ in 0..500 {
            let seat = [SeatIndex::new(3)];
            shop.store.memory.block(&id(), epoch, &seat).await.unwrap();
            shop.store
                .memory
                .unblock(&id(), epoch, &seat)
                .await
                .unwrap();
        }
        shop.pass(250).await;
    }
    let mut updates = shop.seats.watch(&id(), Some(old.at)).await.unwrap();
    for update in waiting(&mut updates).await {
        old.takes(&shop, &update).await;
    }
    old.agrees(&shop).await;
    assert_eq!(old.resyncs, 1);
}
