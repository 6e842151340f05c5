//! What clients send: messages, the requests that carry them, and the bytes of both.
//!
//! Not parsed by anybody here: the oracle reads these values, Tessera reads the bytes, and the two must agree.

use bytes::Bytes;
use serde_json::{Value, json};
use tessera_model::{
    Entrance, FUTURE_MILLIS_MAX, FragmentId, HashKey, Identifier, Namespace, Normalise, RejectCode, Timestamp,
};

/// The installation's key: any will do.
pub(crate) fn hash_key() -> HashKey {
    HashKey::new([7; 32])
}

/// The namespaces in use, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    UserId,
    Email,
    AnonymousId,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::UserId, Self::Email, Self::AnonymousId];

    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Email => "email",
            Self::AnonymousId => "anonymous_id",
        }
    }

    /// Most identifiers of it in one profile: the built-in limits.
    pub(crate) fn limit(self) -> usize {
        match self {
            Self::UserId => 1,
            Self::Email => 5,
            Self::AnonymousId => 100,
        }
    }
}

/// An identifier, normalised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) kind: Kind,
    pub(crate) value: String,
    /// Its fragment's id.
    pub(crate) id: FragmentId,
}

impl Address {
    pub(crate) fn new(kind: Kind, value: String) -> Self {
        let identifier = identifier(kind, &value);
        let id = identifier.map(|identifier| FragmentId::of(&hash_key(), &identifier)).unwrap_or_default();
        Self { kind, value, id }
    }

    /// The SHA-256 of an address that may be sent by its hash.
    pub(crate) fn sha256(&self) -> Option<String> {
        let email = identifier(self.kind, &self.value).filter(|_| self.kind == Kind::Email)?;
        email.spellings().into_iter().next()
    }

    /// `email:ada@example.com`.
    pub(crate) fn reference(&self) -> String {
        format!("{}:{}", self.kind.namespace(), self.value)
    }
}

fn identifier(kind: Kind, value: &str) -> Option<Identifier> {
    let normalise = if kind == Kind::Email { Normalise::Email } else { Normalise::Exact };
    let namespace = Namespace::parse(kind.namespace()).ok()?;
    Identifier::parse(&namespace, normalise, value).ok()
}

/// Who sends: `web` serves a contract, `form` needs consent, `till` serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Web,
    Form,
    Till,
}

/// The trait in which an address is sent by its hash.
pub(crate) const EMAIL_SHA256: &str = "email_sha256";
/// Who finds that two are one person.
pub(crate) const MATCHER: &str = "twins";
/// The purpose that rests on a contract.
pub(crate) const SERVICE: &str = "service";
/// The purpose that rests on consent.
pub(crate) const NEWS: &str = "news";

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Form => "form",
            Self::Till => "till",
        }
    }

    pub(crate) fn purposes(self) -> &'static [&'static str] {
        match self {
            Self::Web => &[SERVICE],
            Self::Form => &[NEWS],
            Self::Till => &[NEWS, SERVICE],
        }
    }

    /// Whether a consent category of this source stands for [`NEWS`].
    pub(crate) fn is_news(self, category: &str) -> bool {
        category == NEWS || (self == Self::Form && category == "Newsletter")
    }
}

/// The workspace in which all of this is declared.
pub(crate) fn workspace() -> Value {
    let mut all = plain_workspace();
    if let Value::Array(documents) = &mut all {
        documents.extend(super::audiences::documents());
    }
    all
}

fn plain_workspace() -> Value {
    json!([
        {"kind": "Purpose", "name": SERVICE, "basis": "contract"},
        {"kind": "Purpose", "name": NEWS, "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": [SERVICE]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": [NEWS],
         "consent": {"Newsletter": NEWS}},
        {"kind": "Source", "name": "till", "write_key": "till-write-key", "purposes": [NEWS, SERVICE]},
        {"kind": "GroupType", "name": "circle", "by": [
            {"traits": {"trait_0": "exact"}}, {"traits": {"trait_1": "text", "trait_2": "text"}},
            {"identifier": "email"}, {"email_domain": true}]},
    ])
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Track(&'static str),
    Page,
    /// Trait names and values.
    Identify(Vec<(String, Value)>),
    /// The other id of the same person: a user id or an anonymous id, the call does not say which.
    Alias(String),
    Consent,
}

impl Said {
    pub(crate) fn call(&self) -> &'static str {
        match self {
            Self::Track(_) => "track",
            Self::Page => "page",
            Self::Identify(_) => "identify",
            Self::Alias(_) => "alias",
            Self::Consent => "consent",
        }
    }

    /// What it is counted as.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Track(name) => name,
            Self::Page | Self::Identify(_) | Self::Alias(_) | Self::Consent => self.call(),
        }
    }

    fn entrance(&self) -> Entrance {
        match self {
            Self::Track(_) => Entrance::Track,
            Self::Page => Entrance::Page,
            Self::Identify(_) => Entrance::Identify,
            Self::Alias(_) => Entrance::Alias,
            Self::Consent => Entrance::Consent,
        }
    }
}

/// One well-formed message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) source: Source,
    /// Strongest first; the first is the owner. Never empty.
    pub(crate) addresses: Vec<Address>,
    pub(crate) said: Said,
    /// By the client's clock, in milliseconds.
    pub(crate) made_at: Option<i64>,
    /// Consent by category.
    pub(crate) claims: Vec<(&'static str, bool)>,
}

impl Message {
    /// Whether the address stands on it in clear, not by its hash.
    pub(crate) fn is_clear(&self, address: &Address) -> bool {
        let is_hash = |(name, _): &(String, Value)| name == EMAIL_SHA256;
        let Said::Identify(traits) = &self.said else { return true };
        address.kind != Kind::Email || !traits.iter().any(is_hash)
    }

    fn json(&self, sent_at: Option<i64>) -> Value {
        let mut event = json!({"type": self.said.call(), "messageId": self.id});
        for address in &self.addresses {
            match address.kind {
                Kind::UserId => set(&mut event, "userId", json!(address.value)),
                Kind::AnonymousId => set(&mut event, "anonymousId", json!(address.value)),
                // It stands in the traits.
                Kind::Email => {}
            }
        }
        match &self.said {
            Said::Track(name) => set(&mut event, "event", json!(name)),
            Said::Identify(traits) => {
                let traits: serde_json::Map<String, Value> = traits.iter().cloned().collect();
                set(&mut event, "traits", Value::Object(traits));
            }
            Said::Alias(previous) => set(&mut event, "previousId", json!(previous)),
            Said::Page | Said::Consent => {}
        }
        let claims: serde_json::Map<String, Value> =
            self.claims.iter().map(|(category, yes)| ((*category).to_owned(), json!(yes))).collect();
        if self.said == Said::Consent {
            set(&mut event, "consents", Value::Object(claims));
        } else if !claims.is_empty() {
            set(&mut event, "context", json!({"consent": {"categoryPreferences": claims}}));
        }
        for (field, at) in [("timestamp", self.made_at), ("sentAt", sent_at)] {
            if let Some(at) = at {
                set(&mut event, field, json!(Timestamp::from_millis(at).to_string()));
            }
        }
        event
    }
}

fn set(event: &mut Value, field: &str, value: Value) {
    if let Value::Object(fields) = event {
        fields.insert(field.to_owned(), value);
    }
}

/// One member of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Good(Message),
    /// Something malformed, and the code that it must be stored with.
    Bad {
        bytes: Vec<u8>,
        code: RejectCode,
    },
}

/// One request; repeated as it is until it is acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// Names it in traces.
    pub(crate) number: u64,
    pub(crate) source: Source,
    pub(crate) entrance: Entrance,
    pub(crate) parts: Vec<Part>,
    /// By the client's clock, in milliseconds.
    pub(crate) sent_at: Option<i64>,
    /// The code of a body of which nothing can be read.
    pub(crate) whole: Option<RejectCode>,
    pub(crate) body: Bytes,
}

impl Request {
    /// A batch.
    pub(crate) fn batch(number: u64, source: Source, parts: Vec<Part>, sent_at: Option<i64>) -> Self {
        let mut body = b"{\"batch\":[".to_vec();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                body.push(b',');
            }
            match part {
                Part::Good(message) => body.extend(message.json(None).to_string().as_bytes()),
                Part::Bad { bytes, .. } => body.extend(bytes),
            }
        }
        body.push(b']');
        if let Some(at) = sent_at {
            body.extend(format!(",\"sentAt\":\"{}\"", Timestamp::from_millis(at)).as_bytes());
        }
        body.push(b'}');
        Self { number, source, entrance: Entrance::Batch, parts, sent_at, whole: None, body: body.into() }
    }

    /// One message alone, by the path of its call.
    pub(crate) fn single(number: u64, message: Message, sent_at: Option<i64>) -> Self {
        let body = message.json(sent_at).to_string();
        let (source, entrance) = (message.source, message.said.entrance());
        let parts = vec![Part::Good(message)];
        Self { number, source, entrance, parts, sent_at, whole: None, body: body.into() }
    }

    /// A body of which nothing can be read.
    pub(crate) fn unreadable(number: u64, source: Source, body: &'static str, code: RejectCode) -> Self {
        let (entrance, whole) = (Entrance::Batch, Some(code));
        Self { number, source, entrance, parts: Vec::new(), sent_at: None, whole, body: body.into() }
    }

    /// When a message of this request happened, corrected for the client's clock.
    pub(crate) fn at(&self, message: &Message, received_at: i64) -> i64 {
        let at = match (message.made_at, self.sent_at) {
            (None, _) => received_at,
            (Some(made_at), None) => made_at,
            (Some(made_at), Some(sent_at)) => received_at - (sent_at - made_at),
        };
        if at - received_at > FUTURE_MILLIS_MAX { received_at } else { at }
    }
}
