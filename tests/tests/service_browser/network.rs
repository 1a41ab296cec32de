//! A network that can be taken away, or whose proxy fails: the browser's own switch leaves open connections open.

use ticketon_tests::{AppProcess, Browser};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a proxy says whose server does not answer.
const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 11\r\nconnection: close\r\n\r\nBad Gateway";

/// How a [`Network`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each suite has its own troubles")]
pub(crate) enum Link {
    /// Everything passes.
    Up,
    /// Nothing does.
    Down,
    /// A proxy answers by itself, with 502.
    Failing,
}

/// The network between a person and a server. Whenever it changes, open connections break.
pub(crate) struct Network {
    /// Where the server is, through this network.
    pub(crate) base_url: String,
    link: watch::Sender<Link>,
}

impl Network {
    pub(crate) async fn before(app: &AppProcess) -> Self {
        Self::before_port(app.port()).await
    }

    /// Before whatever listens at this port of 127.0.0.1.
    pub(crate) async fn before_port(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (link, seen) = watch::channel(Link::Up);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut seen = seen.clone();
                let now = *seen.borrow_and_update();
                tokio::spawn(async move {
                    tokio::select! {
                        // Whoever hangs up in the middle does what is tested.
                        _ = pass(near, now, server) => {}
                        _ = seen.changed() => {}
                    }
                });
            }
        });
        Self { base_url, link }
    }

    /// Takes the network away from the browser, or gives it back.
    pub(crate) async fn turn(&self, up: bool, browser: &Browser) {
        self.become_link(if up { Link::Up } else { Link::Down });
        browser.offline(!up).await;
    }

    pub(crate) fn become_link(&self, link: Link) {
        self.link.send_replace(link);
    }
}

async fn pass(mut near: TcpStream, link: Link, server: u16) -> std::io::Result<()> {
    match link {
        Link::Down => {}
        Link::Up => {
            let mut far = TcpStream::connect(("127.0.0.1", server)).await?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await?;
        }
        Link::Failing => {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(near.read_u8().await?);
            }
            near.write_all(BAD_GATEWAY.as_bytes()).await?;
            near.shutdown().await?;
            // What is left of the request, so that the answer is not lost to a reset.
            tokio::io::copy(&mut near, &mut tokio::io::sink()).await?;
        }
    }
    Ok(())
}
