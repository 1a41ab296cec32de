//! The settings of librdkafka that a host passes on by name, apart from those on which the promises rest.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::outbox::BusError;

/// Settings by name. Their values are not shown: passwords are among them.
#[derive(Clone, Default)]
pub(super) struct Settings(BTreeMap<String, String>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    /// Of a client of these brokers.
    pub(super) fn of(brokers: &str) -> Self {
        let mut settings = Self::default();
        settings.set("bootstrap.servers", brokers);
        settings.set("client.id", "ticketon");
        // A broker that comes back is found within a second, not ten.
        settings.set("reconnect.backoff.max.ms", "1000");
        settings
    }

    pub(super) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// With these over all others; an error if the host gave one of them another value.
    pub(super) fn with_firm(&self, firm: &[(&str, String)]) -> Result<ClientConfig, BusError> {
        let mut config = ClientConfig::new();
        for (name, value) in &self.0 {
            config.set(name, value);
        }
        for (name, value) in firm {
            if let Some(given) = self.0.get(*name)
                && given != value
            {
                let detail = format!(
                    "{name} is {value}, because the promises rest on it, and cannot be {given}"
                );
                return Err(BusError::Config { detail });
            }
            config.set(*name, value);
        }
        Ok(config)
    }
}

/// An error of a client that could not be made, without the values of settings.
pub(super) fn refused(error: &KafkaError) -> BusError {
    let detail = match error {
        KafkaError::ClientConfig(_, why, name, value) if !value.is_empty() => {
            format!("{name}: {}", why.replace(value.as_str(), "..."))
        }
        KafkaError::ClientConfig(_, why, name, _) => format!("{name}: {why}"),
        other => other.to_string(),
    };
    BusError::Config { detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let mut settings = Settings::of("kafka:9092");
        settings.set("sasl.password", "hunter2");
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("sasl.password") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_changed() {
        let mut settings = Settings::of("kafka:9092");
        settings.set("acks", "all");
        let firm = [("acks", "all".to_owned())];
        assert_eq!(settings.with_firm(&firm).unwrap().get("acks"), Some("all"));
        settings.set("acks", "1");
        let refused = settings.with_firm(&firm).unwrap_err().to_string();
        assert!(refused.contains("acks is all"), "{refused}");
    }
}
