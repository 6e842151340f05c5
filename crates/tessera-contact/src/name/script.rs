//! In which script a name is written, and how East Asian names are put together.

use icu_properties::CodePointMapData;
use icu_properties::props;

use super::{NameOrder, PersonName};

/// In which script a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the scripts' own names")]
pub enum Script {
    Latin,
    Cyrillic,
    Greek,
    Han,
    /// Hiragana and Katakana, with or without Han.
    Kana,
    Hangul,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    /// One of the others.
    Other,
    /// Letters of two that do not belong together.
    Mixed,
}

impl Script {
    /// Its word: `latin`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latin => "latin",
            Self::Cyrillic => "cyrillic",
            Self::Greek => "greek",
            Self::Han => "han",
            Self::Kana => "kana",
            Self::Hangul => "hangul",
            Self::Arabic => "arabic",
            Self::Hebrew => "hebrew",
            Self::Devanagari => "devanagari",
            Self::Thai => "thai",
            Self::Other => "other",
            Self::Mixed => "mixed",
        }
    }

    /// The script of the letters of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut script = None;
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            let Some(found) = Self::of_letter(c) else { continue };
            script = match script {
                None => Some(found),
                Some(before) if before == found => Some(found),
                Some(Self::Han | Self::Kana) if matches!(found, Self::Han | Self::Kana) => Some(Self::Kana),
                Some(_) => return Self::Mixed,
            };
        }
        script.unwrap_or(Self::Other)
    }

    pub(super) const fn puts_family_first(self) -> bool {
        matches!(self, Self::Han | Self::Kana | Self::Hangul)
    }

    /// None for letters that stand in several scripts.
    fn of_letter(c: char) -> Option<Self> {
        if c.is_ascii() {
            return Some(Self::Latin);
        }
        let script = CodePointMapData::<props::Script>::new().get(c);
        Some(match script {
            props::Script::Common | props::Script::Inherited => return None,
            props::Script::Latin => Self::Latin,
            props::Script::Cyrillic => Self::Cyrillic,
            props::Script::Greek => Self::Greek,
            props::Script::Han => Self::Han,
            props::Script::Hiragana | props::Script::Katakana => Self::Kana,
            props::Script::Hangul => Self::Hangul,
            props::Script::Arabic => Self::Arabic,
            props::Script::Hebrew => Self::Hebrew,
            props::Script::Devanagari => Self::Devanagari,
            props::Script::Thai => Self::Thai,
            _ => Self::Other,
        })
    }
}

/// Family names of two characters, common ones: `欧阳`, `남궁`.
const COMPOUND: [&str; 16] = [
    "欧阳", "歐陽", "司马", "司馬", "诸葛", "諸葛", "上官", "司徒", "东方", "夏侯", "남궁", "황보", "제갈",
    "선우", "독고", "사공",
];
const HONORIFICS: [&str; 10] = ["先生", "女士", "小姐", "さん", "様", "さま", "殿", "님", "씨", "귀하"];

/// Names that put the family first, with or without a space.
pub(super) fn east_asian(text: &str, script: Script) -> Option<PersonName> {
    let mut bare = text.trim();
    let mut titles = Vec::new();
    if let Some((rest, title)) = HONORIFICS.iter().find_map(|title| Some((bare.strip_suffix(title)?, title)))
        && rest.chars().any(char::is_alphabetic)
    {
        bare = rest.trim_end();
        titles.push((*title).to_owned());
    }
    let words: Vec<&str> = bare.split([' ', ',', '・', '·']).filter(|word| !word.is_empty()).collect();
    let (order, family, given): (_, Vec<&str>, Vec<&str>) = match words.as_slice() {
        [] => return None,
        [word] => match family_bytes(word, script).and_then(|bytes| word.split_at_checked(bytes)) {
            Some((family, given)) => (NameOrder::FamilyFirst, vec![family], vec![given]),
            None => (NameOrder::Single, Vec::new(), vec![word]),
        },
        [family, given @ ..] => (NameOrder::FamilyFirst, vec![family], given.to_vec()),
    };
    let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    Some(PersonName {
        titles,
        given: owned(given),
        family: owned(family),
        suffixes: Vec::new(),
        script,
        order,
    })
}

/// How many bytes of a name without a space are the family's. Not told where Kana stands in it, or where it has four
/// characters or more and no family name of two that is known: those are Japanese, and end anywhere.
fn family_bytes(word: &str, script: Script) -> Option<usize> {
    let count = word.chars().count();
    if let Some(compound) = COMPOUND.iter().find(|family| word.starts_with(**family)).filter(|_| count > 2) {
        return Some(compound.len());
    }
    let is_told = matches!((script, count), (Script::Han, 2 | 3) | (Script::Hangul, 2..=4));
    is_told.then(|| word.chars().next().map(char::len_utf8)).flatten()
}
