//! Sends batches of events and rejected rows, in order, and waits for a server that is busy or away.

use std::time::Duration;

use serde_json::{Value, json};

use super::journal::Journal;
use crate::client::{Client, Refusal};
use crate::commands::list;
use crate::output::Failure;

/// Most events of a batch.
pub(super) const BATCH_EVENTS_MAX: usize = 500;
/// Most bytes of a batch: 500 KB is the server's limit.
pub(super) const BATCH_BYTES_MAX: usize = 480_000;
/// Most rejected rows that go with a batch.
pub(super) const BATCH_REJECTS_MAX: usize = 200;
/// Most bytes of payloads that go in one request of rejects.
const REJECTS_BYTES_MAX: usize = 200_000;
/// How long to wait in all for a server that takes nothing.
const WAIT_SECONDS_MAX: u64 = 600;
/// Longest pause between two tries.
const PAUSE_SECONDS_MAX: u64 = 30;
/// The pause from which on a busy server is mentioned.
const WORTH_A_WORD_SECONDS: u64 = 4;
/// How many batches may pass before the journal is saved.
const BATCHES_PER_SAVE: u32 = 20;

/// What goes to the server together: the rows up to `rows`.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// `{"batch":[...`, not yet closed.
    pub(super) body: Vec<u8>,
    pub(super) events: usize,
    pub(super) rejects: Vec<RejectedRow>,
    pub(super) reject_bytes: usize,
    pub(super) rows: u64,
}

/// A row that the mapping could not turn into an event.
#[derive(Debug)]
pub(super) struct RejectedRow {
    pub(super) reason: String,
    pub(super) payload: String,
    pub(super) line: u64,
}

/// What the server did with what it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
}

/// What sending needs.
pub(super) struct Sender<'a> {
    pub(super) client: &'a Client,
    pub(super) write_key: &'a str,
    pub(super) source: &'a str,
    pub(super) pause: &'a dyn Fn(Duration),
    pub(super) on_wait: &'a dyn Fn(&str),
    pub(super) on_rows: &'a dyn Fn(u64),
}

impl Sender<'_> {
    /// Sends every batch, and moves the journal behind what was acknowledged.
    pub(super) fn run(
        &self,
        batches: impl Iterator<Item = Batch>,
        journal: &mut Journal,
    ) -> anyhow::Result<Sent> {
        let mut sent = Sent::default();
        let mut unsaved = 0;
        for batch in batches {
            let result = self.send(&batch, &mut sent);
            if result.is_err() {
                journal.save()?;
            }
            result?;
            journal.progress.rows = batch.rows;
            unsaved += 1;
            // Sending rejects twice would keep them twice: they have no message id.
            if unsaved >= BATCHES_PER_SAVE || !batch.rejects.is_empty() {
                journal.save()?;
                unsaved = 0;
            }
            (self.on_rows)(batch.rows);
        }
        journal.save()?;
        Ok(sent)
    }

    fn send(&self, batch: &Batch, sent: &mut Sent) -> anyhow::Result<()> {
        if batch.events > 0 {
            let mut body = batch.body.clone();
            body.extend_from_slice(b"]}");
            let answer =
                self.patiently(|| match self.client.ingest("/v1/import", self.write_key, &body) {
                    Ok((200, answer)) => Answer::Yes(answer),
                    Ok((status, body)) => Answer::of(Refusal { status, body }),
                    Err(error) => Answer::Away(error),
                })?;
            let rejected = list(&answer, "rejected").len() as u64;
            sent.rejected += rejected;
            sent.accepted += (batch.events as u64).saturating_sub(rejected);
        }
        let mut rows: Vec<Value> = Vec::new();
        let mut bytes = 0;
        for (i, row) in batch.rejects.iter().enumerate() {
            bytes += row.payload.len() + row.reason.len();
            rows.push(json!({"reason": row.reason, "payload": row.payload, "line": row.line}));
            if bytes >= REJECTS_BYTES_MAX || i + 1 == batch.rejects.len() {
                let body = json!({"source": self.source, "rows": std::mem::take(&mut rows)});
                bytes = 0;
                self.patiently(|| match self.client.post("/api/v1/rejects", &body) {
                    Ok(answer) => Answer::Yes(answer),
                    Err(error) => match error.downcast::<Refusal>() {
                        Ok(refusal) => Answer::of(refusal),
                        Err(error) => Answer::Away(error),
                    },
                })?;
            }
        }
        Ok(())
    }

    /// Tries until the server answers for good.
    fn patiently(&self, attempt: impl Fn() -> Answer) -> anyhow::Result<Value> {
        let (mut pause, mut waited) = (1, 0);
        loop {
            let error = match attempt() {
                Answer::Yes(answer) => return Ok(answer),
                Answer::No(refusal) => return Err(refused(refusal)),
                // A moment's back-pressure is how a busy server works, and not worth a word.
                Answer::Busy(refusal) => {
                    if pause == WORTH_A_WORD_SECONDS {
                        (self.on_wait)("the server is busy: waiting");
                    }
                    anyhow::Error::new(refusal)
                }
                Answer::Away(error) => {
                    if waited == 0 {
                        (self.on_wait)("the server cannot be reached: waiting");
                    }
                    error
                }
            };
            if waited >= WAIT_SECONDS_MAX {
                let what = format!("the server has taken nothing for {waited} seconds");
                let hint = "run the same command again when it serves: the import goes on where it was";
                return Err(error.context(Failure::new("TES-M010", what, hint)));
            }
            (self.pause)(Duration::from_secs(pause));
            waited += pause;
            pause = (pause * 2).min(PAUSE_SECONDS_MAX);
        }
    }
}

enum Answer {
    Yes(Value),
    Busy(Refusal),
    Away(anyhow::Error),
    No(Refusal),
}

impl Answer {
    fn of(refusal: Refusal) -> Self {
        if matches!(refusal.status, 408 | 429 | 500..=599) { Self::Busy(refusal) } else { Self::No(refusal) }
    }
}

fn refused(refusal: Refusal) -> anyhow::Error {
    let hint = match refusal.hint() {
        hint if hint.is_empty() => "run the same command again: the import goes on where it was".to_owned(),
        hint => hint,
    };
    anyhow::Error::new(refusal).context(Failure::new("TES-M010", "the server refused a batch", hint))
}
