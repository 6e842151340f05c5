//! load -> apply -> commit, one batch at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use tessera_model::{
    Document, Event, FragmentId, HashKey, Operation, PurposeRegister, Record, Rules, Timestamp, Workspace,
};
use tessera_store::{Change, Clock, Log, Position, Store, StoreError, Value};

use crate::apply::{Application, Settings};
use crate::audience::{
    Began, Belonging, Catalogue, Following, Timers, Turning, catalogue_key, changed_accounts, load_catalogue,
    turn,
};
use crate::contracts;
use crate::groups::{self, Before};
use crate::lake;
use crate::matching::{Compared, Touched, model_key};
use crate::prepare::{Prepared, prepare};
use crate::routes::Route;
use crate::rows;
use crate::totals::load_totals;
use crate::view::{View, workspace_key};
use crate::{Item, Notice, PipelineError, PipelineMetrics, RejectId, Stage};

/// How a pipeline works.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// Most events in one commit.
    pub batch_events_max: usize,
    /// Most log bytes read at once when catching up.
    pub read_bytes_max: usize,
    /// How long a message id is remembered, in milliseconds. 72 h unless set.
    pub dedup_window_millis: i64,
    /// The lake has everything before this place of the log and is to get what is kept from there on. `None`: there is
    /// no lake.
    pub lake_from: Option<Position>,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            batch_events_max: 2_000,
            read_bytes_max: 4 * 1024 * 1024,
            dedup_window_millis: 72 * 60 * 60 * 1000,
            lake_from: None,
        }
    }
}

type Watch = Box<dyn FnMut(&[Notice]) + Send>;

/// The order to apply a workspace, with its documents sealed.
///
/// # Errors
/// [`PipelineError`] when they have no JSON form.
pub fn sealed_apply(key: &HashKey, documents: &[Document]) -> Result<Operation, PipelineError> {
    let sealed = rows::seal(key, &documents)?;
    Ok(Operation::ApplySealed { documents: base64::engine::general_purpose::STANDARD.encode(sealed) })
}

/// Takes log records in order and brings the store up to them.
///
/// So often rows are loaded again when another node was faster. A row that is not what others say it was conflicts each time: the
/// store is damaged, and trying for ever would hide it.
const CONFLICTS_MAX: u32 = 1_000;

/// Not `Sync`: one pipeline per store folder (or per partition).
pub struct Pipeline<L, S> {
    log: Arc<L>,
    store: Arc<S>,
    key: HashKey,
    clock: Arc<dyn Clock>,
    options: PipelineOptions,
    metrics: Arc<PipelineMetrics>,
    rules: Arc<ArcSwap<Rules>>,
    routes: Vec<Route>,
    following: Following,
    timers_from: Option<Timestamp>,
    position: Position,
    watch: Option<Watch>,
    touched: Option<Arc<Touched>>,
    compared: Compared,
    is_watched: Box<dyn Fn() -> bool + Send>,
}

/// Sealed in the store: documents hold write keys and secrets.
#[derive(Serialize, Deserialize)]
struct StoredWorkspace {
    version: u64,
    documents: Vec<Document>,
    purposes: PurposeRegister,
}

/// The workspace that the store holds, compiled; an empty one when none was ever applied.
///
/// # Errors
/// [`PipelineError::Stored`] when it cannot be read.
pub fn load_rules(store: &impl Store, key: &HashKey) -> Result<Rules, PipelineError> {
    let stored = store.load(&[workspace_key()])?.into_iter().next().flatten();
    let bad = |why: String| PipelineError::Stored { what: "workspace", why };
    let StoredWorkspace { version, documents, purposes } = match stored {
        None => StoredWorkspace { version: 0, documents: Vec::new(), purposes: PurposeRegister::default() },
        Some(bytes) => rows::open(key, &bytes)?,
    };
    let first =
        |problems: Vec<tessera_model::Problem>| problems.first().map(ToString::to_string).unwrap_or_default();
    let workspace = Workspace::new(documents).map_err(|problems| bad(first(problems)))?;
    Rules::restore(version, workspace, &purposes, Timestamp::MIN).map_err(|problems| bad(first(problems)))
}

impl<L: Log, S: Store> Pipeline<L, S> {
    /// A pipeline that goes on where the store stands.
    ///
    /// # Errors
    /// [`PipelineError::Stored`] when the stored workspace cannot be read.
    pub fn open(
        log: Arc<L>,
        store: Arc<S>,
        key: HashKey,
        clock: Arc<dyn Clock>,
        options: PipelineOptions,
    ) -> Result<Self, PipelineError> {
        let rules = load_rules(store.as_ref(), &key)?;
        let routes = Route::all(&rules);
        let following = Following::of(&rules, load_catalogue(store.as_ref())?);
        let (position, compared) = (store.position(), Compared::of(&rules));
        Ok(Self {
            log,
            store,
            key,
            clock,
            options,
            metrics: Arc::new(PipelineMetrics::default()),
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            routes,
            following,
            timers_from: None,
            position,
            watch: None,
            touched: None,
            compared,
            is_watched: Box::new(|| false),
        })
    }

    /// The rules in force, shared: they change when a workspace is applied.
    #[must_use]
    pub fn rules(&self) -> Arc<ArcSwap<Rules>> {
        Arc::clone(&self.rules)
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> Arc<PipelineMetrics> {
        Arc::clone(&self.metrics)
    }

    /// The log position up to which the store is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Lets `watch` see what happens, after it is committed, while `is_watched` says that somebody looks.
    pub fn watch(
        &mut self,
        is_watched: impl Fn() -> bool + Send + 'static,
        watch: impl FnMut(&[Notice]) + Send + 'static,
    ) {
        self.is_watched = Box::new(is_watched);
        self.watch = Some(Box::new(watch));
    }

    /// Tells `touched`, after each commit, of people who may have changed in what matchers compare.
    pub fn follow(&mut self, touched: Arc<Touched>) {
        self.touched = Some(touched);
    }

    /// Reads on in the log, up to `upto` at most, and processes what is there. Returns how many records.
    ///
    /// # Errors
    /// [`PipelineError`]; what was committed before it stays.
    pub fn step(&mut self, upto: Position) -> Result<usize, PipelineError> {
        if self.position >= upto {
            return Ok(0);
        }
        let entries = self.log.read(self.position, self.options.read_bytes_max)?;
        let entries = entries.iter().take_while(|entry| entry.position < upto);
        let items: Vec<Item> = entries.map(Item::from_entry).collect::<Result<_, _>>()?;
        let count = items.len();
        self.process(items)?;
        Ok(count)
    }

    /// Processes everything that the log holds.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn catch_up(&mut self) -> Result<(), PipelineError> {
        let end = self.log.bounds().end;
        while self.step(end)? > 0 {}
        Ok(())
    }

    /// Processes records that follow each other in the log; those before the pipeline's position are skipped.
    ///
    /// # Errors
    /// [`PipelineError`]; what was committed before it stays.
    pub fn process(&mut self, items: Vec<Item>) -> Result<(), PipelineError> {
        let mut batch: Vec<Item> = Vec::new();
        let mut events = 0;
        for item in items {
            if item.position < self.position {
                continue;
            }
            if matches!(item.record, Record::Operation { .. }) {
                self.flush(&mut batch, &mut events)?;
                self.operate(&item)?;
                continue;
            }
            events += item.len();
            batch.push(item);
            if events >= self.options.batch_events_max {
                self.flush(&mut batch, &mut events)?;
            }
        }
        self.flush(&mut batch, &mut events)
    }

    fn flush(&mut self, batch: &mut Vec<Item>, events: &mut usize) -> Result<(), PipelineError> {
        let mut items = std::mem::take(batch);
        *events = 0;
        let Some(next) = items.last().map(|item| item.next) else { return Ok(()) };
        let rules = self.rules.load_full();
        self.timed(Stage::Parse, |this| items.iter_mut().for_each(|item| item.parse(&rules, &this.key)));
        let count: usize = items.iter().map(Item::len).sum();
        let mut conflicts = 0;
        loop {
            match self.try_batch(&rules, &items, next) {
                // Another node was faster with one of the rows: load again.
                Err(PipelineError::Store(StoreError::Conflict { .. })) if conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    self.metrics.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                other => {
                    self.metrics.events.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
                    return other;
                }
            }
        }
    }

    fn try_batch(&mut self, rules: &Rules, items: &[Item], next: Position) -> Result<(), PipelineError> {
        let view = self.timed(Stage::Load, |this| {
            let mut view = View::load(this.store.as_ref(), events(items), &this.key)?;
            if this.following.compiled.asks_of_accounts() {
                view.load_accounts(this.store.as_ref())?;
            }
            Ok::<_, PipelineError>(view)
        })?;
        let settings = self.settings(rules, &self.following);
        let start = self.clock.monotonic_nanos();
        let grouped = Before::of(&view, rules, &self.key);
        let (timers, belonging) = (Timers::of(&view), Belonging::of(&view));
        let mut application = Application::new(&settings, view);
        for item in items {
            application.item(item)?;
        }
        let Application { view, mut puts, notices, mut regrouped, kept, sizes, described, .. } = application;
        puts.extend(grouped.changes(self.store.as_ref(), &view, rules, &self.key)?);
        puts.extend(timers.changes(&view));
        puts.extend(sizes.changes(self.store.as_ref(), &BTreeSet::new())?);
        puts.extend(belonging.changes(self.store.as_ref(), &view, &described)?);
        puts.extend(lake::feed(kept, next)?);
        self.metrics.add(Stage::Apply, self.clock.monotonic_nanos().saturating_sub(start));
        self.timed(Stage::Commit, |this| this.commit(view, puts, next))?;
        if self.compared.is_any() {
            let changing = events(items).filter(|event| self.compared.may_change(event));
            regrouped.extend(changing.filter_map(|event| Some(event.owner()?.id)));
            self.touch(regrouped);
        }
        self.tell(&notices);
        Ok(())
    }

    /// What records are applied by.
    fn settings<'a>(&'a self, rules: &'a Rules, following: &'a Following) -> Settings<'a> {
        Settings {
            rules,
            routes: &self.routes,
            key: &self.key,
            dedup_window_millis: self.options.dedup_window_millis,
            is_watched: (self.is_watched)(),
            lake_from: self.options.lake_from,
            following,
        }
    }

    fn commit(&mut self, view: View, puts: Vec<Change>, next: Position) -> Result<(), PipelineError> {
        self.store.commit(view.into_changes(next, puts)?)?;
        self.metrics.commits.fetch_add(1, Ordering::Relaxed);
        self.position = next;
        Ok(())
    }

    fn operate(&mut self, item: &Item) -> Result<(), PipelineError> {
        let Record::Operation { at, operation } = &item.record else { return Ok(()) };
        let mut conflicts = 0;
        loop {
            match self.try_operation(item, *at, operation) {
                // A courier was faster with one of the rows: load again.
                Err(PipelineError::Store(StoreError::Conflict { .. })) if conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    self.metrics.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                other => return other,
            }
        }
    }

    fn try_operation(
        &mut self,
        item: &Item,
        at: Timestamp,
        operation: &Operation,
    ) -> Result<(), PipelineError> {
        let store = Arc::clone(&self.store);
        match operation {
            Operation::Apply { documents } => self.apply_workspace(documents, at, item.next),
            Operation::ApplySealed { documents } => {
                let sealed = base64::engine::general_purpose::STANDARD.decode(documents);
                let documents: Vec<Document> =
                    rows::open(&self.key, &sealed.map_err(|_| PipelineError::Sealed)?)?;
                self.apply_workspace(&documents, at, item.next)
            }
            Operation::CloseReject { position, index } => {
                let key = RejectId { position: *position, index: *index }.key();
                let before = self.store.load(&[key])?.into_iter().next().flatten();
                let rows = before.map(|before| Change { key, before: Some(before), after: None });
                self.commit(View::default(), rows.into_iter().collect(), item.next)
            }
            Operation::PutAccount { account } => {
                let row = rows::put(store.as_ref(), rows::account_key(&account.name), Some(account))?;
                self.commit(View::default(), vec![row], item.next)
            }
            Operation::RemoveAccount { name } => {
                let row = rows::put(store.as_ref(), rows::account_key(name), None::<&()>)?;
                self.commit(View::default(), vec![row], item.next)
            }
            Operation::PutAlert { id, alert } => {
                let row = rows::put(store.as_ref(), contracts::alert_key(id), Some(alert))?;
                self.commit(View::default(), vec![row], item.next)?;
                if let Ok(alert) = serde_json::from_value(alert.clone()) {
                    self.tell(&[Notice::Alert { alert }]);
                }
                Ok(())
            }
            Operation::PutRequest { id, request } => {
                let row = rows::put(store.as_ref(), rows::request_key(id), Some(request))?;
                self.commit(View::default(), vec![row], item.next)
            }
            Operation::PutAudit { audit } => {
                let rows = rows::put_audit(store.as_ref(), item.position.0, audit)?;
                self.commit(View::default(), rows, item.next)
            }
            Operation::PutModel { matcher, model } => {
                let row = rows::put(store.as_ref(), model_key(matcher), Some(model))?;
                self.commit(View::default(), vec![row], item.next)
            }
            Operation::Split { .. }
            | Operation::Link { .. }
            | Operation::Judge { .. }
            | Operation::PutReviews { .. }
            | Operation::Undo { .. }
            | Operation::Redo { .. }
            | Operation::Resolve { .. }
            | Operation::Reject { .. }
            | Operation::Consents { .. }
            | Operation::Rectify { .. }
            | Operation::Erase { .. }
            | Operation::LiftErasure { .. }
            | Operation::Expire { .. } => self.operate_on_rows(item, at, operation),
            Operation::Tick {} | Operation::FillAudience { .. } | Operation::AudienceFilled { .. } => {
                self.operate_on_audiences(item, at, operation)
            }
        }
    }

    fn operate_on_rows(
        &mut self,
        item: &Item,
        at: Timestamp,
        operation: &Operation,
    ) -> Result<(), PipelineError> {
        let rules = self.rules.load_full();
        let Prepared { mut view, more } =
            prepare(self.store.as_ref(), operation, (at, item.position.0), (&rules, &self.key))?;
        if self.following.compiled.asks_of_accounts() {
            view.load_accounts(self.store.as_ref())?;
        }
        let settings = self.settings(&rules, &self.following);
        let grouped = Before::of(&view, &rules, &self.key);
        let (timers, belonging) = (Timers::of(&view), Belonging::of(&view));
        let mut application = Application::new(&settings, view);
        application.operation(operation, at, item.position.0)?;
        application.ask_changed();
        application.answer(at, item.position.0)?;
        let Application { view, mut puts, notices, sizes, .. } = application;
        puts.extend(more);
        puts.extend(grouped.changes(self.store.as_ref(), &view, &rules, &self.key)?);
        puts.extend(timers.changes(&view));
        puts.extend(sizes.changes(self.store.as_ref(), &BTreeSet::new())?);
        let described = match self.following.compiled.asks_of_accounts() {
            true => changed_accounts(self.store.as_ref(), &view)?,
            false => BTreeSet::new(),
        };
        puts.extend(belonging.changes(self.store.as_ref(), &view, &described)?);
        let changed = view.changed();
        self.commit(view, puts, item.next)?;
        self.touch(changed);
        self.tell(&notices);
        Ok(())
    }

    fn operate_on_audiences(
        &mut self,
        item: &Item,
        at: Timestamp,
        operation: &Operation,
    ) -> Result<(), PipelineError> {
        let rules = self.rules.load_full();
        let (following, next) = (&self.following, item.next.0);
        let timers_from = self.timers_from;
        let turning = Turning { rules: &rules, key: &self.key, following, at, timers_from, next };
        let mut turn = turn(self.store.as_ref(), operation, turning)?;
        let view = std::mem::take(&mut turn.view);
        let settings = self.settings(&rules, following);
        let (timers, belonging) = (Timers::of(&view), Belonging::of(&view));
        let mut application = Application::new(&settings, view);
        application.turn(&turn, operation)?;
        application.answer(at, item.position.0)?;
        let Application { view, mut puts, notices, sizes, .. } = application;
        puts.extend(timers.changes(&view));
        puts.extend(sizes.changes(self.store.as_ref(), &turn.gone)?);
        puts.extend(belonging.changes(self.store.as_ref(), &view, &BTreeSet::new())?);
        puts.extend(turn.rows);
        let following = turn.catalogue.map(|catalogue| Following::of(&rules, catalogue));
        if let Some(following) = &following {
            puts.extend(self.put_catalogue(&following.catalogue)?);
        }
        self.commit(view, puts, item.next)?;
        self.timers_from = turn.quiet_until.or(self.timers_from);
        self.following = following.unwrap_or_else(|| std::mem::take(&mut self.following));
        self.tell(&notices);
        Ok(())
    }

    /// The change that keeps how far the audiences are, if that is another than before.
    fn put_catalogue(&self, catalogue: &Catalogue) -> Result<Option<Change>, PipelineError> {
        let change = rows::put(self.store.as_ref(), catalogue_key(), Some(catalogue))?;
        Ok((change.before != change.after).then_some(change))
    }

    fn apply_workspace(
        &mut self,
        documents: &[Document],
        at: Timestamp,
        next: Position,
    ) -> Result<(), PipelineError> {
        // Checked before it was appended; a workspace that no longer compiles is skipped, here and in every replay.
        let compiled = Workspace::new(documents.iter().cloned()).and_then(|w| self.rules.load().next(w, at));
        let Ok(rules) = compiled else { return self.commit(View::default(), Vec::new(), next) };
        groups::regroup(self.store.as_ref(), &self.rules.load(), &rules, &self.key)?;
        let stored = StoredWorkspace {
            version: rules.version,
            documents: rules.workspace.documents().cloned().collect(),
            purposes: rules.purposes.register().clone(),
        };
        let after: Value = rows::seal(&self.key, &stored)?.into();
        let before = self.store.load(&[workspace_key()])?.into_iter().next().flatten();
        let change = Change { key: workspace_key(), before, after: Some(after) };
        let began = Began { position: next.0, is_first: load_totals(self.store.as_ref())?.accepted == 0 };
        let is_changed = matters(&self.rules.load().workspace).ne(matters(&rules.workspace));
        let following = Following::of(&rules, self.following.next(&rules, began, is_changed));
        let catalogue = self.put_catalogue(&following.catalogue)?;
        self.commit(View::default(), std::iter::once(change).chain(catalogue).collect(), next)?;
        (self.routes, self.compared) = (Route::all(&rules), Compared::of(&rules));
        self.following = following;
        self.rules.store(Arc::new(rules));
        self.tell(&[Notice::Applied { documents: documents.len() }]);
        Ok(())
    }

    fn touch(&self, ids: Vec<FragmentId>) {
        if let Some(touched) = self.touched.as_ref().filter(|_| self.compared.is_any() && !ids.is_empty()) {
            touched.add(ids);
        }
    }

    fn tell(&mut self, notices: &[Notice]) {
        if let (false, Some(watch)) = (notices.is_empty(), &mut self.watch) {
            watch(notices);
        }
    }

    fn timed<T>(&mut self, stage: Stage, work: impl FnOnce(&mut Self) -> T) -> T {
        let start = self.clock.monotonic_nanos();
        let done = work(self);
        self.metrics.add(stage, self.clock.monotonic_nanos().saturating_sub(start));
        done
    }
}

/// The documents that may make other people members.
fn matters(workspace: &Workspace) -> impl Iterator<Item = &Document> {
    workspace.documents().filter(|document| !matches!(document, Document::Destination(_)))
}

fn events(items: &[Item]) -> impl Iterator<Item = &Event> + Clone {
    items
        .iter()
        .filter_map(|item| item.parsed.as_ref())
        .filter_map(|(_, parsed)| parsed.as_ref().ok())
        .flatten()
        .filter_map(|event| event.as_ref().ok())
}
