//! Amounts of money: whole minor units of one currency, so that sums are exact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ticketon_queue::FieldError;

/// The highest amount, in minor units: a sum of as many as a hold has seats stays below 2^53.
pub const MAX_AMOUNT: u64 = 10_000_000_000_000;

/// Currencies in use (ISO 4217), by how many decimals their minor unit has.
const CODES: [(u8, &str); 4] = [
    (
        0,
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    ),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY \
         COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR \
         ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
         MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
         SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER \
         ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// A currency of ISO 4217.
///
/// ```
/// use ticketon_domain::event::Currency;
/// assert_eq!("KRW".parse::<Currency>()?.decimals(), 0);
/// assert_eq!("USD".parse::<Currency>()?.decimals(), 2);
/// assert!("won".parse::<Currency>().is_err());
/// # Ok::<(), ticketon_queue::FieldError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; 3],
    decimals: u8,
}

impl Currency {
    /// South Korean won.
    pub const KRW: Self = Self {
        code: *b"KRW",
        decimals: 0,
    };

    /// Its code, three capital letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    /// How many decimals its minor unit has.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        self.decimals
    }
}

impl FromStr for Currency {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let known = CODES.iter().find_map(|(decimals, codes)| {
            let code = codes.split_ascii_whitespace().find(|code| *code == text)?;
            let code = code.as_bytes().try_into().ok()?;
            Some(Self {
                code,
                decimals: *decimals,
            })
        });
        known.ok_or_else(|| {
            let range = "a currency in use by its code of ISO 4217, like KRW or USD";
            FieldError::new("currency", text, range)
        })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        code.parse()
            .map_err(|error: FieldError| serde::de::Error::custom(error.to_string()))
    }
}

/// An amount of a currency, in its minor units.
///
/// ```
/// use ticketon_domain::event::{Currency, Money};
/// assert_eq!(Money::new(165_000, "KRW".parse()?).to_string(), "KRW 165,000");
/// assert_eq!(Money::new(123_456, "USD".parse()?).to_string(), "USD 1,234.56");
/// # Ok::<(), ticketon_queue::FieldError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// How many minor units.
    pub amount: u64,
    /// Of which currency.
    pub currency: Currency,
}

impl Money {
    /// An amount in minor units.
    #[must_use]
    pub const fn new(amount: u64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The sum of amounts of a currency; `None` when it cannot be written down.
    #[must_use]
    pub fn sum(amounts: impl IntoIterator<Item = u64>, currency: Currency) -> Option<Self> {
        let amount = amounts.into_iter().try_fold(0_u64, u64::checked_add)?;
        Some(Self { amount, currency })
    }
}

impl fmt::Display for Money {
    /// For people: the code, then the amount in major units with separators.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.currency.decimals);
        let digits = format!("{:0>width$}", self.amount, width = decimals + 1);
        let (whole, minor) = digits.split_at(digits.len() - decimals);
        write!(f, "{} ", self.currency)?;
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        if decimals > 0 {
            write!(f, ".{minor}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        for (amount, code, text) in [
            (0, "KRW", "KRW 0"),
            (999, "KRW", "KRW 999"),
            (1_000, "KRW", "KRW 1,000"),
            (1_650_000, "KRW", "KRW 1,650,000"),
            (5, "USD", "USD 0.05"),
            (100, "USD", "USD 1.00"),
            (100_000_000, "EUR", "EUR 1,000,000.00"),
            (1_500, "KWD", "KWD 1.500"),
        ] {
            let money = Money::new(amount, code.parse().unwrap());
            assert_eq!(money.to_string(), text);
        }
    }

    #[test]
    fn only_currencies_in_use_are_known() {
        for bad in ["", "krw", "KR", "KRWW", "XXX", "BIF CLP", "DEM"] {
            let error = bad.parse::<Currency>().unwrap_err();
            assert_eq!(error.field, "currency", "{bad}");
        }
        let codes = CODES
            .iter()
            .flat_map(|(_, codes)| codes.split_ascii_whitespace());
        for code in codes {
            assert_eq!(code.parse::<Currency>().unwrap().code(), code);
        }
        assert_eq!("KRW".parse::<Currency>(), Ok(Currency::KRW));
    }

    #[test]
    fn a_sum_is_exact_or_none() {
        let sum = |amounts: &[u64]| Money::sum(amounts.iter().copied(), Currency::KRW);
        assert_eq!(sum(&[]), Some(Money::new(0, Currency::KRW)));
        assert_eq!(sum(&[1, 2, 3]).unwrap().amount, 6);
        assert_eq!(sum(&[u64::MAX, 1]), None);
        assert!(sum(&[MAX_AMOUNT; 100]).unwrap().amount < 1 << 53);
    }
}
