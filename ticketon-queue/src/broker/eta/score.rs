//! The estimates, held against what then happened: rooms of the model live through many minutes
//! in milliseconds, and each number that a sampled person would have been told is compared with
//! the time they really waited. Run with `--no-capture` to see the table.

use std::collections::{HashMap, VecDeque};

use super::{Eta, RateMeter};
use crate::clock::UnixMs;
use crate::config::{Lane, RoomConfig, RoomConfigBuilder};
use crate::id::{LaneName, UserId};
use crate::room::Room;
use crate::state::RoomVerb;
use crate::store::{JoinRequest, Presence, Standing};

const TICK_MS: i64 = 100;
/// As often as a broker looks.
const LOOK_EVERY: i64 = 2;
/// Each sampled person is asked this often.
const ASK_EVERY: i64 = 50;
const SAMPLED: usize = 30;
/// From then on the number that a person sees must not jump about.
const SETTLED_S: i64 = 60;

/// How long an admitted person stays, in seconds.
#[derive(Clone, Copy)]
enum Stay {
    Fixed(f64),
    Between(f64, f64),
    /// Exponential, with this mean.
    Random(f64),
}

/// One picture of an on-sale.
#[derive(Clone)]
struct Picture {
    config: RoomConfigBuilder,
    people: usize,
    stay: Stay,
    no_shows: f64,
    /// How many of those who wait give up, a second.
    give_up: f64,
    /// What the operator does, and when.
    at_s: Option<(i64, Change)>,
    /// Estimates told before this are not held to anything.
    from_s: i64,
    until_s: i64,
}

#[derive(Clone)]
enum Change {
    Pause { for_s: i64 },
    Config(RoomConfigBuilder),
}

fn config(capacity: u32, rate: u32) -> RoomConfigBuilder {
    RoomConfig::builder()
        .capacity(capacity)
        .admit_per_second(rate)
        .claim_ttl_seconds(20)
        .entry_ttl_seconds(600)
        .away_grace_seconds(86_400)
}

fn picture(capacity: u32, rate: u32, people: usize, stay: Stay) -> Picture {
    Picture {
        config: config(capacity, rate),
        people,
        stay,
        no_shows: 0.0,
        give_up: 0.0,
        at_s: None,
        from_s: 0,
        until_s: 1_800,
    }
}

/// Repeatable chance (xorshift).
struct Chance(u64);

impl Chance {
    #[allow(clippy::cast_precision_loss)] // 53 bits
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn stay(&mut self, stay: Stay) -> f64 {
        match stay {
            Stay::Fixed(seconds) => seconds,
            Stay::Between(least, most) => least + (most - least) * self.next(),
            Stay::Random(mean) => -mean * (1.0 - self.next()).ln(),
        }
    }
}

/// What was told, when, and how long it really took.
struct Told {
    at: UnixMs,
    eta: Eta,
}

#[derive(Debug)]
struct Score {
    told: usize,
    median: f64,
    p90: f64,
    within: f64,
    /// 90% of the changes from one number to the next, beyond what the passing time explains, are smaller.
    jumps_p90: f64,
}

#[allow(clippy::cast_possible_truncation)] // milliseconds
fn live(picture: &Picture) -> Score {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut room = Room::new(picture.config.clone().build().unwrap(), 0);
    let lanes: Vec<LaneName> = {
        let numbers = room.numbers(0);
        numbers.lanes.into_iter().map(|lane| lane.name).collect()
    };
    let mut lines = vec![VecDeque::new(); lanes.len()];
    let mut sampled: HashMap<UserId, Vec<Told>> = HashMap::new();
    for index in 0..picture.people {
        let user = UserId::new(format!("u{index}")).unwrap();
        let lane = index % lanes.len();
        let request = JoinRequest {
            user: user.clone(),
            lane: Some(lanes[lane].clone()),
            presence: Presence::Poll,
            resume: None,
        };
        room.join(&request, 0);
        if index % (picture.people / SAMPLED).max(1) == 0 {
            sampled.insert(user.clone(), Vec::new());
        }
        lines[lane].push_back(user);
    }
    let mut meter = RateMeter::default();
    let mut leaving: Vec<(UnixMs, UserId, u64)> = Vec::new();
    let mut waits: Vec<(f64, Eta)> = Vec::new();
    let mut jumps: Vec<f64> = Vec::new();
    for tick in 0..picture.until_s * 1_000 / TICK_MS {
        let now = tick * TICK_MS;
        if let Some((at_s, change)) = &picture.at_s {
            match change {
                Change::Config(config) if now == at_s * 1_000 => {
                    room.save(&config.clone().build().unwrap(), now);
                }
                Change::Pause { .. } if now == at_s * 1_000 => {
                    room.change_state(RoomVerb::Pause);
                }
                Change::Pause { for_s } if now == (at_s + for_s) * 1_000 => {
                    room.change_state(RoomVerb::Resume);
                }
                _ => {}
            }
        }
        leaving.retain(|(at, user, fence)| {
            let stays = *at > now;
            if !stays {
                room.complete(user, *fence, now);
            }
            stays
        });
        if picture.give_up > 0.0 && tick % 10 == 0 {
            for line in &mut lines {
                line.retain(|user: &UserId| {
                    let stays = sampled.contains_key(user) || chance.next() > picture.give_up;
                    if !stays {
                        room.leave(user, None, now);
                    }
                    stays
                });
            }
        }
        while room.tick(1_000, now).more {}
        for line in &mut lines {
            while let Some(Standing::Admitted(lease)) =
                line.front().map(|user| room.standing(user, now))
            {
                let user = line.pop_front().unwrap();
                for told in sampled.remove(&user).unwrap_or_default() {
                    waits.push(((now - told.at) as f64 / 1_000.0, told.eta));
                }
                if chance.next() >= picture.no_shows {
                    room.claim(&user, lease.fence, now);
                    let stay = (chance.stay(picture.stay) * 1_000.0) as i64;
                    leaving.push((now + stay, user, lease.fence));
                }
            }
        }
        let numbers = room.numbers(now);
        if tick % LOOK_EVERY == 0 {
            meter.note(&numbers);
        }
        if tick % ASK_EVERY != 0 || now < picture.from_s * 1_000 {
            continue;
        }
        for (user, all) in &mut sampled {
            let Standing::Waiting(place) = room.standing(user, now) else {
                continue;
            };
            let lane = numbers.config.lane_index(&place.lane).unwrap();
            let Some(eta) = meter.eta(&numbers, lane, place.position.unwrap()) else {
                continue;
            };
            if let Some(before) = all.last()
                && before.eta.seconds >= 20
                && before.at >= (picture.from_s + SETTLED_S) * 1_000
            {
                let expected = before.eta.seconds as f64 - (now - before.at) as f64 / 1_000.0;
                jumps.push((eta.seconds as f64 - expected).abs() / before.eta.seconds as f64);
            }
            all.push(Told { at: now, eta });
        }
        if lines.iter().all(VecDeque::is_empty) {
            break;
        }
    }
    assert!(sampled.is_empty(), "{} still wait", sampled.len());
    score(&waits, jumps)
}

#[allow(clippy::cast_precision_loss)] // some thousands
fn score(waits: &[(f64, Eta)], mut jumps: Vec<f64>) -> Score {
    let mut errors: Vec<f64> = waits
        .iter()
        .map(|(waited, eta)| (eta.seconds as f64 - waited).abs() / waited.max(10.0))
        .collect();
    errors.sort_by(f64::total_cmp);
    jumps.sort_by(f64::total_cmp);
    let within = waits
        .iter()
        // A tick is not a lie.
        .filter(|(waited, eta)| {
            *waited + 0.5 >= eta.low_seconds as f64 && *waited <= eta.high_seconds as f64 + 0.5
        })
        .count();
    let at = |sorted: &[f64], share: usize| sorted.get(sorted.len() * share / 100).copied();
    Score {
        told: errors.len(),
        median: at(&errors, 50).unwrap_or_default(),
        p90: at(&errors, 90).unwrap_or_default(),
        within: within as f64 / waits.len().max(1) as f64,
        jumps_p90: at(&jumps, 90).unwrap_or_default(),
    }
}

/// The least share within the bounds, and the largest median, 90% error and jumps, that a picture may have.
type Limits = (f64, f64, f64, f64);

fn pictures() -> Vec<(&'static str, Picture, Limits)> {
    let lane = |name: &str, weight| Lane {
        name: LaneName::new(name).unwrap(),
        weight,
    };
    let random = Stay::Random(30.0);
    let by_rate = (0.95, 0.05, 0.1, 0.02);
    let by_slots = (0.85, 0.15, 0.5, 0.15);
    let mut slower = picture(10_000, 20, 1_500, random);
    slower.at_s = Some((30, Change::Config(config(10_000, 10))));
    slower.from_s = 31;
    let mut larger = picture(100, 50, 1_500, random);
    larger.at_s = Some((120, Change::Config(config(200, 50))));
    larger.from_s = 121;
    let mut paused = picture(100, 50, 900, random);
    paused.at_s = Some((60, Change::Pause { for_s: 45 }));
    paused.from_s = 106;
    let mut no_shows = picture(100, 50, 900, random);
    no_shows.no_shows = 0.3;
    let shares = |picture: &mut Picture| {
        let lanes = vec![lane("vip", 3), lane("general", 1)];
        picture.config = picture.config.clone().lanes(lanes);
    };
    let mut lanes = picture(10_000, 20, 2_000, random);
    shares(&mut lanes);
    let mut crowded = picture(100, 50, 900, random);
    shares(&mut crowded);
    let mut impatient = picture(10_000, 10, 3_000, random);
    impatient.give_up = 0.005;
    let between = picture(200, 50, 1_500, Stay::Between(20.0, 60.0));
    let few = picture(10, 100, 100, Stay::Random(60.0));
    // Everybody leaves at once and the next come at once: no smooth estimate can be right.
    let waves = picture(100, 50, 900, Stay::Fixed(40.0));
    let edge = picture(600, 20, 3_000, random);
    vec![
        (
            "the rate decides",
            picture(10_000, 20, 3_000, random),
            by_rate,
        ),
        ("just at both limits", edge, by_rate),
        ("the rate is halved", slower, by_rate),
        ("lanes, the rate decides", lanes, by_rate),
        ("people give up", impatient, (0.9, 0.05, 0.1, 0.05)),
        ("slots decide", picture(100, 50, 900, random), by_slots),
        (
            "slots decide, stays of 20 to 60 s",
            between,
            (0.85, 0.15, 0.9, 0.15),
        ),
        ("more slots", larger, by_slots),
        ("after a pause", paused, by_slots),
        ("a third never come", no_shows, by_slots),
        ("lanes, slots decide", crowded, by_slots),
        ("ten slots, long stays", few, (0.85, 0.15, 0.6, 0.25)),
        ("waves: all stay equally long", waves, (0.6, 0.3, 1.0, 0.35)),
    ]
}

#[test]
fn estimates_hold_against_what_happened() {
    let mut poor = Vec::new();
    println!(
        "{:36} {:>6} {:>8} {:>8} {:>8} {:>8}",
        "", "told", "median", "p90", "within", "jumps"
    );
    for (name, picture, (within, median, p90, jumps)) in pictures() {
        let score = live(&picture);
        println!(
            "{name:36} {:6} {:7.1}% {:7.1}% {:7.1}% {:7.1}%",
            score.told,
            score.median * 100.0,
            score.p90 * 100.0,
            score.within * 100.0,
            score.jumps_p90 * 100.0
        );
        assert!(score.told > 100, "{name}: only {} were told", score.told);
        if score.within < within
            || score.median > median
            || score.p90 > p90
            || score.jumps_p90 > jumps
        {
            poor.push(format!("{name}: {score:?}"));
        }
    }
    assert!(poor.is_empty(), "{poor:#?}");
}
