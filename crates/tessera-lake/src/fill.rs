//! Fills new definitions from the lake: what people did before a definition came, as states that the log brings to their fragments.
//!
//! The pipeline says which features wait, and from which place of the log on it counts their events itself; this reads the events before
//! that place, each file's once for as many parts as fit memory, and orders the states part by part. A part is the fragments whose ids
//! begin with one byte, so whoever goes on after a crash goes on with the next part. Invariant: an event before the place is in one part
//! once; what is not in the lake any more, or whose fragment is gone, is in none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use datafusion::arrow::array::{Array as _, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Field, Schema};
use tessera_audience::{
    Compiled, DefinitionName, Definitions, EventView, FeatureId, FragmentState, Uses, definitions,
};
use tessera_model::{FillOrder, FragmentId, MessageId, MessageKey, Operation, PurposeSet, Rules, SourceName};
use tessera_pipeline::{FILL_PARTS, LakeFeed, PipelineError, load_catalogue, profile_of};
use tessera_store::{LakeError, Log, Store};

use crate::DeltaLake;
use crate::batch::{Bounds, Reads};
use crate::coded::{Codes, coded};
use crate::columns::{Columns, STORED, from_micros};
use crate::files::Batches;

const TICK: Duration = Duration::from_millis(100);
/// How long it rests after an error.
const REST: Duration = Duration::from_secs(5);

/// Why a filling cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The store, the log or the lake failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The log did not take a part.
    #[error("a part was not taken: {0}")]
    Order(String),
    /// The definitions cannot be used.
    #[error("the definitions in force cannot be compiled")]
    Definitions,
}

/// How it brings operations into the log.
pub type Order = Box<dyn Fn(Operation) -> Result<(), String> + Send + Sync>;

/// Fills new definitions from the lake.
pub struct Filler<L, S> {
    /// The lake.
    pub lake: Arc<DeltaLake>,
    /// Brings to the lake what is still on the way.
    pub feed: Arc<LakeFeed<L, S>>,
    /// The workspace in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The way into the log.
    pub order: Order,
    /// Most states in memory at once; what is beyond waits for another reading of the lake.
    pub states_max: usize,
}

/// What was done in one turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The place of the log where the filling began.
    pub since: u64,
    /// Parts that are done by now, of [`FILL_PARTS`].
    pub parts: u64,
    /// Events that were read.
    pub events: u64,
}

/// A fragment's events that rest on one source and the same purposes.
type Owner = (FragmentId, SourceName, PurposeSet);
/// The states of parts.
type States = BTreeMap<u8, BTreeMap<Owner, FragmentState>>;

/// What a turn fills.
struct Plan {
    compiled: Compiled,
    since: u64,
    features: BTreeSet<FeatureId>,
    wanted: Reads,
}

impl<L: Log, S: Store> Filler<L, S> {
    /// Fills what waits, until `stop`; tells `said` what each turn did, or why it failed.
    pub fn run(&self, stop: &AtomicBool, said: &dyn Fn(Result<Filled, FillError>)) {
        let mut rest = Duration::ZERO;
        while !stop.load(Ordering::SeqCst) {
            if rest.is_zero() {
                match self.turn(stop) {
                    Ok(None) => {}
                    Ok(Some(filled)) => said(Ok(filled)),
                    Err(error) => {
                        said(Err(error));
                        rest = REST;
                    }
                }
            }
            std::thread::sleep(TICK);
            rest = rest.saturating_sub(TICK);
        }
    }

    /// Reads the lake once and orders as many parts as fit. `None`: nothing waits.
    ///
    /// # Errors
    /// [`FillError`]; call it again.
    pub fn turn(&self, stop: &AtomicBool) -> Result<Option<Filled>, FillError> {
        let catalogue = load_catalogue(self.feed.store.as_ref())?;
        let Some((since, filling)) = catalogue.fillings.first_key_value() else { return Ok(None) };
        // The list of audiences is as far as the state: whatever came before is kept, and here after this.
        self.feed.flush()?;
        let plan = self.plan(*since, &filling.features)?;
        let mut filled = Filled { since: *since, parts: filling.parts, events: 0 };
        let first = u8::try_from(filling.parts).ok();
        if let Some(first) = first {
            let (states, end) = self.read(&plan, first, &mut filled.events)?;
            for part in first..=end {
                if stop.load(Ordering::SeqCst) {
                    return Ok(Some(filled));
                }
                let fragments = self.orders(&plan, states.get(&part))?;
                self.order(Operation::FillAudience { since: *since, part: part.into(), fragments })?;
                filled.parts = u64::from(part) + 1;
            }
        }
        if filled.parts >= FILL_PARTS {
            self.order(Operation::AudienceFilled { since: *since })?;
        }
        Ok(Some(filled))
    }

    fn order(&self, operation: Operation) -> Result<(), FillError> {
        (self.order)(operation).map_err(FillError::Order)
    }

    fn plan(&self, since: u64, features: &BTreeSet<FeatureId>) -> Result<Plan, FillError> {
        let definitions = definitions(&self.rules.load().workspace).map_err(|_| FillError::Definitions)?;
        let compiled =
            Compiled::new(&definitions.audiences, &definitions.traits).map_err(|_| FillError::Definitions)?;
        let now = self.feed.clock.now();
        let back = features.iter().filter_map(|id| compiled.reaches_back_to(*id, now));
        let first = back.min().map_or(i64::MAX, |at| at.as_millis());
        let names = names(&compiled, &definitions, features);
        let wanted = Reads { names, bounds: Some(Bounds { first, last: i64::MAX }) };
        Ok(Plan { compiled, since, features: features.clone(), wanted })
    }

    /// The states of the parts from `first` on, and the last part that fitted.
    fn read(&self, plan: &Plan, first: u8, events: &mut u64) -> Result<(States, u8), FillError> {
        let (mut states, mut end, mut count) = (States::new(), u8::MAX, 0_usize);
        let reading = futures::executor::block_on(self.lake.read());
        let columns = [
            "position",
            "fragment_id",
            "purposes",
            "source",
            "message_id",
            "type",
            "event",
            "timestamp",
            "received_at",
            "properties",
            "traits",
            "context",
        ];
        let fields = STORED.fields().iter().filter(|field| columns.contains(&field.name().as_str()));
        // What is compared is read as it is compared; the rest as it is used.
        let typed = |field: &Arc<Field>| match field.name().as_str() {
            "type" | "event" => coded(field),
            _ => Arc::clone(field),
        };
        let schema = Arc::new(Schema::new(fields.map(typed).collect::<Vec<_>>()));
        let bounds = plan.wanted.bounds.unwrap_or(Bounds { first: i64::MIN, last: i64::MAX });
        let files = reading.version.files.values();
        for file in
            files.filter(|file| file.positions.0 < plan.since && file.times.1.as_millis() >= bounds.first)
        {
            let rows = plan.wanted.filter();
            let batches = Batches::open_some(self.lake.table(), &file.path, Arc::clone(&schema), rows)
                .map_err(PipelineError::from)?;
            let path = batches.path().to_owned();
            for batch in batches {
                let batch = batch.map_err(PipelineError::from)?;
                let rows = Rows::of(&Columns::of(&batch, &path)).map_err(PipelineError::from)?;
                for row in 0..batch.num_rows() {
                    let part = rows.part(row);
                    if rows.position(row) >= plan.since || part < first || part > end {
                        continue;
                    }
                    *events += 1;
                    count += usize::from(rows.apply(row, &plan.compiled, states.entry(part).or_default()));
                }
                while count > self.states_max && end > first {
                    count -= states.remove(&end).map_or(0, |part| part.len());
                    end -= 1;
                }
            }
        }
        Ok((states, end))
    }

    fn orders(
        &self,
        plan: &Plan,
        states: Option<&BTreeMap<Owner, FragmentState>>,
    ) -> Result<Vec<FillOrder>, FillError> {
        let rules = self.rules.load_full();
        let mut orders = Vec::new();
        for ((fragment, source, purposes), state) in states.into_iter().flatten() {
            let mut state = state.clone();
            state.retain(|feature| plan.features.contains(&feature));
            // Who was erased is not brought up again.
            if state.is_empty() || profile_of(self.feed.store.as_ref(), *fragment)?.is_none() {
                continue;
            }
            let names = purposes.iter().filter_map(|id| rules.purposes.name(id)).cloned().collect();
            let bytes = postcard::to_stdvec(&state).map_err(|error| PipelineError::Stored {
                what: "state of a fragment",
                why: error.to_string(),
            })?;
            let state = base64::engine::general_purpose::STANDARD.encode(bytes);
            orders.push(FillOrder { fragment: *fragment, source: source.clone(), purposes: names, state });
        }
        Ok(orders)
    }
}

/// Events as the lake has them.
struct Rows<'a> {
    owners: Vec<FragmentId>,
    purposes: Vec<PurposeSet>,
    positions: &'a Int64Array,
    sources: &'a StringArray,
    messages: &'a StringArray,
    calls: Codes<'a>,
    names: Codes<'a>,
    times: [&'a TimestampMicrosecondArray; 2],
    /// Properties, traits and context.
    json: [&'a StringArray; 3],
}

impl<'a> Rows<'a> {
    fn of(columns: &Columns<'a>) -> Result<Self, LakeError> {
        Ok(Self {
            owners: columns.owners()?,
            purposes: columns.purposes()?,
            positions: columns.positions()?,
            sources: columns.texts("source")?,
            messages: columns.texts("message_id")?,
            calls: columns.codes("type")?,
            names: columns.codes("event")?,
            times: [columns.times("timestamp")?, columns.times("received_at")?],
            json: [columns.texts("properties")?, columns.texts("traits")?, columns.texts("context")?],
        })
    }

    fn part(&self, row: usize) -> u8 {
        self.owners.get(row).and_then(|owner| owner.0.first()).copied().unwrap_or_default()
    }

    fn position(&self, row: usize) -> u64 {
        u64::try_from(self.positions.value(row)).unwrap_or_default()
    }

    /// Adds an event to the state of its owner. Returns whether that is a new one.
    fn apply(&self, row: usize, compiled: &Compiled, into: &mut BTreeMap<Owner, FragmentState>) -> bool {
        let (Some(owner), Some(purposes)) = (self.owners.get(row), self.purposes.get(row)) else {
            return false;
        };
        let Ok(source) = SourceName::parse(self.sources.value(row)) else { return false };
        let Ok(message) = MessageId::parse(self.messages.value(row)) else { return false };
        let message = MessageKey::from(&message);
        let Some(call) = self.calls.text(row) else { return false };
        let [at, received_at] = self.times.map(|times| from_micros(times.value(row)));
        let [properties, traits, context] =
            self.json.map(|column| if column.is_null(row) { "null" } else { column.value(row) });
        let in_traits = matches!(call, "identify" | "group");
        let json = match in_traits {
            true => format!(r#"{{"traits":{traits},"context":{context}}}"#),
            false => format!(r#"{{"properties":{properties},"context":{context}}}"#),
        };
        let name = self.names.text(row).filter(|_| call == "track").unwrap_or(call);
        let event = EventView { name, in_traits, at, received_at, message: &message, json: &json };
        let known = into.len();
        into.entry((*owner, source, *purposes)).or_default().apply(compiled, &event);
        into.len() > known
    }
}

/// The names of the events that features ask for; `None`: any.
fn names(
    compiled: &Compiled,
    definitions: &Definitions,
    features: &BTreeSet<FeatureId>,
) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let ordinals = features.iter().flat_map(|feature| compiled.concerned_by(*feature));
    for name in ordinals.filter_map(|ordinal| compiled.name(*ordinal)) {
        let uses = match name {
            DefinitionName::Audience(name) => Uses::of_audience(definitions.audience(name)?, definitions),
            DefinitionName::ComputedTrait(name) => {
                Uses::of_trait(definitions.computed(name.as_str())?, definitions)
            }
        };
        if uses.any_event {
            return None;
        }
        names.extend(uses.events);
    }
    Some(names)
}
