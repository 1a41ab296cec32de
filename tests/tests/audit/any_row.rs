//! Whatever is changed in any single row of the audit shows, and in any row of an order or a ticket.

use ticketon_domain::purchase::{OrderRecord, Work};

use super::house::{House, unhex};
use super::lives::{Dice, live};

const ENTRY: [&str; 8] = [
    "order_id",
    "seq",
    "at_ms",
    "kind",
    "body",
    "prev_hash",
    "hash",
    "checkpoint",
];
const CHECKPOINT: [&str; 7] = [
    "id",
    "at_ms",
    "prev_hash",
    "hash",
    "key_id",
    "signature",
    "body",
];

const ORDER: [&str; 12] = [
    "id",
    "event_id",
    "user_id",
    "hold_id",
    "hold_live",
    "state",
    "payment_key",
    "due_ms",
    "attention_ms",
    "created_ms",
    "version",
    "body",
];
/// All but `changed_ms`, by which nothing is decided.
const TICKET: [&str; 10] = [
    "id", "order_id", "event_id", "seat", "live", "state", "user_id", "fence", "price", "grade",
];

const TABLES: [(&str, &[&str]); 4] = [
    ("audit", &ENTRY),
    ("audit_checkpoints", &CHECKPOINT),
    ("orders", &ORDER),
    ("tickets", &TICKET),
];

const NUMBERS: [&str; 11] = [
    "seq",
    "at_ms",
    "checkpoint",
    "hold_live",
    "due_ms",
    "attention_ms",
    "created_ms",
    "version",
    "live",
    "fence",
    "price",
];

/// A change of a column: one character of it, or another value.
fn change(dice: &mut Dice, table: &str, column: &str) -> String {
    let is_number = NUMBERS.contains(&column) || (table == "audit_checkpoints" && column == "id");
    if is_number {
        let by = dice.below(40) as i64 - 20;
        return match dice.below(6) {
            0 => "NULL".to_owned(),
            1 => i64::MAX.to_string(),
            2 => i64::MIN.to_string(),
            3 => "0".to_owned(),
            _ => format!("coalesce({column}, 0) + {by}"),
        };
    }
    let place = 1 + dice.below(if column == "body" { 600 } else { 64 });
    match dice.below(7) {
        0 => format!("upper({column})"),
        1 => format!("concat('0', {column})"),
        2 => format!("concat({column}, '\n')"),
        3 => "''".to_owned(),
        // What another row has there.
        4 => format!(
            "(SELECT {column} FROM kept_{table} LIMIT 1 OFFSET {})",
            dice.below(if table == "audit_checkpoints" { 5 } else { 30 })
        ),
        5 if column == "payment_key" => "NULL".to_owned(),
        _ => {
            let digit = dice.below(10);
            format!(
                "concat(substr({column}, 1, {place}), '{digit}', substr({column}, {}))",
                place + 2
            )
        }
    }
}

async fn shows(mut house: House, changes: u32, seed: u64) {
    let mut dice = Dice(seed);
    for orders in [15, 10] {
        live(&mut house, orders, &mut dice).await;
        house.seal().await;
    }
    live(&mut house, 5, &mut dice).await;
    house.remember().await;
    house.is_whole().await;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (table, key) in [
        (
            "audit",
            "concat('order_id = ''', order_id, ''' AND seq = ', seq)",
        ),
        ("audit_checkpoints", "concat('id = ', id)"),
        ("orders", "concat('id = ''', id, '''')"),
        ("tickets", "concat('id = ''', id, '''')"),
    ] {
        rows.push(house.texts(key, &format!("FROM {table} ORDER BY 1")).await);
    }
    let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
    assert!(
        counts[0] > 60 && counts[1] >= 2 && counts[2] >= 30 && counts[3] >= 20,
        "{counts:?}"
    );
    let (mut done, mut tried) = (0, 0);
    while done < changes {
        tried += 1;
        assert!(tried < 20 * changes, "{done} of {tried} changed anything");
        let number = [0, 0, 1, 2, 3, 3][dice.below(6) as usize];
        let (table, columns) = TABLES[number];
        let place = dice.one_of(&rows[number]).clone();
        let sql = if dice.below(10) == 0 {
            format!("DELETE FROM {table} WHERE {place}")
        } else {
            let column = *dice.one_of(columns);
            format!(
                "UPDATE {table} SET {column} = {} WHERE {place}",
                change(&mut dice, table, column)
            )
        };
        // The database may refuse it, or it may be no change.
        let before = whole(&mut house, table, columns).await;
        let written = house.try_write(sql.as_str()).await;
        let after = whole(&mut house, table, columns).await;
        if !written || after == before || (table == "orders" && is_same(&before, &after)) {
            house.restore().await;
            continue;
        }
        let mut findings = house.findings().await;
        findings.extend(house.rebuild_findings().await);
        assert!(
            !findings.is_empty(),
            "{}: nothing was found after {sql} (seed {seed})",
            house.name
        );
        house.restore().await;
        done += 1;
    }
    house.is_whole().await;
}

/// Whether the records tell the same history: what is left to do but when, by which admission somebody came in, and what
/// ties an order to logs, is in no entry.
fn is_same(before: &[Vec<String>], after: &[Vec<String>]) -> bool {
    let (columns, body) = before.split_at(ORDER.len() - 1);
    let (new_columns, new_body) = after.split_at(ORDER.len() - 1);
    let history = |hex: &String| {
        let mut record: OrderRecord = serde_json::from_str(&unhex(hex)).ok()?;
        record.work = Work::default();
        record.admission = None;
        record.correlation = None;
        Some(record)
    };
    columns == new_columns
        && body[0].iter().zip(&new_body[0]).all(|(old, new)| {
            let new = history(new);
            new.is_some() && new == history(old)
        })
}

/// All that a table has.
async fn whole(house: &mut House, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for column in columns {
        all.push(
            house
                .hex(
                    column,
                    &format!("FROM {table} ORDER BY {}, {}", columns[0], columns[1]),
                )
                .await,
        );
    }
    all
}

#[tokio::test]
async fn in_a_file_any_change_of_one_row_shows() {
    shows(House::file().await, 250, 0x1234_5678_9abc).await;
}

#[tokio::test]
async fn on_a_server_any_change_of_one_row_shows() {
    shows(House::server().await, 140, 0xfeed_beef).await;
}
