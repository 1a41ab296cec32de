//! The verdict: every promise that a sale can put to the test, by the evidence alone.
//!
//! Pure: the same evidence has the same verdict. What a sale cannot show is not judged here: tokens (Q6) and access (A2)
//! have tests of their own.

mod line;
mod orders;
mod seats;

use std::fmt;

use super::evidence::Evidence;

/// Whether a promise held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its number in the design.
    pub promise: &'static str,
    /// What it says, in short.
    pub says: &'static str,
    /// Whether it held.
    pub held: bool,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.held {
            write!(f, "{} held: {}", self.promise, self.seen)
        } else {
            write!(f, "BROKEN: {} ({}): {}", self.promise, self.says, self.seen)
        }
    }
}

/// Judges all promises, in the order of the design.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Verdict> {
    let Evidence { line, .. } = evidence;
    vec![
        line::capacity(line),
        line::order(line),
        line::nobody_vanished(line),
        line::one_place(line),
        line::rate(line),
        line::progress(line),
        line::crashes(line),
        seats::all_or_none(&evidence.map),
        seats::sums(&evidence.map),
        seats::freed(&evidence.map),
        seats::one_ticket(evidence),
        orders::decided(evidence),
        orders::money(evidence),
        orders::prices(evidence),
        orders::same_answers(&evidence.told),
        orders::events(evidence),
        orders::audit(evidence),
    ]
}

/// Collects what is wrong with one promise.
struct Case {
    promise: &'static str,
    says: &'static str,
    wrong: Vec<String>,
}

impl Case {
    const fn of(promise: &'static str, says: &'static str) -> Self {
        Self {
            promise,
            says,
            wrong: Vec::new(),
        }
    }

    /// Something that must not be, with how often it is.
    fn never(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.wrong.push(format!("{} {what}", number(count)));
        }
    }

    /// The verdict; `seen` is told when all is well.
    fn close(self, seen: String) -> Verdict {
        Verdict {
            promise: self.promise,
            says: self.says,
            held: self.wrong.is_empty(),
            seen: if self.wrong.is_empty() {
                seen
            } else {
                self.wrong.join("; ")
            },
        }
    }
}

/// A number for people: 20,431.
#[must_use]
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups() {
        let written = [0, 999, 1_000, 20_431, 1_234_567].map(number);
        assert_eq!(written, ["0", "999", "1,000", "20,431", "1,234,567"]);
    }

    #[test]
    fn one_thing_that_is_wrong_breaks_a_promise() {
        let mut case = Case::of("P1", "one ticket a seat");
        assert!(
            Case::of("P1", "one ticket a seat")
                .close("fine".to_owned())
                .held
        );
        case.never(0, "seats twice");
        case.never(1_200, "seats have two tickets");
        let verdict = case.close("fine".to_owned());
        assert!(!verdict.held);
        assert_eq!(
            verdict.to_string(),
            "BROKEN: P1 (one ticket a seat): 1,200 seats have two tickets"
        );
    }
}
