//! Who comes, and with which habits.

use ticketon_domain::adapter::sandbox::SandboxOutcome;

use super::dice::Dice;

/// How somebody behaves, from the line to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Knows what they want.
    Quick,
    /// Looks around, changes their mind, pays late.
    Hesitant,
    /// Goes away somewhere on the way.
    Leaving,
    /// Has two tabs open, on two processes, and presses in both.
    TwoTabs,
    /// Sends everything again, under the same keys.
    Retrying,
}

/// Which seats somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// So many side by side, wherever they are best.
    Best(u32),
    /// So many that they pick on the map.
    Picked(u32),
    /// So many standing places.
    Standing(u32),
}

/// Where somebody who leaves does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Closes the page while in line, after so many milliseconds.
    Line(u64),
    /// Says that they leave the line.
    LineSaid(u64),
    /// Is admitted and never comes.
    NoShow,
    /// Lets the hold run out.
    Hold,
    /// Gives the hold back.
    HoldBack,
    /// Gives the order up.
    Order,
    /// Lets the order run out.
    OrderLapses,
}

/// What somebody does with their tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    /// Gives all back.
    Return,
    /// Gives one back.
    ReturnOne,
    /// Goes in, and somebody tries the same code again.
    GoIn,
    /// Goes in, and then wants their money back.
    GoInAndReturn,
}

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) habit: Habit,
    pub(super) wish: Wish,
    pub(super) exit: Option<Exit>,
    pub(super) outcome: SandboxOutcome,
    pub(super) after: After,
    pub(super) fan: bool,
    /// Says a lower amount than the order costs.
    pub(super) haggles: bool,
    /// Pays again after a card was declined.
    pub(super) persistent: bool,
    pub(super) arrives_ms: u64,
    /// For how long they hope once all is sold.
    pub(super) hopes_ms: u64,
    pub(super) dice: Dice,
}

impl Person {
    pub(super) fn of(seed: u64, number: u32, arrivals_ms: u64) -> Self {
        let mut dice = Dice::of(seed, u64::from(number));
        let habit = match dice.below(100) {
            0..45 => Habit::Quick,
            45..65 => Habit::Hesitant,
            65..80 => Habit::Leaving,
            80..90 => Habit::TwoTabs,
            _ => Habit::Retrying,
        };
        let wish = match dice.below(100) {
            0..12 => Wish::Standing(dice.between(1, 3) as u32),
            12..42 => Wish::Best(2),
            42..72 => Wish::Best(dice.between(1, 4) as u32),
            _ => Wish::Picked(dice.between(1, 3) as u32),
        };
        let exit = (habit == Habit::Leaving).then(|| match dice.below(100) {
            0..25 => Exit::Line(dice.between(100, arrivals_ms)),
            25..40 => Exit::LineSaid(dice.between(100, arrivals_ms)),
            40..55 => Exit::NoShow,
            55..65 => Exit::Hold,
            65..80 => Exit::HoldBack,
            80..90 => Exit::Order,
            _ => Exit::OrderLapses,
        });
        let outcome = match dice.below(1_000) {
            0..100 => SandboxOutcome::Decline,
            100..130 => SandboxOutcome::LoseAnswer,
            130..160 => SandboxOutcome::Delay,
            _ => SandboxOutcome::Approve,
        };
        let after = match dice.below(1_000) {
            0..25 => After::Return,
            25..40 => After::ReturnOne,
            40..100 => After::GoIn,
            100..110 => After::GoInAndReturn,
            _ => After::Keep,
        };
        // The rush of the first moments: most come early, some much later.
        let early = dice
            .below(1_000)
            .min(dice.below(1_000))
            .min(dice.below(1_000));
        Self {
            habit,
            wish,
            exit,
            outcome,
            after,
            fan: dice.per_mille(100),
            haggles: dice.per_mille(40),
            persistent: dice.per_mille(500),
            arrives_ms: early * arrivals_ms / 700,
            hopes_ms: dice.between(200, 3_000).min(arrivals_ms),
            dice,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_brings_the_same_people_of_every_habit() {
        let crowd = |seed| (0..1_000).map(move |number| Person::of(seed, number, 1_000));
        for (one, other) in crowd(7).zip(crowd(7)) {
            assert_eq!(
                (one.habit, one.wish, one.exit),
                (other.habit, other.wish, other.exit)
            );
        }
        let habits = [
            Habit::Quick,
            Habit::Hesitant,
            Habit::Leaving,
            Habit::TwoTabs,
            Habit::Retrying,
        ];
        for habit in habits {
            assert!(
                crowd(7).filter(|person| person.habit == habit).count() > 50,
                "{habit:?}"
            );
        }
        assert!(crowd(7).any(|person| person.outcome == SandboxOutcome::LoseAnswer));
        assert!(
            crowd(7)
                .zip(crowd(8))
                .any(|(one, other)| one.habit != other.habit)
        );
    }
}
