//! `cargo xtask setup`: makes the machine ready, after saying in words what it will do.
//!
//! Not a package manager: it knows Debian's packages and else prints what is needed. Invariant: what is there
//! already is left alone, so a second run does nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::process::{output, program, root, run as run_program, succeeds};

/// The oldest Node.js that the clients run on.
const NODE_MAJOR_MIN: u32 = 20;
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Written beside what was installed: a copy of the lock file it was installed from.
const STAMP: &str = ".installed-from";

/// What to make ready for.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What the machine is wanted for.
    #[arg(long = "for", value_enum, default_value_t = Purpose::Test)]
    purpose: Purpose,
}

/// What the machine is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// To build and run Tessera.
    Demo,
    /// To run all tests but those that drive real clients.
    Fast,
    /// To run all tests.
    Test,
}

/// One thing to be done, and how it is said.
struct Task {
    words: String,
    work: Box<dyn FnOnce() -> Result<()>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ready(arguments.purpose)
}

/// Makes the machine ready for `purpose`.
pub(crate) fn ready(purpose: Purpose) -> Result<()> {
    let mut tasks = Vec::new();
    tasks.extend(install_packages(missing_packages(purpose))?);
    if purpose == Purpose::Test {
        let clients = root().join("crates/tessera/tests/clients");
        tasks.extend(install_node_clients(&clients));
        tasks.extend(install_python_clients(&clients));
    }
    if tasks.is_empty() {
        println!("Set-up: everything is there.");
    } else {
        println!("Set-up will:");
    }
    for task in &tasks {
        println!("  - {}", task.words);
    }
    for task in tasks {
        println!();
        (task.work)().with_context(|| format!("could not {}", task.words))?;
    }
    match purpose {
        Purpose::Test => check_node(),
        Purpose::Demo | Purpose::Fast => Ok(()),
    }
}

/// Debian's packages that are not there, each with what it is for.
fn missing_packages(purpose: Purpose) -> Vec<(&'static str, &'static str)> {
    let mut missing = Vec::new();
    if !succeeds("cc", &["--version"]) {
        missing.push(("build-essential", "a C compiler and linker"));
    }
    if purpose != Purpose::Test {
        return missing;
    }
    if !BROWSERS.iter().any(|browser| succeeds(browser, &["--version"])) {
        missing.push(("chromium", "a browser for the browser clients"));
    }
    if !succeeds("node", &["--version"]) {
        missing.push(("nodejs", "Node.js for the JavaScript clients"));
    }
    if !succeeds("npm", &["--version"]) {
        missing.push(("npm", "to install the JavaScript clients"));
    }
    if !succeeds("python3", &["-c", "import ensurepip, venv"]) {
        missing.push(("python3-venv", "Python for the Python client"));
    }
    missing
}

fn install_packages(missing: Vec<(&'static str, &'static str)>) -> Result<Option<Task>> {
    if missing.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let list = missing.iter().map(|(name, use_)| format!("{name} ({use_})")).collect::<Vec<_>>().join(", ");
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {}", names.join(" "));
    if !succeeds("apt-get", &["--version"]) {
        bail!("this machine lacks {list}, and has no apt-get. Install them in its own way, then try again.");
    }
    let mut apt: Vec<&'static str> = vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    if output(program("id").arg("-u"))?.trim() != "0" {
        if !succeeds("sudo", &["-n", "true"]) {
            bail!("this machine lacks {list}. As root, run: {by_hand}");
        }
        apt.insert(0, "sudo");
    }
    let work = move || {
        apt_get(&apt, &["update", "--quiet"])?;
        let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
        apt_get(&apt, &[install.as_slice(), &names].concat())
    };
    Ok(Some(Task { words: format!("install Debian packages: {list}"), work: Box::new(work) }))
}

fn apt_get(apt: &[&str], arguments: &[&str]) -> Result<()> {
    let Some((first, rest)) = apt.split_first() else { bail!("no way to run apt-get") };
    run_program(program(first).args(rest).args(arguments))
}

fn install_node_clients(clients: &Path) -> Option<Task> {
    let (folder, lock) = (clients.to_path_buf(), clients.join("package-lock.json"));
    let stamp = clients.join("node_modules").join(STAMP);
    if is_fresh(&lock, &stamp) {
        return None;
    }
    let words = "download the JavaScript clients that the tests drive (npm ci)".to_owned();
    let work = move || {
        run_program(program("npm").arg("ci").current_dir(&folder))?;
        keep_stamp(&lock, &stamp)
    };
    Some(Task { words, work: Box::new(work) })
}

fn install_python_clients(clients: &Path) -> Option<Task> {
    let (folder, lock) = (clients.to_path_buf(), clients.join("requirements.txt"));
    let stamp = clients.join(".venv").join(STAMP);
    if is_fresh(&lock, &stamp) {
        return None;
    }
    let words = "download the Python client that the tests drive (python3 -m venv, pip install)".to_owned();
    let work = move || {
        run_program(program("python3").args(["-m", "venv", ".venv"]).current_dir(&folder))?;
        let mut pip = program(folder.join(".venv/bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"]);
        run_program(pip.current_dir(&folder))?;
        keep_stamp(&lock, &stamp)
    };
    Some(Task { words, work: Box::new(work) })
}

/// Whether what the stamp stands beside was installed from the lock file as it is now.
fn is_fresh(lock: &Path, stamp: &PathBuf) -> bool {
    match (fs::read(lock), fs::read(stamp)) {
        (Ok(wanted), Ok(there)) => wanted == there,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

fn keep_stamp(lock: &Path, stamp: &Path) -> Result<()> {
    fs::copy(lock, stamp).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(())
}

fn check_node() -> Result<()> {
    let version = output(program("node").arg("--version"))?;
    if node_major(&version).is_none_or(|major| major < NODE_MAJOR_MIN) {
        bail!(
            "Node.js is {}, and the clients need {NODE_MAJOR_MIN} or later. Install a newer one, or run \
             `cargo xtask test --fast`, which leaves the clients out.",
            version.trim()
        );
    }
    Ok(())
}

/// `v20.19.2` is 20.
fn node_major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_read_as_node_prints_them() {
        assert_eq!(node_major("v20.19.2\n"), Some(20));
        assert_eq!(node_major("v8.0.0"), Some(8));
        assert_eq!(node_major("not a version"), None);
    }

    #[test]
    fn what_was_installed_is_stale_once_the_lock_file_changes() {
        let folder = std::env::temp_dir().join(format!("xtask-setup-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (lock, stamp) = (folder.join("lock"), folder.join("stamp"));
        fs::write(&lock, "one").unwrap();
        assert!(!is_fresh(&lock, &stamp), "nothing was installed yet");
        keep_stamp(&lock, &stamp).unwrap();
        assert!(is_fresh(&lock, &stamp));
        fs::write(&lock, "two").unwrap();
        assert!(!is_fresh(&lock, &stamp));
        fs::remove_dir_all(&folder).unwrap();
    }
}
