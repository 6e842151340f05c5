//! A server of the test's own, and the command line that goes with it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test: the optimised one when `cargo xtask test` names it.
pub(crate) fn binary() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the test runner hands the binary over by the environment")]
    let named = std::env::var("TESSERA_BIN").ok();
    named.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tessera")), PathBuf::from)
}

pub(crate) const WORKSPACE: &str = "
kind: Purpose
name: service
basis: contract
---
kind: Purpose
name: news
basis: consent
---
kind: Source
name: web
write_key: web-write-key
purposes: [service, news]
";

pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    /// What the server, and every command, gets besides.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// What a command printed, and whether it went well.
pub(crate) struct Printed {
    pub(crate) is_ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        Self {
            is_ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Printed {
    /// The standard output of a command that must have gone well.
    pub(crate) fn ok(self) -> String {
        assert!(self.is_ok, "{}\n{}", self.out, self.err);
        self.out
    }

    /// The messages of a command that must have failed.
    pub(crate) fn failed(self) -> String {
        assert!(!self.is_ok, "should have failed: {}", self.out);
        self.err
    }
}

/// A `tessera` command outside any server.
pub(crate) fn tessera(arguments: &[&str], folder: &Path) -> Printed {
    let output = Command::new(binary()).args(arguments).current_dir(folder).output().unwrap();
    output.into()
}

/// Waits for something that another process does.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a deadline for another process")]
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::yield_now();
    }
}

impl Server {
    /// A server on a fresh folder, with the workspace applied.
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Vec::new())
    }

    /// A server on `folder`, told more by its environment.
    pub(crate) fn start_in(folder: TempDir, environment: Vec<(&'static str, String)>) -> Self {
        let mut server = Self { child: None, folder, url: String::new(), environment };
        server.up();
        server.apply(WORKSPACE);
        server
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server on its folder, again if need be.
    pub(crate) fn up(&mut self) {
        let url_file = self.data().join("server.url");
        if url_file.exists() {
            std::fs::remove_file(&url_file).unwrap();
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("serve.log"))
            .unwrap();
        let child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let child = self.child.insert(child);
        self.url = eventually("the server is up", || {
            assert!(child.try_wait().unwrap().is_none(), "the server ended; see serve.log");
            std::fs::read_to_string(&url_file).ok().filter(|url| url.starts_with("http"))
        });
    }

    /// SIGKILL: no chance to write anything more.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, as an operator stops it.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let ended = child.wait().unwrap();
        assert!(ended.success(), "the server should end well: {ended}\n{}", self.log());
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("serve.log")).unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Printed {
        self.feed(arguments, "")
    }

    /// Runs a command with `input` as its standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> Printed {
        let mut child = Command::new(binary())
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may end before it is fed.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap().into()
    }

    /// Sends the server a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.run(&arguments).ok()).unwrap()
    }

    pub(crate) fn apply(&self, workspace: &str) {
        std::fs::write(self.folder.path().join("workspace.yaml"), workspace).unwrap();
        self.run(&["apply", "-f", "workspace.yaml"]).ok();
    }

    /// Posts to the tracking API; returns status and answer.
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> (u16, Value) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let mut answer = config
            .new_agent()
            .post(format!("{}{path}", self.url))
            .header("X-Write-Key", "web-write-key")
            .send(body.as_ref())
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().unwrap_or(Value::Null))
    }

    pub(crate) fn send(&self, path: &str, body: &Value) {
        let (status, answer) = self.post(path, body.to_string());
        assert_eq!(status, 200, "{answer}");
    }

    /// The profile, once it is there and `is_right`.
    pub(crate) fn profile(&self, reference: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{reference} is as expected"), || {
            let printed =
                self.run(&["profile", "show", reference, "--include", "provenance,events,merges", "--json"]);
            let profile: Value = serde_json::from_str(&printed.out).ok()?;
            is_right(&profile).then_some(profile)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let killed = child.kill().and_then(|()| child.wait());
            assert!(killed.is_ok() || std::thread::panicking());
        }
    }
}
