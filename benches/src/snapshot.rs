//! The snapshot of a large map, against reading a string of the same size.

use std::time::Instant;

use redis::AsyncCommands as _;
use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::seat::{MapSpec, Over, SeatStore};
use ticketon_queue::{EventId, RedisStore};
use ticketon_tests::RedisServer;

use crate::measure::{ROUNDS, Table, Times, median, shown};

const SEATS: u32 = 50_000;
const READS: usize = 300;
const NAME: &str = "snapshot of 50,000 seats (one command)";

pub(crate) async fn measure(table: &mut Table, redis: &RedisServer) {
    if !table.wants(NAME) {
        return;
    }
    let rooms = RedisStore::connect(redis.url())
        .await
        .expect("a private server answers");
    let store = RedisSeatStore::on(&rooms);
    let event = EventId::new("bench-snapshot").expect("a valid id");
    let spec = MapSpec {
        layout: "bench".to_owned(),
        seats: SEATS,
    };
    let epoch = store
        .begin_rebuild(&event, &spec, Over::Any)
        .await
        .expect("a rebuild")
        .expect("it begins");
    assert!(
        store
            .finish_rebuild(&event, epoch)
            .await
            .expect("a rebuild")
    );
    let client = redis::Client::open(redis.url()).expect("a valid address");
    let mut plain = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let () = plain
        .set("bench:plain", vec![0_u8; SEATS as usize / 4])
        .await
        .expect("an answer");

    // The first call sends the script.
    store.snapshot(&event).await.expect("an answer");
    let before = commands(redis).await;
    store.snapshot(&event).await.expect("an answer");
    let calls = commands(redis).await - before;
    assert_eq!(calls, 1, "a snapshot is one command");

    let mut ratios = Vec::new();
    let (mut ours, mut theirs) = (Times::new(), Times::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..READS {
            let one = Instant::now();
            let snapshot = store.snapshot(&event).await.expect("an answer").ready();
            assert_eq!(
                snapshot.map(|snapshot| snapshot.bits.len()),
                Some(SEATS as usize / 4)
            );
            ours.add(one.elapsed());
        }
        let subject = began.elapsed();
        let began = Instant::now();
        for _ in 0..READS {
            let one = Instant::now();
            let bits: Vec<u8> = plain.get("bench:plain").await.expect("an answer");
            assert_eq!(bits.len(), SEATS as usize / 4);
            theirs.add(one.elapsed());
        }
        ratios.push(subject.as_secs_f64() / began.elapsed().as_secs_f64());
    }
    table.add(
        NAME,
        median(ratios),
        format!("{} (p99 {})", shown(ours.median()), shown(ours.p99())),
        format!("{} (p99 {})", shown(theirs.median()), shown(theirs.p99())),
        "time ÷ time of GET of 12.5 KB",
    );
}

/// How many calls of scripts the server has counted.
async fn commands(redis: &RedisServer) -> u64 {
    let stats = redis.cli(&["INFO", "commandstats"]).await;
    let calls = |name: &str| {
        let line = stats
            .lines()
            .find(|line| line.starts_with(&format!("cmdstat_{name}:")))?;
        line.split("calls=")
            .nth(1)?
            .split(',')
            .next()?
            .parse::<u64>()
            .ok()
    };
    calls("evalsha").unwrap_or(0) + calls("eval").unwrap_or(0)
}
