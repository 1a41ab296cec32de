//! The audit on the command line, and the task that seals it while the service runs.
//!
//! What is found is told line by line on standard output; the process then ends with 1. `docs/audit.md` has the rest.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::audit::{
    Archive, AuditKeys, AuditLog, AuditPublicKeys, CheckpointNote, Extent, Finding, Line,
    MAX_BATCHES, MemoryNote, Noted, Sealer, Verifier, export, read_export, rebuild, rebuild_order,
    seal_noted,
};
use ticketon_domain::purchase::OrderId;
use ticketon_queue::id::random_bytes;
use ticketon_queue::{ConfigError, FieldError, StoreError, SystemClock};

use crate::args::Secret;
use crate::database::{DatabaseArgs, write_secret};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// How the audit is sealed.
#[derive(Debug, Clone, Args)]
pub(crate) struct AuditArgs {
    /// Keys that sign the checkpoints of the audit, the current one first: id:base64[,id:base64...], 32 bytes each. All
    /// processes need the same. Without it one is kept beside a file of SQLite; on a server nothing is sealed.
    #[arg(
        long,
        env = "TICKETON_AUDIT_KEYS",
        hide_env_values = true,
        value_name = "KEYS",
        global = true
    )]
    pub(crate) audit_keys: Option<Secret>,

    /// Public halves of further keys whose checkpoints are believed: id:base64[,id:base64...].
    #[arg(
        long,
        env = "TICKETON_AUDIT_PUBLIC_KEYS",
        value_name = "KEYS",
        global = true
    )]
    pub(crate) audit_public_keys: Option<AuditPublicKeys>,

    /// A file in which the last checkpoint that was seen is noted, best beside the keys and out of the database's reach. A
    /// history that was rewritten is then not signed anew, after a restart either.
    #[arg(long, env = "TICKETON_AUDIT_NOTE", value_name = "FILE", global = true)]
    pub(crate) audit_note: Option<PathBuf>,

    /// How often the audit is sealed, in seconds.
    #[arg(
        long,
        env = "TICKETON_AUDIT_SEAL_SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        value_name = "SECONDS"
    )]
    pub(crate) audit_seal_seconds: u64,
}

/// What to do with the audit.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AuditCommand {
    /// Walk all of it and tell what is wrong.
    Verify {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Walk this export instead of the database.
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
        /// The export was made without --entries: look at its checkpoints alone.
        #[arg(long, requires = "export")]
        checkpoints_only: bool,
        /// An older export: each of its checkpoints must still be there.
        #[arg(long, value_name = "FILE")]
        noted: Option<PathBuf>,
    },
    /// Make every order anew from its entries, and tell where the stored one differs. Changes nothing.
    Rebuild {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Make this order alone and print it as JSON.
        #[arg(long, value_parser = order_id, value_name = "ID")]
        order: Option<OrderId>,
    },
    /// Make a checkpoint of what is new.
    Seal {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the checkpoints, and what else is asked for, as JSON lines.
    Export {
        /// Where to, instead of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Also all entries.
        #[arg(long)]
        entries: bool,
        /// Only checkpoints behind this number.
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: i64,
    },
    /// Print the public halves of the keys in use, or make a key.
    Keys {
        /// Make a new key and print both halves.
        #[arg(long)]
        new: bool,
        /// The id of the new key.
        #[arg(long, requires = "new", value_name = "ID")]
        id: Option<String>,
    },
}

fn order_id(text: &str) -> Result<OrderId, String> {
    text.parse().map_err(|error: FieldError| error.to_string())
}

impl AuditArgs {
    /// Starts to seal, if there are keys.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub(crate) fn start(
        &self,
        store: &SqlStore,
        database: &DatabaseArgs,
    ) -> Result<Option<Sealer>, String> {
        let Some(keys) = self.keys(database, true)? else {
            tracing::warn!(target: "ticketon::app",
                "TICKETON_AUDIT_KEYS is not set: the audit is not sealed, so removed ends of it may not show");
            return Ok(None);
        };
        let sealer = Sealer::builder(Arc::new(store.clone()), keys)
            .every(Duration::from_secs(self.audit_seal_seconds))
            .note(self.note())
            .start();
        Ok(Some(sealer))
    }

    fn note(&self) -> Arc<dyn CheckpointNote> {
        match &self.audit_note {
            Some(path) => Arc::new(NoteFile(path.clone())),
            None => Arc::new(MemoryNote::default()),
        }
    }

    /// The keys that sign: those that were given, or those beside the file, which may be made.
    fn keys(&self, database: &DatabaseArgs, make: bool) -> Result<Option<AuditKeys>, String> {
        let Some(keys) = self.own_keys(database, make)? else {
            return Ok(None);
        };
        let Some(public) = &self.audit_public_keys else {
            return Ok(Some(keys));
        };
        let both = keys.also_accept(public);
        both.map(Some)
            .map_err(|error| format!("TICKETON_AUDIT_PUBLIC_KEYS or --audit-public-keys: {error}"))
    }

    fn own_keys(&self, database: &DatabaseArgs, make: bool) -> Result<Option<AuditKeys>, String> {
        if let Some(text) = &self.audit_keys {
            let keys = text.expose().parse();
            return keys.map(Some).map_err(|error: ConfigError| {
                format!("TICKETON_AUDIT_KEYS or --audit-keys: {error}")
            });
        }
        let Some(mut path) = database.file() else {
            return Ok(None);
        };
        path.as_mut_os_string().push(".audit-keys");
        let said = |error: &dyn std::fmt::Display| {
            format!("the audit keys in {}: {error}", path.display())
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Some).map_err(|error| said(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if !make {
                    return Ok(None);
                }
                let text = format!("local:{}", STANDARD.encode(random_bytes::<32>()));
                write_secret(&path, &text).map_err(|error| said(&error))?;
                text.parse().map(Some).map_err(|error| said(&error))
            }
            Err(error) => Err(said(&error)),
        }
    }

    /// The public halves of all keys that are believed.
    fn public(&self, database: &DatabaseArgs) -> Result<AuditPublicKeys, String> {
        match (self.keys(database, false)?, &self.audit_public_keys) {
            (Some(keys), _) => Ok(keys.public().clone()),
            (None, Some(public)) => Ok(public.clone()),
            (None, None) => Err(
                "no keys to check checkpoints with: give TICKETON_AUDIT_PUBLIC_KEYS or --audit-public-keys"
                    .to_owned(),
            ),
        }
    }
}

/// Does what was asked for.
///
/// # Errors
/// When something was found, or could not be looked at.
pub(crate) async fn run(
    command: &AuditCommand,
    args: &AuditArgs,
    database: &DatabaseArgs,
) -> Outcome {
    match command {
        AuditCommand::Verify {
            json,
            export,
            checkpoints_only,
            noted,
        } => {
            let mut verifier = Verifier::new(args.public(database)?);
            if let Some(path) = noted {
                verifier = with_noted(verifier, path)?;
            }
            let Some(path) = export else {
                return verify(&verifier, &database.open_to_read().await?, *json).await;
            };
            let archive = Archive::read(reader(path)?)?;
            verifier = verifier.without_orders();
            if *checkpoints_only {
                verifier = verifier.checkpoints_only();
            } else if archive.is_stripped() {
                return Err(format!(
                    "{} has checkpoints and no entries: if it was made without --entries, give --checkpoints-only",
                    path.display()
                )
                .into());
            }
            verify(&verifier, &archive, *json).await
        }
        AuditCommand::Rebuild {
            order: Some(order), ..
        } => {
            let store = database.open_to_read().await?;
            let rebuilt = rebuild_order(&store, order).await?;
            let rebuilt = rebuilt.ok_or_else(|| format!("order {order} has no entries"))?;
            Ok(writeln!(
                std::io::stdout(),
                "{}",
                serde_json::to_string_pretty(&rebuilt)?
            )?)
        }
        AuditCommand::Rebuild { json, order: None } => {
            let store = database.open_to_read().await?;
            let mut told = Told::new(*json);
            let rebuilt = rebuild(&store, &mut |finding| told.tell(&finding)).await?;
            let text = format!(
                "{} orders were made anew from {} entries, {} findings",
                rebuilt.orders, rebuilt.entries, rebuilt.findings
            );
            told.end(&text, &json!(rebuilt), rebuilt.findings)
        }
        AuditCommand::Seal { json } => {
            // Looked at first: an audit that is made to be sealed has nothing to say.
            database.open_to_read().await?;
            let store = database.open().await?;
            let keys = args.keys(database, true)?;
            let keys =
                keys.ok_or("no keys to sign with: give TICKETON_AUDIT_KEYS or --audit-keys")?;
            let sealed = seal_noted(&store, &keys, &SystemClock, &*args.note()).await?;
            let mut text = format!(
                "{} checkpoints over {} chains",
                sealed.checkpoints, sealed.heads
            );
            if sealed.more {
                text.push_str(&format!("; there is more than {MAX_BATCHES}: seal again"));
            }
            Told::new(*json).end(&text, &json!(sealed), sealed.unreadable)
        }
        AuditCommand::Export {
            out,
            entries,
            after,
        } => {
            let extent = Extent {
                after: *after,
                entries: *entries,
            };
            let store = database.open_to_read().await?;
            let mut out: Box<dyn Write + Send> = match out {
                Some(path) => Box::new(BufWriter::new(File::create(path)?)),
                None => Box::new(BufWriter::new(std::io::stdout())),
            };
            let lines = export(&store, extent, &mut *out).await?;
            eprintln!("{lines} lines");
            Ok(())
        }
        AuditCommand::Keys { new: false, .. } => {
            Ok(writeln!(std::io::stdout(), "{}", args.public(database)?)?)
        }
        AuditCommand::Keys { new: true, id } => {
            let made_up = || format!("key-{:08x}", u32::from_ne_bytes(random_bytes()));
            let id = id.clone().unwrap_or_else(made_up);
            let secret: [u8; 32] = random_bytes();
            let public = AuditKeys::new(&id, secret)?.public().to_string();
            let mut out = std::io::stdout();
            writeln!(out, "TICKETON_AUDIT_KEYS={id}:{}", STANDARD.encode(secret))?;
            Ok(writeln!(out, "TICKETON_AUDIT_PUBLIC_KEYS={public}")?)
        }
    }
}

/// The last checkpoint that was seen, in a file of one line.
#[derive(Debug)]
struct NoteFile(PathBuf);

impl NoteFile {
    fn said(&self, error: &dyn std::fmt::Display) -> StoreError {
        let source = format!(
            "TICKETON_AUDIT_NOTE or --audit-note {}: {error}",
            self.0.display()
        );
        StoreError::Unavailable {
            context: "note the last checkpoint of the audit",
            source: source.into(),
        }
    }
}

#[async_trait]
impl CheckpointNote for NoteFile {
    async fn read(&self) -> Result<Option<Noted>, StoreError> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|error: FieldError| self.said(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.said(&error)),
        }
    }

    async fn write(&self, noted: Noted) -> Result<(), StoreError> {
        // Another file first: a crash leaves this note or the one before.
        let mut new = self.0.clone();
        new.as_mut_os_string()
            .push(format!(".new-{}", std::process::id()));
        let written = || {
            let mut file = File::create(&new)?;
            writeln!(file, "{noted}")?;
            file.sync_all()?;
            std::fs::rename(&new, &self.0)
        };
        written().map_err(|error: std::io::Error| self.said(&error))
    }
}

fn reader(path: &PathBuf) -> Result<BufReader<File>, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufReader::new(file))
}

fn with_noted(verifier: Verifier, path: &PathBuf) -> Result<Verifier, Box<dyn std::error::Error>> {
    let mut refused = None;
    let mut noting = Some(verifier);
    read_export(reader(path)?, |line| {
        let Line::Checkpoint(checkpoint) = line else {
            return;
        };
        match checkpoint.stored().read() {
            Ok(checkpoint) => noting = noting.take().map(|verifier| verifier.noted(&checkpoint)),
            Err(error) => refused = Some(format!("checkpoint {}: {error}", checkpoint.number)),
        }
    })?;
    match (refused, noting) {
        (None, Some(verifier)) => Ok(verifier),
        (why, _) => Err(format!("{}: {}", path.display(), why.unwrap_or_default()).into()),
    }
}

async fn verify(verifier: &Verifier, log: &dyn AuditLog, json: bool) -> Outcome {
    let mut told = Told::new(json);
    let verified = verifier
        .verify(log, &mut |finding| told.tell(&finding))
        .await?;
    let text = format!(
        "{} orders, {} entries ({} not yet sealed), {} checkpoints over {} heads, {} findings",
        verified.orders,
        verified.entries,
        verified.unsealed,
        verified.checkpoints,
        verified.heads,
        verified.findings
    );
    told.end(&text, &json!(verified), verified.findings)
}

/// What is told on standard output, for people or for programs.
struct Told {
    json: bool,
    /// The first line that could not be written.
    broken: Option<std::io::Error>,
}

impl Told {
    fn new(json: bool) -> Self {
        Self { json, broken: None }
    }

    fn tell(&mut self, finding: &Finding) {
        if self.json {
            self.line(&json!(finding));
        } else {
            self.line(&finding);
        }
    }

    fn line(&mut self, line: &dyn std::fmt::Display) {
        if self.broken.is_none() {
            self.broken = writeln!(std::io::stdout(), "{line}").err();
        }
    }

    /// The sum of it all; an error if anything was found.
    fn end(mut self, text: &str, sum: &Value, findings: u64) -> Outcome {
        if self.json {
            self.line(&json!({ "sum": sum }));
        } else {
            self.line(&text);
        }
        match self.broken {
            Some(error) => Err(error.into()),
            None if findings == 0 => Ok(()),
            None => Err(format!("the audit is not as it should be: {findings} findings").into()),
        }
    }
}
