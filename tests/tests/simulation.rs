//! A small on-sale with faults in its middle: every promise holds, and the judge notices each that does not.

use ticketon_benches::simulation::{Plan, Sabotage, Sale, Tampered, judge};

fn plan() -> Plan {
    Plan {
        seats: 300,
        buyers: 1_000,
        ..Plan::default()
    }
}

/// The promises that are broken, with what was seen.
fn broken(evidence: &ticketon_benches::simulation::evidence::Evidence) -> Vec<String> {
    let verdicts = judge::judge(evidence);
    verdicts
        .iter()
        .filter(|verdict| !verdict.held)
        .map(ToString::to_string)
        .collect()
}

fn names(broken: &[String], promise: &str) -> bool {
    broken
        .iter()
        .any(|line| line.starts_with(&format!("BROKEN: {promise} ")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_and_tampered_rows_are_noticed() {
    let sale = Sale::run(plan()).await;
    assert_eq!(broken(&sale.evidence), Vec::<String>::new());
    assert_eq!(sale.marks.len(), 5, "all faults happened: {:?}", sale.marks);
    assert!(
        sale.evidence.tickets.live > 250,
        "the house is sold: {:?}",
        sale.evidence.tickets
    );

    // Each change adds to those before; the promise that it breaks was not broken by them.
    let changes = [
        (Tampered::OutboxLeft, "P5"),
        (Tampered::CheaperOrder, "P3"),
        (Tampered::AuditEdited, "A1"),
        (Tampered::TwoTicketsOnASeat, "P1"),
        (Tampered::TicketGone, "S3"),
        (Tampered::OrderForgotten, "P2"),
    ];
    for (change, promise) in changes {
        let before = broken(&sale.evidence);
        let after = broken(&sale.tampered(change).await);
        assert!(!names(&before, promise), "{change:?}: {before:?}");
        assert!(
            names(&after, promise),
            "{change:?} was not noticed: {after:?}"
        );
    }
    sale.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_loses_events_and_a_provider_that_charges_twice_are_noticed() {
    for (sabotage, promise) in [(Sabotage::LoseEvents, "P5"), (Sabotage::ChargeTwice, "P2")] {
        let small = Plan {
            seats: 120,
            buyers: 250,
            sabotage,
            ..plan()
        };
        let sale = Sale::run(small).await;
        let found = broken(&sale.evidence);
        sale.close().await;
        assert_eq!(found.len(), 1, "{sabotage:?}: {found:?}");
        assert!(names(&found, promise), "{sabotage:?}: {found:?}");
    }
}
