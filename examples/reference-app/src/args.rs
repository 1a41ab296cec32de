//! The command line and its environment variables, checked before anything starts.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Parser, Subcommand, ValueEnum};
use ticketon_queue::AdmissionKeys;
use ticketon_queue::http::AdminToken;

use crate::audit::{AuditArgs, AuditCommand};
use crate::database::DatabaseArgs;
use crate::limits::Limit;
use crate::outbox::{KafkaArgs, OutboxCommand};
use crate::payments::PaymentArgs;
use crate::proxies::Proxy;

/// Ticketon: a fair waiting room for ticket on-sales. Without options everything is embedded.
#[derive(Debug, Clone, Parser)]
#[command(name = "reference-app", version)]
pub(crate) struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,

    #[command(flatten)]
    pub(crate) payments: PaymentArgs,

    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,

    #[command(flatten)]
    pub(crate) audit: AuditArgs,

    /// Address and port to listen on, like 127.0.0.1:8080.
    #[arg(
        long,
        env = "TICKETON_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR:PORT",
        value_parser = listen_address
    )]
    pub(crate) listen: SocketAddr,

    /// Redis that all processes share: redis://host:port, redis+cluster://host:port,host:port or
    /// redis+sentinel://host:port,host:port/master-name; rediss for TLS. Without it the rooms live in memory.
    #[arg(
        long,
        env = "TICKETON_REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) redis_url: Option<Secret>,

    /// What this process does: everything, or talk to people, or admit them. The last two need Redis.
    #[arg(long, env = "TICKETON_ROLE", value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,

    /// The operator's key: at least 16 visible ASCII characters. Made up and printed if it is missing.
    #[arg(
        long,
        env = "TICKETON_ADMIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) admin_token: Option<Secret>,

    /// Keys that sign admissions and guests, the current one first: id:base64[,id:base64...], 32
    /// bytes each. All processes need the same. Random if missing.
    #[arg(
        long,
        env = "TICKETON_ADMISSION_KEYS",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub(crate) admission_keys: Option<Secret>,

    /// Cookies carry `Secure`: set it wherever visitors come over HTTPS.
    #[arg(long, env = "TICKETON_SECURE_COOKIES")]
    pub(crate) secure_cookies: bool,

    /// Guests that one client address may become: so many a second, after so many at once; or none for no limit.
    #[arg(
        long,
        env = "TICKETON_GUEST_LIMIT",
        default_value = "10:2000",
        value_name = "RATE:BURST"
    )]
    pub(crate) guest_limit: Limit,

    /// Joins, polls and reconnects of one client address, and as many calls about purchases: so many a second, after so many at once; or none.
    #[arg(
        long,
        env = "TICKETON_JOIN_LIMIT",
        default_value = "200:5000",
        value_name = "RATE:BURST"
    )]
    pub(crate) join_limit: Limit,

    /// Proxies that tell the client's address by X-Forwarded-For: addresses or networks, separated by commas. Nobody
    /// else is believed; without any, the address of the connection counts.
    #[arg(
        long,
        env = "TICKETON_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "ADDRESSES"
    )]
    pub(crate) trusted_proxies: Vec<Proxy>,

    /// Do not make the event `demo` and its simulated crowd.
    #[arg(long, env = "TICKETON_NO_DEMO")]
    pub(crate) no_demo: bool,

    /// How logs look on standard error.
    #[arg(long, env = "TICKETON_LOG_FORMAT", value_enum, default_value_t = LogFormat::Pretty)]
    pub(crate) log_format: LogFormat,

    /// Which logs: a level, or target=level pairs.
    #[arg(
        long,
        env = "TICKETON_LOG",
        default_value = "info,redis=error",
        value_name = "FILTER"
    )]
    pub(crate) log: String,
}

/// What to do instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Make the tables of the database, or bring them up to date.
    Migrate,
    /// Print the public halves of the keys that sign tickets: with them a gate checks tickets by itself.
    TicketKeys,
    /// Look at the audit of orders, or seal it.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at the events that wait, try refused ones again, or change where they go.
    #[command(subcommand)]
    Outbox(OutboxCommand),
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything.
    All,
    /// Talks to people, and leaves admitting to others.
    Broker,
    /// Admits people, and serves health and metrics alone.
    Dispatcher,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// A value that `Debug` does not show.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The value.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

/// Reads an address to listen on.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, like 127.0.0.1:8080".to_owned())
}

impl Args {
    /// Whether the options fit together.
    ///
    /// # Errors
    /// When a role that leaves half of the work to other processes shares no rooms with them.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.payments.check()?;
        let role = match self.role {
            Role::All => return Ok(()),
            Role::Broker => "broker",
            Role::Dispatcher => "dispatcher",
        };
        if self.redis_url.is_some() {
            return Ok(());
        }
        Err(format!(
            "--role {role} needs --redis-url (TICKETON_REDIS_URL): it shares rooms with other processes"
        ))
    }

    /// The operator's key, and whether it was made up.
    ///
    /// # Errors
    /// When the given key is too short or has characters that a header cannot carry.
    pub(crate) fn admin_token(&self) -> Result<(AdminToken, Option<String>), String> {
        let (text, made_up) = match &self.admin_token {
            Some(token) => (token.expose().to_owned(), false),
            None => {
                let number = u128::from_ne_bytes(ticketon_queue::id::random_bytes());
                (format!("{number:032x}"), true)
            }
        };
        let token = AdminToken::new(&text)
            .map_err(|error| format!("TICKETON_ADMIN_TOKEN or --admin-token: {error}"))?;
        Ok((token, made_up.then_some(text)))
    }

    /// The signing keys: those that were given, or those beside the database's file where this process shares its rooms
    /// with nobody.
    ///
    /// # Errors
    /// When one is not `id:base64` of at least 32 bytes.
    pub(crate) fn admission_keys(&self) -> Result<Option<AdmissionKeys>, String> {
        let given = self.admission_keys.as_ref();
        if let Some(text) = given {
            let place = "TICKETON_ADMISSION_KEYS or --admission-keys";
            return read_keys(text.expose(), place).map(Some);
        }
        if self.redis_url.is_some() {
            return Ok(None);
        }
        match self.database.admission_keys()? {
            Some((path, text)) => read_keys(&text, &path.display().to_string()).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads signing keys; the first signs.
fn read_keys(text: &str, place: &str) -> Result<AdmissionKeys, String> {
    let mut keys: Option<AdmissionKeys> = None;
    for (index, part) in text.split(',').enumerate() {
        let said = |what: String| format!("{place}, key {}: {what}", index + 1);
        let (id, secret) = part
            .split_once(':')
            .ok_or_else(|| said("expected id:base64".to_owned()))?;
        let secret = STANDARD
            .decode(secret)
            .map_err(|_| said("the part after ':' is not base64".to_owned()))?;
        let added = match keys {
            None => AdmissionKeys::new(id, secret),
            Some(keys) => keys.also_accept(id, secret),
        };
        keys = Some(added.map_err(|error| said(error.to_string()))?);
    }
    keys.ok_or_else(|| format!("{place}: no key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Args {
        let all = ["reference-app"].into_iter().chain(line.iter().copied());
        Args::try_parse_from(all).unwrap()
    }

    #[test]
    fn half_of_the_work_needs_shared_rooms() {
        for role in ["broker", "dispatcher"] {
            let error = args(&["--role", role]).check().unwrap_err();
            assert!(
                error.contains(&format!("--role {role} needs --redis-url")),
                "{error}"
            );
            let shared = args(&["--role", role, "--redis-url", "redis://127.0.0.1"]);
            assert!(shared.check().is_ok());
        }
        assert!(args(&[]).check().is_ok());
    }

    #[test]
    fn a_wrong_address_is_told_what_one_looks_like() {
        let error = Args::try_parse_from(["reference-app", "--listen", "8080"]).unwrap_err();
        assert!(error.to_string().contains("like 127.0.0.1:8080"), "{error}");
    }

    #[test]
    fn secrets_are_checked_and_hidden() {
        let key = STANDARD.encode([7; 32]);
        let given = args(&[
            "--admin-token",
            "0123456789abcdef",
            "--admission-keys",
            &format!("a:{key},b:{key}"),
        ]);
        assert!(given.admin_token().unwrap().1.is_none());
        assert!(given.admission_keys().unwrap().is_some());
        assert!(!format!("{given:?}").contains("0123456789abcdef"));
        assert!(args(&[]).admin_token().unwrap().1.is_some());
        let error = args(&["--admin-token", "short"]).admin_token().unwrap_err();
        assert!(
            error.contains("at least 16") && !error.contains("short"),
            "{error}"
        );
        for bad in ["a", "a:%%", "a:QUJD", &format!("a:{key},a:{key}")] {
            assert!(
                args(&["--admission-keys", bad]).admission_keys().is_err(),
                "{bad}"
            );
        }
    }
}
