//! Exports: read back, and checked by a script that shares no code with the rest.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::audit::{
    Archive, AuditKeys, AuditLog, ExportError, Extent, Finding, Run, StoredChain, StoredCheckpoint,
    StoredEntry, Verifier, export, seal,
};
use ticketon_queue::{ManualClock, StoreError};

use super::house::{House, public, short, verify};
use super::lives::{Dice, live};

struct Exported {
    house: House,
    folder: TempDir,
    lines: Vec<Value>,
}

async fn exported() -> Exported {
    let mut house = House::file().await;
    let mut dice = Dice(31);
    live(&mut house, 40, &mut dice).await;
    house.seal().await;
    let a = house.paid(2).await;
    house.used(&a, 0).await;
    house.seal().await;
    let lines = lines(
        &house,
        Extent {
            after: 0,
            entries: true,
        },
    )
    .await;
    Exported {
        house,
        folder: tempfile::tempdir().unwrap(),
        lines,
    }
}

async fn lines(house: &House, extent: Extent) -> Vec<Value> {
    let mut out = Vec::new();
    let count = export(&*house.store, extent, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count() as u64, count);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What our own walk tells of an export.
async fn ours(lines: &[Value], keys: &str, noted: &[Value]) -> Vec<Finding> {
    let archive = Archive::read(text(lines).as_bytes()).unwrap();
    let mut verifier = Verifier::new(public(keys)).without_orders();
    if archive.is_stripped() {
        verifier = verifier.checkpoints_only();
    }
    let noted = Archive::read(text(noted).as_bytes()).unwrap();
    for checkpoint in noted.readable_checkpoints() {
        verifier = verifier.noted(&checkpoint);
    }
    verify(&verifier, &archive).await.1
}

impl Exported {
    fn keys(&self) -> String {
        self.house.keys.public().to_string()
    }

    fn file(&self, name: &str, lines: &[Value]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text(lines)).unwrap();
        path
    }

    /// What the script prints; `Err` if it finds something.
    fn script(&self, lines: &[Value], keys: &str, noted: &[Value]) -> Result<String, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify-audit.py");
        let mut command = Command::new("python3");
        command.arg(script);
        if !lines.iter().any(|line| line["type"] == "entry") {
            command.arg("--checkpoints-only");
        }
        let output = command
            .arg(self.file("export.jsonl", lines))
            .arg(keys)
            .arg(self.file("noted.jsonl", noted))
            .env("PYTHONIOENCODING", "utf-8")
            .output()
            .expect("python3 is installed");
        let (found, said) = (output.stdout, output.stderr);
        let (found, said) = (
            String::from_utf8(found).unwrap(),
            String::from_utf8(said).unwrap(),
        );
        assert!(!said.contains("Traceback"), "{said}");
        if output.status.success() {
            assert_eq!(found, "");
            Ok(said)
        } else {
            Err(found)
        }
    }

    /// Both find something, in the place that is named.
    async fn both_find(&self, lines: &[Value], expected: &str) {
        let keys = self.keys();
        let found = self.script(lines, &keys, &[]).unwrap_err();
        assert!(found.contains(expected), "{expected}: {found}");
        let ours = ours(lines, &keys, &[]).await;
        let said: Vec<String> = ours.iter().map(ToString::to_string).collect();
        assert!(said.join("\n").contains(expected), "{expected}: {said:?}");
    }

    fn place(&self, kind: &str, nth: usize) -> usize {
        let found = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line["type"] == kind);
        found.map(|(index, _)| index).nth(nth).unwrap()
    }
}

#[tokio::test]
async fn a_script_and_our_own_walk_agree_on_an_export() {
    let exported = exported().await;
    let keys = exported.keys();
    let said = exported
        .script(&exported.lines, &keys, &exported.lines)
        .unwrap();
    let checkpoints = exported
        .lines
        .iter()
        .filter(|line| line["type"] == "checkpoint")
        .count();
    assert!(
        said.starts_with(&format!("{checkpoints} checkpoints, ")) && said.contains(" 0 findings"),
        "{said}"
    );
    assert_eq!(ours(&exported.lines, &keys, &exported.lines).await, []);

    // Checkpoints alone, and only the newer ones.
    let alone = lines(&exported.house, Extent::default()).await;
    assert_eq!(alone.len(), checkpoints);
    assert!(exported.script(&alone, &keys, &[]).is_ok());
    assert_eq!(ours(&alone, &keys, &[]).await, []);
    let newer = lines(
        &exported.house,
        Extent {
            after: 1,
            entries: false,
        },
    )
    .await;
    assert_eq!(newer, alone[1..]);
}

#[tokio::test]
async fn what_was_changed_in_an_export_shows_to_both() {
    let exported = exported().await;
    let entry = exported.place("entry", 5);
    let (order, seq) = (
        &exported.lines[entry]["order"],
        &exported.lines[entry]["seq"],
    );
    let place = format!("order {}, entry {seq}", order.as_str().unwrap());
    for (field, value) in [
        ("atMs", Value::from(5)),
        ("kind", "order.expired".into()),
        ("body", "{}".into()),
        ("hash", "0".repeat(64).into()),
    ] {
        let mut lines = exported.lines.clone();
        lines[entry][field] = value;
        exported
            .both_find(
                &lines,
                &format!("{place}: its hash is not that of its text: the entry was changed"),
            )
            .await;
    }
    let mut removed = exported.lines.clone();
    removed.remove(entry);
    assert!(exported.script(&removed, &exported.keys(), &[]).is_err());
    assert_ne!(ours(&removed, &exported.keys(), &[]).await, []);

    // The last entry of all was sealed by the last checkpoint.
    let mut tail = exported.lines.clone();
    tail.pop();
    exported
        .both_find(
            &tail,
            "the checkpoint sealed this entry, and it is not there any more",
        )
        .await;

    let first = exported.place("checkpoint", 0);
    let mut forged = exported.lines.clone();
    forged[first]["heads"].as_array_mut().unwrap().pop();
    exported
        .both_find(
            &forged,
            "checkpoint 1: its hash is not that of its text: it was changed",
        )
        .await;
    let mut forged = exported.lines.clone();
    forged[first]["signature"] = forged[first + 1]["signature"].clone();
    exported
        .both_find(&forged, "checkpoint 1: its signature is wrong")
        .await;
    let mut gap = exported.lines.clone();
    gap.remove(first);
    exported
        .both_find(&gap, "checkpoint 1: the checkpoints ")
        .await;
}

#[tokio::test]
async fn removed_checkpoints_show_to_who_has_an_older_export() {
    let exported = exported().await;
    let (keys, all) = (exported.keys(), &exported.lines);
    let checkpoints = all
        .iter()
        .filter(|line| line["type"] == "checkpoint")
        .count();
    let fewer: Vec<Value> = all[..checkpoints - 1].to_vec();
    assert!(exported.script(&fewer, &keys, &[]).is_ok());
    let found = exported.script(&fewer, &keys, all).unwrap_err();
    assert!(
        found.starts_with(&format!("checkpoint {checkpoints}: another one was noted")),
        "{found}"
    );
    let told = short(&ours(&fewer, &keys, all).await, &[]);
    assert_eq!(
        told,
        [format!("checkpointMissing checkpoint {checkpoints}")]
    );
    // Another key of that name signed nothing of it.
    let other = "2027:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=";
    assert!(
        exported
            .script(&fewer, other, &[])
            .unwrap_err()
            .contains("its signature is wrong")
    );
    assert_eq!(ours(&fewer, other, &[]).await.len(), fewer.len());
}

#[test]
fn what_is_no_export_is_refused_with_the_line() {
    let entry = r#"{"type":"entry","order":"a","seq":1,"atMs":1,"kind":"k","body":"","prev":"p","hash":"h","checkpoint":null}"#;
    assert!(Archive::read(entry.as_bytes()).unwrap().has_entries());
    let twice = format!("{entry}\n{entry}\n");
    for (text, line) in [
        (twice.as_str(), 2),
        ("{}\n", 1),
        (&format!("{entry}\nnone"), 2),
        (r#"{"type":"order"}"#, 1),
    ] {
        match Archive::read(text.as_bytes()) {
            Err(ExportError::Line { line: refused, .. }) => assert_eq!(refused, line, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_export_without_its_entries_is_judged_only_where_that_was_asked_for() {
    let exported = exported().await;
    let alone = lines(&exported.house, Extent::default()).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify-audit.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(exported.file("alone.jsonl", &alone))
        .arg(exported.keys())
        .output()
        .expect("python3 is installed");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--checkpoints-only"), "{said}");
    // Our own walk misses each entry that was sealed.
    let archive = Archive::read(text(&alone).as_bytes()).unwrap();
    assert!(archive.is_stripped());
    let verifier = Verifier::new(public(&exported.keys())).without_orders();
    let (verified, findings) = verify(&verifier, &archive).await;
    assert_eq!(findings.len() as u64, verified.heads);
}

#[tokio::test]
async fn marks_that_were_changed_in_an_export_show_to_both() {
    let exported = exported().await;
    let keys = exported.keys();
    let count = exported.lines.len();
    let first = exported.place("entry", 0);
    let last_checkpoint = (first) as i64;
    let mut dice = Dice(0xa11_d1ce);
    for mark in [
        Value::Null,
        0.into(),
        (-3).into(),
        1.into(),
        2.into(),
        last_checkpoint.into(),
        (last_checkpoint + 1).into(),
        i64::MAX.into(),
    ] {
        for _ in 0..4 {
            let place = first + dice.below((count - first) as u64) as usize;
            let mut lines = exported.lines.clone();
            if lines[place]["checkpoint"] == mark {
                continue;
            }
            lines[place]["checkpoint"] = mark.clone();
            let line = &lines[place];
            let found = exported.script(&lines, &keys, &[]);
            let ours = ours(&lines, &keys, &[]).await;
            assert!(found.is_err(), "the script finds nothing: {line}");
            assert_ne!(ours, [], "our own walk finds nothing: {line}");
        }
    }
}

/// A store whose sealer comes whenever the orders are listed: behind the checkpoints of an export.
#[derive(Debug)]
struct Sealing {
    store: Arc<SqlStore>,
    keys: AuditKeys,
    clock: ManualClock,
}

#[async_trait]
impl AuditLog for Sealing {
    async fn chains(&self, after: &str, limit: usize) -> Result<Vec<StoredChain>, StoreError> {
        seal(&*self.store, &self.keys, &self.clock).await?;
        self.store.chains(after, limit).await
    }

    async fn chain(&self, order: &str) -> Result<Option<StoredChain>, StoreError> {
        self.store.chain(order).await
    }

    async fn strays(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        self.store.strays(limit).await
    }

    async fn entries(
        &self,
        order: &str,
        from_seq: i64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let log: &dyn AuditLog = &*self.store;
        log.entries(order, from_seq, limit).await
    }

    async fn sealed(
        &self,
        checkpoint: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        self.store.sealed(checkpoint, after, limit).await
    }

    async fn marks(&self, after: i64, limit: usize) -> Result<Vec<i64>, StoreError> {
        self.store.marks(after, limit).await
    }

    async fn checkpoints(
        &self,
        from: i64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        self.store.checkpoints(from, limit).await
    }
}

#[tokio::test]
async fn an_export_beside_a_running_sealer_passes_both_checks() {
    for mut house in House::both().await {
        let mut dice = Dice(77);
        live(&mut house, 20, &mut dice).await;
        house.seal().await;
        let before = house.is_whole().await;
        let a = house.paid(2).await;
        house.order(1).await;
        let log = Sealing {
            store: Arc::clone(&house.store),
            keys: house.keys.clone(),
            clock: house.clock.clone(),
        };
        let extent = Extent {
            after: 0,
            entries: true,
        };
        let mut out = Vec::new();
        export(&log, extent, &mut out).await.unwrap();
        let after = house.is_whole().await;
        assert_eq!(
            after.checkpoints,
            before.checkpoints + 1,
            "it was sealed meanwhile"
        );
        assert_eq!(after.unsealed, 0);

        let lines: Vec<Value> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of_a = |line: &&Value| line["order"] == a.order.id.to_string();
        assert_eq!(
            lines.iter().filter(of_a).count(),
            3,
            "its entries are there"
        );
        let exported = Exported {
            folder: tempfile::tempdir().unwrap(),
            lines,
            house,
        };
        let keys = exported.keys();
        assert_eq!(ours(&exported.lines, &keys, &[]).await, []);
        let said = exported.script(&exported.lines, &keys, &[]);
        assert!(said.is_ok(), "{said:?}");
    }
}
