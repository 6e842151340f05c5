//! Telling a destination who is a member of an audience no more although no event about them may leave: whoever withdrew, objected,
//! was restricted or erased.
//!
//! Not the exits of others: those are events, and pass the gate. Invariant: told is only who the destination was told had entered,
//! once, and before it is told to forget them.

use tessera_connect::{EXITED, Exit, Outcome};
use tessera_evidence::Right;
use tessera_model::{FragmentId, Timestamp};
use tessera_store::{Change, Changes, Key, Store, Value};

use crate::PipelineError;
use crate::audience::{Membership, Telling, ToldMember, message_id, told_of};
use crate::line::Line;
use crate::outbox::OutboxRow;
use crate::query::load_cluster;

/// What makes somebody leave: when, which record, and which right is made use of.
#[derive(Clone, Copy)]
struct Cause {
    at: Timestamp,
    place: (u64, u32),
    right: Right,
}

impl<S: Store> Line<S> {
    /// Tells of an exit of which no event may leave, and to use no more what the destination has of the person.
    pub(crate) fn depart(
        &mut self,
        row: &OutboxRow,
        profile: FragmentId,
        place: (u64, u32),
    ) -> Result<Outcome, PipelineError> {
        let cause = Cause { at: row.at, place, right: Right::Objection };
        let left = Membership::told_by(row).map(|membership| membership.audience.0);
        for told in told_of(self.store.as_ref(), &self.document.name, row.owner)? {
            if Some(told.2.audience.0) == left {
                let outcome = self.leave(told, row.message_id.clone(), row.owner, cause)?;
                if matches!(outcome, Outcome::Retry { .. }) {
                    return Ok(outcome);
                }
            }
        }
        self.object(row, profile)
    }

    /// Tells of every audience that the destination takes any of these fragments for a member of: they are to be erased there.
    /// `Some`: it has to be tried again.
    pub(crate) fn depart_all(
        &mut self,
        people: &[FragmentId],
        row: &OutboxRow,
        position: u64,
    ) -> Result<Option<Outcome>, PipelineError> {
        let mut index = 0;
        for owner in people {
            for told in told_of(self.store.as_ref(), &self.document.name, *owner)? {
                let cause = Cause { at: row.at, place: (position, index), right: Right::Erasure };
                let message_id = message_id(&self.options.key, (told.2.audience.0, *owner), position);
                let outcome = self.leave(told, message_id, *owner, cause)?;
                if matches!(outcome, Outcome::Retry { .. }) {
                    return Ok(Some(outcome));
                }
                index = index.saturating_add(1);
            }
        }
        Ok(None)
    }

    /// Tells of one of them. What the destination refuses is on record, and is not tried again: it is to forget the person anyway.
    fn leave(
        &mut self,
        (key, before, told): (Key, Value, ToldMember),
        message_id: String,
        owner: FragmentId,
        cause: Cause,
    ) -> Result<Outcome, PipelineError> {
        let events = &self.document.events;
        let is_wanted =
            events.is_empty() || events.iter().any(|wanted| [EXITED, "track"].contains(&wanted.as_str()));
        let mut outcome = Outcome::Delivered;
        if is_wanted {
            let (id, name) = (told.audience.0, &told.audience.1);
            let profile = told.profile.to_string();
            let exit = Exit::new((id, name), profile, (message_id.clone(), cause.at), cause.place);
            let exit = exit
                .ok_or(PipelineError::Stored { what: "source", why: "the office has no name".to_owned() })?;
            outcome = self.destination.leave(&exit);
            self.record_notice((&message_id, owner, cause.right), &outcome)?;
        }
        if !matches!(outcome, Outcome::Retry { .. }) {
            let rows = vec![Change { key, before: Some(before), after: None }];
            self.store.commit(Changes { rows, upto: None })?;
        }
        Ok(outcome)
    }

    /// A crash has brought back a row that was done with before it: what it told was told.
    pub(crate) fn note_past(
        &self,
        row: &OutboxRow,
        telling: &mut Telling<'_, S>,
    ) -> Result<(), PipelineError> {
        let Some(membership) = Membership::told_by(row) else { return Ok(()) };
        let found = load_cluster(self.store.as_ref(), row.owner)?;
        let is_erased = found.as_ref().is_none_or(|(cluster, node)| {
            cluster.component(*node).any(|(_, fragment)| fragment.consents.erased_at().is_some())
        });
        // The exit of who was erased was not told: the notice of the erasure does it.
        if is_erased && !membership.is_member {
            return Ok(());
        }
        let profile = found.map_or(row.owner, |(cluster, node)| cluster.profile_id(node));
        telling.tell(row.owner, &membership, profile)
    }
}
