//! A Redis that forgets, dies, fills up, keeps its answers, or holds what nobody wrote.

use std::collections::BTreeSet;
use std::time::Duration;

use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::seat::{
    Blocked, Changes, Choice, EndReason, Held, HoldKey, HoldReply, HoldRequest, Limits, Load,
    MAX_BATCH, MapSpec, Mapped, Mend, NotReady, Over, Owned, SeatState, SeatStore, SeatSync, Truth,
};
use ticketon_queue::{RedisStore, StoreError};
use ticketon_tests::{RedisServer, SlowProxy, eventually};

use super::test_map::{BOUND, TTL_MS, TestMap, connect, key, ready, seats, user};

const SEATS_KEY: &str = "ticketon:{spring:tour}:seats";

/// What every verb of a map that should be ready answers, and whether a rebuild of this epoch is known.
async fn is_absent(hall: &TestMap) {
    let TestMap {
        store,
        event,
        epoch,
    } = hall;
    let request = hall.request("ann", 9, Choice::Seats(seats([0])));
    let units = hall.request(
        "ann",
        10,
        Choice::Units {
            count: 1,
            start: 0,
            len: 8,
            offset: 0,
        },
    );
    let key = HoldKey {
        id: request.id,
        user: request.user.clone(),
        fence: Some(1),
    };
    let one = &seats([0]);
    let sold = [SeatSync::Sold {
        user: user("ann"),
        fence: 1,
        seats: one.clone(),
    }];
    macro_rules! absent {
        ($($call:expr,)+) => {
            $(match $call.await.unwrap() {
                Mapped::NotReady(NotReady::Absent) => {}
                other => panic!("{}: {other:?}", stringify!($call)),
            })+
        };
    }
    absent! {
        store.head(event),
        store.snapshot(event),
        store.changes(event, *epoch, 0),
        store.hold(event, *epoch, &request),
        store.hold(event, *epoch, &units),
        store.find(event, *epoch, &key),
        store.holds_of(event, *epoch, &request.user),
        store.extend(event, *epoch, &key, 1, 1),
        store.release(event, *epoch, &key),
        store.pin(event, *epoch, &key),
        store.unpin(event, *epoch, &key, 1),
        store.sync(event, *epoch, &sold),
        store.owners(event, *epoch, one[0]),
        store.pinned(event, *epoch, 0),
        store.mend(event, *epoch, &[]),
        store.block(event, *epoch, one),
        store.unblock(event, *epoch, one),
        store.sweep(event),
    }
}

#[tokio::test]
async fn a_flushed_map_is_absent_and_never_free() {
    let redis = RedisServer::start().await;
    let store = connect(&redis.url()).await;
    let hall = TestMap::build(&store, 8).await;
    let hold = hall.take("ann", 1, [2, 3]).await;
    redis.cli(&["FLUSHALL"]).await;
    is_absent(&hall).await;
    assert!(!store.finish_rebuild(&hall.event, hall.epoch).await.unwrap());
    assert!(!store.load(&hall.event, hall.epoch, &[]).await.unwrap());
    assert_eq!(redis.cli(&["DBSIZE"]).await, "0", "nothing made a key");

    // The ledger builds it anew: nothing of before passes for new.
    let again = TestMap::build(&store, 8).await;
    assert!(again.epoch > hall.epoch);
    let late = store.release(&hall.event, hall.epoch, &key(&hold)).await;
    let epoch = again.epoch;
    assert_eq!(
        late.unwrap(),
        Mapped::NotReady(NotReady::OtherEpoch { epoch })
    );
    let next = again.take("bob", 1, [2, 3]).await;
    assert!(
        next.fence > hold.fence,
        "fences grow over a flush: {next:?}, {hold:?}"
    );
    let late = store.release(&hall.event, epoch, &key(&hold)).await;
    assert_eq!(ready(late), HoldReply::Unknown);
    assert_eq!(again.picture().await, "..hh....");
}

#[tokio::test]
async fn a_map_that_lost_a_part_is_absent_until_it_is_rebuilt() {
    let redis = RedisServer::start().await;
    let store = connect(&redis.url()).await;
    let owners = format!("{SEATS_KEY}:owner");
    let map = format!("{SEATS_KEY}:map");
    for lost in [
        vec!["DEL", SEATS_KEY],
        vec!["DEL", &map],
        vec!["DEL", &owners],
        vec!["SET", &map, "short"],
        vec!["SETRANGE", &owners, "99", "long"],
        vec!["HDEL", SEATS_KEY, "last_fence"],
    ] {
        let hall = TestMap::build(&store, 9).await;
        hall.take("ann", 1, [2, 3]).await;
        redis.cli(&lost).await;
        is_absent(&hall).await;
    }
    let hall = TestMap::build(&store, 9).await;
    assert_eq!(hall.picture().await, ".".repeat(9));
    hall.take("ann", 1, [8]).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_death_of_redis() {
    let mut redis = RedisServer::builder().appendonly(true).start().await;
    let store = connect(&redis.url()).await;
    let hall = TestMap::build(&store, 10).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let pinned = hall.take("ann", 1, [1, 2]).await;
    let pinned = match ready(store.pin(event, epoch, &key(&pinned)).await) {
        HoldReply::Done(hold) => hold,
        other => panic!("{other:?}"),
    };
    let held = hall.take("bob", 1, [8, 9]).await;
    let released = hall.take("bob", 2, [7]).await;
    ready(store.release(event, epoch, &key(&released)).await);
    let bought = hall.take("cat", 1, [4, 5]).await;
    let sold = SeatSync::Sold {
        user: user("cat"),
        fence: bought.fence,
        seats: seats([4]),
    };
    ready(store.sync(event, epoch, std::slice::from_ref(&sold)).await);
    ready(store.block(event, epoch, &seats([0])).await);
    let before = hall.snapshot().await;
    let changes = ready(store.changes(event, epoch, 0).await);
    assert!(matches!(&changes, Changes::Since(all) if all.len() == 7));

    redis.kill9();
    assert!(store.head(event).await.is_err(), "nobody answers");
    redis.restart().await;
    eventually(BOUND, || async {
        store.ping().await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(hall.snapshot().await, before);
    assert_eq!(hall.picture().await, "xhh.sh..hh");
    assert_eq!(ready(store.changes(event, epoch, 0).await), changes);
    assert_eq!(hall.holds_of("ann").await, std::slice::from_ref(&pinned));
    assert_eq!(hall.holds_of("bob").await, std::slice::from_ref(&held));
    assert_eq!(hall.holds_of("cat").await[0].seats, seats([5]));
    let retry = hall.request("bob", 2, Choice::Seats(seats([7])));
    let reason = EndReason::Released;
    assert_eq!(hall.hold(&retry).await, Held::Ended { reason });
    let limits = Limits {
        per_order: 9,
        per_user: 2,
    };
    let more = HoldRequest {
        limits,
        ..hall.request("cat", 2, Choice::Seats(seats([3])))
    };
    assert_eq!(hall.hold(&more).await, Held::OverUserLimit { has: 2 });
    // And it goes on from there.
    assert_eq!(
        ready(store.sync(event, epoch, &[sold]).await).changed,
        0,
        "sent again"
    );
    let unpinned = store.unpin(event, epoch, &key(&pinned), 0).await;
    assert_eq!(ready(unpinned), HoldReply::Done(pinned));
    let next = hall.take("dan", 1, [1]).await;
    assert!(next.fence > bought.fence);
    assert_eq!(hall.picture().await, "xh..sh..hh");
}

/// The answer comes after the call was given up: the retry finds what the first call did.
#[tokio::test]
async fn a_call_whose_answer_was_lost_is_sent_again() {
    let redis = RedisServer::start().await;
    let direct = connect(&redis.url()).await;
    let hall = TestMap::build(&direct, 6).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let proxy = SlowProxy::start(redis.port()).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let builder = RedisStore::builder(url).response_timeout(Duration::from_millis(400));
    let slow = RedisSeatStore::on(&builder.connect().await.unwrap());
    let request = hall.request("ann", 1, Choice::Seats(seats([1, 2])));
    let version = async || ready(direct.head(event).await).version;

    // A script that Redis lacks would need two ways there and back.
    ready(slow.sweep(event).await);
    let warm = hall.request("bob", 1, Choice::Seats(seats([5])));
    let warm = match ready(slow.hold(event, epoch, &warm).await) {
        Held::Taken(hold) => hold,
        other => panic!("{other:?}"),
    };
    ready(slow.release(event, epoch, &key(&warm)).await);
    assert_eq!(version().await, 2);

    proxy.delay(Duration::from_millis(300));
    let lost = slow.hold(event, epoch, &request).await;
    assert!(
        matches!(lost, Err(StoreError::Unavailable { .. })),
        "{lost:?}"
    );
    eventually(BOUND, || async { version().await == 3 }).await;
    proxy.delay(Duration::ZERO);
    let hold = eventually(BOUND, || async {
        match slow.hold(event, epoch, &request).await {
            Ok(Mapped::Ready(Held::Taken(hold))) => Ok(hold),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(hall.holds_of("ann").await, std::slice::from_ref(&hold));
    assert_eq!(version().await, 3, "it took nothing again");

    proxy.delay(Duration::from_millis(300));
    let lost = slow.release(event, epoch, &key(&hold)).await;
    assert!(
        matches!(lost, Err(StoreError::Unavailable { .. })),
        "{lost:?}"
    );
    eventually(BOUND, || async { version().await == 4 }).await;
    proxy.delay(Duration::ZERO);
    let reason = EndReason::Released;
    eventually(BOUND, || async {
        match slow.release(event, epoch, &key(&hold)).await {
            Ok(Mapped::Ready(HoldReply::Ended { reason: why })) if why == reason => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(hall.picture().await, "......");
}

/// A verb that needs memory fails whole; what needs none goes on.
#[tokio::test]
async fn a_full_redis_changes_nothing_by_halves() {
    let redis = RedisServer::start().await;
    let store = connect(&redis.url()).await;
    let hall = TestMap::build(&store, 8).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let hold = hall.take("ann", 1, [1, 2]).await;
    let brief = HoldRequest {
        ttl_ms: 1,
        ..hall.request("bob", 1, Choice::Seats(seats([4, 5])))
    };
    assert!(matches!(hall.hold(&brief).await, Held::Taken(_)));
    let before = hall.snapshot().await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let other = hall.request("cat", 1, Choice::Seats(seats([6])));
    let over = hall.request("cat", 2, Choice::Seats(seats([4])));
    let sold = [SeatSync::Sold {
        user: user("ann"),
        fence: hold.fence,
        seats: seats([1, 2]),
    }];
    macro_rules! refused {
        ($($call:expr,)+) => {
            $(let refused = $call.await;
            assert!(refused.is_err(), "{}: {refused:?}", stringify!($call));)+
        };
    }
    refused! {
        store.hold(event, epoch, &other),
        store.hold(event, epoch, &over),
        store.release(event, epoch, &key(&hold)),
        store.extend(event, epoch, &key(&hold), TTL_MS * 9, TTL_MS * 9),
        store.pin(event, epoch, &key(&hold)),
        store.sync(event, epoch, &sold),
        store.block(event, epoch, &seats([7])),
        store.sweep(event),
        store.begin_rebuild(event, &before.head.spec, Over::Any),
    }
    assert_eq!(
        hall.snapshot().await,
        before,
        "readers are served, and nothing changed"
    );
    assert_eq!(hall.holds_of("ann").await, std::slice::from_ref(&hold));
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    eventually(BOUND, || async {
        ready(store.sweep(event).await);
        hall.picture().await == ".hh....."
    })
    .await;
    let pinned = ready(store.pin(event, epoch, &key(&hold)).await);
    assert!(matches!(pinned, HoldReply::Done(_)), "{pinned:?}");
    assert_eq!(ready(store.sync(event, epoch, &sold).await).changed, 2);
    assert_eq!(hall.picture().await, ".ss.....");
}

#[tokio::test]
async fn what_nobody_wrote_is_corrupt_and_nothing_changes() {
    let redis = RedisServer::start().await;
    let store = connect(&redis.url()).await;
    let hall = TestMap::build(&store, 8).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let holds = format!("{SEATS_KEY}:holds");
    let hold = hall.take("ann", 1, [1, 2]).await;
    let before = hall.snapshot().await;
    let corrupt = |error: StoreError, verb: &str| match error {
        StoreError::Corrupt { context, .. } => assert_eq!(context, verb),
        other => panic!("{other:?}"),
    };
    // The hold is gone while its id, user and deadline stay.
    redis.cli(&["RENAME", &holds, "elsewhere"]).await;
    let lost = store.release(event, epoch, &key(&hold)).await.unwrap_err();
    corrupt(lost, "seats.release");
    let lost = store
        .holds_of(event, epoch, &user("ann"))
        .await
        .unwrap_err();
    corrupt(lost, "seats.holds_of");
    // It is of another type.
    redis.cli(&["SET", &holds, "text"]).await;
    let lost = store.find(event, epoch, &key(&hold)).await.unwrap_err();
    corrupt(lost, "seats.find");
    assert_eq!(hall.snapshot().await, before);
    redis.cli(&["RENAME", "elsewhere", &holds]).await;
    assert_eq!(hall.holds_of("ann").await, std::slice::from_ref(&hold));
    // Counts that do not add up.
    redis.cli(&["HSET", SEATS_KEY, "free", "7"]).await;
    corrupt(store.head(event).await.unwrap_err(), "seats.head");
    corrupt(store.snapshot(event).await.unwrap_err(), "seats.snapshot");
    // A rebuild mends all of it.
    let again = TestMap::build(&store, 8).await;
    assert_eq!(again.picture().await, "........");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let redis = RedisServer::start().await;
    let store = connect(&redis.url()).await;
    let hall = TestMap::build(&store, 2 * MAX_BATCH as u32).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let most = seats(0..MAX_BATCH as u32);
    let over = seats(0..=MAX_BATCH as u32);
    let sync = |fence, seats: &[_]| SeatSync::Sold {
        user: user("ann"),
        fence,
        seats: seats.to_vec(),
    };
    let spec = MapSpec {
        layout: "hall-1".to_owned(),
        seats: u32::MAX,
    };
    let loads: Vec<Load> = over.iter().map(|&seat| Load::Blocked { seat }).collect();
    let mend = |seat: &_| Mend {
        seat: *seat,
        found: Owned {
            state: SeatState::Free,
            owner: 0,
        },
        truth: Truth::Free,
    };
    let mends: Vec<Mend> = over.iter().map(mend).collect();
    macro_rules! refused {
        ($($call:expr => $words:literal,)+) => {
            $(match $call.await.unwrap_err() {
                StoreError::Unavailable { source, .. } => {
                    let said = source.to_string();
                    assert!(said.contains($words), "{said}");
                }
                other => panic!("{other:?}"),
            })+
        };
    }
    refused! {
        store.block(event, epoch, &over) => "1001 seats in one call, at most 1000",
        store.unblock(event, epoch, &over) => "1001 seats in one call",
        store.sync(event, epoch, &[sync(1, &most), sync(2, &over[1_000..])]) => "1001 seats",
        store.sync(event, epoch, &[sync(1 << 53, &most[..1])]) => "the fence 9007199254740992",
        store.mend(event, epoch, &mends) => "1001 seats in one call",
        store.load(event, epoch, &loads) => "1001 seats in one call",
        store.begin_rebuild(event, &spec, Over::Any) => "4294967295 seats",
    }
    let done = ready(store.block(event, epoch, &most).await);
    assert_eq!(done, Blocked::Done);
    ready(store.unblock(event, epoch, &most).await);
    let synced = ready(
        store
            .sync(event, epoch, &[sync((1 << 53) - 1, &most)])
            .await,
    );
    assert_eq!(synced.changed, MAX_BATCH as u64);
    assert_eq!(ready(store.head(event).await).counts.sold, MAX_BATCH as u32);
}

/// A stadium is read in one round trip, and every key that a map uses is one of its own.
#[tokio::test]
async fn a_map_of_50_000_seats_is_read_at_once() {
    let redis = RedisServer::start().await;
    let store = connect(&redis.url()).await;
    let hall = TestMap::build(&store, 50_000).await;
    let (event, epoch) = (&hall.event, hall.epoch);
    let hold = hall.take("ann", 1, [49_999, 0]).await;
    let sold = [SeatSync::Sold {
        user: user("ann"),
        fence: hold.fence,
        seats: seats([0]),
    }];
    ready(store.sync(event, epoch, &sold).await);
    let released = hall.take("ann", 2, [7]).await;
    ready(store.release(event, epoch, &key(&released)).await);
    hall.snapshot().await;
    redis.cli(&["CONFIG", "RESETSTAT"]).await;
    let snapshot = hall.snapshot().await;
    let stats = redis.cli(&["INFO", "commandstats"]).await;
    assert!(stats.contains("cmdstat_evalsha:calls=1,"), "{stats}");
    assert_eq!(snapshot.bits.len(), 12_500);
    let ends = (snapshot.bits[0], snapshot.bits[12_499]);
    assert_eq!(ends, (0b1000_0000, 0b0000_0001));
    assert_eq!(snapshot.head.counts, ready(store.head(event).await).counts);

    let found = redis.cli(&["KEYS", "*"]).await;
    let found: BTreeSet<&str> = found.lines().map(str::trim).collect();
    let parts = [
        "",
        ":map",
        ":owner",
        ":holds",
        ":ids",
        ":deadlines",
        ":ended",
        ":users",
        ":sold",
        ":changes",
    ];
    let all: Vec<String> = parts.map(|part| format!("{SEATS_KEY}{part}")).into();
    assert_eq!(found, all.iter().map(String::as_str).collect());
}
