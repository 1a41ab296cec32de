//! Measures what seats and purchases cost, each beside a baseline of the same run, and prints one table.
//!
//! Absolute times on a shared machine are noise; a ratio of two things that were measured in turns is not.
//! So every row alternates between its subject and its baseline, and the ratio comes first. Run it by
//! `cargo xtask bench`; a word as argument runs the rows whose names have it.

mod audit;
mod best;
mod holds;
mod measure;
mod place;
mod purchase;
mod relay;
mod snapshot;
mod watchers;

use measure::Table;
use place::Place;
use ticketon_tests::RedisServer;

#[tokio::main]
async fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let redis = RedisServer::start().await;
    let mut table = Table::new(wanted);
    holds::measure(&mut table, &redis).await;
    snapshot::measure(&mut table, &redis).await;
    best::measure(&mut table);
    watchers::measure(&mut table).await;
    let sqlite = Place::sqlite();
    purchase::measure(&mut table, &sqlite).await;
    relay::measure(&mut table, &sqlite).await;
    audit::measure(&mut table, &sqlite).await;
    if purchase::is_wanted(&table, "MariaDB") {
        purchase::measure(&mut table, &Place::mariadb().await).await;
    }

    table.print();
}
