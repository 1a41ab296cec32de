//! A network that can be taken away: the browser's own switch leaves open connections open.

use ticketon_tests::{AppProcess, Browser};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The network between a person and the app. Without it, open connections break and no new one
/// succeeds.
pub(crate) struct Network {
    /// Where the app is, through this network.
    pub(crate) base_url: String,
    up: watch::Sender<bool>,
}

impl Network {
    pub(crate) async fn before(app: &AppProcess) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (up, is_up) = watch::channel(true);
        let server = app.port();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut is_up = is_up.clone();
                tokio::spawn(async move {
                    if !*is_up.borrow() {
                        return Ok(());
                    }
                    let mut far = TcpStream::connect(("127.0.0.1", server)).await?;
                    tokio::select! {
                        done = tokio::io::copy_bidirectional(&mut near, &mut far) => drop(done?),
                        _ = is_up.wait_for(|up| !up) => {}
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        Self { base_url, up }
    }

    pub(crate) async fn turn(&self, up: bool, browser: &Browser) {
        self.up.send_replace(up);
        browser.offline(!up).await;
    }
}
