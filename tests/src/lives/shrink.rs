//! Makes a life that breaks as short as it can.

use super::{Broken, World};

/// Lives tried at most.
const TRIES: usize = 2_000;

/// Cuts at the step that failed, leaves out runs of steps, shorter and shorter ones, then makes single steps simpler.
pub(super) async fn shrink<W: World>(
    world: &W,
    steps: Vec<W::Step>,
    broken: Broken,
) -> (Vec<W::Step>, Broken) {
    let mut best = Best {
        world,
        steps,
        broken,
        tries: TRIES,
    };
    best.steps.truncate(best.broken.at + 1);
    let mut run = best.steps.len().div_ceil(2);
    while run > 0 && best.tries > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < best.steps.len() && best.tries > 0 {
            let until = (from + run).min(best.steps.len());
            let mut rest = best.steps.clone();
            rest.drain(from..until);
            if best.still_breaks(rest).await {
                shorter = true;
            } else {
                from = until;
            }
        }
        if !(shorter && run == 1) {
            run /= 2;
        }
    }
    let mut at = 0;
    while at < best.steps.len() && best.tries > 0 {
        let mut simpler = false;
        for step in W::simpler(&best.steps[at]) {
            let mut steps = best.steps.clone();
            steps[at] = step;
            if best.still_breaks(steps).await {
                simpler = true;
                break;
            }
        }
        at += usize::from(!simpler);
    }
    (best.steps, best.broken)
}

struct Best<'a, W: World> {
    world: &'a W,
    steps: Vec<W::Step>,
    broken: Broken,
    tries: usize,
}

impl<W: World> Best<'_, W> {
    /// Whether these steps break something as well; then they are the best.
    async fn still_breaks(&mut self, mut steps: Vec<W::Step>) -> bool {
        self.tries = self.tries.saturating_sub(1);
        match self.world.live(&steps).await {
            Ok(_) => false,
            Err(broken) => {
                steps.truncate(broken.at + 1);
                self.steps = steps;
                self.broken = broken;
                true
            }
        }
    }
}
