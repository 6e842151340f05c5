use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

/// A disk that runs full, or whose syncs, and repairs, fail.
#[derive(Clone)]
struct FaultyDisk {
    /// So many bytes can still be written.
    room: Arc<AtomicU64>,
    sync_fails: Arc<AtomicBool>,
    repair_fails: Arc<AtomicBool>,
}

impl FaultyDisk {
    fn new() -> Self {
        Self {
            room: Arc::new(AtomicU64::new(u64::MAX)),
            sync_fails: Arc::default(),
            repair_fails: Arc::default(),
        }
    }

    fn set_room(&self, bytes: u64) {
        self.room.store(bytes, Ordering::SeqCst);
    }

    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { file, disk: self.clone() })
    }

    fn repair(&self) -> io::Result<()> {
        if self.repair_fails.load(Ordering::SeqCst) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }
}

struct FaultyFile {
    file: Box<dyn DiskFile>,
    disk: FaultyDisk,
}

impl Disk for FaultyDisk {
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        QuickDisk.create(file).map(|file| self.wrap(file))
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        QuickDisk.open(file).map(|file| self.wrap(file))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.repair()?;
        QuickDisk.remove(file)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        QuickDisk.sync_folder(folder)
    }
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = self.disk.room.load(Ordering::SeqCst);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.file.write(&bytes[..fits], offset)?;
        self.disk.room.fetch_sub(fits as u64, Ordering::SeqCst);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.sync_fails.load(Ordering::SeqCst) {
            Err(io::ErrorKind::Other.into())
        } else {
            self.file.sync()
        }
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.disk.repair()?;
        self.file.cut(bytes)
    }
}

/// A ledger of `segments` with some lines in the last one, appended two at a time; the bytes of the last segment.
fn written(world: &World, segments: usize) -> (PathBuf, Vec<u8>) {
    let ledger = world.open();
    ledger.set_segment_bytes_max(10_000);
    let mut number = 0;
    let mut in_last = 0;
    while in_last < 3 {
        ledger.append(&[delivery(1, number), delivery(2, number)]).unwrap();
        number += 1;
        let firsts = crate::folder::segments(&world.path()).unwrap();
        in_last = if firsts.len() == segments { in_last + 1 } else { 0 };
        assert!(firsts.len() <= segments, "a segment has room for three appends");
    }
    let last = *crate::folder::segments(&world.path()).unwrap().last().unwrap();
    let path = world.segment(last);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

fn feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Puts a file in place of another. Not over it: some file systems then wait for the disk, thousands of times here.
fn replace(path: &Path, bytes: &[u8]) {
    if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_crash_at_any_byte_keeps_every_whole_line_and_nothing_else() {
    for segments in [1, 3] {
        let world = World::new();
        let (path, bytes) = written(&world, segments);
        let before = world.open().head().seq - feeds(&bytes);
        let firsts = crate::folder::segments(&world.path()).unwrap();
        let others = firsts.iter().map(|first| world.segment(*first)).filter(|other| *other != path);
        let others: Vec<_> = others.map(|other| (other.clone(), std::fs::read(&other).unwrap())).collect();
        // Within its first line, which is written alone, and the last four, which two appends wrote.
        let ends: Vec<usize> = memchr::memchr_iter(b'\n', &bytes).collect();
        for cut in (0..ends[0] + 2).chain(ends[ends.len() - 5]..bytes.len()) {
            replace(&path, &bytes[..cut]);
            let ledger = world.open();
            let whole = feeds(&bytes[..cut]);
            assert_eq!(ledger.head().seq, before + whole, "cut at {cut}");
            let end = bytes[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
            assert_eq!(ledger.recovery().cut_bytes, (cut - end) as u64);
            assert_eq!(lines(&ledger).len() as u64, before + whole);
            if cut % 97 == 0 {
                let next = ledger.append(&[change("after")]).unwrap();
                assert_eq!(world.verify().last, *next.end());
                for (path, bytes) in &others {
                    replace(path, bytes);
                }
            }
            // As it was: what was appended is gone, and a segment that was removed is back.
            replace(&path, &bytes);
        }
        assert_eq!(world.open().head().seq, before + feeds(&bytes));
    }
}

#[test]
fn a_hole_in_the_last_group_is_a_torn_tail_and_anywhere_else_damage() {
    let world = World::new();
    let (path, bytes) = written(&world, 2);
    let starts: Vec<usize> = std::iter::once(0)
        .chain(bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1))
        .collect();
    let count = starts.len() - 1;
    let before = world.open().head().seq - feeds(&bytes);
    for line in 0..count {
        let mut holed = bytes.clone();
        holed[starts[line] + 10..starts[line] + 20].fill(0);
        std::fs::write(&path, &holed).unwrap();
        if line + 2 < count {
            let error = world.try_open().unwrap_err();
            assert_eq!(error.code(), "TES-E003", "{error}");
            assert!(error.to_string().contains(&format!("is damaged at line {}:", line + 1)), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), holed, "nothing was changed");
        } else {
            assert_eq!(world.open().head().seq, before + line as u64);
            assert_eq!(world.verify().last, before + line as u64);
        }
        std::fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_changed_line_is_damage_even_in_the_last_group() {
    let world = World::new();
    let (path, bytes) = written(&world, 1);
    let lines = usize::try_from(feeds(&bytes)).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for line in 0..lines - 1 {
        let changed: Vec<String> = text
            .lines()
            .enumerate()
            .map(|(at, text)| if at == line { text.replacen("2026", "2025", 1) } else { text.to_owned() } + "\n")
            .collect();
        std::fs::write(&path, changed.concat()).unwrap();
        let error = world.try_open().unwrap_err();
        assert_eq!(error.code(), "TES-E003", "line {line}: {error}");
    }
}

#[test]
fn garbage_longer_than_any_crash_leaves_is_not_cut_off() {
    let world = World::new();
    let (path, bytes) = written(&world, 2);
    let garbage = vec![0; 25 * 1024 * 1024];
    for kept in [&bytes[..], &[]] {
        std::fs::write(&path, [kept, &garbage].concat()).unwrap();
        assert_eq!(world.try_open().unwrap_err().code(), "TES-E003");
    }
}

#[test]
fn a_missing_segment_and_a_cut_one_in_the_middle_are_damage() {
    let world = World::new();
    written(&world, 4);
    let firsts = crate::folder::segments(&world.path()).unwrap();
    let second = world.segment(firsts[1]);
    let bytes = std::fs::read(&second).unwrap();
    let whole_lines = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in [whole_lines, bytes.len() - 1, 0] {
        std::fs::write(&second, &bytes[..cut]).unwrap();
        assert_eq!(world.try_open().unwrap_err().code(), "TES-E003", "cut at {cut}");
    }
    std::fs::remove_file(&second).unwrap();
    let error = world.try_open().unwrap_err();
    assert!(error.to_string().contains(&file_name(firsts[2])), "{error}");
    std::fs::write(&second, &bytes).unwrap();
    world.open();
    // Segments cut away at the beginning, as retention will, leave a sound ledger.
    std::fs::remove_file(world.segment(firsts[0])).unwrap();
    assert_eq!((world.open().head().seq > 0, world.verify().first), (true, firsts[1]));
}

#[test]
fn a_renamed_segment_is_damage() {
    let world = World::new();
    let (path, _) = written(&world, 1);
    std::fs::rename(path, world.segment(5)).unwrap();
    let error = world.try_open().unwrap_err();
    assert!(error.to_string().contains("named for entry 5 and begins with 1"), "{error}");
}

#[test]
fn a_full_disk_refuses_appends_at_any_byte_and_is_usable_again() {
    for repair_fails in [false, true] {
        for room in (0..2_600).step_by(7) {
            let world = World::new();
            let disk = FaultyDisk::new();
            let ledger = world.open_on(disk.clone()).unwrap();
            ledger.set_segment_bytes_max(1_500);
            disk.set_room(room);
            let mut recorded = Vec::new();
            let failed = (0..9).find_map(|number| match ledger.append(&[delivery(1, number)]) {
                Ok(range) => {
                    recorded.push(*range.start());
                    None
                }
                Err(error) => Some((number, error)),
            });
            let (number, error) = failed.unwrap();
            assert_eq!(error.code(), "TES-E001", "{error}");
            disk.repair_fails.store(repair_fails, Ordering::SeqCst);
            assert_eq!(ledger.append(&[delivery(1, number)]).unwrap_err().code(), "TES-E001");
            let seen: Vec<u64> = deliveries(&ledger);
            assert_eq!(seen, recorded, "what failed is not seen");
            disk.set_room(u64::MAX);
            disk.repair_fails.store(false, Ordering::SeqCst);
            recorded.extend(ledger.append(&[delivery(1, number)]).unwrap());
            assert_eq!(deliveries(&ledger), recorded);
            drop(ledger);
            assert_eq!(deliveries(&world.open()), recorded, "nor after a restart");
            world.verify();
        }
    }
}

fn deliveries(ledger: &Ledger) -> Vec<u64> {
    let filter = Filter { kinds: [Kind::Delivery].into(), ..Filter::default() };
    found(ledger, &filter).into_iter().map(|(seq, _)| seq).collect()
}

#[test]
fn what_a_failed_sync_left_never_comes_back() {
    let world = World::new();
    let disk = FaultyDisk::new();
    let ledger = world.open_on(disk.clone()).unwrap();
    ledger.append(&[delivery(1, 1)]).unwrap();
    disk.sync_fails.store(true, Ordering::SeqCst);
    assert_eq!(ledger.append(&[delivery(1, 2)]).unwrap_err().code(), "TES-E001");
    disk.sync_fails.store(false, Ordering::SeqCst);
    // A crash now: the folder as it is.
    assert_eq!(world.verify().last, 2);
    ledger.append(&[delivery(1, 3)]).unwrap();
    assert_eq!(lines(&world.open())[2].1, delivery(1, 3));
}
