//! Idempotency keys.

use std::sync::Arc;

use futures_util::future::join_all;

use super::order::{NOW, user};
use crate::purchase::{Begun, PurchaseStore, RequestEnd, RequestKey};

const UNTIL: i64 = NOW + 60_000;

fn request(key: &str) -> RequestKey {
    RequestKey {
        user: user("ann"),
        operation: "confirm",
        key: key.to_owned(),
    }
}

/// The first goes on; whoever comes meanwhile is told so; afterwards all get its answer, and another request is told.
pub async fn p4_a_request_is_answered_once(store: &Arc<dyn PurchaseStore>) {
    let key = request("k");
    let begin = async |key: &RequestKey, hash: &str, now_ms: i64| {
        let begun = store
            .begin_request(key, hash, now_ms, now_ms + 60_000)
            .await;
        begun.expect("the store answers")
    };
    assert_eq!(begin(&key, "hash", NOW).await, Begun::Go);
    let running = Begun::Running { until_ms: UNTIL };
    assert_eq!(begin(&key, "hash", NOW + 1).await, running);
    assert_eq!(begin(&key, "other", NOW + 1).await, Begun::Mismatch);
    // Another person, another operation and another case of the letters are other requests.
    let mut others = [request("K"), request("k"), request("k")];
    others[1].user = user("ben");
    others[2].operation = "refund";
    for other in &others {
        assert_eq!(begin(other, "another", NOW).await, Begun::Go);
    }
    // Whoever ran it has died: the next one goes on, once.
    assert_eq!(begin(&key, "hash", UNTIL).await, Begun::Go);
    assert!(matches!(
        begin(&key, "hash", UNTIL).await,
        Begun::Running { .. }
    ));
    store
        .end_request(&key, RequestEnd::Answered("{\"paid\":true}"))
        .await
        .expect("the store answers");
    let answered = Begun::Answered("{\"paid\":true}".to_owned());
    assert_eq!(begin(&key, "hash", UNTIL).await, answered);
    assert_eq!(begin(&key, "other", UNTIL).await, Begun::Mismatch);
    // An answer that was given stays.
    let otherwise = RequestEnd::Answered("{\"paid\":false}");
    for late in [otherwise, RequestEnd::Again, RequestEnd::Forgotten] {
        store
            .end_request(&key, late)
            .await
            .expect("the store answers");
        assert_eq!(begin(&key, "hash", UNTIL).await, answered);
    }
    // One whose answer may change is asked again at once, and nothing else under its key.
    store
        .end_request(&others[0], RequestEnd::Again)
        .await
        .expect("the store answers");
    let another = begin(&others[0], "yet another", NOW).await;
    assert_eq!(another, Begun::Mismatch);
    assert_eq!(begin(&others[0], "another", NOW).await, Begun::Go);
    assert_eq!(begin(&others[0], "another", NOW).await, running);
    // One that came to nothing leaves its key to others.
    store
        .end_request(&others[0], RequestEnd::Forgotten)
        .await
        .expect("the store answers");
    assert_eq!(begin(&others[0], "yet another", NOW).await, Begun::Go);
}

/// Of many that come at once one goes on.
pub async fn p4_one_of_many_requests_goes_on(stores: &[Arc<dyn PurchaseStore>]) {
    for round in 0..8 {
        let key = request(&format!("k-{round}"));
        let begin = |number: usize| {
            let (store, key) = (&stores[number % stores.len()], &key);
            async move { store.begin_request(key, "hash", NOW, UNTIL).await }
        };
        let all = join_all((0..24).map(begin)).await;
        let all = all
            .into_iter()
            .map(|begun| begun.expect("the store answers"));
        let went = all.filter(|begun| *begun == Begun::Go);
        assert_eq!(went.count(), 1);
    }
}

/// Answered and abandoned ones; not those that run.
pub async fn p4_old_requests_are_forgotten(store: &Arc<dyn PurchaseStore>) {
    for (name, until_ms) in [
        ("answered", UNTIL),
        ("abandoned", UNTIL),
        ("running", UNTIL * 2),
    ] {
        let begun = store
            .begin_request(&request(name), "hash", NOW, until_ms)
            .await;
        assert_eq!(begun.expect("the store answers"), Begun::Go);
    }
    let answered = request("answered");
    store
        .end_request(&answered, RequestEnd::Answered("yes"))
        .await
        .expect("the store answers");
    let forget = async |before_ms| {
        store
            .forget_requests(before_ms)
            .await
            .expect("the store answers")
    };
    assert_eq!(forget(NOW).await, 0);
    assert_eq!(forget(UNTIL + 1).await, 2);
    assert_eq!(forget(UNTIL + 1).await, 0);
    let begun = store
        .begin_request(&answered, "other", UNTIL, UNTIL + 1)
        .await;
    assert_eq!(begun.expect("the store answers"), Begun::Go);
}
