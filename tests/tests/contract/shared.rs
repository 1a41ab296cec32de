//! The same program over Redis: two processes serve the same rooms.

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::RedisServer;

use super::shop::{ADMISSION, Guest, SOON, Shop, answer, next, until};

pub(crate) async fn processes_share_rooms_in_redis(program: &str) {
    let redis = RedisServer::start().await;
    let one = Shop::over_redis(program, &redis.url()).await;
    let two = Shop::over_redis(program, &redis.url()).await;
    one.room("shared", &json!({"capacity": 1})).await;
    let ann = one.guest().await;
    let token = ann.admitted("shared").await;

    // Another person, at the other process, waits for the same slot.
    let ben = two.guest().await;
    let mut stream = ben.join("shared").await;
    assert_eq!(next(&mut stream).await.event, "waiting");

    // Guests and admissions are known everywhere.
    let ann_at_two = Guest {
        shop: &two,
        token: ann.token.clone(),
    };
    let first = ann_at_two.shop("shared", &token).await.is(200);
    let claimed = first.header(ADMISSION).expect("a claimed token");
    ann.shop("shared", claimed).await.is(200);

    // A newer stream at the first process replaces the older at the second.
    let ben_at_one = Guest {
        shop: &one,
        token: ben.token.clone(),
    };
    let mut newer = ben_at_one.join("shared").await;
    let place: Value = next(&mut newer).await.json();
    assert_eq!(place["position"], 1);
    let last = stream.until_end(SOON).await.pop().expect("a last event");
    assert_eq!(last.json::<Value>(), json!({"reason": "replaced"}));

    // Buying at the second process lets the person in who waits at the first.
    let buy = ann_at_two.call(Method::POST, "/shop/shared");
    answer(buy.header(ADMISSION, claimed)).await.is(200);
    until(&mut newer, "admitted").await;
    assert_eq!(one.numbers("shared").await, two.numbers("shared").await);
}
