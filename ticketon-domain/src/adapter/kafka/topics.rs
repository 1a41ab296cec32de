//! The topics: made with the first publication, and looked at once.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode;
use tokio::time::Instant;

use super::context::Logs;
use super::producer::drop_elsewhere;
use super::settings::refused;
use crate::outbox::{BusError, TOPICS};

/// How long brokers may take to say what they have, or to create a topic.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// The setting that says how many replicas must have an event before it is acknowledged.
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// How topics are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Creation {
    pub(super) partitions: i32,
    pub(super) replicas: i32,
    /// How many replicas must have an event; what follows from the replicas if it is not set.
    pub(super) min_in_sync: Option<u16>,
}

impl Creation {
    /// How many replicas must have an event. With three, one may be away and none that is acknowledged is lost with
    /// another; with two, one that is away would stop the shop's events.
    fn min_in_sync(&self) -> u16 {
        self.min_in_sync
            .unwrap_or(if self.replicas >= 3 { 2 } else { 1 })
    }
}

/// What is known of the topics.
pub(super) struct Topics {
    creation: Option<Creation>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ready: bool,
    looked: bool,
    /// When making them failed the last time, and how.
    failed: Option<(Instant, String)>,
}

impl Topics {
    pub(super) fn new(creation: Option<Creation>) -> Self {
        Self {
            creation,
            state: tokio::sync::Mutex::default(),
        }
    }

    /// Makes the topics, if that is wanted and was not done. Publications that come meanwhile wait, and share its outcome.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the brokers did not make them; the next publication tries again.
    pub(super) async fn ready(&self, config: &ClientConfig) -> Result<(), BusError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if state.ready {
            return Ok(());
        }
        if let Some((at, detail)) = &state.failed
            && *at >= asked
        {
            let detail = detail.clone();
            return Err(BusError::Unavailable { detail });
        }
        if let Some(creation) = self.creation {
            let created = create(config, creation).await;
            if let Err(BusError::Unavailable { detail }) = &created {
                state.failed = Some((Instant::now(), detail.clone()));
            }
            created?;
        }
        state.ready = true;
        if !std::mem::replace(&mut state.looked, true) {
            tokio::spawn(warn_of_weak(config.clone()));
        }
        Ok(())
    }

    /// Makes them again with the next publication: the brokers may know one no more.
    pub(super) async fn forget(&self) {
        self.state.lock().await.ready = false;
    }
}

/// An administrator's client. It takes no settings of producers.
fn admin(config: &ClientConfig) -> Result<AdminClient<Logs>, BusError> {
    let mut own = config.clone();
    for name in [
        "enable.idempotence",
        "acks",
        "message.timeout.ms",
        "partitioner",
        "linger.ms",
    ] {
        own.remove(name);
    }
    own.create_with_context(Logs)
        .map_err(|error| refused(&error))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(ASK_WITHIN))
        .request_timeout(Some(ASK_WITHIN))
}

async fn create(config: &ClientConfig, creation: Creation) -> Result<(), BusError> {
    let unavailable = |error: &dyn fmt::Display| BusError::Unavailable {
        detail: format!("creating topics: {error}"),
    };
    let min_in_sync = creation.min_in_sync().to_string();
    let topics: Vec<NewTopic<'_>> = TOPICS
        .iter()
        .map(|topic| {
            let replicas = TopicReplication::Fixed(creation.replicas);
            NewTopic::new(topic, creation.partitions, replicas).set(MIN_IN_SYNC, &min_in_sync)
        })
        .collect();
    let admin = admin(config)?;
    let created = admin.create_topics(&topics, &options()).await;
    drop_elsewhere(admin);
    for outcome in created.map_err(|error| unavailable(&error))? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(unavailable(&format!("{topic}: {code}"))),
        }
    }
    Ok(())
}

/// Says which topics acknowledge an event that one replica alone has, though they have more. Brokers that do not tell are
/// believed to know.
async fn warn_of_weak(config: ClientConfig) {
    let Ok(admin) = admin(&config) else {
        return;
    };
    let all: Vec<ResourceSpecifier<'_>> = TOPICS
        .iter()
        .map(|topic| ResourceSpecifier::Topic(topic))
        .collect();
    let described = admin.describe_configs(all.iter(), &options()).await;
    let described = described.unwrap_or_default();
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(None, ASK_WITHIN);
        let replicas = |topic: &str| {
            let metadata = metadata.as_ref().ok()?;
            let topic = metadata.topics().iter().find(|one| one.name() == topic)?;
            let of_partitions = topic.partitions().iter().map(|one| one.replicas().len());
            of_partitions.min()
        };
        described
            .into_iter()
            .flatten()
            .filter_map(|resource| weak(&resource, replicas))
            .collect::<Vec<String>>()
    });
    for topic in asked.await.unwrap_or_default() {
        tracing::warn!(target: "ticketon::kafka", topic,
            "min.insync.replicas is 1: an event that is acknowledged may be on one broker alone, and lost with it; set it to 2");
    }
}

/// The topic, if it has several replicas and acknowledges what one of them has.
fn weak(resource: &ConfigResource, replicas: impl Fn(&str) -> Option<usize>) -> Option<String> {
    let rdkafka::admin::OwnedResourceSpecifier::Topic(topic) = &resource.specifier else {
        return None;
    };
    let entry = resource.get(MIN_IN_SYNC)?;
    let one = entry.value.as_deref() == Some("1");
    (one && replicas(topic)? >= 2).then(|| topic.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    #[test]
    fn with_three_replicas_two_must_have_an_event() {
        let creation = |replicas, min_in_sync| Creation {
            partitions: 12,
            replicas,
            min_in_sync,
        };
        for (replicas, expected) in [(1, 1), (2, 1), (3, 2), (5, 2)] {
            assert_eq!(creation(replicas, None).min_in_sync(), expected);
        }
        assert_eq!(creation(5, Some(3)).min_in_sync(), 3);
    }

    #[test]
    fn a_topic_that_acknowledges_what_one_of_its_replicas_has_is_named() {
        let resource = |value: &str| ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("ticketon.orders.v1".to_owned()),
            entries: vec![ConfigEntry {
                name: MIN_IN_SYNC.to_owned(),
                value: Some(value.to_owned()),
                source: ConfigSource::Default,
                is_read_only: false,
                is_default: true,
                is_sensitive: false,
            }],
        };
        let found = |value, replicas| weak(&resource(value), |_| replicas);
        assert_eq!(found("1", Some(3)).as_deref(), Some("ticketon.orders.v1"));
        assert_eq!(found("1", Some(1)), None);
        assert_eq!(found("2", Some(3)), None);
        assert_eq!(found("1", None), None);
    }
}
