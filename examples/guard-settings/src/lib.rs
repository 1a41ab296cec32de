//! What the examples `axum-guard` and `actix-guard` are told: one flag and the environment.
//!
//! | setting | says |
//! | --- | --- |
//! | `--listen <address>` | where to listen; `127.0.0.1:3000` by default |
//! | `TICKETON_ADMIN_TOKEN` | mounts the operators' routes for who carries this token |
//! | `TICKETON_ADMISSION_SECRET` | signs tokens; random without it, so needed by several processes |
//! | `TICKETON_REDIS_URL` | rooms in this Redis (feature `redis`) instead of in memory |
//! | `TICKETON_CHECK` | `lease`: claimed admissions are checked in the store (the default); `offline`: by their signature alone |
//! | `TICKETON_STORE_DOWN` | `refuse`: nobody passes while the store is down (the default); `<n>`: so many a second |

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use ticketon_queue::guard::{Check, StoreDown};
use ticketon_queue::http::AdminToken;
use ticketon_queue::{AdmissionKeys, MemoryStore, WaitingQueue, WaitingQueueBuilder};

/// The settings, checked.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: String,
    /// The operators' token.
    pub admin: Option<AdminToken>,
    /// How the door checks claimed admissions.
    pub check: Check,
    /// What the door does while the store is down.
    pub store_down: StoreDown,
    keys: Option<AdmissionKeys>,
    redis_url: Option<String>,
}

impl Settings {
    /// Reads the flag and the environment.
    ///
    /// # Errors
    /// A message that names the setting and what it accepts.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let mut listen = "127.0.0.1:3000".to_owned();
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match (arg.as_str(), args.next()) {
                ("--listen", Some(address)) => listen = address,
                _ => return Err(format!("{arg}: the only flag is --listen <address>").into()),
            }
        }
        Ok(Self {
            listen,
            admin: variable("TICKETON_ADMIN_TOKEN", AdminToken::new)?,
            check: variable("TICKETON_CHECK", check)?.unwrap_or(LEASE),
            store_down: variable("TICKETON_STORE_DOWN", store_down)?.unwrap_or(StoreDown::Refuse),
            keys: variable("TICKETON_ADMISSION_SECRET", |secret| {
                AdmissionKeys::new("env", secret)
            })?,
            redis_url: std::env::var("TICKETON_REDIS_URL").ok(),
        })
    }

    /// Starts the queue over the chosen store.
    ///
    /// # Errors
    /// When the store does not answer, or the program was built without it.
    pub async fn start_queue(&self) -> Result<WaitingQueue, Box<dyn Error>> {
        let mut builder = match &self.redis_url {
            Some(url) => over_redis(url).await?,
            None => WaitingQueue::builder(MemoryStore::new()),
        };
        if let Some(keys) = &self.keys {
            builder = builder.admission_keys(keys.clone());
        }
        Ok(builder.start().await?)
    }
}

/// As by default: what the store said is believed for a second.
const LEASE: Check = Check::Lease {
    cache: Duration::from_secs(1),
};

fn check(text: &str) -> Result<Check, &'static str> {
    match text {
        "lease" => Ok(LEASE),
        "offline" => Ok(Check::Offline),
        _ => Err("expected lease or offline"),
    }
}

fn store_down(text: &str) -> Result<StoreDown, &'static str> {
    match (text, text.parse()) {
        ("refuse", _) => Ok(StoreDown::Refuse),
        (_, Ok(per_second)) => Ok(StoreDown::Pass { per_second }),
        _ => Err("expected refuse or a number of people a second"),
    }
}

/// A variable of the environment, if it is set.
fn variable<T, E: Display>(
    name: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    let value = std::env::var(name).ok();
    let value = value.as_deref().map(read).transpose();
    value.map_err(|why| format!("{name}: {why}"))
}

#[cfg(feature = "redis")]
async fn over_redis(url: &str) -> Result<WaitingQueueBuilder, Box<dyn Error>> {
    let store = ticketon_queue::RedisStore::connect(url).await?;
    Ok(WaitingQueue::builder(store))
}

#[cfg(not(feature = "redis"))]
async fn over_redis(_: &str) -> Result<WaitingQueueBuilder, Box<dyn Error>> {
    Err("TICKETON_REDIS_URL is set: build with `--features redis`".into())
}
