//! Tests of the ledger as a whole.

mod append;
mod crash;
mod find;
mod golden;
mod rules;
mod tamper;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tessera_model::{ConsentStatus, FragmentId, LegalBasis, Timestamp};
use tessera_store::ManualClock;

use crate::disk::{Disk, DiskFile, OsDisk};
use crate::folder::file_name;
use crate::*;

/// Secret key of the tests.
const KEY: [u8; 32] = [7; 32];
/// 2026-01-01T00:00:00Z.
const START_MILLIS: i64 = 1_767_225_600_000;

/// The machine's disk, but syncs do nothing: no test here takes the power away.
struct QuickDisk;

struct QuickFile(Box<dyn DiskFile>, File);

impl QuickDisk {
    fn file(file: Box<dyn DiskFile>, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(QuickFile(file, File::options().write(true).open(path)?)))
    }
}

impl Disk for QuickDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Self::file(OsDisk.create(path)?, path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Self::file(OsDisk.open(path)?, path)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        OsDisk.remove(file)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for QuickFile {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.1.set_len(bytes)
    }
}

/// A folder with a ledger and a clock.
struct World {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(START_MILLIS)));
        Self { folder: tempfile::tempdir().unwrap(), clock }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("evidence")
    }

    fn open(&self) -> Ledger {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Ledger, EvidenceError> {
        self.open_on(QuickDisk)
    }

    fn open_on(&self, disk: impl Disk) -> Result<Ledger, EvidenceError> {
        Ledger::open_on(Box::new(disk), &self.path(), KEY, Arc::clone(&self.clock) as _)
    }

    /// The segment whose first entry is `first`.
    fn segment(&self, first: u64) -> PathBuf {
        self.path().join(file_name(first))
    }

    fn verify(&self) -> Verified {
        verify_folder(&self.path()).unwrap()
    }
}

fn verify_folder(folder: &Path) -> Result<Verified, VerifyError> {
    verify(FolderReader::open(folder).unwrap(), &public_key(), Form::Folder, |_| {})
}

fn verify_export(export: &[u8]) -> Result<Verified, VerifyError> {
    verify(export, &public_key(), Form::Export, |_| {})
}

fn public_key() -> [u8; 32] {
    crate::format::Signer::new(&KEY).unwrap().public
}

fn export(ledger: &Ledger, seqs: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    ledger.export(&mut out, seqs).unwrap();
    out
}

fn person(number: u8) -> FragmentId {
    FragmentId([number; 16])
}

/// A delivery of `person`'s data, the `number`th.
fn delivery(person_number: u8, number: u32) -> Entry {
    Entry::Delivery(Delivery {
        subject: person(person_number),
        profile: person(person_number),
        destination: tessera_model::DestinationName::parse("crm").unwrap(),
        region: Some("eu".into()),
        purpose: tessera_model::PurposeName::parse("marketing.email").unwrap(),
        purpose_version: 2,
        basis: LegalBasis::Consent,
        consent: Some(Consent {
            status: ConsentStatus::Given,
            at: Timestamp::from_millis(START_MILLIS - 1_000),
            version: 2,
            source: "web".into(),
        }),
        policy_version: 5,
        fields: vec!["traits.email".into(), "traits.name".into()],
        withheld: vec![Withheld { field: "traits.location".into(), reason: "precise-location".into() }],
        message: format!("{number:032x}").into(),
        attempt: 1,
    })
}

fn change(detail: &str) -> Entry {
    Entry::Change(Change {
        actor: "ada".into(),
        what: "PUT /api/v1/workspace".into(),
        object: Some("marketing.email".into()),
        detail: Some(detail.into()),
    })
}

/// All lines of the ledger.
fn lines(ledger: &Ledger) -> Vec<(u64, Entry)> {
    found(ledger, &Filter::default())
}

fn found(ledger: &Ledger, filter: &Filter) -> Vec<(u64, Entry)> {
    let mut lines = Vec::new();
    ledger
        .read(filter, |line| {
            lines.push((line.seq, line.entry.clone()));
            true
        })
        .unwrap();
    lines
}
