//! The operator, without a browser: what the tests change behind the visitors' backs.

use reqwest::Method;
use serde_json::Value;
use ticketon_tests::AppProcess;

use super::ADMIN_TOKEN;

/// The operator, without a browser.
pub(crate) struct Operator {
    rooms_url: String,
}

impl Operator {
    pub(crate) fn of(app: &AppProcess) -> Self {
        Self {
            rooms_url: app.url("/admin/rooms/demo"),
        }
    }

    async fn call(&self, method: Method, verb: &str, body: Option<Value>) -> Value {
        let url = format!("{}{verb}", self.rooms_url);
        let mut request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(ADMIN_TOKEN);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    pub(crate) async fn numbers(&self) -> Value {
        self.call(Method::GET, "", None).await
    }

    pub(crate) async fn turn(&self, verb: &str) {
        self.call(Method::POST, verb, None).await;
    }

    pub(crate) async fn admit_per_second(&self, rate: u32) {
        let mut config = self.numbers().await["config"].take();
        for (field, value) in [
            ("admitPerSecond", rate),
            ("admitBurst", rate),
            ("capacity", 1_000),
        ] {
            config[field] = value.into();
        }
        self.call(Method::PUT, "", Some(config)).await;
    }
}
