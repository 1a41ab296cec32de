//! A small on-sale with faults in its middle: every promise is put to the test and holds, and the judge notices each that
//! does not.

use ticketon_benches::simulation::evidence::Evidence;
use ticketon_benches::simulation::judge::{self, Outcome};
use ticketon_benches::simulation::{Plan, Sabotage, Sale, Tampered};

fn plan() -> Plan {
    Plan {
        seats: 300,
        buyers: 1_000,
        ..Plan::default()
    }
}

/// The verdicts of this outcome.
fn told(evidence: &Evidence, outcome: Outcome) -> Vec<String> {
    let verdicts = judge::judge(evidence);
    verdicts
        .iter()
        .filter(|verdict| verdict.outcome == outcome)
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
    let nothing = Vec::<String>::new();
    assert_eq!(told(&sale.evidence, Outcome::Broken), nothing);
    assert_eq!(told(&sale.evidence, Outcome::NotShown), nothing);
    assert_eq!(sale.marks.len(), 5, "all faults happened: {:?}", sale.marks);
    assert!(
        sale.evidence.tickets.live > 250,
        "the house is sold: {:?}",
        sale.evidence.tickets
    );

    // One at a time; after each the rows are as they were.
    let changes = [
        (Tampered::OutboxLeft, "P5"),
        (Tampered::CheaperOrder, "P3"),
        (Tampered::AuditEdited, "A1"),
        (Tampered::AuditCut, "A1"),
        (Tampered::TwoTicketsOnASeat, "P1"),
        (Tampered::TicketGone, "S3"),
        (Tampered::OrderForgotten, "P2"),
    ];
    for (change, promise) in changes {
        let broken = told(&sale.tampered(change).await, Outcome::Broken);
        assert!(
            names(&broken, promise),
            "{change:?} was not noticed: {broken:?}"
        );
    }
    sale.close().await;
}

async fn broken_by(sabotage: Sabotage, seats: u32, buyers: u32) -> Vec<String> {
    let small = Plan {
        seats,
        buyers,
        sabotage,
        ..plan()
    };
    let sale = Sale::run(small).await;
    let found = told(&sale.evidence, Outcome::Broken);
    sale.close().await;
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_loses_events_and_a_provider_that_charges_twice_are_noticed() {
    for (sabotage, promise) in [(Sabotage::LoseEvents, "P5"), (Sabotage::ChargeTwice, "P2")] {
        let found = broken_by(sabotage, 120, 250).await;
        assert_eq!(found.len(), 1, "{sabotage:?}: {found:?}");
        assert!(names(&found, promise), "{sabotage:?}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_that_takes_places_with_it_is_noticed() {
    let found = broken_by(Sabotage::LosePlaces, 120, 400).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(names(&found, "Q8"), "{found:?}");
}
