//! The contract's routes, registered natively.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::guard::{self, GuardContext};
use actix_web::http::Method;
use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use ticketon_queue::WaitingQueue;
use ticketon_queue::http::{
    AdminHttp, AdminToken, Body, Code, Endpoint, Inbound, Problem, QueueHttp, Route,
    method_not_allowed, too_large,
};

use crate::principal::caller;
use crate::{convert, event};

/// The routes for people who wait: join, look, leave, and their own lease.
///
/// Configure an `App` or a scope with them; an [`Identify`](crate::Identify) around them says who calls.
pub fn routes(queue: &WaitingQueue) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    routes_of(QueueHttp::new(queue))
}

/// The routes for operators, who carry the token as `Authorization: Bearer <token>`.
pub fn admin_routes(
    queue: &WaitingQueue,
    token: AdminToken,
) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    routes_of(AdminHttp::new(queue, token))
}

/// The routes of any endpoint, such as the waiting page.
pub fn routes_of<E: Endpoint>(endpoint: E) -> impl Fn(&mut ServiceConfig) + Clone + use<E> {
    let endpoint: Arc<dyn Endpoint> = Arc::new(endpoint);
    let mut paths: BTreeMap<String, Vec<&'static Route>> = BTreeMap::new();
    for route in endpoint.routes() {
        for path in route.paths() {
            paths.entry(path).or_default().push(route);
        }
    }
    move |config| {
        for (path, routes) in &paths {
            config.service(resource(path, routes, &endpoint));
        }
    }
}

/// The methods of one path; others are answered with 405.
fn resource(
    path: &str,
    routes: &[&'static Route],
    endpoint: &Arc<dyn Endpoint>,
) -> actix_web::Resource {
    let allow: Arc<str> = Route::allow(routes.iter().copied()).into();
    let others = web::to(move || {
        let answer = method_not_allowed(&allow);
        async { convert::response(answer) }
    });
    routes
        .iter()
        .fold(web::resource(path), |resource, route| {
            let (endpoint, route) = (Arc::clone(endpoint), *route);
            let handler = move |request: HttpRequest, payload: Payload| {
                let endpoint = Arc::clone(&endpoint);
                async move { answer(&*endpoint, route, &request, payload).await }
            };
            let by_method = guard::fn_guard(move |context| has_method(route, context));
            resource.route(web::route().guard(by_method).to(handler))
        })
        .default_service(others)
}

/// `HEAD` reaches `GET` routes.
fn has_method(route: &Route, context: &GuardContext<'_>) -> bool {
    let method = &context.head().method;
    method.as_str() == route.method || (*method == Method::HEAD && route.method == "GET")
}

async fn answer(
    endpoint: &dyn Endpoint,
    route: &Route,
    request: &HttpRequest,
    payload: Payload,
) -> HttpResponse {
    convert::response(match inbound(endpoint, route, request, payload).await {
        Ok(inbound) => endpoint.call(route.op, inbound).await,
        Err(refusal) => refusal,
    })
}

async fn inbound(
    endpoint: &dyn Endpoint,
    route: &Route,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Inbound, http::Response<Body>> {
    let headers = convert::headers(request.head());
    endpoint
        .admit(route.op, &headers)
        .map_err(Problem::into_response)?;
    let params = event::params(request).map_err(Problem::into_response)?;
    let body = match route.body_limit {
        0 => Bytes::new(),
        limit => match payload.to_bytes_limited(limit).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                let problem = Problem::new(Code::MALFORMED).detail("the body broke off");
                return Err(problem.into_response());
            }
            Err(_) => return Err(too_large(limit)),
        },
    };
    Ok(Inbound {
        method: convert::method(request.method()),
        params,
        query: request.uri().query().map(str::to_owned),
        headers,
        caller: caller(request),
        body,
    })
}
