//! The thread that compares what comes with what tracking plans expect, raises alerts, and tells destinations of them.
//!
//! Not a judge: what is unexpected is decided by `tessera_contract::surprises`, a function of plan, observations and time.
//! Invariants: every alert is an order in the log, so a restart forgets none; the same surprise is one alert; a destination is told until it
//! has answered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use tessera_connect::{Context, Outcome, connector};
use tessera_contract::{Contract, EventSeen, Surprise, surprises};
use tessera_model::{DestinationDocument, DestinationName, Operation, Rules, SourceName, Timestamp};
use tessera_store::{Clock, Store};

use crate::{Alert, AlertState, PipelineError, load_alerts, load_seen};

/// How long a failed pass, or a destination that did not answer, is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// What is older is no news to a destination.
const TOLD_WITHIN_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The thread's handle.
#[derive(Debug, Default)]
pub struct Watching {
    is_stopping: Mutex<bool>,
    moved: Condvar,
}

impl Watching {
    /// Tells the thread to stop after what it is at.
    pub fn stop(&self) {
        *self.is_stopping.lock() = true;
        self.moved.notify_all();
    }

    /// Waits. `false`: the thread is to stop.
    fn wait(&self, pause: Duration) -> bool {
        let mut is_stopping = self.is_stopping.lock();
        if !*is_stopping {
            self.moved.wait_for(&mut is_stopping, pause);
        }
        !*is_stopping
    }
}

/// What the thread needs.
pub struct Watchman<S> {
    /// Observations and alerts.
    pub store: Arc<S>,
    /// The plans.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Appends an order and waits until the pipeline has processed it.
    pub order: Box<dyn Fn(Operation) -> Result<(), String> + Send>,
    /// The data folder.
    pub folder: PathBuf,
    /// How long between looks.
    pub every: Duration,
}

/// What changes of the alerts, given what is unexpected now: raised, told anew, or over.
#[must_use]
pub fn reconcile(known: &[Alert], now_unexpected: Vec<(String, Surprise)>, now: Timestamp) -> Vec<Alert> {
    let mut changed = Vec::new();
    let mut current: BTreeMap<String, (String, Surprise)> = BTreeMap::new();
    for (plan, surprise) in now_unexpected {
        current.insert(id_of(&plan, &surprise), (plan, surprise));
    }
    for alert in known {
        match current.remove(&alert.id) {
            // The counts in its words move on; it is the same alert.
            Some(_) if alert.state != AlertState::Resolved => {}
            Some((plan, surprise)) => changed.push(raised(alert.id.clone(), plan, surprise, now)),
            None if alert.state == AlertState::Resolved => {}
            None => {
                let told = BTreeSet::new();
                let over =
                    Alert { state: AlertState::Resolved, resolved_at: Some(now), told, ..alert.clone() };
                changed.push(over);
            }
        }
    }
    changed.extend(current.into_iter().map(|(id, (plan, surprise))| raised(id, plan, surprise, now)));
    changed
}

fn raised(id: String, plan: String, surprise: Surprise, now: Timestamp) -> Alert {
    Alert {
        id,
        plan,
        surprise,
        state: AlertState::Open,
        raised_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        told: BTreeSet::new(),
    }
}

/// The same for the same matter, whatever the counts.
fn id_of(plan: &str, surprise: &Surprise) -> String {
    let Surprise { source, event, kind, subject, .. } = surprise;
    let mut hasher = blake3::Hasher::new();
    for part in [plan, source, event, kind.as_str(), subject] {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    format!("{}-{}", kind.as_str(), hash.get(..10).unwrap_or_default())
}

impl<S: Store> Watchman<S> {
    /// Works until it is told to stop.
    pub fn run(self, handle: &Watching) {
        let mut pause = self.every;
        while handle.wait(pause) {
            pause = match self.look() {
                Ok(true) => self.every,
                Ok(false) => self.every.max(PAUSE),
                Err(error) => {
                    tracing::error!("alerts cannot be looked after: {error}");
                    self.every.max(PAUSE)
                }
            };
        }
    }

    /// One look. `false`: a destination did not answer.
    fn look(&self) -> Result<bool, String> {
        let text = |error: PipelineError| error.to_string();
        let rules = self.rules.load_full();
        let known = load_alerts(self.store.as_ref()).map_err(text)?;
        if rules.plans().next().is_none() && known.is_empty() {
            return Ok(true);
        }
        let seen = load_seen(self.store.as_ref()).map_err(text)?;
        let now = self.clock.now();
        for alert in reconcile(&known, unexpected(&rules, &seen, now), now) {
            let Surprise { source, event, kind, subject, what } = &alert.surprise;
            let (plan, kind) = (&alert.plan, kind.as_str());
            match alert.state {
                AlertState::Resolved => {
                    tracing::info!(plan, source, event, kind, subject, "an alert is over");
                }
                AlertState::Open | AlertState::Acknowledged => {
                    tracing::warn!(plan, source, event, kind, subject, "an alert was raised: {what}");
                }
            }
            self.put(&alert)?;
        }
        self.tell(&rules)
    }

    fn put(&self, alert: &Alert) -> Result<(), String> {
        let id = alert.id.clone();
        let alert = serde_json::to_value(alert).map_err(|error| error.to_string())?;
        (self.order)(Operation::PutAlert { id, alert })
    }

    /// Tells each destination of what it does not know yet.
    fn tell(&self, rules: &Rules) -> Result<bool, String> {
        let to: Vec<&DestinationDocument> = rules.destinations().filter(|one| one.alerts).collect();
        if to.is_empty() {
            return Ok(true);
        }
        let mut is_told = true;
        for alert in load_alerts(self.store.as_ref()).map_err(|error| error.to_string())? {
            let moment = alert.resolved_at.unwrap_or(alert.raised_at);
            let is_old = self.clock.now().millis_since(moment) > TOLD_WITHIN_MILLIS;
            if alert.state == AlertState::Acknowledged || is_old {
                continue;
            }
            let mut told = alert.told.clone();
            for destination in to.iter().filter(|one| !alert.told.contains(&one.name)) {
                if self.tell_one(destination, &alert) {
                    told.insert(destination.name.clone());
                } else {
                    is_told = false;
                }
            }
            if told != alert.told {
                self.put(&Alert { told, ..alert })?;
            }
        }
        Ok(is_told)
    }

    /// `false`: to be tried again.
    fn tell_one(&self, document: &DestinationDocument, alert: &Alert) -> bool {
        let name: &DestinationName = &document.name;
        let clock = Arc::clone(&self.clock);
        let context = Context {
            destination: name.clone(),
            folder: self.folder.clone(),
            now: Arc::new(move || clock.now()),
        };
        let opened =
            connector(&document.connector).and_then(|one| (one.open)(&context, &document.config).ok());
        let Some(mut destination) = opened else { return true };
        let told = Alert { told: BTreeSet::new(), ..alert.clone() };
        let Ok(told) = serde_json::to_value(told) else { return true };
        let moment = alert.resolved_at.unwrap_or(alert.raised_at).as_millis();
        match destination.alert(&told, &format!("{} {moment}", alert.id)) {
            Outcome::Delivered => true,
            Outcome::Retry { reason, .. } => {
                tracing::warn!(destination = %name, "an alert could not be passed on, and will be tried again: {reason}");
                false
            }
            Outcome::Refused { reason } => {
                tracing::error!(destination = %name, "an alert was refused: {reason}");
                true
            }
        }
    }
}

/// What is unexpected, by plan.
fn unexpected(rules: &Rules, seen: &[EventSeen], now: Timestamp) -> Vec<(String, Surprise)> {
    let mut found = Vec::new();
    for plan in rules.plans() {
        let contract_of = |name: &String| {
            let source = SourceName::parse(name).ok()?;
            rules.source(&source)?.contract.clone().map(|contract| (name.clone(), contract))
        };
        let contracts: Vec<(String, Arc<Contract>)> = plan.sources.iter().filter_map(contract_of).collect();
        let contracts: Vec<(&str, &Contract)> =
            contracts.iter().map(|(name, contract)| (name.as_str(), contract.as_ref())).collect();
        let surprised = surprises(plan, &contracts, seen, now.as_millis());
        found.extend(surprised.into_iter().map(|surprise| (plan.name.clone(), surprise)));
    }
    found
}

#[cfg(test)]
mod tests {
    use tessera_contract::AlertKind;

    use super::*;

    fn surprise(event: &str, what: &str) -> (String, Surprise) {
        let (source, subject, what) = ("web".to_owned(), String::new(), what.to_owned());
        (
            "shop".to_owned(),
            Surprise { source, event: event.to_owned(), kind: AlertKind::Volume, subject, what },
        )
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_same_surprise_is_one_alert_until_it_is_over_and_then_another() {
        let raised = reconcile(&[], vec![surprise("A", "3 events"), surprise("B", "4 events")], at(1));
        assert_eq!(raised.iter().map(|alert| alert.state).collect::<Vec<_>>(), [AlertState::Open; 2]);
        // Its counts move on, and somebody has seen to it.
        let acknowledged: Vec<Alert> =
            raised.iter().map(|alert| Alert { state: AlertState::Acknowledged, ..alert.clone() }).collect();
        let same = vec![surprise("A", "5 events"), surprise("B", "6 events")];
        assert!(reconcile(&acknowledged, same, at(2)).is_empty());
        let over = reconcile(&acknowledged, vec![surprise("B", "6 events")], at(3));
        let states: Vec<_> = over.iter().map(|alert| (alert.state, alert.resolved_at)).collect();
        assert_eq!(states, [(AlertState::Resolved, Some(at(3)))]);
        assert!(reconcile(&over, Vec::new(), at(4)).is_empty(), "what is over stays so");
        let again = reconcile(&over, vec![surprise("A", "3 events")], at(5));
        let [again] = again.as_slice() else { panic!("{again:?}") };
        assert_eq!((again.state, again.raised_at, &again.id), (AlertState::Open, at(5), &over[0].id));
    }
}
