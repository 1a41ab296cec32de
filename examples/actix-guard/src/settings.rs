//! What the program is told: one flag and the environment.
//!
//! | setting | says |
//! | --- | --- |
//! | `--listen <address>` | where to listen; `127.0.0.1:3000` by default |
//! | `TICKETON_ADMIN_TOKEN` | mounts the operators' routes for who carries this token |
//! | `TICKETON_ADMISSION_SECRET` | signs tokens; random without it, so needed by several processes |
//! | `TICKETON_REDIS_URL` | rooms in this Redis (feature `redis`) instead of in memory |

use std::error::Error;

use ticketon_queue::http::AdminToken;
use ticketon_queue::{AdmissionKeys, MemoryStore, WaitingQueue, WaitingQueueBuilder};

/// The settings, checked.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: String,
    /// The operators' token.
    pub admin: Option<AdminToken>,
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
        let variable = |name| std::env::var(name).ok();
        let admin = variable("TICKETON_ADMIN_TOKEN");
        let secret = variable("TICKETON_ADMISSION_SECRET");
        Ok(Self {
            listen,
            admin: admin.map(|token| AdminToken::new(&token)).transpose()?,
            keys: secret
                .map(|secret| AdmissionKeys::new("env", secret))
                .transpose()?,
            redis_url: variable("TICKETON_REDIS_URL"),
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

#[cfg(feature = "redis")]
async fn over_redis(url: &str) -> Result<WaitingQueueBuilder, Box<dyn Error>> {
    let store = ticketon_queue::RedisStore::connect(url).await?;
    Ok(WaitingQueue::builder(store))
}

#[cfg(not(feature = "redis"))]
async fn over_redis(_: &str) -> Result<WaitingQueueBuilder, Box<dyn Error>> {
    Err("TICKETON_REDIS_URL is set: build with `--features redis`".into())
}
