//! What answers SQL, as the server knows it: the engine itself is heavy, and the binary's to choose.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tessera_audience::Definitions;
use tessera_model::{AudienceName, FragmentId, LabelSet, PurposeName, Rules, Timestamp};
use tessera_policy::Labels;

/// Who asks what, and why.
#[derive(Clone, Debug)]
pub struct QueryAsked {
    /// The query.
    pub sql: String,
    /// For this purpose.
    pub purpose: PurposeName,
    /// The media type of the answer.
    pub media_type: &'static str,
    /// The workspace in force.
    pub rules: Arc<Rules>,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Fields with any of these labels are not shown.
    pub hidden: LabelSet,
    /// Consents for other purposes than these are not shown; `None`: all are.
    pub purposes: Option<BTreeSet<PurposeName>>,
    /// The moment of the decisions.
    pub now: Timestamp,
}

/// An answer, and whose data it is made of.
pub struct QueryAnswer {
    /// The answer.
    pub body: Vec<u8>,
    /// Its rows.
    pub rows: u64,
    /// How many people's data the query was given.
    pub people: u64,
    /// Their profiles, if they are few.
    pub profiles: Vec<FragmentId>,
    /// Paths of the fields that it was given.
    pub fields: BTreeSet<String>,
}

/// An audience whose members are asked for a second time, by SQL.
#[derive(Clone, Debug)]
pub struct RecomputeAsked {
    /// The audience.
    pub audience: AudienceName,
    /// The definitions in force.
    pub definitions: Arc<Definitions>,
    /// The workspace in force.
    pub rules: Arc<Rules>,
    /// Its labels.
    pub labels: Arc<Labels>,
}

/// The members by SQL against those who were announced, of the people whom the audience's purpose permits to look at.
pub struct RecomputeAnswer {
    /// How many people were looked at.
    pub people: u64,
    /// Members that both say.
    pub agreed: u64,
    /// Members that were announced and are none by SQL.
    pub only_stream: BTreeSet<FragmentId>,
    /// Members by SQL that were not announced.
    pub only_batch: BTreeSet<FragmentId>,
    /// People of whom the two say different, and who changed while they were asked.
    pub unsettled: u64,
}

/// Audiences whose members are asked for by SQL.
#[derive(Clone, Debug)]
pub struct EverybodyAsked {
    /// All definitions that they speak of, and themselves.
    pub definitions: Arc<Definitions>,
    /// The audiences.
    pub audiences: Vec<AudienceName>,
    /// The workspace in force.
    pub rules: Arc<Rules>,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Fields with any of these labels are not looked at.
    pub hidden: LabelSet,
    /// Nor are consents for other purposes than these; `None`: all are.
    pub purposes: Option<BTreeSet<PurposeName>>,
    /// The moment.
    pub now: Timestamp,
}

/// The members of each audience, in the order in which they were asked for. `None`: one of them has no SQL.
pub type EverybodyAnswer = Option<Vec<BTreeSet<FragmentId>>>;

/// Why there is none. Holds no personal data but what the query itself says.
#[derive(Clone, Debug)]
pub struct QueryRefusal {
    /// The status of the answer.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// What happened.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

/// An answer on its way. Dropping it ends the query.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<QueryAnswer, QueryRefusal>> + Send + 'a>>;

/// The same, of an audience.
pub type Recomputing<'a> = Pin<Box<dyn Future<Output = Result<RecomputeAnswer, QueryRefusal>> + Send + 'a>>;

/// The same, of several at once.
pub type AskingEverybody<'a> =
    Pin<Box<dyn Future<Output = Result<EverybodyAnswer, QueryRefusal>> + Send + 'a>>;

/// Answers SQL: shows what the purpose permits and the reader may see, and nothing else.
pub trait Queries: Send + Sync {
    /// The media types that it answers in, the usual one first.
    fn media_types(&self) -> &[&'static str];

    /// Answers one query.
    fn ask(&self, asked: QueryAsked) -> Answering<'_>;

    /// Asks for the members of an audience by SQL, and holds them against those who were announced.
    fn recompute(&self, asked: RecomputeAsked) -> Recomputing<'_>;

    /// Asks for the members of audiences by SQL: of each those whom its purpose permits to look at.
    fn everybody(&self, asked: EverybodyAsked) -> AskingEverybody<'_>;

    /// Brings to the lake whatever the state has by now. Blocks.
    fn catch_up(&self) -> Result<(), QueryRefusal>;
}
