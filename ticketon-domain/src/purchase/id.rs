//! The ids of purchases. They validate on parse and are safe in a path, a log line or a provider's request.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use ticketon_queue::id::random_bytes;
use ticketon_queue::{FieldError, UnixMs};

use crate::venue::SeatLabel;

/// The most bytes of a provider's payment key.
pub const MAX_PAYMENT_KEY_BYTES: usize = 200;

/// The first 16 bytes of a hash over parts, each with its length before it, so that no two lists of parts read the same.
fn derive(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes
}

macro_rules! id {
    ($(#[$docs:meta])* $name:ident, $field:literal) => {
        $(#[$docs])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                let refused = || FieldError::new($field, text, "32 hexadecimal digits in lower case");
                let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                if text.len() != 32 || !text.bytes().all(digits) {
                    return Err(refused());
                }
                u128::from_str_radix(text, 16)
                    .map(|number| Self(number.to_be_bytes()))
                    .map_err(|_| refused())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(|error: FieldError| serde::de::Error::custom(error.to_string()))
            }
        }
    };
}

id! {
    /// The id of an order: 128 bits, written as 32 hexadecimal digits; the first 48 bits are the time it was made, so
    /// that new orders lie together in an index.
    OrderId, "orderId"
}

id! {
    /// The id of a ticket.
    TicketId, "ticketId"
}

id! {
    /// The id of a refund.
    RefundId, "refundId"
}

impl OrderId {
    /// A new id.
    #[must_use]
    pub fn random(now_ms: UnixMs) -> Self {
        let mut bytes: [u8; 16] = random_bytes();
        bytes[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        Self(bytes)
    }
}

impl TicketId {
    /// The id that follows from the order and the seat.
    #[must_use]
    pub fn derive(order: &OrderId, seat: &SeatLabel) -> Self {
        Self(derive(&[
            b"ticketon ticket",
            order.as_bytes(),
            seat.as_str().as_bytes(),
        ]))
    }
}

impl RefundId {
    /// The id of an order's n-th refund.
    #[must_use]
    pub fn derive(order: &OrderId, number: u32) -> Self {
        Self(derive(&[
            b"ticketon refund",
            order.as_bytes(),
            &number.to_be_bytes(),
        ]))
    }
}

/// A payment's key at its provider.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct PaymentKey(String);

impl PaymentKey {
    /// A key.
    ///
    /// # Errors
    /// [`FieldError`] unless it has 1 to 200 visible ASCII characters.
    pub fn new(text: impl Into<String>) -> Result<Self, FieldError> {
        let text = text.into();
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > MAX_PAYMENT_KEY_BYTES || !visible {
            let range = format!("1 to {MAX_PAYMENT_KEY_BYTES} visible ASCII characters");
            return Err(FieldError::new("paymentKey", text, range));
        }
        Ok(Self(text))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentKey({})", self.0)
    }
}

impl<'de> serde::Deserialize<'de> for PaymentKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(|error| serde::de::Error::custom(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_text_and_read_it_back() {
        let id = OrderId::random(1_700_000_000_000);
        assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
        let upper = id.to_string().to_uppercase();
        assert_eq!(upper.parse::<OrderId>().is_ok(), upper == id.to_string());
        for bad in [
            "",
            "xyz",
            &"g".repeat(32),
            &"a".repeat(31),
            "+123456789012345678901234567890a",
        ] {
            assert!(bad.parse::<OrderId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn later_orders_sort_behind() {
        assert!(OrderId::random(1_700_000_000_000) < OrderId::random(1_700_000_000_001));
    }

    #[test]
    fn tickets_and_refunds_follow_from_their_order() {
        let order = OrderId::from_bytes([7; 16]);
        let [a, b] = ["A-1-1", "A-1-2"].map(|label| label.parse::<SeatLabel>().unwrap());
        assert_eq!(TicketId::derive(&order, &a), TicketId::derive(&order, &a));
        assert_ne!(TicketId::derive(&order, &a), TicketId::derive(&order, &b));
        assert_ne!(RefundId::derive(&order, 1), RefundId::derive(&order, 2));
    }
}
