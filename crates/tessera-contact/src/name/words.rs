//! Words that stand with names and are none.

use crate::fold;

/// Sorted, folded.
const TITLES: &[&str] = &[
    "baron",
    "baroness",
    "brother",
    "capt",
    "captain",
    "col",
    "count",
    "countess",
    "dame",
    "dhr",
    "dipl-ing",
    "don",
    "dona",
    "dott",
    "dottssa",
    "dr",
    "dra",
    "drs",
    "father",
    "frau",
    "fraulein",
    "fr",
    "gen",
    "herr",
    "hon",
    "hr",
    "ing",
    "ir",
    "judge",
    "lady",
    "lord",
    "lt",
    "m",
    "madame",
    "mademoiselle",
    "maj",
    "master",
    "messrs",
    "mevr",
    "mevrouw",
    "miss",
    "mister",
    "mlle",
    "mme",
    "monsieur",
    "mr",
    "mrs",
    "ms",
    "msgr",
    "mstr",
    "mx",
    "pan",
    "pani",
    "prof",
    "professor",
    "rabbi",
    "rev",
    "reverend",
    "sen",
    "senor",
    "senora",
    "senorita",
    "sgt",
    "sheikh",
    "sig",
    "signor",
    "signora",
    "sir",
    "sr",
    "sra",
    "srta",
    "г-жа",
    "г-н",
    "д-р",
];

const SUFFIXES: &[&str] = &[
    "2nd", "3rd", "4th", "ba", "bsc", "cpa", "dds", "dmd", "esq", "esquire", "ii", "iii", "iv", "jnr", "jr",
    "junior", "lld", "llm", "ma", "mba", "md", "mph", "msc", "obe", "phd", "qc", "kc", "rn", "senior", "snr",
    "sr", "vi", "vii",
];

const PARTICLES: &[&str] = &[
    "af", "al", "auf", "av", "bar", "ben", "bin", "bint", "da", "dal", "das", "de", "degli", "dei", "del",
    "della", "den", "der", "des", "di", "do", "dos", "du", "e", "el", "ibn", "la", "las", "le", "los", "op",
    "san", "santa", "st", "ste", "t", "te", "ten", "ter", "und", "van", "vande", "vander", "vom", "von",
    "vor", "y", "zu", "zum", "zur",
];

const PLACEHOLDERS: &[&str] = &[
    "anonymous",
    "asdf",
    "customer",
    "first name",
    "firstname firstname",
    "foo bar",
    "full name",
    "guest",
    "guest guest",
    "guest user",
    "last name",
    "n a",
    "n n",
    "name",
    "no name",
    "none",
    "null",
    "null null",
    "nil",
    "not provided",
    "test",
    "test test",
    "test user",
    "undefined",
    "undefined undefined",
    "unknown",
    "unknown unknown",
    "user",
    "xxx",
    "xxxx",
];

/// Words in lower case without marks and dots, hyphens kept.
fn plain(word: &str) -> String {
    word.split('-').map(fold).collect::<Vec<_>>().join("-")
}

pub(super) fn is_title(word: &str) -> bool {
    // `M` is French for Mr only with its dot: without it, it is an initial.
    TITLES.contains(&plain(word).as_str()) && (word.chars().count() > 1)
}

pub(super) fn is_suffix(word: &str) -> bool {
    let word_plain = plain(word);
    // `Ma` is a name, and a degree only in capitals or with dots.
    let is_degree = || word.contains('.') || word.chars().all(|c| !c.is_lowercase());
    SUFFIXES.contains(&word_plain.as_str())
        && (!matches!(word_plain.as_str(), "ma" | "ba" | "vi") || is_degree())
}

pub(super) fn is_particle(word: &str) -> bool {
    let is_small = word.chars().next().is_some_and(char::is_lowercase);
    let folded = fold(word);
    // `E`, `Y` and `T` in capitals are initials.
    PARTICLES.contains(&folded.as_str()) && (is_small || folded.len() > 1)
}

/// `Иванович`, `Ивановна`, and in Latin letters.
pub(super) fn is_patronymic(word: &str) -> bool {
    const ENDS: [&str; 8] = ["ович", "евич", "овна", "евна", "ovich", "evich", "ovna", "evna"];
    let word = word.to_lowercase();
    word.chars().count() > 6 && ENDS.iter().any(|end| word.ends_with(end))
}

pub(super) fn is_placeholder(folded: &str) -> bool {
    PLACEHOLDERS.contains(&folded)
}

/// Capitals at the beginning of a word and behind hyphens and apostrophes, `Mc` and particles heeded.
pub(super) fn capitalise(word: &str) -> String {
    if is_particle(word) && word.chars().count() > 1 {
        return word.to_lowercase();
    }
    let mut shown = String::with_capacity(word.len());
    let mut is_start = true;
    for c in word.to_lowercase().chars() {
        if is_start {
            shown.extend(c.to_uppercase());
        } else {
            shown.push(c);
        }
        is_start = matches!(c, '-' | '\'' | '’' | '.') || shown == "Mc";
    }
    shown
}
