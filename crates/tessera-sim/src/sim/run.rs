//! One simulated day: clients, a network, one machine, and everything that goes wrong.
//!
//! Single-threaded. Invariants run after every step; everything is compared at quiet moments, and at the end when
//! every request is acknowledged.

use std::sync::Arc;

use tessera_model::{
    Operation, ParseContext, Record, RejectCode, RequestId, SourceName, Timestamp, parse_body,
};
use tessera_pipeline::{Item, Pipeline, PipelineOptions, StateHash, next_due, state_hash};
use tessera_store::{Clock, Log, LogError, MemoryStore, Position, Retention, Store};
use tessera_store_embedded::CheckpointFault;
use tessera_store_embedded::log::sim_disk::Fault;

use super::audiences::{check_members, check_told};
use super::check::{check, check_counts, copy_of};
use super::machine::{Machine, SimLog};
use super::message::{Request, hash_key, workspace};
use super::oracle::{Load, Oracle, Sent};
use super::random::Random;
use super::stewardship;
use super::workload::Workload;
use super::{Bug, Checked, Violation, ensure};

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A client makes a request, and waits.
    Make,
    /// Some of the waiting requests arrive, in any order.
    Deliver,
    /// The pipeline goes on for a while.
    Process,
    /// The store writes a checkpoint.
    Checkpoint,
    /// The next checkpoint fails, and perhaps the machine with it.
    BreakCheckpoint(CheckpointFault),
    /// Time passes.
    Wait,
    /// Retention removes what it may.
    Cut,
    /// The machine loses power.
    Crash,
    /// One of the next operations of the log's disk goes wrong.
    BreakDisk,
    /// The log's disk is full but for a little.
    FillDisk,
    /// There is space again.
    EmptyDisk,
    /// Somebody orders something.
    Order,
    /// The pipeline catches up and everything is compared.
    Check,
}

const WEIGHTS: [(u64, Action); 14] = [
    (22, Action::Make),
    (26, Action::Deliver),
    (22, Action::Process),
    (5, Action::Checkpoint),
    (1, Action::BreakCheckpoint(CheckpointFault::BeforeDurable)),
    (1, Action::BreakCheckpoint(CheckpointFault::AfterDurable)),
    (5, Action::Wait),
    (3, Action::Cut),
    (3, Action::Crash),
    (4, Action::BreakDisk),
    (2, Action::FillDisk),
    (3, Action::EmptyDisk),
    (6, Action::Order),
    (2, Action::Check),
];

/// One simulated day on its way.
pub(crate) struct Run {
    /// Decides what happens.
    random: Random,
    /// Decides how it goes wrong.
    chance: Random,
    machine: Option<Machine>,
    pub(crate) oracle: Oracle,
    workload: Workload,
    /// Requests whose clients have no answer.
    waiting: Vec<Arc<Request>>,
    attempts: u128,
    /// The state at the oldest position from which the log can be replayed.
    base: MemoryStore,
    bug: Option<Bug>,
    /// Acknowledgements get lost, and the network repeats.
    is_lossy: bool,
    pub(crate) steps: u64,
    crashes: u64,
    trace: [u8; 16],
}

impl Run {
    /// A new day. `fault` hits at that operation of the log's disk, counted from its first start.
    pub(crate) fn new(
        seed: u64,
        chance: u64,
        bug: Option<Bug>,
        fault: Option<(u64, Fault)>,
    ) -> Checked<Self> {
        let mut chance = Random::new(chance);
        let machine = Machine::start(bug, fault, &mut chance)?;
        let mut run = Self {
            random: Random::new(seed),
            chance,
            machine: Some(machine),
            oracle: Oracle::default(),
            workload: Workload::default(),
            waiting: Vec::new(),
            attempts: 0,
            base: MemoryStore::new(),
            bug,
            is_lossy: true,
            steps: 0,
            crashes: 0,
            trace: [0; 16],
        };
        for _ in 0..10 {
            if run.oracle.is_ready() {
                return Ok(run);
            }
            let documents =
                serde_json::from_value(workspace()).map_err(Violation::of("read the workspace"))?;
            run.order(Operation::Apply { documents })?;
            run.after_step()?;
        }
        Err(Violation("the workspace cannot be applied".to_owned()))
    }

    /// One random step.
    pub(crate) fn step(&mut self) -> Checked {
        let action = self.random.weighted(&WEIGHTS).unwrap_or(Action::Make);
        self.act(action)
    }

    /// One step.
    pub(crate) fn act(&mut self, action: Action) -> Checked {
        self.steps += 1;
        match action {
            Action::Make => self.make(),
            Action::Deliver => self.deliver(),
            Action::Process => self.process(),
            Action::Checkpoint => self.checkpoint(),
            Action::BreakCheckpoint(fault) => self.break_checkpoint(fault),
            Action::Wait => {
                let millis = 1_000 * (1 + self.random.below(1_200));
                self.machine()?.clock.advance_millis(i64::try_from(millis).unwrap_or(0));
                self.tick().map(drop)
            }
            Action::Cut => self.cut(),
            Action::Crash => self.crash(),
            Action::BreakDisk => self.break_disk(),
            Action::FillDisk => {
                let room = self.random.below(3_000);
                let machine = self.machine()?;
                machine.disk.disk.set_capacity_bytes(Some(machine.log.size_bytes() + room));
                Ok(())
            }
            Action::EmptyDisk => {
                self.machine()?.disk.disk.set_capacity_bytes(None);
                Ok(())
            }
            Action::Order => self.any_order(),
            Action::Check => self.check(),
        }?;
        self.after_step()?;
        self.note(&format!("{action:?}"))
    }

    /// Everybody gets an answer at last, and everything is compared.
    pub(crate) fn settle(&mut self) -> Checked {
        self.is_lossy = false;
        self.act(Action::EmptyDisk)?;
        // Faults that are planned still may hit, but there are only so many.
        for _ in 0..1_000 {
            if self.waiting.is_empty() {
                break;
            }
            self.act(Action::Deliver)?;
        }
        self.oracle.check_nothing_waits()?;
        self.act(Action::Check)?;
        self.check_audiences()?;
        let now = self.machine()?.now();
        let store = Arc::clone(&self.machine()?.store);
        check_counts(store.as_ref(), &mut self.oracle, now)?;
        let hash = state_hash(store.as_ref()).map_err(Violation::of("hash the state"))?.0;
        self.note(&hash.to_string())
    }

    /// The state that the log comes to.
    pub(crate) fn state(&mut self) -> Checked<MemoryStore> {
        let end = self.machine()?.log.bounds().end;
        self.advance_base(end)?;
        copy_of(&self.base)
    }

    /// A hash of all that happened.
    pub(crate) fn trace(&self) -> [u8; 16] {
        self.trace
    }

    /// How often the machine lost power.
    pub(crate) fn crashes(&self) -> u64 {
        self.crashes + self.machine.as_ref().map_or(0, |machine| machine.crashes)
    }

    /// Makes the machine lose power.
    pub(crate) fn crash(&mut self) -> Checked {
        let machine =
            self.machine.take().ok_or_else(|| Violation("the machine did not come back".to_owned()))?;
        let machine = machine.crash(&mut self.chance)?;
        let entries = machine.entries()?;
        let recovered = self.oracle.recovered(machine.log.bounds().start, &entries);
        self.machine = Some(machine);
        recovered
    }

    fn machine(&mut self) -> Checked<&mut Machine> {
        self.machine.as_mut().ok_or_else(|| Violation("the machine did not come back".to_owned()))
    }

    fn after_step(&mut self) -> Checked {
        if self.machine()?.has_stopped() {
            self.crash()?;
        }
        self.machine()?.check_positions()
    }

    fn note(&mut self, what: &str) -> Checked {
        let (waiting, records) = (self.waiting.len(), self.oracle.records());
        let machine = self.machine()?;
        let (end, position) = (machine.log.bounds().end, machine.store.position());
        let line = format!("{what} {waiting} {records} {} {}", end.0, position.0);
        self.trace = hash_key().hash128(&[&self.trace, line.as_bytes()]);
        Ok(())
    }

    fn make(&mut self) -> Checked {
        let now = self.machine()?.now().as_millis();
        let request = Arc::new(self.workload.request(&mut self.random, now));
        self.oracle.made(&request);
        self.waiting.push(request);
        Ok(())
    }

    /// A group commit: some requests, one append, then the answers.
    fn deliver(&mut self) -> Checked {
        if self.is_lossy && self.random.one_in(20) {
            let at = self.random.index(1_000);
            self.waiting.extend(self.oracle.any_acknowledged(at));
        }
        self.random.shuffle(&mut self.waiting);
        let count = (1 + self.random.index(5)).min(self.waiting.len());
        let group: Vec<Arc<Request>> = self.waiting.drain(..count).collect();
        if group.is_empty() {
            return Ok(());
        }
        let received_at = self.machine()?.now();
        let mut items = Vec::new();
        for request in &group {
            self.attempts += 1;
            let source = SourceName::parse(request.source.name()).map_err(Violation::of("name a source"))?;
            let (request_id, body) = (RequestId(self.attempts), request.body.clone());
            let (entrance, gpc) = (request.entrance, false);
            let record = Record::Ingest { source, received_at, request_id, entrance, gpc, body };
            let load = Load::Request { request: Arc::clone(request), received_at: received_at.as_millis() };
            items.push((record, load));
        }
        let is_durable = self.append(items)?;
        for request in group {
            let is_told = is_durable && !(self.is_lossy && self.random.one_in(8));
            if is_durable || self.bug == Some(Bug::AcknowledgesBeforeAppend) {
                self.oracle.acknowledged(request.number);
            }
            if !is_told && self.bug != Some(Bug::AcknowledgesBeforeAppend) {
                self.waiting.push(request);
            }
        }
        Ok(())
    }

    /// Appends records at once and forwards them, as the appender does. Returns whether they are durable.
    fn append(&mut self, records: Vec<(Record, Load)>) -> Checked<bool> {
        let mut group = Vec::new();
        for (record, load) in &records {
            let bytes = record.encode().map_err(Violation::of("encode a record"))?;
            group.push(Sent { bytes: bytes.into(), load: load.clone() });
        }
        let bytes: Vec<&[u8]> = group.iter().map(|sent| sent.bytes.as_ref()).collect();
        let machine = self.machine()?;
        let appended = machine.log.append(&bytes, machine.now());
        let positions = match appended {
            Ok(positions) => positions,
            Err(LogError::Append { .. }) => {
                self.oracle.failed(group);
                return Ok(false);
            }
            Err(error) => return Err(Violation(format!("append: {error}"))),
        };
        let end = machine.log.bounds().end;
        let nexts: Vec<Position> = positions.iter().skip(1).copied().chain([end]).collect();
        for (((record, _), position), next) in records.into_iter().zip(&positions).zip(nexts) {
            let mut item = Item { position: *position, next, record, parsed: None, bytes: 0 };
            parse(machine, &mut item);
            machine.forwarded.push_back(item);
        }
        self.oracle.landed(positions, group);
        Ok(true)
    }

    fn process(&mut self) -> Checked {
        let how = self.random.below(3);
        let count = 1 + self.random.index(4);
        let machine = self.machine()?;
        let end = machine.log.bounds().end;
        let done = match how {
            0 => machine.pipeline.catch_up(),
            1 => machine.pipeline.step(end).map(drop),
            _ => {
                let count = count.min(machine.forwarded.len());
                let items: Vec<Item> = machine.forwarded.drain(..count).collect();
                let first = items.first().map_or(end, |item| item.position);
                // After a crash: what was appended before these is read back from the log.
                let mut caught_up = Ok(1);
                while matches!(caught_up, Ok(1..)) {
                    caught_up = machine.pipeline.step(first);
                }
                caught_up.and_then(|_| machine.pipeline.process(items))
            }
        };
        match done {
            Err(error) if !machine.has_stopped() => Err(Violation(format!("the pipeline: {error}"))),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn checkpoint(&mut self) -> Checked {
        let store = Arc::clone(&self.machine()?.store);
        let position = store.checkpoint().map_err(Violation::of("write a checkpoint"))?;
        ensure(position == store.position(), || "a checkpoint left commits out".to_owned())
    }

    fn break_checkpoint(&mut self, fault: CheckpointFault) -> Checked {
        let machine = self.machine()?;
        let before = machine.store.durable_position();
        machine.backing().fail_next_checkpoint(fault);
        let result = machine.store.checkpoint();
        machine.backing().clear_fault();
        let is_told = result.is_err() || before == machine.store.position();
        ensure(is_told, || "a failed checkpoint was not told".to_owned())?;
        if self.random.one_in(2) { self.crash() } else { Ok(()) }
    }

    fn cut(&mut self) -> Checked {
        let millis = 1_000 * i64::try_from(self.random.below(3_600)).unwrap_or(0);
        let bytes_max = 4_000 + self.random.below(30_000);
        let passes = self.bug == Some(Bug::CutsPastThePipeline);
        let machine = self.machine()?;
        let upto = if passes { machine.log.bounds().end } else { machine.store.durable_position() };
        let retention = Retention { before: machine.now().plus_millis(-millis), bytes_max, upto };
        let cut = machine.log.cut(&retention);
        ensure(cut <= upto, || format!("retention would cut at {}, only {} may go", cut.0, upto.0))?;
        let log = Arc::clone(&machine.log);
        self.advance_base(cut)?;
        self.oracle.asked_upto = self.oracle.asked_upto.max(cut);
        match log.discard_before(cut) {
            Ok(()) | Err(LogError::Io { .. }) => Ok(()),
            Err(error) => Err(Violation(format!("retention: {error}"))),
        }
    }

    /// Takes the base along, as a snapshot would be taken before the log is cut.
    fn advance_base(&mut self, upto: Position) -> Checked {
        if self.base.position() >= upto {
            return Ok(());
        }
        let base = Arc::new(copy_of(&self.base)?);
        self.replay(&base, upto, self.replay_options())?;
        self.base = copy_of(&base)?;
        Ok(())
    }

    fn replay(&mut self, store: &Arc<MemoryStore>, upto: Position, options: PipelineOptions) -> Checked {
        let machine = self.machine()?;
        let (log, clock): (Arc<SimLog>, Arc<dyn Clock>) = (Arc::clone(&machine.log), machine.clock.clone());
        let mut pipeline = Pipeline::open(log, Arc::clone(store), hash_key(), clock, options)
            .map_err(Violation::of("open a replay"))?;
        while pipeline.step(upto).map_err(Violation::of("replay the log"))? > 0 {}
        Ok(())
    }

    fn break_disk(&mut self) -> Checked {
        let after_bytes = self.random.index(1_200);
        let fault = match self.random.below(3) {
            0 => Fault::Full { after_bytes },
            1 => Fault::Error,
            _ => Fault::Stop { after_bytes },
        };
        let more = self.random.below(6);
        let disk = &self.machine()?.disk.disk;
        disk.fail_at(disk.operations() + more, fault);
        Ok(())
    }

    fn any_order(&mut self) -> Checked {
        let rejects: Vec<_> = self.oracle.expected.rejects.keys().copied().collect();
        let operation = match (self.random.below(12), self.random.pick(&rejects)) {
            (0, Some(id)) => Operation::CloseReject { position: id.position, index: id.index },
            (1, _) => {
                let documents =
                    serde_json::from_value(workspace()).map_err(Violation::of("read the workspace"))?;
                Operation::Apply { documents }
            }
            (0 | 2, _) => Operation::Reject {
                source: SourceName::parse("web").map_err(Violation::of("name a source"))?,
                code: RejectCode::BodyTooLarge,
                reason: "the body is too large".to_owned(),
                payload: "{\"batch\":[".to_owned(),
                is_cut: true,
                line: None,
            },
            _ => {
                let at = self.machine()?.now();
                stewardship::order(&mut self.random, &self.oracle.expected.people, at)
            }
        };
        self.order(operation)
    }

    fn order(&mut self, operation: Operation) -> Checked {
        let at: Timestamp = self.machine()?.now();
        let record = Record::Operation { at, operation: operation.clone() };
        self.append(vec![(record, Load::Order { operation, at: at.as_millis() })]).map(drop)
    }

    /// Orders that who is due is asked, as the server does. Returns whether anybody was.
    fn tick(&mut self) -> Checked<bool> {
        let machine = self.machine()?;
        let due = next_due(machine.store.as_ref()).map_err(Violation::of("read who is due"))?;
        let is_due = due.is_some_and(|due| due <= machine.now());
        if is_due {
            self.order(Operation::Tick {})?;
        }
        Ok(is_due)
    }

    /// Asks everybody who is due, and compares who is a member of what.
    fn check_audiences(&mut self) -> Checked {
        for _ in 0..100 {
            self.machine()?.pipeline.catch_up().map_err(Violation::of("catch up"))?;
            if !self.tick()? {
                break;
            }
            self.after_step()?;
        }
        let store = Arc::clone(&self.machine()?.store);
        let time = Timestamp::from_millis(self.oracle.expected.time);
        let due = next_due(store.as_ref()).map_err(Violation::of("read who is due"))?;
        ensure(due.is_none_or(|due| due > time), || "somebody is due for ever".to_owned())?;
        check_members(store.as_ref(), &mut self.oracle.expected, time)?;
        check_told(store.as_ref(), &mut self.oracle.expected)
    }

    /// Catches up and compares everything.
    fn check(&mut self) -> Checked {
        if self.machine()?.has_stopped() {
            self.crash()?;
        }
        let machine = self.machine()?;
        machine.pipeline.catch_up().map_err(Violation::of("catch up"))?;
        let (store, now, end) = (Arc::clone(&machine.store), machine.now(), machine.log.bounds().end);
        ensure(store.position() == end, || "the pipeline did not catch up".to_owned())?;
        self.oracle.check_acknowledged()?;
        check(store.as_ref(), &mut self.oracle.expected, now)?;
        let options = PipelineOptions {
            batch_events_max: 1 + self.chance.index(50),
            read_bytes_max: 1 + self.chance.index(20_000),
            ..self.replay_options()
        };
        let live = hash(store.as_ref())?;
        let replayed = Arc::new(copy_of(&self.base)?);
        self.replay(&replayed, end, options)?;
        let replayed = hash(replayed.as_ref())?;
        ensure(live == replayed, || format!("the state is {live}, the log replays to {replayed}"))
    }

    /// A deliberate bug of the pipeline is one of the replay as well: what finds it is the oracle.
    fn replay_options(&self) -> PipelineOptions {
        let defaults = PipelineOptions::default();
        let window = if self.bug == Some(Bug::ForgetsRepeats) { 0 } else { defaults.dedup_window_millis };
        PipelineOptions { dedup_window_millis: window, ..defaults }
    }
}

fn hash(store: &impl Store) -> Checked<StateHash> {
    Ok(state_hash(store).map_err(Violation::of("hash the state"))?.0)
}

/// Parses every other record at once, as the server does, with the rules in force at that moment.
fn parse(machine: &Machine, item: &mut Item) {
    let Record::Ingest { source, received_at, request_id, entrance, gpc, body } = &item.record else {
        return;
    };
    if request_id.0 % 2 == 0 {
        return;
    }
    let rules = machine.pipeline.rules().load_full();
    let key = hash_key();
    let (received_at, request_id) = (*received_at, *request_id);
    let context = ParseContext { rules: &rules, key: &key, source, received_at, request_id, gpc: *gpc };
    item.parsed = Some((rules.version, parse_body(body, *entrance, &context)));
}
