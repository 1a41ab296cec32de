//! The same program over Redis: two processes serve the same seats.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ticketon_tests::{RedisServer, eventually};

use super::shop::{SOON, Shop, next, since};

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

    // A map that Redis loses is built anew, and never read as free meanwhile.
    let epoch = map["epoch"].as_u64();
    redis.cli(&["FLUSHALL"]).await;
    eventually(SOON, || async {
        let map = two.get("/events/demo/seats").await;
        map.status == 200 && map.json()["epoch"].as_u64() > epoch
    })
    .await;
}
