//! The commands of the service, as an operator uses them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sqlx::{ConnectOptions as _, Connection as _};
use ticketon_tests::workspace_bin;

use super::house::House;

/// The secret half of the house's key.
const SECRET: &str = "2027:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

struct Shell {
    program: std::path::PathBuf,
    folder: tempfile::TempDir,
    url: String,
}

impl Shell {
    fn run(&self, keys: Option<(&str, &str)>, words: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .arg("audit")
            .args(words)
            .current_dir(self.folder.path());
        command.env("TICKETON_DATABASE_URL", &self.url);
        for name in ["TICKETON_AUDIT_KEYS", "TICKETON_AUDIT_PUBLIC_KEYS"] {
            command.env_remove(name);
        }
        command.envs(keys);
        command.output().unwrap()
    }

    /// What is printed by a command that must succeed.
    fn good(&self, words: &[&str]) -> String {
        let output = self.run(Some(("TICKETON_AUDIT_KEYS", SECRET)), words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is printed by a command that must end with 1, and what is said beside it.
    fn bad(&self, keys: Option<(&str, &str)>, words: &[&str]) -> (String, String) {
        let output = self.run(keys, words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn an_operator_seals_verifies_exports_and_rebuilds() {
    for house in House::both().await {
        an_operator_works_on(house).await;
    }
}

async fn an_operator_works_on(mut house: House) {
    let order = house.paid(2).await;
    house.order(1).await;
    let shell = Shell {
        program: workspace_bin("reference-app").await,
        folder: tempfile::tempdir().unwrap(),
        url: house.url.clone(),
    };
    let public = house.keys.public().to_string();
    assert_eq!(shell.good(&["keys"]).trim(), public);
    assert_eq!(shell.good(&["seal"]), "1 checkpoints over 2 chains\n");
    assert_eq!(
        json_lines(&shell.good(&["seal", "--json"]))[0]["sum"]["checkpoints"],
        0
    );
    // The address and the public half may stand behind the command.
    let words = [
        "verify",
        "--database",
        &house.url,
        "--audit-public-keys",
        &public,
    ];
    let output = shell.run(None, &words);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        "2 orders, 4 entries (0 not yet sealed), 1 checkpoints over 2 heads, 0 findings\n"
    );
    assert!(output.status.success());

    let rebuilt: Value =
        serde_json::from_str(&shell.good(&["rebuild", "--order", &order.order.id.to_string()]))
            .unwrap();
    assert_eq!(rebuilt, serde_json::to_value(&order.order).unwrap());
    let said = shell.good(&["rebuild"]);
    assert_eq!(said, "2 orders were made anew from 4 entries, 0 findings\n");

    shell.good(&["export", "--out", "all.jsonl", "--entries"]);
    assert_eq!(json_lines(&shell.good(&["export"])).len(), 1);
    // Without its entries it is judged only where that was asked for.
    shell.good(&["export", "--out", "few.jsonl"]);
    let keys = Some(("TICKETON_AUDIT_KEYS", SECRET));
    let (_, said) = shell.bad(keys, &["verify", "--export", "few.jsonl"]);
    assert!(said.contains("--checkpoints-only"), "{said}");
    shell.good(&["verify", "--export", "few.jsonl", "--checkpoints-only"]);
    assert_eq!(shell.good(&["export", "--after", "1"]), "");
    let said = shell.good(&["verify", "--export", "all.jsonl", "--noted", "all.jsonl"]);
    assert!(said.ends_with(" 0 findings\n"), "{said}");
    edit(&shell.path("all.jsonl"), "order.paid", "order.held");
    let (found, _) = shell.bad(
        Some(("TICKETON_AUDIT_KEYS", SECRET)),
        &["verify", "--export", "all.jsonl"],
    );
    assert!(
        found.contains("entry 3: its hash is not that of its text"),
        "{found}"
    );

    house
        .write("UPDATE audit SET at_ms = 5 WHERE seq = 2")
        .await;
    let keys = Some(("TICKETON_AUDIT_PUBLIC_KEYS", public.as_str()));
    let (found, said) = shell.bad(keys, &["verify", "--json"]);
    let found = json_lines(&found);
    assert_eq!(
        (&found[0]["wrong"], &found[0]["seq"]),
        (&"edited".into(), &2.into())
    );
    assert_eq!(found[0]["order"], order.order.id.to_string());
    assert_eq!(found[1]["sum"]["findings"], 1);
    assert!(said.contains("1 findings"), "{said}");
    let (found, _) = shell.bad(keys, &["rebuild", "--json"]);
    // The payment began at the time of that entry.
    let found = json_lines(&found);
    assert_eq!(
        (&found[0]["wrong"], &found[0]["rebuilt"]),
        (&"differs".into(), &"5".into())
    );

    let (_, said) = shell.bad(None, &["verify"]);
    assert!(said.contains("TICKETON_AUDIT_PUBLIC_KEYS"), "{said}");
    let other = shell.good(&["keys", "--new", "--id", "2028"]);
    let (secret, other) = other.trim().split_once('\n').unwrap();
    let (secret, other) = (
        secret.split_once('=').unwrap(),
        other.split_once('=').unwrap(),
    );
    assert_eq!(
        (secret.0, other.0),
        ("TICKETON_AUDIT_KEYS", "TICKETON_AUDIT_PUBLIC_KEYS")
    );
    let (found, _) = shell.bad(Some(other), &["verify"]);
    assert!(
        found.contains("checkpoint 1: it was signed with a key that is not known here: \"2027\""),
        "{found}"
    );
    house.order(1).await;
    let (_, said) = shell.bad(Some(secret), &["seal"]);
    assert!(said.contains("cannot be built upon"), "{said}");
    assert!(!said.contains(secret.1.split_once(':').unwrap().1));
    // With the old key's public half it goes on.
    let rotated = shell.run(Some(secret), &["seal", "--audit-public-keys", &public]);
    assert!(rotated.status.success(), "{rotated:?}");
}

fn edit(path: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old));
    std::fs::write(path, text.replace(old, new)).unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.db");
    let shell = Shell {
        program: workspace_bin("reference-app").await,
        url: format!("sqlite:{}", file.display()),
        folder,
    };
    let (_, said) = shell.bad(Some(("TICKETON_AUDIT_KEYS", SECRET)), &["verify"]);
    assert!(said.contains("there is no database"), "{said}");
    assert!(!file.exists());
}

#[tokio::test]
async fn whoever_looks_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    let url = format!("sqlite:{}", file.display());
    // A database of another program, or of an older version.
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true);
    let mut old = options.connect().await.unwrap();
    let made = sqlx::query("CREATE TABLE orders (id TEXT)");
    made.execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    let shell = Shell {
        program: workspace_bin("reference-app").await,
        url,
        folder,
    };
    let before = std::fs::read(&file).unwrap();
    let keys = Some(("TICKETON_AUDIT_KEYS", SECRET));
    for words in [&["verify"][..], &["rebuild"], &["export"], &["seal"]] {
        let (_, said) = shell.bad(keys, words);
        assert!(
            said.contains("migrate the database first"),
            "{words:?}: {said}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), before, "{words:?}");
    }

    // Nor where all is as it should be.
    let mut house = House::file().await;
    house.paid(1).await;
    house.seal().await;
    let copy = shell.path("copy.db");
    house
        .write(format!("VACUUM INTO '{}'", copy.display()))
        .await;
    let shell = Shell {
        url: format!("sqlite:{}", copy.display()),
        ..shell
    };
    let before = std::fs::read(&copy).unwrap();
    for words in [&["verify"][..], &["rebuild"], &["export", "--entries"]] {
        shell.good(words);
        assert_eq!(std::fs::read(&copy).unwrap(), before, "{words:?}");
    }
}

#[tokio::test]
async fn a_note_in_a_file_outlives_the_process() {
    let mut house = House::file().await;
    house.order(1).await;
    let shell = Shell {
        program: workspace_bin("reference-app").await,
        folder: tempfile::tempdir().unwrap(),
        url: house.url.clone(),
    };
    shell.good(&["seal", "--audit-note", "note"]);
    let note = std::fs::read_to_string(shell.path("note")).unwrap();
    assert!(
        note.starts_with("1 ") && note.len() == 2 + 64 + 1,
        "{note:?}"
    );
    house.write("DELETE FROM audit_checkpoints").await;
    house.write("UPDATE audit SET checkpoint = NULL").await;
    let keys = Some(("TICKETON_AUDIT_KEYS", SECRET));
    let (_, said) = shell.bad(keys, &["seal", "--audit-note", "note"]);
    assert!(said.contains("somebody rewrote the history"), "{said}");
    assert_eq!(std::fs::read_to_string(shell.path("note")).unwrap(), note);
    std::fs::write(shell.path("note"), "nonsense").unwrap();
    let (_, said) = shell.bad(keys, &["seal", "--audit-note", "note"]);
    assert!(said.contains("TICKETON_AUDIT_NOTE"), "{said}");
    std::fs::remove_file(shell.path("note")).unwrap();
    shell.good(&["seal", "--audit-note", "note"]);
}
