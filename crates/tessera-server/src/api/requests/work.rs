//! What is still to be done about requests after they were answered: erasures that end, recipients that answer, calls
//! back.
//!
//! One task looks at the requests that need it, a few times a second. Invariant: what is to be done is read from the store,
//! so that it is done after a restart too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tessera_evidence::{Entry, Filter, Kind, NoticeStatus};
use tessera_model::DestinationName;
use tessera_pipeline::{fragments_of, load_requests, pending_erasures};
use tessera_rights::{Action, Actor, DenialReason, RequestType, Status, SubjectRequestId, Told};
use tessera_store::{Log, Store};
use tokio::runtime::Handle;

use super::calendar;
use super::callback::{Called, TRIES_MAX, call};
use super::stored::Stored;
use crate::error::ApiError;
use crate::shared::{App, Shared, blocking};

const TICK: Duration = Duration::from_millis(200);
/// The connector whose destinations write files in the data folder.
const FILES: &str = "jsonl";
const FIRST_PAUSE_NANOS: u64 = 2_000_000_000;

/// How far the looking after a request is. Lost with a restart, which only means that something is looked at again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Care {
    /// The ledger was searched up to here for what recipients answered.
    searched: u64,
    /// Failed calls by address: how many, and not to be tried before this.
    calls: BTreeMap<String, (u32, u64)>,
}

/// Starts the task; it ends with the server. Outside of a runtime there is none.
pub(crate) fn start<L: Log, S: Store>(app: &App<L, S>) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(run(Arc::downgrade(app)));
    }
}

async fn run<L: Log, S: Store>(app: Weak<Shared<L, S>>) {
    let (mut is_loaded, mut last_ended) = (false, None);
    loop {
        tokio::time::sleep(TICK).await;
        let Some(app) = app.upgrade() else { return };
        if !is_loaded {
            let shared = Arc::clone(&app);
            let loaded = blocking(move || {
                let stored = load_requests::<Stored>(shared.parts.store.as_ref())?;
                stored.iter().for_each(|stored| shared.look_after(stored));
                Ok(())
            });
            match loaded.await {
                Ok(()) => is_loaded = true,
                Err(error) => tracing::error!(code = error.code(), "cannot read the requests: {error}"),
            }
        }
        // Housekeeping erases by itself what a backup brought back.
        let ended = app.parts.housekeeping.status().last_erasure.map(|finished| finished.requests);
        if ended != last_ended {
            let _one = app.requests.lock().await;
            match app.reload_erased().await {
                Ok(()) => last_ended = ended,
                Err(error) => tracing::error!(code = error.code(), "cannot read who was erased: {error}"),
            }
        }
        let ids: Vec<SubjectRequestId> = app.cares.lock().keys().copied().collect();
        for id in ids {
            if let Err(error) = app.attend(id).await {
                tracing::warn!(code = error.code(), request = %id, "a request must wait: {error}");
            }
        }
    }
}

impl Stored {
    /// Whether an erasure that was ordered has not ended.
    fn is_ending(&self) -> bool {
        self.is_erasing && self.request.status() == Status::InProgress
    }

    /// The recipients that are told by themselves and have not answered.
    fn silent(&self) -> BTreeSet<DestinationName> {
        let is_erasure = self.request.opening().request_type == RequestType::Erasure;
        let told = self.request.recipients().into_iter().filter(|_| is_erasure);
        told.filter(|(_, told)| **told == Told::Pending).map(|(destination, _)| destination.clone()).collect()
    }
}

impl<L: Log, S: Store> Shared<L, S> {
    /// Has a request looked after for as long as that is needed.
    pub(crate) fn look_after(&self, stored: &Stored) {
        if stored.is_ending() || !stored.silent().is_empty() || !stored.due_callbacks().is_empty() {
            self.cares.lock().entry(stored.id()).or_default();
        } else {
            self.cares.lock().remove(&stored.id());
        }
    }

    async fn attend(self: &Arc<Self>, id: SubjectRequestId) -> Result<(), ApiError> {
        let mut stored = self.load_request(id).await?;
        if !stored.silent().is_empty() {
            self.hear(&stored).await?;
            stored = self.load_request(id).await?;
        }
        if stored.is_ending() && !self.keeps_a_file(&stored) && self.has_ended(&stored).await? {
            let mut except = stored.except.clone();
            if self.spares(id).await? {
                except.insert(DenialReason::LegalObligation);
            }
            let complete = Action::Complete { except };
            stored = self.take_steps(id, vec![(Actor::System, complete)]).await?;
        }
        for url in stored.due_callbacks() {
            self.tell_back(&stored, url).await?;
        }
        let stored = self.load_request(id).await?;
        self.look_after(&stored);
        Ok(())
    }

    /// Whether a destination that writes files of ours has not erased the person from them yet.
    fn keeps_a_file(&self, stored: &Stored) -> bool {
        let silent = stored.silent();
        let rules = self.parts.rules.load();
        rules.destinations().any(|to| to.connector == FILES && silent.contains(&to.name))
    }

    async fn has_ended(self: &Arc<Self>, stored: &Stored) -> Result<bool, ApiError> {
        if !self.is_erasure_ordered(stored).await? {
            return Ok(false);
        }
        let (app, id) = (Arc::clone(self), stored.id().to_string());
        blocking(move || {
            let is_pending = pending_erasures(app.parts.store.as_ref())?.iter().any(|row| row.request == id);
            // Housekeeping forgets it only once the end is in the ledger.
            Ok(!is_pending && !app.parts.housekeeping.status().pending.contains(&id))
        })
        .await
    }

    /// Reads in the ledger what became of telling recipients.
    async fn hear(self: &Arc<Self>, stored: &Stored) -> Result<(), ApiError> {
        let (app, id) = (Arc::clone(self), stored.id());
        let (subjects, silent) = (stored.request.opening().subjects.clone(), stored.silent());
        let searched = self.cares.lock().get(&id).map(|care| care.searched).unwrap_or_default();
        let head = self.parts.evidence.head().seq;
        if head <= searched {
            return Ok(());
        }
        let heard = blocking(move || {
            let mut people = BTreeSet::new();
            for subject in subjects {
                people.extend(fragments_of(app.parts.store.as_ref(), subject)?);
            }
            let filter = Filter {
                subjects: people,
                kinds: [Kind::Notice].into(),
                seqs: Some(searched + 1..=head),
                ..Filter::default()
            };
            let (mut heard, request) = (BTreeMap::new(), id.to_string());
            app.parts.evidence.read(&filter, |line| {
                if let Entry::Notice(notice) = &line.entry
                    && *notice.request == *request
                    && silent.contains(&notice.destination)
                {
                    heard.insert(notice.destination.clone(), notice.clone());
                }
                true
            })?;
            Ok(heard)
        })
        .await?;
        let told = heard.into_iter().filter_map(|(destination, notice)| {
            let why = notice.detail.unwrap_or_default();
            let told = match notice.status {
                // It will be tried again.
                NoticeStatus::Sent | NoticeStatus::Failed => return None,
                NoticeStatus::Accepted | NoticeStatus::Done => Told::Acknowledged { receipt: why },
                NoticeStatus::Refused => Told::Impossible { why: or(why, "the recipient refused") },
                NoticeStatus::Unsupported => Told::Impossible {
                    why: or(why, "it cannot be told by itself: somebody has to write to it"),
                },
            };
            Some((Actor::System, Action::TellRecipient { destination, told }))
        });
        let steps: Vec<(Actor, Action)> = told.collect();
        if !steps.is_empty() {
            self.take_steps(id, steps).await?;
        }
        if let Some(care) = self.cares.lock().get_mut(&id) {
            care.searched = head;
        }
        Ok(())
    }

    /// One try to tell a status, if it is time for one.
    async fn tell_back(self: &Arc<Self>, stored: &Stored, url: String) -> Result<(), ApiError> {
        let (id, now) = (stored.id(), self.parts.clock.monotonic_nanos());
        let Some(status) = stored.protocol_status() else { return Ok(()) };
        let known = self.cares.lock().get(&id).and_then(|care| care.calls.get(&url).copied());
        let (failed, not_before) = known.unwrap_or_default();
        if now < not_before {
            return Ok(());
        }
        let calendar = calendar(&self.parts.rules.load())?;
        let body = stored.protocol_body(&calendar, self.parts.clock.now(), Some(&url))?;
        let address = url.clone();
        let answer = blocking(move || Ok(call(&address, &body))).await?;
        let failed = failed + 1;
        if answer.is_err() && failed < TRIES_MAX {
            let pause = FIRST_PAUSE_NANOS.saturating_mul(4_u64.saturating_pow(failed - 1));
            if let Some(care) = self.cares.lock().get_mut(&id) {
                care.calls.insert(url, (failed, now.saturating_add(pause)));
            }
            return Ok(());
        }
        if let Some(care) = self.cares.lock().get_mut(&id) {
            care.calls.remove(&url);
        }
        let called = Called { at: self.parts.clock.now().to_string(), status, trouble: answer.err() };
        let _one = self.requests.lock().await;
        let mut stored = self.load_request(id).await?;
        let callbacks = stored.via.iter_mut().flat_map(|via| &mut via.callbacks);
        callbacks.filter(|callback| callback.url == url).for_each(|callback| callback.settle(called.clone()));
        self.put_request(&stored).await
    }
}

fn or(why: Box<str>, otherwise: &str) -> Box<str> {
    if why.is_empty() { otherwise.into() } else { why }
}
