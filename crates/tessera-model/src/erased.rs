//! What stands in the log where something was erased.
//!
//! A record keeps its place and its length when a part of it is erased: every byte of the part becomes the same, between
//! quotation marks, so that what is left is still JSON. Invariants: blanking keeps the length; what is blank is told
//! from everything that a client may send and have accepted, for an event is an object.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{FragmentId, Operation, Record, RecordError, wire};

/// ASCII DEL: a character that JSON strings may hold as it is, and that nobody types.
const FILLER: u8 = 0x7f;

/// Whether `text`, one value of JSON, is what [`blank`] leaves.
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

/// The body with what `is_meant` says blanked: the members of a batch by number, or the whole of a single call or of a
/// body that cannot be read. `None`: nothing is.
#[must_use]
pub fn erase_events(body: &Bytes, is_batch: bool, is_meant: impl Fn(u32, &str) -> bool) -> Option<Vec<u8>> {
    let whole = |body: &Bytes| {
        let mut bytes = body.to_vec();
        blank(&mut bytes);
        bytes
    };
    let text = String::from_utf8_lossy(body);
    if !is_batch {
        return (!is_erased(&text) && is_meant(0, &text)).then(|| whole(body));
    }
    let Ok(batch) = std::str::from_utf8(body)
        .map_err(|_| ())
        .and_then(|text| serde_json::from_str::<wire::Batch<'_>>(text).map_err(|_| ()))
    else {
        return (!is_erased(&text) && is_meant(0, &text)).then(|| whole(body));
    };
    let mut bytes = body.to_vec();
    let mut is_changed = false;
    for (index, raw) in (0_u32..).zip(&batch.batch) {
        if is_erased(raw.get()) || !is_meant(index, raw.get()) {
            continue;
        }
        if let Some(part) = place_of(body, raw).and_then(|place| bytes.get_mut(place)) {
            blank(part);
            is_changed = true;
        }
    }
    is_changed.then_some(bytes)
}

/// Where a value that was parsed from `body` stands in it.
fn place_of(body: &Bytes, raw: &RawValue) -> Option<std::ops::Range<usize>> {
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
            _ => None,
        }
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

    #[test]
    fn erasing_blanks_only_what_is_meant_and_keeps_the_length() {
        let body = Bytes::from_static(br#"{"batch": [{"userId":"ada"}, {"userId":"bob"} ], "sentAt": null}"#);
        let erased = erase_events(&body, true, |_, text| text.contains("ada")).unwrap();
        let text = String::from_utf8(erased.clone()).unwrap();
        assert_eq!(erased.len(), body.len());
        assert!(!text.contains("ada") && text.contains("bob"));
        let batch: wire::Batch<'_> = serde_json::from_str(&text).unwrap();
        assert!(is_erased(batch.batch[0].get()) && !is_erased(batch.batch[1].get()));
        assert_eq!(erase_events(&Bytes::from(erased), true, |_, text| text.contains("ada")), None);
    }

    #[test]
    fn a_body_that_cannot_be_read_goes_as_a_whole() {
        let body = Bytes::from_static(b"{\"batch\": [{\"userId\":\"ada\"");
        let erased = erase_events(&body, true, |_, text| text.contains("ada")).unwrap();
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
