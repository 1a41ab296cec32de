//! What a hand does to the rows beside an order's record: its columns, its tickets, and what is no row of an order at all.

use ticketon_domain::audit::Finding;
use ticketon_domain::purchase::{Command, OrderRecord, PurchaseStore as _};
use ticketon_queue::Clock as _;

use super::house::{House, short};
use super::scene::Scene;

/// What both walks tell after a statement that must meet a row; then all is as before.
async fn told(house: &mut House, sql: &str) -> Vec<Finding> {
    assert!(house.write(sql).await > 0, "{sql} met no row");
    let findings = house.findings().await;
    let rebuilt = house.rebuild_findings().await;
    let only_rows = |findings: &[Finding]| {
        let rows = findings.iter().filter(|finding| {
            let told = short(std::slice::from_ref(finding), &[]).remove(0);
            told.starts_with("column") || told.starts_with("ticket")
        });
        rows.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        only_rows(&findings),
        only_rows(&rebuilt),
        "{}: {sql}",
        house.name
    );
    house.restore().await;
    findings
}

#[tokio::test]
async fn a_seat_that_was_freed_by_hand_shows() {
    for mut scene in Scene::both().await {
        let (a, ticket) = (scene.a.order.id, scene.a.order.tickets[0].id);
        let sql = format!("UPDATE tickets SET live = NULL WHERE id = '{ticket}'");
        let findings = told(&mut scene.house, &sql).await;
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].to_string(),
            format!("order {a}: the column live of ticket {ticket} is NULL, its order makes it 1")
        );
    }
}

#[tokio::test]
async fn work_that_was_taken_from_the_worker_shows() {
    for mut house in House::both().await {
        let order = house.paid(2).await;
        let refund = Command::Refund {
            user: None,
            tickets: Vec::new(),
            reason: "broken chair".to_owned(),
            request: None,
        };
        let order = house.done(&order, &refund).await;
        house.remember().await;
        house.is_whole().await;
        let id = order.order.id;
        let sql = format!("UPDATE orders SET due_ms = NULL WHERE id = '{id}'");
        let findings = told(&mut house, &sql).await;
        let due_ms = order.due_ms().unwrap();
        assert_eq!(
            findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!(
                "order {id}: the column due_ms is NULL, the order's record makes it {due_ms}"
            )]
        );
        assert!(
            house
                .store
                .due(house.clock.now_ms(), 9)
                .await
                .unwrap()
                .len()
                == 1
        );
    }
}

/// Every column, and what a hand may write there.
const ORDER: [(&str, &str); 10] = [
    ("event_id", "'other'"),
    ("user_id", "'somebody'"),
    ("hold_id", "'other'"),
    ("hold_live", "NULL"),
    ("state", "'failed'"),
    ("payment_key", "NULL"),
    ("due_ms", "5"),
    ("attention_ms", "5"),
    ("created_ms", "5"),
    ("version", "9"),
];
const TICKET: [(&str, &str); 9] = [
    ("event_id", "'other'"),
    ("seat", "'Z-1'"),
    ("live", "NULL"),
    ("state", "'refunded'"),
    ("user_id", "'somebody'"),
    ("fence", "9"),
    ("price", "9"),
    ("grade", "'other'"),
    ("live", "7"),
];

#[tokio::test]
async fn every_column_of_an_order_and_of_a_ticket_is_compared() {
    for mut scene in Scene::both().await {
        let a = scene.a.clone();
        let (id, ticket) = (a.order.id, a.order.tickets[1].id);
        for (column, value) in ORDER {
            let sql = format!("UPDATE orders SET {column} = {value} WHERE id = '{id}'");
            let findings = told(&mut scene.house, &sql).await;
            assert_eq!(
                short(&findings, &[&a]),
                ["column of 0"],
                "{sql}: {findings:?}"
            );
            let text = findings[0].to_string();
            assert!(text.contains(&format!("the column {column}")), "{text}");
            assert!(
                !text.contains("somebody") && !text.contains("person-"),
                "{text}"
            );
        }
        for (column, value) in TICKET {
            let sql = format!("UPDATE tickets SET {column} = {value} WHERE id = '{ticket}'");
            let findings = told(&mut scene.house, &sql).await;
            assert_eq!(
                short(&findings, &[&a]),
                ["ticketDiffers of 0"],
                "{sql}: {findings:?}"
            );
            let text = findings[0].to_string();
            assert!(text.contains(&format!("the column {column}")), "{text}");
            assert!(
                !text.contains("somebody") && !text.contains("person-"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn tickets_that_are_gone_or_put_in_show() {
    for mut scene in Scene::both().await {
        let (a, c, d) = (scene.a.clone(), scene.c.clone(), scene.d.clone());
        let orders: [&OrderRecord; 3] = [&a, &c, &d];
        let (one, other) = (a.order.tickets[0].id, a.order.tickets[1].id);
        let house = &mut scene.house;
        let gone = told(house, &format!("DELETE FROM tickets WHERE id = '{one}'")).await;
        assert_eq!(short(&gone, &orders), ["ticketMissing of 0"]);
        // Another id, another order, a second one of the same.
        let renamed = format!(
            "UPDATE tickets SET id = '{}' WHERE id = '{one}'",
            "e".repeat(32)
        );
        let told_of = short(&told(house, &renamed).await, &orders);
        assert_eq!(told_of, ["ticketAdded of 0", "ticketMissing of 0"]);
        let (c_id, d_id) = (c.order.id, d.order.id);
        let moved = format!("UPDATE tickets SET order_id = '{d_id}' WHERE id = '{other}'");
        let told_of = short(&told(house, &moved).await, &orders);
        assert_eq!(told_of, ["ticketAdded of 2", "ticketMissing of 0"]);
        let columns = "event_id, 'X-1', live, state, user_id, fence, price, grade, changed_ms";
        for (order, place) in [(c_id.to_string(), "1"), ("f".repeat(32), "?")] {
            let put = format!(
                "INSERT INTO tickets SELECT 'new', '{order}', {columns} FROM kept_tickets WHERE id = '{one}'"
            );
            let told_of = short(&told(house, &put).await, &orders);
            let mut expected = vec![format!("ticketAdded of {place}")];
            if place == "?" {
                expected.insert(0, "orderMissing of ?".to_owned());
            }
            assert_eq!(told_of, expected);
        }
        // The order without its tickets' knowledge.
        let removed = format!("DELETE FROM orders WHERE id = '{d_id}'");
        let told_of = short(&told(house, &removed).await, &orders);
        assert_eq!(told_of, ["orderMissing of 2", "ticketAdded of 2"]);
    }
}

#[tokio::test]
async fn what_is_no_order_s_row_is_told() {
    for mut scene in Scene::both().await {
        let house = &mut scene.house;
        let entry = "at_ms, kind, body, prev_hash, hash, checkpoint FROM kept_audit LIMIT 1";
        let a = scene.a.order.id;
        for sql in [
            format!("INSERT INTO audit SELECT '', 1, {entry}"),
            format!("INSERT INTO audit SELECT '{a}', {}, {entry}", i64::MIN),
            format!("INSERT INTO audit SELECT 'A', 1, {entry}"),
            format!(
                "UPDATE audit SET seq = {} WHERE order_id = '{a}' AND seq = 1",
                i64::MIN
            ),
            format!(
                "UPDATE audit SET seq = {} WHERE order_id = '{a}' AND seq = 4",
                i64::MAX
            ),
            "UPDATE tickets SET order_id = ''".to_owned() + &format!(" WHERE order_id = '{a}'"),
            format!("UPDATE orders SET id = '' WHERE id = '{a}'"),
            format!(
                "UPDATE audit_checkpoints SET id = {} WHERE id = 1",
                i64::MIN
            ),
        ] {
            assert!(house.write(sql.as_str()).await > 0, "{sql} met no row");
            let findings = house.findings().await;
            let unread = findings
                .iter()
                .any(|finding| finding.to_string().contains("it cannot be read"))
                || sql.contains(&i64::MAX.to_string());
            assert!(!findings.is_empty() && unread, "{sql}: {findings:?}");
            // Nor does it hold up who seals or exports.
            house.rebuild_findings().await;
            house.restore().await;
        }
        house.is_whole().await;
    }
}

#[tokio::test]
async fn what_is_no_text_ends_no_walk() {
    let mut scene = Scene::set(House::file().await).await;
    let (a, d) = (scene.a.clone(), scene.d.clone());
    let house = &mut scene.house;
    let bytes = "CAST(x'fffe' AS TEXT)";
    let (id, ticket) = (a.order.id, a.order.tickets[0].id);
    for sql in [
        format!("UPDATE orders SET body = {bytes} WHERE id = '{id}'"),
        format!("UPDATE orders SET user_id = {bytes} WHERE id = '{id}'"),
        format!("UPDATE orders SET id = {bytes} WHERE id = '{id}'"),
        format!("UPDATE tickets SET grade = {bytes} WHERE id = '{ticket}'"),
        format!("UPDATE tickets SET id = {bytes} WHERE id = '{ticket}'"),
        format!("UPDATE tickets SET order_id = {bytes} WHERE id = '{ticket}'"),
        format!("UPDATE audit SET order_id = {bytes} WHERE order_id = '{id}' AND seq = 1"),
        format!("UPDATE audit SET hash = {bytes} WHERE order_id = '{id}' AND seq = 4"),
        format!("UPDATE audit_checkpoints SET body = {bytes} WHERE id = 1"),
        format!("UPDATE audit_checkpoints SET hash = {bytes} WHERE id = 1"),
        format!("UPDATE audit_checkpoints SET key_id = {bytes} WHERE id = 1"),
    ] {
        // One that is behind it is found as well: the walk goes on.
        let behind = format!(
            "UPDATE audit SET body = '' WHERE order_id = '{}' AND seq = 2",
            d.order.id
        );
        for sql in [&sql, &behind] {
            assert!(house.write(sql.as_str()).await > 0, "{sql} met no row");
        }
        let told = short(&house.findings().await, &[&a, &d]);
        assert!(
            told.contains(&"edited entry 2 of 1".to_owned()),
            "{sql}: {told:?}"
        );
        let first = told
            .iter()
            .any(|told| told.starts_with("unreadable") || told.starts_with("checkpointForged"));
        assert!(first, "{sql}: {told:?}");
        house.rebuild_findings().await;
        house.restore().await;
    }
    house.is_whole().await;
}
