//! The table `profiles` beside `events`: a snapshot of everybody for each day.
//!
//! Not for our own SQL, which reads the state of the moment. Invariants: a snapshot is one commit; what a rewrite has removed is in no file
//! when it returns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array as _, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tessera_model::{FragmentId, Timestamp};
use tessera_store::{
    LakeError, LakeRewritten, Position, ProfileFate, ProfileRow, ProfileRows, ProfileSift, ProfileTrait,
};

use crate::action::{self, DataFile};
use crate::columns::{Columns, day_of, from_micros, micros, time_type};
use crate::files::{BATCH_ROWS, Batches, Writing};
use crate::table::{TableLog, Version, remove, remove_orphans};

/// Its columns. `timestamp` is when the snapshot was taken.
pub(crate) static PROFILES: LazyLock<SchemaRef> = LazyLock::new(|| {
    let required = |name: &str, kind: DataType| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        required("position", DataType::Int64),
        required("timestamp", time_type()),
        required("profile_id", DataType::Utf8),
        required("fragment_id", DataType::Utf8),
        required("purposes", DataType::Utf8),
        Field::new("first_seen_at", time_type(), true),
        Field::new("last_seen_at", time_type(), true),
        required("is_restricted", DataType::Boolean),
        required("traits", DataType::Utf8),
        required("traits_at", DataType::Utf8),
        // Of files that were written before there were these, and of what a fragment said: null.
        Field::new("audiences", DataType::Utf8, true),
        Field::new("computed_traits", DataType::Utf8, true),
        Field::new("made_of", DataType::Utf8, true),
    ]))
});

/// The table.
pub(crate) struct ProfileTable {
    table: PathBuf,
    file_rows_max: u64,
    /// Held while a snapshot is taken, and while they are rewritten.
    held: Mutex<(TableLog, Version)>,
}

impl ProfileTable {
    /// Opens the table `profiles` in `folder`, and makes one if there is none. Files that belong to no commit go: a crash left them.
    pub(crate) fn open(folder: &Path, file_rows_max: u64, now: Timestamp) -> Result<Self, LakeError> {
        let table = folder.join("profiles");
        let (log, version) = TableLog::open_or_create(&table, &PROFILES, now)?;
        Ok(Self { table, file_rows_max, held: Mutex::new((log, version)) })
    }

    pub(crate) fn append(
        &self,
        at: Timestamp,
        position: Position,
        rows: &mut ProfileRows<'_>,
    ) -> Result<u64, LakeError> {
        let mut held = self.held.lock();
        let (log, version) = &mut *held;
        let day = day_of(at);
        let (mut files, mut written) = (Vec::new(), 0);
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let name = format!("{:012}-{:04}", version.next, files.len());
            let mut writing = Writing::of(&PROFILES, &self.table, &day, &name)?;
            let mut count = 0;
            while count < self.file_rows_max && rows.peek().is_some() {
                let batch: Vec<ProfileRow> = rows.by_ref().take(BATCH_ROWS).collect::<Result<_, _>>()?;
                count += u64::try_from(batch.len()).unwrap_or(0);
                writing.write(&to_batch(&batch)?)?;
            }
            written += count;
            files.extend(writing.end(at)?);
        }
        let replaced: Vec<Arc<DataFile>> =
            version.files.values().filter(|file| file.day == day).cloned().collect();
        let mut actions = vec![action::commit_info("WRITE", at), action::position(position.0, at)];
        actions.extend(replaced.iter().map(|file| action::remove(&file.path, at, true)));
        actions.extend(files.iter().map(|file| file.add(true)));
        log.commit(version, actions)?;
        log.tidy(version)?;
        self.remove_all(&replaced)?;
        Ok(written)
    }

    pub(crate) fn rewrite(
        &self,
        sift: &mut ProfileSift<'_>,
        now: Timestamp,
    ) -> Result<LakeRewritten, LakeError> {
        let mut held = self.held.lock();
        let (log, version) = &mut *held;
        let mut done = LakeRewritten::default();
        let files: Vec<Arc<DataFile>> = version.files.values().cloned().collect();
        for file in files {
            let mut fates = self.sift(&file, sift, &mut done)?;
            if fates.is_empty() {
                continue;
            }
            let name = format!("{:012}-r", version.next);
            let mut writing = Writing::of(&PROFILES, &self.table, &file.day, &name)?;
            let mut first = 0;
            for rows in self.rows(&file)? {
                let rows = rows?;
                let next = first + rows.len();
                writing.write(&to_batch(&carry_out((first..).zip(rows), &mut fates))?)?;
                first = next;
            }
            let anew = writing.end(now)?;
            let mut actions = vec![action::commit_info("DELETE", now), action::remove(&file.path, now, true)];
            actions.extend(anew.iter().map(|file| file.add(true)));
            log.commit(version, actions)?;
            done.files += 1;
            self.remove_all(&[file])?;
        }
        // A pass that died between its commit and here left a file that no version names.
        remove_orphans(&self.table, &version.files.keys().cloned().collect())?;
        Ok(done)
    }

    pub(crate) fn forget(&self, first: Timestamp, now: Timestamp) -> Result<(), LakeError> {
        let mut held = self.held.lock();
        let (log, version) = &mut *held;
        let first = day_of(first);
        let old: Vec<Arc<DataFile>> =
            version.files.values().filter(|file| file.day < first).cloned().collect();
        if old.is_empty() {
            return Ok(());
        }
        let mut actions = vec![action::commit_info("DELETE", now)];
        actions.extend(old.iter().map(|file| action::remove(&file.path, now, true)));
        log.commit(version, actions)?;
        self.remove_all(&old)
    }

    /// Takes out what was taken of a state that is no more: a backup was restored whose log ends before.
    pub(crate) fn rewind(&self, end: Position, now: Timestamp) -> Result<(), LakeError> {
        if !self.held.lock().1.files.values().any(|file| file.positions.1 > end.0) {
            return Ok(());
        }
        let fate =
            |row: &ProfileRow| if row.position > end.0 { ProfileFate::Remove } else { ProfileFate::Keep };
        self.rewrite(&mut |row| Ok(fate(row)), now).map(drop)
    }

    pub(crate) fn taken_at(&self) -> Option<Timestamp> {
        self.held.lock().1.files.values().map(|file| file.times.1).max()
    }

    /// The rows of a file, in batches.
    fn rows(
        &self,
        file: &DataFile,
    ) -> Result<impl Iterator<Item = Result<Vec<ProfileRow>, LakeError>>, LakeError> {
        let batches = Batches::open(&self.table, &file.path, Arc::clone(&PROFILES))?;
        let path = batches.path().to_owned();
        Ok(batches.map(move |batch| rows_of(&batch?, &path)))
    }

    /// Which rows of a file do not stay as they are.
    fn sift(
        &self,
        file: &DataFile,
        sift: &mut ProfileSift<'_>,
        done: &mut LakeRewritten,
    ) -> Result<BTreeMap<usize, ProfileFate>, LakeError> {
        let (mut fates, mut number) = (BTreeMap::new(), 0);
        for rows in self.rows(file)? {
            for row in rows? {
                let fate = sift(&row)?;
                done.rows += 1;
                done.removed += u64::from(fate == ProfileFate::Remove);
                done.replaced += u64::from(matches!(fate, ProfileFate::Replace(_)));
                if fate != ProfileFate::Keep {
                    fates.insert(number, fate);
                }
                number += 1;
            }
        }
        Ok(fates)
    }

    fn remove_all(&self, files: &[Arc<DataFile>]) -> Result<(), LakeError> {
        files.iter().try_for_each(|file| remove(&self.table.join(&file.path)))
    }
}

/// The rows that stay, as they stay.
fn carry_out(
    rows: impl Iterator<Item = (usize, ProfileRow)>,
    fates: &mut BTreeMap<usize, ProfileFate>,
) -> Vec<ProfileRow> {
    let left = rows.filter_map(|(number, row)| match fates.remove(&number) {
        None | Some(ProfileFate::Keep) => Some(row),
        Some(ProfileFate::Replace(anew)) => Some(*anew),
        Some(ProfileFate::Remove) => None,
    });
    left.collect()
}

fn to_batch(rows: &[ProfileRow]) -> Result<RecordBatch, LakeError> {
    let time = |of: &dyn Fn(&ProfileRow) -> Option<Timestamp>| -> ArrayRef {
        let values = rows.iter().map(|row| of(row).map(micros));
        Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
    };
    let text = |of: &dyn Fn(&ProfileRow) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let derived = |of: &dyn Fn(&ProfileRow) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(|row| (!row.made_of.is_empty()).then(|| of(row)))))
    };
    let named = |row: &ProfileRow| row.first_seen_at <= row.last_seen_at;
    let positions = rows.iter().map(|row| i64::try_from(row.position).unwrap_or(i64::MAX));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(positions)),
        time(&|row| Some(row.taken_at)),
        text(&|row| row.profile.to_string()),
        text(&|row| row.fragment.to_string()),
        text(&|row| serde_json::to_string(&row.purposes).unwrap_or_default()),
        time(&|row| named(row).then_some(row.first_seen_at)),
        time(&|row| named(row).then_some(row.last_seen_at)),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.is_restricted)))),
        text(&|row| object(row.traits.iter().map(|one| (&*one.name, one.value.to_string())))),
        text(&|row| object(row.traits.iter().map(|one| (&*one.name, format!("\"{}\"", one.at))))),
        derived(&|row| object(row.audiences.iter().map(|(name, since)| (&**name, format!("\"{since}\""))))),
        derived(&|row| object(row.computed_traits.iter().map(|(name, value)| (&**name, value.to_string())))),
        derived(&|row| {
            let ids: Vec<String> = row.made_of.iter().map(ToString::to_string).collect();
            serde_json::to_string(&ids).unwrap_or_default()
        }),
    ];
    RecordBatch::try_new(Arc::clone(&PROFILES), columns)
        .map_err(|error| LakeError::Corrupt { file: "profiles".into(), what: error.to_string() })
}

/// A JSON object of members whose values are JSON texts.
fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let members: BTreeMap<&str, Box<RawValue>> =
        members.filter_map(|(name, value)| Some((name, RawValue::from_string(value).ok()?))).collect();
    serde_json::to_string(&members).unwrap_or_default()
}

/// The rows of a batch.
pub(crate) fn rows_of(batch: &RecordBatch, file: &Path) -> Result<Vec<ProfileRow>, LakeError> {
    let columns = Columns::of(batch, file);
    let (positions, taken) = (columns.positions()?, columns.times("timestamp")?);
    let (profiles, fragments) = (columns.texts("profile_id")?, columns.owners()?);
    let (first, last) = (columns.times("first_seen_at")?, columns.times("last_seen_at")?);
    let (traits, traits_at) = (columns.texts("traits")?, columns.texts("traits_at")?);
    let restricted = columns.truths("is_restricted")?;
    let (audiences, computed) = (columns.texts("audiences")?, columns.texts("computed_traits")?);
    let made_of = columns.texts("made_of")?;
    let derived = |row: usize| match made_of.is_null(row) {
        true => Ok(Derived::default()),
        false => derived_of([audiences, computed, made_of].map(|column| column.value(row)))
            .ok_or_else(|| columns.corrupt("made_of")),
    };
    let at = |column: &TimestampMicrosecondArray, row: usize, none: Timestamp| match column.is_null(row) {
        true => none,
        false => from_micros(column.value(row)),
    };
    let facts = fragments.into_iter().zip(columns.purposes()?).enumerate();
    facts
        .map(|(row, (fragment, purposes))| {
            let (audiences, computed_traits, made_of) = derived(row)?;
            Ok(ProfileRow {
                position: u64::try_from(positions.value(row)).map_err(|_| columns.corrupt("position"))?,
                taken_at: from_micros(taken.value(row)),
                profile: profiles.value(row).parse().map_err(|_| columns.corrupt("profile_id"))?,
                fragment,
                purposes,
                first_seen_at: at(first, row, Timestamp::MAX),
                last_seen_at: at(last, row, Timestamp::MIN),
                is_restricted: restricted.value(row),
                traits: traits_of(traits.value(row), traits_at.value(row))
                    .ok_or_else(|| columns.corrupt("traits"))?,
                audiences,
                computed_traits,
                made_of,
            })
        })
        .collect()
}

fn traits_of(values: &str, times: &str) -> Option<Vec<ProfileTrait>> {
    let values: BTreeMap<String, Box<RawValue>> = serde_json::from_str(values).ok()?;
    let times: BTreeMap<String, String> = serde_json::from_str(times).ok()?;
    let one = |(name, value): (String, Box<RawValue>)| {
        let at = Timestamp::parse(times.get(&name)?)?;
        Some(ProfileTrait { name: name.into(), value: value.get().into(), at })
    };
    values.into_iter().map(one).collect()
}

/// Memberships, computed traits and fragments.
type Derived = (Vec<(Box<str>, Timestamp)>, Vec<(Box<str>, Box<str>)>, Vec<FragmentId>);

fn derived_of([audiences, computed, made_of]: [&str; 3]) -> Option<Derived> {
    let audiences: BTreeMap<Box<str>, String> = serde_json::from_str(audiences).ok()?;
    let computed: BTreeMap<Box<str>, Box<RawValue>> = serde_json::from_str(computed).ok()?;
    let made_of: Vec<String> = serde_json::from_str(made_of).ok()?;
    let since = |(name, at): (Box<str>, String)| Some((name, Timestamp::parse(&at)?));
    Some((
        audiences.into_iter().map(since).collect::<Option<_>>()?,
        computed.into_iter().map(|(name, value)| (name, value.get().into())).collect(),
        made_of.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?,
    ))
}
