//! A disk in memory that can be broken: failed and short writes, lost pages, crashes, flipped bits.
//!
//! Not random by itself: whoever breaks it says where, so one seed gives one history. The model: what was
//! written since the last sync may be lost in any 512-byte pieces; after a failed sync it may be lost even
//! if a later sync succeeds; names since the last folder sync may be lost one by one. Reference: "Can
//! Applications Recover from fsync Failures?", Rebello et al., USENIX ATC 2020.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, DiskFile};

const SECTOR_BYTES: u64 = 512;

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: a write stores this many bytes before it fails; any other operation just fails.
    Full {
        /// Bytes that are stored.
        after_bytes: usize,
    },
    /// An input/output error: a sync leaves everything unsynced in doubt, any other operation does nothing.
    Error,
    /// The machine stops: a write stores this many bytes, any other operation does nothing, and all fails
    /// until [`SimDisk::crash`].
    Stop {
        /// Bytes that are stored.
        after_bytes: usize,
    },
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`SimDisk`]. Of no use after a crash.
#[derive(Debug)]
pub struct SimFile {
    state: Arc<Mutex<State>>,
    inode: usize,
    boots: u64,
}

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    names_durable: BTreeMap<PathBuf, usize>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    capacity_bytes: Option<u64>,
    stopped: bool,
    boots: u64,
}

#[derive(Debug, Default)]
struct Inode {
    /// What the running system reads.
    now: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    unsynced: Vec<Write>,
}

#[derive(Clone, Debug)]
struct Write {
    offset: u64,
    bytes: Vec<u8>,
    /// A sync of it failed: no later sync writes it.
    in_doubt: bool,
}

impl Write {
    /// Takes the bytes of `newer` where both have some.
    fn take_over(&mut self, newer: &Self) {
        for (byte, offset) in self.bytes.iter_mut().zip(self.offset..) {
            let place = offset.checked_sub(newer.offset).and_then(|place| usize::try_from(place).ok());
            if let Some(newer) = place.and_then(|place| newer.bytes.get(place)) {
                *byte = *newer;
            }
        }
    }
}

impl SimDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Operations so far: each write, sync, truncate, create, remove, rename and folder sync is one. Reads are none.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Lets the operation with this number (as [`SimDisk::operations`] counts; the next one has the number
    /// that it returns) go wrong.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state.lock().faults.insert(operation, fault);
    }

    /// Limits the bytes in all files; `None` for no limit. At the limit a write is short, past it it fails.
    pub fn set_capacity_bytes(&self, bytes: Option<u64>) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Whether a [`Fault::Stop`] has happened and no crash since.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Loses power and starts again: all open files are closed, planned faults forgotten, and of what was not
    /// synced each piece is kept or lost as `choose` says (it is given a bound and returns less than it).
    pub fn crash(&self, choose: &mut dyn FnMut(u64) -> u64) {
        let mut state = self.state.lock();
        state.stopped = false;
        state.faults.clear();
        state.boots = state.boots.saturating_add(1);
        for inode in &mut state.inodes {
            inode.crash(choose);
        }
        let mut names = state.names_durable.clone();
        for (name, inode) in &state.names {
            if state.names_durable.get(name) != Some(inode) && choose(2) == 1 {
                names.insert(name.clone(), *inode);
            }
        }
        for name in state.names_durable.keys() {
            if !state.names.contains_key(name) && choose(2) == 1 {
                names.remove(name);
            }
        }
        state.names_durable.clone_from(&names);
        state.names = names;
    }

    /// Names and contents of all files, as the running system sees them.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.state.lock();
        let content =
            |inode: &usize| state.inodes.get(*inode).map(|inode| inode.now.clone()).unwrap_or_default();
        state.names.iter().map(|(name, inode)| (name.clone(), content(inode))).collect()
    }

    /// Puts a file there, durable at once, in place of any before.
    pub fn put(&self, file: &Path, content: &[u8]) {
        let mut state = self.state.lock();
        let inode = state.inodes.len();
        state.inodes.push(Inode { now: content.to_vec(), durable: content.to_vec(), unsynced: Vec::new() });
        state.names.insert(file.to_path_buf(), inode);
        state.names_durable.insert(file.to_path_buf(), inode);
    }

    /// Flips one bit of a file, as decay would. Nothing happens if the file is not that long.
    pub fn flip_bit(&self, file: &Path, bit: u64) {
        let mut state = self.state.lock();
        let Some(inode) = state.names.get(file).copied().and_then(|inode| state.inodes.get_mut(inode)) else {
            return;
        };
        let byte = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        for content in [&mut inode.now, &mut inode.durable] {
            if let Some(byte) = content.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }
}

impl State {
    /// Counts an operation. `Err` when it goes wrong; for a write with how many bytes to store first.
    fn begin(&mut self) -> Result<(), (io::Error, Fault)> {
        if self.stopped {
            return Err((stopped(), Fault::Error));
        }
        let operation = self.operations;
        self.operations = operation.saturating_add(1);
        match self.faults.remove(&operation) {
            None => Ok(()),
            Some(fault @ Fault::Full { .. }) => Err((io::ErrorKind::StorageFull.into(), fault)),
            Some(fault @ Fault::Error) => Err((io::Error::other("simulated input/output error"), fault)),
            Some(fault @ Fault::Stop { .. }) => {
                self.stopped = true;
                Err((stopped(), fault))
            }
        }
    }

    fn begin_plain(&mut self) -> io::Result<()> {
        self.begin().map_err(|(error, _)| error)
    }

    fn inode(&mut self, file: &SimFile) -> io::Result<&mut Inode> {
        if self.stopped || file.boots != self.boots {
            return Err(stopped());
        }
        self.inodes.get_mut(file.inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// How many of `bytes` more at the end of a file still fit.
    fn room(&self, bytes: usize) -> usize {
        let Some(capacity) = self.capacity_bytes else { return bytes };
        let used: u64 = self.names.values().filter_map(|inode| self.inodes.get(*inode)).map(Inode::len).sum();
        usize::try_from(capacity.saturating_sub(used)).unwrap_or(usize::MAX).min(bytes)
    }
}

fn stopped() -> io::Error {
    io::Error::other("the simulated machine has stopped")
}

impl Inode {
    fn len(&self) -> u64 {
        self.now.len() as u64
    }

    fn write(&mut self, bytes: &[u8], offset: u64) {
        store(&mut self.now, bytes, offset);
        self.unsynced.push(Write { offset, bytes: bytes.to_vec(), in_doubt: false });
    }

    fn sync(&mut self) {
        let (mut in_doubt, synced): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unsynced).into_iter().partition(|write| write.in_doubt);
        for write in synced {
            store(&mut self.durable, &write.bytes, write.offset);
            // What was written again is in doubt no more.
            for old in &mut in_doubt {
                old.take_over(&write);
            }
        }
        self.unsynced = in_doubt;
        // The length is durable even where the content was lost.
        if self.durable.len() < self.now.len() {
            self.durable.resize(self.now.len(), 0);
        }
    }

    fn truncate(&mut self, bytes: usize) {
        self.now.resize(bytes, 0);
        self.durable.resize(bytes, 0);
        for write in &mut self.unsynced {
            let kept = (bytes as u64).saturating_sub(write.offset);
            write.bytes.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        }
        self.unsynced.retain(|write| !write.bytes.is_empty());
    }

    fn crash(&mut self, choose: &mut dyn FnMut(u64) -> u64) {
        if !self.unsynced.is_empty() {
            // Nothing, everything in order up to somewhere, or any pieces.
            let manner = choose(4);
            let total: u64 = self.unsynced.iter().map(|write| write.bytes.len() as u64).sum();
            let mut left = if manner == 1 { choose(total.saturating_add(1)) } else { total };
            let lengthened = manner == 2 && choose(2) == 1;
            for write in std::mem::take(&mut self.unsynced) {
                for (offset, piece) in pieces(&write) {
                    let kept = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                    left = left.saturating_sub(kept as u64);
                    let keep = manner != 0 && (manner != 2 || choose(2) == 1);
                    if keep && kept > 0 {
                        store(&mut self.durable, piece.get(..kept).unwrap_or_default(), offset);
                    }
                }
            }
            // File systems may know the length before the content.
            if lengthened && self.durable.len() < self.now.len() {
                self.durable.resize(self.now.len(), 0);
            }
        }
        self.now.clone_from(&self.durable);
    }
}

/// A write in pieces that reach the platter whole or not at all.
fn pieces(write: &Write) -> Vec<(u64, &[u8])> {
    let mut pieces = Vec::new();
    let (mut offset, mut rest) = (write.offset, write.bytes.as_slice());
    while !rest.is_empty() {
        let to_boundary = usize::try_from(SECTOR_BYTES - offset % SECTOR_BYTES).unwrap_or(usize::MAX);
        let (piece, after) = rest.split_at(to_boundary.min(rest.len()));
        pieces.push((offset, piece));
        offset = offset.saturating_add(piece.len() as u64);
        rest = after;
    }
    pieces
}

fn store(content: &mut Vec<u8>, bytes: &[u8], offset: u64) {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create_folder(&self, _folder: &Path) -> io::Result<()> {
        if self.state.lock().stopped { Err(stopped()) } else { Ok(()) }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let state = self.state.lock();
        if state.stopped {
            return Err(stopped());
        }
        let files = state.names.iter().filter(|(name, _)| name.parent() == Some(folder));
        Ok(files
            .filter_map(|(name, inode)| {
                Some((name.file_name()?.to_str()?.to_owned(), state.inodes.get(*inode)?.len()))
            })
            .collect())
    }

    fn create(&self, file: &Path) -> io::Result<SimFile> {
        let mut state = self.state.lock();
        state.begin_plain()?;
        let inode = state.names.get(file).copied().unwrap_or(state.inodes.len());
        match state.inodes.get_mut(inode) {
            Some(existing) => existing.truncate(0),
            None => state.inodes.push(Inode::default()),
        }
        state.names.insert(file.to_path_buf(), inode);
        Ok(SimFile { state: Arc::clone(&self.state), inode, boots: state.boots })
    }

    fn open(&self, file: &Path) -> io::Result<SimFile> {
        let state = self.state.lock();
        if state.stopped {
            return Err(stopped());
        }
        let inode = *state.names.get(file).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimFile { state: Arc::clone(&self.state), inode, boots: state.boots })
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin_plain()?;
        state.names.remove(file).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin_plain()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), inode);
        // Its creation may have reached the platter although nobody asked for that, and its end not.
        state.names_durable.entry(from.to_path_buf()).or_insert(inode);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin_plain()?;
        let inside = |name: &Path| name.parent() == Some(folder);
        let names: Vec<_> = state
            .names
            .iter()
            .filter(|(name, _)| inside(name))
            .map(|(name, inode)| (name.clone(), *inode))
            .collect();
        state.names_durable.retain(|name, _| !inside(name));
        state.names_durable.extend(names);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        let content = &state.inode(self)?.now;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let rest = content.get(start..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.inode(self)?;
        let result = state.begin();
        let fits = state.room(bytes.len());
        let stored = match result {
            Ok(()) => fits,
            Err((_, Fault::Full { after_bytes } | Fault::Stop { after_bytes })) => fits.min(after_bytes),
            Err((_, Fault::Error)) => 0,
        };
        let part = bytes.get(..stored).unwrap_or_default();
        if let Some(inode) = state.inodes.get_mut(self.inode).filter(|_| !part.is_empty()) {
            inode.write(part, offset);
        }
        match result {
            Err((error, _)) => Err(error),
            Ok(()) if stored == 0 && !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            Ok(()) => Ok(stored),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.inode(self)?;
        let result = state.begin();
        let inode = state.inodes.get_mut(self.inode).ok_or(io::ErrorKind::NotFound)?;
        match result {
            Ok(()) => inode.sync(),
            Err((_, Fault::Error | Fault::Full { .. })) => {
                inode.unsynced.iter_mut().for_each(|write| write.in_doubt = true);
            }
            Err((_, Fault::Stop { .. })) => {}
        }
        result.map_err(|(error, _)| error)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.inode(self)?;
        state.begin_plain()?;
        let inode = state.inodes.get_mut(self.inode).ok_or(io::ErrorKind::NotFound)?;
        inode.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(())
    }
}
