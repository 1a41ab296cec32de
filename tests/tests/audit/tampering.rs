//! Each way in which a hand may touch entries and orders, and what is told of it.

use ticketon_domain::audit::{ChainHash, Entry, StoredEntry};
use ticketon_domain::purchase::{OrderRecord, PurchaseStore as _};

use super::house::House;
use super::scene::{Scene, at, set_order};

#[tokio::test]
async fn an_edited_entry_shows_whatever_is_edited() {
    for mut scene in Scene::both().await {
        let a = scene.a.clone();
        let zero = ChainHash::START;
        for seq in 1..=4 {
            for set in [
                "at_ms = at_ms + 1",
                "kind = 'order.expired'",
                "body = concat(body, ' ')",
                "body = '{\"kind\":\"expired\"}'",
            ] {
                let told = scene
                    .told(&[format!("UPDATE audit SET {set} {}", at(&a, seq))])
                    .await;
                assert_eq!(told, [format!("edited entry {seq} of 0")], "{set}");
            }
            let told = scene
                .told(&[format!("UPDATE audit SET hash = '{zero}' {}", at(&a, seq))])
                .await;
            let edited = format!("edited entry {seq} of 0");
            let expected = match seq {
                4 => vec![
                    edited,
                    "head entry 4 of 0".to_owned(),
                    "sealedDiffers entry 4 checkpoint 1 of 0".to_owned(),
                ],
                _ => vec![edited, format!("unlinked entry {} of 0", seq + 1)],
            };
            assert_eq!(told, expected);
            let told = scene
                .told(&[format!(
                    "UPDATE audit SET hash = upper(hash) {}",
                    at(&a, seq)
                )])
                .await;
            assert!(
                told.contains(&format!("unreadable entry {seq} of 0")),
                "{told:?}"
            );
            if seq > 1 {
                let told = scene
                    .told(&[format!(
                        "UPDATE audit SET prev_hash = '{zero}' {}",
                        at(&a, seq)
                    )])
                    .await;
                assert_eq!(
                    told,
                    [
                        format!("edited entry {seq} of 0"),
                        format!("unlinked entry {seq} of 0")
                    ]
                );
            }
        }
    }
}

#[tokio::test]
async fn reordered_entries_show() {
    for mut scene in Scene::both().await {
        let a = scene.a.clone();
        let told = scene
            .told(&[
                format!("UPDATE audit SET seq = 99 {}", at(&a, 2)),
                format!("UPDATE audit SET seq = 2 {}", at(&a, 3)),
                format!("UPDATE audit SET seq = 3 {}", at(&a, 99)),
            ])
            .await;
        let expected = [
            "edited entry 2 of 0",
            "edited entry 3 of 0",
            "unlinked entry 2 of 0",
            "unlinked entry 3 of 0",
            "unlinked entry 4 of 0",
        ];
        assert_eq!(told, expected);
        // The same with hashes that are right by themselves: the entries do not follow on each other.
        let entries = scene.entries(&a).await;
        let moved = |seq: i64, from: &StoredEntry| {
            let entry = from.read().unwrap();
            let new = Entry::chained(
                entry.order,
                seq as u64,
                entry.at_ms,
                entry.kind,
                entry.body,
                entry.prev,
            );
            format!(
                "UPDATE audit SET kind = '{}', body = '{}', at_ms = {}, prev_hash = '{}', hash = '{}' {}",
                new.kind,
                new.body,
                new.at_ms,
                new.prev,
                new.hash,
                at(&a, seq)
            )
        };
        let told = scene
            .told(&[moved(2, &entries[2]), moved(3, &entries[1])])
            .await;
        assert_eq!(
            told,
            [
                "unlinked entry 2 of 0",
                "unlinked entry 3 of 0",
                "unlinked entry 4 of 0"
            ]
        );
    }
}

#[tokio::test]
async fn removed_entries_show() {
    for mut scene in Scene::both().await {
        let (a, b) = (scene.a.clone(), scene.b.clone());
        let told = scene
            .told(&[format!("DELETE FROM audit {}", at(&a, 1))])
            .await;
        assert_eq!(told, ["missing entry 1 of 0"]);
        let told = scene
            .told(&[format!(
                "DELETE FROM audit WHERE seq IN (2, 3) AND order_id = '{}'",
                a.order.id
            )])
            .await;
        assert_eq!(told, ["missing entry 2 of 0"]);
        // The end, sealed or not: the order knows how many there are.
        let told = scene
            .told(&[format!("DELETE FROM audit {}", at(&a, 4))])
            .await;
        assert_eq!(
            told,
            [
                "sealedMissing entry 4 checkpoint 1 of 0",
                "tailMissing entry 3 of 0"
            ]
        );
        let told = scene
            .told(&[format!("DELETE FROM audit {}", at(&b, 4))])
            .await;
        assert_eq!(told, ["tailMissing entry 3 of 1"]);
        let told = scene
            .told(&[format!(
                "DELETE FROM audit WHERE order_id = '{}'",
                a.order.id
            )])
            .await;
        assert_eq!(
            told,
            [
                "chainMissing of 0",
                "sealedMissing entry 4 checkpoint 1 of 0"
            ]
        );
    }
}

#[tokio::test]
async fn an_end_removed_with_its_order_shows_up_to_the_last_checkpoint() {
    for mut scene in Scene::both().await {
        let (before, b) = (scene.b_before.clone(), scene.b.clone());
        let mut remove = vec![format!("DELETE FROM audit {}", at(&b, 4))];
        remove.extend(set_order(&before));
        // What no checkpoint has sealed yet, nobody but the order knows: this is the limit of the promise.
        assert_eq!(scene.told(&remove).await, [""; 0]);
        assert_eq!(scene.house.seal().await.heads, 1);
        scene.house.remember().await;
        assert_eq!(
            scene.told(&remove).await,
            ["sealedMissing entry 4 checkpoint 3 of 1"]
        );
        // The same with the mark of what is left put right.
        remove.push(format!("UPDATE audit SET checkpoint = 3 {}", at(&b, 3)));
        let told = scene.told(&remove).await;
        let expected = [
            "mark entry 3 checkpoint 1 of 1",
            "sealedMissing entry 4 checkpoint 3 of 1",
        ];
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn a_removed_order_shows_once_it_was_sealed() {
    for mut scene in Scene::both().await {
        let remove = |order: &OrderRecord| {
            let id = order.order.id;
            [
                format!("DELETE FROM audit WHERE order_id = '{id}'"),
                format!("DELETE FROM orders WHERE id = '{id}'"),
            ]
        };
        let c = scene.c.clone();
        assert_eq!(
            scene.told(&remove(&c)).await,
            ["sealedMissing entry 1 checkpoint 1 of 2"]
        );
        let told = scene.told(&remove(&c)[1..]).await;
        assert_eq!(told, ["orderMissing of 2"]);
        let new = scene.house.order(1).await;
        scene.house.remember().await;
        assert_eq!(
            scene.told(&remove(&new)).await,
            [""; 0],
            "the limit of the promise"
        );
        scene.house.seal().await;
        scene.house.remember().await;
        assert_eq!(
            scene.told(&remove(&new)).await,
            ["sealedMissing entry 1 checkpoint 3 of ?"]
        );
    }
}

#[tokio::test]
async fn a_chain_that_was_written_anew_shows_by_its_checkpoint() {
    for mut scene in Scene::both().await {
        let c = scene.c.clone();
        let old = scene.entries(&c).await.remove(0).read().unwrap();
        let body = old.body.replace("165000", "1");
        let new = Entry::chained(old.order, 1, old.at_ms, old.kind, body, old.prev);
        let write = format!(
            "UPDATE audit SET body = '{}', hash = '{}' {}",
            new.body,
            new.hash,
            at(&c, 1)
        );
        let told = scene.told(std::slice::from_ref(&write)).await;
        assert_eq!(
            told,
            [
                "head entry 1 of 2",
                "sealedDiffers entry 1 checkpoint 1 of 2"
            ]
        );
        let mut record = c.clone();
        record.head = new.hash;
        let told = scene
            .told(&[vec![write], set_order(&record)].concat())
            .await;
        assert_eq!(told, ["sealedDiffers entry 1 checkpoint 1 of 2"]);
    }
}

#[tokio::test]
async fn swapped_chains_show() {
    for mut scene in Scene::both().await {
        let (a, d) = (scene.a.order.id, scene.d.order.id);
        let told = scene
            .told(&[
                format!(
                    "UPDATE audit SET order_id = '{}' WHERE order_id = '{a}'",
                    "f".repeat(32)
                ),
                format!("UPDATE audit SET order_id = '{a}' WHERE order_id = '{d}'"),
                format!(
                    "UPDATE audit SET order_id = '{d}' WHERE order_id = '{}'",
                    "f".repeat(32)
                ),
            ])
            .await;
        for expected in [
            "edited entry 1 of 0",
            "edited entry 1 of 3",
            "tailMissing entry 3 of 0",
            "tailAdded entry 4 of 3",
            "sealedMissing entry 4 checkpoint 1 of 0",
            "sealedDiffers entry 3 checkpoint 2 of 3",
        ] {
            assert!(
                told.iter().any(|told| told == expected),
                "{expected}: {told:?}"
            );
        }
        // Their orders' rows too.
        let told = scene
            .told(&[
                format!(
                    "UPDATE orders SET id = '{}' WHERE id = '{a}'",
                    "f".repeat(32)
                ),
                format!("UPDATE orders SET id = '{a}' WHERE id = '{d}'"),
                format!(
                    "UPDATE orders SET id = '{d}' WHERE id = '{}'",
                    "f".repeat(32)
                ),
            ])
            .await;
        assert_eq!(told, ["otherOrder of 0", "otherOrder of 3"]);
    }
}

#[tokio::test]
async fn an_entry_that_was_put_in_shows() {
    for mut scene in Scene::both().await {
        let c = scene.c.clone();
        let last = scene.entries(&c).await.remove(0).read().unwrap();
        let body = r#"{"kind":"canceled"}"#.to_owned();
        let new = Entry::chained(last.order, 2, last.at_ms, "order.canceled", body, last.hash);
        let put = format!(
            "INSERT INTO audit (order_id, seq, at_ms, kind, body, prev_hash, hash) VALUES ('{}', 2, {}, '{}', '{}', '{}', '{}')",
            new.order, new.at_ms, new.kind, new.body, new.prev, new.hash
        );
        assert_eq!(scene.told(&[put]).await, ["tailAdded entry 2 of 2"]);
    }
}

#[tokio::test]
async fn what_is_no_text_is_told_and_the_walk_goes_on() {
    let mut scene = Scene::set(House::file().await).await;
    let (a, d) = (scene.a.clone(), scene.d.clone());
    let told = scene
        .told(&[
            format!(
                "UPDATE audit SET body = CAST(x'fffe' AS TEXT) {}",
                at(&a, 2)
            ),
            format!("UPDATE audit SET body = '' {}", at(&d, 2)),
        ])
        .await;
    let expected = ["edited entry 2 of 3", "unreadable of 0"];
    assert_eq!(told, expected);
    assert!(
        scene
            .house
            .store
            .order(&a.order.id)
            .await
            .unwrap()
            .is_some()
    );
}
