//! What a person asks for: seats by their labels, the best available, or units of an area.

use sha2::{Digest as _, Sha256};

/// Seats that are asked for. Slices of labels are requests by themselves:
///
/// ```
/// use ticketon_domain::seat::{BestAvailable, HoldSeats};
/// let picked: HoldSeats = ["A-1-7", "A-1-8"].as_slice().into();
/// let best: HoldSeats = BestAvailable::new(2).grade("vip").max_price(165_000).into();
/// let standing = HoldSeats::area("standing", 2).idempotency_key("order-17");
/// # drop((picked, best, standing));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldSeats {
    pub(super) what: What,
    pub(super) key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Seats(Vec<String>),
    Best(BestAvailable),
    Area { id: String, count: u32 },
}

impl HoldSeats {
    /// These seats, by their labels: all or none.
    #[must_use]
    pub fn seats<S: AsRef<str>>(labels: impl IntoIterator<Item = S>) -> Self {
        let labels = labels.into_iter().map(|label| label.as_ref().to_owned());
        Self {
            what: What::Seats(labels.collect()),
            key: None,
        }
    }

    /// So many seats side by side, the best that are free. With wishes: [`BestAvailable`].
    #[must_use]
    pub fn best(count: u32) -> Self {
        BestAvailable::new(count).into()
    }

    /// So many units of a standing area.
    #[must_use]
    pub fn area(id: impl Into<String>, count: u32) -> Self {
        Self {
            what: What::Area {
                id: id.into(),
                count,
            },
            key: None,
        }
    }

    /// What makes this request and its retries one: 1 to 128 visible ASCII characters, unique for this person and event.
    /// Without one, each request is new.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same for the same seats asked for, everywhere and always; below 2^53.
    pub(super) fn hash(&self) -> u64 {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        match &self.what {
            What::Seats(labels) => {
                part("seats");
                labels.iter().for_each(|label| part(label));
            }
            What::Area { id, count } => {
                part("area");
                part(id);
                part(&count.to_string());
            }
            What::Best(best) => {
                part("best");
                part(&best.count.to_string());
                part(best.section.as_deref().unwrap_or_default());
                part(
                    &best
                        .max_price
                        .map(|price| price.to_string())
                        .unwrap_or_default(),
                );
                part(if best.accessible { "accessible" } else { "" });
                best.grades.iter().for_each(|grade| part(grade));
            }
        }
        let hash = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(first) >> 11
    }
}

/// So many seats side by side, the best that are free, with wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestAvailable {
    pub(super) count: u32,
    pub(super) grades: Vec<String>,
    pub(super) section: Option<String>,
    pub(super) max_price: Option<u64>,
    pub(super) accessible: bool,
}

impl BestAvailable {
    /// So many, anywhere.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self {
            count,
            grades: Vec::new(),
            section: None,
            max_price: None,
            accessible: false,
        }
    }

    /// Only of this grade; called again, of that one too.
    #[must_use]
    pub fn grade(mut self, grade: impl Into<String>) -> Self {
        self.grades.push(grade.into());
        self
    }

    /// Only in this section, by its id; or in this area.
    #[must_use]
    pub fn section(mut self, id: impl Into<String>) -> Self {
        self.section = Some(id.into());
        self
    }

    /// Only seats that cost no more than this each, in minor units.
    #[must_use]
    pub fn max_price(mut self, amount: u64) -> Self {
        self.max_price = Some(amount);
        self
    }

    /// Only where a wheelchair can come.
    #[must_use]
    pub fn accessible(mut self) -> Self {
        self.accessible = true;
        self
    }

    /// See [`HoldSeats::idempotency_key`].
    #[must_use]
    pub fn idempotency_key(self, key: impl Into<String>) -> HoldSeats {
        HoldSeats::from(self).idempotency_key(key)
    }
}

impl From<BestAvailable> for HoldSeats {
    fn from(best: BestAvailable) -> Self {
        Self {
            what: What::Best(best),
            key: None,
        }
    }
}

impl<S: AsRef<str>> From<&[S]> for HoldSeats {
    fn from(labels: &[S]) -> Self {
        Self::seats(labels)
    }
}

impl<S: AsRef<str>, const N: usize> From<&[S; N]> for HoldSeats {
    fn from(labels: &[S; N]) -> Self {
        Self::seats(labels)
    }
}

impl<S: AsRef<str>> From<&Vec<S>> for HoldSeats {
    fn from(labels: &Vec<S>) -> Self {
        Self::seats(labels)
    }
}

impl From<&Self> for HoldSeats {
    fn from(request: &Self) -> Self {
        request.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_requests_apart_and_leaves_the_key_out() {
        let requests = [
            HoldSeats::seats(["A-1-1", "A-1-2"]),
            HoldSeats::seats(["A-1-2", "A-1-1"]),
            HoldSeats::seats(["A-1-1A-1-2"]),
            HoldSeats::area("a", 2),
            HoldSeats::area("a", 3),
            HoldSeats::best(2),
            BestAvailable::new(2).grade("vip").into(),
            BestAvailable::new(2).section("vip").into(),
            BestAvailable::new(2).max_price(5).into(),
            BestAvailable::new(2).accessible().into(),
        ];
        let hashes: std::collections::HashSet<u64> = requests.iter().map(HoldSeats::hash).collect();
        assert_eq!(hashes.len(), requests.len());
        assert!(hashes.iter().all(|hash| *hash < 1 << 53));
        let keyed = requests[0].clone().idempotency_key("k");
        assert_eq!(keyed.hash(), requests[0].hash());
    }
}
