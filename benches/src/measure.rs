//! Rounds of subject and baseline in turns, and the table of what came out.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// How often subject and baseline take turns.
pub(crate) const ROUNDS: usize = 7;

/// What a rate should be at the least, of the rate of bare statements.
pub(crate) const WANTED: f64 = 0.5;

/// The longest time that is told apart: a minute.
const MAX_NS: u64 = 60_000_000_000;

/// Times of single calls, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, MAX_NS, 3)
                .unwrap_or_else(|error| panic!("bounds and digits are fine: {error}")),
        )
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0
            .saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Takes in what was timed elsewhere.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .unwrap_or_else(|error| panic!("both have three digits: {error}"));
    }

    /// Times one call.
    pub(crate) fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let answer = call();
        self.add(began.elapsed());
        answer
    }

    pub(crate) fn median(&self) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(0.5))
    }

    pub(crate) fn p99(&self) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(0.99))
    }
}

/// The middle one of several.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A row of the table.
struct Row {
    name: String,
    ratio: f64,
    subject: String,
    baseline: String,
    meaning: &'static str,
    /// What the ratio should be at the least.
    wanted: Option<f64>,
}

impl Row {
    fn ratio(&self) -> String {
        match self.wanted.filter(|wanted| self.ratio < *wanted) {
            Some(wanted) => format!("{:.2}, below {wanted}", self.ratio),
            None => format!("{:.2}", self.ratio),
        }
    }
}

/// What was measured so far.
pub(crate) struct Table {
    wanted: String,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(wanted: String) -> Self {
        Self {
            wanted,
            rows: Vec::new(),
        }
    }

    /// Whether a row is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.wanted)
    }

    /// Adds a row; `meaning` says what the ratio divides by what.
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        ratio: f64,
        subject: impl Into<String>,
        baseline: impl Into<String>,
        meaning: &'static str,
    ) {
        let row = Row {
            name: name.into(),
            ratio,
            subject: subject.into(),
            baseline: baseline.into(),
            meaning,
            wanted: None,
        };
        eprintln!(
            "{}: {:.2} x ({} against {})",
            row.name, row.ratio, row.subject, row.baseline
        );
        self.rows.push(row);
    }

    /// Says what the ratio of the last row should be at the least.
    pub(crate) fn wanted(&mut self, least: f64) {
        if let Some(row) = self.rows.last_mut() {
            row.wanted = Some(least);
        }
    }

    /// Prints the table in Markdown.
    pub(crate) fn print(&self) {
        println!("| what | ratio | measured | baseline | the ratio is |");
        println!("| --- | --- | --- | --- | --- |");
        for row in &self.rows {
            let Row {
                name,
                subject,
                baseline,
                meaning,
                ..
            } = row;
            let ratio = row.ratio();
            println!("| {name} | {ratio} | {subject} | {baseline} | {meaning} |");
        }
    }
}

/// A time for people: three digits.
pub(crate) fn shown(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros >= 1e5 {
        format!("{:.0} ms", micros / 1e3)
    } else if micros >= 1e3 {
        format!("{:.1} ms", micros / 1e3)
    } else if micros >= 1.0 {
        format!("{micros:.1} µs")
    } else {
        format!("{} ns", time.as_nanos())
    }
}
