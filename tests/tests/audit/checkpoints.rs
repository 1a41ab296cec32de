//! Each way in which a hand may touch checkpoints and marks, and what is told of it.

use ticketon_domain::audit::{AuditKeys, AuditLog as _, Checkpoint, StoredCheckpoint, Verifier};

use super::house::{House, short, verify};
use super::scene::{Scene, at};

#[tokio::test]
async fn marks_that_were_changed_show() {
    for mut scene in Scene::both().await {
        let (a, b) = (scene.a.clone(), scene.b.clone());
        for (order, seq, mark) in [
            (&a, 1, "NULL"),
            (&a, 4, "NULL"),
            (&a, 4, "2"),
            (&a, 2, "2"),
            (&a, 4, "77"),
            (&a, 1, "0"),
            (&a, 1, "-5"),
            (&b, 4, "1"),
            (&b, 4, "2"),
            (&b, 4, "3"),
        ] {
            let told = scene
                .told(&[format!(
                    "UPDATE audit SET checkpoint = {mark} {}",
                    at(order, seq)
                )])
                .await;
            assert!(!told.is_empty(), "{seq} {mark}");
            let says = |word: &str| told.iter().any(|told| told.starts_with(word));
            assert!(says("mark") || says("checkpointMissing"), "{told:?}");
        }
    }
}

/// A checkpoint as it is written into the table.
fn set_checkpoint(checkpoint: &Checkpoint) -> String {
    let stored = StoredCheckpoint::of(checkpoint);
    format!(
        "UPDATE audit_checkpoints SET at_ms = {}, prev_hash = '{}', hash = '{}', key_id = '{}', signature = '{}', \
         body = '{}' WHERE id = {}",
        stored.at_ms,
        stored.prev,
        stored.hash,
        stored.key,
        stored.signature,
        stored.heads,
        stored.number
    )
}

#[tokio::test]
async fn forged_and_removed_checkpoints_show() {
    for mut scene in Scene::both().await {
        let stored = scene.house.store.checkpoints(0, 10).await.unwrap();
        let first = stored[0].read().unwrap();
        let mut fewer = first.heads.clone();
        fewer.remove(2);
        let sign =
            |heads, keys: &AuditKeys| Checkpoint::signed(1, first.at_ms, first.prev, heads, keys);
        // Without the key: the old signature, one's own key, one's own key under the name of the right one.
        let good = sign(fewer.clone(), &scene.house.keys);
        let forged = Checkpoint {
            signature: first.signature,
            ..good.clone()
        };
        let told = scene.told(&[set_checkpoint(&forged)]).await;
        assert_eq!(
            told,
            [
                "checkpointForged checkpoint 1",
                "checkpointUnlinked checkpoint 2"
            ]
        );
        for key in ["mine", "2027"] {
            let forged = sign(fewer.clone(), &AuditKeys::new(key, [66; 32]).unwrap());
            let told = scene.told(&[set_checkpoint(&forged)]).await;
            assert_eq!(
                told,
                [
                    "checkpointForged checkpoint 1",
                    "checkpointUnlinked checkpoint 2"
                ]
            );
        }
        // Even with the key: the next one names its hash, and the entries their checkpoint.
        let told = scene.told(&[set_checkpoint(&good)]).await;
        assert_eq!(
            told,
            [
                "checkpointUnlinked checkpoint 2",
                "mark entry 1 checkpoint 1 of 2"
            ]
        );

        let told = scene
            .told(&["DELETE FROM audit_checkpoints WHERE id = 1".to_owned()])
            .await;
        assert_eq!(told, ["checkpointMissing checkpoint 1"]);
        let last = "DELETE FROM audit_checkpoints WHERE id = 2".to_owned();
        let told = scene.told(std::slice::from_ref(&last)).await;
        assert_eq!(told, ["checkpointMissing checkpoint 2"]);
        let told = scene
            .told(&["UPDATE audit_checkpoints SET id = -1 WHERE id = 1".to_owned()])
            .await;
        assert!(
            told.contains(&"unreadable checkpoint -1".to_owned()),
            "{told:?}"
        );

        // The last one removed with its marks shows to who noted it elsewhere.
        let remove = [
            last,
            "UPDATE audit SET checkpoint = NULL WHERE checkpoint = 2".to_owned(),
        ];
        assert_eq!(
            scene.told(&remove).await,
            [""; 0],
            "the limit of the promise"
        );
        for sql in &remove {
            scene.house.write(sql.as_str()).await;
        }
        let verifier = scene.house.verifier();
        let noted = stored.iter().fold(verifier, |verifier, stored| {
            verifier.noted(&stored.read().unwrap())
        });
        let (_, findings) = verify(&noted, &*scene.house.store).await;
        assert_eq!(short(&findings, &[]), ["checkpointMissing checkpoint 2"]);
        // And if another one was made in its place.
        scene.house.clock.advance(std::time::Duration::from_secs(1));
        scene.house.seal().await;
        scene.house.is_whole().await;
        let (_, findings) = verify(&noted, &*scene.house.store).await;
        assert_eq!(short(&findings, &[]), ["notAsNoted checkpoint 2"]);
    }
}

#[tokio::test]
async fn checkpoints_are_believed_by_their_keys_alone() {
    let scene = Scene::set(House::file().await).await;
    let other = AuditKeys::new("2028", [8; 32]).unwrap();
    let (_, findings) = verify(&Verifier::new(other.public().clone()), &*scene.house.store).await;
    assert_eq!(
        short(&findings, &[]),
        [
            "checkpointForged checkpoint 1",
            "checkpointForged checkpoint 2"
        ]
    );
    let told = findings[0].to_string();
    assert!(told.contains("not known here: \"2027\""), "{told}");
    let (_, findings) = verify(&Verifier::new(Default::default()), &*scene.house.store).await;
    assert_eq!(findings.len(), 2);
    let rotated = other.also_accept(scene.house.keys.public()).unwrap();
    let (_, findings) = verify(
        &Verifier::new(rotated.public().clone()),
        &*scene.house.store,
    )
    .await;
    assert_eq!(findings, []);
}
