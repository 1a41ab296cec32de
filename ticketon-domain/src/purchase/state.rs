//! The states of orders, tickets and refunds, and every legal transition of an order in one table.

use std::fmt;

/// Gives each variant of an enum its one name on the wire and in stores.
macro_rules! named {
    ($(#[$docs:meta])* $name:ident, $what:literal { $($(#[$variant_docs:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_docs])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the wire and in stores.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                let found = Self::ALL.iter().copied().find(|state| state.as_str() == text);
                found.ok_or_else(|| serde::de::Error::custom(format!(concat!("{:?} is no ", $what), text)))
            }
        }
    };
}

named! {
    /// What an order is.
    OrderState, "state of an order" {
        /// Its buyer may pay.
        Pending = "pending",
        /// It is being paid: its seats are kept until that is decided.
        Confirming = "confirming",
        /// Paid; its tickets are good.
        Paid = "paid",
        /// Some of its tickets were given back.
        PartiallyRefunded = "partiallyRefunded",
        /// All was given back.
        Refunded = "refunded",
        /// It was not paid.
        Failed = "failed",
        /// Its buyer gave it up before paying.
        Canceled = "canceled",
        /// It was not paid in time.
        Expired = "expired",
    }
}

/// Every legal transition of an order; whatever is not here cannot happen.
pub const TRANSITIONS: &[(OrderState, OrderState)] = &[
    (OrderState::Pending, OrderState::Confirming),
    (OrderState::Pending, OrderState::Failed),
    (OrderState::Pending, OrderState::Canceled),
    (OrderState::Pending, OrderState::Expired),
    (OrderState::Confirming, OrderState::Paid),
    (OrderState::Confirming, OrderState::Failed),
    (OrderState::Paid, OrderState::PartiallyRefunded),
    (OrderState::Paid, OrderState::Refunded),
    (OrderState::PartiallyRefunded, OrderState::PartiallyRefunded),
    (OrderState::PartiallyRefunded, OrderState::Refunded),
    // The provider charged after all, and the money was given back.
    (OrderState::Failed, OrderState::Refunded),
];

impl OrderState {
    /// Whether an order may go from this state to that one.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        TRANSITIONS.contains(&(self, next))
    }

    /// Whether its hold may not be bought by another order.
    #[must_use]
    pub const fn claims_hold(self) -> bool {
        matches!(
            self,
            Self::Pending | Self::Confirming | Self::Paid | Self::PartiallyRefunded
        )
    }
}

named! {
    /// What a ticket is.
    TicketState, "state of a ticket" {
        /// Its order is being paid: nobody else can buy the seat.
        Reserved = "reserved",
        /// Good for one entry.
        Valid = "valid",
        /// Its holder is in.
        Used = "used",
        /// It is being given back: not good any more, its seat not yet sold again.
        Refunding = "refunding",
        /// Given back.
        Refunded = "refunded",
        /// Its order was not paid.
        Void = "void",
    }
}

impl TicketState {
    /// Whether its seat may be sold to nobody else.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Reserved | Self::Valid | Self::Used | Self::Refunding
        )
    }
}

named! {
    /// What a refund is.
    RefundState, "state of a refund" {
        /// The provider has yet to give the money back.
        Requested = "requested",
        /// The money was given back.
        Completed = "completed",
        /// The provider will not give it back.
        Refused = "refused",
    }
}

named! {
    /// Who wanted a refund.
    RefundCause, "cause of a refund" {
        /// The buyer.
        Buyer = "buyer",
        /// An operator.
        Operator = "operator",
        /// Nobody: the provider charged for an order that had failed.
        LateCharge = "lateCharge",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_table_names_is_legal() {
        let legal = |from, to| OrderState::may_become(from, to);
        for &state in OrderState::ALL {
            assert!(!legal(state, OrderState::Pending), "{state}");
            assert!(!legal(OrderState::Refunded, state), "{state}");
            assert!(!legal(OrderState::Canceled, state), "{state}");
            assert!(!legal(OrderState::Expired, state), "{state}");
        }
        assert!(!legal(OrderState::Pending, OrderState::Paid));
        assert!(!legal(OrderState::Paid, OrderState::Failed));
        assert!(!legal(OrderState::Failed, OrderState::Paid));
    }

    #[test]
    fn names_are_read_back_and_others_refused() {
        for state in OrderState::ALL {
            let text = serde_json::to_string(state).unwrap();
            assert_eq!(serde_json::from_str::<OrderState>(&text).unwrap(), *state);
        }
        let error = serde_json::from_str::<OrderState>("\"lost\"")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("\"lost\" is no state of an order"),
            "{error}"
        );
    }
}
