//! One person as a survey sees them.

use std::collections::BTreeMap;

use tessera_model::Timestamp;

/// What one source said in one fragment: its last word on each trait.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    /// The source.
    pub source: &'a str,
    /// Its words.
    pub words: Vec<Said<'a>>,
}

/// One word.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    /// The trait.
    pub name: &'a str,
    /// Its value, as JSON text.
    pub value: &'a str,
    /// When it was said.
    pub at: Timestamp,
}

impl std::fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said").field("name", &self.name).field("at", &self.at).finish_non_exhaustive()
    }
}

/// One profile of a person.
#[derive(Clone, Debug)]
pub struct Person<'a> {
    /// The profile's id.
    pub id: [u8; 16],
    /// What the sources said.
    pub records: Vec<Record<'a>>,
    /// The surviving value of each trait, as JSON text.
    pub survivors: BTreeMap<&'a str, &'a str>,
    /// The latest event.
    pub last_seen_at: Timestamp,
    /// Whether anything but a device names the person.
    pub is_known: bool,
    /// Whether some purpose permits to use what is held.
    pub is_usable: bool,
    /// Whether a contact point was signed off.
    pub is_unsubscribed: bool,
    /// Whether a message to the person came back.
    pub is_bounced: bool,
}
