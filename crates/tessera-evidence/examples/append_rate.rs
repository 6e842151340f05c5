//! How many fields of deliveries a ledger records per second, durable, and how fast it is searched and verified.
//!
//! `cargo run --release -p tessera-evidence --example append_rate -- [FOLDER]`: the folder decides which disk is
//! measured; a temporary folder in it is used and removed.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use tessera_evidence::{Consent, Delivery, Entry, Filter, FolderReader, Form, Ledger, verify};
use tessera_model::{ConsentStatus, DestinationName, FragmentId, LegalBasis, PurposeName, Timestamp};
use tessera_store::{Clock, SystemClock};

const FIELDS: u64 = 10;
const SECONDS: u64 = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut out = std::io::stdout();
    writeln!(out, "threads  entries/append  appends/s  entries/s   fields/s    MB/s")?;
    for threads in [1, 8] {
        for entries in [1, 10, 100] {
            let temporary = tempfile::tempdir_in(&folder)?;
            let ledger = Ledger::open(temporary.path(), [7; 32], Arc::clone(&clock))?;
            let appends = appends(&ledger, clock.as_ref(), threads, entries)?;
            let bytes: u64 = bytes(temporary.path())?;
            let rate = |count: u64| count / SECONDS;
            writeln!(
                out,
                "{threads:7}  {entries:14}  {:9}  {:9}  {:9}  {:6}",
                rate(appends),
                rate(appends * entries),
                rate(appends * entries * FIELDS),
                rate(bytes) / 1_000_000,
            )?;
            if entries == 100 {
                search(&mut out, &ledger, clock.as_ref(), temporary.path(), bytes)?;
            }
        }
    }
    Ok(())
}

/// Appends for some seconds from so many threads; returns how many appends were acknowledged.
fn appends(ledger: &Ledger, clock: &dyn Clock, threads: u64, entries: u64) -> Result<u64, Box<dyn Error>> {
    let end = clock.monotonic_nanos() + SECONDS * 1_000_000_000;
    std::thread::scope(|scope| {
        let append = move |thread: u64| {
            let mut count = 0;
            while clock.monotonic_nanos() < end {
                let first = (thread << 40) + count * entries;
                let batch = (first..first + entries).map(delivery).collect::<Option<Vec<Entry>>>();
                ledger.append(&batch.unwrap_or_default())?;
                count += 1;
            }
            Ok::<u64, tessera_evidence::EvidenceError>(count)
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || append(thread))).collect();
        let counts = threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked"));
        counts.map(|count| Ok(count??)).sum()
    })
}

fn delivery(number: u64) -> Option<Entry> {
    let mut subject = [0; 16];
    subject
        .iter_mut()
        .zip(number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
        .for_each(|(to, from)| *to = from);
    let field = |name: &str| name.into();
    Some(Entry::Delivery(Delivery {
        subject: FragmentId(subject),
        profile: FragmentId(subject),
        destination: DestinationName::parse("webhook-crm").ok()?,
        region: Some("eu".into()),
        purpose: PurposeName::parse("marketing.email").ok()?,
        purpose_version: 3,
        basis: LegalBasis::Consent,
        consent: Some(Consent {
            status: ConsentStatus::Given,
            at: Timestamp::from_millis(1_767_225_600_000),
            version: 3,
            source: "web".into(),
        }),
        policy_version: 41,
        fields: [
            "traits.email",
            "traits.first_name",
            "traits.last_name",
            "traits.city",
            "traits.plan",
            "event",
            "properties.order_id",
            "properties.total",
            "properties.currency",
            "context.locale",
        ]
        .map(field)
        .into(),
        withheld: Vec::new(),
        message: format!("{number:032x}").into(),
        attempt: 1,
    }))
}

fn bytes(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.map(|file| Ok(file?.metadata()?.len())).sum()
}

fn search(
    out: &mut impl std::io::Write,
    ledger: &Ledger,
    clock: &dyn Clock,
    folder: &Path,
    bytes: u64,
) -> Result<(), Box<dyn Error>> {
    let mb_per_s = |nanos: u64| bytes * 1_000 / nanos.max(1);
    let mut measure = |what: &str, work: &mut dyn FnMut() -> Result<u64, Box<dyn Error>>| {
        let start = clock.monotonic_nanos();
        let lines = work()?;
        let nanos = clock.monotonic_nanos() - start;
        writeln!(out, "  {what}: {lines} lines of {}, {} MB/s", ledger.head().seq, mb_per_s(nanos))?;
        Ok::<(), Box<dyn Error>>(())
    };
    let people = |count: u8| (0..count).map(|number| FragmentId([number; 16])).collect::<BTreeSet<_>>();
    for (what, filter) in [
        ("one person", Filter { subjects: people(1), ..Filter::default() }),
        ("a person of 40 fragments", Filter { subjects: people(40), ..Filter::default() }),
        (
            "a purpose that all have",
            Filter { purpose: PurposeName::parse("marketing.email").ok(), ..Filter::default() },
        ),
    ] {
        measure(what, &mut || {
            let mut lines = 0;
            ledger.read(&filter, |_| {
                lines += 1;
                true
            })?;
            Ok(lines)
        })?;
    }
    measure("export", &mut || Ok(ledger.export(&mut std::io::sink(), 1..=u64::MAX)?.entries))?;
    measure("verify", &mut || {
        let reader = FolderReader::open(folder)?;
        Ok(verify(reader, &ledger.public_key(), Form::Folder, |_| {})?.entries)
    })
}
