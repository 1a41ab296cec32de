//! What only a Redis behind the store can do wrong: trust, settings, restarts, keys.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use futures_util::StreamExt;
use ticketon_queue::{
    Attach, BrokerId, ConnId, EventId, JoinReply, JoinRequest, Lane, LaneName, Observe, Presence,
    QueueStore, RedisStore, RoomConfig, RoomSaved, RoomVerb, Standing, StoreError, UserId,
};
use ticketon_tests::{RedisServer, eventually};

const BOUND: Duration = Duration::from_secs(30);

fn event() -> EventId {
    EventId::new("spring:tour").unwrap()
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

/// Everything that an error tells to people and logs, down to its last source.
fn told(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, " {cause} {cause:?}").unwrap();
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn tls_is_trusted_by_the_given_certificate_alone() {
    let server = RedisServer::builder().tls(true).start().await;
    let pem = server.ca_pem().unwrap();
    let store = RedisStore::builder(server.url())
        .root_certificate(pem)
        .connect()
        .await
        .unwrap();
    let config = RoomConfig::builder().capacity(1).build().unwrap();
    let saved = store.save_room(&event(), &config).await.unwrap();
    assert_eq!(saved, RoomSaved::Created);

    let refused = RedisStore::connect(server.url()).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Unavailable { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_redis_that_may_evict_is_refused() {
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let server = RedisServer::builder()
            .maxmemory_policy(policy)
            .start()
            .await;
        let refused = RedisStore::connect(server.url()).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unsafe { .. }), "{refused:?}");
        let text = refused.to_string();
        assert!(
            text.contains(policy) && text.contains("noeviction"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn where_config_is_forbidden_the_policy_is_read_elsewhere() {
    let server = RedisServer::builder()
        .maxmemory_policy("allkeys-random")
        .start()
        .await;
    let rule = [
        "ACL", "SETUSER", "app", "on", ">word", "~*", "+@all", "-config",
    ];
    assert_eq!(server.cli(&rule).await, "OK");
    let url = server.url().replace("redis://", "redis://app:word@");
    let refused = RedisStore::connect(url.as_str()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unsafe { .. }), "{refused:?}");
    assert!(refused.to_string().contains("allkeys-random"), "{refused}");

    let set = ["CONFIG", "SET", "maxmemory-policy", "noeviction"];
    assert_eq!(server.cli(&set).await, "OK");
    RedisStore::connect(url).await.unwrap();
}

#[tokio::test]
async fn no_error_tells_the_password() {
    let server = RedisServer::builder().password("rightword").start().await;
    let url = server.url();
    RedisStore::connect(url.as_str()).await.unwrap();

    let login = url.replace("rightword", "wrongsecret");
    let unreachable = "redis://someone:wrongsecret@127.0.0.1:1";
    let unreadable = "rediss://someone:wrongsecret@127.0.0.1:not-a-port/x";
    let not_tls = "redis://someone:wrongsecret@127.0.0.1:1#insecure=wrongsecret";
    for url in [login.as_str(), unreachable, unreadable, not_tls] {
        let builder = RedisStore::builder(url);
        assert!(!format!("{builder:?}").contains("wrongsecret"));
        let error = builder.connect().await.unwrap_err();
        assert!(!told(&error).contains("wrongsecret"), "{}", told(&error));
    }
    let store = RedisStore::connect(url).await.unwrap();
    assert!(!format!("{store:?}").contains("rightword"));
}

#[tokio::test]
async fn an_unreachable_redis_is_told_at_once() {
    let error = RedisStore::builder("redis://127.0.0.1:1")
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nobody() {
    let mut server = RedisServer::builder()
        .appendonly(true)
        .setting("appendfsync", "always")
        .start()
        .await;
    let store = RedisStore::connect(server.url()).await.unwrap();
    let config = RoomConfig::builder().capacity(1).build().unwrap();
    store.save_room(&event(), &config).await.unwrap();
    store.join(&event(), &[poll(0), poll(1)]).await.unwrap();

    server.kill9();
    let error = store.standing(&event(), &user(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    // The scripts are gone with the process.
    server.restart().await;
    let standing = eventually(BOUND, async || store.standing(&event(), &user(1)).await).await;
    assert!(
        matches!(standing, Some(Standing::Waiting(_))),
        "{standing:?}"
    );
    let again = store.join(&event(), &[poll(0), poll(1), poll(2)]).await;
    let again = again.unwrap().unwrap();
    assert!(matches!(again[0], JoinReply::Admitted { new: false, .. }));
    assert!(matches!(again[1], JoinReply::Waiting { new: false, .. }));
    assert!(matches!(again[2], JoinReply::Waiting { new: true, .. }));
}

#[tokio::test]
async fn a_redis_that_hangs_is_given_up_in_time() {
    let mut server = RedisServer::start().await;
    let store = RedisStore::builder(server.url())
        .response_timeout(Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    store.ping().await.unwrap();
    server.pause();
    let answer = tokio::time::timeout(BOUND, store.ping()).await;
    assert!(matches!(
        answer.unwrap(),
        Err(StoreError::Unavailable { .. })
    ));
    server.resume();
    eventually(BOUND, async || store.ping().await).await;
}

#[tokio::test]
async fn a_room_that_was_flushed_begins_again() {
    let server = RedisServer::start().await;
    let store = RedisStore::connect(server.url()).await.unwrap();
    let config = RoomConfig::builder().capacity(1).build().unwrap();
    store.save_room(&event(), &config).await.unwrap();
    let before = store.numbers(&event()).await.unwrap().unwrap();
    server.cli(&["FLUSHALL"]).await;
    assert_eq!(store.rooms().await.unwrap(), []);

    // With another lane, and the version that the first store remembers.
    let lane = Lane {
        name: LaneName::new("other").unwrap(),
        weight: 1,
    };
    let other = RoomConfig::builder().capacity(1).lanes(vec![lane]).build();
    let second = RedisStore::connect(server.url()).await.unwrap();
    second.save_room(&event(), &other.unwrap()).await.unwrap();
    store.join(&event(), &[poll(0), poll(1)]).await.unwrap();
    let after = store.numbers(&event()).await.unwrap().unwrap();
    assert!(after.epoch > before.epoch);
    assert_eq!(after.lanes[0].name.as_str(), "other");
    assert_eq!(after.lanes[0].waiting, 1);
    assert_eq!(
        second.numbers(&event()).await.unwrap().unwrap().lanes,
        after.lanes
    );
}

#[tokio::test]
async fn places_that_outlived_their_room_stay_ahead() {
    let server = RedisServer::start().await;
    let store = RedisStore::connect(server.url()).await.unwrap();
    let config = RoomConfig::builder().capacity(1).build().unwrap();
    store.save_room(&event(), &config).await.unwrap();
    store
        .join(&event(), &[poll(0), poll(1), poll(2)])
        .await
        .unwrap();
    server.cli(&["DEL", "ticketon:{spring:tour}:room"]).await;
    store.save_room(&event(), &config).await.unwrap();
    let replies = store
        .join(&event(), &[poll(3), poll(1)])
        .await
        .unwrap()
        .unwrap();
    let positions: Vec<u64> = replies
        .iter()
        .map(|reply| match reply {
            JoinReply::Waiting { place, .. } => place.position.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(positions, [3, 1]);
}

/// What the table in `keys.rs` says, and of which type.
const DOCUMENTED: [(&str, &str); 12] = [
    ("ticketon:{E}:room", "hash"),
    ("ticketon:{E}:waiting:<lane>", "zset"),
    ("ticketon:{E}:entry", "zset"),
    ("ticketon:{E}:lease", "hash"),
    ("ticketon:{E}:away", "zset"),
    ("ticketon:{E}:owner", "hash"),
    ("ticketon:{E}:brokers", "zset"),
    ("ticketon:{E}:conn:<broker>", "set"),
    ("ticketon:{E}:gone", "hash"),
    ("ticketon:{E}:gone:ends", "zset"),
    ("ticketon:{E}:dispatch", "stream"),
    ("ticketon:rooms", "set"),
];

#[tokio::test]
async fn every_key_is_documented_and_in_the_slot_of_its_room() {
    let server = RedisServer::start().await;
    let store = RedisStore::connect(server.url()).await.unwrap();
    let config = RoomConfig::builder().capacity(2).build().unwrap();
    let broker = BrokerId::from_u64(0xb0b);
    let stream = |index| JoinRequest {
        presence: Presence::Stream {
            broker,
            conn: ConnId(1),
        },
        ..poll(index)
    };
    store.save_room(&event(), &config).await.unwrap();
    store.register_broker(&event(), broker).await.unwrap();
    let people: Vec<_> = (0..6).map(poll).chain((6..9).map(stream)).collect();
    store.join(&event(), &people).await.unwrap();
    store.leave(&event(), &user(0), None).await.unwrap();
    store.tick(&event(), 10).await.unwrap();

    let mut seen = Vec::new();
    for key in server.cli(&["KEYS", "*"]).await.lines() {
        let kind = server.cli(&["TYPE", key]).await;
        let general = key
            .replace("{spring:tour}", "{E}")
            .replace(":waiting:general", ":waiting:<lane>")
            .replace(":conn:0000000000000b0b", ":conn:<broker>");
        seen.push((general, kind));
    }
    seen.sort();
    let mut documented: Vec<_> = DOCUMENTED
        .map(|(key, kind)| (key.to_owned(), kind.to_owned()))
        .to_vec();
    documented.sort();
    assert_eq!(seen, documented);
    let source = include_str!("../../ticketon-queue/src/redis/keys.rs");
    for (key, _) in DOCUMENTED {
        assert!(source.contains(&format!("| `{key}` |")), "{key}");
    }
}

/// The words of a line of MONITOR: time, origin in brackets, and each word of the command in quotes.
fn words(line: &str) -> (bool, Vec<String>) {
    let (head, command) = line.split_once("] ").unwrap();
    let words = command
        .split(' ')
        .map(|word| word.trim_matches('"').to_owned());
    (head.ends_with("lua"), words.collect())
}

/// In a cluster a script may only touch the keys that it was called with.
#[tokio::test]
async fn scripts_touch_only_the_keys_that_they_declare() {
    let server = RedisServer::start().await;
    let store = RedisStore::connect(server.url()).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let monitor = client.get_async_monitor().await.unwrap();
    let mut lines = monitor.into_on_message::<String>();
    let (event, from, to) = (event(), BrokerId::from_u64(1), BrokerId::from_u64(2));
    let config = |capacity| RoomConfig::builder().capacity(capacity).build().unwrap();
    store.save_room(&event, &config(1)).await.unwrap();
    store.save_room(&event, &config(2)).await.unwrap();
    for broker in [from, to] {
        store.register_broker(&event, broker).await.unwrap();
    }
    let stream = JoinRequest {
        presence: Presence::Stream {
            broker: from,
            conn: ConnId(1),
        },
        ..poll(0)
    };
    let people: Vec<_> = (1..5).map(poll).chain([stream]).collect();
    store.join(&event, &people).await.unwrap();
    let attach = Attach {
        user: user(0),
        conn: ConnId(1),
    };
    store.attach(&event, from, to, &[attach]).await.unwrap();
    store
        .disconnect(&event, to, &[(user(0), ConnId(1))])
        .await
        .unwrap();
    store.take_over(&event, from).await.unwrap();
    let observe = Observe {
        samples: vec![(0, 1)],
        users: vec![user(0)],
    };
    store.observe(&event, to, &observe).await.unwrap();
    for verb in RoomVerb::ALL {
        store.change_state(&event, verb).await.unwrap();
        store.tick(&event, 1_000).await.unwrap();
    }
    store.numbers(&event).await.unwrap();
    store.standing(&event, &user(1)).await.unwrap();
    store.leave(&event, &user(1), None).await.unwrap();
    store.claim(&event, &user(1), 1).await.unwrap();
    store.complete(&event, &user(1), 1).await.unwrap();
    store.rooms().await.unwrap();

    let mut declared: Vec<String> = Vec::new();
    let mut touched = 0;
    loop {
        let line = tokio::time::timeout(BOUND, lines.next())
            .await
            .unwrap()
            .unwrap();
        let (by_script, words) = words(&line);
        match words[0].to_ascii_uppercase().as_str() {
            "EVALSHA" => {
                let count: usize = words[2].parse().unwrap();
                declared = words[3..3 + count].to_vec();
            }
            "TIME" => {}
            // The last call of this test.
            "SMEMBERS" => break,
            _ if by_script => {
                assert!(declared.contains(&words[1]), "undeclared: {line}");
                touched += 1;
            }
            _ => {}
        }
    }
    assert!(
        touched > 100,
        "only {touched} commands of scripts were seen"
    );
}

#[tokio::test]
async fn the_number_of_rooms_is_bounded() {
    let server = RedisServer::start().await;
    let store = RedisStore::connect(server.url()).await.unwrap();
    let config = |capacity| RoomConfig::builder().capacity(capacity).build().unwrap();
    store.save_room(&event(), &config(1)).await.unwrap();
    let fill = "for i = 2, 100000 do redis.call('SADD', KEYS[1], 'room-' .. i) end";
    server.cli(&["EVAL", fill, "1", "ticketon:rooms"]).await;
    let other = EventId::new("one-too-many").unwrap();
    let refused = store.save_room(&other, &config(1)).await.unwrap();
    assert_eq!(refused, RoomSaved::TooManyRooms { limit: 100_000 });
    assert_eq!(store.numbers(&other).await.unwrap(), None);
    let changed = store.save_room(&event(), &config(2)).await.unwrap();
    assert_eq!(changed, RoomSaved::Changed);
    assert_eq!(store.rooms().await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn the_feed_of_changes_is_bounded() {
    let server = RedisServer::start().await;
    let store = RedisStore::connect(server.url()).await.unwrap();
    let config = RoomConfig::builder().capacity(1).build().unwrap();
    store.save_room(&event(), &config).await.unwrap();
    for verb in [RoomVerb::Pause, RoomVerb::Resume].repeat(700) {
        store.change_state(&event(), verb).await.unwrap();
    }
    let length = server
        .cli(&["XLEN", "ticketon:{spring:tour}:dispatch"])
        .await;
    let length: usize = length.parse().unwrap();
    assert!(
        (1_000..1_200).contains(&length),
        "{length} records are kept"
    );

    store.join(&event(), &[poll(0), poll(1)]).await.unwrap();
    store.leave(&event(), &user(0), None).await.unwrap();
    store.tick(&event(), 10).await.unwrap();
    let last = server
        .cli(&[
            "XREVRANGE",
            "ticketon:{spring:tour}:dispatch",
            "+",
            "-",
            "COUNT",
            "1",
        ])
        .await;
    let fields: Vec<&str> = last.lines().skip(1).collect();
    assert!(
        fields.windows(2).any(|pair| pair == ["promoted", "1"]),
        "{last}"
    );
    assert!(
        fields
            .windows(2)
            .any(|pair| pair == ["watermark:general", "2"]),
        "{last}"
    );
    assert!(
        fields.windows(2).any(|pair| pair == ["state", "open"]),
        "{last}"
    );
    // A tick that changes nothing tells nothing.
    store.tick(&event(), 10).await.unwrap();
    let newest = server
        .cli(&[
            "XREVRANGE",
            "ticketon:{spring:tour}:dispatch",
            "+",
            "-",
            "COUNT",
            "1",
        ])
        .await;
    assert_eq!(newest, last);
}
