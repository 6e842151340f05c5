//! One keep-alive HTTP/1.1 connection, with as little work for the processor as can be.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::Target;

/// A connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: Vec<u8>,
    target: Target,
}

impl Connection {
    pub(crate) fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&target.address)
            .with_context(|| format!("cannot reach {}", target.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024), head: Vec::new(), target: target.clone() })
    }

    /// Sends a body of the tracking API; returns the status.
    pub(crate) fn ingest(&mut self, path: &str, body: &[u8]) -> anyhow::Result<u16> {
        self.head.clear();
        write!(
            self.head,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nX-Write-Key: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.target.address,
            self.target.write_key,
            body.len()
        )?;
        self.stream.write_all(&self.head)?;
        self.stream.write_all(body)?;
        self.read().map(|(status, _)| status)
    }

    /// Asks the admin API; returns status and body.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        self.head.clear();
        write!(
            self.head,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.target.address, self.target.token
        )?;
        self.stream.write_all(&self.head)?;
        let (status, range) = self.read()?;
        Ok((status, self.buffer.get(range).unwrap_or_default().to_vec()))
    }

    /// Asks the admin API for JSON.
    pub(crate) fn json(&mut self, path: &str) -> anyhow::Result<serde_json::Value> {
        let (status, body) = self.get(path)?;
        if status != 200 {
            bail!("{path} answered {status}");
        }
        serde_json::from_slice(&body).with_context(|| format!("{path} is not JSON"))
    }

    fn read(&mut self) -> anyhow::Result<(u16, std::ops::Range<usize>)> {
        self.buffer.clear();
        let mut chunk = [0; 16 * 1024];
        loop {
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                bail!("the server closed the connection");
            }
            self.buffer.extend(chunk.get(..n).unwrap_or_default());
            let Some(end) = find(&self.buffer, b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(self.buffer.get(..end).unwrap_or_default()).to_lowercase();
            let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).context("no status")?;
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0);
            let body = end + 4..end + 4 + length;
            while self.buffer.len() < body.end {
                let n = self.stream.read(&mut chunk)?;
                if n == 0 {
                    bail!("the answer ended too early");
                }
                self.buffer.extend(chunk.get(..n).unwrap_or_default());
            }
            return Ok((status, body));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
