//! Choices against the naive oracle.

use proptest::prelude::*;

use super::super::oracle;
use super::*;

const RULES: [Orphans; 3] = [Orphans::Allow, Orphans::Lenient, Orphans::Strict];

/// A few rows of one map with what a buyer may choose from, and the seats' states.
#[derive(Debug, Clone)]
struct Case {
    runs: Vec<Run>,
    states: Vec<SeatState>,
    bits: Vec<u8>,
}

impl Case {
    fn is_free(&self, seat: u32) -> bool {
        self.states.get(seat as usize) == Some(&SeatState::Free)
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let row = (
        1..40_u32,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..80_u32,
    );
    let rows = prop::collection::vec(row, 1..6);
    (rows, 0..8_u8, any::<u64>()).prop_map(|(rows, eighths_taken, seed)| {
        let (mut runs, mut next) = (Vec::new(), 0);
        for (seats, from, to, centre) in rows {
            let start = from.index(seats as usize) as u32;
            let len = 1 + to.index((seats - start) as usize) as u32;
            runs.push(Run {
                start: next + start,
                len,
                segment_start: next,
                segment_len: seats,
                centre_twice: 2 * next + centre,
            });
            next += seats;
        }
        let mut random = numbers(seed);
        if random() & 1 == 0 {
            runs.reverse();
        }
        let states: Vec<SeatState> = (0..next)
            .map(|_| match random() {
                number if (number >> 32) % 8 >= u64::from(eighths_taken) => SeatState::Free,
                number => SeatState::from_code((1 + number % 3) as u8),
            })
            .collect();
        let mut bits = vec![0xFF; SeatState::packed_len(next)];
        for (seat, state) in (0..).map(SeatIndex::new).zip(&states) {
            state.put(&mut bits, seat);
        }
        Case { runs, states, bits }
    })
}

/// The same numbers for the same seed.
fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_choice_is_one_that_the_rule_allows(
        case in cases(),
        count in 0..6_u32,
        rule in prop::sample::select(&RULES[..]),
        places in 0..30_u32,
        seed in any::<u64>(),
    ) {
        let free = |seat| case.is_free(seat);
        let best = oracle::pick(&free, &case.runs, count, rule);
        let seats = choose(&case.bits, &case.runs, count, rule, places, &mut numbers(seed));
        prop_assert_eq!(seats.is_some(), best.is_some(), "something fits: {:?}", best);
        let Some(seats) = seats else { return Ok(()); };

        prop_assert_eq!(seats.len(), count as usize);
        let first = seats[0].get();
        prop_assert!(seats.iter().zip(first..).all(|(seat, index)| seat.get() == index && case.is_free(index)));
        if places <= 1 {
            prop_assert_eq!(Some(first), best);
        }
        // A rule without clean windows anywhere takes any; so does the second pass of Strict.
        let clean_somewhere = case.runs.iter().any(|run| !oracle::fine(&free, run, count, rule).is_empty());
        let rule = if clean_somewhere { rule } else { Orphans::Allow };
        let with_places: Vec<Vec<u32>> = case
            .runs
            .iter()
            .map(|run| oracle::fine(&free, run, count, rule))
            .filter(|fine| !fine.is_empty())
            .collect();
        let rank = with_places.iter().position(|fine| fine.contains(&first));
        prop_assert!(rank.is_some_and(|rank| rank < places.max(1) as usize), "{rank:?} of {places}");
    }

    #[test]
    fn units_are_the_first_free_ones_from_the_offset_on(
        case in cases(),
        count in 0..20_u32,
        (start, len) in (0..30_u32, 0..100_u32),
        offset in any::<u32>(),
    ) {
        let seen = choose_units(&case.bits, start, len, count, offset);
        let units: Vec<u32> = (0..len)
            .map(|step| start + (offset % len + step) % len)
            .filter(|&unit| case.is_free(unit))
            .take(count as usize)
            .collect();
        let wanted = (count > 0 && units.len() == count as usize).then_some(units);
        prop_assert_eq!(seen.map(|seats| seats.iter().map(|seat| seat.get()).collect()), wanted);
    }
}

/// The first seats of all choices in an empty row of 20, the best point in its middle.
fn firsts(count: u32, places: u32) -> Vec<u32> {
    let row = Run {
        start: 0,
        len: 20,
        segment_start: 0,
        segment_len: 20,
        centre_twice: 19,
    };
    let mut random = numbers(1);
    let mut firsts: Vec<u32> = (0..500)
        .filter_map(|_| {
            choose(
                &[0; 5],
                &[row],
                count,
                Orphans::Lenient,
                places,
                &mut random,
            )
        })
        .map(|seats| seats[0].get())
        .collect();
    firsts.sort_unstable();
    firsts.dedup();
    firsts
}

#[test]
fn places_lie_side_by_side_from_the_middle_outwards() {
    assert_eq!(firsts(2, 1), [9]);
    assert_eq!(firsts(2, 3), [7, 9, 11]);
    // 1 and 17 would leave a lone seat.
    assert_eq!(firsts(2, 100), [3, 5, 7, 9, 11, 13, 15]);
    assert_eq!(firsts(4, 100), [0, 4, 8, 12, 16]);
}

#[test]
fn what_is_marked_is_not_chosen() {
    let row = Run {
        start: 0,
        len: 4,
        segment_start: 0,
        segment_len: 4,
        centre_twice: 3,
    };
    let mut bits = [0];
    mark_taken(&mut bits, &[SeatIndex::new(1), SeatIndex::new(9)]);
    let seats = choose(&bits, &[row], 2, Orphans::Lenient, 8, &mut numbers(1));
    assert_eq!(seats, Some(vec![SeatIndex::new(2), SeatIndex::new(3)]));
    mark_taken(&mut bits, &[SeatIndex::new(2)]);
    assert_eq!(
        choose(&bits, &[row], 2, Orphans::Lenient, 8, &mut numbers(1)),
        None
    );
}
