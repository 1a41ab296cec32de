//! A client that shares no code with the service.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use super::shop::Shop;

pub(crate) async fn a_client_in_another_language_buys_and_gives_back(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/purchase_contract/walk.py"
    );
    let mut python = Command::new("python3");
    python
        .args([script, &shop.app.base_url(), "night"])
        .kill_on_drop(true);
    let run = tokio::time::timeout(Duration::from_secs(60), python.output()).await;
    let run = run.expect("the walk ends").expect("python3 runs");
    let said = String::from_utf8_lossy(&run.stdout);
    let failed = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}{failed}");
    assert!(said.ends_with("given back\n"), "{said}{failed}");
}
