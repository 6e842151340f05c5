//! The latest events of a profile, as far as its reader may see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use tessera_model::{PurposeName, Record, Rules};
use tessera_pipeline::{as_planned, read_events};
use tessera_policy::{Labels, Screen, Screened};
use tessera_profile::{Profile, Shown};
use tessera_store::{Log, Store};

use super::profile_answer::EventAnswer;
use crate::access::Viewer;
use crate::error::ApiError;
use crate::shared::App;

/// The events of `profile` that the log still has, newest first. What is shown of their payloads is added to `shown`.
pub(super) fn events<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    viewer: &Viewer,
    profile: &Profile,
    shown: &mut Shown,
) -> Result<Vec<EventAnswer>, ApiError> {
    let mut places: Vec<_> = profile.recent.iter().copied().zip(&profile.recent_purposes).collect();
    places.sort_by_key(|(place, _)| std::cmp::Reverse((place.at, place.position, place.index)));
    let wanted: Vec<_> = places.iter().map(|(place, _)| *place).collect();
    let mut screens = Screens { labels: app.labels(rules), rules, viewer, made: BTreeMap::new() };
    let mut answers = Vec::new();
    for (place, record, event) in read_events(app.parts.log.as_ref(), &wanted)? {
        let event = as_planned(rules, &app.parts.key, &record, place.index, event);
        let Record::Ingest { source, received_at, .. } = record else { continue };
        let purposes = places.iter().find(|(known, _)| *known == place).map(|(_, purposes)| *purposes);
        // Free text may name a person wherever it stands.
        let screened = match viewer.sees_identifiers() {
            true => screens.screen(purposes.map_or(&[][..], Vec::as_slice), event.get()),
            false => None,
        };
        let (event, withheld) = match screened {
            Some(Screened { json, fields, withheld }) => {
                shown.fields.extend(fields);
                let event = RawValue::from_string(json.into_owned()).map_err(|_| ApiError::Internal)?;
                (Some(event), withheld.into_iter().map(|(field, _)| field).collect())
            }
            None => (None, Vec::new()),
        };
        answers.push(EventAnswer {
            at: place.at.to_string(),
            received_at: received_at.to_string(),
            source,
            event,
            withheld,
        });
    }
    Ok(answers)
}

/// What may be seen for each purpose.
struct Screens<'a> {
    labels: Arc<Labels>,
    rules: &'a Rules,
    viewer: &'a Viewer,
    made: BTreeMap<PurposeName, Screen>,
}

impl Screens<'_> {
    /// What may be seen of an event that these purposes permit: by the one that permits most.
    fn screen<'t>(&mut self, purposes: &[PurposeName], json: &'t str) -> Option<Screened<'t>> {
        let mut best: Option<Screened<'t>> = None;
        for name in purposes {
            let Some(purpose) = self.rules.purposes.get(name) else { continue };
            let make = || Screen::for_reader(&self.labels, purpose, self.viewer.hidden());
            let screened = self.made.entry(name.clone()).or_insert_with(make).screen(json);
            if best.as_ref().is_none_or(|best| screened.withheld.len() < best.withheld.len()) {
                best = Some(screened);
            }
        }
        best
    }
}
