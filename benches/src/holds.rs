//! Hold and release of four seats, against a pipeline without a script that makes the same writes.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::seat::{
    Choice, Held, HoldId, HoldKey, HoldReply, HoldRequest, Limits, MapSpec, Mapped, Over, SeatStore,
};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{EventId, RedisStore, UserId};
use ticketon_tests::RedisServer;
use tokio::task::JoinSet;

use crate::measure::{ROUNDS, Table, median};

const SEATS: u32 = 50_000;
const BUYERS: u32 = 64;
const HOLDS_EACH: u32 = 60;
const NAME: &str = "hold + release of 4 seats, 50,000-seat map, 64 at a time";

pub(crate) async fn measure(table: &mut Table, redis: &RedisServer) {
    if !table.wants(NAME) {
        return;
    }
    let rooms = RedisStore::connect(redis.url())
        .await
        .expect("a private server answers");
    let store = RedisSeatStore::on(&rooms);
    let event = EventId::new("bench").expect("a valid id");
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
    let plain = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    prepare(&mut plain.clone()).await;

    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let subject = rate(holds(&store, &event, epoch, round).await);
        let baseline = rate(pipelines(&plain).await);
        // The first round warms both up.
        if round > 0 {
            ratios.push(subject / baseline);
            ours.push(subject);
            theirs.push(baseline);
        }
    }
    table.add(
        NAME,
        median(ratios),
        format!("{:.0}/s", median(ours)),
        format!("{:.0}/s", median(theirs)),
        "ours/s ÷ plain pipelines/s",
    );
}

fn rate(took: Duration) -> f64 {
    f64::from(BUYERS * HOLDS_EACH) / took.as_secs_f64()
}

/// Each buyer holds four seats of their own and gives them back, again and again.
async fn holds(store: &RedisSeatStore, event: &EventId, epoch: u64, round: usize) -> Duration {
    let began = Instant::now();
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let (store, event) = (store.clone(), event.clone());
        buyers.spawn(async move {
            let user = UserId::new(format!("buyer-{buyer}")).expect("a valid id");
            for turn in 0..HOLDS_EACH {
                let id = HoldId::derive(&event, &user, &format!("{round}-{turn}"));
                let first = (buyer * 600 + turn * 4) % (SEATS - 4);
                let request = HoldRequest {
                    id,
                    user: user.clone(),
                    request_hash: u64::from(turn),
                    choice: Choice::Seats((first..first + 4).map(SeatIndex::new).collect()),
                    ttl_ms: 300_000,
                    limits: Limits::default(),
                };
                let held = store
                    .hold(&event, epoch, &request)
                    .await
                    .expect("an answer");
                let Mapped::Ready(Held::Taken(hold)) = held else {
                    panic!("{held:?}")
                };
                let key = HoldKey {
                    id,
                    user: user.clone(),
                    fence: Some(hold.fence),
                };
                let released = store.release(&event, epoch, &key).await.expect("an answer");
                assert!(
                    matches!(released, Mapped::Ready(HoldReply::Done(_))),
                    "{released:?}"
                );
            }
        });
    }
    buyers.join_all().await;
    began.elapsed()
}

/// Keys of full size, as a map has them.
async fn prepare(connection: &mut MultiplexedConnection) {
    let mut pipe = redis::pipe();
    pipe.cmd("SETRANGE")
        .arg("{plain}map")
        .arg(SEATS / 4 - 1)
        .arg("\0")
        .ignore();
    pipe.cmd("SETRANGE")
        .arg("{plain}owner")
        .arg(SEATS * 8 - 1)
        .arg("\0")
        .ignore();
    let () = pipe.query_async(connection).await.expect("an answer");
}

/// The writes of a hold and of its release, one pipeline each, without checking anything.
async fn pipelines(connection: &MultiplexedConnection) -> Duration {
    let began = Instant::now();
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let mut connection = connection.clone();
        buyers.spawn(async move {
            for turn in 0..HOLDS_EACH {
                let first = (buyer * 600 + turn * 4) % (SEATS - 4);
                for state in [1, 0] {
                    let () = writes(buyer, turn, first, state)
                        .query_async(&mut connection)
                        .await
                        .expect("an answer");
                }
            }
        });
    }
    buyers.join_all().await;
    began.elapsed()
}

fn writes(buyer: u32, turn: u32, first: u32, state: u8) -> redis::Pipeline {
    let mut pipe = redis::pipe();
    let mut bits = redis::cmd("BITFIELD");
    bits.arg("{plain}map");
    for seat in first..first + 4 {
        bits.arg("SET").arg("u2").arg(format!("#{seat}")).arg(state);
    }
    pipe.add_command(bits).ignore();
    let id = format!("{buyer:016x}{turn:016x}");
    let record = [7_u8; 80];
    if state == 1 {
        pipe.cmd("SETRANGE")
            .arg("{plain}owner")
            .arg(first * 8)
            .arg(&[1_u8; 32])
            .ignore();
        pipe.cmd("HSET")
            .arg("{plain}holds")
            .arg(&id)
            .arg(&record)
            .ignore();
        pipe.cmd("HSET")
            .arg("{plain}ids")
            .arg(&id)
            .arg(&record[..8])
            .ignore();
        pipe.cmd("ZADD")
            .arg("{plain}deadlines")
            .arg(turn)
            .arg(&id)
            .ignore();
    } else {
        pipe.cmd("HDEL").arg("{plain}holds").arg(&id).ignore();
        pipe.cmd("HSET")
            .arg("{plain}ids")
            .arg(&id)
            .arg(&record[..20])
            .ignore();
        pipe.cmd("ZREM").arg("{plain}deadlines").arg(&id).ignore();
        pipe.cmd("ZADD")
            .arg("{plain}ended")
            .arg(turn)
            .arg(&id)
            .ignore();
    }
    pipe.cmd("HSET")
        .arg("{plain}users")
        .arg(buyer)
        .arg(&record[..10])
        .ignore();
    pipe.cmd("HSET")
        .arg("{plain}meta")
        .arg(&[
            "version",
            "1",
            "last_fence",
            "2",
            "free",
            "3",
            "held",
            "4",
            "sold",
            "0",
            "blocked",
            "0",
        ])
        .ignore();
    pipe.cmd("XADD")
        .arg("{plain}changes")
        .arg("MAXLEN")
        .arg("~")
        .arg(4_096)
        .arg("*")
        .arg("d")
        .arg(&record[..20])
        .ignore();
    pipe
}
