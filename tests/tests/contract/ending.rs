//! How the program ends: in order when told to, at once when misconfigured.

use ticketon_tests::{AppProcess, workspace_bin};

use serde_json::json;

use super::shop::{SOON, Shop, next};

pub(crate) async fn a_stop_asks_people_to_reconnect(program: &str) {
    let mut shop = Shop::start(program).await;
    shop.room("stop", &json!({"capacity": 1})).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = shop.guest().await.join("stop").await;
        next(&mut stream).await;
        streams.push(stream);
    }
    shop.app.terminate();
    for stream in &mut streams {
        let events = stream.until_end(SOON).await;
        assert!(
            events.iter().all(|event| event.event != "closed"),
            "{events:?}"
        );
        let last = stream.seen().next_back().expect("a last block");
        assert!(last.retry.is_some() && !last.is_message(), "{last:?}");
    }
    // The client's idle connections are still open; they must not hold the program up.
    let status = shop.app.wait_exit(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", shop.app.output());
}

pub(crate) async fn wrong_settings_are_named(program: &str) {
    let program = workspace_bin(program).await;
    let start = || AppProcess::builder(&program);
    for (setup, named) in [
        (
            start().env("TICKETON_ADMIN_TOKEN", "short"),
            "TICKETON_ADMIN_TOKEN",
        ),
        (
            start().env("TICKETON_ADMISSION_SECRET", "short"),
            "TICKETON_ADMISSION_SECRET",
        ),
        (
            start().env("TICKETON_CHECK", "never"),
            "TICKETON_CHECK: expected lease or offline",
        ),
        (
            start().env("TICKETON_STORE_DOWN", "-1"),
            "TICKETON_STORE_DOWN: expected refuse or",
        ),
        (
            start().env("TICKETON_REDIS_URL", "redis://127.0.0.1:1"),
            "--features redis",
        ),
        (start().arg("--port"), "--listen"),
    ] {
        let exit = setup.run_to_exit(SOON).await;
        assert_eq!(exit.status.code(), Some(1), "{}", exit.output);
        assert!(exit.output.contains(named), "{named}: {}", exit.output);
    }
}
