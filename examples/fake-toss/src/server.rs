//! Accepts connections. An answer marked as [`Cut`] closes one without a byte; one marked as [`Twice`] is written twice.

mod echo;

use std::io::{Error, ErrorKind};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::api::{Cut, Twice};
use echo::{Echo, EchoingStream};

/// Serves until it is dropped, and with it every connection.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, say: others get their turn to close theirs.
            tokio::task::yield_now().await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, router.clone()));
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let (stream, echo) = EchoingStream::new(stream);
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let (router, echo) = (router.clone(), echo.clone());
        async move {
            let answered = router.oneshot(request.map(Body::new)).await;
            let response = answered.map_err(Error::other)?;
            if response.extensions().get::<Cut>().is_some() {
                return Err(Error::from(ErrorKind::ConnectionAborted));
            }
            if response.extensions().get::<Twice>().is_some() {
                return twice(response, &echo).await;
            }
            Ok(response)
        }
    });
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    // A broken connection is often what was asked for.
    let _ = served.await;
}

/// The answer, of which a copy follows on the connection.
async fn twice(response: Response<Body>, echo: &Echo) -> Result<Response<Body>, Error> {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(Error::other)?;
    let mut copy = format!(
        "HTTP/1.1 {}\r\ncontent-length: {}\r\n",
        head.status,
        body.len()
    )
    .into_bytes();
    for (name, value) in &head.headers {
        if name != axum::http::header::CONTENT_LENGTH {
            copy.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    copy.extend([b"\r\n", body.as_ref()].concat());
    echo.follow_with(copy);
    Ok(Response::from_parts(head, Body::from(body)))
}
