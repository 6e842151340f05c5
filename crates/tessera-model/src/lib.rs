//! The vocabulary of Tessera: events, identifiers, traits, consent, limits, the workspace, and their parsing.
//!
//! Not an engine and not a shell: nothing here decides, reads a file or tells the time. Invariant: a value of
//! a type in this crate cannot hold the bad case; what does not parse is a [`Reject`].

mod account;
mod audience;
mod consent;
mod document;
mod erased;
mod event;
mod group;
mod hashed;
mod identifier;
mod identity;
mod json;
mod label;
mod limits;
mod matcher;
mod message_key;
mod names;
mod namespace;
mod normalise;
mod parse;
mod parse_consent;
mod parse_contract;
mod purpose;
mod record;
mod reject;
mod seal;
mod stewardship;
mod survivorship;
mod time;
pub mod wire;
mod workspace;
mod workspace_change;
mod workspace_rules;

pub use account::{AccountKind, StoredAccount};
pub use audience::{AudienceDocument, AudienceId, ComputedTraitDocument, FillOrder};
pub use consent::{ClaimOf, ConsentClaim, ConsentStatus, Expression, SubscriptionClaim, SubscriptionState};
pub use document::{
    ControllerDocument, DataCategory, DestinationDocument, Document, FieldDocument, LegalBasis,
    NamespaceDocument, Party, PolicyDocument, PurposeDocument, Reconsent, Secret, SourceDocument, TcfMapping,
};
pub use erased::{Erasing, erase_events, find_values, is_erased, pad_operation};
pub use event::{Call, Event, Identified, Trait};
pub use group::{
    Alike, GroupId, GroupRule, GroupType, GroupTypeDocument, GroupTypes, domain_of_address, trait_of_path,
};
pub use hashed::HASHED_SUFFIX;
pub use identifier::{FragmentId, HashKey, Identifier, IdentifierError, IdentifierForm, Namespace};
pub use identity::{IdentityDocument, IdentityStrategy, SharedAfter, Window};
pub use json::{Json, Shape, ShapeError, pick, pick_path, raw_at};
pub use label::{FieldPath, Label, LabelSet};
pub use limits::*;
pub use matcher::{MATCHER_COLUMNS_MAX, MatcherDocument};
pub use message_key::{MessageDigest, MessageKey};
pub use names::{
    AudienceName, DestinationName, EventName, GroupTypeName, MatcherName, MessageId, NameError, PurposeName,
    SourceName, TraitName,
};
pub use namespace::{NamespaceLimits, NamespaceRules, PreparedNamespace};
pub use normalise::{Normalise, Normaliser, Part};
pub use parse::{BIRTHDAY_TRAITS, Entrance, ParseContext, parse_body};
pub use parse_contract::refusal;
pub use purpose::{
    PURPOSES_MAX, Purpose, PurposeId, PurposeRegister, PurposeSet, Purposes, RegisteredPurpose,
};
pub use record::{ConsentOrder, Operation, Record, RecordError, RequestId};
pub use reject::{Reject, RejectCode};
pub use seal::SealKey;
pub use stewardship::{LinkOrder, NotAScore, ReviewOrder, Score, Selector, Strength, UndoId, Verdict};
pub use survivorship::{OFFICE, Survivorship, SurvivorshipRule, SurvivorshipRules};
pub use tessera_contact::{MailboxRules, Region};
pub use time::{Birthday, NotATime, Timestamp};
pub use workspace::{Problem, Workspace};
pub use workspace_rules::{Rules, SourceRules};
