//! Which events go to which destination.

use tessera_model::{DestinationName, Event, PurposeId, PurposeSet, Rules};

/// One destination's wishes, ready for the hot path.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) name: DestinationName,
    pub(crate) purpose: Option<PurposeId>,
    events: Vec<String>,
}

impl Route {
    pub(crate) fn all(rules: &Rules) -> Vec<Self> {
        rules
            .destinations()
            // Who is told of alerts gets nobody's data.
            .filter(|destination| !destination.alerts)
            .map(|destination| Self {
                name: destination.name.clone(),
                purpose: rules.purposes.get(&destination.purpose).map(|purpose| purpose.id),
                events: destination.events.clone(),
            })
            .collect()
    }

    /// Whether the destination asked for this event and its purpose covers it.
    pub(crate) fn wants(&self, event: &Event, purposes: PurposeSet) -> bool {
        self.wants_event(event.call.name(), event.name(), purposes)
    }

    /// The same, of a track call of that name.
    pub(crate) fn wants_track(&self, name: &str, purposes: PurposeSet) -> bool {
        self.wants_event("track", name, purposes)
    }

    fn wants_event(&self, call: &str, name: &str, purposes: PurposeSet) -> bool {
        let is_asked_for =
            self.events.is_empty() || self.events.iter().any(|wanted| wanted == call || wanted == name);
        is_asked_for && self.purpose.is_some_and(|purpose| purposes.contains(purpose))
    }
}
