//! Starting other programs: every command is printed before it runs, and timed.
//!
//! Commands start in the root of the workspace, without what Cargo tells the programs that it
//! runs: those variables would make a nested Cargo build some dependencies again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

/// Why a command of xtask ended without success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened and what to do.
    pub(crate) message: String,
    /// The command line itself was wrong.
    pub(crate) is_usage: bool,
}

impl Failure {
    /// Something that was tried and did not work.
    pub(crate) fn new(message: String) -> Self {
        Self {
            message,
            is_usage: false,
        }
    }

    /// A command line that means nothing.
    pub(crate) fn usage(message: String) -> Self {
        Self {
            message,
            is_usage: true,
        }
    }
}

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Vec<String>);

impl Line {
    /// A command line from its words.
    pub(crate) fn new<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }

    /// Adds words at the end.
    pub(crate) fn with<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.0.extend(words.into_iter().map(Into::into));
        self
    }

    /// Prints the command, runs it, and prints how long it took.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        println!("$ {self}");
        let started = Instant::now();
        let status = self
            .command()
            .status()
            .map_err(|error| Failure::new(format!("cannot start {}: {error}", self.0[0])))?;
        println!("  {status}, {:.1} s", started.elapsed().as_secs_f64());
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(format!("{status} from: {self}")))
        }
    }

    /// Runs the command and returns what it printed on its standard output.
    pub(crate) fn read(&self) -> Result<String, Failure> {
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Failure::new(format!("cannot start {}: {error}", self.0[0])))?;
        if !output.status.success() {
            return Err(Failure::new(format!("{} from: {self}", output.status)));
        }
        String::from_utf8(output.stdout)
            .map_err(|error| Failure::new(format!("{self} printed no UTF-8: {error}")))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(resolve(&self.0[0]));
        command.args(&self.0[1..]).current_dir(workspace_root());
        for (name, _) in std::env::vars_os() {
            if is_cargo_context(&name) {
                command.env_remove(name);
            }
        }
        command
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self.0.iter().map(|word| quoted(word)).collect();
        formatter.write_str(&words.join(" "))
    }
}

/// The root of the workspace: the parent of this package.
pub(crate) fn workspace_root() -> &'static Path {
    // As cargo says now: a target folder that several checkouts share may have a program of another one.
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        package
            .parent()
            .map_or_else(|| package.clone(), Path::to_path_buf)
    });
    &ROOT
}

/// The first of the programs that is installed.
pub(crate) fn find_program(any_of: &[&str]) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    // Debian keeps servers where an ordinary user's PATH does not look.
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    find_in(any_of, &folders)
}

fn find_in(any_of: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    any_of.iter().find_map(|program| {
        folders
            .iter()
            .map(|folder| folder.join(program))
            .find(|path| is_executable(path))
    })
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// Cargo says which binary of itself is running: the same one does the nested work.
fn resolve(program: &str) -> OsString {
    match program {
        "cargo" => std::env::var_os("CARGO").unwrap_or_else(|| program.into()),
        _ => program.into(),
    }
}

/// Whether Cargo sets this variable for the program that it runs, about that program's package.
fn is_cargo_context(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
        .iter()
        .any(|start| name.starts_with(start))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&name.as_ref())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_line_can_be_pasted_into_a_shell() {
        let line = Line::new(["echo", "two words", "it's", "", "a=b"]);
        assert_eq!(line.to_string(), r"echo 'two words' 'it'\''s' '' a=b");
    }

    #[test]
    fn a_failing_program_is_a_failure() {
        let failure = Line::new(["false"]).run().unwrap_err();
        assert!(
            failure.message.ends_with("from: false"),
            "{}",
            failure.message
        );
        assert!(!failure.is_usage);
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure_that_names_it() {
        let failure = Line::new(["no-such-program-anywhere"]).run().unwrap_err();
        assert!(
            failure.message.contains("no-such-program-anywhere"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn the_first_alternative_that_exists_is_found() {
        let found = find_program(&["no-such-program-anywhere", "sh"]);
        assert!(found.is_some_and(|path| path.ends_with("sh")));
        assert_eq!(find_program(&["no-such-program-anywhere"]), None);
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        let folder = workspace_root().join("xtask");
        assert_eq!(find_in(&["Cargo.toml"], &[folder]), None);
    }

    #[test]
    fn only_what_describes_the_running_package_is_hidden_from_nested_cargo() {
        assert!(is_cargo_context("CARGO_PKG_NAME".as_ref()));
        assert!(is_cargo_context("CARGO_MANIFEST_DIR".as_ref()));
        assert!(!is_cargo_context("CARGO_HOME".as_ref()));
        assert!(!is_cargo_context("CARGO_TARGET_DIR".as_ref()));
    }
}
