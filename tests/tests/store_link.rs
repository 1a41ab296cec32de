//! What a crate beside the queue relies on when it keeps its data in the same Redis, over [`RedisStore::link`].

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ticketon_queue::redis::{RedisCall, RedisLink, RedisScript, Reply};
use ticketon_queue::{Clock, ManualClock, RedisStore, StoreError};
use ticketon_tests::{RedisCluster, RedisSentinel, RedisServer};

/// add: adds to a counter, up to a limit; answers {counter, text}, or nothing.
static ADD: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "if (redis.call('GET', KEYS[1]) or 0) + ARGV[1] > tonumber(ARGV[2]) then return false end \
         return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[3]}",
    )
});
static READ: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("return redis.call('GET', KEYS[1])"));

async fn link(url: &str) -> RedisLink {
    let builder = RedisStore::builder(url).response_timeout(Duration::from_secs(10));
    builder.connect().await.unwrap().link()
}

async fn add(link: &RedisLink, key: &str, many: i64) -> Option<i64> {
    let mut call = RedisCall::script(&ADD);
    call.key(key).arg_int(many).arg_int(10).arg("added");
    let reply = link.run("add", &call).await.unwrap().some()?;
    let [counter, text] = reply.items("add").unwrap();
    assert_eq!(text.text("add").unwrap(), "added");
    Some(counter.int("add").unwrap())
}

/// Scripts, commands and pipelines, for keys of many slots.
async fn serves(link: &RedisLink) {
    for event in 0..20 {
        let key = format!("shop:{{{event}}}:sold");
        assert_eq!(add(link, &key, 7).await, Some(7));
        assert_eq!(add(link, &key, 4).await, None);
        assert_eq!(add(link, &key, 3).await, Some(10));

        let large = vec![0xf5; 50_000];
        let map = format!("shop:{{{event}}}:map");
        let mut set = RedisCall::command("SET");
        set.key(&map).arg(&large);
        assert_eq!(
            link.run("set", &set).await.unwrap(),
            Reply::Bytes(b"OK".to_vec())
        );

        let mut part = RedisCall::command("GETRANGE");
        part.key(&map).arg_int(0).arg_int(-1);
        let mut sold = RedisCall::script(&READ);
        sold.key(&key);
        let mut nothing = RedisCall::command("GET");
        nothing.key(format!("shop:{{{event}}}:nothing"));
        let mut calls = vec![part, sold, nothing];
        // More than one round trip takes.
        calls.extend(std::iter::repeat_n(calls[2].clone(), 200));
        let replies = link.run_all("read", &calls).await.unwrap();
        assert_eq!(replies.len(), 203);
        assert_eq!(replies[0], Reply::Bytes(large));
        assert_eq!(replies[1], Reply::Bytes(b"10".to_vec()));
        assert!(replies[2..].iter().all(|reply| *reply == Reply::Nil));
    }
}

#[tokio::test]
async fn one_server_serves_another_crate() {
    let redis = RedisServer::start().await;
    let link = link(&redis.url()).await;
    serves(&link).await;
    // What a server forgot is sent again.
    redis.cli(&["SCRIPT", "FLUSH"]).await;
    redis.cli(&["FLUSHALL"]).await;
    serves(&link).await;
    redis.cli(&["SCRIPT", "FLUSH"]).await;
    let calls = [RedisCall::script(&READ).key("k").clone()];
    assert_eq!(
        link.run_all("read", &calls).await.unwrap(),
        vec![Reply::Nil]
    );
}

#[tokio::test]
async fn what_redis_cannot_do_is_corrupt_and_harms_no_other_call() {
    let redis = RedisServer::start().await;
    let link = link(&redis.url()).await;
    redis.cli(&["SET", "text", "x"]).await;
    let mut wrong = RedisCall::command("HGET");
    wrong.key("text").arg("field");
    let mut right = RedisCall::command("GET");
    right.key("text");
    for refused in [
        link.run("wrong", &wrong).await.map(drop),
        link.run_all("wrong", &[right.clone(), wrong])
            .await
            .map(drop),
        link.run("wrong", &RedisCall::command("NOSUCHCOMMAND"))
            .await
            .map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Corrupt {
                    context: "wrong",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    assert_eq!(
        link.run("right", &right).await.unwrap(),
        Reply::Bytes(b"x".to_vec())
    );
}

#[tokio::test]
async fn a_cluster_and_a_master_behind_sentinels_serve_another_crate() {
    let cluster = RedisCluster::start().await;
    serves(&link(&cluster.url()).await).await;
    drop(cluster);
    let sentinel = RedisSentinel::start().await;
    serves(&link(&sentinel.url()).await).await;
}

#[tokio::test]
async fn the_clock_of_a_test_is_handed_on() {
    let redis = RedisServer::start().await;
    let store = RedisStore::connect(redis.url()).await.unwrap();
    assert!(store.clock().is_none());
    let clock = ManualClock::at(1_000_000);
    let builder = RedisStore::builder(redis.url()).clock(Arc::new(clock.clone()));
    let store = builder.connect().await.unwrap();
    clock.advance(Duration::from_secs(7));
    assert_eq!(store.clock().unwrap().now_ms(), clock.now_ms());
}
