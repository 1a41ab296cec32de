//! The guards of the scripts, and scripts without some of them: for tests that show what each prevents.
//!
//! A guard is what keeps a promise when calls race, come late or come twice. In `lua/` it has a name:
//! `-- guard: name` at the end of a line marks the line; alone on a line it begins a block that
//! `-- end guard` ends. What is left without the marked lines must still be a script.

use std::collections::{BTreeSet, HashMap};

use super::call::RedisScript;
use super::script::Verb;

const BEGIN: &str = "-- guard: ";
const END: &str = "-- end guard";

/// The names of all guards.
#[doc(hidden)]
#[must_use]
pub fn guards() -> BTreeSet<String> {
    let scripts = Verb::ALL.iter().map(|verb| verb.text());
    let names = scripts.flat_map(|script| {
        let names = lines(&script).into_iter().filter_map(|(guard, _)| guard);
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    names.collect()
}

/// The scripts of a store that lacks some guards; without any for one that has them all.
#[derive(Debug, Clone, Default)]
pub(super) struct Unguarded(HashMap<Verb, &'static RedisScript>);

impl Unguarded {
    /// The scripts without these guards. They stay for as long as the process, as every script does.
    pub(super) fn without(removed: &BTreeSet<String>) -> Self {
        if removed.is_empty() {
            return Self::default();
        }
        let script = |verb: &Verb| -> (Verb, &'static RedisScript) {
            let script = RedisScript::new(without(&verb.text(), removed));
            (*verb, Box::leak(Box::new(script)))
        };
        Self(Verb::ALL.iter().map(script).collect())
    }

    pub(super) fn script(&self, verb: Verb) -> Option<&'static RedisScript> {
        self.0.get(&verb).copied()
    }
}

fn without(script: &str, removed: &BTreeSet<String>) -> String {
    let stays = |guard: Option<&str>| guard.is_none_or(|name| !removed.contains(name));
    let lines = lines(script).into_iter();
    let kept = lines.filter_map(|(guard, line)| stays(guard).then_some(line));
    kept.collect::<Vec<_>>().join("\n")
}

/// Each line, and the guard that it belongs to.
///
/// # Panics
/// If a mark has no partner, or stands within another guard.
fn lines(script: &str) -> Vec<(Option<&str>, &str)> {
    let mut block = None;
    let mut all = Vec::new();
    for line in script.lines() {
        let marked = line.split_once(BEGIN);
        assert!(
            marked.is_none() || block.is_none(),
            "a guard within {block:?}: {line}"
        );
        let guard = match marked {
            Some((code, name)) if code.trim().is_empty() => {
                block = Some(name);
                block
            }
            Some((_, name)) => Some(name),
            None if line.trim() == END => {
                assert!(block.is_some(), "no guard ends here: {line}");
                block.take()
            }
            None => block,
        };
        all.push((guard, line));
    }
    assert!(block.is_none(), "the guard {block:?} has no end");
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "a()\n  b() -- guard: one\n-- guard: two\nc()\nd()\n-- end guard\ne()";

    #[test]
    fn a_guard_is_a_line_or_a_block() {
        let removed = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            without(SCRIPT, &names)
        };
        assert_eq!(removed(&[]), SCRIPT);
        assert_eq!(
            removed(&["one"]),
            "a()\n-- guard: two\nc()\nd()\n-- end guard\ne()"
        );
        assert_eq!(removed(&["two"]), "a()\n  b() -- guard: one\ne()");
        assert_eq!(removed(&["one", "two", "three"]), "a()\ne()");
    }

    #[test]
    fn guards_have_plain_names_and_every_script_is_well_marked() {
        for guard in guards() {
            let plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
            assert!(guard.chars().all(plain), "{guard:?}");
        }
    }

    #[test]
    fn a_store_with_all_guards_runs_the_usual_scripts() {
        let all = Unguarded::without(&BTreeSet::new());
        assert!(Verb::ALL.iter().all(|verb| all.script(*verb).is_none()));
    }
}
