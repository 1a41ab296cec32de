//! The verdict on every promise, by the evidence alone.
//!
//! Pure: the same evidence has the same verdict. A promise that nothing put to the test did not hold: it was not shown, and
//! that is no success.

mod line;
mod orders;
mod seats;

use std::fmt;

use super::evidence::Evidence;

/// What became of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was put to the test, and held.
    Held,
    /// It did not hold.
    Broken,
    /// Nothing put it to the test.
    NotShown,
}

/// Whether a promise held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its number in the design.
    pub promise: &'static str,
    /// What it says, in short.
    pub says: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// What was seen, or what was not.
    pub seen: String,
}

impl Verdict {
    /// Whether it was put to the test, and held.
    #[must_use]
    pub fn held(&self) -> bool {
        self.outcome == Outcome::Held
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            Outcome::Held => return write!(f, "{} held: {}", self.promise, self.seen),
            Outcome::Broken => "BROKEN",
            Outcome::NotShown => "NOT SHOWN",
        };
        write!(f, "{word}: {} ({}): {}", self.promise, self.says, self.seen)
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
        line::tokens(line),
        line::progress(line),
        line::crashes(line),
        seats::all_or_none(&evidence.map),
        seats::holder_alone(&evidence.map),
        seats::sums(&evidence.map),
        seats::freed(&evidence.map),
        seats::one_ticket(evidence),
        orders::decided(evidence),
        orders::money(evidence),
        orders::prices(evidence),
        orders::same_answers(&evidence.told),
        orders::events(evidence),
        orders::audit(evidence),
        orders::access(&evidence.told),
        faults(evidence),
    ]
}

/// Not a promise, but what the others are worth by.
fn faults(evidence: &Evidence) -> Verdict {
    let mut case = Case::of("all faults", "what was to go wrong went wrong");
    let (happened, planned) = evidence.faults;
    if happened < planned {
        let lacks = format!("{happened} of {planned} faults happened: not enough was sold");
        case.lacking.push(lacks);
    }
    case.close(format!("{happened} of {planned} happened"))
}

/// Collects what is wrong with one promise.
struct Case {
    promise: &'static str,
    says: &'static str,
    wrong: Vec<String>,
    lacking: Vec<String>,
}

impl Case {
    const fn of(promise: &'static str, says: &'static str) -> Self {
        Self {
            promise,
            says,
            wrong: Vec::new(),
            lacking: Vec::new(),
        }
    }

    /// Something that must not be, with how often it is.
    fn never(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.wrong.push(format!("{} {what}", number(count)));
        }
    }

    /// Something without which nothing is shown, with how often it was.
    fn needs(&mut self, count: u64, what: &str) {
        if count == 0 {
            self.lacking.push(format!("no {what}"));
        }
    }

    /// The verdict; `seen` is told when all is well.
    fn close(self, seen: String) -> Verdict {
        let (outcome, seen) = if !self.wrong.is_empty() {
            (Outcome::Broken, self.wrong.join("; "))
        } else if !self.lacking.is_empty() {
            (Outcome::NotShown, self.lacking.join("; "))
        } else {
            (Outcome::Held, seen)
        };
        Verdict {
            promise: self.promise,
            says: self.says,
            outcome,
            seen,
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
                .held()
        );
        case.never(0, "seats twice");
        case.never(1_200, "seats have two tickets");
        let verdict = case.close("fine".to_owned());
        assert!(!verdict.held());
        assert_eq!(
            verdict.to_string(),
            "BROKEN: P1 (one ticket a seat): 1,200 seats have two tickets"
        );
    }

    #[test]
    fn what_nothing_put_to_the_test_is_not_shown() {
        let mut case = Case::of("P1", "one ticket a seat");
        case.needs(3, "ticket");
        case.needs(0, "ticket that was shown at the gate");
        let verdict = case.close("fine".to_owned());
        assert!(!verdict.held());
        let expected = "NOT SHOWN: P1 (one ticket a seat): no ticket that was shown at the gate";
        assert_eq!(verdict.to_string(), expected);
        // What is wrong is said first.
        let mut case = Case::of("P1", "one ticket a seat");
        case.needs(0, "ticket");
        case.never(1, "seats have two tickets");
        assert_eq!(case.close(String::new()).outcome, Outcome::Broken);
    }

    #[test]
    fn a_sale_in_which_nothing_happened_shows_nothing() {
        let evidence = Evidence {
            at_rest: true,
            faults: (0, 5),
            line: Default::default(),
            map: Default::default(),
            orders: Vec::new(),
            tickets: Default::default(),
            payments: Vec::new(),
            told: Default::default(),
            outbox: Default::default(),
            audit: Default::default(),
            rebuilt: Default::default(),
            audit_finding: None,
        };
        for verdict in judge(&evidence) {
            assert_eq!(verdict.outcome, Outcome::NotShown, "{verdict}");
        }
    }
}
