//! Which of the rows that wait for a destination name somebody who was erased.
//!
//! A queue may be a million rows long, and the pipeline waits: hashing each word of each row, as [`Mentions`] does, would
//! take half a minute. Invariant: a row that [`Mentions`] finds is found here too, for only a text that cannot hold an
//! identifier in any form is passed over.

use aho_corasick::AhoCorasick;

use crate::erasure::Mentions;
use crate::outbox::OutboxRow;

/// Shorter values are part of many words and must stand alone.
const VALUE_BYTES_MIN: usize = 4;
/// Digits that two ways to write a telephone number share at their ends.
const ENDING_DIGITS: usize = 4;

/// The identifiers of who was erased, ready to be looked for in many rows.
pub(crate) struct Queued<'a> {
    mentions: &'a Mentions<'a>,
    /// The values as they are kept, long and short, whatever their case. `None`: each row is searched word by word.
    values: Option<[AhoCorasick; 2]>,
    has_address: bool,
    endings: Vec<Vec<u8>>,
}

impl<'a> Queued<'a> {
    /// `values` are the identifiers of `mentions` as they are kept and hashed; `None`: not all are known.
    pub(crate) fn new(mentions: &'a Mentions<'a>, known: Option<&[String]>) -> Self {
        let values = known.unwrap_or_default();
        let build = |values: &[&String]| AhoCorasick::builder().ascii_case_insensitive(true).build(values);
        let (long, short): (Vec<&String>, Vec<&String>) =
            values.iter().partition(|value| value.len() >= VALUE_BYTES_MIN);
        let values_of = build(&long).and_then(|long| Ok([long, build(&short)?]));
        Self {
            mentions,
            values: known.and_then(|_| values_of.ok()),
            has_address: values.iter().any(|value| value.contains('@')),
            endings: values.iter().filter_map(|value| ending(value)).collect(),
        }
    }

    /// Whether the row is about one of them, or names one.
    pub(crate) fn is_meant(&self, row: &OutboxRow) -> bool {
        self.mentions.is_of(row.owner) || self.is_named(&row.json)
    }

    fn is_named(&self, json: &str) -> bool {
        let Some([long, short]) = &self.values else { return self.mentions.in_text(json) };
        long.is_match(json)
            || ((short.is_match(json) || self.may_hold_other_forms(json)) && self.mentions.in_text(json))
    }

    /// Whether the text may hold a value in another form: escaped, in capitals beyond ASCII, an address with another
    /// spelling, a number with other marks between its digits and others before them.
    fn may_hold_other_forms(&self, json: &str) -> bool {
        !json.is_ascii()
            || json.contains('\\')
            || (self.has_address && json.contains('@'))
            || (!self.endings.is_empty() && {
                let digits = digits(json);
                self.endings.iter().any(|ending| digits.windows(ending.len()).any(|part| part == ending))
            })
    }
}

/// The last digits of a value that may be a telephone number.
fn ending(value: &str) -> Option<Vec<u8>> {
    let digits = digits(value);
    let is_number = digits.len() * 2 > value.len();
    let at = digits.len().checked_sub(ENDING_DIGITS).filter(|_| is_number)?;
    Some(digits.split_at(at).1.to_vec())
}

fn digits(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tessera_model::{FragmentId, HashKey, Rules, Workspace};

    use super::*;

    const PEOPLE: [&str; 6] = [
        "user_id:canary-4711",
        "user_id:Zoé",
        "user_id:77",
        "email:ada.k@example.org",
        "phone:+4930123456",
        "anonymous_id:a b",
    ];

    fn piece() -> impl Strategy<Value = String> {
        let forms = [
            "canary-4711",
            "CANARY-4711",
            "Zoé",
            "Zo\\u00e9",
            "77",
            "277",
            "Ada.K@Example.org",
            "ADA.\u{212a}@example.org",
            "+49 (30) 123-456",
            "0049 30 123456",
            "+49301",
            "a b",
            "a  b",
            "web",
            "ada@example.org",
            "\\n",
            " ",
            "x",
            "?e=",
        ];
        proptest::sample::select(forms.map(str::to_owned).to_vec())
    }

    proptest! {
        #[test]
        fn whoever_is_mentioned_in_a_row_is_found_in_the_queue(
            texts in proptest::collection::vec(proptest::collection::vec(piece(), 1..4), 1..4),
            number in 70_u64..80,
        ) {
            let (rules, key) = (Rules::new(1, Workspace::new([]).unwrap()).unwrap(), HashKey::new([9; 32]));
            let people = PEOPLE.map(|person| rules.namespaces.parse_reference(person).unwrap());
            let fragments = people.clone().map(|identifier| FragmentId::of(&key, &identifier));
            let mentions = Mentions::new(&fragments, &rules, &key);
            let values = people.map(|identifier| identifier.value().to_owned());
            let queued = Queued::new(&mentions, Some(&values));
            let strings: Vec<String> = texts.iter().map(|pieces| format!("\"{}\"", pieces.concat())).collect();
            let json = format!("{{\"p\": [{}], \"n\": {number}}}", strings.join(", "));
            prop_assert!(queued.is_named(&json) || !mentions.in_text(&json), "{json}");
        }
    }

    #[test]
    fn a_row_about_somebody_else_stays_in_the_queue() {
        let (rules, key) = (Rules::new(1, Workspace::new([]).unwrap()).unwrap(), HashKey::new([9; 32]));
        let ada = rules.namespaces.parse_reference("email:ada@example.org").unwrap();
        let mentions = Mentions::new(&[FragmentId::of(&key, &ada)], &rules, &key);
        let queued = Queued::new(&mentions, Some(&[ada.value().to_owned()]));
        for (json, expected) in [
            (r#"{"by": "bob@example.org", "note": "née \"x\""}"#, false),
            (r#"{"by": "Ada@Example.org"}"#, true),
            (r#"{"by": "\u0061da@example.org"}"#, true),
        ] {
            assert_eq!(queued.is_named(json), expected, "{json}");
        }
    }
}
