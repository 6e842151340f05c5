//! The ledger: many callers, one chain.
//!
//! Not asynchronous: an append blocks its thread until the disk has it. Callers that come while another writes
//! are written together by the next of them, with one sync. Invariants: readers see durable lines only; entries
//! of one append have consecutive numbers.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, RwLock};
use tessera_store::Clock;

use crate::Entry;
use crate::disk::{Disk, OsDisk};
use crate::error::EvidenceError;
use crate::format::{Hash, Signer, hex};
use crate::recover::{self, Recovery};
use crate::writer::{GROUP_BYTES_MAX, Request, Tail, Writer};

/// [`Ledger::tick`] signs what is older than this.
pub const CHECKPOINT_SECONDS: u64 = 60;

/// The last line of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Head {
    /// Its number; 0 if there is none.
    pub seq: u64,
    /// Its hash. Whoever keeps this elsewhere can tell a ledger that was cut short from a whole one.
    pub hash: Hash,
}

/// The evidence ledger in one folder.
pub struct Ledger {
    pub(crate) folder: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signer: Arc<Signer>,
    recovery: Recovery,
    queue: Mutex<Queue>,
    /// A group is done, or nobody leads.
    done: Condvar,
    writer: Mutex<Writer>,
    pub(crate) durable: RwLock<Durable>,
    /// [`Clock::monotonic_nanos`] of the last checkpoint.
    checkpoint_nanos: Mutex<u64>,
}

/// What readers may see.
#[derive(Clone, Debug)]
pub(crate) struct Durable {
    /// First entries of the segments.
    pub(crate) firsts: Vec<u64>,
    /// Length of the last segment.
    pub(crate) bytes: u64,
    pub(crate) head: Head,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Arc<Waiting>>,
    /// Some caller is writing a group.
    is_led: bool,
}

struct Waiting {
    request: Request,
    answer: Mutex<Option<Result<RangeInclusive<u64>, EvidenceError>>>,
}

impl AsRef<Request> for Arc<Waiting> {
    fn as_ref(&self) -> &Request {
        &self.request
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("folder", &self.folder)
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger in `folder`, making the folder if need be. `key` is the secret half of an Ed25519 key pair:
    /// any 32 random bytes, the same ones for the life of the ledger. Cuts off a torn tail. The caller holds the
    /// lock of the data folder.
    ///
    /// # Errors
    /// [`EvidenceError::Damaged`] and [`EvidenceError::Key`] name the segment; then nothing was changed.
    pub fn open(folder: &Path, key: [u8; 32], clock: Arc<dyn Clock>) -> Result<Self, EvidenceError> {
        Self::open_on(Box::new(OsDisk), folder, key, clock)
    }

    pub(crate) fn open_on(
        disk: Box<dyn Disk>,
        folder: &Path,
        key: [u8; 32],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EvidenceError> {
        let signer = Signer::new(&key).ok_or(EvidenceError::Entry { what: "anything with this key" })?;
        let signer = Arc::new(signer);
        make_folder(disk.as_ref(), folder)?;
        let opened = recover::open(folder, &signer.public, disk.as_ref())?;
        let head = opened.link.map_or(Head::default(), |link| Head { seq: link.seq, hash: link.hash });
        let tail = Tail { head, since_checkpoint: opened.since_checkpoint };
        let mut writer = Writer::new(disk, folder.to_owned(), Arc::clone(&signer), tail);
        if let Some(last) = opened.firsts.last() {
            writer.go_on(*last, opened.bytes)?;
        }
        let checkpoint_nanos = Mutex::new(clock.monotonic_nanos());
        Ok(Self {
            folder: folder.to_owned(),
            clock,
            signer,
            recovery: opened.recovery,
            queue: Mutex::default(),
            done: Condvar::new(),
            writer: Mutex::new(writer),
            durable: RwLock::new(Durable { firsts: opened.firsts, bytes: opened.bytes, head }),
            checkpoint_nanos,
        })
    }

    /// What opening had to mend.
    #[must_use]
    pub const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The public half of the key, as 64 hexadecimal digits: all that [`crate::verify`] needs besides an export.
    #[must_use]
    pub fn public_key_hex(&self) -> String {
        hex(&self.signer.public)
    }

    /// The public half of the key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.signer.public
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the public key: how checkpoints name it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.signer.id
    }

    /// The last durable line.
    #[must_use]
    pub fn head(&self) -> Head {
        self.durable.read().head
    }

    /// Records `entries`, in order, and returns their numbers once they are on disk. Blocks for a sync, which callers
    /// on other threads share. No entries: an empty range.
    ///
    /// # Errors
    /// [`EvidenceError::Append`] (try again later) or [`EvidenceError::Entry`] (never); then none is recorded.
    pub fn append(&self, entries: &[Entry]) -> Result<RangeInclusive<u64>, EvidenceError> {
        let request = Request::new(entries)?;
        if entries.is_empty() {
            let next = self.head().seq + 1;
            return Ok(next..=next - 1);
        }
        self.submit(request)
    }

    /// Signs what was recorded more than [`CHECKPOINT_SECONDS`] ago and is not signed yet. To be called every few
    /// seconds.
    ///
    /// # Errors
    /// [`EvidenceError::Append`]: the next call tries again.
    pub fn tick(&self) -> Result<(), EvidenceError> {
        let now = self.clock.monotonic_nanos();
        let due = self.checkpoint_nanos.lock().saturating_add(CHECKPOINT_SECONDS * 1_000_000_000);
        if now < due { Ok(()) } else { self.checkpoint() }
    }

    /// Signs what is not signed yet: the last thing to do before the process ends, or before an export leaves.
    ///
    /// # Errors
    /// [`EvidenceError::Append`]: what was recorded is recorded, but not signed.
    pub fn close(&self) -> Result<(), EvidenceError> {
        self.checkpoint()
    }

    fn checkpoint(&self) -> Result<(), EvidenceError> {
        self.submit(Request::checkpoint()).map(drop)
    }

    fn submit(&self, request: Request) -> Result<RangeInclusive<u64>, EvidenceError> {
        let mine = Arc::new(Waiting { request, answer: Mutex::default() });
        let mut queue = self.queue.lock();
        queue.waiting.push(Arc::clone(&mine));
        loop {
            if let Some(answer) = mine.answer.lock().take() {
                return answer;
            }
            if queue.is_led {
                self.done.wait(&mut queue);
                continue;
            }
            queue.is_led = true;
            let group = take_group(&mut queue.waiting);
            drop(queue);
            self.lead(&group);
            queue = self.queue.lock();
            queue.is_led = false;
            self.done.notify_all();
        }
    }

    /// Writes a group and answers it.
    fn lead(&self, group: &[Arc<Waiting>]) {
        match self.write(group) {
            Ok(ranges) => {
                for (waiting, range) in group.iter().zip(ranges) {
                    *waiting.answer.lock() = Some(Ok(range));
                }
            }
            Err(error) => {
                for waiting in group {
                    *waiting.answer.lock() = Some(Err(error.clone()));
                }
            }
        }
    }

    fn write(&self, group: &[Arc<Waiting>]) -> Result<Vec<RangeInclusive<u64>>, EvidenceError> {
        let at = self.clock.now().to_string();
        let mut writer = self.writer.lock();
        let rolled = writer.roll(group, &at)?;
        if let Some(first) = rolled {
            let mut durable = self.durable.write();
            durable.firsts.push(first);
            durable.bytes = writer.segment_bytes();
            durable.head = writer.tail.head;
        }
        let written = writer.write(group, &at)?;
        let mut durable = self.durable.write();
        durable.bytes = writer.segment_bytes();
        durable.head = writer.tail.head;
        drop(durable);
        if written.checkpoint || rolled.is_some() {
            *self.checkpoint_nanos.lock() = self.clock.monotonic_nanos();
        }
        Ok(written.ranges)
    }

    #[cfg(test)]
    pub(crate) fn set_segment_bytes_max(&self, bytes: u64) {
        self.writer.lock().segment_bytes_max = bytes;
    }
}

/// Those who waited longest, as many as fit into one write.
fn take_group(waiting: &mut Vec<Arc<Waiting>>) -> Vec<Arc<Waiting>> {
    let mut bytes = 0;
    let fits = |waiting: &&Arc<Waiting>| {
        let begins = bytes == 0;
        bytes += waiting.request.bytes();
        begins || bytes <= GROUP_BYTES_MAX
    };
    let count = waiting.iter().take_while(fits).count();
    waiting.drain(..count).collect()
}

fn make_folder(disk: &dyn Disk, folder: &Path) -> Result<(), EvidenceError> {
    if folder.is_dir() {
        return Ok(());
    }
    let made = std::fs::create_dir_all(folder).and_then(|()| match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => disk.sync_folder(parent),
        Some(_) | None => Ok(()),
    });
    made.map_err(EvidenceError::io("make", folder))
}
