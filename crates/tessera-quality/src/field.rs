//! One field of one source: everything that is counted of its values.

use serde_json::Value;
use siphasher::sip::SipHasher13;
use tessera_model::Timestamp;

use crate::kind::{Kind, Look, look, numbered};
use crate::shape::{Ages, Shapes, shape};
use crate::values::Values;

/// What counting needs besides the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    pub(crate) now: Timestamp,
    /// Keys the hashes: the same for surveys that are put together.
    pub(crate) seed: (u64, u64),
}

impl Counting {
    pub(crate) fn hash(&self, text: &str) -> u64 {
        SipHasher13::new_with_keys(self.seed.0, self.seed.1).hash(text.as_bytes())
    }
}

macro_rules! counts {
    ($($name:ident $doc:literal,)*) => {
        /// Plain counts.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Counts {
            $(#[doc = $doc] pub(crate) $name: u64,)*
        }

        impl Counts {
            fn merge(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    filled "Values that say something.",
    empty "Empty texts, lists and nulls.",
    placeholders "Texts that say that there is nothing.",
    texts "Texts.",
    numbers "Numbers.",
    booleans "True or false.",
    lists "Lists.",
    checked "Values of which it can be told whether they can be.",
    invalid "Of these, those that cannot.",
    test_data "Values for trying things out.",
    disposable "Addresses that last for minutes.",
    roles "Addresses of a role, not of a person.",
    numbered "Texts that end in a number.",
    compared "Values on which another source speaks too.",
    agreed "Of these, those that say what the profile says.",
}

/// One field of one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field {
    pub(crate) counts: Counts,
    pub(crate) values: Values,
    pub(crate) shapes: Shapes,
    /// What stands before and after the number that texts end in.
    pub(crate) stems: Values,
    /// Those numbers.
    pub(crate) span: Option<(u64, u64)>,
    pub(crate) ages: Ages,
}

impl Field {
    /// Counts one value. Returns its one form, if it has one.
    pub(crate) fn add(&mut self, kind: Kind, value: &Value, at: Timestamp, by: Counting) -> Option<String> {
        let counts = &mut self.counts;
        let (text, shown) = match value {
            Value::Null => {
                counts.empty += 1;
                return None;
            }
            Value::Array(elements) if elements.is_empty() => {
                counts.empty += 1;
                return None;
            }
            Value::Bool(_) => {
                counts.booleans += 1;
                (value.to_string(), "true or false".to_owned())
            }
            Value::Number(_) => {
                counts.numbers += 1;
                (value.to_string(), "number".to_owned())
            }
            Value::Array(_) | Value::Object(_) => {
                counts.lists += 1;
                (value.to_string(), "list".to_owned())
            }
            Value::String(text) => {
                if text.trim().is_empty() {
                    counts.empty += 1;
                    return None;
                }
                counts.texts += 1;
                (text.clone(), shape(text))
            }
        };
        let form = match look(kind, &text, by.now) {
            Look::Placeholder => {
                counts.placeholders += 1;
                return None;
            }
            Look::Invalid => {
                counts.checked += 1;
                counts.invalid += 1;
                None
            }
            Look::Possible { form, is_test, is_disposable, is_role } => {
                counts.checked += 1;
                counts.test_data += u64::from(is_test);
                counts.disposable += u64::from(is_disposable);
                counts.roles += u64::from(is_role);
                Some(form)
            }
            Look::Open => None,
        };
        counts.filled += 1;
        self.values.add(by.hash(form.as_deref().unwrap_or(&text)));
        self.shapes.add(by.hash(&shown), shown, 1);
        self.ages.add(at, by.now);
        if let (Value::String(_), Some((stem, number))) = (value, numbered(&text)) {
            self.counts.numbered += 1;
            self.stems.add(by.hash(&stem));
            self.widen((number, number));
        }
        form
    }

    fn widen(&mut self, (least, most): (u64, u64)) {
        let (known_least, known_most) = self.span.unwrap_or((least, most));
        self.span = Some((known_least.min(least), known_most.max(most)));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.values.merge(&other.values);
        self.shapes.merge(&other.shapes);
        self.stems.merge(&other.stems);
        if let Some(span) = other.span {
            self.widen(span);
        }
        self.ages.merge(&other.ages);
    }

    /// Whether its values look as if a program had counted them up: nearly all end in a number, mostly after the same
    /// text, and the numbers leave few gaps.
    pub(crate) fn is_counted_up(&self) -> bool {
        let Some((least, most)) = self.span else { return false };
        let numbered = self.counts.numbered;
        numbered * 10 >= self.counts.filled * 8
            && self.stems.most_frequent() * 2 >= numbered
            && (most - least) / 2 <= numbered
            && self.values.distinct() * 10 >= numbered * 8
    }
}
