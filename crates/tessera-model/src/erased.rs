//! What stands in the log where something was erased.
//!
//! A record keeps its place and its length when a part of it is erased: every byte of the part becomes the same, between
//! quotation marks, so that what is left is still JSON. Invariants: blanking keeps the length; what is blank is told
//! from everything that a client may send and have accepted, for an event is an object.

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{FragmentId, Operation, Record, RecordError, wire};

/// ASCII DEL: a character that JSON strings may hold as it is, and that nobody types.
const FILLER: u8 = 0x7f;

/// Whether `text`, one value of JSON, is what blanking leaves.
#[must_use]
pub fn is_erased(text: &str) -> bool {
    let inner = text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.is_empty() && inner.bytes().all(|byte| byte == FILLER))
}

fn blank(part: &mut [u8]) {
    part.fill(FILLER);
    if let [first, _, .., last] = part {
        (*first, *last) = (b'"', b'"');
    }
}

/// How much of an event goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erasing {
    /// Nothing.
    Nothing,
    /// The strings and numbers at these places of its text: they name somebody else than the event is about.
    Values(Vec<Range<usize>>),
    /// All of it.
    Everything,
}

/// The body without what `decide` says of the members of a batch by number, or of the whole of a single call or of a
/// body that cannot be read. `None`: nothing goes.
#[must_use]
pub fn erase_events(
    body: &Bytes,
    is_batch: bool,
    mut decide: impl FnMut(u32, &str) -> Erasing,
) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let batch = std::str::from_utf8(body).ok().filter(|_| is_batch);
    let batch = batch.and_then(|text| serde_json::from_str::<wire::Batch<'_>>(text).ok());
    let mut bytes = body.to_vec();
    let mut is_changed = false;
    let mut erase = |index: u32, text: &str, place: Range<usize>| {
        let Some(part) = bytes.get_mut(place).filter(|_| !is_erased(text)) else { return };
        match decide(index, text) {
            Erasing::Nothing => return,
            Erasing::Everything => blank(part),
            Erasing::Values(places) => {
                for place in places {
                    part.get_mut(place).into_iter().for_each(blank_value);
                }
            }
        }
        is_changed = true;
    };
    match batch {
        None => erase(0, &text, 0..body.len()),
        Some(batch) => {
            for (index, raw) in (0_u32..).zip(&batch.batch) {
                if let Some(place) = place_of(body, raw) {
                    erase(index, raw.get(), place);
                }
            }
        }
    }
    is_changed.then_some(bytes)
}

/// A string becomes blank, a number becomes 0: as identifiers both say nothing.
fn blank_value(part: &mut [u8]) {
    match part {
        [b'"', inner @ .., b'"'] => inner.fill(b' '),
        [first, rest @ ..] => {
            *first = b'0';
            rest.fill(b' ');
        }
        [] => {}
    }
}

/// The places of the strings and numbers in a JSON text, names of members left out, for which `is_meant` holds.
pub fn find_values(text: &str, mut is_meant: impl FnMut(&str) -> bool) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        match byte(at) {
            b'"' => {
                at += 1;
                while at < bytes.len() && byte(at) != b'"' {
                    at += 1 + usize::from(byte(at) == b'\\');
                }
                at += 1;
                let mut next = at;
                while byte(next).is_ascii_whitespace() {
                    next += 1;
                }
                let value = text.get(start..at).filter(|_| byte(next) != b':');
                let value = value.and_then(|quoted| serde_json::from_str::<String>(quoted).ok());
                if value.is_some_and(|value| is_meant(&value)) {
                    found.push(start..at);
                }
            }
            b'-' | b'0'..=b'9' => {
                while matches!(byte(at), b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                    at += 1;
                }
                if text.get(start..at).is_some_and(&mut is_meant) {
                    found.push(start..at);
                }
            }
            _ => at += 1,
        }
    }
    found
}

/// Where a value that was parsed from `body` stands in it.
fn place_of(body: &Bytes, raw: &RawValue) -> Option<Range<usize>> {
    let start = (raw.get().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let end = start.checked_add(raw.get().len())?;
    (end <= body.len()).then_some(start..end)
}

impl Record {
    /// The record with another body of the same length.
    ///
    /// # Errors
    /// Those of [`Record::encode`].
    pub fn encode_with_body(&self, body: Vec<u8>) -> Result<Vec<u8>, RecordError> {
        match self {
            Self::Ingest { source, received_at, request_id, entrance, gpc, .. } => Self::Ingest {
                source: source.clone(),
                received_at: *received_at,
                request_id: *request_id,
                entrance: *entrance,
                gpc: *gpc,
                body: body.into(),
            }
            .encode(),
            Self::Operation { .. } => self.encode(),
        }
    }
}

impl Operation {
    /// The operation without what it says of the people whose fragments `is_meant` names, or of a refused payload that
    /// `mentions` them. `None`: it says nothing of them.
    #[must_use]
    pub fn without(
        &self,
        is_meant: impl Fn(FragmentId) -> bool,
        mentions: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        match self {
            Self::Rectify { fragment, traits, request } if is_meant(*fragment) && !traits.is_empty() => {
                Some(Self::Rectify {
                    fragment: *fragment,
                    traits: Default::default(),
                    request: request.clone(),
                })
            }
            Self::Reject { source, code, reason, payload, line, .. } if mentions(payload) => {
                Some(Self::Reject {
                    source: source.clone(),
                    code: *code,
                    reason: reason.clone(),
                    payload: String::new(),
                    is_cut: true,
                    line: *line,
                })
            }
            Self::Split { fragments, reason }
                if !reason.is_empty() && fragments.iter().any(|id| is_meant(*id)) =>
            {
                Some(Self::Split { fragments: fragments.clone(), reason: String::new() })
            }
            Self::Consents { fragments, words } if fragments.iter().any(|id| is_meant(*id)) => {
                let is_bare = words.iter().all(|word| word.how.is_none() && word.evidence.is_none());
                let bare = words.iter().cloned().map(|mut word| {
                    (word.how, word.evidence) = (None, None);
                    word
                });
                (!is_bare).then(|| Self::Consents { fragments: fragments.clone(), words: bare.collect() })
            }
            Self::FillAudience { since, part, fragments }
                if fragments.iter().any(|one| is_meant(one.fragment)) =>
            {
                let others = fragments.iter().filter(|one| !is_meant(one.fragment)).cloned();
                Some(Self::FillAudience { since: *since, part: *part, fragments: others.collect() })
            }
            Self::Link { .. }
            | Self::Judge { .. }
            | Self::PutReviews { .. }
            | Self::Undo { .. }
            | Self::Redo { .. } => self.without_words(is_meant),
            Self::Rectify { .. }
            | Self::Resolve { .. }
            | Self::Reject { .. }
            | Self::Split { .. }
            | Self::Consents { .. }
            | Self::Apply { .. }
            | Self::ApplySealed { .. }
            | Self::Erase { .. }
            | Self::LiftErasure { .. }
            | Self::Expire { .. }
            | Self::PutAccount { .. }
            | Self::RemoveAccount { .. }
            | Self::PutRequest { .. }
            | Self::PutAlert { .. }
            | Self::PutAudit { .. }
            | Self::PutModel { .. }
            | Self::Tick {}
            | Self::FillAudience { .. }
            | Self::AudienceFilled { .. }
            | Self::CloseReject { .. } => None,
        }
    }

    /// What a steward or a matcher ordered, without why: a reason in free words may tell of the people it is about.
    fn without_words(&self, is_meant: impl Fn(FragmentId) -> bool) -> Option<Self> {
        let mut without = self.clone();
        if let Self::Link { pairs } = &mut without {
            for pair in pairs.iter_mut().filter(|pair| is_meant(pair.a) || is_meant(pair.b)) {
                pair.reason.clear();
            }
        } else if let Self::PutReviews { pairs } = &mut without {
            for pair in pairs.iter_mut().filter(|pair| is_meant(pair.a) || is_meant(pair.b)) {
                (pair.note, pair.waterfall) = (String::new(), serde_json::Value::Null);
            }
        } else if let Self::Judge { a, b, reason, .. } = &mut without {
            if is_meant(*a) || is_meant(*b) {
                reason.clear();
            }
        } else if let Self::Undo { fragments, reason, .. } | Self::Redo { fragments, reason, .. } =
            &mut without
            && fragments.iter().any(|id| is_meant(*id))
        {
            reason.clear();
        }
        (without != *self).then_some(without)
    }
}

/// Brings an encoded operation to the length it had: spaces after JSON say nothing.
///
/// # Errors
/// [`RecordError::Malformed`] when it is longer than before.
pub fn pad_operation(record: &Record, len: usize) -> Result<Vec<u8>, RecordError> {
    record.encode_padded(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(is: bool) -> Erasing {
        if is { Erasing::Everything } else { Erasing::Nothing }
    }

    #[test]
    fn values_go_and_what_is_left_is_json_of_the_same_length() {
        let text = r#"{"userId": 77, "x": {"anonymousId" :"a\"7"}, "7": [7, "7", true, -7.5e3, "77"]}"#;
        let body = Bytes::from_static(text.as_bytes());
        let meant = |text: &str| ["7", "a\"7", "-7.5e3"].contains(&text);
        let erased = erase_events(&body, false, |_, text| Erasing::Values(find_values(text, meant))).unwrap();
        let erased = String::from_utf8(erased).unwrap();
        assert_eq!(erased.len(), text.len());
        let value: serde_json::Value = serde_json::from_str(&erased).unwrap();
        let expected = r#"{"userId": 77, "x": {"anonymousId": "    "}, "7": [0, " ", true, 0, "77"]}"#;
        assert_eq!(value, serde_json::from_str::<serde_json::Value>(expected).unwrap());
    }

    #[test]
    fn erasing_blanks_only_what_is_meant_and_keeps_the_length() {
        let body = Bytes::from_static(br#"{"batch": [{"userId":"ada"}, {"userId":"bob"} ], "sentAt": null}"#);
        let erased = erase_events(&body, true, |_, text| whole(text.contains("ada"))).unwrap();
        let text = String::from_utf8(erased.clone()).unwrap();
        assert_eq!(erased.len(), body.len());
        assert!(!text.contains("ada") && text.contains("bob"));
        let batch: wire::Batch<'_> = serde_json::from_str(&text).unwrap();
        assert!(is_erased(batch.batch[0].get()) && !is_erased(batch.batch[1].get()));
        assert_eq!(erase_events(&Bytes::from(erased), true, |_, text| whole(text.contains("ada"))), None);
    }

    #[test]
    fn a_body_that_cannot_be_read_goes_as_a_whole() {
        let body = Bytes::from_static(b"{\"batch\": [{\"userId\":\"ada\"");
        let erased = erase_events(&body, true, |_, text| whole(text.contains("ada"))).unwrap();
        assert_eq!(erased.len(), body.len());
        assert!(is_erased(std::str::from_utf8(&erased).unwrap()));
    }

    #[test]
    fn an_operation_is_padded_to_its_length() {
        let fragment = FragmentId([3; 16]);
        let traits = [("name".to_owned(), serde_json::json!("Ada Lovelace"))].into();
        let operation = Operation::Rectify { fragment, traits, request: "r1".to_owned() };
        let record = Record::Operation { at: crate::Timestamp::from_millis(5), operation };
        let bytes = record.encode().unwrap();
        let Record::Operation { at, operation } = record else { panic!("an operation") };
        let without = operation.without(|id| id == fragment, |_| false).unwrap();
        let record = Record::Operation { at, operation: without };
        let padded = pad_operation(&record, bytes.len()).unwrap();
        assert_eq!(padded.len(), bytes.len());
        assert_eq!(Record::decode(&Bytes::from(padded)).unwrap(), record);
    }
}
