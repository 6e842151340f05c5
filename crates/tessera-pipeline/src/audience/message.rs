//! What is told of who enters or leaves an audience: a track call in the form of Segment's Engage.
//!
//! Reference: Segment, "Audience Entered" and "Audience Exited" with `context.personas`. Invariant: the message id follows
//! from whose membership of what changed and which record did it, so that a repeat is known.

use serde_json::{Value, json};
use tessera_connect::{ENTERED, EXITED, audience_event};
use tessera_model::{
    AudienceId, AudienceName, FragmentId, HashKey, Identifier, IdentifierForm, OFFICE, PurposeName,
    PurposeSet, SourceName, Timestamp,
};
use tessera_store::{Change, Table};

use crate::PipelineError;
use crate::apply::Settings;
use crate::outbox::{OutboxRow, outbox_key};

/// Somebody entered an audience, or left it.
pub(crate) struct Announcement<'a> {
    pub(crate) audience: (AudienceId, &'a AudienceName, &'a PurposeName),
    /// The fragment, and the identifier that it is of.
    pub(crate) owner: (FragmentId, Identifier),
    pub(crate) is_member: bool,
    pub(crate) at: Timestamp,
    /// The record that did it, and a number of its own there.
    pub(crate) place: (u64, u32),
}

impl Announcement<'_> {
    const fn name(&self) -> &'static str {
        if self.is_member { ENTERED } else { EXITED }
    }

    /// A row for each destination that wants it.
    pub(crate) fn rows(&self, settings: &Settings<'_>) -> Result<Vec<Change>, PipelineError> {
        let Some(purpose) = settings.rules.purposes.get(self.audience.2) else { return Ok(Vec::new()) };
        let purposes: PurposeSet = [purpose.id].into_iter().collect();
        let wanting: Vec<_> =
            settings.routes.iter().filter(|route| route.wants_track(self.name(), purposes)).collect();
        if wanting.is_empty() {
            return Ok(Vec::new());
        }
        let message_id = message_id(settings.key, (self.audience.0, self.owner.0), self.place.0);
        let row = OutboxRow {
            owner: self.owner.0,
            purposes,
            source: SourceName::parse(OFFICE)
                .map_err(|e| PipelineError::Stored { what: "source", why: e.to_string() })?,
            json: self.json(&message_id).to_string(),
            message_id,
            at: self.at,
            received_at: self.at,
            call: "track".to_owned(),
        };
        let after = row.encode()?;
        let change = |route: &crate::routes::Route| Change {
            key: outbox_key(Table::Outbox, &route.name, self.place.0, self.place.1),
            before: None,
            after: Some(after.as_slice().into()),
        };
        Ok(wanting.into_iter().map(change).collect())
    }

    fn json(&self, message_id: &str) -> Value {
        let ((id, name, _), (_, identifier)) = (self.audience, &self.owner);
        let mut event = audience_event((id, name), self.is_member, message_id, self.at);
        let value = json!(identifier.value());
        match (identifier.namespace().as_str(), identifier.form()) {
            ("user_id", IdentifierForm::Exact) => put(&mut event, "userId", value),
            ("anonymous_id", IdentifierForm::Exact) => put(&mut event, "anonymousId", value),
            (namespace, form) => {
                let encoding = if form == IdentifierForm::Hashed { "sha256" } else { "none" };
                let id =
                    json!({ "id": value, "type": namespace, "collection": "users", "encoding": encoding });
                if let Some(context) = event.get_mut("context") {
                    put(context, "externalIds", json!([id]));
                }
            }
        }
        event
    }
}

/// The message id of what a record did to a membership.
pub(crate) fn message_id(
    key: &HashKey,
    (audience, owner): (AudienceId, FragmentId),
    position: u64,
) -> String {
    let parts: [&[u8]; 4] = [b"audience message", &audience.0, &owner.0, &position.to_be_bytes()];
    format!("audience-{}", FragmentId(key.hash128(&parts)))
}

/// What a row tells of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) audience: (AudienceId, AudienceName),
    pub(crate) is_member: bool,
}

impl Membership {
    /// `None`: the row tells of something else.
    pub(crate) fn told_by(row: &OutboxRow) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Announced {
            event: String,
            context: Context,
        }
        #[derive(serde::Deserialize)]
        struct Context {
            personas: Personas,
        }
        #[derive(serde::Deserialize)]
        struct Personas {
            computation_id: String,
            computation_key: AudienceName,
        }
        // A source of that name cannot be declared.
        if row.source.as_str() != OFFICE {
            return None;
        }
        let announced: Announced = serde_json::from_str(&row.json).ok()?;
        let is_member = announced.event == ENTERED;
        let Personas { computation_id, computation_key } = announced.context.personas;
        let id = computation_id.parse().ok()?;
        (is_member || announced.event == EXITED)
            .then_some(Self { audience: (id, computation_key), is_member })
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}
