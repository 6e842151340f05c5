//! A server of our own to measure, and what the system says of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The write key of the bench's workspace.
pub(crate) const WRITE_KEY: &str = "bench-write-key";

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) data_dir: PathBuf,
    pub(crate) address: String,
    pub(crate) token: String,
}

/// What the server has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_mib: f64,
    pub(crate) peak_mib: f64,
}

impl Server {
    /// Starts `tessera serve` on a free port and applies a workspace of one source.
    pub(crate) fn start(bin: &Path, data_dir: &Path, cache_mib: Option<u64>) -> Result<Self> {
        let workspace = format!(
            "kind: Purpose\nname: service\nbasis: contract\n---\nkind: Source\nname: load\nwrite_key: {WRITE_KEY}\npurposes: [service]\n"
        );
        Self::start_with(bin, data_dir, cache_mib, &workspace)
    }

    /// Starts `tessera serve` on a free port and applies a workspace.
    pub(crate) fn start_with(
        bin: &Path,
        data_dir: &Path,
        cache_mib: Option<u64>,
        workspace: &str,
    ) -> Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let url_file = data_dir.join("server.url");
        if url_file.exists() {
            std::fs::remove_file(&url_file)?;
        }
        let mut command = Command::new(bin);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
        if let Some(mib) = cache_mib {
            command.env("TESSERA_STORE__CACHE_MIB", mib.to_string());
        }
        let errors = std::fs::File::create(data_dir.join("serve.log"))?;
        let child = command.stdout(Stdio::null()).stderr(errors).spawn().context("cannot start tessera")?;
        let mut server =
            Self { child, data_dir: data_dir.to_owned(), address: String::new(), token: String::new() };
        for _ in 0..12_000 {
            if let Ok(url) = std::fs::read_to_string(&url_file)
                && let Some(address) = url.strip_prefix("http://").filter(|address| !address.is_empty())
            {
                address.clone_into(&mut server.address);
                server.token = std::fs::read_to_string(data_dir.join("admin.token"))?.trim().to_owned();
                server.apply(bin, workspace)?;
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("tessera ended with {status}; see {}", data_dir.join("serve.log").display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("tessera did not come up within two minutes")
    }

    /// Applies a workspace.
    pub(crate) fn apply(&self, bin: &Path, text: &str) -> Result<()> {
        let file = self.data_dir.join("bench.yaml");
        std::fs::write(&file, text)?;
        let done = Command::new(bin)
            .args(["apply", "--data-dir"])
            .arg(&self.data_dir)
            .arg("-f")
            .arg(&file)
            .output()?;
        if !done.status.success() {
            bail!("cannot apply the workspace: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    }

    /// Runs a load command of `tessera-sim` against the server; returns what it printed.
    pub(crate) fn load(&self, sim: &Path, arguments: &[&str]) -> Result<String> {
        let done = self
            .command(sim, arguments)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start tessera-sim")?;
        if !done.status.success() {
            bail!("the load `{}` failed", arguments.join(" "));
        }
        Ok(String::from_utf8(done.stdout)?)
    }

    /// The command of a load against the server.
    pub(crate) fn command(&self, sim: &Path, arguments: &[&str]) -> Command {
        let (name, rest) = arguments.split_first().unwrap_or((&"help", &[]));
        let mut command = Command::new(sim);
        command.arg(name);
        command.args(["--address", &self.address, "--write-key", WRITE_KEY, "--token", &self.token]);
        command.args(rest);
        command
    }

    /// An answer of the admin API.
    pub(crate) fn json(&self, path: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.get(path)?)?)
    }

    /// Processor time and memory, as the system counts them.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = std::fs::read_to_string(process.join("stat")).context("the server is gone")?;
        // After the name in brackets: fields 14 and 15 of the line are user and system time in ticks of 1/100 s.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let status = std::fs::read_to_string(process.join("status"))?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default()
                / 1024.0
        };
        Ok(Usage {
            cpu_seconds: (ticks(11) + ticks(12)) / 100.0,
            resident_mib: mib("VmRSS:"),
            peak_mib: mib("VmHWM:"),
        })
    }

    /// Waits until all that was folded is in a checkpoint and nothing is left to merge.
    pub(crate) fn settle(&self) -> Result<()> {
        for _ in 0..180 {
            let before = self.usage()?.cpu_seconds;
            std::thread::sleep(Duration::from_secs(1));
            let totals = self.totals()?;
            let position =
                |name: &str| totals.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
            let is_durable = position("durable_position") == position("pipeline_position");
            if is_durable && self.usage()?.cpu_seconds - before < 0.05 {
                return Ok(());
            }
        }
        bail!("tessera did not come to rest within three minutes")
    }

    /// Seconds spent in each stage so far, from the server's own metrics.
    pub(crate) fn stages(&self) -> Result<Vec<(String, f64)>> {
        let text = self.get("/metrics")?;
        let lines = text.lines().filter(|line| line.contains("{stage=\"") && !line.starts_with('#'));
        Ok(lines
            .filter_map(|line| {
                let stage = line.split("stage=\"").nth(1)?.split('"').next()?.to_owned();
                Some((stage, line.rsplit(' ').next()?.parse().ok()?))
            })
            .collect())
    }

    /// The totals, for sizes on disk.
    pub(crate) fn totals(&self) -> Result<serde_json::Value> {
        self.json("/api/v1/totals")
    }

    fn get(&self, path: &str) -> Result<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(&self.address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.address, self.token
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// Asks the server to stop and waits for it.
    pub(crate) fn stop(mut self) -> Result<()> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        for _ in 0..6000 {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("tessera did not stop within a minute")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only after a failure is it still running; a benchmark must not leave it behind.
        if matches!(self.child.try_wait(), Ok(None))
            && let Err(error) = self.child.kill().and_then(|()| self.child.wait())
        {
            println!("cannot end the server of the bench, process {}: {error}", self.child.id());
        }
    }
}
