//! Where events, orders and tickets are kept: a file of SQLite by default, or MySQL.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::purchase::{TicketKeys, TicketPublicKeys};
use ticketon_queue::id::random_bytes;

use crate::args::Secret;
use crate::whole;

/// The file that a process without options makes in the folder that it runs in.
const DEFAULT_URL: &str = "sqlite:ticketon.db";

/// Where things are kept for good.
#[derive(Debug, Clone, Args)]
pub(crate) struct DatabaseArgs {
    /// Where events, orders and tickets are kept: sqlite:path, sqlite::memory: or mysql://user:password@host:port/name.
    #[arg(
        long = "database",
        env = "TICKETON_DATABASE_URL",
        hide_env_values = true,
        default_value = DEFAULT_URL,
        value_name = "URL",
        global = true
    )]
    pub(crate) url: Secret,

    /// A replica of the database that listings are read from.
    #[arg(
        long = "database-replica",
        env = "TICKETON_DATABASE_REPLICA_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) replica: Option<Secret>,

    /// Keys that sign tickets, the current one first: id:base64[,id:base64...], 32 bytes each. All processes need the
    /// same. Without it they are kept beside a file of SQLite.
    #[arg(
        long,
        env = "TICKETON_TICKET_KEYS",
        hide_env_values = true,
        value_name = "KEYS",
        global = true
    )]
    pub(crate) ticket_keys: Option<Secret>,
}

impl DatabaseArgs {
    /// The store, with its tables. A file's tables are made or brought up to date; a server's must be, by the command
    /// `migrate`.
    ///
    /// # Errors
    /// When the database cannot be reached, or has not the tables of this version.
    pub(crate) async fn open(&self) -> Result<SqlStore, String> {
        let store = self.connect().await?;
        let ready = if self.file().is_some() || self.is_in_memory() {
            store.migrate().await
        } else {
            store.is_migrated().await
        };
        ready.map_err(|error| self.said(&error))?;
        Ok(store)
    }

    /// The store as it is, for who only looks: nothing is made, migrated or changed.
    ///
    /// # Errors
    /// When there is no database, or it has not the tables of this version.
    pub(crate) async fn open_to_read(&self) -> Result<SqlStore, String> {
        if let Some(file) = self.file().filter(|file| !file.exists()) {
            return Err(format!("there is no database {}", file.display()));
        }
        let store = SqlStore::connect_read_only(self.url.expose())
            .await
            .map_err(|error| self.said(&error))?;
        store
            .is_migrated()
            .await
            .map_err(|error| self.said(&error))?;
        Ok(store)
    }

    /// Makes the tables, or brings them up to date.
    ///
    /// # Errors
    /// When the database cannot be reached or changed.
    pub(crate) async fn migrate(&self) -> Result<(), String> {
        let store = self.connect().await?;
        store.migrate().await.map_err(|error| self.said(&error))
    }

    async fn connect(&self) -> Result<SqlStore, String> {
        let store = SqlStore::connect(self.url.expose())
            .await
            .map_err(|error| self.said(&error))?;
        match &self.replica {
            Some(replica) => store.read_replica(replica.expose()).map_err(|error| {
                format!(
                    "TICKETON_DATABASE_REPLICA_URL or --database-replica: {}",
                    whole(&error)
                )
            }),
            None => Ok(store),
        }
    }

    fn said(&self, error: &dyn std::error::Error) -> String {
        format!("TICKETON_DATABASE_URL or --database: {}", whole(error))
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let path = self.url.expose().strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split('?').next().unwrap_or(path);
        (path != ":memory:").then(|| PathBuf::from(path))
    }

    fn is_in_memory(&self) -> bool {
        self.url.expose().contains(":memory:")
    }

    /// Whether tickets can be signed so that every process, and each one after a restart, knows them.
    ///
    /// # Errors
    /// When the database is a server, and no keys were given.
    pub(crate) fn check_keys(&self) -> Result<(), String> {
        if self.ticket_keys.is_some() || self.is_in_memory() || self.file().is_some() {
            return Ok(());
        }
        Err("TICKETON_TICKET_KEYS or --ticket-keys must be set when the database is a server: all processes sign tickets \
             with the same keys, before and after a restart; make some with: echo \"2026-01:$(head -c 32 /dev/urandom | base64)\""
            .to_owned())
    }

    /// The keys that sign tickets: those that were given, or those beside the file, which are made at the first start.
    ///
    /// # Errors
    /// When the keys that were given, or those beside the file, cannot be read, or none can be written there.
    pub(crate) fn keys(&self) -> Result<Option<TicketKeys>, String> {
        if let Some(text) = &self.ticket_keys {
            let keys = text.expose().parse();
            return keys
                .map(Some)
                .map_err(|error| format!("TICKETON_TICKET_KEYS or --ticket-keys: {error}"));
        }
        let Some((path, text)) = self.secret_beside("ticket-keys")? else {
            return Ok(None);
        };
        let keys = text.parse();
        keys.map(Some)
            .map_err(|error| format!("the ticket keys in {}: {error}", path.display()))
    }

    /// The public halves of the keys that sign tickets.
    ///
    /// # Errors
    /// Like [`keys`](Self::keys), and when tickets are signed with keys that nobody else knows.
    pub(crate) fn public_keys(&self) -> Result<TicketPublicKeys, String> {
        self.check_keys()?;
        let keys = self.keys()?.ok_or(
            "a database in memory has its tickets signed with keys of its process alone: give --ticket-keys (TICKETON_TICKET_KEYS)",
        )?;
        Ok(keys.public().clone())
    }

    /// The keys that sign guests and admissions beside the file, as `id:base64`, made at the first start: who bought as a
    /// guest is known after a restart.
    ///
    /// # Errors
    /// When they cannot be read, or none can be written there.
    pub(crate) fn admission_keys(&self) -> Result<Option<(PathBuf, String)>, String> {
        self.secret_beside("admission-keys")
    }

    /// A secret in a file beside the database's, and where that is; made when there is none. `None` without a file.
    fn secret_beside(&self, name: &str) -> Result<Option<(PathBuf, String)>, String> {
        let Some(mut path) = self.file() else {
            return Ok(None);
        };
        path.as_mut_os_string().push(format!(".{name}"));
        let said = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = format!("local:{}", STANDARD.encode(random_bytes::<32>()));
                write_secret(&path, &text).map_err(said)?;
                text
            }
            Err(error) => return Err(said(error)),
        };
        Ok(Some((path, text)))
    }
}

/// Writes a new file that only its owner may read.
pub(crate) fn write_secret(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}
