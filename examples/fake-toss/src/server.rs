//! Accepts connections, and closes one without a byte when an answer is marked as [`Cut`].

use std::io::{Error, ErrorKind};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::api::Cut;

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
        let router = router.clone();
        let service = tower::service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            async move {
                let response = router
                    .oneshot(request.map(Body::new))
                    .await
                    .map_err(Error::other)?;
                match response.extensions().get::<Cut>() {
                    Some(Cut) => Err(Error::from(ErrorKind::ConnectionAborted)),
                    None => Ok(response),
                }
            }
        });
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        connections.spawn(async move {
            // A broken connection is often what was asked for.
            let _ = connection.await;
        });
    }
}
