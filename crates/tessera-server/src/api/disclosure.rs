//! The record of who was shown what, written before it is shown.
//!
//! Invariant: an answer with personal data leaves only after its entries are on disk. Reference: GDPR Art. 5(2), 32(1).

use tessera_evidence::{APPEND_ENTRIES_MAX, Disclosure, Entry, EvidenceError};
use tessera_model::FragmentId;
use tessera_profile::Shown;
use tessera_store::{Log, Store};

use crate::access::Viewer;
use crate::shared::Shared;

/// Most bytes of field paths in one entry; a profile with more has several.
const PATHS_BYTES_MAX: usize = 256 * 1024;

/// Who looks, and through which route.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) viewer: &'a Viewer,
    /// Method and pattern: `GET /api/v1/profiles/{reference}`.
    pub(crate) route: &'static str,
    /// The fragment that was asked for, where one was.
    pub(crate) subject: Option<FragmentId>,
}

impl Look<'_> {
    /// The entries for one profile.
    fn entries(&self, profile: FragmentId, shown: Shown) -> Vec<Entry> {
        let purposes: Vec<_> = shown.purposes.into_iter().collect();
        let mut pieces: Vec<Vec<Box<str>>> = vec![Vec::new()];
        let mut bytes = 0;
        for field in shown.fields {
            bytes += field.len() + 8;
            if bytes > PATHS_BYTES_MAX {
                pieces.push(Vec::new());
                bytes = field.len();
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push(field.into());
            }
        }
        let entry = |fields| {
            Entry::Disclosure(Disclosure {
                actor: self.viewer.actor.as_str().into(),
                route: self.route.into(),
                subject: self.subject,
                profile,
                purposes: purposes.clone(),
                fields,
            })
        };
        pieces.into_iter().map(entry).collect()
    }
}

impl<L: Log, S: Store> Shared<L, S> {
    /// Records what `look` is about to be shown. Blocks for a sync, which those who look at the same time share.
    pub(crate) fn record(
        &self,
        look: Look<'_>,
        profiles: impl IntoIterator<Item = (FragmentId, Shown)>,
    ) -> Result<(), EvidenceError> {
        let entries: Vec<Entry> =
            profiles.into_iter().flat_map(|(profile, shown)| look.entries(profile, shown)).collect();
        self.record_entries(&entries)
    }

    /// Records entries, as many at once as may be.
    pub(crate) fn record_entries(&self, entries: &[Entry]) -> Result<(), EvidenceError> {
        let most = usize::try_from(APPEND_ENTRIES_MAX).unwrap_or(usize::MAX);
        entries.chunks(most).try_for_each(|piece| self.parts.evidence.append(piece).map(drop))
    }
}
