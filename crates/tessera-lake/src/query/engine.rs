//! One query: understood, checked to be a read, run within its limits, and answered.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, cast};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion_functions_json::udfs::json_union_to_text_udf;
use futures::StreamExt as _;
use parking_lot::Mutex;
use tessera_audience::{DefinitionName, Definitions};
use tessera_model::{HashKey, LabelSet, PurposeName, Rules, Timestamp};
use tessera_pipeline::PipelineError;
use tessera_policy::Labels;
use tessera_store::{LakeError, Marks, Store};
use tokio::runtime::Runtime;

use super::error::QueryFailure;
use super::events::{Events, Gate};
use super::funnel::funnel;
use super::mask::Masks;
use super::numbered::numbered;
use super::output::{Format, Output};
use super::owners::Sights;
use super::people::{Live, People, Seen, Witness};
use super::register::Register;
use super::stop::Stop;
use super::tables::{Kind, PeopleTable};
use super::utc::without_zones;
use crate::DeltaLake;
use crate::batch::{Everybody, Grounds, Lakeside, Sees};

/// Longest query, in bytes.
pub const SQL_BYTES_MAX: usize = 64 * 1024;
/// Most words and signs of a query: a chain of operators is as deep as it is long, and parsing and planning it takes stack.
const SQL_TOKENS_MAX: usize = 4_000;
/// Enough for a query of that many. Memory is taken only as far as it is used.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What queries may take.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// How long one may take, in seconds.
    pub timeout_seconds: u64,
    /// Memory for all that run, in bytes; sorts, joins and groups beyond it go to disk.
    pub memory_bytes: usize,
    /// Disk for what goes there, in bytes.
    pub spill_bytes_max: u64,
    /// Largest answer, in bytes.
    pub answer_bytes_max: usize,
    /// Threads for one query.
    pub threads: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            timeout_seconds: 60,
            memory_bytes: 512 * 1024 * 1024,
            spill_bytes_max: 16 * 1024 * 1024 * 1024,
            answer_bytes_max: 64 * 1024 * 1024,
            threads: 2,
        }
    }
}

/// Who asks what, and why.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The query.
    pub sql: String,
    /// For this purpose.
    pub purpose: PurposeName,
    /// Fields with any of these labels are not shown.
    pub hidden: LabelSet,
    /// Consents for other purposes than these are not shown; `None`: all are.
    pub purposes: Option<BTreeSet<PurposeName>>,
    /// The form of the answer.
    pub format: Format,
    /// The moment of the decisions.
    pub now: Timestamp,
}

/// What is asked of everybody.
#[derive(Clone, Debug)]
pub struct AskedOfEverybody {
    /// All definitions: they speak of each other.
    pub definitions: Arc<Definitions>,
    /// Those that are asked.
    pub names: Vec<DefinitionName>,
    /// The moment.
    pub now: Timestamp,
    /// Who asks.
    pub sees: Sees,
}

/// An answer, and whose data it is made of.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer, in the format that was asked for.
    pub body: Vec<u8>,
    /// Its rows.
    pub rows: u64,
    /// What the query was given.
    pub seen: Seen,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({} rows, {} bytes)", self.rows, self.body.len())
    }
}

/// Runs queries over a lake.
pub struct Engine {
    lake: Arc<DeltaLake>,
    limits: QueryLimits,
    environment: Arc<RuntimeEnv>,
    register: Mutex<Arc<Register>>,
    /// Queries compute on threads of their own: requests are never kept waiting.
    runtime: Option<Runtime>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// An engine over `lake` that spills into `spill`: what is left there by a process that died goes.
    ///
    /// # Errors
    /// When the folder cannot be made anew, or threads cannot be started.
    pub fn new(lake: Arc<DeltaLake>, spill: PathBuf, limits: QueryLimits) -> Result<Self, LakeError> {
        let io = |source| LakeError::Io { what: "make", file: spill.clone(), source };
        match std::fs::remove_dir_all(&spill) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => std::fs::create_dir_all(&spill).map_err(io)?,
        }
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![spill.clone()]))
            .with_max_temp_directory_size(limits.spill_bytes_max);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| io(std::io::Error::other(error.strip_backtrace())))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.threads.max(1))
            .thread_stack_size(STACK_BYTES)
            .thread_name("tessera-query")
            .enable_time()
            .build()
            .map_err(io)?;
        Ok(Self { lake, limits, environment, register: Mutex::default(), runtime: Some(runtime) })
    }

    /// Answers a query. Dropping the future ends the query.
    ///
    /// # Errors
    /// [`QueryFailure`].
    pub async fn ask<S: Store>(
        self: &Arc<Self>,
        store: Arc<S>,
        (rules, labels): (Arc<Rules>, Arc<Labels>),
        asked: Asked,
    ) -> Result<Answer, QueryFailure> {
        check_length(&asked.sql)?;
        let Some(purpose) = rules.purposes.get(&asked.purpose) else {
            return Err(QueryFailure::NotUnderstood { what: "its purpose is not declared".to_owned() });
        };
        let masks = Masks::new(&labels, purpose, asked.hidden);
        let register = self.register(store.marks());
        let people: Arc<dyn People> = Arc::new(Live {
            store,
            rules: Arc::clone(&rules),
            labels,
            purpose: asked.purpose.clone(),
            hidden: asked.hidden,
            purposes: asked.purposes.clone(),
            now: asked.now,
        });
        let Some(runtime) = &self.runtime else { return Err(QueryFailure::Value) };
        let sights = Sights::new(Arc::clone(&people), register, (purpose, asked.now));
        let (engine, stop) = (Arc::clone(self), Stop::default());
        let context = self.context(&stop);
        let work = async move { engine.run(context, people, (sights, masks), &asked).await };
        let seconds = self.limits.timeout_seconds;
        // Measured here: the threads of queries may all be busy with planning.
        let ending = Ending { task: runtime.spawn(work), stop };
        match tokio::time::timeout(Duration::from_secs(seconds), ending).await {
            Ok(Ok(answer)) => answer,
            // It panicked: an error of the engine, which has told the log where.
            Ok(Err(_)) => Err(QueryFailure::Value),
            Err(_) => Err(QueryFailure::TimedOut { seconds }),
        }
    }

    /// What definitions say of everybody at a moment, each as its purpose permits. Dropping the future ends it; there is no other
    /// limit to its time.
    ///
    /// # Errors
    /// [`QueryFailure`].
    pub async fn ask_everybody<S: Store>(
        self: &Arc<Self>,
        store: Arc<S>,
        (rules, labels, key): (Arc<Rules>, Arc<Labels>, HashKey),
        asked: AskedOfEverybody,
    ) -> Result<Vec<Everybody>, QueryFailure> {
        let Some(runtime) = &self.runtime else { return Err(QueryFailure::Value) };
        let (engine, stop) = (Arc::clone(self), Stop::default());
        let (context, register) = (self.context(&stop), self.register(store.marks()));
        let work = async move {
            let lakeside = Lakeside {
                reading: Arc::new(engine.lake.read().await),
                lake: Arc::clone(&engine.lake),
                store,
                rules,
                labels,
                key,
                now: asked.now,
                sees: asked.sees,
                register,
                grounds: Grounds::default(),
            };
            lakeside.ask(context, &asked.definitions, &asked.names).await
        };
        Ending { task: runtime.spawn(work), stop }.await.unwrap_or(Err(QueryFailure::Value))
    }

    /// What is known of the people of the store with these marks.
    fn register(&self, marks: &Arc<Marks>) -> Arc<Register> {
        let mut register = self.register.lock();
        *register = register.renewed(marks);
        Arc::clone(&register)
    }

    /// Runs what reads the store on a thread where that may take its time.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PipelineError> + Send + 'static,
    ) -> Result<T, QueryFailure> {
        let Some(runtime) = &self.runtime else { return Err(QueryFailure::Value) };
        let done = runtime.spawn_blocking(work).await;
        done.map_or(Err(QueryFailure::Value), |done| done.map_err(QueryFailure::State))
    }

    async fn run(
        &self,
        context: SessionContext,
        people: Arc<dyn People>,
        (sights, masks): (Sights, Masks),
        asked: &Asked,
    ) -> Result<Answer, QueryFailure> {
        let reading = Arc::new(self.lake.read().await);
        let register = Arc::clone(sights.register());
        let witness = Arc::new(Witness::new(Arc::clone(&register)));
        let gate = Gate { people: Arc::clone(&people), sights, masks, witness: Arc::clone(&witness) };
        let events = Events::new(self.lake.table().to_owned(), reading, Arc::new(gate));
        context.register_table("events", Arc::new(events)).map_err(QueryFailure::of)?;
        for kind in Kind::ALL {
            let table = PeopleTable { kind, people: Arc::clone(&people), witness: Arc::clone(&witness) };
            context.register_table(kind.name(), Arc::new(table)).map_err(QueryFailure::of)?;
        }
        context.register_udaf(funnel());
        let mut context = context;
        datafusion_functions_json::register_all(&mut context).map_err(QueryFailure::of)?;
        let frame = plan(&context, &asked.sql).await?;
        let schema = Arc::clone(frame.schema().inner());
        let mut output = Output::new(asked.format, schema, self.limits.answer_bytes_max)?;
        let mut stream = execute(frame, &register).await.map_err(QueryFailure::of)?;
        while let Some(batch) = stream.next().await {
            output.write(batch.map_err(QueryFailure::of)?)?;
        }
        drop(stream);
        let rows = output.rows;
        Ok(Answer { body: output.end()?, rows, seen: witness.take() })
    }

    fn context(&self, stop: &Stop) -> SessionContext {
        let config = SessionConfig::new()
            .with_target_partitions(self.limits.threads.max(1))
            .with_information_schema(true);
        let usual = SessionContext::new_with_config_rt(config, Arc::clone(&self.environment));
        SessionContext::new_with_state(stop.heeded_by(usual.state()))
    }
}

fn check_length(sql: &str) -> Result<(), QueryFailure> {
    let too_long = |of, count, max| Err(QueryFailure::TooLong { of, count, max });
    if sql.len() > SQL_BYTES_MAX {
        return too_long("bytes", sql.len(), SQL_BYTES_MAX);
    }
    let tokens =
        Tokenizer::new(&GenericDialect {}, sql).tokenize().map_err(|_| QueryFailure::NotUnderstood {
            what: "a quotation mark or a comment is not closed, or a sign is none of SQL's".to_owned(),
        })?;
    match tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).count() {
        count if count > SQL_TOKENS_MAX => too_long("words and signs", count, SQL_TOKENS_MAX),
        _ => Ok(()),
    }
}

/// Ends the task, and the planning of its query, with whoever waits for it.
struct Ending<T> {
    task: tokio::task::JoinHandle<T>,
    stop: Stop,
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.stop.stop();
        self.task.abort();
    }
}

impl<T> Future for Ending<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.task).poll(context)
    }
}

/// What the query asks for, if it only reads.
async fn plan(context: &SessionContext, sql: &str) -> Result<DataFrame, QueryFailure> {
    let plan = context.state().create_logical_plan(sql).await.map_err(QueryFailure::of)?;
    let only_reads =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    if only_reads.verify_plan(&plan).is_err() || writes(&plan) {
        return Err(QueryFailure::NotARead);
    }
    let frame = context.execute_logical_plan(plan).await.map_err(QueryFailure::of)?;
    in_plain_types(frame)
}

async fn execute(
    frame: DataFrame,
    register: &Arc<Register>,
) -> datafusion::error::Result<SendableRecordBatchStream> {
    let (state, plan) = frame.into_parts();
    let plan = numbered(without_zones(state.optimize(&plan)?)?, register)?;
    let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
    execute_stream(plan, state.task_ctx())
}

fn writes(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_)
    )
}

/// JSON values of several types are told as texts: no format has a column of several types. Nor does every reader of
/// Arrow know the form in which the engine passes texts on.
fn in_plain_types(frame: DataFrame) -> Result<DataFrame, QueryFailure> {
    let schema = frame.schema().clone();
    let is_plain = |kind: &DataType| !matches!(kind, DataType::Union(_, _) | DataType::Utf8View);
    if schema.fields().iter().all(|field| is_plain(field.data_type())) {
        return Ok(frame);
    }
    let columns = schema.iter().map(|(table, field)| {
        let (table, name) = (table.cloned(), field.name());
        let column = Expr::Column(Column::new(table.clone(), name));
        if is_plain(field.data_type()) {
            return column;
        }
        let text = match field.data_type() == &DataType::Utf8View {
            true => column,
            false => json_union_to_text_udf().call(vec![column]),
        };
        cast(text, DataType::Utf8).alias_qualified(table, name)
    });
    frame.select(columns.collect::<Vec<_>>()).map_err(QueryFailure::of)
}
