//! What an operation needs to be applied: the rows that it leads to, and the changes besides those of clusters.

use std::collections::BTreeSet;

use tessera_model::{Event, FragmentId, HashKey, Operation, Rules, Timestamp};
use tessera_store::{Change, Key, Store};

use crate::PipelineError;
use crate::erasure::{self, Cover};
use crate::orders::obligations;
use crate::reviews::{self, Decision};
use crate::rows;
use crate::undo::{self, Ordered};
use crate::view::View;

/// An operation made ready.
pub(crate) struct Prepared {
    /// Holds every row that applying it looks at.
    pub(crate) view: View,
    /// Changes of other rows.
    pub(crate) more: Vec<Change>,
}

/// Loads what `operation`, ordered at this time and place of the log, needs.
pub(crate) fn prepare(
    store: &impl Store,
    operation: &Operation,
    (at, position): (Timestamp, u64),
    (rules, key): (&Rules, &HashKey),
) -> Result<Prepared, PipelineError> {
    let mut view = View::load(store, std::iter::empty::<&Event>(), key)?;
    view.load_rows(store, named(operation).into_iter().collect())?;
    let more = match operation {
        Operation::Expire { fragments } => {
            let within = rules.purposes.iter().map(|purpose| purpose.id).collect();
            // Whose last obligation is over is erased.
            load_clusters(&mut view, store, fragments)?;
            let cover = Cover { view: &view, within, purposes: &rules.purposes, now: at };
            erasure::no_longer_covered(store, fragments, &cover)?
        }
        Operation::Erase { fragments, request } => {
            load_clusters(&mut view, store, fragments)?;
            let row = erasure::row(&view, fragments, &rules.purposes, (position, request, at));
            let values = view.values_of(&row.fragments);
            let mut more = erasure::leftovers(store, &row, values.as_deref(), (rules, key))?;
            let within = obligations(&rules.purposes);
            let cover = Cover { view: &view, within, purposes: &rules.purposes, now: at };
            let queued = erasure::no_longer_covered(store, &row.spared, &cover)?;
            let known: BTreeSet<Key> = more.iter().map(|change| change.key).collect();
            more.extend(queued.into_iter().filter(|change| !known.contains(&change.key)));
            more.push(rows::put(store, rows::erasure_key(position), Some(&row))?);
            more
        }
        Operation::PutReviews { pairs } => reviews::ask(store, &view, pairs, at)?,
        Operation::Judge { a, b, verdict, by, reason } => {
            let (verdict, by, reason) = (*verdict, by.clone(), reason.clone());
            vec![reviews::judged(store, (*a, *b), Decision { verdict, by, at, reason })?]
        }
        Operation::Undo { id, selector, fragments, by, reason } => {
            let (by, reason) = (by.clone(), reason.clone());
            vec![undo::ordered(store, *id, selector, fragments.len(), Ordered { by, at, reason })?]
        }
        Operation::Redo { id, by, reason, .. } => {
            let (by, reason) = (by.clone(), reason.clone());
            undo::taken_back(store, *id, Ordered { by, at, reason })?.into_iter().collect()
        }
        Operation::Split { .. }
        | Operation::Consents { .. }
        | Operation::LiftErasure { .. }
        | Operation::Rectify { .. }
        | Operation::Link { .. }
        | Operation::Resolve { .. }
        | Operation::Apply { .. }
        | Operation::ApplySealed { .. }
        | Operation::PutAccount { .. }
        | Operation::RemoveAccount { .. }
        | Operation::PutRequest { .. }
        | Operation::PutAlert { .. }
        | Operation::PutAudit { .. }
        | Operation::PutModel { .. }
        | Operation::Tick {}
        | Operation::FillAudience { .. }
        | Operation::AudienceFilled { .. }
        | Operation::Reject { .. }
        | Operation::CloseReject { .. } => Vec::new(),
    };
    Ok(Prepared { view, more })
}

/// The fragments that an operation names.
fn named(operation: &Operation) -> Vec<FragmentId> {
    match operation {
        Operation::Split { fragments, .. }
        | Operation::Consents { fragments, .. }
        | Operation::LiftErasure { fragments }
        | Operation::Expire { fragments }
        | Operation::Erase { fragments, .. }
        | Operation::Undo { fragments, .. }
        | Operation::Redo { fragments, .. }
        | Operation::Resolve { fragments } => fragments.clone(),
        Operation::Rectify { fragment, .. } => vec![*fragment],
        Operation::Link { pairs } => pairs.iter().flat_map(|pair| [pair.a, pair.b]).collect(),
        Operation::PutReviews { pairs } => pairs.iter().flat_map(|pair| [pair.a, pair.b]).collect(),
        Operation::Judge { a, b, .. } => vec![*a, *b],
        Operation::Apply { .. }
        | Operation::ApplySealed { .. }
        | Operation::PutAccount { .. }
        | Operation::RemoveAccount { .. }
        | Operation::PutRequest { .. }
        | Operation::PutAlert { .. }
        | Operation::PutAudit { .. }
        | Operation::PutModel { .. }
        | Operation::Tick {}
        | Operation::FillAudience { .. }
        | Operation::AudienceFilled { .. }
        | Operation::Reject { .. }
        | Operation::CloseReject { .. } => Vec::new(),
    }
}

/// Loads every row of the clusters that these fragments are in.
fn load_clusters(view: &mut View, store: &impl Store, fragments: &[FragmentId]) -> Result<(), PipelineError> {
    let everybody = view.in_clusters_of(fragments);
    view.load_rows(store, everybody.into_iter().collect())
}
