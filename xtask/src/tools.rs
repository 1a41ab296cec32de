//! The programs that the tests start, and how to get them.
//!
//! The tests run against real servers and a real browser. A missing one is a failure that says
//! what to install, never a test that is skipped.

use crate::broker;
use crate::shell::{Failure, Line, find_program};

/// A program that some test starts, or that builds what the tests need.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Names of the program; one of them is enough. `name.pc` is a library, as pkg-config knows it.
    pub(crate) any_of: &'static [&'static str],
    /// The Debian packages that bring it.
    pub(crate) packages: &'static [&'static str],
    /// What it is needed for.
    pub(crate) why: &'static str,
}

/// Every program that the tests need, besides Rust.
pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        any_of: &["redis-server"],
        packages: &["redis-server"],
        why: "the waiting room's store is tested on a real Redis",
    },
    Tool {
        any_of: &["redis-cli"],
        packages: &["redis-tools"],
        why: "the harness looks into its Redis servers with it",
    },
    Tool {
        any_of: &["mariadbd", "mysqld"],
        packages: &["mariadb-server"],
        why: "orders and tickets are tested on a real MariaDB",
    },
    Tool {
        any_of: &["mariadb-install-db", "mysql_install_db"],
        packages: &["mariadb-server"],
        why: "the harness makes its MariaDB servers with it",
    },
    Tool {
        any_of: &["mariadb", "mysql"],
        packages: &["mariadb-client"],
        why: "the harness looks into its MariaDB servers with it",
    },
    Tool {
        any_of: &["chromium", "chromium-browser", "google-chrome"],
        packages: &["chromium"],
        why: "the pages are tested in a real browser",
    },
    Tool {
        any_of: &["chromedriver"],
        packages: &["chromium-driver"],
        why: "the tests drive the browser through it",
    },
    Tool {
        any_of: &["ko.font"],
        packages: &["fontconfig", "fonts-noto-cjk"],
        why: "the pages are looked at in Korean too",
    },
    Tool {
        any_of: &["g++", "c++"],
        packages: &["g++"],
        why: "the Kafka client is built with it",
    },
    Tool {
        any_of: &["make"],
        packages: &["make"],
        why: "the Kafka client is built with it",
    },
    Tool {
        any_of: &["pkg-config", "pkgconf"],
        packages: &["pkg-config"],
        why: "the Kafka client finds its libraries with it",
    },
    Tool {
        any_of: &["zlib.pc"],
        packages: &["zlib1g-dev"],
        why: "the Kafka client compresses with it",
    },
    Tool {
        any_of: &["openssl.pc"],
        packages: &["libssl-dev"],
        why: "the Kafka client speaks TLS with it",
    },
];

/// What stands between this machine and the tests.
pub(crate) fn missing() -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| !is_there(tool.any_of)).collect()
}

/// Whether one of the programs or libraries is installed.
fn is_there(any_of: &[&str]) -> bool {
    let library = |name: &str| {
        let asked = Line::new(["pkg-config", "--exists", name]);
        find_program(&["pkg-config"]).is_some() && asked.read().is_ok()
    };
    let font = |language: &str| {
        let asked = Line::new(["fc-list", &format!(":lang={language}"), "family"]);
        let found = find_program(&["fc-list"]).and_then(|_| asked.read().ok());
        found.is_some_and(|families| !families.trim().is_empty())
    };
    any_of.iter().any(|name| match name.rsplit_once('.') {
        Some((name, "pc")) => library(name),
        Some((language, "font")) => font(language),
        _ => find_program(&[*name]).is_some(),
    })
}

/// Fails if a program is missing, saying which one, why it is needed, and how to get it.
pub(crate) fn require() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() && broker::is_installed() {
        return Ok(());
    }
    let mut message = describe(&missing);
    if !broker::is_installed() {
        message.push_str(&format!("  tansu: {}\n", broker::WHY));
    }
    message.push_str("Install what is missing with:\n  cargo xtask test --install\n");
    message.push_str("or by hand:\n");
    match Installer::of_this_machine() {
        _ if missing.is_empty() => {}
        Some(installer) => {
            for line in installer.lines(&missing) {
                message.push_str(&format!("  {line}\n"));
            }
        }
        None => message.push_str(NO_APT),
    }
    if !broker::is_installed() {
        message.push_str(&format!("  {}\n", broker::line()));
    }
    Err(Failure::new(message))
}

/// Installs what is missing, and fails if something still is afterwards.
pub(crate) fn install() -> Result<(), Failure> {
    install_packages()?;
    broker::install()
}

fn install_packages() -> Result<(), Failure> {
    let before = missing();
    if before.is_empty() {
        return Ok(());
    }
    let installer = Installer::of_this_machine()
        .ok_or_else(|| Failure::new(format!("{}{NO_APT}", describe(&before))))?;
    let [update, install] = installer.lines(&before);
    if let Err(failure) = update.run() {
        // One broken package source must not hide that the others have what is needed.
        println!(
            "  going on with the package lists of before: {}",
            failure.message
        );
    }
    install.run()?;
    let after = missing();
    if after.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "after the installation, {}",
            describe(&after)
        )))
    }
}

const NO_APT: &str = "This machine has no apt-get: install the programs with your system's own \
                      package manager, so that they are on the PATH.\n";

fn describe(missing: &[&Tool]) -> String {
    let mut text = "the tests need programs that are not installed:\n".to_owned();
    for tool in missing {
        text.push_str(&format!("  {}: {}\n", tool.any_of.join(" or "), tool.why));
    }
    text
}

/// How packages get onto this machine.
#[derive(Debug, Clone, Copy)]
struct Installer {
    /// Root rights come from sudo.
    sudo: bool,
}

impl Installer {
    fn of_this_machine() -> Option<Self> {
        find_program(&["apt-get"])?;
        let is_root = Line::new(["id", "-u"])
            .read()
            .is_ok_and(|id| id.trim() == "0");
        Some(Self {
            sudo: !is_root && find_program(&["sudo"]).is_some(),
        })
    }

    /// The two commands: fresh package lists, then the packages.
    fn lines(self, missing: &[&Tool]) -> [Line; 2] {
        let mut packages: Vec<&str> = missing
            .iter()
            .flat_map(|tool| tool.packages)
            .copied()
            .collect();
        packages.sort_unstable();
        packages.dedup();
        // Wait for another installation on the same machine instead of failing at its lock.
        let apt = Line::new(self.sudo.then_some("sudo"))
            .with(["env", "DEBIAN_FRONTEND=noninteractive"])
            .with(["apt-get", "-o", "DPkg::Lock::Timeout=300"]);
        [
            apt.clone().with(["update"]),
            apt.with(["install", "-y", "--no-install-recommends"])
                .with(packages),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWICE: [Tool; 3] = [
        Tool {
            any_of: &["b"],
            packages: &["two"],
            why: "for b",
        },
        Tool {
            any_of: &["c", "d"],
            packages: &["one"],
            why: "for c",
        },
        Tool {
            any_of: &["e"],
            packages: &["two", "three"],
            why: "for e",
        },
    ];

    #[test]
    fn every_tool_says_where_it_comes_from_and_why() {
        for tool in TOOLS {
            assert!(!tool.any_of.is_empty(), "{tool:?}");
            assert!(!tool.packages.is_empty(), "{tool:?}");
            assert!(!tool.why.is_empty(), "{tool:?}");
        }
    }

    #[test]
    fn packages_are_asked_for_once() {
        let missing: Vec<&Tool> = TWICE.iter().collect();
        let [update, install] = Installer { sudo: false }.lines(&missing);
        assert_eq!(
            update.to_string(),
            "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update"
        );
        assert!(
            install
                .to_string()
                .ends_with(" install -y --no-install-recommends one three two"),
            "{install}"
        );
    }

    #[test]
    fn sudo_comes_first_so_that_it_covers_the_environment_too() {
        let missing: Vec<&Tool> = TWICE.iter().collect();
        for line in (Installer { sudo: true }).lines(&missing) {
            assert!(
                line.to_string().starts_with("sudo env DEBIAN_FRONTEND="),
                "{line}"
            );
        }
    }

    #[test]
    fn the_message_names_each_program_and_its_reason() {
        let missing: Vec<&Tool> = TWICE.iter().collect();
        let text = describe(&missing);
        assert!(text.contains("  b: for b\n"), "{text}");
        assert!(text.contains("  c or d: for c\n"), "{text}");
    }
}
