//! The sale in some lines for a terminal.

use super::super::judge::{Verdict, number};
use super::super::{Kind, Sale};
use super::series::Facts;

/// The text: the sale, the faults, how people fared, and the verdict at the end, where it is read.
#[must_use]
pub fn text(sale: &Sale, verdicts: &[Verdict]) -> String {
    let facts = Facts::of(sale);
    let mut lines = vec![
        format!(
            "{} places, {} people, {}: {:.1} s in all, {} tickets sold, {} orders, at most {} paid in a second",
            number(u64::from(sale.plan.seats)),
            number(u64::from(sale.plan.buyers)),
            stores(sale),
            seconds(sale.took_ms),
            number(facts.sold),
            number(facts.orders),
            number(facts.peak_per_second),
        ),
        String::new(),
    ];
    for mark in &sale.marks {
        let (from, long) = (seconds(mark.from_ms), seconds(mark.to_ms - mark.from_ms));
        lines.push(format!("at {from:5.1} s, for {long:.1} s: {}", mark.what));
    }
    lines.push(String::new());
    for (ending, count) in sale.endings.iter().filter(|(_, count)| *count > 0) {
        lines.push(format!("{:>9}  {}", number(*count), ending.label()));
    }
    lines.push(String::new());
    for latency in &sale.latencies {
        lines.push(format!(
            "{:>9}  {:<15} p50 {:>6.1} ms   p95 {:>7.1} ms   p99 {:>7.1} ms   max {:>6.0} ms",
            number(latency.count),
            latency.step.label(),
            latency.p50_ms,
            latency.p95_ms,
            latency.p99_ms,
            latency.max_ms,
        ));
    }
    lines.push(String::new());
    lines.extend(verdicts.iter().map(ToString::to_string));
    lines.join("\n")
}

#[expect(clippy::cast_precision_loss, reason = "a sale takes minutes")]
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

/// Where everything was kept.
pub(super) fn stores(sale: &Sale) -> &'static str {
    match (sale.plan.database, sale.plan.redis) {
        (Kind::Sqlite, false) => "SQLite, rooms and maps in memory",
        (Kind::Sqlite, true) => "SQLite and two Redis servers",
        (Kind::MariaDb, false) => "MariaDB, rooms and maps in memory",
        (Kind::MariaDb, true) => "MariaDB and two Redis servers",
    }
}
