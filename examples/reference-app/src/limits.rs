//! How much one client address may ask for: identities and joins.
//!
//! Each address has a bucket that fills at a steady rate; whoever finds it empty is answered 429 with `Retry-After`. A
//! school, an office or a mobile carrier shows many people by one address, so the buckets are large. They live in a
//! table of fixed size, to which addresses are spread by a keyed hash: no crowd of addresses makes it grow, and the
//! few that meet share a bucket.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use http::Method;
use ticketon_axum::Problem;
use ticketon_queue::http::{Code, Op, Problem as CoreProblem, ROUTES};

use crate::proxies::Proxies;

/// 429: an address asks for more than its share.
const TOO_MANY_REQUESTS: Code = Code::new(
    429,
    "tooManyRequests",
    "Too many requests from this address",
);

/// The buckets of one limit: 1 MiB, and few enough addresses meet even when a million come.
const BUCKETS: usize = 1 << 17;

/// A rate for each address: so many a second, after so many at once; or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(Option<Quota>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let number = |text: &str| text.parse::<NonZeroU32>().ok();
        text.split_once(':')
            .and_then(|(rate, burst)| Some((number(rate)?, number(burst)?)))
            .map(|(rate, burst)| Self(Some(Quota::per_second(rate).allow_burst(burst))))
            .ok_or_else(|| {
                "expected <a second>:<at once>, like 10:2000, both at least 1; or none".to_owned()
            })
    }
}

/// Where an address that asks for too much is stopped.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    call: &'static str,
    buckets: Option<Arc<Buckets>>,
    proxies: Arc<Proxies>,
}

impl Gate {
    /// Stops calls of this name beyond the limit.
    pub(crate) fn new(call: &'static str, limit: Limit, proxies: &Arc<Proxies>) -> Self {
        let buckets = |quota| Arc::new(Buckets::new(quota, MonotonicClock));
        Self {
            call,
            buckets: limit.0.map(buckets),
            proxies: Arc::clone(proxies),
        }
    }

    fn pass(&self, peer: SocketAddr, request: &Request) -> Result<(), Problem> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        let client = self.proxies.client(peer.ip(), request.headers());
        buckets.take(client).map_err(|wait| {
            metrics::counter!("ticketon_rate_limited_total", "call" => self.call).increment(1);
            let problem = CoreProblem::new(TOO_MANY_REQUESTS).retry_after(wait);
            Problem(problem.detail(format!("too many {} from {client}", self.call)))
        })
    }
}

/// Lets a request pass within the gate's limit.
///
/// # Errors
/// 429 `tooManyRequests`.
pub(crate) async fn each(
    State(gate): State<Gate>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    gate.pass(peer, &request)?;
    Ok(next.run(request).await)
}

/// As [`each`], of the waiting room's routes for those that join; polls and reconnects are joins too.
///
/// # Errors
/// 429 `tooManyRequests`.
pub(crate) async fn joins(
    State(gate): State<Gate>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let is_join = |path: &str| {
        let mut routes = ROUTES.iter();
        routes.any(|route| route.op == Op::JOIN && route.path == path)
    };
    if request.method() == Method::GET && is_join(path.as_str()) {
        gate.pass(peer, &request)?;
    }
    Ok(next.run(request).await)
}

/// A bucket for each address, in a table of fixed size.
struct Buckets<C: Clock = MonotonicClock>(
    RateLimiter<IpAddr, Table, C, NoOpMiddleware<C::Instant>>,
);

impl<C: Clock> Buckets<C> {
    fn new(quota: Quota, clock: C) -> Self {
        let table = Table {
            buckets: (0..BUCKETS).map(|_| InMemoryState::default()).collect(),
            hash: RandomState::new(),
        };
        Self(RateLimiter::new(quota, table, clock))
    }

    /// Takes one from the bucket of this address, or tells when it will hold one: in whole seconds, and then for sure.
    fn take(&self, client: IpAddr) -> Result<(), Duration> {
        self.0.check_key(&network(client)).map_err(|empty| {
            let wait = empty.wait_time_from(self.0.clock().now());
            Duration::from_secs(wait.as_secs() + 1)
        })
    }
}

impl<C: Clock> fmt::Debug for Buckets<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buckets(..)")
    }
}

struct Table {
    buckets: Box<[InMemoryState]>,
    hash: RandomState,
}

impl StateStore for Table {
    type Key = IpAddr;

    fn measure_and_replace<T, F, E>(&self, client: &IpAddr, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // The low bits: `BUCKETS` is a power of two.
        let index = self.hash.hash_one(client) as usize % BUCKETS;
        self.buckets[index].measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

/// What stands for a client: a subscriber of IPv6 has a whole /64.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(client) => IpAddr::V6((client.to_bits() >> 64 << 64).into()),
        IpAddr::V4(_) => client,
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn buckets(limit: &str) -> (Buckets<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let quota = limit.parse::<Limit>().unwrap().0.unwrap();
        (Buckets::new(quota, clock.clone()), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_gets_its_burst_and_then_its_rate() {
        let (buckets, clock) = buckets("2:100");
        let [ann, ben] = ["192.0.2.1", "192.0.2.2"].map(address);
        let passes = |client| (0..1_000).filter(|_| buckets.take(client).is_ok()).count();
        assert_eq!(passes(ann), 100);
        assert_eq!(buckets.take(ann), Err(Duration::from_secs(1)));
        assert_eq!(passes(ben), 100, "another address has its own bucket");
        clock.advance(Duration::from_secs(10));
        assert_eq!(passes(ann), 20);
        clock.advance(Duration::from_secs(1_000_000));
        assert_eq!(passes(ann), 100, "no more than a bucket is saved up");
    }

    #[test]
    fn who_comes_again_when_told_gets_in() {
        let (buckets, clock) = buckets("3:1");
        let ann = address("192.0.2.1");
        for _ in 0..100 {
            assert!(buckets.take(ann).is_ok());
            clock.advance(buckets.take(ann).unwrap_err());
        }
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one() {
        let (buckets, _) = buckets("1:1");
        assert!(buckets.take(address("2001:db8:0:1::1")).is_ok());
        let same = buckets.take(address("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert!(same.is_err());
        assert!(buckets.take(address("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn a_crowd_of_addresses_is_spread_evenly() {
        let (buckets, _) = buckets("1:1");
        let crowd = (0..BUCKETS as u32).map(|index| IpAddr::V4(index.into()));
        let passed = crowd.filter(|client| buckets.take(*client).is_ok()).count();
        // All thrown at once, balls into as many bins: 1 - 1/e of the bins are hit.
        let expected = BUCKETS as f64 * (1.0 - (-1.0_f64).exp());
        let off = (passed as f64 - expected).abs() / expected;
        assert!(off < 0.05, "{passed} passed");
    }

    #[test]
    fn a_limit_is_two_numbers_or_none() {
        assert_eq!("none".parse(), Ok(Limit(None)));
        assert!("10:2000".parse::<Limit>().is_ok());
        for bad in ["", "10", "0:5", "5:0", "a:b", "1:2:3", "-1:2", "None"] {
            let error = bad.parse::<Limit>().unwrap_err();
            assert!(error.contains("like 10:2000"), "{bad}: {error}");
        }
    }
}
