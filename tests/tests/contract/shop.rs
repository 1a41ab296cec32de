//! The program under test, its visitors, and what they are answered.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
pub(crate) use ticketon_tests::{Answer, answer, fields};
use ticketon_tests::{
    AppBuilder, AppProcess, SseClient, SseEvent, SseRequest, workspace_bin, workspace_bin_with,
};

/// The bound of every wait: generous, since two slow cores may run many tests at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// The secret of the program's tokens.
pub(crate) const SECRET: &str = "the contract suite signs with this";
/// The operators' token.
pub(crate) const ADMIN: &str = "an-admin-token-of-the-suite";

/// The header of admission tokens.
pub(crate) const ADMISSION: &str = "ticketon-admission";

/// A running program.
pub(crate) struct Shop {
    pub(crate) app: AppProcess,
    pub(crate) http: Client,
}

impl Shop {
    /// Starts a program with rooms in memory.
    pub(crate) async fn start(program: &str) -> Self {
        Self::started(AppProcess::builder(workspace_bin(program).await)).await
    }

    /// Starts a program with rooms in this Redis.
    pub(crate) async fn over_redis(program: &str, url: &str) -> Self {
        Self::over_redis_with(program, url, &[]).await
    }

    /// As [`Self::over_redis`], with more variables of its environment.
    pub(crate) async fn over_redis_with(
        program: &str,
        url: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let program = workspace_bin_with(program, &["redis"]).await;
        let app = AppProcess::builder(program).env("TICKETON_REDIS_URL", url);
        let app = settings
            .iter()
            .fold(app, |app, (name, value)| app.env(name, value));
        Self::started(app).await
    }

    async fn started(app: AppBuilder) -> Self {
        let app = app
            .env("TICKETON_ADMIN_TOKEN", ADMIN)
            .env("TICKETON_ADMISSION_SECRET", SECRET)
            .start()
            .await;
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self { app, http }
    }

    /// A call by nobody in particular.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.app.url(path))
    }

    /// A call by the operator.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, path).bearer_auth(ADMIN)
    }

    /// Makes or changes a room.
    pub(crate) async fn room(&self, event: &str, config: &Value) {
        let put = self.admin(Method::PUT, &format!("/admin/rooms/{event}"));
        answer(put.json(config)).await.is(200);
    }

    /// Changes a room's state.
    pub(crate) async fn change(&self, event: &str, verb: &str) -> Answer {
        answer(self.admin(Method::POST, &format!("/admin/rooms/{event}/{verb}"))).await
    }

    /// A room's numbers.
    pub(crate) async fn numbers(&self, event: &str) -> Value {
        let get = self.admin(Method::GET, &format!("/admin/rooms/{event}"));
        answer(get).await.is(200).json()
    }

    /// A new visitor.
    pub(crate) async fn guest(&self) -> Guest<'_> {
        let answer = answer(self.call(Method::GET, "/wait/any")).await;
        let token = answer.cookie("ticketon_guest").expect("a guest's cookie");
        Guest { shop: self, token }
    }
}

/// A visitor, known by the token of their cookie.
pub(crate) struct Guest<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) token: String,
}

impl Guest<'_> {
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.shop.call(method, path).bearer_auth(&self.token)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.call(Method::GET, path)
    }

    /// Joins and asks once.
    pub(crate) async fn poll(&self, event: &str) -> Answer {
        let get = self.get(&waiting(event));
        answer(get.header("accept", "application/json")).await
    }

    /// Joins and returns the admission token that a free slot gives at once.
    pub(crate) async fn admitted(&self, event: &str) -> String {
        let admitted = self.poll(event).await.is(200).json();
        admitted["admissionToken"].as_str().unwrap().to_owned()
    }

    /// Looks without joining.
    pub(crate) async fn status(&self, event: &str) -> Answer {
        answer(self.get(&format!("{}/status", waiting(event)))).await
    }

    pub(crate) async fn leave(&self, event: &str) -> Answer {
        answer(self.call(Method::DELETE, &waiting(event))).await
    }

    /// The shop behind the door, with this token.
    pub(crate) async fn shop(&self, event: &str, token: &str) -> Answer {
        answer(self.get(&format!("/shop/{event}")).header(ADMISSION, token)).await
    }

    /// Prepares to join by stream.
    pub(crate) fn stream(&self, event: &str) -> SseRequest {
        SseClient::request(&self.shop.app.url(&waiting(event))).bearer(&self.token)
    }

    /// Joins by stream.
    pub(crate) async fn join(&self, event: &str) -> SseClient {
        self.stream(event).connect().await.expect("a stream")
    }
}

/// The path to wait for an event.
pub(crate) fn waiting(event: &str) -> String {
    format!("/queue/events/{event}/tickets/waiting")
}

/// The next event of a stream.
#[track_caller]
pub(crate) fn next(stream: &mut SseClient) -> impl Future<Output = SseEvent> {
    let caller = std::panic::Location::caller();
    async move {
        let event = stream.next_event(SOON).await;
        event.unwrap_or_else(|| panic!("at {caller}: no event came"))
    }
}

/// The next event of this name.
pub(crate) async fn until(stream: &mut SseClient, name: &str) -> SseEvent {
    stream.until(|event| event.event == name, SOON).await
}
