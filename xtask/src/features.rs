//! `cargo xtask features`: every feature builds alone, and so does no feature at all.
//!
//! The list comes from `cargo metadata`, so a new package or feature is covered without anyone
//! writing it down here.

use serde_json::Value;

use crate::shell::{Failure, Line};

/// Prints the commands that [`check`] would run.
pub(crate) fn list() -> Result<(), Failure> {
    for line in workspace_lines()? {
        println!("{line}");
    }
    Ok(())
}

/// Runs every check, also after a failure, then reports all failures.
pub(crate) fn check() -> Result<(), Failure> {
    let lines = workspace_lines()?;
    let failed: Vec<String> = lines
        .iter()
        .filter(|line| line.run().is_err())
        .map(|line| format!("  {line}"))
        .collect();
    if failed.is_empty() {
        println!("{} feature checks passed", lines.len());
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} of {} feature checks failed:\n{}",
        failed.len(),
        lines.len(),
        failed.join("\n")
    )))
}

fn workspace_lines() -> Result<Vec<Line>, Failure> {
    let metadata = Line::new(["cargo", "metadata", "--no-deps", "--format-version", "1"]).read()?;
    lines(&metadata)
}

/// One command a package without features, and one for each of its features.
fn lines(metadata: &str) -> Result<Vec<Line>, Failure> {
    let broken = |what: &str| Failure::new(format!("cargo metadata has no {what}"));
    let metadata: Value = serde_json::from_str(metadata)
        .map_err(|error| Failure::new(format!("cargo metadata is no JSON: {error}")))?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or_else(|| broken("packages"))?;
    let mut lines = Vec::new();
    for package in packages {
        let name = package["name"]
            .as_str()
            .ok_or_else(|| broken("name of a package"))?;
        let features = package["features"]
            .as_object()
            .ok_or_else(|| broken("features of a package"))?;
        let bare = Line::new(["cargo", "check", "-p", name, "--no-default-features"]);
        lines.push(bare.clone());
        lines.extend(
            features
                .keys()
                .map(|feature| bare.clone().with(["--features", feature])),
        );
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_checked_alone_and_each_package_bare() {
        let metadata = r#"{"packages": [
            {"name": "a", "features": {"default": ["x"], "x": [], "y": ["dep:z"]}},
            {"name": "b", "features": {}}
        ]}"#;
        let lines: Vec<String> = lines(metadata)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "cargo check -p a --no-default-features",
                "cargo check -p a --no-default-features --features default",
                "cargo check -p a --no-default-features --features x",
                "cargo check -p a --no-default-features --features y",
                "cargo check -p b --no-default-features",
            ]
        );
    }

    #[test]
    fn metadata_of_another_form_is_a_failure() {
        assert!(lines("{}").is_err());
        assert!(lines("no JSON").is_err());
    }
}
