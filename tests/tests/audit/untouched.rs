//! A house that nobody touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use ticketon_domain::audit::ChainHash;
use ticketon_domain::audit::{Entry, Finding, rebuild, rebuild_order};
use ticketon_domain::purchase::{Order, OrderState, PurchaseStore};

use super::house::{House, user};
use super::lives::{Dice, live};

async fn is_whole_and_what_its_entries_make_it(mut house: House, orders: u64) {
    let mut dice = Dice(0x5eed_0001);
    let ids = live(&mut house, orders, &mut dice).await;
    house.seal().await;
    live(&mut house, 3, &mut dice).await;

    let verified = house.is_whole().await;
    assert_eq!(verified.orders, orders + 3);
    assert!(verified.entries > 2 * orders, "{verified:?}");
    assert!(
        verified.unsealed >= 3 && verified.checkpoints >= 2,
        "{verified:?}"
    );
    let mut findings = Vec::new();
    let rebuilt = rebuild(&*house.store, &mut |finding| findings.push(finding))
        .await
        .unwrap();
    assert_eq!(findings, []);
    assert_eq!(
        (rebuilt.orders, rebuilt.entries),
        (orders + 3, verified.entries)
    );

    let mut states = BTreeSet::new();
    for id in &ids {
        let stored = house.store.order(id).await.unwrap().unwrap();
        let made: Option<Order> = rebuild_order(&*house.store, id).await.unwrap();
        assert_eq!(made.as_ref(), Some(&stored.order));
        states.insert(stored.order.state);
    }
    // The lives were lives.
    for state in [
        OrderState::Paid,
        OrderState::PartiallyRefunded,
        OrderState::Refunded,
        OrderState::Failed,
    ] {
        assert!(states.contains(&state), "no order is {state}: {states:?}");
    }
    assert_eq!(
        rebuild_order(
            &*house.store,
            &ticketon_domain::purchase::OrderId::from_bytes([0; 16])
        )
        .await
        .unwrap(),
        None
    );
    no_entry_names_a_person(&mut house).await;
}

async fn no_entry_names_a_person(house: &mut House) {
    let bodies = house.texts("body", "FROM audit").await;
    let records = house.texts("body", "FROM orders").await;
    let entries = bodies.join("\n");
    let asked = entries.matches("refundRequested").count();
    assert!(asked > 0 && records.join("\n").contains("because of illness"));
    for number in 1..=house.made {
        assert!(!entries.contains(user(number).as_str()), "{number}");
    }
    for word in ["person-", "example.com", "because of illness"] {
        assert!(!entries.contains(word), "{word}");
    }
    let checkpoints = house
        .texts("body", "FROM audit_checkpoints")
        .await
        .join("\n");
    assert!(checkpoints.len() > 1_000 && !checkpoints.contains("person-"));
}

#[tokio::test]
async fn in_a_file_hundreds_of_random_orders_are_whole() {
    is_whole_and_what_its_entries_make_it(House::file().await, 400).await;
}

#[tokio::test]
async fn on_a_server_random_orders_are_whole() {
    is_whole_and_what_its_entries_make_it(House::server().await, 120).await;
}

#[tokio::test]
async fn an_order_that_is_not_what_its_entries_make_it_is_told_field_by_field() {
    for mut house in House::both().await {
        let (kept, touched) = (house.paid(2).await, house.paid(2).await);
        let id = touched.order.id.to_string();
        let refund = ticketon_domain::purchase::Command::Refund {
            user: None,
            tickets: vec![touched.order.tickets[0].id],
            reason: "broken chair".to_owned(),
        };
        let touched = house.done(&touched, &refund).await;
        let mut record = touched.clone();
        record.order.amount = 1;
        record.order.tickets[1].price = 2;
        record.user = kept.user.clone();
        record.reasons[0].1 = "a better reason".to_owned();
        let body = serde_json::to_string(&record).unwrap();
        house
            .write(format!(
                "UPDATE orders SET body = '{body}' WHERE id = '{id}'"
            ))
            .await;

        let mut findings = Vec::new();
        let rebuilt = rebuild(&*house.store, &mut |finding| findings.push(finding))
            .await
            .unwrap();
        // Four fields; the column of the buyer, and those of their two tickets, say who it was.
        assert_eq!(rebuilt.findings, 4 + 3, "{findings:?}");
        let of_it = |finding: &Finding| finding.place.order.as_ref() == Some(&id);
        assert!(findings.iter().all(of_it));
        let told: Vec<String> = findings
            .iter()
            .map(|finding| finding.wrong.to_string())
            .collect();
        assert_eq!(told[0], "order.amount is 1, its entries make it 330000");
        assert_eq!(
            told[1],
            "order.tickets[1].price is 2, its entries make it 165000"
        );
        assert!(told[2].starts_with("user (hashed) is \"sha256:") && !told[2].contains("person"));
        assert!(told[3].starts_with("reason of refund "), "{}", told[3]);
        // Who reads the chains alone sees the rows beside the record, and not the entries' texts.
        let told = super::house::short(&house.findings().await, &[&touched]);
        let expected = [
            "column of 0",
            "ticketDiffers of 0",
            "ticketDiffers of 0",
            "ticketDiffers of 0",
        ];
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn a_walk_beside_a_running_shop_finds_nothing() {
    for mut house in House::both().await {
        let mut dice = Dice(7);
        live(&mut house, 15, &mut dice).await;
        let (store, keys) = (Arc::clone(&house.store), house.keys.clone());
        let clock = house.clock.clone();
        let verifier = house.verifier();
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let sealing = tokio::spawn(async move {
            let mut rounds = 0;
            while !*stopped.borrow_and_update() {
                ticketon_domain::audit::seal(&*store, &keys, &clock)
                    .await
                    .unwrap();
                rounds += 1;
                tokio::task::yield_now().await;
            }
            rounds
        });
        let store = Arc::clone(&house.store);
        let walking = tokio::spawn(async move {
            for _ in 0..5 {
                let (_, findings) = super::house::verify(&verifier, &*store).await;
                assert_eq!(findings, []);
                let mut findings = Vec::new();
                rebuild(&*store, &mut |finding| findings.push(finding))
                    .await
                    .unwrap();
                assert_eq!(findings, []);
            }
        });
        while !walking.is_finished() {
            live(&mut house, 2, &mut dice).await;
        }
        walking.await.unwrap();
        stop.send_replace(true);
        assert!(sealing.await.unwrap() > 0);
        house.is_whole().await;
    }
}

#[tokio::test]
async fn a_chain_of_many_pages_is_walked_to_its_end() {
    let mut house = House::file().await;
    let order = house.order(1).await.order.id;
    let first = house.store.entries(&order, 0, 1).await.unwrap().remove(0);
    let mut prev = first.hash;
    for from in (2..2_402).step_by(100) {
        let mut rows = Vec::new();
        for seq in from..from + 100 {
            let entry = Entry::chained(order, seq, seq as i64, "k", "{}".to_owned(), prev);
            prev = entry.hash;
            rows.push(format!(
                "('{order}', {seq}, {seq}, 'k', '{{}}', '{}', '{prev}')",
                entry.prev
            ));
        }
        let sql = "INSERT INTO audit (order_id, seq, at_ms, kind, body, prev_hash, hash) VALUES";
        house.write(format!("{sql} {}", rows.join(","))).await;
    }
    let (verified, findings) = house.verify().await;
    assert_eq!(verified.entries, 2_401);
    assert_eq!(
        super::house::short(&findings, &[]),
        ["tailAdded entry 2401 of ?"]
    );
    let zero = ChainHash::START;
    house
        .write(format!(
            "UPDATE audit SET prev_hash = '{zero}' WHERE seq = 1001"
        ))
        .await;
    let findings = house.findings().await;
    let told = super::house::short(&findings, &[]);
    assert_eq!(
        told,
        [
            "edited entry 1001 of ?",
            "tailAdded entry 2401 of ?",
            "unlinked entry 1001 of ?"
        ]
    );
}
