//! Finds lines.
//!
//! Not a check: a line that no filter asks for is not looked at. Invariant: what is found satisfies the filter by
//! its parsed members; the search for their bytes only leaves lines out. No index: the ledger is searched at the
//! speed of memory, which finds a person among ten million lines in seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::{ControlFlow, RangeInclusive};
use std::path::Path;

use aho_corasick::AhoCorasick;
use memchr::{memchr, memchr_iter, memrchr};
use tessera_model::{DestinationName, FragmentId, PurposeName, Timestamp};

use crate::chain::Fault;
use crate::entry::{Entry, Kind, Outcome};
use crate::error::EvidenceError;
use crate::folder::file_name;
use crate::format::Parts;
use crate::ledger::Ledger;

/// What to look for: everything that is given must hold. The default finds every line.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The person, as all their fragments; empty: anybody. Profile ids count too.
    pub subjects: BTreeSet<FragmentId>,
    /// Where it went.
    pub destination: Option<DestinationName>,
    /// What for.
    pub purpose: Option<PurposeName>,
    /// Path of a field that left or was shown.
    pub field: Option<Box<str>>,
    /// Kinds of entry; empty: all.
    pub kinds: BTreeSet<Kind>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not at or after.
    pub until: Option<Timestamp>,
    /// Who did it.
    pub actor: Option<Box<str>>,
    /// Keyed hash of the message id, as the delivery has it.
    pub message: Option<Box<str>>,
    /// Numbers of entries.
    pub seqs: Option<RangeInclusive<u64>>,
}

/// A line of the ledger.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Its number.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What was recorded.
    pub entry: Entry,
    /// The line as it stands, without its line feed.
    pub text: &'a str,
}

impl Ledger {
    /// Calls `each` with every durable line that `filter` finds, oldest first, until it returns `false`.
    ///
    /// # Errors
    /// [`EvidenceError::Damaged`] for a line that should be looked at and cannot be read, [`EvidenceError::Io`].
    pub fn read(
        &self,
        filter: &Filter,
        mut each: impl FnMut(&Line<'_>) -> bool,
    ) -> Result<(), EvidenceError> {
        let durable = self.durable.read().clone();
        let search = Search::new(filter)?;
        for (index, first) in durable.firsts.iter().enumerate() {
            let next = durable.firsts.get(index + 1);
            if !search.may_be_in(*first, next.copied()) {
                continue;
            }
            let path = self.folder.join(file_name(*first));
            let bytes = if next.is_none() { Some(durable.bytes) } else { None };
            let found = blocks(&path, bytes, |offset, block| {
                search.block(block, &mut each).map_err(|(start, fault)| {
                    EvidenceError::fault(&path, line_number(&path, offset + start), fault)
                })
            })?;
            if found.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The last outcome of each of `deliveries`, by their numbers; one that is missing has none yet.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn outcomes(&self, deliveries: &BTreeSet<u64>) -> Result<BTreeMap<u64, Outcome>, EvidenceError> {
        let mut outcomes = BTreeMap::new();
        let Some(first) = deliveries.first() else { return Ok(outcomes) };
        let filter =
            Filter { kinds: [Kind::Outcome].into(), seqs: Some(*first..=u64::MAX), ..Filter::default() };
        self.read(&filter, |line| {
            if let Entry::Outcome(outcome) = &line.entry
                && outcome.first <= outcome.last
            {
                for seq in deliveries.range(outcome.first..=outcome.last) {
                    outcomes.insert(*seq, outcome.clone());
                }
            }
            true
        })?;
        Ok(outcomes)
    }
}

/// A filter, made ready.
struct Search<'a> {
    filter: &'a Filter,
    /// Texts of which every line that is looked for has one. The rarest that the filter gives.
    needles: Option<AhoCorasick>,
    from: Option<String>,
    until: Option<String>,
}

impl<'a> Search<'a> {
    fn new(filter: &'a Filter) -> Result<Self, EvidenceError> {
        let needles = needles(filter).map(AhoCorasick::new);
        let needles = needles.transpose().map_err(|_| EvidenceError::Entry { what: "so long a search" })?;
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Ok(Self { filter, needles, from: time(filter.from), until: time(filter.until) })
    }

    /// Whether the segment of the entries `first` until `next` has any that is looked for.
    fn may_be_in(&self, first: u64, next: Option<u64>) -> bool {
        let Some(seqs) = &self.filter.seqs else { return true };
        first <= *seqs.end() && next.is_none_or(|next| *seqs.start() < next)
    }

    /// Looks through whole lines. A fault comes with the place of its line.
    fn block(
        &self,
        block: &[u8],
        each: &mut impl FnMut(&Line<'_>) -> bool,
    ) -> Result<ControlFlow<()>, (usize, Fault)> {
        let mut rest = block;
        while !rest.is_empty() {
            let found = match &self.needles {
                Some(needles) => needles.find(rest).map(|found| found.start()),
                None => Some(0),
            };
            let Some(found) = found else { break };
            let (before, after) = rest.split_at_checked(found).unwrap_or((rest, &[]));
            let start = memrchr(b'\n', before).map_or(0, |feed| feed + 1);
            let end = memchr(b'\n', after).map_or(rest.len(), |feed| found + feed);
            let line = rest.get(start..end).unwrap_or_default();
            let place = block.len() - rest.len() + start;
            if let Some(line) = self.line(line).map_err(|what| (place, Fault::Form { what }))?
                && !each(&line)
            {
                return Ok(ControlFlow::Break(()));
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The line, if it is looked for.
    fn line<'l>(&self, line: &'l [u8]) -> Result<Option<Line<'l>>, &'static str> {
        let parts = Parts::split(line)?;
        let kind = Kind::parse(parts.kind).ok_or("its kind is not known to this build")?;
        let Filter { kinds, seqs, .. } = self.filter;
        let outside = seqs.as_ref().is_some_and(|seqs| !seqs.contains(&parts.seq))
            || !(kinds.is_empty() || kinds.contains(&kind))
            || self.from.as_deref().is_some_and(|from| parts.at < from)
            || self.until.as_deref().is_some_and(|until| parts.at >= until);
        if outside {
            return Ok(None);
        }
        let entry = Entry::parse(kind, parts.text).map_err(|_| "it does not hold what its kind holds")?;
        let at = Timestamp::parse(parts.at).ok_or("`at` is not a time")?;
        let line = Line { seq: parts.seq, at, entry, text: parts.text };
        Ok(self.filter.is_satisfied_by(&line.entry).then_some(line))
    }
}

/// Texts of which a line has one if the filter is to find it; the rarest first.
fn needles(filter: &Filter) -> Option<Vec<String>> {
    let quoted = |text: &str| serde_json::to_string(text).ok();
    let one = |text: Option<&str>| text.and_then(quoted).map(|text| vec![text]);
    let subjects: Vec<String> = filter.subjects.iter().map(ToString::to_string).collect();
    one(filter.message.as_deref())
        .or(if subjects.is_empty() { None } else { Some(subjects) })
        .or_else(|| one(filter.actor.as_deref()))
        .or_else(|| one(filter.field.as_deref()))
        .or_else(|| one(filter.purpose.as_ref().map(PurposeName::as_str)))
        .or_else(|| one(filter.destination.as_ref().map(DestinationName::as_str)))
        .or_else(|| {
            let kinds = filter.kinds.iter().map(|kind| format!("\"kind\":\"{kind}\""));
            if filter.kinds.is_empty() { None } else { Some(kinds.collect()) }
        })
}

impl Filter {
    /// Whether the members of `entry` satisfy it; its number, time and kind are looked at before.
    fn is_satisfied_by(&self, entry: &Entry) -> bool {
        let facts = Facts::of(entry);
        let any = |wanted: &Option<Box<str>>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let purpose = |wanted: &PurposeName| {
            facts.purpose == Some(wanted) || facts.purposes.is_some_and(|purposes| purposes.contains(wanted))
        };
        let subject = |id: &FragmentId| self.subjects.contains(id);
        (self.subjects.is_empty()
            || facts.subjects.iter().flatten().any(subject)
            || facts.many.iter().any(subject))
            && self.destination.as_ref().is_none_or(|wanted| facts.destination == Some(wanted))
            && self.purpose.as_ref().is_none_or(purpose)
            && self.field.as_ref().is_none_or(|wanted| facts.fields.contains(wanted))
            && any(&self.actor, facts.actor)
            && any(&self.message, facts.message)
    }
}

/// What a filter asks of an entry of any kind.
#[derive(Default)]
struct Facts<'a> {
    subjects: [Option<FragmentId>; 2],
    many: &'a [FragmentId],
    destination: Option<&'a DestinationName>,
    purpose: Option<&'a PurposeName>,
    purposes: Option<&'a [PurposeName]>,
    fields: &'a [Box<str>],
    actor: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn of(entry: &'a Entry) -> Self {
        let none = Self::default();
        match entry {
            Entry::Delivery(delivery) => Self {
                subjects: [Some(delivery.subject), Some(delivery.profile)],
                destination: Some(&delivery.destination),
                purpose: Some(&delivery.purpose),
                fields: &delivery.fields,
                message: Some(&delivery.message),
                ..none
            },
            Entry::Outcome(outcome) => Self { destination: Some(&outcome.destination), ..none },
            Entry::Disclosure(disclosure) => Self {
                subjects: [disclosure.subject, Some(disclosure.profile)],
                purposes: Some(&disclosure.purposes),
                fields: &disclosure.fields,
                actor: Some(&disclosure.actor),
                ..none
            },
            Entry::Change(change) => Self { actor: Some(&change.actor), ..none },
            Entry::Access(access) => Self { actor: Some(&access.actor), ..none },
            Entry::Notice(notice) => Self {
                subjects: [Some(notice.subject), None],
                destination: Some(&notice.destination),
                ..none
            },
            Entry::Erasure(erasure) => Self { many: &erasure.subjects, ..none },
            Entry::Export(export) => Self {
                purposes: Some(&export.purposes),
                fields: &export.fields,
                actor: Some(&export.actor),
                ..none
            },
            Entry::Checkpoint(_) => none,
        }
    }
}

/// How much is read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Number of the line that begins at `offset`, from 1; 0 if the file cannot be read again.
fn line_number(path: &Path, offset: usize) -> u64 {
    let text = std::fs::read(path).unwrap_or_default();
    let before = text.get(..offset).map(|before| memchr_iter(b'\n', before).count() + 1);
    before.and_then(|line| line.try_into().ok()).unwrap_or(0)
}

/// Calls `each` with the lines of a segment, many at a time, each block ending with a line feed, and where the block
/// begins. `bytes`: read no further than this.
pub(crate) fn blocks(
    path: &Path,
    bytes: Option<u64>,
    mut each: impl FnMut(usize, &[u8]) -> Result<ControlFlow<()>, EvidenceError>,
) -> Result<ControlFlow<()>, EvidenceError> {
    let file = File::open(path).map_err(EvidenceError::io("open", path))?;
    let mut file = file.take(bytes.unwrap_or(u64::MAX));
    let mut buffer = vec![0; BLOCK_BYTES];
    let mut filled = 0;
    let mut offset = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(filled * 2, 0);
        }
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let read = match file.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(EvidenceError::io("read", path))?,
        };
        filled += read;
        let text = buffer.get(..filled).unwrap_or_default();
        let end = memrchr(b'\n', text).map_or(0, |feed| feed + 1);
        if read == 0 {
            let fault = Fault::Truncated { what: "the last line has no line feed" };
            let line =
                if filled == 0 { return Ok(ControlFlow::Continue(())) } else { line_number(path, offset) };
            return Err(EvidenceError::fault(path, line, fault));
        }
        if each(offset, text.get(..end).unwrap_or_default())?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        buffer.copy_within(end..filled, 0);
        filled -= end;
        offset += end;
    }
}
