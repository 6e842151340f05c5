//! The ledger on its way to a client, piece by piece.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tessera_evidence::{Entry, EvidenceError, Export};
use tessera_store::{Log, Store};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::access::Viewer;
use crate::error::ApiError;
use crate::shared::{App, blocking};

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that may wait for the client.
const PIECES_MAX: usize = 4;

pub(super) async fn export_of<L: Log, S: Store>(
    app: App<L, S>,
    viewer: Viewer,
    seqs: RangeInclusive<u64>,
) -> Result<Response, ApiError> {
    let evidence = Arc::clone(&app.parts.evidence);
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let ledger = Arc::clone(&evidence);
    let wanted = seqs.clone();
    blocking(move || {
        let head = ledger.head().seq;
        let count = head.min(*wanted.end()).saturating_add(1).saturating_sub(*wanted.start());
        if count == 0 || *wanted.start() == 0 {
            return Err(EvidenceError::NoEntries { last: head }.into());
        }
        let (purposes, fields) = (Vec::new(), Vec::new());
        let entry = Export { actor: viewer.actor.into(), what: "evidence".into(), purposes, fields, count };
        ledger.append(&[Entry::Export(entry)])?;
        Ok(())
    })
    .await?;
    // Not awaited: it works while the client reads, and ends when the client goes away.
    drop(tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces { sender, held: Vec::with_capacity(PIECE_BYTES) };
        if let Err(error) = evidence.export(&mut pieces, seqs) {
            tracing::warn!(code = error.code(), "an export of the evidence ledger broke off: {error}");
            // The connection breaks, so that nobody takes what came for the whole.
            drop(pieces.sender.blocking_send(Err(io::Error::other("the export broke off"))));
        }
    }));
    let mut response = Body::from_stream(ReceiverStream::new(receiver)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"evidence.jsonl\""),
    );
    Ok(response)
}

/// Hands on what is written, in pieces.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    held: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.held, Vec::with_capacity(PIECE_BYTES)));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
