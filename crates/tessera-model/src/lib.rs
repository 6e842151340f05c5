//! The vocabulary of Tessera: events, identifiers, traits, consent, limits, the workspace, and their parsing.
//!
//! Not an engine and not a shell: nothing here decides, reads a file or tells the time. Invariant: a value of
//! a type in this crate cannot hold the bad case; what does not parse is a [`Reject`].

mod consent;
mod event;
mod identifier;
mod json;
mod limits;
mod message_key;
mod names;
mod namespace;
mod parse;
mod record;
mod reject;
mod time;
pub mod wire;
mod workspace;
mod workspace_rules;

pub use consent::{ConsentClaim, ConsentStatus};
pub use event::{Call, Event, Identified, Trait};
pub use identifier::{FragmentId, HashKey, Identifier, IdentifierError, Namespace};
pub use json::{Json, Shape, ShapeError, pick, pick_path};
pub use limits::*;
pub use message_key::MessageKey;
pub use names::{DestinationName, EventName, MessageId, NameError, PurposeName, SourceName};
pub use namespace::{NamespaceRules, Normalise, PreparedNamespace};
pub use parse::{Entrance, ParseContext, parse_body};
pub use record::{Operation, Record, RecordError, RequestId};
pub use reject::{Reject, RejectCode};
pub use time::Timestamp;
pub use workspace::{
    DataCategory, DestinationDocument, Document, LegalBasis, NamespaceDocument, Party, Problem,
    PurposeDocument, Secret, SourceDocument, Workspace,
};
pub use workspace_rules::{Rules, SourceRules};
