//! The only way from a body to events: `wire` in, [`Event`]s and [`Reject`]s out.
//!
//! Not a decision: whether an event may join a profile is the gate's business. Invariant: a pure function of
//! its arguments, so a replay of the log parses what the server parsed. Reference: Segment's HTTP tracking API;
//! `timestamp = receivedAt - (sentAt - originalTimestamp)`.

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{Call, Event, Identified, Trait};
use crate::parse_consent::Statements;
use crate::{
    BATCH_EVENTS_MAX, Birthday, EVENT_BYTES_MAX, EVENT_IDENTIFIERS_MAX, EventName, FUTURE_MILLIS_MAX,
    FragmentId, HASHED_SUFFIX, HashKey, IdentifierError, Json, MessageId, NAME_BYTES_MAX, NameError,
    Namespace, PreparedNamespace, PurposeSet, Reject, RejectCode, RequestId, Rules, Shape, SourceName,
    SourceRules, TRAITS_MAX, Timestamp, is_erased, parse_contract, pick_path, wire,
};

/// By which path a body came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the paths of the tracking API, each its own explanation")]
pub enum Entrance {
    Identify,
    Track,
    Page,
    Screen,
    Group,
    Alias,
    Consent,
    /// `/v1/batch` and `/v1/import`: `{"batch": [...]}`.
    Batch,
}

impl Entrance {
    /// The paths that are for one call each.
    pub const CALLS: [Self; 7] =
        [Self::Identify, Self::Track, Self::Page, Self::Screen, Self::Group, Self::Alias, Self::Consent];

    /// The call this path is for; `None` for a batch, whose members say it themselves.
    #[must_use]
    pub const fn call(self) -> Option<&'static str> {
        match self {
            Self::Identify => Some("identify"),
            Self::Track => Some("track"),
            Self::Page => Some("page"),
            Self::Screen => Some("screen"),
            Self::Group => Some("group"),
            Self::Alias => Some("alias"),
            Self::Consent => Some("consent"),
            Self::Batch => None,
        }
    }
}

/// What parsing needs to know besides the body.
#[derive(Clone, Copy, Debug)]
pub struct ParseContext<'a> {
    /// The workspace in force.
    pub rules: &'a Rules,
    /// The installation's hash key.
    pub key: &'a HashKey,
    /// Who sent the body.
    pub source: &'a SourceName,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Seeds message ids that senders left out.
    pub request_id: RequestId,
    /// Whether the request carried `Sec-GPC: 1`.
    pub gpc: bool,
}

/// Parses a body. The outer error is a body of which nothing could be read; inside, each event stands for itself.
///
/// # Errors
/// The reject of the whole body.
pub fn parse_body(
    body: &Bytes,
    entrance: Entrance,
    context: &ParseContext<'_>,
) -> Result<Vec<Result<Event, Reject>>, Reject> {
    // Bytes that are not UTF-8 spoil only the events they stand in: they are replaced, and the mark is found again.
    let (body, is_lossy) = match std::str::from_utf8(body) {
        Ok(_) => (body.clone(), false),
        Err(_) => (Bytes::from(String::from_utf8_lossy(body).into_owned()), true),
    };
    let text = std::str::from_utf8(&body).unwrap_or_default();
    if is_erased(text) {
        return Ok(vec![Err(erased())]);
    }
    let source = context.rules.source(context.source).map(AsRef::as_ref);
    let reject = |error: &serde_json::Error| body_reject(error, text.as_bytes(), is_lossy);
    if entrance.call().is_some() {
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| reject(&e))?;
        let whole = Whole { body: &body, sent_at: None, context: None, is_lossy, source };
        return Ok(vec![parse_event(raw, entrance, 0, &whole, context)]);
    }
    let batch: wire::Batch<'_> = serde_json::from_str(text).map_err(|e| reject(&e))?;
    if !is_object(text) {
        return Err(Reject::new(RejectCode::WrongType, "the body is not an object", text.as_bytes()));
    }
    if batch.batch.len() > BATCH_EVENTS_MAX {
        let reason = format!("the batch has {} events, the limit is {BATCH_EVENTS_MAX}", batch.batch.len());
        return Err(Reject::new(RejectCode::TooMany, reason, text.as_bytes()));
    }
    let sent_at = match batch.sent_at.map(timestamp) {
        None => None,
        Some(Ok(at)) => at,
        Some(Err(reason)) => {
            return Err(Reject::new(RejectCode::BadTimestamp, format!("sentAt {reason}"), text.as_bytes()));
        }
    };
    let whole = Whole { body: &body, sent_at, context: batch.context, is_lossy, source };
    Ok((0_u32..)
        .zip(&batch.batch)
        .map(|(index, raw)| parse_event(raw, entrance, index, &whole, context))
        .collect())
}

/// What a batch says for all of its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) body: &'a Bytes,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) context: Option<&'a RawValue>,
    pub(crate) is_lossy: bool,
    pub(crate) source: Option<&'a SourceRules>,
}

/// Parses one event. `index` is its place in the batch.
///
/// # Errors
/// Its reject.
fn parse_event(
    raw: &RawValue,
    entrance: Entrance,
    index: u32,
    whole: &Whole<'_>,
    context: &ParseContext<'_>,
) -> Result<Event, Reject> {
    let text = raw.get();
    if is_erased(text) {
        return Err(erased());
    }
    check_text(text, whole.is_lossy)
        .and_then(|()| {
            let wire: wire::Call<'_> = serde_json::from_str(text).map_err(|e| json_problem(&e))?;
            let draft = Draft { wire: &wire, raw, whole, context };
            match whole.source.and_then(|source| source.contract.as_deref()) {
                None => draft.event(entrance, index),
                Some(contract) => parse_contract::event(contract, &draft, entrance, index),
            }
        })
        .map_err(|Problem(code, reason)| Reject::new(code, reason, text.as_bytes()))
}

fn erased() -> Reject {
    Reject::new(RejectCode::Erased, "the event was erased", b"")
}

pub(crate) struct Problem(pub(crate) RejectCode, pub(crate) String);

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self(RejectCode::BadName, error.to_string())
    }
}

impl From<IdentifierError> for Problem {
    fn from(error: IdentifierError) -> Self {
        Self(RejectCode::BadIdentifier, error.to_string())
    }
}

/// Serde reads a list as a struct too, its members in order of the fields: no client means that.
fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn check_text(text: &str, is_lossy: bool) -> Result<(), Problem> {
    if !is_object(text) {
        return Err(Problem(RejectCode::WrongType, "the event is not an object".to_owned()));
    }
    if text.len() > EVENT_BYTES_MAX {
        let reason = format!("the event has {} bytes, the limit is {EVENT_BYTES_MAX}", text.len());
        return Err(Problem(RejectCode::EventTooLarge, reason));
    }
    if is_lossy && text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Problem(RejectCode::NotUtf8, "the event holds bytes that are not UTF-8".to_owned()));
    }
    Shape::check(text).map_err(|error| Problem(RejectCode::BadShape, format!("the event is {error}")))
}

fn body_reject(error: &serde_json::Error, body: &[u8], is_lossy: bool) -> Reject {
    let Problem(code, reason) = json_problem(error);
    let code = if is_lossy && code == RejectCode::NotJson { RejectCode::NotUtf8 } else { code };
    Reject::new(code, format!("the body cannot be read: {reason}"), body)
}

pub(crate) fn json_problem(error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    let text = error.to_string();
    let code = match error.classify() {
        Category::Io | Category::Syntax | Category::Eof => RejectCode::NotJson,
        Category::Data if text.starts_with("duplicate field") => RejectCode::DuplicateKey,
        Category::Data => RejectCode::WrongType,
    };
    // `invalid type: string "ada@x.org", expected ...` quotes the value, which may be personal data.
    let reason = match text.split_once(": ").filter(|(kind, _)| kind.starts_with("invalid")) {
        Some((kind, rest)) => {
            format!("{kind}: {}", rest.split_once(", expected ").map_or("unreadable", |(_, e)| e))
        }
        None => text,
    };
    Problem(code, reason.replacen("invalid type: ", "a field has the wrong type, expected ", 1))
}

pub(crate) struct Draft<'a> {
    pub(crate) wire: &'a wire::Call<'a>,
    pub(crate) raw: &'a RawValue,
    pub(crate) whole: &'a Whole<'a>,
    pub(crate) context: &'a ParseContext<'a>,
}

impl<'a> Draft<'a> {
    pub(crate) fn event(&self, entrance: Entrance, index: u32) -> Result<Event, Problem> {
        let details = self.details()?;
        let name = match (entrance.call(), &self.wire.kind) {
            (Some(name), _) => name,
            (None, Some(kind)) => kind.as_str(),
            (None, None) => {
                return Err(Problem(RejectCode::UnknownCall, "the event has no `type`".to_owned()));
            }
        };
        let call = self.call(name, &details)?;
        let mut identifiers = self.identifiers(&details, &call)?;
        let at = self.at()?;
        let mut statements = Statements::new(self.context, self.whole.source, at);
        statements.read(self.wire, &details, name)?;
        let subscriptions = statements.subscriptions(self.wire, &details, &mut identifiers)?;
        finish_identifiers(&mut identifiers)?;
        let message_id = match &self.wire.message_id {
            Some(text) if !text.as_str().is_empty() => MessageId::parse(text.as_str())?,
            _ => self.made_message_id(index)?,
        };
        Ok(Event {
            message_id,
            identifiers,
            at,
            received_at: self.context.received_at,
            source: self.context.source.clone(),
            consents: statements.claims,
            subscriptions,
            purposes: self.purposes(&call, &details),
            born_on: born_on(&call),
            checked: None,
            call,
            json: Json::slice(self.whole.body, self.raw),
        })
    }

    pub(crate) fn details(&self) -> Result<wire::Context<'a>, Problem> {
        match self.wire.context.or(self.whole.context) {
            None => Ok(wire::Context::default()),
            Some(raw) if raw.get() == "null" => Ok(wire::Context::default()),
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|e| json_problem(&e))
                .map_err(|Problem(code, reason)| Problem(code, format!("context: {reason}"))),
        }
    }

    fn call(&self, name: &str, details: &wire::Context<'a>) -> Result<Call, Problem> {
        let missing =
            |field: &str| Problem(RejectCode::MissingField, format!("a {name} call needs `{field}`"));
        match name {
            // Some clients (RudderStack's) send an identify's traits in its context only.
            "identify" => {
                let traits = self.wire.traits.filter(|raw| raw.get() != "null").or(details.traits);
                Ok(Call::Identify { traits: self.traits(traits)? })
            }
            "track" => match &self.wire.event {
                Some(event) if !event.as_str().is_empty() => {
                    Ok(Call::Track { event: EventName::parse(event.as_str())? })
                }
                _ => Err(missing("event")),
            },
            "page" => Ok(Call::Page { name: self.page_name()? }),
            "screen" => Ok(Call::Screen { name: self.page_name()? }),
            "group" => {
                let id = self.wire.group_id.as_ref().ok_or_else(|| missing("groupId"))?;
                let account = self.context.rules.namespaces.account(self.context.key, &id.0)?;
                Ok(Call::Group { account, traits: self.traits(self.wire.traits)? })
            }
            "alias" => {
                let id = self.wire.previous_id.as_ref().ok_or_else(|| missing("previousId"))?;
                let previous = self.previous(&id.0)?;
                if previous.is_empty() {
                    let reason = "previousId is blank or a value that says nothing";
                    return Err(Problem(RejectCode::NoIdentifier, reason.to_owned()));
                }
                Ok(Call::Alias { previous })
            }
            "consent" => Ok(Call::Consent { preferences: self.preferences()? }),
            other => {
                let reason = format!("`type` has {} characters and names no call", other.chars().count());
                Err(Problem(RejectCode::UnknownCall, reason))
            }
        }
    }

    fn page_name(&self) -> Result<Option<EventName>, Problem> {
        let name = self.wire.name.as_ref().map(wire::Text::as_str).filter(|name| !name.is_empty());
        Ok(name.map(EventName::parse).transpose()?)
    }

    /// The call does not say whether the other id is a user id or an anonymous id, and what is known so far must not
    /// decide it, or order would matter. So it is both, and the one that no event ever names stays out of sight.
    fn previous(&self, value: &str) -> Result<Vec<Identified>, Problem> {
        let namespaces = &self.context.rules.namespaces;
        let mut found = Vec::with_capacity(2);
        self.add(&mut found, namespaces.user_id(), Some(value))?;
        self.add(&mut found, namespaces.anonymous_id(), Some(value))?;
        Ok(found)
    }

    fn traits(&self, raw: Option<&RawValue>) -> Result<Vec<Trait>, Problem> {
        let Some(raw) = raw else { return Ok(Vec::new()) };
        if raw.get() == "null" {
            return Ok(Vec::new());
        }
        let entries: Entries<'_> = serde_json::from_str(raw.get())
            .map_err(|e| json_problem(&e))
            .map_err(|Problem(code, reason)| Problem(code, format!("traits: {reason}")))?;
        if entries.0.len() > TRAITS_MAX {
            let reason = format!("the call has {} traits, the limit is {TRAITS_MAX}", entries.0.len());
            return Err(Problem(RejectCode::TooMany, reason));
        }
        let mut traits: Vec<Trait> = Vec::with_capacity(entries.0.len());
        for (name, value) in entries.0 {
            let name = name.0;
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
                let reason = format!(
                    "a trait name has {} bytes or a control character, the limit is {NAME_BYTES_MAX}",
                    name.len()
                );
                return Err(Problem(RejectCode::BadName, reason));
            }
            traits.push(Trait { name: name.into(), value: Json::slice(self.whole.body, value) });
        }
        traits.sort_by(|a, b| a.name.cmp(&b.name));
        if traits.windows(2).any(|pair| matches!(pair, [a, b] if a.name == b.name)) {
            return Err(Problem(RejectCode::DuplicateKey, "a trait is given twice".to_owned()));
        }
        Ok(traits)
    }

    fn identifiers(&self, details: &wire::Context<'_>, call: &Call) -> Result<Vec<Identified>, Problem> {
        let namespaces = &self.context.rules.namespaces;
        let mut found: Vec<Identified> = Vec::with_capacity(4);
        self.add(&mut found, namespaces.user_id(), self.wire.user_id.as_ref().map(|id| id.0.as_ref()))?;
        self.add(
            &mut found,
            namespaces.anonymous_id(),
            self.wire.anonymous_id.as_ref().map(|id| id.0.as_ref()),
        )?;
        let has_hashes = self.mentions(HASHED_SUFFIX);
        for namespace in namespaces.ordered() {
            for path in &namespace.paths {
                // Most events carry none, and looking for a member costs more than this.
                if !has_hashes && path.last().is_some_and(|name| name.ends_with(HASHED_SUFFIX)) {
                    continue;
                }
                // A group's traits are the account's, so its e-mail is not the person's.
                if matches!(call, Call::Group { .. }) && path.first().is_some_and(|root| root == "traits") {
                    continue;
                }
                let value = self.at_path(path, details);
                // A malformed e-mail in a trait is a bad trait, not a bad event: the trait keeps it, no link is made.
                if self.add(&mut found, Some(namespace), value.as_deref()).is_err() {
                    continue;
                }
            }
        }
        if let Some(raw) = details.external_ids.filter(|raw| raw.get() != "null") {
            let ids: Vec<wire::ExternalId<'_>> = serde_json::from_str(raw.get())
                .map_err(|e| json_problem(&e))
                .map_err(|Problem(code, reason)| Problem(code, format!("context.externalIds: {reason}")))?;
            for id in ids {
                let namespace = Namespace::parse(id.kind.as_str())?;
                self.add(&mut found, namespaces.get(&namespace), Some(&id.id.0))?;
            }
        }
        Ok(found)
    }

    /// Whether a text stands anywhere in the event, or in what its batch says for all.
    fn mentions(&self, text: &str) -> bool {
        self.raw.get().contains(text) || self.whole.context.is_some_and(|raw| raw.get().contains(text))
    }

    fn add(
        &self,
        found: &mut Vec<Identified>,
        namespace: Option<&PreparedNamespace>,
        value: Option<&str>,
    ) -> Result<(), Problem> {
        if let (Some(namespace), Some(value)) = (namespace, value) {
            let region = self.whole.source.and_then(|source| source.default_region);
            found.extend(namespace.identify_in(self.context.key, value, region)?);
        }
        Ok(())
    }

    fn at_path(&self, path: &[String], details: &wire::Context<'_>) -> Option<String> {
        let (root, rest) = path.split_first()?;
        match (root.as_str(), rest.split_first()) {
            ("traits", _) => pick_path(self.wire.traits?, rest),
            ("properties", _) => pick_path(self.wire.properties?, rest),
            ("context", Some((first, rest))) if first == "traits" => pick_path(details.traits?, rest),
            ("context", _) => pick_path(self.wire.context.or(self.whole.context)?, rest),
            _ => None,
        }
    }

    fn at(&self) -> Result<Timestamp, Problem> {
        let read = |name: &str, raw: Option<&RawValue>| {
            raw.map(timestamp)
                .transpose()
                .map(Option::flatten)
                .map_err(|reason| Problem(RejectCode::BadTimestamp, format!("{name} {reason}")))
        };
        let received_at = self.context.received_at;
        let original = match read("originalTimestamp", self.wire.original_timestamp)? {
            Some(at) => Some(at),
            None => read("timestamp", self.wire.timestamp)?,
        };
        let sent_at = match self.whole.sent_at {
            Some(at) => Some(at),
            None => read("sentAt", self.wire.sent_at)?,
        };
        let at = match (original, sent_at) {
            (None, _) => received_at,
            (Some(original), None) => original,
            (Some(original), Some(sent_at)) => received_at.plus_millis(-sent_at.millis_since(original)),
        };
        Ok(if at.millis_since(received_at) > FUTURE_MILLIS_MAX { received_at } else { at })
    }

    fn made_message_id(&self, index: u32) -> Result<MessageId, Problem> {
        let request = self.context.request_id.0.to_le_bytes();
        let hash = self.context.key.hash128(&[b"message", &request, &index.to_le_bytes()]);
        Ok(MessageId::parse(&format!("tessera-{}", crate::FragmentId(hash)))?)
    }

    /// What a consent call says of preferences, as traits of their own.
    fn preferences(&self) -> Result<Vec<Trait>, Problem> {
        let mut preferences = self.traits(self.wire.preferences)?;
        for preference in &mut preferences {
            preference.name = format!("preferences.{}", preference.name).into();
            if preference.name.len() > NAME_BYTES_MAX {
                let reason = format!("the name of a preference is longer than {NAME_BYTES_MAX} bytes");
                return Err(Problem(RejectCode::BadName, reason));
            }
        }
        Ok(preferences)
    }

    /// The purposes that the source declares for this event. What the payload names narrows them and never widens.
    fn purposes(&self, call: &Call, details: &wire::Context<'_>) -> PurposeSet {
        let Some(source) = self.whole.source else { return PurposeSet::default() };
        let event = match call {
            Call::Track { event } => event.as_str(),
            Call::Page { name: Some(name) } | Call::Screen { name: Some(name) } => name.as_str(),
            Call::Identify { .. }
            | Call::Page { name: None }
            | Call::Screen { name: None }
            | Call::Group { .. }
            | Call::Alias { .. }
            | Call::Consent { .. } => call.name(),
        };
        let declared = source.purposes_for(call.name(), event);
        let Some(path) = &source.purposes_from else { return declared };
        let Some(named) = self.raw_at(path, details) else { return declared };
        let Ok(named) = serde_json::from_str::<Vec<wire::Text<'_>>>(named.get()) else {
            // Somebody meant to name purposes and named none that can be read.
            return PurposeSet::default();
        };
        declared.and(named.iter().filter_map(|name| source.purpose_of(name.as_str())).collect())
    }

    fn raw_at(&self, path: &[String], details: &wire::Context<'a>) -> Option<&'a RawValue> {
        let (root, rest) = path.split_first()?;
        let from = match root.as_str() {
            "traits" => self.wire.traits,
            "properties" => self.wire.properties,
            _ if rest.first().is_some_and(|first| first == "traits") => details.traits,
            _ => self.wire.context.or(self.whole.context),
        };
        let rest = if root == "context" && rest.first().is_some_and(|first| first == "traits") {
            rest.get(1..).unwrap_or_default()
        } else {
            rest
        };
        crate::raw_at(from?, rest)
    }
}

/// Orders identifiers strongest first and drops repeats.
fn finish_identifiers(found: &mut Vec<Identified>) -> Result<(), Problem> {
    if found.len() > EVENT_IDENTIFIERS_MAX {
        let reason =
            format!("the event has {} identifiers, the limit is {EVENT_IDENTIFIERS_MAX}", found.len());
        return Err(Problem(RejectCode::TooMany, reason));
    }
    if found.is_empty() {
        let reason =
            "the event names nobody: every identifier is missing, blank or a value that says nothing";
        return Err(Problem(RejectCode::NoIdentifier, reason.to_owned()));
    }
    found.sort_by(|a, b| (a.rank, &a.identifier).cmp(&(b.rank, &b.identifier)));
    // A hash and its clear form are one identifier, which is kept clear: they need not stand next to each other.
    let mut known: Vec<FragmentId> = Vec::with_capacity(found.len());
    found.retain(|one| {
        !known.contains(&one.id) && {
            known.push(one.id);
            true
        }
    });
    Ok(())
}

/// The traits that tell a day of birth.
pub const BIRTHDAY_TRAITS: [&str; 4] = ["birth_date", "birthdate", "birthday", "date_of_birth"];

/// The latest day of birth that the call tells: of several, the stricter.
fn born_on(call: &Call) -> Option<Birthday> {
    let Call::Identify { traits } = call else { return None };
    let told = traits.iter().filter(|one| BIRTHDAY_TRAITS.contains(&one.name.as_ref()));
    told.filter_map(|one| Birthday::parse(one.value.as_str().trim_matches('"'))).max()
}

/// `Ok(None)` for JSON `null`.
pub(crate) fn timestamp(raw: &RawValue) -> Result<Option<Timestamp>, &'static str> {
    let text = raw.get();
    let parsed = match text.as_bytes().first() {
        Some(b'n') => return Ok(None),
        Some(b'"') => {
            let text: wire::Text<'_> = serde_json::from_str(text).map_err(|_| "is not a time")?;
            Timestamp::parse(text.as_str())
        }
        // Some clients send milliseconds since the epoch.
        Some(b'0'..=b'9') => {
            text.parse::<i64>().ok().map(Timestamp::from_millis).filter(|at| *at < Timestamp::MAX)
        }
        _ => None,
    };
    parsed.map(Some).ok_or("is not a time between the years 1 and 9999")
}

/// The members of an object, in their order, values unparsed.
pub(crate) struct Entries<'a>(pub(crate) Vec<(wire::Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(V)
    }
}
