//! Guard decisions: may this request pass this door?
//!
//! The first call with an unclaimed token claims the admission and answers with a claimed token.
//! Claimed tokens are checked against the store, or offline, as the host chooses. Without a store
//! the door stays shut, unless the host says otherwise and bounds how many may pass.
//!
//! Looking claims nothing. `HEAD` with an unclaimed token passes while the lease lives, and leaves
//! it unclaimed. A browser's prefetch or prerender with one is refused (403 `admissionRequired`);
//! no refused prefetch is redirected, so that the browser asks again when the person comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::admission::{AdmissionClaims, Holder, SKEW_MS, token_expires_at_ms};
use crate::clock::UnixMs;
use crate::error::QueueError;
use crate::http::{
    ADMISSION_HEADER, AdmissionSource, Code, Principal, Problem, admission_cookie, admission_from,
    is_prefetch, is_same_origin, prefers_page, safe_return,
};
use crate::id::{EventId, UserId};
use crate::queue::WaitingQueue;
use crate::store::{Fenced, Lease, Standing};

/// Leases remembered by a guard at the most.
const MAX_CACHED: usize = 100_000;
/// In a token's last moments the store is asked whether the lease was extended.
const NEAR_END_MS: i64 = 10_000;

/// How a claimed token is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Against the store: sees a revocation within `cache`. The default, with one second. When
    /// the lease was extended, the answer carries a token that lasts as long.
    Lease {
        /// How long an answer of the store is believed.
        cache: Duration,
    },
    /// By signature and deadline alone: no call to the store for claimed tokens. An admission that
    /// was given up or completed passes until its token expires, and one that was extended needs
    /// a new token: [`WaitingQueue::sign`] makes it.
    Offline,
}

/// What the door does while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreDown {
    /// Nobody passes: 503. The default.
    Refuse,
    /// Whoever has an unexpired token passes, this many a second at the most.
    Pass {
        /// How many a second.
        per_second: u32,
    },
}

/// A request at a door.
#[derive(Debug, Clone, Copy)]
pub struct GuardRequest<'a> {
    /// The event behind the door.
    pub event: &'a EventId,
    /// The method.
    pub method: &'a Method,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Path and query, to return to.
    pub address: &'a str,
    /// Who calls.
    pub caller: Option<&'a Principal>,
    /// Whether a refusal may be a redirect to the waiting page.
    pub page: bool,
}

/// What a guard decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Come in.
    Open(Admission),
    /// To the waiting page (303).
    Redirect(Uri),
    /// No.
    Refuse(Problem),
}

/// A verified admission.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// The event.
    pub event: EventId,
    /// The person.
    pub user: UserId,
    /// The lease's fence: what completes, extends or leaves it compares this.
    pub fence: u64,
    /// The room's epoch.
    pub epoch: u64,
    /// When the token expires: the one that the answer carries, if it carries one.
    pub expires_at_ms: UnixMs,
    /// Headers for the answer, when the call claimed the admission or found it extended.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Admission {
    /// The headers that the answer must carry: the claimed token, when this call claimed it or
    /// the lease was extended. With a token comes `Cache-Control: no-store`, which goes in the
    /// place of the answer's own; `Set-Cookie` goes beside others.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        self.headers.iter().cloned()
    }

    /// Writes these headers into those of the answer.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            if name == http::header::SET_COOKIE {
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
    }
}

impl Holder for Admission {
    fn event(&self) -> &EventId {
        &self.event
    }

    fn user(&self) -> &UserId {
        &self.user
    }

    fn admission_fence(&self) -> Option<u64> {
        Some(self.fence)
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission")
            .field("event", &self.event)
            .field("user", &self.user)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Memory {
    /// Lease deadline and when it was read.
    leases: HashMap<(EventId, UserId, u64), (UnixMs, UnixMs)>,
    /// Passes left while the store is down, in thousandths, and when that was counted.
    passes_milli: i64,
    passes_at: UnixMs,
}

/// A door's policy. Cloning shares what it remembers.
#[derive(Debug, Clone)]
pub struct Guard {
    queue: WaitingQueue,
    check: Check,
    store_down: StoreDown,
    waiting_page: Option<Arc<str>>,
    memory: Arc<Mutex<Memory>>,
}

impl Guard {
    /// A guard that checks leases, refuses while the store is down, and knows no waiting page.
    #[must_use]
    pub fn new(queue: &WaitingQueue) -> Self {
        Self {
            queue: queue.clone(),
            check: Check::Lease {
                cache: Duration::from_secs(1),
            },
            store_down: StoreDown::Refuse,
            waiting_page: None,
            memory: Arc::default(),
        }
    }

    /// How claimed tokens are checked.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// Checks leases against the store, believing an answer for this long.
    #[must_use]
    pub fn cache(self, cache: Duration) -> Self {
        self.check(Check::Lease { cache })
    }

    /// What happens while the store does not answer.
    #[must_use]
    pub fn store_down(mut self, policy: StoreDown) -> Self {
        self.store_down = policy;
        self
    }

    /// Where people without an admission who ask for a page are sent: a path with one `{name}` in
    /// the place of the event's id.
    #[must_use]
    pub fn waiting_page(mut self, path: impl Into<Arc<str>>) -> Self {
        self.waiting_page = Some(path.into());
        self
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &WaitingQueue {
        &self.queue
    }

    /// Decides about a request.
    pub async fn admit(&self, request: &GuardRequest<'_>) -> Door {
        match self.try_admit(request).await {
            Ok(admission) => Door::Open(admission),
            Err(problem) => self.refuse(request, problem),
        }
    }

    fn refuse(&self, request: &GuardRequest<'_>, problem: Problem) -> Door {
        let waits = matches!(
            problem.code,
            Code::ADMISSION_REQUIRED | Code::UNAUTHENTICATED
        );
        if waits
            && request.page
            && !is_prefetch(request.headers)
            && prefers_page(request.method, request.headers)
            && let Some(page) = &self.waiting_page
            && let Some(uri) = page_uri(page, request.event, request.address)
        {
            return Door::Redirect(uri);
        }
        Door::Refuse(problem)
    }

    async fn try_admit(&self, request: &GuardRequest<'_>) -> Result<Admission, Problem> {
        let caller = request
            .caller
            .ok_or_else(|| Problem::new(Code::UNAUTHENTICATED))?;
        let (token, source) = admission_from(request.headers, request.event)
            .ok_or_else(|| Problem::new(Code::ADMISSION_REQUIRED))?;
        if source == AdmissionSource::Cookie
            && !request.method.is_safe()
            && !is_same_origin(request.headers)
        {
            return Err(Problem::new(Code::FORBIDDEN).detail("the request comes from another site"));
        }
        let claims = self
            .queue
            .verify(token)
            .map_err(|error| Problem::new(Code::ADMISSION_REQUIRED).detail(error.to_string()))?;
        if claims.event != *request.event || claims.user != caller.user {
            return Err(Problem::new(Code::ADMISSION_REQUIRED)
                .detail("the admission is for another event or another person"));
        }
        if !claims.claimed && is_prefetch(request.headers) {
            return Err(Problem::new(Code::ADMISSION_REQUIRED)
                .detail("asking ahead does not claim an admission"));
        }
        let looks = *request.method == Method::HEAD;
        self.check_claims(claims, looks).await
    }

    async fn check_claims(
        &self,
        claims: AdmissionClaims,
        looks: bool,
    ) -> Result<Admission, Problem> {
        let cache_ms = match self.check {
            Check::Offline if claims.claimed => return Ok(admission(claims, Vec::new())),
            Check::Offline => 0,
            Check::Lease { cache } => i64::try_from(cache.as_millis()).unwrap_or(i64::MAX),
        };
        let now = self.queue.clock().now_ms();
        if claims.claimed && self.is_cached(&claims, now, cache_ms) {
            return Ok(admission(claims, Vec::new()));
        }
        let lease = if claims.claimed || looks {
            self.claimed_lease(&claims).await
        } else {
            self.claim(&claims).await
        };
        match lease {
            Ok(Some(lease)) => {
                if !claims.claimed && looks {
                    return Ok(admission(claims, Vec::new()));
                }
                self.keep(&claims, &lease, now, cache_ms);
                let extended = lease.deadline_ms() - claims.expires_at_ms > SKEW_MS;
                if claims.claimed && !extended {
                    return Ok(admission(claims, Vec::new()));
                }
                let headers = self.claimed_headers(&claims, &lease, now);
                let expires_at_ms = token_expires_at_ms(&lease);
                Ok(Admission {
                    expires_at_ms,
                    ..admission(claims, headers)
                })
            }
            Ok(None) => {
                Err(Problem::new(Code::ADMISSION_REQUIRED).detail("the admission has ended"))
            }
            Err(error @ QueueError::Store(_)) => match self.pass_while_down(now) {
                true => Ok(admission(claims, Vec::new())),
                false => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn claimed_lease(&self, claims: &AdmissionClaims) -> Result<Option<Lease>, QueueError> {
        let standing = self.queue.standing(&claims.event, &claims.user).await?;
        Ok(match standing {
            Standing::Admitted(lease)
                if lease.fence == claims.fence && lease.epoch == claims.epoch =>
            {
                Some(lease)
            }
            _ => None,
        })
    }

    async fn claim(&self, claims: &AdmissionClaims) -> Result<Option<Lease>, QueueError> {
        let claimed = self
            .queue
            .claim(&claims.event, &claims.user, claims.fence)
            .await?;
        Ok(match claimed {
            Fenced::Done(lease) if lease.epoch == claims.epoch => Some(lease),
            _ => None,
        })
    }

    fn claimed_headers(
        &self,
        claims: &AdmissionClaims,
        lease: &Lease,
        now: UnixMs,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let token = self.queue.sign(&claims.event, &claims.user, lease);
        let cookie = admission_cookie(
            &claims.event,
            &token,
            lease.expires_at_ms,
            now,
            self.queue.secure_cookies(),
        );
        let mut value = HeaderValue::try_from(token)
            .unwrap_or_else(|_| unreachable!("base64url is visible ASCII"));
        value.set_sensitive(true);
        vec![
            (ADMISSION_HEADER, value),
            (http::header::SET_COOKIE, cookie),
            (
                http::header::CACHE_CONTROL,
                HeaderValue::from_static("no-store"),
            ),
        ]
    }

    fn is_cached(&self, claims: &AdmissionClaims, now: UnixMs, cache_ms: i64) -> bool {
        if claims.expires_at_ms - now <= NEAR_END_MS {
            return false;
        }
        let key = (claims.event.clone(), claims.user.clone(), claims.fence);
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.leases.get(&key).is_some_and(|(deadline, read_at)| {
            *deadline > now && now >= *read_at && now - read_at < cache_ms
        })
    }

    fn keep(&self, claims: &AdmissionClaims, lease: &Lease, now: UnixMs, cache_ms: i64) {
        if cache_ms == 0 {
            return;
        }
        let key = (claims.event.clone(), claims.user.clone(), claims.fence);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.leases.len() >= MAX_CACHED {
            memory
                .leases
                .retain(|_, (_, read_at)| now - *read_at < cache_ms);
            if memory.leases.len() >= MAX_CACHED {
                memory.leases.clear();
            }
        }
        memory.leases.insert(key, (lease.deadline_ms(), now));
    }

    /// Takes one pass from the budget for times without a store.
    fn pass_while_down(&self, now: UnixMs) -> bool {
        let StoreDown::Pass { per_second } = self.store_down else {
            return false;
        };
        let full = i64::from(per_second) * 1_000;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = (now - memory.passes_at).clamp(0, 1_000);
        memory.passes_milli = (memory.passes_milli + elapsed * i64::from(per_second)).min(full);
        memory.passes_at = now;
        let pass = memory.passes_milli >= 1_000;
        if pass {
            memory.passes_milli -= 1_000;
        }
        pass
    }
}

impl From<&WaitingQueue> for Guard {
    fn from(queue: &WaitingQueue) -> Self {
        Self::new(queue)
    }
}

fn admission(claims: AdmissionClaims, headers: Vec<(HeaderName, HeaderValue)>) -> Admission {
    Admission {
        event: claims.event,
        user: claims.user,
        fence: claims.fence,
        epoch: claims.epoch,
        expires_at_ms: claims.expires_at_ms,
        headers,
    }
}

/// The waiting page of an event, with the address to return to.
fn page_uri(page: &str, event: &EventId, address: &str) -> Option<Uri> {
    let id: String = percent_encode(event.as_str());
    let path = match (page.find('{'), page.find('}')) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{id}{}", &page[..from], &page[to + 1..])
        }
        _ => page.to_owned(),
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    let address = safe_return(address).unwrap_or("/");
    format!("{path}{separator}return={}", percent_encode(address))
        .parse()
        .ok()
}

/// Percent-encodes all but RFC 3986's unreserved characters.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waiting_page_knows_where_to_return() {
        let event = EventId::new("a b").unwrap();
        let uri = page_uri("/wait/{event_id}", &event, "/shop/a%20b?x=1&y=2").unwrap();
        assert_eq!(
            uri.to_string(),
            "/wait/a%20b?return=%2Fshop%2Fa%2520b%3Fx%3D1%26y%3D2"
        );
        let uri = page_uri("/wait?e={id}", &event, "//evil.test").unwrap();
        assert_eq!(uri.to_string(), "/wait?e=a%20b&return=%2F");
    }
}
