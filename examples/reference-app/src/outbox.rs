//! Where events go: a bus in this process by default, or Kafka; and the outbox on the command line. `docs/events.md` has
//! the rest.

use std::sync::Arc;

use clap::{Args, Subcommand};
use ticketon_domain::adapter::memory::MemoryBus;
use ticketon_domain::outbox::{EventBus, OutboxStore as _, RelayHealth};
use ticketon_queue::clock::rfc3339;

use crate::database::DatabaseArgs;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// How many parked events are listed.
const MAX_LISTED: usize = 100;

/// Where events go. Known to every build, so that one without Kafka can refuse to start.
#[derive(Debug, Clone, Args)]
pub(crate) struct KafkaArgs {
    /// Kafka brokers that hear of every order, host:port[,host:port...]. Without them, whoever listens in this process does.
    #[arg(long, env = "TICKETON_KAFKA_BROKERS", value_name = "BROKERS")]
    pub(crate) kafka_brokers: Option<String>,

    /// Make the topics that are missing, with so many partitions and replicas.
    #[arg(
        long,
        env = "TICKETON_KAFKA_CREATE_TOPICS",
        value_name = "PARTITIONS:REPLICAS",
        value_parser = topics
    )]
    pub(crate) kafka_create_topics: Option<(u16, u16)>,

    /// A file with settings of librdkafka, a `name=value` a line: TLS, SASL and what else the brokers ask for.
    #[arg(long, env = "TICKETON_KAFKA_CONFIG", value_name = "FILE")]
    pub(crate) kafka_config: Option<std::path::PathBuf>,
}

/// What to do with the outbox.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum OutboxCommand {
    /// Tell what waits, where it goes, and which events the bus refuses.
    List,
    /// Let refused events be tried again at once: of one aggregate, or all.
    Retry {
        /// Of which, like order/0196a1b2c3d44f5e8a9b0c1d2e3f4a5b.
        #[arg(required_unless_present = "all")]
        aggregate: Option<String>,
        /// Of all.
        #[arg(long, conflicts_with = "aggregate")]
        all: bool,
    },
    /// Tell which bus the outbox belongs to, or make it another one's.
    Bus {
        /// The name of the new one, as its processes tell it in their logs, like kafka:5L6g3nShT-eMCtK--X86sw.
        name: Option<String>,
        /// Nobody's: it belongs to whichever comes next.
        #[arg(long, conflicts_with = "name")]
        free: bool,
    },
}

impl KafkaArgs {
    /// Whether this build can do what is asked for.
    ///
    /// # Errors
    /// When brokers are named that it cannot speak to, or settings without brokers.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.kafka_brokers.is_none() {
            if self.kafka_create_topics.is_some() || self.kafka_config.is_some() {
                return Err(
                    "--kafka-create-topics (TICKETON_KAFKA_CREATE_TOPICS) and --kafka-config (TICKETON_KAFKA_CONFIG) \
                     need --kafka-brokers (TICKETON_KAFKA_BROKERS)"
                        .to_owned(),
                );
            }
            return Ok(());
        }
        if cfg!(feature = "kafka") {
            return Ok(());
        }
        Err(
            "--kafka-brokers (TICKETON_KAFKA_BROKERS) is set, and this program was built without Kafka: build it with \
             --features production, or leave the brokers out and events go to a bus inside the process"
                .to_owned(),
        )
    }

    /// The bus. Brokers need not answer yet.
    ///
    /// # Errors
    /// When settings cannot be read, or make no sense to the client.
    pub(crate) fn bus(&self) -> Result<Arc<dyn EventBus>, Box<dyn std::error::Error>> {
        self.check()?;
        #[cfg(feature = "kafka")]
        if let Some(brokers) = &self.kafka_brokers {
            let mut bus = ticketon_domain::adapter::kafka::KafkaBus::builder(brokers);
            if let Some((partitions, replicas)) = self.kafka_create_topics {
                bus = bus.create_topics(partitions, replicas);
            }
            if let Some(file) = &self.kafka_config {
                let said = |why: String| {
                    format!(
                        "TICKETON_KAFKA_CONFIG or --kafka-config, {}: {why}",
                        file.display()
                    )
                };
                let text =
                    std::fs::read_to_string(file).map_err(|error| said(error.to_string()))?;
                for (name, value) in settings(&text).map_err(said)? {
                    bus = bus.setting(name, value);
                }
            }
            return Ok(Arc::new(bus.connect()?));
        }
        Ok(Arc::new(MemoryBus::new()))
    }
}

/// What is said of a relay to anybody: not which events.
pub(crate) fn state(health: &RelayHealth) -> &'static str {
    if !health.running {
        "stopped"
    } else if health.other_bus.is_some() {
        "otherBus"
    } else if health.backlog.parked > 0 {
        "parked"
    } else if health.trouble.is_some() {
        "waiting"
    } else {
        "ok"
    }
}

/// Does a command. Whoever only looks makes no database and changes none.
///
/// # Errors
/// When the database cannot be used, or there is nothing to retry.
pub(crate) async fn run(command: &OutboxCommand, database: &DatabaseArgs) -> Outcome {
    match command {
        OutboxCommand::List => {
            let store = database.open_to_read().await?;
            let backlog = store.backlog().await?;
            let bus = store.bus().await?;
            let bus = bus.as_deref().unwrap_or("no bus yet");
            let oldest = backlog.oldest_ms.map(rfc3339);
            let since =
                oldest.map_or_else(String::new, |oldest| format!(", the oldest since {oldest}"));
            println!("The outbox belongs to {bus}.");
            println!(
                "{} events wait{since}; {} are parked.",
                backlog.pending, backlog.parked
            );
            for parked in store.parked(MAX_LISTED).await? {
                println!(
                    "{} version {} ({}): refused {} times since {}, tried again at {}: {}",
                    parked.aggregate,
                    parked.version,
                    parked.kind,
                    parked.refusals,
                    rfc3339(parked.since_ms),
                    rfc3339(parked.retry_ms),
                    parked.why
                );
            }
        }
        OutboxCommand::Retry { aggregate, all: _ } => {
            // Looked at first: an outbox that is made to be retried has nothing to say.
            database.open_to_read().await?;
            let store = database.open().await?;
            let count = store.retry(aggregate.as_deref()).await?;
            if let (Some(aggregate), 0) = (aggregate, count) {
                return Err(format!("no event of {aggregate} is parked").into());
            }
            println!("{count} events are tried again now.");
        }
        OutboxCommand::Bus { name, free } => {
            let said = |bus: Option<String>| bus.unwrap_or_else(|| "no bus yet".to_owned());
            if name.is_none() && !free {
                let bus = database.open_to_read().await?.bus().await?;
                println!("The outbox belongs to {}.", said(bus));
                return Ok(());
            }
            let store = database.open().await?;
            let before = store.bus().await?;
            store.set_bus(name.as_deref()).await?;
            let now = store.bus().await?;
            println!(
                "The outbox belongs to {}; before: {}.",
                said(now),
                said(before)
            );
        }
    }
    Ok(())
}

/// Reads partitions and replicas of topics.
fn topics(text: &str) -> Result<(u16, u16), String> {
    let read = |part: &str| part.parse().ok().filter(|count: &u16| *count > 0);
    text.split_once(':')
        .and_then(|(partitions, replicas)| Some((read(partitions)?, read(replicas)?)))
        .ok_or_else(|| "expected partitions:replicas, like 12:3".to_owned())
}

/// Reads a file of settings. What it complains of is a line's number: passwords are in there.
#[cfg(any(feature = "kafka", test))]
fn settings(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let told = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    told.map(|(index, line)| {
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {} is not name=value", index + 1))?;
        Ok((name.trim(), value.trim()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::Parser as _;

    fn kafka(line: &[&str]) -> KafkaArgs {
        let all = ["reference-app"].into_iter().chain(line.iter().copied());
        Args::try_parse_from(all).unwrap().kafka
    }

    #[test]
    fn settings_are_read_and_a_line_that_is_none_is_named_without_its_text() {
        let text = "# SASL\n\nsecurity.protocol = SASL_SSL\nsasl.password=a=b\n";
        assert_eq!(
            settings(text).unwrap(),
            [("security.protocol", "SASL_SSL"), ("sasl.password", "a=b")]
        );
        assert_eq!(
            settings("a=b\nhunter2").unwrap_err(),
            "line 2 is not name=value"
        );
    }

    #[test]
    fn settings_of_brokers_need_brokers() {
        for line in [["--kafka-create-topics", "12:3"], ["--kafka-config", "k"]] {
            let refused = kafka(&line).check().unwrap_err();
            assert!(refused.contains("TICKETON_KAFKA_BROKERS"), "{refused}");
        }
        assert!(kafka(&[]).check().is_ok());
    }

    #[cfg(not(feature = "kafka"))]
    #[test]
    fn a_build_without_kafka_does_not_pass_over_brokers() {
        let refused = kafka(&["--kafka-brokers", "127.0.0.1:9092"]).bus();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("--features production"), "{refused}");
    }

    #[test]
    fn what_is_said_of_a_relay_is_the_gravest() {
        let mut health = RelayHealth::default();
        assert_eq!(state(&health), "stopped");
        health.running = true;
        assert_eq!(state(&health), "ok");
        health.trouble = Some((0, "away".to_owned()));
        assert_eq!(state(&health), "waiting");
        health.backlog.parked = 1;
        assert_eq!(state(&health), "parked");
        health.other_bus = Some("kafka:a".to_owned());
        assert_eq!(state(&health), "otherBus");
    }

    async fn done(url: &str, command: &OutboxCommand) -> Outcome {
        let args = Args::try_parse_from(["reference-app", "--database", url]).unwrap();
        run(command, &args.database).await
    }

    #[tokio::test]
    async fn whoever_looks_makes_no_database_and_changes_none() {
        use OutboxCommand::{Bus, List, Retry};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let url = format!("sqlite:{}", file.display());
        let bus = |name: Option<&str>, free| Bus {
            name: name.map(str::to_owned),
            free,
        };
        let retry = Retry {
            aggregate: None,
            all: true,
        };
        let looks = [List, bus(None, false)];
        for command in looks.iter().chain([&retry]) {
            let refused = done(&url, command).await.unwrap_err().to_string();
            assert!(refused.contains("there is no database"), "{refused}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }

        // As when the first start was broken off: nothing is migrated either.
        std::fs::write(&file, "").unwrap();
        for command in looks.iter().chain([&retry]) {
            let refused = done(&url, command).await.unwrap_err().to_string();
            assert!(refused.contains("migrate the database first"), "{refused}");
            assert!(std::fs::read(&file).unwrap().is_empty(), "{command:?}");
        }
        // Whoever names the bus of a new shop makes it.
        done(&url, &bus(Some("kafka:a"), false)).await.unwrap();
        for command in &looks {
            done(&url, command).await.unwrap();
        }
        done(&url, &retry).await.unwrap();
        done(&url, &bus(None, true)).await.unwrap();
    }
}
