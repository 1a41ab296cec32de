//! Scripts without some of their guards: for tests that show what each prevents.
//!
//! The marks are those of the queue's scripts: `-- guard: name` at the end of a line marks the line; alone on a
//! line it begins a block that `-- end guard` ends. What is left must still be a script.

use std::collections::{BTreeSet, HashMap};

use ticketon_queue::redis::RedisScript;

use super::script::Verb;

const BEGIN: &str = "-- guard: ";
const END: &str = "-- end guard";

/// The names of all guards of the seat store's scripts.
#[doc(hidden)]
#[must_use]
pub fn guards() -> BTreeSet<String> {
    let texts: Vec<String> = Verb::ALL.iter().map(|verb| verb.text()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let names = lines.filter_map(|line| Some(line.split_once(BEGIN)?.1.to_owned()));
    names.collect()
}

/// The scripts of a store that lacks a guard. They stay for as long as the process, as every script does.
#[derive(Debug, Clone, Default)]
pub(super) struct Unguarded(HashMap<Verb, &'static RedisScript>);

impl Unguarded {
    /// # Panics
    /// If no script has the guard.
    pub(super) fn without(name: &str) -> Self {
        let guards = guards();
        assert!(
            guards.contains(name),
            "no script has the guard {name:?}, but {guards:?}"
        );
        let script = |verb: &Verb| -> (Verb, &'static RedisScript) {
            let script = RedisScript::new(without(&verb.text(), name));
            (*verb, Box::leak(Box::new(script)))
        };
        Self(Verb::ALL.iter().map(script).collect())
    }

    pub(super) fn script(&self, verb: Verb) -> Option<&'static RedisScript> {
        self.0.get(&verb).copied()
    }
}

fn without(script: &str, name: &str) -> String {
    let mut kept = String::new();
    let mut within = false;
    for line in script.lines() {
        let marked = line.split_once(BEGIN).filter(|(_, marked)| *marked == name);
        let begins = marked.is_some_and(|(code, _)| code.trim().is_empty());
        within |= begins;
        if !within && marked.is_none() {
            kept.push_str(line);
            kept.push('\n');
        }
        if line.trim() == END {
            within = false;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_a_line_or_a_block() {
        let script = "a()\nb() -- guard: one\n-- guard: two\nc()\n-- end guard\nd()\n";
        assert_eq!(without(script, "three"), script);
        assert_eq!(
            without(script, "one"),
            "a()\n-- guard: two\nc()\n-- end guard\nd()\n"
        );
        assert_eq!(without(script, "two"), "a()\nb() -- guard: one\nd()\n");
    }

    #[test]
    fn every_block_ends_before_the_next_begins() {
        for verb in Verb::ALL {
            let mut within = false;
            for line in verb.text().lines() {
                let marked = line.split_once(BEGIN);
                assert!(!(within && marked.is_some()), "{verb:?}: {line}");
                within |= marked.is_some_and(|(code, _)| code.trim().is_empty());
                within &= line.trim() != END;
            }
            assert!(!within, "{verb:?}");
        }
    }
}
