//! Talks to a running server, for the commands that need one.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use ureq::http::StatusCode;
use ureq::http::header::AUTHORIZATION;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::output::Failure;

/// How often, and how long each time, a request that came too fast waits before it is sent again.
const WAITS_MAX: u32 = 5;
const WAIT_SECONDS_MAX: u64 = 5;
const EVENT_STREAM: &str = "text/event-stream";

/// Where the server is, and the right to ask.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    token: String,
}

impl Client {
    /// The server of a data folder, unless a URL and token say otherwise.
    pub(crate) fn new(data_dir: &Path, url: Option<String>, token: Option<String>) -> anyhow::Result<Self> {
        let read = |name: &str, file: PathBuf| {
            std::fs::read_to_string(&file).map(|text| text.trim().to_owned()).map_err(|_| {
                let what = format!("no {name}: `{}` is not there", file.display());
                let hint = "start the server with `tessera serve`, or name another folder with --data-dir, or a server with --url and --token";
                Failure::new("TES-C005", what, hint)
            })
        };
        let url = match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => read("running server", data_dir.join("server.url"))?,
        };
        let token = match token {
            Some(token) => token,
            None => read("admin token", data_dir.join("admin.token"))?,
        };
        Ok(Self { agent: agent(TlsConfig::default()), url, token })
    }

    /// Trusts the certificates that the authorities in a PEM file signed, and no others.
    pub(crate) fn trusting(self, ca_file: &Path) -> anyhow::Result<Self> {
        let failure = |what: &str| {
            let what = format!("{what} `{}`", ca_file.display());
            Failure::new(
                "TES-C013",
                what,
                "name the PEM file of the authority with --ca-file or TESSERA_CA_FILE",
            )
        };
        let text = std::fs::read(ca_file).with_context(|| failure("cannot read"))?;
        let mut certificates = Vec::new();
        for item in parse_pem(&text) {
            if let PemItem::Certificate(certificate) = item.with_context(|| failure("no PEM:"))? {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            return Err(failure("no certificate in").into());
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build();
        Ok(Self { agent: agent(tls), ..self })
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(|| self.agent.get(format!("{}{path}", self.url)).header(AUTHORIZATION, self.bearer()).call())
    }

    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(|| {
            self.agent.delete(format!("{}{path}", self.url)).header(AUTHORIZATION, self.bearer()).call()
        })
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(|| {
            self.agent
                .post(format!("{}{path}", self.url))
                .header(AUTHORIZATION, self.bearer())
                .send_json(body)
        })
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(|| {
            self.agent.put(format!("{}{path}", self.url)).header(AUTHORIZATION, self.bearer()).send_json(body)
        })
    }

    /// An answer that is no JSON, as it comes. An error's body is read as one.
    pub(crate) fn text(&self, path: &str) -> anyhow::Result<String> {
        let mut out = Vec::new();
        self.download(path, &mut out)?;
        String::from_utf8(out).context("the answer is not UTF-8")
    }

    /// Writes an answer to `out` while it comes; returns how many bytes. An answer that breaks off is an error.
    pub(crate) fn download(&self, path: &str, out: &mut impl std::io::Write) -> anyhow::Result<u64> {
        let request = self.agent.get(format!("{}{path}", self.url)).header(AUTHORIZATION, self.bearer());
        let answer = request.call().map_err(|error| self.unreachable(error))?;
        if answer.status() != StatusCode::OK {
            return self.read(Ok(answer)).map(|_| 0);
        }
        std::io::copy(&mut answer.into_body().into_reader(), out).context("the answer ended too early")
    }

    /// The same for an answer to a body, in the form of `accept`.
    pub(crate) fn post_download(
        &self,
        path: &str,
        body: &Value,
        accept: &str,
        out: &mut impl std::io::Write,
    ) -> anyhow::Result<u64> {
        let request = self.agent.post(format!("{}{path}", self.url)).header(AUTHORIZATION, self.bearer());
        let answer =
            request.header("Accept", accept).send_json(body).map_err(|error| self.unreachable(error))?;
        if answer.status() != StatusCode::OK {
            return self.read(Ok(answer)).map(|_| 0);
        }
        std::io::copy(&mut answer.into_body().into_reader(), out).context("the answer ended too early")
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Asks, and again while the server says that this was too fast.
    fn ask(
        &self,
        request: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<Value> {
        let mut waits = 0;
        loop {
            let answer = request();
            let wait = answer.as_ref().ok().and_then(|answer| {
                let seconds = answer.headers().get("Retry-After")?.to_str().ok()?.parse().ok()?;
                (answer.status() == StatusCode::TOO_MANY_REQUESTS && seconds <= WAIT_SECONDS_MAX)
                    .then(|| Duration::from_secs(seconds))
            });
            match wait.filter(|_| waits < WAITS_MAX) {
                Some(wait) => std::thread::sleep(wait),
                None => return self.read(answer),
            }
            waits += 1;
        }
    }

    /// Sends a body of the tracking API. The answer's status comes back, so that an overloaded server can be
    /// waited for.
    pub(crate) fn ingest(&self, path: &str, write_key: &str, body: &[u8]) -> anyhow::Result<(u16, Value)> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("X-Write-Key", write_key);
        let mut answer = request
            .header("Content-Type", "application/json")
            .send(body)
            .map_err(|error| self.unreachable(error))?;
        let status = answer.status().as_u16();
        Ok((status, answer.body_mut().read_json().unwrap_or(Value::Null)))
    }

    /// Calls `each` with the kind and data of every event of a server-sent stream, until it says `false`.
    pub(crate) fn stream(&self, path: &str, each: impl FnMut(&str, &str) -> bool) -> anyhow::Result<()> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let answer = request.header(AUTHORIZATION, self.bearer()).header("Accept", EVENT_STREAM).call();
        self.events(answer, each)
    }

    /// The same for a stream that answers a body.
    pub(crate) fn post_stream(
        &self,
        path: &str,
        body: &Value,
        each: impl FnMut(&str, &str) -> bool,
    ) -> anyhow::Result<()> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let answer =
            request.header(AUTHORIZATION, self.bearer()).header("Accept", EVENT_STREAM).send_json(body);
        self.events(answer, each)
    }

    fn events(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
        mut each: impl FnMut(&str, &str) -> bool,
    ) -> anyhow::Result<()> {
        let answer = answer.map_err(|error| self.unreachable(error))?;
        if answer.status() != StatusCode::OK {
            return self.read(Ok(answer)).map(|_| ());
        }
        let mut kind = String::new();
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let line = line.context("the server ended the stream")?;
            if let Some(name) = line.strip_prefix("event:") {
                name.trim().clone_into(&mut kind);
            } else if let Some(data) = line.strip_prefix("data:")
                && !each(&kind, data.trim())
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<Value> {
        let mut answer = answer.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()
            .context("the answer ended too early")?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        Err(Refusal { status: status.as_u16(), body }.into())
    }

    fn unreachable(&self, error: ureq::Error) -> anyhow::Error {
        let hint = "check that the server runs: `tessera serve`; one with a certificate of your own authority needs --ca-file, and the name in it as --url";
        anyhow::Error::new(error).context(Failure::new(
            "TES-C006",
            format!("cannot reach {}", self.url),
            hint,
        ))
    }
}

fn agent(tls: TlsConfig) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).tls_config(tls);
    config.build().new_agent()
}

/// An answer that is not a yes.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Refusal {
    fn field(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn hint(&self) -> String {
        self.field("hint").to_owned()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.field("message") {
            "" => write!(f, "the server answered {}", self.status),
            message => write!(f, "{}: {message}", self.field("code")),
        }
    }
}

impl std::error::Error for Refusal {}

/// Text as one segment of a URL's path.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
