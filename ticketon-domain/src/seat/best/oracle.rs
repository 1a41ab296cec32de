//! The rules written down naively, as the judge of the fast ones.

use crate::seat::{Orphans, Run};

/// Where windows begin that are free, inside the run, inside its segment.
pub(super) fn windows(free: &dyn Fn(u32) -> bool, run: &Run, count: u32) -> Vec<u32> {
    (run.start..=(run.start + run.len).saturating_sub(count))
        .filter(|&first| {
            count > 0
                && (first..first + count).all(|seat| {
                    let inside = seat >= run.segment_start
                        && seat < run.segment_start + run.segment_len
                        && seat < run.start + run.len;
                    inside && free(seat)
                })
        })
        .collect()
}

/// The block around a free seat, as `(first, last)`.
fn block(free: &dyn Fn(u32) -> bool, run: &Run, seat: u32) -> (u32, u32) {
    let (mut first, mut last) = (seat, seat);
    while first > run.segment_start && free(first - 1) {
        first -= 1;
    }
    while last + 1 < run.segment_start + run.segment_len && free(last + 1) {
        last += 1;
    }
    (first, last)
}

/// Whether a window leaves a lone seat.
pub(super) fn leaves_lone(free: &dyn Fn(u32) -> bool, run: &Run, count: u32, at: u32) -> bool {
    let (first, last) = block(free, run, at);
    at - first == 1 || last - (at + count - 1) == 1
}

/// The windows of a run that a rule finds fine, Strict without its second pass.
pub(super) fn fine(
    free: &dyn Fn(u32) -> bool,
    run: &Run,
    count: u32,
    orphans: Orphans,
) -> Vec<u32> {
    let all = windows(free, run, count);
    let clean = |at: &u32| !leaves_lone(free, run, count, *at);
    match orphans {
        Orphans::Allow => all,
        Orphans::Strict => all.into_iter().filter(clean).collect(),
        Orphans::Lenient => {
            let same_block = |a: u32, b: u32| block(free, run, a) == block(free, run, b);
            all.iter()
                .copied()
                .filter(|at| {
                    clean(at)
                        || !all
                            .iter()
                            .any(|other| same_block(*at, *other) && clean(other))
                })
                .collect()
        }
    }
}

/// What [`super::pick`] must answer.
pub(super) fn pick(
    free: &dyn Fn(u32) -> bool,
    runs: &[Run],
    count: u32,
    orphans: Orphans,
) -> Option<u32> {
    let pass = |rule| {
        runs.iter().find_map(|run| {
            let centre = i64::from(run.centre_twice);
            let distance = |at: u32| (2 * i64::from(at) + i64::from(count) - 1 - centre).abs();
            fine(free, run, count, rule)
                .into_iter()
                .min_by_key(|&at| (distance(at), at))
        })
    };
    match orphans {
        Orphans::Strict => pass(Orphans::Strict).or_else(|| pass(Orphans::Allow)),
        rule => pass(rule),
    }
}
