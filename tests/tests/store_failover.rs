//! Rooms in a Redis Cluster and behind Sentinels: where their keys are, and what becomes of them when a
//! master dies, hangs or moves. That they keep every promise otherwise is in `store_promises.rs`.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ticketon_queue::{
    BrokerId, ConnId, EventId, Fenced, JoinReply, JoinRequest, Presence, QueueStore, RedisStore,
    RedisStoreBuilder, RoomConfig, Standing, StoreError, UserId,
};
use ticketon_tests::{Authority, RedisCluster, RedisSentinel, RedisServer, eventually};
use tokio::task::JoinSet;
use tokio::time::interval;

const PROCESSES: usize = 4;
const BOUND: Duration = Duration::from_secs(30);

/// Long enough for a call to outlast a failover of these servers, which takes about 3 seconds.
const PATIENT: Duration = Duration::from_secs(15);

fn event(name: &str) -> EventId {
    EventId::new(name).unwrap()
}

fn user(index: usize) -> UserId {
    UserId::new(format!("user-{index}")).unwrap()
}

fn poll(index: usize) -> JoinRequest {
    JoinRequest {
        user: user(index),
        lane: None,
        presence: Presence::Poll,
        resume: None,
    }
}

fn room(capacity: u32) -> RoomConfig {
    RoomConfig::builder()
        .capacity(capacity)
        .admit_per_second(10_000)
        .build()
        .unwrap()
}

/// Uses each verb that writes a key.
async fn use_every_key(store: &RedisStore, event: &EventId) {
    store.save_room(event, &room(1)).await.unwrap();
    let broker = BrokerId::from_u64(7);
    store.register_broker(event, broker).await.unwrap();
    let stream = JoinRequest {
        presence: Presence::Stream {
            broker,
            conn: ConnId(1),
        },
        ..poll(2)
    };
    store
        .join(event, &[poll(0), poll(1), stream])
        .await
        .unwrap();
    store.leave(event, &user(0), None).await.unwrap();
    store.tick(event, 10).await.unwrap().unwrap();
}

#[tokio::test]
async fn cluster_has_all_keys_of_a_room_in_one_slot() {
    let cluster = RedisCluster::start().await;
    let store = RedisStore::connect(cluster.url()).await.unwrap();
    let mut places: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for name in ["one", "two", "three:more", "four"] {
        use_every_key(&store, &event(name)).await;
    }
    let mut kinds = BTreeSet::new();
    for node in cluster.nodes() {
        if !node.cli(&["ROLE"]).await.starts_with("master") {
            continue;
        }
        for key in node.cli(&["KEYS", "ticketon:{*"]).await.lines() {
            let (room, kind) = key.split_once('}').unwrap();
            kinds.insert(kind.split(':').nth(1).unwrap().to_owned());
            let slot = cluster.slot_of(key).await;
            places.entry(room.to_owned()).or_default().insert(slot);
        }
    }
    assert_eq!(places.len(), 4, "{places:?}");
    assert!(places.values().all(|slots| slots.len() == 1), "{places:?}");
    let slots: BTreeSet<_> = places.values().flatten().collect();
    assert!(slots.len() > 1, "all rooms are in one slot: {places:?}");
    let all = [
        "brokers", "conn", "dispatch", "entry", "gone", "lease", "owner", "room", "waiting",
    ];
    for kind in all {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    assert_eq!(store.rooms().await.unwrap().len(), 4);
}

#[tokio::test]
async fn cluster_of_which_one_master_may_evict_is_refused() {
    let cluster = RedisCluster::builder().password("hunter2").start().await;
    let connect = || RedisStore::connect(cluster.url());
    connect().await.unwrap();
    let master = cluster.master_of("{anywhere}").await;
    let policy = ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"];
    cluster.cli("{anywhere}", &policy).await;
    let Err(StoreError::Unsafe { detail }) = connect().await else {
        panic!("a cluster that may evict was accepted");
    };
    assert!(detail.contains("allkeys-lru"), "{detail}");
    assert!(detail.contains(&master.to_string()), "{detail}");
    // A password that is not in the URLs is given apart; a wrong one is told at once.
    let nodes = cluster
        .urls()
        .into_iter()
        .map(|url| url.replace(":hunter2@", ""));
    let wrong = RedisStore::cluster(nodes).password("other").connect().await;
    let wrong = wrong.unwrap_err();
    assert!(matches!(wrong, StoreError::Unavailable { .. }), "{wrong:?}");
}

#[tokio::test]
async fn sentinel_and_master_have_their_own_passwords() {
    let group = RedisSentinel::builder()
        .password("masters")
        .sentinel_password("watchers")
        .start()
        .await;
    let by_url = RedisStore::connect(group.url()).await.unwrap();
    by_url.ping().await.unwrap();
    let builder = || RedisStore::sentinel(group.sentinel_urls(), group.master_name());
    let by_parts = builder().password("masters").connect().await.unwrap();
    by_parts.ping().await.unwrap();
    assert!(builder().connect().await.is_err());
    assert!(builder().password("watchers").connect().await.is_err());
    let other = RedisStore::sentinel(group.sentinel_urls(), "other").password("masters");
    assert!(other.connect().await.is_err());
    // The eviction policy of the master counts here too.
    let policy = ["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"];
    group.master().await.cli(&policy).await;
    let refused = RedisStore::connect(group.url()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unsafe { .. }), "{refused:?}");
}

/// One person joins, is admitted, claims and completes; the next one waits, is promoted, and claims.
async fn short_life(store: &RedisStore, event: &EventId) {
    store.save_room(event, &room(1)).await.unwrap();
    let joined = store
        .join(event, &[poll(0), poll(1)])
        .await
        .unwrap()
        .unwrap();
    let [JoinReply::Admitted { lease, .. }, JoinReply::Waiting { .. }] = &joined[..] else {
        panic!("{joined:?}");
    };
    let claimed = store.claim(event, &user(0), lease.fence).await.unwrap();
    assert!(matches!(claimed, Some(Fenced::Done(_))), "{claimed:?}");
    let done = store.complete(event, &user(0), lease.fence).await.unwrap();
    assert_eq!(done, Some(Fenced::Done(())));
    // The pace may want a moment between two admissions.
    eventually(BOUND, async || {
        store.tick(event, 10).await.unwrap().unwrap();
        let Some(Standing::Admitted(lease)) = store.standing(event, &user(1)).await.unwrap() else {
            return Err("the next person waits");
        };
        let claimed = store.claim(event, &user(1), lease.fence).await.unwrap();
        assert!(matches!(claimed, Some(Fenced::Done(_))), "{claimed:?}");
        Ok(())
    })
    .await;
}

/// No connection without trust: neither by another authority's word, nor by those of the web, nor without TLS.
async fn trusts_nobody_else(url: &str) {
    let other = RedisStore::builder(url).root_certificate(Authority::new().pem());
    let untrusted = [
        other.connect().await,
        RedisStore::connect(url).await,
        RedisStore::connect(url.replacen("rediss", "redis", 1)).await,
    ];
    for refused in untrusted {
        let refused = refused.expect_err("it was trusted");
        assert!(
            matches!(refused, StoreError::Unavailable { .. }),
            "{refused:?}"
        );
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }
}

#[tokio::test]
async fn cluster_over_tls_is_trusted_by_the_given_certificate_alone() {
    let setup = RedisCluster::builder().tls(true).password("hunter2");
    let mut cluster = setup.start().await;
    assert!(cluster.url().starts_with("rediss+cluster://"));
    let store = RedisStore::builder(cluster.url()).root_certificate(cluster.ca_pem().unwrap());
    let store = store.response_timeout(PATIENT).connect().await.unwrap();
    for night in [event("night"), elsewhere(&cluster).await] {
        short_life(&store, &night).await;
    }
    trusts_nobody_else(&cluster.url()).await;
    // The replica that takes over is known by its TLS port too.
    cluster.wait_copied("{night}").await;
    let dead = cluster.kill9_master_of("{night}").await;
    let standing = store.standing(&event("night"), &user(1)).await.unwrap();
    assert!(
        matches!(standing, Some(Standing::Admitted(_))),
        "{standing:?}"
    );
    cluster.wait_failover(dead).await;
}

#[tokio::test]
async fn sentinel_over_tls_is_trusted_by_the_given_certificate_alone() {
    let setup = RedisSentinel::builder().tls(true).password("hunter2");
    let mut group = setup.start().await;
    assert!(group.url().starts_with("rediss+sentinel://"));
    let store = RedisStore::builder(group.url()).root_certificate(group.ca_pem().unwrap());
    let store = store.response_timeout(PATIENT).connect().await.unwrap();
    short_life(&store, &event("night")).await;
    trusts_nobody_else(&group.url()).await;
    let dead = group.kill9_master().await;
    group.wait_failover(dead).await;
    short_life(&store, &event("morning")).await;
}

const PEOPLE: usize = 240;
const CAPACITY: u64 = 7;

/// What the tasks of [`survives`] see together.
#[derive(Default)]
struct Seen {
    completed: AtomicU64,
    everybody_is_done: AtomicBool,
    slowest_ms: AtomicU64,
}

impl Seen {
    /// Waits for a call, which must succeed, and notes how long it took.
    async fn patiently<T>(&self, call: impl Future<Output = Result<Option<T>, StoreError>>) -> T {
        let began = Instant::now();
        let answer = call.await.unwrap().expect("the room exists");
        let took = began.elapsed().as_millis() as u64;
        self.slowest_ms.fetch_max(took, Ordering::SeqCst);
        answer
    }

    /// One person joins, waits, claims, completes. Whose place or admission was lost joins again.
    async fn visit(&self, store: &RedisStore, event: &EventId, who: usize) {
        let person = user(who);
        let mut pace = interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            let joined = self.patiently(store.join(event, &[poll(who)])).await;
            let lease = match &joined[0] {
                JoinReply::Admitted { lease, .. } => lease.clone(),
                JoinReply::Waiting { .. } => continue,
                other => panic!("{person} was answered {other:?}"),
            };
            let claimed = self
                .patiently(store.claim(event, &person, lease.fence))
                .await;
            if !matches!(claimed, Fenced::Done(_)) {
                continue;
            }
            let done = self
                .patiently(store.complete(event, &person, lease.fence))
                .await;
            if done == Fenced::Done(()) {
                self.completed.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// Kills the master while people come: some calls meet the failover, and none of them fails.
async fn survives(stores: Vec<RedisStore>, event: EventId, kill: impl AsyncFnOnce()) {
    let slowest = people_come(&stores, &event, kill).await;
    assert!(
        slowest > Duration::from_millis(500),
        "no call met the failover: {slowest:?}"
    );
}

/// Makes trouble while people join, are admitted, claim and complete over several processes. No call
/// fails, nobody is admitted beyond the capacity, everybody gets in. Returns how long the slowest call took.
async fn people_come(
    stores: &[RedisStore],
    event: &EventId,
    trouble: impl AsyncFnOnce(),
) -> Duration {
    stores[0]
        .save_room(event, &room(CAPACITY as u32))
        .await
        .unwrap();
    let seen = Arc::new(Seen::default());
    let mut tasks = JoinSet::new();
    for store in stores {
        let (store, seen, event) = (store.clone(), Arc::clone(&seen), event.clone());
        tasks.spawn(async move {
            let mut pace = interval(Duration::from_millis(10));
            while !seen.everybody_is_done.load(Ordering::SeqCst) {
                let tick = seen.patiently(store.tick(&event, 5)).await;
                let active = tick.active;
                assert!(active <= CAPACITY, "{active} are admitted at a time");
                pace.tick().await;
            }
        });
    }
    let mut people = JoinSet::new();
    for who in 0..PEOPLE {
        let store = stores[who % stores.len()].clone();
        let (seen, event) = (Arc::clone(&seen), event.clone());
        people.spawn(async move { seen.visit(&store, &event, who).await });
    }
    let some_are_done = || seen.completed.load(Ordering::SeqCst) >= PEOPLE as u64 / 4;
    eventually(BOUND, async || some_are_done()).await;
    trouble().await;
    people.join_all().await;
    seen.everybody_is_done.store(true, Ordering::SeqCst);
    tasks.join_all().await;
    // Nobody is left over: whoever completed is neither in line nor admitted.
    let numbers = stores[0].numbers(event).await.unwrap().unwrap();
    assert_eq!(numbers.active, 0);
    for who in 0..PEOPLE {
        let standing = stores[0].standing(event, &user(who)).await.unwrap();
        let placed = matches!(standing, Some(Standing::Waiting(_) | Standing::Admitted(_)));
        assert!(!placed, "{who}: {standing:?}");
    }
    let slowest = Duration::from_millis(seen.slowest_ms.load(Ordering::SeqCst));
    eprintln!("the slowest call took {slowest:?}");
    slowest
}

async fn connected(builder: impl Fn() -> RedisStoreBuilder) -> Vec<RedisStore> {
    let mut stores = Vec::new();
    for _ in 0..PROCESSES {
        let builder = builder().response_timeout(PATIENT);
        stores.push(builder.connect().await.unwrap());
    }
    stores
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_loses_a_master_in_the_middle() {
    let mut cluster = RedisCluster::start().await;
    let stores = connected(|| RedisStore::cluster(cluster.urls())).await;
    survives(stores, event("night"), async || {
        cluster.kill9_master_of("{night}").await;
    })
    .await;
}

/// A slot goes from master to master, each time with its keys on both for a while: nobody is lost or let in twice, and
/// no call fails.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_moves_the_slot_of_a_busy_room() {
    let cluster = RedisCluster::start().await;
    let stores = connected(|| RedisStore::cluster(cluster.urls())).await;
    let night = event("night");
    let slowest = people_come(&stores, &night, async || {
        // The first move outlasts the client's own nine attempts of each of some two hundred calls.
        for refusals in [3_000, 50, 50, 50] {
            let before = cluster.refusals("TRYAGAIN").await;
            let calls_meet_it = async || {
                eventually(BOUND, async || {
                    let refused = cluster.refusals("TRYAGAIN").await - before;
                    (refused >= refusals).then_some(()).ok_or(refused)
                })
                .await;
            };
            cluster.move_slot_of("{night}", calls_meet_it).await;
        }
    })
    .await;
    assert!(slowest < PATIENT, "{slowest:?}");
    let numbers = stores[0].numbers(&night).await.unwrap().unwrap();
    let once = [
        numbers.joined_total,
        numbers.admitted_total,
        numbers.completed_total,
    ];
    assert_eq!(once, [PEOPLE as u64; 3]);
    assert_eq!((numbers.expired_total, numbers.left_total), (0, 0));
}

/// While a slot is in two places for longer than a call may take, calls of its rooms are refused in time, all other
/// rooms go on, and everybody still stands where they stood.
#[tokio::test]
async fn cluster_with_a_slot_in_two_places_refuses_its_rooms_in_time() {
    let cluster = RedisCluster::start().await;
    let store = RedisStore::connect(cluster.url()).await.unwrap();
    let (night, other) = (event("night"), elsewhere(&cluster).await);
    for event in [&night, &other] {
        store.save_room(event, &room(1)).await.unwrap();
        store.join(event, &[poll(0), poll(1)]).await.unwrap();
    }
    cluster
        .move_slot_of("{night}", async || {
            let began = Instant::now();
            let refused = store.join(&night, &[poll(2)]).await.unwrap_err();
            assert!(
                matches!(refused, StoreError::Unavailable { .. }),
                "{refused:?}"
            );
            assert!(
                began.elapsed() < Duration::from_secs(4),
                "{:?}",
                began.elapsed()
            );
            store.tick(&other, 10).await.unwrap().unwrap();
            store.ping().await.unwrap();
        })
        .await;
    let joined = store.join(&night, &[poll(0), poll(1), poll(2)]).await;
    let joined = joined.unwrap().unwrap();
    let [
        JoinReply::Admitted { .. },
        JoinReply::Waiting { place: second, .. },
        JoinReply::Waiting { place: third, .. },
    ] = &joined[..]
    else {
        panic!("{joined:?}");
    };
    assert_eq!((second.position, third.position), (Some(1), Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_loses_the_master_in_the_middle() {
    let mut group = RedisSentinel::start().await;
    let stores = connected(|| RedisStore::builder(group.url())).await;
    survives(stores, event("night"), async || {
        group.kill9_master().await;
    })
    .await;
}

/// An id of a room that another master serves than the first room's.
async fn elsewhere(cluster: &RedisCluster) -> EventId {
    let first = cluster.master_of("{night}").await;
    for index in 0..100 {
        let name = format!("other-{index}");
        if cluster.master_of(&format!("{{{name}}}")).await != first {
            return event(&name);
        }
    }
    panic!("one master serves a hundred rooms");
}

#[tokio::test]
async fn cluster_with_a_hung_master_serves_the_other_rooms_and_then_all() {
    let mut cluster = RedisCluster::start().await;
    let store = RedisStore::connect(cluster.url()).await.unwrap();
    let (night, other) = (event("night"), elsewhere(&cluster).await);
    for event in [&night, &other] {
        store.save_room(event, &room(5)).await.unwrap();
    }
    let hung = cluster.pause_master_of("{night}").await;
    // Verbs that no master has seen yet: their scripts are sent to the one that runs them.
    let began = Instant::now();
    store.join(&other, &[poll(0)]).await.unwrap();
    store.tick(&other, 10).await.unwrap().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    // In the room of the hung master a call ends in its time, and succeeds once a replica took over.
    let began = Instant::now();
    let _ = store.join(&night, &[poll(0)]).await;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    eventually(BOUND, async || store.join(&night, &[poll(0)]).await).await;
    cluster.resume(hung);
    cluster.wait_whole().await;
    for event in [&night, &other] {
        store.tick(event, 10).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn sentinel_moves_the_master_and_the_store_follows() {
    let group = RedisSentinel::start().await;
    let builder = RedisStore::builder(group.url()).response_timeout(PATIENT);
    let store = builder.connect().await.unwrap();
    let night = event("night");
    store.save_room(&night, &room(5)).await.unwrap();
    let old = group.master_port().await;
    // The old master lives, and would take whatever it is sent, for some seconds.
    group.fail_over().await;
    let new = group.wait_failover(old).await;
    assert_ne!(old, new);
    eventually(BOUND, async || {
        store.join(&night, &[poll(0)]).await.unwrap();
        is_in(group.master().await).await
    })
    .await;
    let demoted = group.server(old).cli(&["ROLE"]).await;
    assert!(
        demoted.starts_with("master"),
        "followed only when it had to: {demoted}"
    );
}

/// Whether this server has the first person, admitted or, after a time without ticks, in line.
async fn is_in(server: &RedisServer) -> bool {
    let lease = ["HEXISTS", "ticketon:{night}:lease", "user-0"];
    let place = ["ZSCORE", "ticketon:{night}:waiting:general", "user-0"];
    server.cli(&lease).await == "1" || !server.cli(&place).await.is_empty()
}

#[tokio::test]
async fn sentinel_with_a_hung_master_is_left_for_the_next() {
    let mut group = RedisSentinel::start().await;
    let store = RedisStore::connect(group.url()).await.unwrap();
    let night = event("night");
    store.save_room(&night, &room(5)).await.unwrap();
    let hung = group.pause_master().await;
    let began = Instant::now();
    let refused = store.join(&night, &[poll(0)]).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    eventually(BOUND, async || store.join(&night, &[poll(0)]).await).await;
    let new = group.wait_failover(hung).await;
    group.resume(hung);
    assert_ne!(new, hung);
    assert!(is_in(group.master().await).await);
}

#[tokio::test]
async fn sentinel_master_that_became_read_only_is_asked_again() {
    let group = RedisSentinel::start().await;
    let builder = RedisStore::builder(group.url()).response_timeout(PATIENT);
    let store = builder.connect().await.unwrap();
    let night = event("night");
    store.save_room(&night, &room(5)).await.unwrap();
    store.tick(&night, 1).await.unwrap().unwrap();
    let master = group.master().await;
    // A replica of nobody: it keeps its data and its connections, and refuses to write.
    master.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let joining = {
        let (store, night) = (store.clone(), night.clone());
        tokio::spawn(async move { store.join(&night, &[poll(0)]).await })
    };
    eventually(BOUND, async || {
        let errors = master.cli(&["INFO", "errorstats"]).await;
        errors
            .contains("errorstat_READONLY")
            .then_some(())
            .ok_or(errors)
    })
    .await;
    assert!(!joining.is_finished());
    master.cli(&["REPLICAOF", "NO", "ONE"]).await;
    let joined = joining.await.unwrap().unwrap().unwrap();
    assert!(
        matches!(joined[0], JoinReply::Admitted { .. }),
        "{joined:?}"
    );
}
