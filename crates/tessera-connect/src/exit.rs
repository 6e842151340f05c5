//! That somebody is a member of an audience no more, told when no event about them may leave.
//!
//! Not a delivery: those are `Permitted`, and who has withdrawn, objected or was erased permits none. Yet a destination that was
//! told `Audience Entered` would keep the member for ever. Invariant: as a [`Forget`](crate::Forget) it holds nothing that the
//! destination was not given before, and no identifier in clear - an audience, and the profile id that the entry came with; its
//! event is made here, so that nothing else can leave in it.
//! Reference: GDPR Art. 7(3), 19, 21(3); Segment, "Audience Exited" with `context.personas`.

use std::fmt;

use serde_json::{Value, json};
use tessera_model::{AudienceId, AudienceName, OFFICE, SourceName, Timestamp};

use crate::Delivery;

/// What the events are called.
pub const ENTERED: &str = "Audience Entered";
/// See [`ENTERED`].
pub const EXITED: &str = "Audience Exited";

/// That somebody entered an audience or left it, in the form of Segment's Engage; who it is stays to be said.
#[must_use]
pub fn audience_event(
    (id, name): (AudienceId, &AudienceName),
    is_member: bool,
    message_id: &str,
    at: Timestamp,
) -> Value {
    json!({
        "type": "track",
        "event": if is_member { ENTERED } else { EXITED },
        "messageId": message_id,
        "timestamp": at.to_string(),
        "properties": { "audience_key": name, name.as_str(): is_member },
        "context": { "personas": {
            "computation_class": "audience",
            "computation_id": id.to_string(),
            "computation_key": name,
            "namespace": OFFICE,
            "space_id": OFFICE,
        } },
    })
}

/// Tells that somebody left an audience. Safe to repeat: it is the same each time.
#[derive(Clone, PartialEq, Eq)]
pub struct Exit(Delivery);

impl Exit {
    /// Of the member whose entry came with that `profile`. `message_id` is the same whenever it is told.
    ///
    /// `place` is that of the record that did it. It may lie before what was delivered since, so nobody may skip it for that.
    /// `None` only if the office's name were none of a source.
    #[must_use]
    pub fn new(
        audience: (AudienceId, &AudienceName),
        profile: String,
        (message_id, at): (String, Timestamp),
        (position, index): (u64, u32),
    ) -> Option<Self> {
        Some(Self(Delivery {
            json: audience_event(audience, false, &message_id, at).to_string(),
            message_id,
            profile,
            source: SourceName::parse(OFFICE).ok()?,
            call: "track".to_owned(),
            at,
            received_at: at,
            position,
            index,
            replay: true,
        }))
    }

    /// As every other event of a member looks to the destination.
    #[must_use]
    pub const fn event(&self) -> &Delivery {
        &self.0
    }
}

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
