//! What another workspace would make of the deliveries that wait for one destination: which the gate would let go, and
//! which of their fields would leave.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;

use tessera_model::{
    DestinationDocument, DestinationName, FieldDocument, FragmentId, PolicyDocument, Purpose, Rules,
    Timestamp,
};
use tessera_policy::{Act, Consents, Denial, Labels, Permit, Screen, decide, decide_channel};
use tessera_store::{Key, Store, Table};

use crate::PipelineError;
use crate::apply::as_u64;
use crate::delivery::rows;
use crate::outbox::OutboxRow;
use crate::query::load_cluster;
use crate::simulation::DestinationEffect;

const PAGE_ROWS: usize = 256;

/// One destination as each workspace has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver<'a> {
    pub(crate) name: &'a DestinationName,
    pub(crate) old: Option<&'a DestinationDocument>,
    pub(crate) new: Option<&'a DestinationDocument>,
}

/// The labels of each workspace.
pub(crate) struct BothLabels {
    old: Labels,
    new: Labels,
    is_same: bool,
}

impl BothLabels {
    pub(crate) fn new(old: &Rules, new: &Rules) -> Self {
        let fields = |rules: &'_ Rules| -> Vec<FieldDocument> { rules.fields().cloned().collect() };
        let policies = |rules: &'_ Rules| -> Vec<PolicyDocument> { rules.policies().cloned().collect() };
        let is_same = fields(old) == fields(new) && policies(old) == policies(new);
        Self { old: Labels::new(old), new: Labels::new(new), is_same }
    }
}

/// What stands between the queue and the destination, in one workspace.
struct Gate<'a> {
    document: &'a DestinationDocument,
    purpose: Option<&'a Arc<Purpose>>,
    screen: Option<Screen>,
}

impl<'a> Gate<'a> {
    fn new(document: &'a DestinationDocument, rules: &'a Rules, labels: &Labels) -> Self {
        let purpose = rules.purposes.get(&document.purpose);
        let screen = purpose.map(|purpose| Screen::new(labels, purpose, document));
        Self { document, purpose, screen }
    }

    fn decide<'c>(
        &self,
        consents: impl Iterator<Item = &'c Consents> + Clone,
        at: Timestamp,
    ) -> Result<Permit, Denial> {
        let purpose = self.purpose.ok_or(Denial::UnknownPurpose)?;
        let permit = decide(purpose, Act::Use, consents.clone(), at)?;
        takes(self.document, consents).map(|()| permit)
    }

    fn fields(&self, row: &OutboxRow) -> Vec<String> {
        self.screen.as_ref().map(|screen| screen.screen(&row.json).fields).unwrap_or_default()
    }
}

/// Whether people of whom that is known take the destination's channel.
pub(crate) fn takes<'c>(
    document: &DestinationDocument,
    fragments: impl Iterator<Item = &'c Consents>,
) -> Result<(), Denial> {
    document.channel.as_deref().map_or(Ok(()), |channel| decide_channel(channel, fragments))
}

/// What each gate says of one person's deliveries.
struct Decided {
    before: Result<Permit, Denial>,
    after: Result<Permit, Denial>,
}

/// The queue of one destination.
pub(crate) struct Queue<'a> {
    name: &'a DestinationName,
    old: Option<Gate<'a>>,
    new: Option<Gate<'a>>,
    /// Whether both let the same fields leave.
    is_same_screen: bool,
    at: Timestamp,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(
        receiver: Receiver<'a>,
        (old, new): (&'a Rules, &'a Rules),
        labels: &BothLabels,
        at: Timestamp,
    ) -> Self {
        let old = receiver.old.map(|document| Gate::new(document, old, &labels.old));
        let new = receiver.new.map(|document| Gate::new(document, new, &labels.new));
        let is_same_screen = labels.is_same
            && old.as_ref().map(|gate| (gate.document, gate.purpose))
                == new.as_ref().map(|gate| (gate.document, gate.purpose));
        Self { name: receiver.name, old, new, is_same_screen, at }
    }

    /// Looks at every delivery that waits. `progress` is told after each page how many it had.
    pub(crate) fn walk(
        &self,
        store: &impl Store,
        effect: &mut DestinationEffect,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, PipelineError> {
        let mut after: Option<Key> = None;
        loop {
            let page = rows(store, Table::Outbox, self.name, after.as_ref(), PAGE_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(ControlFlow::Continue(())) };
            after = Some(*last);
            let mut owners: BTreeMap<FragmentId, Decided> = BTreeMap::new();
            for (_, value) in &page {
                let row = OutboxRow::decode(value)?;
                let decided = match owners.entry(row.owner) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(self.decide(store, row.owner)?),
                };
                self.row(&row, decided, effect);
            }
            if progress(as_u64(page.len())).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    fn decide(&self, store: &impl Store, owner: FragmentId) -> Result<Decided, PipelineError> {
        let Some((cluster, node)) = load_cluster(store, owner)? else {
            return Ok(Decided { before: Err(Denial::Erased), after: Err(Denial::Erased) });
        };
        let consents = cluster.component(node).map(|(_, fragment)| &fragment.consents);
        let ask = |gate: &Option<Gate<'_>>| match gate {
            Some(gate) => gate.decide(consents.clone(), self.at),
            None => Err(Denial::UnknownPurpose),
        };
        Ok(Decided { before: ask(&self.old), after: ask(&self.new) })
    }

    fn row(&self, row: &OutboxRow, decided: &Decided, effect: &mut DestinationEffect) {
        let (before, after) = (covers(&decided.before, row), covers(&decided.after, row));
        effect.delivery(self.new.is_some(), before, after);
        let fields = |gate: &Option<Gate<'_>>, is_sent: bool| match gate {
            Some(gate) if is_sent => gate.fields(row),
            Some(_) | None => Vec::new(),
        };
        let leaving = fields(&self.old, before.is_ok());
        if self.is_same_screen && before.is_ok() == after.is_ok() {
            leaving.iter().for_each(|field| effect.field(field, true, true));
            return;
        }
        leaving.iter().for_each(|field| effect.field(field, true, false));
        fields(&self.new, after.is_ok()).iter().for_each(|field| effect.field(field, false, true));
    }
}

fn covers(permit: &Result<Permit, Denial>, row: &OutboxRow) -> Result<(), Denial> {
    let permit = permit.as_ref().map_err(|denial| *denial)?;
    if permit.covers(row.purposes, row.at) { Ok(()) } else { Err(Denial::NotServed) }
}
