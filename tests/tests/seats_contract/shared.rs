//! The same program over Redis: two processes serve the same seats.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ticketon_tests::{RedisServer, SseEvent, eventually};

use super::shop::{SOON, Shop, new_key, next, since};

pub(crate) async fn processes_share_seats_in_redis(program: &str) {
    let redis = RedisServer::start().await;
    let one = Shop::over_redis(program, &redis.url()).await;
    let two = Shop::over_redis(program, &redis.url()).await;
    // Whichever came second found the map that there was.
    let map = two.map("demo").await;
    assert_eq!(map["epoch"], one.map("demo").await["epoch"]);
    let ann = one.buyer("demo").await;
    let ann_at_two = ann.at(&two);
    let ben = two.buyer("demo").await;
    let mut stream = ben.follows(&since(&map)).await;

    // What is held at the first process is seen at the second, within a second: however busy the machine is, one of
    // some tries finds it idle.
    let mut fastest = Duration::MAX;
    let mut version = map["version"].as_u64().unwrap();
    for _ in 0..10 {
        let started = Instant::now();
        let hold = ann.holds(&["A-1-1", "A-1-2"]).await;
        let update: Value = next(&mut stream).await.json();
        fastest = fastest.min(started.elapsed());
        assert_eq!(update["from"], version);
        assert_eq!(update["held"].as_array().map(Vec::len), Some(2));
        // And the other way around: the same person gives them back there.
        ann_at_two.release(&hold).await.is(204);
        let update: Value = next(&mut stream).await.json();
        assert_eq!(update["free"].as_array().map(Vec::len), Some(2));
        version = update["version"].as_u64().unwrap();
        if fastest < Duration::from_secs(1) {
            break;
        }
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");

    // A hold belongs to its person at every process; a seat has one holder at all of them.
    let wanted = json!({"seats": ["A-1-3"]});
    let hold = ann.ask("order-1", &wanted).await.is(201).json();
    assert_eq!(
        ann_at_two.ask("order-1", &wanted).await.is(201).json(),
        hold
    );
    assert_eq!(ann_at_two.own().await, std::slice::from_ref(&hold));
    ann_at_two.extend(&hold).await.is(200);
    ben.wants(&wanted).await.problem(409, "seatsTaken");
    ben.release(&hold).await.problem(404, "unknownHold");
    // The best that are free are chosen from the same map.
    let best = json!({"bestAvailable": {"count": 2}});
    let (at_one, at_two) = (ann.gets(&best).await, ben.gets(&best).await);
    assert!(
        at_one.iter().all(|seat| !at_two.contains(seat)),
        "{at_one:?} {at_two:?}"
    );
    assert_eq!(
        one.numbers("demo").await["seats"],
        two.numbers("demo").await["seats"]
    );
}

pub(crate) async fn a_map_that_is_gone_is_not_ready(program: &str) {
    let redis = RedisServer::start().await;
    let shop = Shop::over_redis(program, &redis.url()).await;
    let ann = shop.buyer("demo").await;
    let map = shop.map("demo").await;
    let mut stream = ann.follows(&since(&map)).await;
    let (key, wanted) = (new_key(), json!({"seats": ["A-1-1"]}));
    // The map is built anew within moments, so some tries may come too late to see it gone.
    let missed = eventually(SOON, || async {
        redis.cli(&["DEL", "ticketon:{demo}:seats"]).await;
        let refused = ann.ask(&new_key(), &wanted).await;
        (refused.status == 503).then_some(refused)
    });
    let missed = missed.await;
    let retry = missed.header("retry-after").map(str::to_owned);
    assert!(retry.is_some_and(|after| after.parse::<u32>().is_ok_and(|seconds| seconds > 0)));
    missed.problem(503, "mapNotReady");

    let held = || async {
        let held = ann.ask(&key, &wanted).await;
        // Never as if everything were free under the old epoch.
        assert!([201, 409, 503].contains(&held.status), "{}", held.body);
        (held.status == 201).then_some(())
    };
    eventually(SOON, held).await;
    let anew = shop.numbers("demo").await["seats"]["epoch"].clone();
    assert!(anew.as_u64() > map["epoch"].as_u64());
    let is_told =
        |event: &SseEvent| event.event == "resync" && event.json::<Value>()["epoch"] == anew;
    stream.until(is_told, SOON).await;
}

pub(crate) async fn a_store_that_is_silent_is_unavailable(program: &str) {
    let mut redis = RedisServer::start().await;
    let shop = Shop::over_redis(program, &redis.url()).await;
    let ann = shop.buyer("demo").await;
    let version = shop.numbers("demo").await["seats"]["version"].clone();
    let (key, wanted) = (new_key(), json!({"seats": ["A-1-1"]}));
    redis.pause();
    let refused = ann.ask(&key, &wanted).await;
    assert!(refused.header("retry-after").is_some());
    refused.problem(503, "storeUnavailable");
    let map = || async { shop.get("/events/demo/seats").await.status == 503 };
    eventually(SOON, map).await;
    redis.resume();
    // Whether the lost call took the seats or not, the same key ends up with them, once.
    let hold = eventually(SOON, || async {
        let held = ann.ask(&key, &wanted).await;
        (held.status == 201).then(|| held.json())
    });
    let hold = hold.await;
    assert_eq!(ann.own().await, [hold]);
    let now = shop.numbers("demo").await["seats"]["version"].as_u64();
    assert_eq!(now, version.as_u64().map(|version| version + 1));
}
