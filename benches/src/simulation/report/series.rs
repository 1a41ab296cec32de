//! Numbers for the plots: moments thinned out, and totals turned into rates.

use super::super::{Moment, Sale};

/// The most points of a plot.
const POINTS: usize = 360;
/// Over how long a rate is taken, in milliseconds.
const RATE_OVER_MS: i64 = 1_000;

/// The figures at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) sold: u64,
    pub(super) orders: u64,
    pub(super) most_waiting: u64,
    pub(super) peak_per_second: u64,
    pub(super) events: u64,
}

impl Facts {
    pub(super) fn of(sale: &Sale) -> Self {
        let rates = rates(&sale.moments, |moment| moment.paid);
        Self {
            sold: sale.evidence.tickets.live,
            orders: sale.evidence.orders.len() as u64,
            most_waiting: sale
                .moments
                .iter()
                .map(|moment| moment.waiting)
                .max()
                .unwrap_or(0),
            peak_per_second: rates.into_iter().max().unwrap_or(0),
            events: sale.evidence.outbox.consumed.new,
        }
    }
}

/// The moments that are drawn: all the same distance apart, up to the end of the sale itself.
pub(super) fn drawn(moments: &[Moment]) -> Vec<Moment> {
    let every = moments.len().div_ceil(POINTS).max(1);
    let mut drawn: Vec<Moment> = moments.iter().step_by(every).cloned().collect();
    if let (Some(last), Some(drawn_last)) = (moments.last(), drawn.last())
        && last != drawn_last
    {
        drawn.push(last.clone());
    }
    drawn
}

/// How much a total rose in the second before each moment.
pub(super) fn rates(moments: &[Moment], total: impl Fn(&Moment) -> u64) -> Vec<u64> {
    let mut from = 0;
    moments
        .iter()
        .map(|moment| {
            while moments[from].at_ms < moment.at_ms - RATE_OVER_MS {
                from += 1;
            }
            let rose = total(moment).saturating_sub(total(&moments[from]));
            let over_ms = u64::try_from(moment.at_ms - moments[from].at_ms).unwrap_or(0);
            // The first moments have less than a second behind them; they count as they are.
            if over_ms < 500 {
                rose
            } else {
                rose * 1_000 / over_ms
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(count: i64) -> Vec<Moment> {
        let moment = |at: i64| Moment {
            at_ms: at * 100,
            store_ms: at * 100,
            waiting: 0,
            lanes: Vec::new(),
            active: 0,
            admitted: 0,
            open: true,
            paid: u64::try_from(at).unwrap() * 5,
            declined: 0,
            seats: None,
        };
        (0..count).map(moment).collect()
    }

    #[test]
    fn rates_are_a_second_s() {
        let rates = rates(&moments(30), |moment| moment.paid);
        assert_eq!(rates[0], 0);
        assert!(rates[10..].iter().all(|rate| *rate == 50), "{rates:?}");
    }

    #[test]
    fn few_points_are_drawn_and_the_last_among_them() {
        let all = moments(5_000);
        let drawn = drawn(&all);
        assert!(drawn.len() <= POINTS + 1);
        assert_eq!(drawn.last(), all.last());
    }
}
