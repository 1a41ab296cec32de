//! The contract's routes, registered natively.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::Response as HttpResponse;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter};
use ticketon_queue::WaitingQueue;
use ticketon_queue::http::{
    AdminHttp, AdminToken, Body, Code, Endpoint, Inbound, Problem, QueueHttp, Route,
    method_not_allowed, too_large,
};

use crate::principal::caller;
use crate::{convert, event};

/// The routes for people who wait: join, look, leave, and their own lease.
///
/// Nest them where you like; an [`Identify`](crate::Identify) around them says who calls.
pub fn routes<S: Clone + Send + Sync + 'static>(queue: &WaitingQueue) -> Router<S> {
    routes_of(QueueHttp::new(queue))
}

/// The routes for operators, who carry the token as `Authorization: Bearer <token>`.
pub fn admin_routes<S: Clone + Send + Sync + 'static>(
    queue: &WaitingQueue,
    token: AdminToken,
) -> Router<S> {
    routes_of(AdminHttp::new(queue, token))
}

/// The routes of any endpoint, such as the waiting page.
///
/// # Panics
/// When two of its routes have the same method and path.
pub fn routes_of<S: Clone + Send + Sync + 'static>(endpoint: impl Endpoint) -> Router<S> {
    let endpoint: Arc<dyn Endpoint> = Arc::new(endpoint);
    let mut paths: BTreeMap<String, Vec<&'static Route>> = BTreeMap::new();
    for route in endpoint.routes() {
        for path in route.paths() {
            paths.entry(path).or_default().push(route);
        }
    }
    paths
        .into_iter()
        .fold(Router::new(), |router, (path, routes)| {
            router.route(&path, methods(&endpoint, &routes))
        })
}

/// The methods of one path; others are answered with 405.
fn methods<S: Clone + Send + Sync + 'static>(
    endpoint: &Arc<dyn Endpoint>,
    routes: &[&'static Route],
) -> MethodRouter<S> {
    let allow: Arc<str> = Route::allow(routes.iter().copied()).into();
    let others = move || async move { convert::response(method_not_allowed(&allow)) };
    routes
        .iter()
        .fold(MethodRouter::new().fallback(others), |methods, route| {
            let filter = MethodFilter::try_from(route.method())
                .unwrap_or_else(|_| panic!("axum has no filter for {}", route.method));
            let (endpoint, route) = (Arc::clone(endpoint), *route);
            methods.on(filter, move |request: Request| async move {
                answer(&*endpoint, route, request).await
            })
        })
}

async fn answer(endpoint: &dyn Endpoint, route: &Route, request: Request) -> Response {
    convert::response(match inbound(endpoint, route, request).await {
        Ok(inbound) => endpoint.call(route.op, inbound).await,
        Err(refusal) => refusal,
    })
}

async fn inbound(
    endpoint: &dyn Endpoint,
    route: &Route,
    request: Request,
) -> Result<Inbound, HttpResponse<Body>> {
    let (mut parts, body) = request.into_parts();
    let headers = convert::headers(&parts).into_owned();
    endpoint
        .admit(route.op, &headers)
        .map_err(Problem::into_response)?;
    let params = event::params(&mut parts)
        .await
        .map_err(Problem::into_response)?;
    let body =
        match route.body_limit {
            0 => Bytes::new(),
            limit => to_bytes(body, limit).await.map_err(|error| {
                match convert::is_over_limit(&error) {
                    true => too_large(limit),
                    false => Problem::new(Code::MALFORMED)
                        .detail("the body broke off")
                        .into_response(),
                }
            })?,
        };
    Ok(Inbound {
        method: parts.method.clone(),
        params,
        query: parts.uri.query().map(str::to_owned),
        headers,
        caller: caller(&parts).cloned(),
        body,
    })
}
