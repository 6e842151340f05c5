//! Deliveries for this crate's tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use tessera_model::{
    AudienceId, AudienceName, DestinationName, Document, PurposeName, Rules, SourceName, Timestamp, Workspace,
};
use tessera_policy::{Act, Permitted, decide};

use crate::{Context, Delivery, Exit, Forget, ForgetKind, Names};

pub(crate) const NOW: &str = "2024-05-01T12:00:00Z";

pub(crate) fn context(folder: &Path) -> Context {
    Context {
        destination: DestinationName::parse("orders").unwrap(),
        folder: folder.to_owned(),
        now: Arc::new(|| Timestamp::parse(NOW).unwrap()),
    }
}

pub(crate) fn permitted<T>(value: T) -> Permitted<T> {
    let service = r#"{"kind":"Purpose","name":"service","basis":"contract"}"#;
    let documents: Vec<Document> = vec![serde_json::from_str(service).unwrap()];
    let rules = Rules::new(1, Workspace::new(documents).unwrap()).unwrap();
    let purpose = rules.purposes.iter().next().unwrap();
    let now = Timestamp::parse(NOW).unwrap();
    let permit = decide(purpose, Act::Use, [], now).unwrap();
    permit.seal(value, [purpose.id].into_iter().collect(), now).unwrap()
}

/// A request of Ada, whose profile is the one of [`delivery`].
pub(crate) fn notice(kind: ForgetKind) -> Forget {
    Forget {
        request: "r-1".to_owned(),
        regulation: "gdpr".to_owned(),
        kind,
        profiles: BTreeSet::from(["00112233445566778899aabbccddeeff".to_owned()]),
        message_ids: BTreeSet::new(),
        names: Names::new(|event| event.to_lowercase().contains("\"ada@example.com\"")),
    }
}

/// That the person of [`delivery`] left the audience `readers`.
pub(crate) fn exit(position: u64) -> Exit {
    let (name, purpose) = (AudienceName::parse("readers").unwrap(), PurposeName::parse("news").unwrap());
    let (id, at) = (AudienceId::of(&name, &purpose), Timestamp::parse(NOW).unwrap());
    let profile = delivery(position).profile;
    Exit::new((id, &name), profile, (format!("audience-{position}"), at), (position, 0)).unwrap()
}

/// The delivery at `position`, which arrived `position` seconds after some start.
pub(crate) fn delivery(position: u64) -> Delivery {
    let at = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(position).unwrap() * 1000);
    Delivery {
        message_id: format!("m-{position}"),
        profile: "00112233445566778899aabbccddeeff".to_owned(),
        source: SourceName::parse("web").unwrap(),
        call: "track".to_owned(),
        at,
        received_at: at,
        position,
        index: 0,
        replay: false,
        json: r#"{"type":"track","event":"Order Completed","userId":"ada@example.com"}"#.to_owned(),
    }
}

pub(crate) fn batch(positions: impl IntoIterator<Item = u64>) -> Vec<Permitted<Delivery>> {
    positions.into_iter().map(|position| permitted(delivery(position))).collect()
}

/// The settings in `value`, an object.
pub(crate) fn config(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// A case of a connector: what Tessera has, and what the destination gets.
#[derive(serde::Deserialize)]
pub(crate) struct Case {
    pub(crate) deliveries: Vec<CaseDelivery>,
    pub(crate) expected: Value,
}

/// A delivery as cases write it: `event` as JSON text, to show that its layout is kept.
#[derive(serde::Deserialize)]
pub(crate) struct CaseDelivery {
    message_id: String,
    profile: String,
    source: SourceName,
    call: String,
    at: String,
    received_at: String,
    position: u64,
    index: u32,
    #[serde(default)]
    replay: bool,
    event: String,
}

impl Case {
    pub(crate) fn batch(&self) -> Vec<Permitted<Delivery>> {
        self.deliveries.iter().map(CaseDelivery::permitted).collect()
    }
}

impl CaseDelivery {
    fn permitted(&self) -> Permitted<Delivery> {
        permitted(Delivery {
            message_id: self.message_id.clone(),
            profile: self.profile.clone(),
            source: self.source.clone(),
            call: self.call.clone(),
            at: Timestamp::parse(&self.at).unwrap(),
            received_at: Timestamp::parse(&self.received_at).unwrap(),
            position: self.position,
            index: self.index,
            replay: self.replay,
            json: self.event.clone(),
        })
    }
}
