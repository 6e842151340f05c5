//! The shell that moves data: requests into the log, the log through the engines into the store, and outbox rows to
//! destinations.
//!
//! Not an engine: what happens to an event is decided in `apply`, a pure function of rules, loaded rows and
//! events. Invariants: an event is acknowledged only once the log holds it; all that a batch changes is one commit,
//! the log position included, so a crash replays and never loses; the same log gives the same state, whatever the
//! batch boundaries.

mod appender;
mod apply;
mod audience;
mod auditor;
#[cfg(test)]
mod auditor_tests;
mod canary;
mod changes;
mod contracts;
mod delivery;
mod due;
mod eraser;
mod erasure;
mod error;
mod exits;
mod groups;
mod history;
mod housekeeping;
#[cfg(test)]
mod housekeeping_tests;
mod item;
mod lake;
mod line;
#[cfg(test)]
mod line_tests;
mod links;
mod matching;
mod metrics;
mod notice;
mod orders;
mod outbox;
mod people;
mod pipeline;
mod prepare;
mod profiles;
mod quality;
mod query;
mod queued;
mod refill;
mod regroup;
mod reject_row;
mod replay;
mod resolving;
mod reviews;
mod routes;
mod rows;
mod runner;
mod scrub;
mod shared;
mod sight;
mod simulate;
mod simulation;
mod snapshot;
mod subject;
mod totals;
mod undo;
mod view;
mod waiting;
mod watchman;
mod will;

pub use appender::{Appender, AppenderOptions, Overloaded, Submission};
pub use audience::{
    Catalogue, FILL_PARTS, Filling, Standing, Ticker, TickerHandle, Walk, audience_size, load_catalogue,
    memberships_of, next_due, standing_of,
};
pub use auditor::{Auditor, AuditorHandle, tell_of_falls};
pub use canary::{Canaries, CanaryError, CanaryScan, CanaryTrace, Scanning};
pub use contracts::{Alert, AlertState, ViolationKind, as_planned, load_alerts, load_seen, load_violations};
pub use delivery::{
    Barrier, Courier, CourierOptions, DeadLetter, DestinationStatus, dead_letters, replay_dead_letters,
    tell_of_erasure,
};
pub use due::for_each_due;
pub use eraser::{Eraser, Finished, Passing, erased_fragments, pending_erasures};
pub use erasure::Mentions;
pub use error::PipelineError;
pub use groups::{GroupMembers, GroupOf, for_each_group, group_members, groups_of};
pub use history::{History, Scanned};
pub use housekeeping::{Housekeeper, Housekeeping, HousekeepingStatus, Tell, recipients};
pub use item::{Item, Parsed};
pub use lake::{LakeFeed, LakeFeedStatus};
pub use line::NOT_SENT;
pub use matching::{
    Candidate, ComparedPair, Description, ExplainError, FindError, MatchQuestion, MatcherEffect,
    MatcherStatus, Matchers, Matching, MatchingLoad, Order, PairFate, RunGoesOn, RunProgress, RunReport,
    SamplePair, Touched, model_problem,
};
pub use metrics::{PipelineMetrics, Stage};
pub use notice::Notice;
pub use outbox::OutboxRow;
pub use people::{SharedIdentifier, count_fields, fragments_of, is_account, profile_of, shared_identifiers};
pub use pipeline::{Pipeline, PipelineOptions, load_rules, sealed_apply};
pub use profiles::ProfileSnapshots;
pub use quality::{UsageError, survey, usage_of};
pub use query::{ProfilePage, Query, QueryError, Reading, read_events};
pub use refill::Refill;
pub use regroup::{DecisionEffect, Part, Regrouping, Sample};
pub use reject_row::{RejectId, RejectRow, list_rejects, load_reject};
pub use replay::{StateHash, replay_into, state_hash};
pub use resolving::{for_each_unresolved, is_resolving_due};
pub use reviews::{Decision, ReviewId, ReviewRow, ReviewState, load_review, load_reviews};
pub use rows::{ErasureRow, load_accounts, load_audits, load_erasures, load_request, load_requests};
pub use runner::{Progress, Runner};
pub use scrub::{Scrub, Scrubbed};
pub use sight::{MadeOf, Sight, members_of, sights_of};
pub use simulate::{Walked, WhatIf};
pub use simulation::{BeforeAfter, DestinationEffect, PurposeEffect, Simulation, ValueEffect};
pub use snapshot::{SnapshotError, newest_snapshot, oldest_snapshot, read_snapshot, write_snapshot};
pub use subject::{
    HeldAccount, HeldBasis, HeldConsent, HeldCount, HeldDelivery, HeldEvent, HeldIdentifier, HeldProfile,
    HeldPurpose, HeldReject, HeldTrait, Holdings, Search, Searched,
};
pub use totals::{Totals, load_totals};
pub use undo::{Looked, Ordered, UndoPreview, UndoRow, Undoing, clusters_undone_by, load_undo, load_undos};
pub use watchman::{Watching, Watchman, reconcile};
pub use will::{PersonValues, Will, values_of, will_of};
