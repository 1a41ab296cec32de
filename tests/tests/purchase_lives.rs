//! Whole shops in random lives ([`ticketon_tests::purchase_agreement`]): one charge or none, one ticket a seat, whatever
//! crashes; `cargo xtask soak --purchases` does the same for as long as you like.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use ticketon_domain::adapter::sandbox::SandboxOutcome;
use ticketon_tests::lives::World;
use ticketon_tests::purchase_agreement::{
    Deed, Fault, Guards, Met, Search, ShopBench, Step, search,
};

/// Another seed in each run; a failure prints it, and the command that finds the life again.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Lives for so many steps, but no longer than the bound.
async fn live(bench: &ShopBench, seed: u64, steps: u64, bound: Duration) -> Met {
    let started = Instant::now();
    let outcome = search(bench, Search { seed, steps }, |_| started.elapsed() < bound).await;
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn in_any_life_every_order_ends_as_promised() {
    let bench = ShopBench::of_the_model();
    live(&bench, any_seed(), 60_000, Duration::from_secs(12)).await;
}

#[tokio::test]
async fn in_any_life_over_sqlite() {
    let bench = ShopBench::with_sqlite();
    live(&bench, any_seed(), 3_000, Duration::from_secs(15)).await;
}

#[tokio::test]
async fn in_any_life_over_mariadb() {
    let bench = ShopBench::with_mariadb().await;
    live(&bench, any_seed(), 2_000, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn lives_meet_what_they_are_for() {
    let met = live(&ShopBench::of_the_model(), 1, 12_000, Duration::MAX).await;
    assert!(met.deaths > 100, "{met:?}");
    assert!(met.late > 0, "{met:?}");
}

/// Somebody does something in the first process, and all goes well.
fn well(deed: Deed) -> Step {
    Step::Do(0, deed, None, false)
}

/// A shop in which somebody is about to pay for three seats, one of which is free of charge.
fn about_to_pay() -> Vec<Step> {
    vec![well(Deed::Hold(0, 9, 3)), well(Deed::Initiate(0))]
}

/// What may go on after a process died, stood still or met a fault.
fn afterwards() -> Vec<Vec<Step>> {
    let other = |deed: Deed| Step::Do(1, deed, None, false);
    let after_a_lease = |steps: &[Step]| [&[Step::Wait(61_000)], steps].concat();
    let again = || other(Deed::Again(0, 0));
    vec![
        vec![],
        vec![again()],
        after_a_lease(&[again()]),
        after_a_lease(&[other(Deed::Work)]),
        vec![Step::Flush, again(), Step::Rebuild(1)],
        after_a_lease(&[Step::Flush, other(Deed::Work), Step::Rebuild(1)]),
        after_a_lease(&[Step::Flush, Step::Rebuild(1), other(Deed::Work)]),
        vec![
            Step::Forget(0),
            other(Deed::Hold(1, 9, 2)),
            other(Deed::Initiate(0)),
            other(Deed::Pay(0, SandboxOutcome::Approve)),
        ],
        vec![Step::Wait(300_000), Step::Sweep, other(Deed::Hold(1, 9, 2))],
        vec![
            other(Deed::Hint(0)),
            other(Deed::Retry(0)),
            other(Deed::Refund(0, 0, true)),
        ],
    ]
}

/// Lives a deed with each fault at each of its calls to a port, with all that may go on afterwards. Answers how many
/// calls the deed makes.
async fn at_each_call(bench: &ShopBench, before: &[Step], deed: &Deed, rests: &[Vec<Step>]) -> u8 {
    let mut calls = 0;
    let met = bench.live(before).await;
    let faults = met.unwrap_or_else(|broken| panic!("{}", broken.why)).faults;
    for fault in Fault::ALL.into_iter().chain([Fault::Refuse]) {
        for rest in rests {
            for at in 1.. {
                let step = Step::Do(0, deed.clone(), Some((at, fault)), false);
                let steps = [before, &[step], rest].concat();
                let met = bench.live(&steps).await;
                let met = met.unwrap_or_else(|broken| panic!("{}\n{steps:?}", broken.why));
                if met.faults == faults {
                    calls = calls.max(at - 1);
                    break;
                }
            }
        }
    }
    calls
}

#[tokio::test]
async fn a_payment_may_break_off_at_every_call() {
    let bench = ShopBench::of_the_model();
    for outcome in SandboxOutcome::ALL {
        let pay = Deed::Pay(0, outcome);
        let calls = at_each_call(&bench, &about_to_pay(), &pay, &afterwards()).await;
        assert!(calls >= 5, "a payment makes {calls} calls");
    }
}

#[tokio::test]
async fn a_refund_may_break_off_at_every_call() {
    let bench = ShopBench::of_the_model();
    let mut paid = about_to_pay();
    paid.push(well(Deed::Pay(0, SandboxOutcome::Approve)));
    let mut half = paid.clone();
    half.push(well(Deed::Refund(0, 1, false)));
    for before in [paid, half] {
        for (mask, operator) in [(0, false), (2, true), (4, false)] {
            let refund = Deed::Refund(0, mask, operator);
            let calls = at_each_call(&bench, &before, &refund, &afterwards()).await;
            assert!(calls >= 3, "a refund makes {calls} calls");
        }
    }
}

#[tokio::test]
async fn a_worker_may_break_off_at_every_call() {
    let bench = ShopBench::of_the_model();
    let pay = |at, fault, outcome| Step::Do(0, Deed::Pay(0, outcome), Some((at, fault)), false);
    let (approve, delay) = (SandboxOutcome::Approve, SandboxOutcome::Delay);
    let ends: [&[Step]; 6] = [
        // Died before the charge, and after it.
        &[pay(5, Fault::DieBefore, approve), Step::Wait(61_000)],
        &[pay(5, Fault::DieAfter, approve), Step::Wait(61_000)],
        // The map has yet to hear of it.
        &[well(Deed::Pay(0, approve))],
        // Never paid.
        &[Step::Wait(300_000)],
        // Charged after all.
        &[pay(4, Fault::Fail, delay), Step::Wait(61_000)],
        // To be given back.
        &[
            well(Deed::Pay(0, approve)),
            Step::Do(
                0,
                Deed::Refund(0, 1, false),
                Some((6, Fault::DieBefore)),
                false,
            ),
            Step::Wait(61_000),
        ],
    ];
    for end in ends {
        let before = [&about_to_pay(), end].concat();
        at_each_call(&bench, &before, &Deed::Work, &afterwards()).await;
    }
}

#[tokio::test]
async fn two_processes_may_break_off_one_after_the_other() {
    let bench = ShopBench::of_the_model();
    for first in Fault::ALL {
        for outcome in [SandboxOutcome::Approve, SandboxOutcome::LoseAnswer] {
            for at in 3..8 {
                let pay = Step::Do(0, Deed::Pay(0, outcome), Some((at, first)), false);
                let mut before = about_to_pay();
                before.extend([pay, Step::Wait(61_000)]);
                at_each_call(&bench, &before, &Deed::Work, &[vec![]]).await;
            }
        }
    }
}

#[tokio::test]
async fn over_sqlite_a_payment_and_a_refund_may_break_off_at_every_call() {
    let bench = ShopBench::with_sqlite();
    let pay = Deed::Pay(0, SandboxOutcome::Approve);
    at_each_call(&bench, &about_to_pay(), &pay, &[vec![]]).await;
    let mut paid = about_to_pay();
    paid.push(well(pay));
    at_each_call(&bench, &paid, &Deed::Refund(0, 1, false), &[vec![]]).await;
}

/// Lives that a search has found: each broke a promise once.
#[tokio::test]
async fn lives_that_broke_something_stay_whole() {
    let approve = SandboxOutcome::Approve;
    let teller = |at| Step::Do(0, Deed::Work, Some((at, Fault::StallBefore)), false);
    let other = |deed: Deed| Step::Do(1, deed, None, false);
    let mut lives = Vec::new();
    for at in 1..9 {
        let mut sold = about_to_pay();
        sold.extend([
            well(Deed::Pay(0, approve)),
            teller(at),
            other(Deed::Refund(0, 0, false)),
        ]);
        sold.push(other(Deed::Work));
        // A process that stood still told the map that seats were sold, which had been given back,
        let mut rebuilt = sold.clone();
        rebuilt.push(Step::Rebuild(1));
        lives.push(rebuilt);
        // or were held by somebody else,
        let mut held = sold.clone();
        held.extend([other(Deed::Hold(1, 9, 2)), other(Deed::Initiate(0))]);
        lives.push(held.clone());
        // or sold.
        held.extend([other(Deed::Pay(0, approve)), other(Deed::Work)]);
        lives.push(held);
        // The hold of a payment that failed was let go when its next payment had begun.
        let mut declined = about_to_pay();
        declined.push(well(Deed::Pay(0, SandboxOutcome::Decline)));
        declined.extend([teller(at), other(Deed::Work), other(Deed::Initiate(0))]);
        declined.extend([other(Deed::Pay(0, approve)), other(Deed::Work)]);
        lives.push(declined);
    }
    let bench = ShopBench::of_the_model();
    for life in lives {
        let lived = bench.live(&life).await;
        assert!(lived.is_ok(), "{lived:?} after {life:#?}");
    }
}

#[tokio::test]
async fn after_a_payment_that_was_declined_the_hold_may_be_bought() {
    let mut steps = about_to_pay();
    steps.push(well(Deed::Pay(0, SandboxOutcome::Decline)));
    steps.extend([well(Deed::Work), well(Deed::Initiate(0))]);
    steps.push(well(Deed::Pay(0, SandboxOutcome::Approve)));
    let met = ShopBench::of_the_model()
        .live(&steps)
        .await
        .expect("a whole life");
    assert_eq!((met.orders, met.failed, met.paid), (2, 1, 1), "{met:?}");
}

/// A shop without this breaks a promise in a life that a shop with it lives well.
async fn breaks(bench: &ShopBench, promise: &str, steps: &[Step]) {
    let whole = ShopBench::of_the_model().live(steps).await;
    assert!(whole.is_ok(), "{whole:?}");
    let broken = bench
        .live(steps)
        .await
        .expect_err("the guard is not needed here");
    assert!(broken.why.contains(promise), "{}", broken.why);
}

fn without(guards: Guards) -> ShopBench {
    ShopBench::with_guards(guards)
}

#[tokio::test]
async fn unguarded_a_seat_is_sold_twice() {
    let guards = Guards {
        one_ticket_a_seat: false,
        ..Guards::ALL
    };
    let approve = SandboxOutcome::Approve;
    let mut steps = about_to_pay();
    steps.push(well(Deed::Pay(0, approve)));
    // The map has forgotten that the seats are somebody's.
    steps.push(Step::Forget(0));
    steps.extend([
        well(Deed::Hold(1, 9, 2)),
        well(Deed::Initiate(0)),
        well(Deed::Pay(0, approve)),
    ]);
    breaks(&without(guards), "P1", &steps).await;
}

#[tokio::test]
async fn unguarded_a_result_comes_too_late() {
    let guards = Guards {
        fence: false,
        ..Guards::ALL
    };
    let mut steps = about_to_pay();
    steps.push(well(Deed::Pay(0, SandboxOutcome::Approve)));
    // The bank refuses a refund. Before that is written down, somebody else asks again, and it is done.
    let calls = [1, 2, 3, 4, 5, 6, 7, 8];
    let mut broken = 0;
    for at in calls {
        let mut life = steps.clone();
        life.push(Step::Do(
            0,
            Deed::Refund(0, 1, false),
            Some((at, Fault::RefuseThenStall)),
            false,
        ));
        life.extend([Step::Wait(61_000)]);
        for second in calls {
            let work = Step::Do(1, Deed::Work, Some((second, Fault::StallBefore)), false);
            let life = [&life[..], &[work]].concat();
            let whole = ShopBench::of_the_model().live(&life).await;
            assert!(whole.is_ok(), "{whole:?}");
            broken += usize::from(without(guards).live(&life).await.is_err());
        }
    }
    assert!(broken > 0, "the guard is needed in none of these lives");
}

#[tokio::test]
async fn unguarded_a_late_charge_stays() {
    let guards = Guards {
        late_check: false,
        ..Guards::ALL
    };
    let steps = about_to_pay();
    let pay = Deed::Pay(0, SandboxOutcome::Approve);
    // The bank says no, and charges all the same.
    let denied = |at| Step::Do(0, pay.clone(), Some((at, Fault::Deny)), false);
    let mut broken = Vec::new();
    for at in 1..9 {
        let life = [&steps[..], &[denied(at), Step::Wait(80_000)]].concat();
        let whole = ShopBench::of_the_model().live(&life).await;
        assert!(whole.is_ok(), "{whole:?}");
        if let Err(breaks) = without(guards).live(&life).await {
            broken.push(breaks.why);
        }
    }
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].contains("P2"), "{broken:?}");
}

#[tokio::test]
async fn unguarded_the_map_does_not_hear() {
    let guards = Guards {
        messages: false,
        ..Guards::ALL
    };
    let mut steps = about_to_pay();
    steps.push(well(Deed::Pay(0, SandboxOutcome::Approve)));
    breaks(&without(guards), "S3", &steps).await;
}

#[tokio::test]
async fn unguarded_nobody_hears() {
    let guards = Guards {
        news: false,
        ..Guards::ALL
    };
    breaks(&without(guards), "P5", &about_to_pay()).await;
}

#[tokio::test]
async fn unguarded_a_bank_charges_twice() {
    let mut steps = about_to_pay();
    let pay = Deed::Pay(0, SandboxOutcome::Approve);
    // Charged, and the process died before it could write that down.
    let died = |at| Step::Do(0, pay.clone(), Some((at, Fault::DieBefore)), false);
    let mut broken = 0;
    for at in 1..9 {
        let life = [&steps[..], &[died(at)]].concat();
        broken += usize::from(
            ShopBench::with_a_forgetful_bank()
                .live(&life)
                .await
                .is_err(),
        );
    }
    assert_eq!(broken, 1, "between the charge and what is written of it");
    steps.push(well(pay));
    assert!(
        ShopBench::with_a_forgetful_bank()
            .live(&steps)
            .await
            .is_ok()
    );
}

/// Somebody's hold is lost with the map while its order may be charged; somebody else buys its seat from a later hold and
/// gives it back. Then the first order is paid after all: the map takes that for the late message of an old sale.
#[tokio::test]
async fn a_sale_of_a_lost_hold_counts_after_others_gave_the_seat_back() {
    let lost = SandboxOutcome::LoseAnswer;
    let steps = [
        well(Deed::Hold(3, 1, 1)),
        well(Deed::Initiate(2)),
        Step::Do(0, Deed::Hold(0, 1, 1), None, true),
        Step::Rebuild(0),
        well(Deed::Initiate(0)),
        well(Deed::Pay(0, lost)),
        well(Deed::Hold(0, 9, 1)),
        well(Deed::Refund(2, 1, true)),
        well(Deed::Initiate(0)),
        Step::Do(0, Deed::Pay(14, lost), Some((2, Fault::Lose)), false),
    ];
    let met = ShopBench::of_the_model().live(&steps).await;
    let met = met.unwrap_or_else(|broken| panic!("{}", broken.why));
    assert_eq!((met.paid, met.refunded), (1, 1), "{met:?}");
}
