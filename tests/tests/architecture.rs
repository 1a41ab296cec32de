//! The rules of the house that a compiler does not check: what may stand where.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::path::{Path, PathBuf};

/// The shipped sources: every `.rs` and `.lua` file below the `src` folders of the crates and examples.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crates = [
        "ticketon-queue",
        "ticketon-domain",
        "ticketon-axum",
        "ticketon-actix",
    ];
    let mut folders: Vec<PathBuf> = crates.map(|name| root.join(name).join("src")).into();
    for example in std::fs::read_dir(root.join("examples")).unwrap() {
        folders.push(example.unwrap().path().join("src"));
    }
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ending == "rs" || ending == "lua")
            {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 50, "only {} sources found", files.len());
    files
}

/// The files that have the word, apart from those that may.
fn offenders(word: &str, may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut seen = false;
    let found = sources()
        .into_iter()
        // `ticketon::` begins a log's target.
        .filter(|(_, text)| text.replace("ticketon::", "").contains(word))
        .inspect(|_| seen = true)
        .map(|(name, _)| name)
        .filter(|name| !may(name))
        .collect();
    assert!(seen, "nothing has {word:?}: the rule checks nothing");
    found
}

#[test]
fn only_the_clock_asks_the_system_for_the_time() {
    let none: [String; 0] = [];
    let clock = |name: &str| name == "ticketon-queue/src/clock.rs";
    assert_eq!(offenders("SystemTime::now", clock), none);
}

#[test]
fn only_keys_spells_a_redis_key() {
    let none: [String; 0] = [];
    let keys = |name: &str| {
        name == "ticketon-queue/src/redis/keys.rs"
            || name == "ticketon-domain/src/adapter/redis/keys.rs"
    };
    assert_eq!(offenders("\"ticketon:", keys), none);
    // Lua gets every key from KEYS.
    let lua = |name: &str| !name.ends_with(".lua");
    assert_eq!(offenders("ticketon:", lua), none);
}

#[test]
fn redis_stays_behind_its_adapter() {
    let none: [String; 0] = [];
    let adapter = |name: &str| {
        name == "ticketon-queue/src/redis.rs" || name.starts_with("ticketon-queue/src/redis/")
    };
    for word in ["::redis::", "deadpool_redis"] {
        let found: Vec<String> = sources()
            .into_iter()
            .filter(|(name, text)| {
                // Crates of this workspace have modules of this name.
                let text = text.replace("crate::redis::", "");
                let text = text.replace("ticketon_queue::redis::", "");
                text.replace("adapter::redis::", "").contains(word) && !adapter(name)
            })
            .map(|(name, _)| name)
            .collect();
        assert_eq!(found, none, "{word}");
    }
}

/// The lines of a file that are shipped: no comments, and nothing that is there for tests alone. They may take a store to
/// look at.
fn shipped(text: &str) -> Vec<&str> {
    let mut lines = text.lines();
    let mut shipped = Vec::new();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if code == "#[cfg(test)]" {
            // What it stands before ends at the same depth: `mod tests;`, or the brace of `mod tests {`.
            let depth = line.len() - code.len();
            let _ = lines.find(|line| {
                let code = line.trim_start();
                line.len() - code.len() == depth && (code.ends_with(';') || code == "}")
            });
        } else if !code.starts_with("//") {
            shipped.push(line);
        }
    }
    shipped
}

/// The names of those files whose shipped code has the word.
fn that_say(word: &str, files: &[(String, String)]) -> Vec<String> {
    let is_test = |name: &str| name.ends_with("/tests.rs") || name.contains("/tests/");
    files
        .iter()
        .filter(|(name, text)| {
            !is_test(name) && shipped(text).iter().any(|line| line.contains(word))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// The files whose names begin with one of these.
fn below(starts: &[&str]) -> Vec<(String, String)> {
    sources()
        .into_iter()
        .filter(|(name, _)| starts.iter().any(|start| name.starts_with(start)))
        .collect()
}

#[test]
fn what_is_shipped_is_told_from_comments_and_tests() {
    let says = |text: &str| {
        let file = ("ticketon-domain/src/purchase/record.rs", text);
        let files = [(file.0.to_owned(), file.1.to_owned())];
        !that_say("adapter::", &files).is_empty()
    };
    let import = "use crate::adapter::sql::SqlStore;\n";
    assert!(says(import));
    assert!(!says(&format!("/// {import}")));
    assert!(!says(&format!(
        "#[cfg(test)]\nmod tests {{\n    {import}}}\n"
    )));
    // Behind tests in a file of their own the code goes on, and behind those in the middle.
    assert!(says(&format!("#[cfg(test)]\nmod tests;\n{import}")));
    let within = "impl A {\n    #[cfg(test)]\n    fn a() {\n        adapter::a();\n    }\n";
    assert!(!says(within));
    assert!(says(&format!("{within}    fn b() {{ adapter::b(); }}\n}}")));
}

#[test]
fn the_model_does_no_io() {
    let none: [String; 0] = [];
    let mut model = below(&[
        "ticketon-queue/src/room",
        "ticketon-queue/src/line.rs",
        "ticketon-domain/src/seat/map",
    ]);
    assert!(model.len() >= 16);
    let order = ["order", "record", "work", "state"];
    let order = order.map(|file| format!("ticketon-domain/src/purchase/{file}.rs"));
    let before = model.len();
    model.extend(below(&order.each_ref().map(String::as_str)));
    assert_eq!(model.len(), before + order.len());
    for (_, text) in &mut model {
        // A length of time is no question for the time.
        *text = text.replace("std::time::Duration", "");
    }
    for word in [
        "async",
        "tokio",
        "Clock",
        "crate::redis",
        "crate::http",
        "std::time",
    ] {
        let found: Vec<String> = model
            .iter()
            .filter(|(_, text)| text.contains(word))
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(found, none, "{word}");
    }
}

#[test]
fn an_aggregate_imports_no_adapter() {
    let none: [String; 0] = [];
    let aggregates = ["audit", "event", "outbox", "purchase", "seat", "venue"];
    for aggregate in aggregates {
        let file = format!("ticketon-domain/src/{aggregate}.rs");
        let folder = format!("ticketon-domain/src/{aggregate}/");
        let files = below(&[&file, &folder]);
        assert!(files.len() >= 5, "{aggregate}");
        assert_eq!(that_say("adapter::", &files), none);
    }
}

#[test]
fn a_client_of_others_stays_in_its_adapter() {
    let none: [String; 0] = [];
    let domain = below(&["ticketon-domain/src/"]);
    for (client, adapter) in [("sqlx", "sql"), ("rdkafka", "kafka"), ("reqwest", "toss")] {
        let file = format!("ticketon-domain/src/adapter/{adapter}.rs");
        let folder = format!("ticketon-domain/src/adapter/{adapter}/");
        let (inside, outside): (Vec<_>, Vec<_>) = domain
            .iter()
            .cloned()
            .partition(|(name, _)| *name == file || name.starts_with(&folder));
        assert_ne!(
            that_say(client, &inside),
            none,
            "{client}: the rule checks nothing"
        );
        assert_eq!(that_say(client, &outside), none, "{client}");
    }
}

#[test]
fn the_queue_knows_nothing_of_seats_or_frameworks() {
    let none: [String; 0] = [];
    let queue: Vec<(String, String)> = sources()
        .into_iter()
        .filter(|(name, _)| name.starts_with("ticketon-queue/"))
        .collect();
    for word in ["axum::", "actix", "sqlx", "seat"] {
        let found: Vec<String> = queue
            .iter()
            .filter(|(_, text)| {
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                code.into_iter().any(|line| line.contains(word))
            })
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(found, none, "{word}");
    }
}
