//! A private broker that speaks Kafka's protocol, to be killed, paused and restarted.
//!
//! It is tansu, a broker in one small program. It keeps its topics in memory: what it acknowledged does not
//! survive a kill, so an outage that loses nothing is a pause, or a proxy in between.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::metadata::MetadataPartition;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::port::Port;
use crate::process::Process;
use crate::wait::Looks;

/// The version that the tests are written for, and the folder that `cargo xtask test --install` builds it into.
const TOOL: &str = "ticketon-tools/tansu-0.6.0/bin/tansu";

/// How long a broker may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a reading of a whole topic may take.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// How a [`KafkaBroker`] is set up. Its port is its own from here on, so that a proxy can stand in front of it.
#[derive(Debug)]
pub struct KafkaBuilder {
    port: Port,
    advertised: Option<u16>,
}

/// A Kafka broker of one test: on 127.0.0.1, at a port of its own, with topics in memory.
///
/// ```no_run
/// # async fn example() {
/// use ticketon_tests::KafkaBroker;
/// let mut broker = KafkaBroker::start().await;
/// broker.create_topic("ticketon.orders.v1", 3).await;
/// broker.pause();
/// broker.resume();
/// let records = broker.records("ticketon.orders.v1").await;
/// # }
/// ```
#[derive(Debug)]
pub struct KafkaBroker {
    process: Option<Process>,
    setup: KafkaBuilder,
}

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaRecord {
    /// The partition that it is in.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key.
    pub key: String,
    /// What it says.
    pub value: String,
}

impl KafkaBuilder {
    /// The port that the broker will listen at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Tells clients to come by another port, such as that of a [`SlowProxy`](crate::SlowProxy).
    #[must_use]
    pub fn advertise(mut self, port: u16) -> Self {
        self.advertised = Some(port);
        self
    }

    /// Starts the broker and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed or does not answer in time; the message has its output.
    pub async fn start(self) -> KafkaBroker {
        let mut broker = KafkaBroker {
            process: None,
            setup: self,
        };
        for _ in 0..10 {
            match broker.launch().await {
                Ok(()) => return broker,
                // Somebody who does not know of the reservation took the port just now. A proxy knows this one alone.
                Err(why)
                    if why.contains("Address already in use")
                        && broker.setup.advertised.is_none() =>
                {
                    broker.setup.port = Port::reserve();
                }
                Err(why) => panic!("{why}"),
            }
        }
        panic!("ten ports in a row were taken")
    }
}

impl KafkaBroker {
    /// Starts a broker and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed or does not answer in time.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Reserves a port, to be started later.
    #[must_use]
    pub fn builder() -> KafkaBuilder {
        KafkaBuilder {
            port: Port::reserve(),
            advertised: None,
        }
    }

    /// What clients are told to connect to: `host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!(
            "127.0.0.1:{}",
            self.setup.advertised.unwrap_or_else(|| self.port())
        )
    }

    /// The broker's own port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.setup.port()
    }

    /// What the broker printed since it was last started.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.as_ref().map_or(String::new(), Process::output)
    }

    /// Kills the broker; its topics are gone.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// Starts an empty broker at the same port, killing the old one first if it runs.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub async fn restart(&mut self) {
        self.kill9();
        if let Err(why) = self.launch().await {
            panic!("{why}");
        }
    }

    /// Stops the broker in its tracks: connections stay open and nothing answers.
    ///
    /// # Panics
    /// If the broker does not run.
    pub fn pause(&mut self) {
        self.running().pause();
    }

    /// Lets a paused broker go on.
    ///
    /// # Panics
    /// If the broker does not run.
    pub fn resume(&mut self) {
        self.running().resume();
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn create_topic(&self, topic: &str, partitions: u16) {
        let mut command = tokio::process::Command::new(program());
        command.args(["topic", "create", "--broker", &self.url(self.port())]);
        command
            .args(["--partitions", &partitions.to_string(), topic])
            .kill_on_drop(true);
        let output = tokio::time::timeout(READY_WITHIN, command.output()).await;
        let output = output
            .expect("a topic is made in time")
            .expect("tansu runs");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "cannot make the topic {topic}: {printed}"
        );
    }

    /// All records of a topic, partition by partition, each in its order: also those that were sent twice.
    ///
    /// # Panics
    /// If the broker does not answer in time.
    pub async fn records(&self, topic: &str) -> Vec<KafkaRecord> {
        let (brokers, topic) = (self.bootstrap(), topic.to_owned());
        let reading = tokio::task::spawn_blocking(move || read_all(&brokers, &topic));
        let read = reading.await.expect("the reading does not panic");
        read.unwrap_or_else(|why| panic!("cannot read the topic: {why}\n{}", self.output()))
    }

    fn url(&self, port: u16) -> String {
        format!("tcp://127.0.0.1:{port}")
    }

    fn running(&mut self) -> &mut Process {
        self.process
            .as_mut()
            .unwrap_or_else(|| panic!("this broker was killed"))
    }

    async fn launch(&mut self) -> Result<(), String> {
        let listen = self.url(self.port());
        let advertised = self.url(self.setup.advertised.unwrap_or_else(|| self.port()));
        let mut command = Command::new(program());
        command.args([
            "broker",
            "--storage-engine",
            "memory://tansu/",
            "--listener-url",
            &listen,
        ]);
        command.args(["--advertised-listener-url", &advertised]);
        // Settings of the machine's own broker are none of the test's.
        for name in [
            "CLUSTER_ID",
            "LISTENER_URL",
            "ADVERTISED_LISTENER_URL",
            "STORAGE_ENGINE",
            "SCHEMA_REGISTRY",
        ] {
            command.env_remove(name);
        }
        self.process = Some(Process::spawn("tansu", &mut command));
        let mut looks = Looks::within(READY_WITHIN);
        loop {
            let ended = self.process.as_mut().and_then(Process::exited);
            let output = self.output();
            if let Some(status) = ended {
                return Err(format!("tansu ended with {status}:\n{output}"));
            }
            // It says so once it listens.
            if output.contains("ready in")
                && std::net::TcpStream::connect(("127.0.0.1", self.port())).is_ok()
            {
                return Ok(());
            }
            if let Err(seen) = looks.again_after("it is silent".to_owned()).await {
                return Err(format!("tansu is not ready: {seen}:\n{output}"));
            }
        }
    }
}

/// The broker's program.
fn program() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let built = home
        .map(|home| home.join(TOOL))
        .filter(|file| file.is_file());
    built.unwrap_or_else(|| crate::installed(&["tansu"]))
}

fn read_all(brokers: &str, topic: &str) -> Result<Vec<KafkaRecord>, String> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false");
    // The broker's own word for the latest offset leaves out its last batch; the end of a partition shows in reading it.
    config
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "20");
    let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let text = |error: KafkaError| error.to_string();
    let metadata = consumer
        .fetch_metadata(Some(topic), READY_WITHIN)
        .map_err(text)?;
    let found = metadata.topics().first().ok_or("no such topic")?;
    let mut unread: HashSet<i32> = found
        .partitions()
        .iter()
        .map(MetadataPartition::id)
        .collect();
    let mut from_start = TopicPartitionList::new();
    for partition in &unread {
        from_start
            .add_partition_offset(topic, *partition, Offset::Offset(0))
            .map_err(text)?;
    }
    consumer.assign(&from_start).map_err(text)?;
    let deadline = Instant::now() + READ_WITHIN;
    let mut records = Vec::new();
    while !unread.is_empty() {
        if Instant::now() > deadline {
            return Err(format!(
                "{} records within {READ_WITHIN:?}, {unread:?} without end",
                records.len()
            ));
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(unread.remove(&partition)),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(message)) => {
                let utf8 = |bytes: Option<&[u8]>| {
                    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                };
                records.push(KafkaRecord {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: utf8(message.key()),
                    value: utf8(message.payload()),
                });
            }
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}
