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

#[test]
fn the_model_does_no_io() {
    let none: [String; 0] = [];
    let model: Vec<(String, String)> = sources()
        .into_iter()
        .filter(|(name, _)| {
            name.starts_with("ticketon-queue/src/room")
                || name == "ticketon-queue/src/line.rs"
                || name.starts_with("ticketon-domain/src/seat/map")
        })
        .collect();
    assert!(model.len() >= 16);
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
    let aggregates: Vec<(String, String)> = sources()
        .into_iter()
        .filter(|(name, _)| {
            let folders = ["event", "seat", "venue"];
            let is_of = |folder| name.starts_with(&format!("ticketon-domain/src/{folder}"));
            folders.into_iter().any(is_of)
        })
        .collect();
    assert!(aggregates.len() >= 30);
    // A file's own tests may take a store to look at.
    let imports = |text: &str| {
        let mut code = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .filter(|line| !line.trim_start().starts_with("//"));
        code.any(|line| line.contains("adapter::"))
    };
    let found: Vec<String> = aggregates
        .into_iter()
        .filter(|(_, text)| imports(text))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(found, none);
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
