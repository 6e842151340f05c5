//! What is told of who enters or leaves an audience: a track call in the form of Segment's Engage.
//!
//! Reference: Segment, "Audience Entered" and "Audience Exited" with `context.personas`. Invariant: the message id follows
//! from whose membership of what changed and which record did it, so that a repeat is known.

use serde_json::{Value, json};
use tessera_model::{
    AudienceId, AudienceName, FragmentId, Identifier, IdentifierForm, OFFICE, PurposeName, PurposeSet,
    SourceName, Timestamp,
};
use tessera_store::{Change, Table};

use crate::PipelineError;
use crate::apply::Settings;
use crate::outbox::{OutboxRow, outbox_key};

/// What the events are called.
pub(crate) const ENTERED: &str = "Audience Entered";
pub(crate) const EXITED: &str = "Audience Exited";

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
        let message_id = self.message_id(settings);
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

    fn message_id(&self, settings: &Settings<'_>) -> String {
        let ((id, ..), (owner, _), (position, _)) = (self.audience, &self.owner, self.place);
        let parts: [&[u8]; 4] = [b"audience message", &id.0, &owner.0, &position.to_be_bytes()];
        format!("audience-{}", FragmentId(settings.key.hash128(&parts)))
    }

    fn json(&self, message_id: &str) -> Value {
        let ((id, name, _), (_, identifier)) = (self.audience, &self.owner);
        let mut event = json!({
            "type": "track",
            "event": self.name(),
            "messageId": message_id,
            "timestamp": self.at.to_string(),
            "properties": { "audience_key": name, name.as_str(): self.is_member },
        });
        let mut context = json!({ "personas": {
            "computation_class": "audience",
            "computation_id": id.to_string(),
            "computation_key": name,
            "namespace": OFFICE,
            "space_id": OFFICE,
        } });
        let value = json!(identifier.value());
        match (identifier.namespace().as_str(), identifier.form()) {
            ("user_id", IdentifierForm::Exact) => put(&mut event, "userId", value),
            ("anonymous_id", IdentifierForm::Exact) => put(&mut event, "anonymousId", value),
            (namespace, form) => {
                let encoding = if form == IdentifierForm::Hashed { "sha256" } else { "none" };
                let id =
                    json!({ "id": value, "type": namespace, "collection": "users", "encoding": encoding });
                put(&mut context, "externalIds", json!([id]));
            }
        }
        put(&mut event, "context", context);
        event
    }
}

/// Whether a row tells that somebody left an audience.
pub(crate) fn is_exit(row: &OutboxRow) -> bool {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        event: std::borrow::Cow<'a, str>,
    }
    // A source of that name cannot be declared.
    row.source.as_str() == OFFICE
        && serde_json::from_str::<Named<'_>>(&row.json).is_ok_and(|named| named.event == EXITED)
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}
