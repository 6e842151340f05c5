//! What is about people who were erased never reaches the log.
//!
//! The sender is not told: whether somebody was erased is nobody's business who only holds a write key, and a client must
//! not try again. Invariant: a body keeps its shape and length, as when it is erased in the log afterwards.

use std::collections::BTreeSet;

use tessera_model::{
    Entrance, Erasing, Event, FragmentId, HashKey, ParseContext, Record, Reject, Rules, erase_events,
    find_values, parse_body,
};
use tessera_pipeline::{Mentions, Parsed};

/// Whether an event may be about somebody whose erasure is on its way: what becomes of it is known when that is through.
pub(super) fn must_wait(ordered: &BTreeSet<FragmentId>, parsed: &Parsed) -> bool {
    let may_be_theirs = |event: &Result<Event, Reject>| match event {
        Ok(event) => event.identifiers.iter().any(|one| ordered.contains(&one.id)),
        Err(_) => true,
    };
    !ordered.is_empty() && parsed.as_ref().map_or(true, |events| events.iter().any(may_be_theirs))
}

/// The record without what is about people with an identifier in `erased`, and what its body is now.
pub(super) fn without(
    erased: &BTreeSet<FragmentId>,
    rules: &Rules,
    key: &HashKey,
    record: Record,
    (version, parsed): (u64, Parsed),
) -> (Record, (u64, Parsed)) {
    let Record::Ingest { source, received_at, request_id, entrance, gpc, body } = &record else {
        return (record, (version, parsed));
    };
    let mentions = Mentions::among(erased, rules, key);
    let events: &[Result<Event, Reject>] = parsed.as_ref().map(Vec::as_slice).unwrap_or_default();
    let left = erase_events(body, *entrance == Entrance::Batch, |index, text| {
        let event = usize::try_from(index).ok().and_then(|at| events.get(at));
        match event {
            Some(Ok(event)) if mentions.is_about(event) => Erasing::Everything,
            // Somebody else's event that brings an identifier of theirs along.
            Some(Ok(event)) if event.identifiers.iter().any(|one| mentions.is_of(one.id)) => {
                Erasing::Values(find_values(text, |value| mentions.in_words(value)))
            }
            Some(Ok(_)) => Erasing::Nothing,
            Some(Err(_)) | None if mentions.in_text(text) => Erasing::Everything,
            Some(Err(_)) | None => Erasing::Nothing,
        }
    });
    let Some(left) = left else { return (record, (version, parsed)) };
    let body = bytes::Bytes::from(left);
    let context =
        ParseContext { rules, key, source, received_at: *received_at, request_id: *request_id, gpc: *gpc };
    let parsed = parse_body(&body, *entrance, &context);
    let (source, received_at, request_id, entrance, gpc) =
        (source.clone(), *received_at, *request_id, *entrance, *gpc);
    (Record::Ingest { source, received_at, request_id, entrance, gpc, body }, (rules.version, parsed))
}
