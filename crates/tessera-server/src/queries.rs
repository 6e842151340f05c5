//! What answers SQL, as the server knows it: the engine itself is heavy, and the binary's to choose.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tessera_model::{FragmentId, LabelSet, PurposeName, Rules, Timestamp};
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

/// Answers SQL: shows what the purpose permits and the reader may see, and nothing else.
pub trait Queries: Send + Sync {
    /// The media types that it answers in, the usual one first.
    fn media_types(&self) -> &[&'static str];

    /// Answers one query.
    fn ask(&self, asked: QueryAsked) -> Answering<'_>;
}
