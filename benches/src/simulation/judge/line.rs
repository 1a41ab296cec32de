//! The promises of the waiting room.

use std::collections::{BTreeMap, HashSet};

use super::super::diary::Admitted;
use super::super::evidence::Line;
use super::{Case, Verdict, number};

/// So many admissions show how lanes share; and by so many, beside a tenth, a lane may have more or less.
const MIN_SHARED: u64 = 40;
const SLACK: u64 = 8;

/// How long somebody may wait beside a free slot: quiet rooms are ticked once a second.
const STALL_MS: i64 = 2_000;

pub(super) fn capacity(line: &Line) -> Verdict {
    let mut case = Case::of("Q1", "never more people in than the room takes");
    let at_once = most_at_once(&line.admissions);
    case.never(
        line.most_active.saturating_sub(line.capacity),
        "more people in than the room takes",
    );
    case.never(
        at_once.saturating_sub(line.capacity),
        "more people in at once, as they saw it themselves",
    );
    case.needs(line.looks, "look at the room");
    case.needs(line.most_active, "person in");
    case.needs(at_once, "person who said how long they were in");
    case.close(format!(
        "at most {} of {} in at once, over {} looks; {} at least, by people's own accounts",
        number(line.most_active),
        number(line.capacity),
        number(line.looks),
        number(at_once)
    ))
}

/// How many surely were in at the same time.
fn most_at_once(admissions: &[Admitted]) -> u64 {
    let mut steps: Vec<(i64, i64)> = Vec::with_capacity(2 * admissions.len());
    for one in admissions.iter().filter(|one| one.until_ms > one.at_ms) {
        steps.push((one.at_ms, 1));
        steps.push((one.until_ms, -1));
    }
    // Who leaves in the same millisecond in which another comes does so first.
    steps.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, step) in steps {
        now += step;
        most = most.max(now);
    }
    u64::try_from(most).unwrap_or(0)
}

pub(super) fn tokens(line: &Line) -> Verdict {
    let mut case = Case::of(
        "Q6",
        "a token opens only its event, for its user, while its lease lives",
    );
    case.never(line.wrong_tokens_taken, "wrong tokens opened");
    case.needs(line.wrong_tokens_refused, "wrong token at the door");
    case.needs(line.right_tokens_taken, "token that opened");
    case.close(format!(
        "{} opened; {} that were missing, tampered with, foreign, of others, of another event, too old or from the future did not",
        number(line.right_tokens_taken),
        number(line.wrong_tokens_refused)
    ))
}

pub(super) fn order(line: &Line) -> Verdict {
    let mut case = Case::of("Q2", "people are let in in the order of the line");
    let mut lanes: BTreeMap<&str, Vec<&Admitted>> = BTreeMap::new();
    for one in &line.admissions {
        lanes.entry(&one.lane).or_default().push(one);
    }
    for (lane, admissions) in &mut lanes {
        admissions.sort_unstable_by_key(|one| one.fence);
        let swapped = admissions
            .windows(2)
            .filter(|pair| pair[0].sequence >= pair[1].sequence);
        case.never(
            swapped.count() as u64,
            &format!("people of lane {lane} came in before somebody in front of them"),
        );
    }
    let counts: Vec<String> = lanes
        .iter()
        .map(|(lane, all)| format!("{} {lane}", number(all.len() as u64)))
        .collect();
    shares(line, &mut case);
    case.close(format!(
        "{} admissions seen ({}), each lane in its order; while people waited in all of them {}",
        number(line.admissions.len() as u64),
        counts.join(", "),
        line.shares
            .iter()
            .map(|(lane, weight, count)| format!("{} {lane} (weight {weight})", number(*count)))
            .collect::<Vec<_>>()
            .join(", ")
    ))
}

/// Lanes share by their weights while people wait in all of them; looks see that a little too late or too early.
fn shares(line: &Line, case: &mut Case) {
    let all: u64 = line.shares.iter().map(|(_, _, count)| count).sum();
    let weights: u64 = line
        .shares
        .iter()
        .map(|(_, weight, _)| u64::from(*weight))
        .sum();
    if line.shares.len() < 2 || all < MIN_SHARED {
        let lacks = format!("only {all} admissions while people waited in all lanes");
        case.lacking.push(lacks);
        return;
    }
    for (lane, weight, count) in &line.shares {
        let fair = all * u64::from(*weight) / weights;
        if count.abs_diff(fair) > SLACK + all / 10 {
            case.wrong.push(format!(
                "{} of {} admissions were of lane {lane}, its weight gives it {}",
                number(*count),
                number(all),
                number(fair)
            ));
        }
    }
}

pub(super) fn nobody_vanished(line: &Line) -> Verdict {
    let mut case = Case::of("Q3", "nobody vanishes without a reason");
    case.never(line.vanished, "people found another place than they had");
    case.never(
        line.places.abs_diff(line.accounted),
        "places are not accounted for",
    );
    if line.places != line.accounted {
        case.wrong
            .push(format!("of {}: {}", number(line.places), line.account));
    }
    case.never(line.positions_up, "times a position went up");
    case.needs(line.places, "place");
    case.needs(line.positions, "position that somebody was told");
    case.needs(line.found_again, "person who came back to a place");
    case.close(format!(
        "{} places given, each waiting, in, or ended for a reason",
        number(line.places)
    ))
}

pub(super) fn one_place(line: &Line) -> Verdict {
    let mut case = Case::of("Q4", "joining again finds the same place");
    case.never(line.second_places, "people had two places");
    case.needs(
        line.joined_twice,
        "person who asked on both processes at once",
    );
    let fences: HashSet<u64> = line.admissions.iter().map(|one| one.fence).collect();
    case.never(
        (line.admissions.len() - fences.len()) as u64,
        "admissions have the number of another",
    );
    case.close(format!(
        "{} joins, {} places; {} asked on both processes at once",
        number(line.joins),
        number(line.places),
        number(line.joined_twice)
    ))
}

pub(super) fn rate(line: &Line) -> Verdict {
    let mut case = Case::of("Q5", "never faster than the room's rate");
    let mut times: Vec<i64> = line.admissions.iter().map(|one| one.at_ms).collect();
    times.sort_unstable();
    let most = most_over_rate(&times, line.per_second);
    let over = most.saturating_sub(line.burst);
    case.never(
        over,
        "more people at once than rate and burst allow in some window",
    );
    case.needs(times.len() as u64, "admission");
    case.close(format!(
        "no window had more than {} over {} a second; {} are allowed",
        number(most),
        number(line.per_second),
        number(line.burst)
    ))
}

/// By how many the admissions of a window exceed the rate, in the worst of all windows, rounded up: the store counts by the
/// same milliseconds, so a part of one too many is one too many.
fn most_over_rate(times: &[i64], per_second: u64) -> u64 {
    let rate = i64::try_from(per_second).unwrap_or(i64::MAX);
    // For windows from i to j: (j - i + 1) - rate * (t_j - t_i); so the least of i - rate * t_i is remembered. In
    // thousandths, since times are milliseconds.
    let (mut least, mut worst) = (i64::MAX, 0);
    for (place, at_ms) in times.iter().enumerate() {
        let since_ms = at_ms - times[0];
        let place = i64::try_from(place).unwrap_or(i64::MAX) * 1_000;
        least = least.min(place - rate * since_ms);
        worst = worst.max(place + 1_000 - rate * since_ms - least);
    }
    u64::try_from((worst + 999) / 1_000).unwrap_or(0)
}

pub(super) fn progress(line: &Line) -> Verdict {
    let mut case = Case::of("Q7", "nobody waits beside a free slot");
    if line.longest_stall_ms > STALL_MS {
        case.wrong.push(format!(
            "people waited for {} ms beside a free slot",
            line.longest_stall_ms
        ));
    }
    case.needs(line.waited_looks, "look at which somebody waited");
    case.close(format!(
        "at most {} ms beside a free slot, over {} looks at which somebody waited",
        line.longest_stall_ms,
        number(line.waited_looks)
    ))
}

pub(super) fn crashes(line: &Line) -> Verdict {
    let mut case = Case::of("Q8", "a crash costs a moment, and nobody their place");
    case.never(line.faults_met, "people met a fault that did not end");
    case.never(line.vanished, "people found another place than they had");
    case.never(
        line.lost_after_cut,
        "people came back from a cut connection to a place that had ended",
    );
    case.needs(line.cut, "connection that was cut");
    case.needs(line.found_again, "person who came back to their place");
    case.close(format!(
        "{} connections cut, {} people came back to the place that they knew, nobody lost theirs",
        number(line.cut),
        number(line.found_again)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn admitted(fence: u64, sequence: i64, at_ms: i64, until_ms: i64) -> Admitted {
        Admitted {
            lane: "general".to_owned(),
            sequence,
            fence,
            at_ms,
            until_ms,
        }
    }

    fn line() -> Line {
        Line {
            capacity: 2,
            per_second: 10,
            burst: 2,
            most_active: 2,
            admissions: vec![
                admitted(1, 1, 0, 90),
                admitted(2, 2, 0, 200),
                admitted(3, 5, 100, 300),
            ],
            joins: 5,
            places: 4,
            admitted: 3,
            accounted: 4,
            looks: 9,
            waited_looks: 8,
            positions: 7,
            joined_twice: 1,
            cut: 3,
            found_again: 2,
            wrong_tokens_refused: 9,
            right_tokens_taken: 1,
            shares: vec![("general".to_owned(), 3, 90), ("fanclub".to_owned(), 1, 30)],
            ..Line::default()
        }
    }

    #[test]
    fn a_sound_line_holds() {
        let line = line();
        for verdict in [
            capacity(&line),
            order(&line),
            nobody_vanished(&line),
            one_place(&line),
            rate(&line),
            tokens(&line),
            progress(&line),
            crashes(&line),
        ] {
            assert!(verdict.held(), "{verdict}");
        }
    }

    #[test]
    fn each_break_is_noticed_by_its_promise() {
        let broken = |change: fn(&mut Line), judge: fn(&Line) -> Verdict| {
            let mut line = line();
            change(&mut line);
            judge(&line).outcome == Outcome::Broken
        };
        assert!(broken(|line| line.most_active = 3, capacity));
        assert!(broken(|line| line.admissions[0].until_ms = 150, capacity));
        assert!(broken(|line| line.admissions[2].sequence = 2, order));
        assert!(broken(|line| line.accounted = 3, nobody_vanished));
        assert!(broken(|line| line.vanished = 1, nobody_vanished));
        assert!(broken(|line| line.second_places = 1, one_place));
        assert!(broken(|line| line.admissions[2].at_ms = 99, rate));
        assert!(broken(|line| line.longest_stall_ms = 5_000, progress));
        assert!(broken(|line| line.wrong_tokens_taken = 1, tokens));
        assert!(broken(|line| line.faults_met = 1, crashes));
        assert!(broken(|line| line.lost_after_cut = 1, crashes));
        assert!(broken(|line| line.shares[1].2 = 70, order));
        assert!(broken(|line| line.shares[1].2 = 2, order));
    }

    #[test]
    fn what_was_not_put_to_the_test_is_not_shown() {
        let lacks = |change: fn(&mut Line), judge: fn(&Line) -> Verdict| {
            let mut line = line();
            change(&mut line);
            judge(&line).outcome == Outcome::NotShown
        };
        assert!(lacks(|line| line.looks = 0, capacity));
        assert!(lacks(|line| line.shares.clear(), order));
        assert!(lacks(|line| line.found_again = 0, nobody_vanished));
        assert!(lacks(|line| line.joined_twice = 0, one_place));
        assert!(lacks(|line| line.admissions.clear(), rate));
        assert!(lacks(|line| line.waited_looks = 0, progress));
        assert!(lacks(|line| line.cut = 0, crashes));
        assert!(lacks(|line| line.found_again = 0, crashes));
    }
}
