//! The Kafka broker of the tests: tansu, one small program that cargo builds.
//!
//! No package system has it, so it is built once for each version, into a folder beside cargo's own that clones share.
//! `tests/src/kafka.rs` looks there.

use std::path::PathBuf;

use crate::shell::{Failure, Line, find_program};

/// Its version, the one that `tests/src/kafka.rs` looks for.
const VERSION: &str = "0.6.0";

/// What it is needed for.
pub(crate) const WHY: &str = "events are tested on a real Kafka broker";

/// The folder that it is built into, if this machine has a place for it.
fn folder() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join("ticketon-tools").join(format!("tansu-{VERSION}")))
}

/// Whether the tests will find it.
pub(crate) fn is_installed() -> bool {
    let built = folder().map(|folder| folder.join("bin/tansu"));
    built.is_some_and(|file| file.is_file()) || find_program(&["tansu"]).is_some()
}

/// The command that builds it, some minutes long. Files in between stay in its folder, so that a build that broke off goes on.
pub(crate) fn line() -> Line {
    let folder = folder().unwrap_or_else(|| PathBuf::from("tansu"));
    let [root, target] =
        [folder.clone(), folder.join("target")].map(|path| path.display().to_string());
    Line::new([
        "cargo",
        "install",
        "tansu",
        "--version",
        VERSION,
        "--locked",
        "--debug",
    ])
    .with([
        "--features",
        "dynostore",
        "--config",
        "profile.dev.debug=false",
    ])
    .with(["--root".to_owned(), root, "--target-dir".to_owned(), target])
}

/// Builds it unless it is there.
pub(crate) fn install() -> Result<(), Failure> {
    if is_installed() {
        return Ok(());
    }
    line().run()?;
    if let Some(folder) = folder() {
        // Two gigabytes that nobody needs again; what cannot be removed stays.
        let _ = std::fs::remove_dir_all(folder.join("target"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_looks_for_what_is_built_here() {
        let harness = crate::shell::workspace_root().join("tests/src/kafka.rs");
        let text = std::fs::read_to_string(harness).unwrap();
        let program = format!("\"ticketon-tools/tansu-{VERSION}/bin/tansu\"");
        assert!(
            text.contains(&program),
            "tests/src/kafka.rs does not have {program}"
        );
    }

    #[test]
    fn each_version_has_a_folder_that_clones_share() {
        let line = line().to_string();
        assert!(
            line.contains(&format!("ticketon-tools/tansu-{VERSION}")),
            "{line}"
        );
        let clone = crate::shell::workspace_root().display().to_string();
        assert!(!line.contains(&clone), "{line}");
    }
}
