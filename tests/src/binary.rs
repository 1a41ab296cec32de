//! The programs of this workspace, built for the tests that run them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::task::spawn_blocking;

/// Builds a program of the workspace with its default features and returns its path.
///
/// The package and its binary have the same name. The build happens once a test run, whichever
/// test asks first; the others wait for it.
///
/// # Panics
/// If it does not build; the message has what Cargo printed.
pub async fn workspace_bin(name: &str) -> PathBuf {
    build(Program::bin(name), None).await
}

/// As [`workspace_bin`], with exactly these features and no default ones.
///
/// Each set of features is a program of its own: tests of different ones can run side by side.
///
/// # Panics
/// If it does not build; the message has what Cargo printed.
pub async fn workspace_bin_with(name: &str, features: &[&str]) -> PathBuf {
    build(Program::bin(name), Some(features.join(","))).await
}

/// As [`workspace_bin`], for a program that only tests use: one of the `examples` of this package, so that
/// nothing that is shipped is built with what it needs.
///
/// # Panics
/// If it does not build; the message has what Cargo printed.
pub async fn test_program(name: &str) -> PathBuf {
    let program = Program {
        package: env!("CARGO_PKG_NAME").to_owned(),
        kind: "--example",
        folder: "examples",
        name: name.to_owned(),
    };
    build(program, None).await
}

/// What Cargo builds, and where it puts it.
struct Program {
    package: String,
    kind: &'static str,
    folder: &'static str,
    name: String,
}

impl Program {
    fn bin(name: &str) -> Self {
        Self {
            package: name.to_owned(),
            kind: "--bin",
            folder: "",
            name: name.to_owned(),
        }
    }
}

async fn build(program: Program, features: Option<String>) -> PathBuf {
    spawn_blocking(move || build_once(&program, features.as_deref()))
        .await
        .unwrap_or_else(|failure| match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(failure) => panic!("the build was cancelled: {failure}"),
        })
}

fn build_once(target: &Program, features: Option<&str>) -> PathBuf {
    let name = &target.name;
    let profile_folder = profile_folder();
    let folder = profile_folder.join("ticketon-bins");
    let expect = "the target folder can be written";
    std::fs::create_dir_all(&folder).expect(expect);
    let key = features.map_or(name.clone(), |list| format!("{name}+{list}"));
    let program = folder.join(&key);

    // Held until the end of this function; other tests wait here.
    let lock = File::options()
        .create(true)
        .append(true)
        .open(folder.join(format!("{key}.lock")))
        .expect(expect);
    lock.lock().expect(expect);

    let stamp = folder.join(format!("{key}.run"));
    let run = run_id();
    if std::fs::read_to_string(&stamp).is_ok_and(|built_by| built_by == run) && program.is_file() {
        return program;
    }
    let mut command = cargo_build(target, features, &profile_folder);
    run_to_success(&mut command);
    // Another set of features builds to the same file, and a running program cannot be
    // overwritten: so each gets a copy, moved into place. `cp` writes it, because a file that this
    // process has open for writing could not be started while another thread starts a child.
    let fresh = folder.join(format!("{key}.new"));
    run_to_success(
        Command::new("cp")
            .arg(profile_folder.join(target.folder).join(name))
            .arg(&fresh),
    );
    std::fs::rename(&fresh, &program).expect(expect);
    std::fs::write(&stamp, run).expect(expect);
    program
}

/// What all tests of one run share: a build made for them is fresh.
fn run_id() -> String {
    std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| format!("process {}", std::process::id()))
}

/// `target/debug`, or that of the profile that the running test was built with.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.parent().expect("a test is in a folder");
    deps.parent()
        .expect("test programs are in <target>/<profile>/deps")
        .to_owned()
}

fn cargo_build(target: &Program, features: Option<&str>, profile_folder: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--package", &target.package])
        .args([target.kind, &target.name])
        .current_dir(own_folder().join(".."));
    if let Some(target) = profile_folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    match profile_folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => {}
        Some(profile) => {
            command.args(["--profile", profile]);
        }
    }
    if let Some(features) = features {
        command.args(["--no-default-features", "--features", features]);
    }
    // What Cargo told this test about its own package would make some dependencies build again.
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        if [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ]
        .iter()
        .any(|start| text.starts_with(start))
        {
            command.env_remove(variable);
        }
    }
    command
}

/// This package's folder: where the runner says it is, because a target folder outlives clones;
/// without a runner, where it was built.
fn own_folder() -> PathBuf {
    let built_in = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(built_in, PathBuf::from)
}

fn run_to_success(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
