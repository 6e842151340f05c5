//! What a destination is given, and what it answers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tessera_model::{SourceName, Timestamp};
use tessera_policy::Permitted;

use crate::Exit;

/// What a destination gets: one event of one person.
///
/// Personal data: `Debug` shows only the place and the ids that Tessera made, there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// By which a receiver knows a repeated event.
    pub message_id: String,
    /// The profile at the moment of sending: 32 hexadecimal digits. A later merge may change it.
    pub profile: String,
    /// Which source brought the event.
    pub source: SourceName,
    /// `track`, `identify`, ...
    pub call: String,
    /// When it happened.
    pub at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The log position of the record that held it.
    pub position: u64,
    /// Its number within that record. A queue sends in the order of (position, index), but for replays.
    pub index: u32,
    /// Whether a person sent it again from the dead letters. Its place is then behind what was sent since, and a
    /// destination that skips by place must not skip it.
    pub replay: bool,
    /// The event as it came: JSON text.
    pub json: String,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("position", &self.position)
            .field("index", &self.index)
            .field("replay", &self.replay)
            .field("source", &self.source)
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

/// What a recipient is asked to do with what it was sent about a person (GDPR Art. 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForgetKind {
    /// Forget the person (GDPR Art. 17).
    Erase,
    /// Correct it: what it holds may be wrong (Art. 16). The corrected data comes as events.
    Rectify,
    /// Keep it, but do not use it (Art. 18).
    Restrict,
    /// Use it no more for what the person objects to (Art. 21).
    Object,
}

impl ForgetKind {
    /// The word for it in notices: `erase`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Rectify => "rectify",
            Self::Restrict => "restrict",
            Self::Object => "object",
        }
    }
}

/// Tells whether the text of an event names a person, without anybody having to keep the person's identifiers.
#[derive(Clone)]
pub struct Names(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Names {
    /// By this test of an event's JSON text.
    pub fn new(test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(test))
    }

    /// Whether the event names the person.
    #[must_use]
    pub fn are_in(&self, event: &str) -> bool {
        (self.0)(event)
    }
}

/// A notice to a recipient about a person whose data it was sent.
///
/// Invariant: it holds nothing that the recipient was not given before, and no identifier in clear: the person may
/// be erased by now. A recipient finds the person by the profile ids that came with each event.
#[derive(Clone)]
pub struct Forget {
    /// Which request of the person it is about, the same whenever it is sent.
    pub request: String,
    /// Under which law: `gdpr`.
    pub regulation: String,
    /// What to do.
    pub kind: ForgetKind,
    /// Ids of the person's profile, as deliveries gave them; earlier ones from before a merge too.
    pub profiles: BTreeSet<String>,
    /// Events about the person that were delivered, where that is known.
    pub message_ids: BTreeSet<String>,
    /// Finds the person in events that are about somebody else: for what Tessera itself keeps.
    pub names: Names,
}

impl fmt::Debug for Forget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forget")
            .field("request", &self.request)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// How a batch went. Reasons are for people to read and hold no personal data: never a part of an event, never
/// what the other side answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Delivered,
    /// Nobody knows whether the destination has it, or it has not: send the same again later.
    Retry {
        /// The destination asked to wait at least this long, in milliseconds.
        after_millis: Option<u64>,
        /// Why.
        reason: String,
    },
    /// The destination will never take it as it is: a dead letter.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The stable code, unless it was delivered; `docs/reference/errors` has a page for each.
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Delivered => None,
            Self::Retry { .. } => Some("TES-D002"),
            Self::Refused { .. } => Some("TES-D003"),
        }
    }

    /// What to do about it, unless it was delivered.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Delivered => None,
            Self::Retry { .. } => {
                Some("nothing, if the destination comes back by itself: Tessera tries again")
            }
            Self::Refused { .. } => Some(
                "mend the cause, then send the dead letters again with `tessera destination replay NAME`",
            ),
        }
    }

    pub(crate) fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after_millis: None, reason: reason.into() }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// A system that deliveries are sent to.
///
/// Safe to repeat: a batch that was sent before, whole or in part, and comes again after a crash or a
/// [`Outcome::Retry`] must not count twice at the receiver, or must carry what the receiver needs to see that it
/// is a repeat (the message id). A delivery marked `replay` was a dead letter until a person sent it again.
pub trait Destination: Send {
    /// Sends a batch, in order, and waits for the answer; one outcome for the whole batch. An empty batch is
    /// delivered.
    fn deliver(&mut self, batch: &[Permitted<Delivery>]) -> Outcome;

    /// The most deliveries that one call takes.
    fn batch_max(&self) -> usize;

    /// Carries out or passes on a notice about a person, and waits until that is done. Safe to repeat; deliveries that
    /// were made before are not made again because of it. What the destination cannot do it refuses, and somebody has to
    /// tell the recipient.
    fn forget(&mut self, notice: &Forget) -> Outcome {
        let kind = notice.kind.as_str();
        Outcome::refused(format!("this kind of destination cannot be told to {kind}"))
    }

    /// Tells that somebody is a member of an audience no more of whom no event may be delivered: in the form of an event. Safe to
    /// repeat.
    fn leave(&mut self, _exit: &Exit) -> Outcome {
        Outcome::refused("this kind of destination cannot be told who left an audience")
    }

    /// Passes on an alert of a tracking plan: JSON that names nobody. `key` is the same whenever the same is told.
    fn alert(&mut self, _alert: &serde_json::Value, _key: &str) -> Outcome {
        Outcome::refused("this kind of destination cannot be told of alerts")
    }
}
