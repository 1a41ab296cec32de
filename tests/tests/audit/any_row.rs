//! Whatever is changed in any single row of the audit shows.

use super::house::House;
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

/// A row: its table, and what finds it.
fn row<'a>(
    dice: &mut Dice,
    entries: &'a [String],
    checkpoints: &'a [String],
) -> (&'static str, &'a str, &'static [&'static str]) {
    if dice.below(3) == 0 {
        (
            "audit_checkpoints",
            dice.one_of(checkpoints).as_str(),
            &CHECKPOINT,
        )
    } else {
        ("audit", dice.one_of(entries).as_str(), &ENTRY)
    }
}

/// A change of a column: one character of it, or another value.
fn change(dice: &mut Dice, column: &str) -> String {
    let is_number = matches!(column, "seq" | "at_ms" | "checkpoint" | "id");
    if is_number {
        let by = dice.below(40) as i64 - 20;
        return match dice.below(6) {
            0 if column == "checkpoint" => "NULL".to_owned(),
            1 => i64::MAX.to_string(),
            2 => i64::MIN.to_string(),
            3 => "0".to_owned(),
            _ => format!("coalesce({column}, 0) + {by}"),
        };
    }
    let place = 1 + dice.below(64);
    match dice.below(7) {
        0 => format!("upper({column})"),
        1 => format!("concat('0', {column})"),
        2 => format!("concat({column}, '\n')"),
        3 => "''".to_owned(),
        // What another row has there.
        4 if column != "order_id" => {
            let table = if CHECKPOINT.contains(&column) && dice.below(2) == 0 {
                "kept_audit_checkpoints"
            } else {
                "kept_audit"
            };
            let column = if table == "kept_audit" && !ENTRY.contains(&column) {
                "hash"
            } else {
                column
            };
            format!(
                "(SELECT {column} FROM {table} LIMIT 1 OFFSET {})",
                dice.below(5)
            )
        }
        4 => format!(
            "(SELECT order_id FROM kept_audit LIMIT 1 OFFSET {})",
            dice.below(30)
        ),
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
    let found = |house: &str| format!("order_id = '{}' AND seq = {}", &house[..32], &house[33..]);
    let entries: Vec<String> = house
        .texts(
            "concat(order_id, ' ', seq)",
            "FROM audit ORDER BY order_id, seq",
        )
        .await
        .iter()
        .map(|row| found(row))
        .collect();
    let checkpoints: Vec<String> = house
        .texts("concat(id, '')", "FROM audit_checkpoints ORDER BY id")
        .await
        .iter()
        .map(|id| format!("id = {id}"))
        .collect();
    assert!(
        entries.len() > 60 && checkpoints.len() >= 2,
        "{} {}",
        entries.len(),
        checkpoints.len()
    );
    let (mut done, mut tried) = (0, 0);
    while done < changes {
        tried += 1;
        assert!(tried < 20 * changes, "{done} of {tried} changed anything");
        let (table, place, columns) = row(&mut dice, &entries, &checkpoints);
        let sql = if dice.below(10) == 0 {
            format!("DELETE FROM {table} WHERE {place}")
        } else {
            let column = *dice.one_of(columns);
            format!(
                "UPDATE {table} SET {column} = {} WHERE {place}",
                change(&mut dice, column)
            )
        };
        // The database may refuse it, or it may be no change.
        let before = whole(&mut house, table, columns).await;
        if !house.try_write(sql.as_str()).await || whole(&mut house, table, columns).await == before
        {
            house.restore().await;
            continue;
        }
        let findings = house.findings().await;
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
    shows(House::server().await, 100, 0xfeed_beef).await;
}
