//! Who was touched: by a destination, a field, an account, in a span of time (GDPR Art. 33 and 34).
//!
//! From the evidence ledger alone, so that it also counts who was erased since. Contact points are those of people who
//! are still known, for roles that see identifiers, and as far as a purpose permits: a breach is notified on the basis
//! of a legal obligation, for which a purpose can be declared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tessera_evidence::{Entry, Filter, Kind, OutcomeStatus};
use tessera_model::{FieldPath, FragmentId, PurposeName, Rules, Timestamp};
use tessera_pipeline::{NOT_SENT, Query, QueryError, profile_of};
use tessera_profile::{IdentifierView, Reader, View};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::disclosure::Look;
use super::evidence::Asked;
use super::profiles::{id_of, parse_purpose};
use crate::access::{Action, Viewer};
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const PEOPLE_DEFAULT: usize = 10_000;
const PEOPLE_MAX: usize = 1_000_000;
/// Namespaces whose identifiers a person can be written to at.
const CONTACTS: [&str; 2] = ["email", "phone"];
const ROUTE: &str = "GET /api/v1/breach";
const KNOWN: &str = "destination, actor, purpose, field, from, until, contacts, contacts_for, limit, format";

/// Who was touched.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreachAnswer {
    /// How many people.
    people_count: usize,
    /// How many of them are no longer known: they were erased.
    gone_count: usize,
    /// How many deliveries or reads.
    touches: u64,
    /// The fields, and to how many people each belonged.
    #[schema(value_type = Object)]
    fields: BTreeMap<Box<str>, u64>,
    /// The people, in the order of their ids; not all of them if `is_cut`.
    people: Vec<Touched>,
    /// Whether `people` ends before its end.
    is_cut: bool,
}

/// One person.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Touched {
    /// Id of the profile, now; the last one known if the person is gone.
    profile: String,
    /// Whether the person is no longer known.
    is_gone: bool,
    /// The keyed hashes under which the ledger has it.
    #[schema(value_type = Vec<String>)]
    #[serde(serialize_with = "texts")]
    fragments: BTreeSet<FragmentId>,
    /// Paths of the fields.
    #[schema(value_type = Vec<String>)]
    fields: BTreeSet<Box<str>>,
    /// What for.
    #[schema(value_type = Vec<String>)]
    purposes: BTreeSet<PurposeName>,
    /// How often.
    touches: u64,
    /// How many of them are known to have arrived.
    arrived: u64,
    /// The first time, RFC 3339.
    first_at: String,
    /// The last time, RFC 3339.
    last_at: String,
    /// With `contacts=true`: where the person can be written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<super::profile_answer::IdentifierShape>>)]
    contacts: Option<Vec<IdentifierView>>,
}

fn texts<S: serde::Serializer>(ids: &BTreeSet<FragmentId>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(ToString::to_string))
}

/// Who was touched by a destination, a field, an account, in a span of time.
///
/// With `actor`: whose data that account was shown. Otherwise: whose data left. A delivery counts unless it is known
/// that nothing was sent; `arrived` counts those that the destination has acknowledged.
#[utoipa::path(
    get, path = "/api/v1/breach", tag = "evidence",
    params(
        ("destination" = Option<String>, Query, description = "Where it went"),
        ("actor" = Option<String>, Query, description = "The account that was shown it"),
        ("purpose" = Option<String>, Query, description = "What for"),
        ("field" = Option<String>, Query, description = "`traits.email`, or `traits.*` for all below"),
        ("from" = Option<String>, Query, description = "Not before: a date, or an RFC 3339 time"),
        ("until" = Option<String>, Query, description = "Before: a date, or an RFC 3339 time"),
        ("contacts" = Option<bool>, Query, description = "`true`: with e-mail addresses and phone numbers"),
        ("contacts_for" = Option<String>, Query, description = "The purpose that permits the contact points; any unless set"),
        ("limit" = Option<usize>, Query, description = "Most people to list, 10,000 unless set"),
        ("format" = Option<String>, Query, description = "`json` (unless set) or `csv`"),
    ),
    responses(
        (status = 200, description = "The people, as JSON or CSV.", body = BreachAnswer),
        (status = 400, description = "No such filter.", body = ErrorAnswer),
        (status = 403, description = "Contact points are not for this account.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut params = Params::of(&uri)?;
    let rules = app.parts.rules.load_full();
    let limit = params.limit(PEOPLE_DEFAULT, PEOPLE_MAX)?;
    let with_contacts = params.take("contacts").is_some_and(|text| text == "true");
    let contacts_for = params.take("contacts_for").map(|name| parse_purpose(&rules, &name)).transpose()?;
    let format = params.take("format");
    let field = params.take("field").map(|text| parse_field(&text)).transpose()?;
    params.refuse(&["person", "kind", "message"], KNOWN)?;
    let Asked { mut filter, .. } = Asked::take(&mut params, &rules, &app.parts.key)?;
    params.finish(KNOWN)?;
    if with_contacts && !may_see_contacts(&viewer) {
        return Err(ApiError::Role { role: viewer.role, action: Action::ListProfiles });
    }
    let is_csv = match format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(ApiError::bad("`format` is unknown", "known: json, csv")),
    };
    filter.kinds = match filter.actor {
        Some(_) => [Kind::Disclosure].into(),
        None => [Kind::Delivery, Kind::Outcome].into(),
    };
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let answer = blocking(move || {
        let mut answer = look_up(&shared, &filter, field.as_ref(), limit)?;
        if with_contacts {
            contacts(&shared, &rules, &viewer, contacts_for.as_ref(), &mut answer.people)?;
        }
        Ok(answer)
    })
    .await;
    drop(permit);
    let answer = answer?;
    Ok(if is_csv { csv(&answer, with_contacts) } else { Json(answer).into_response() })
}

fn may_see_contacts(viewer: &Viewer) -> bool {
    viewer.may(Action::ListProfiles) && viewer.sees_identifiers() && viewer.purposes.is_none()
}

fn parse_field(text: &str) -> Result<FieldPath, ApiError> {
    FieldPath::parse(text)
        .ok_or_else(|| ApiError::bad("`field` is no path of a field", "write `traits.email` or `traits.*`"))
}

/// What the ledger says of one subject.
#[derive(Default)]
struct Traces {
    last_profile: FragmentId,
    touched: Touched,
    span: Option<(Timestamp, Timestamp)>,
}

#[derive(Default)]
struct Trail {
    by_subject: BTreeMap<FragmentId, Traces>,
    /// Deliveries whose outcome has not come yet.
    open: BTreeMap<u64, Touch>,
}

/// One delivery or read.
struct Touch {
    subject: FragmentId,
    profile: FragmentId,
    at: Timestamp,
    purposes: Vec<PurposeName>,
    fields: Vec<Box<str>>,
}

impl Trail {
    fn add(&mut self, touch: Touch, has_arrived: bool) {
        let traces = self.by_subject.entry(touch.subject).or_default();
        traces.last_profile = touch.profile;
        traces.touched.fields.extend(touch.fields);
        traces.touched.purposes.extend(touch.purposes);
        traces.touched.touches += 1;
        traces.touched.arrived += u64::from(has_arrived);
        let (first, last) = traces.span.unwrap_or((touch.at, touch.at));
        traces.span = Some((first.min(touch.at), last.max(touch.at)));
    }

    /// What became of deliveries. A later outcome of the same ones, after a restart, changes nothing.
    fn end(&mut self, first: u64, last: u64, was_sent: bool, has_arrived: bool) {
        if first > last {
            return;
        }
        let ended: Vec<u64> = self.open.range(first..=last).map(|(seq, _)| *seq).collect();
        for seq in ended {
            if let Some(touch) = self.open.remove(&seq).filter(|_| was_sent) {
                self.add(touch, has_arrived);
            }
        }
    }
}

fn look_up<L: Log, S: Store>(
    app: &App<L, S>,
    filter: &Filter,
    field: Option<&FieldPath>,
    limit: usize,
) -> Result<BreachAnswer, ApiError> {
    // The span is that of the touches; what became of them may stand behind it.
    let (from, until, purpose) = (filter.from, filter.until, filter.purpose.as_ref());
    let wide = Filter { from: None, until: None, purpose: None, ..filter.clone() };
    let is_meant = |at: Timestamp, fields: &[Box<str>], purposes: &[PurposeName]| {
        from.is_none_or(|from| at >= from)
            && until.is_none_or(|until| at < until)
            && field.is_none_or(|field| {
                fields.iter().any(|path| path.as_ref() == field.as_str() || field.covers(path))
            })
            && purpose.is_none_or(|purpose| purposes.contains(purpose))
    };
    let mut trail = Trail::default();
    app.parts.evidence.read(&wide, |line| {
        match &line.entry {
            Entry::Delivery(one) => {
                let purposes = vec![one.purpose.clone()];
                if is_meant(line.at, &one.fields, &purposes) {
                    let (subject, profile, fields) = (one.subject, one.profile, one.fields.clone());
                    trail.open.insert(line.seq, Touch { subject, profile, at: line.at, purposes, fields });
                }
            }
            Entry::Disclosure(one) => {
                if is_meant(line.at, &one.fields, &one.purposes) {
                    let (subject, profile, fields) = (one.profile, one.profile, one.fields.clone());
                    let purposes = one.purposes.clone();
                    trail.add(Touch { subject, profile, at: line.at, purposes, fields }, true);
                }
            }
            Entry::Outcome(one) => {
                let was_sent = one.reason.as_deref() != Some(NOT_SENT);
                let has_arrived = one.result == OutcomeStatus::Delivered;
                trail.end(one.first, one.last, was_sent, has_arrived);
            }
            Entry::Change(_)
            | Entry::Access(_)
            | Entry::Notice(_)
            | Entry::Erasure(_)
            | Entry::Export(_)
            | Entry::Checkpoint(_) => {}
        }
        true
    })?;
    for touch in std::mem::take(&mut trail.open).into_values() {
        trail.add(touch, false);
    }
    Ok(summary(people(app, trail.by_subject)?, limit))
}

/// The people behind the subjects: many fragments may be one profile by now.
fn people<L: Log, S: Store>(
    app: &App<L, S>,
    by_subject: BTreeMap<FragmentId, Traces>,
) -> Result<BTreeMap<FragmentId, Traces>, ApiError> {
    let mut people: BTreeMap<FragmentId, Traces> = BTreeMap::new();
    for (subject, traces) in by_subject {
        let known = profile_of(app.parts.store.as_ref(), subject)?;
        let person = people.entry(known.unwrap_or(traces.last_profile)).or_insert_with(|| Traces {
            touched: Touched { is_gone: known.is_none(), ..Touched::default() },
            ..Traces::default()
        });
        let touched = &mut person.touched;
        touched.fragments.insert(subject);
        touched.fields.extend(traces.touched.fields);
        touched.purposes.extend(traces.touched.purposes);
        touched.touches += traces.touched.touches;
        touched.arrived += traces.touched.arrived;
        if let Some((first, last)) = traces.span {
            let (known_first, known_last) = person.span.unwrap_or((first, last));
            person.span = Some((known_first.min(first), known_last.max(last)));
        }
    }
    Ok(people)
}

fn summary(people: BTreeMap<FragmentId, Traces>, limit: usize) -> BreachAnswer {
    let mut answer = BreachAnswer {
        people_count: people.len(),
        gone_count: people.values().filter(|person| person.touched.is_gone).count(),
        touches: people.values().map(|person| person.touched.touches).sum(),
        fields: BTreeMap::new(),
        people: Vec::new(),
        is_cut: people.len() > limit,
    };
    for (id, person) in people {
        for field in &person.touched.fields {
            *answer.fields.entry(field.clone()).or_default() += 1;
        }
        if answer.people.len() < limit {
            let (first, last) = person.span.unzip();
            answer.people.push(Touched {
                profile: id.to_string(),
                first_at: first.map(|at| at.to_string()).unwrap_or_default(),
                last_at: last.map(|at| at.to_string()).unwrap_or_default(),
                ..person.touched
            });
        }
    }
    answer
}

/// Adds where people can be written to, and records that it was shown.
fn contacts<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    viewer: &Viewer,
    purpose: Option<&PurposeName>,
    people: &mut [Touched],
) -> Result<(), ApiError> {
    let query = Query { rules, purpose, view: View::default(), now: app.parts.clock.now() };
    let labels = app.labels(rules);
    let reader = Reader { labels: &labels, hidden: viewer.hidden(), purposes: viewer.purposes.as_ref() };
    let mut shown = Vec::new();
    for person in people.iter_mut() {
        let id = id_of(&person.profile)?;
        let found = match query.seen_by(reader).by_id(app.parts.store.as_ref(), id) {
            Ok(profile) => profile,
            Err(QueryError::NotFound | QueryError::Denied { .. }) => {
                person.contacts = Some(Vec::new());
                continue;
            }
            Err(QueryError::Failed(error)) => return Err(error.into()),
        };
        let mut taken = found.get().shown.clone();
        let is_contact = |identifier: &IdentifierView| {
            CONTACTS.contains(&identifier.namespace.as_str()) && !identifier.value.is_empty()
        };
        let contacts: Vec<_> =
            found.into_inner().identifiers.into_iter().filter(|identifier| is_contact(identifier)).collect();
        taken.fields.retain(|field| {
            contacts.iter().any(|one| field.strip_prefix("identifiers.") == Some(one.namespace.as_str()))
        });
        person.contacts = Some(contacts);
        shown.push((id, taken));
    }
    app.record(Look { viewer, route: ROUTE, subject: None }, shown)?;
    Ok(())
}

fn csv(answer: &BreachAnswer, with_contacts: bool) -> Response {
    let mut out = String::from("profile,is_gone,fragments,fields,purposes,touches,arrived,first_at,last_at");
    if with_contacts {
        out.push_str(",contacts");
    }
    out.push_str("\r\n");
    for person in &answer.people {
        let mut cells = vec![
            person.profile.clone(),
            person.is_gone.to_string(),
            joined(person.fragments.iter()),
            joined(person.fields.iter()),
            joined(person.purposes.iter()),
            person.touches.to_string(),
            person.arrived.to_string(),
            person.first_at.clone(),
            person.last_at.clone(),
        ];
        if let Some(contacts) = &person.contacts {
            cells.push(joined(contacts.iter().map(|one| format!("{}:{}", one.namespace, one.value))));
        }
        out.push_str(&cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    }
    let mut response = out.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    response
}

fn joined<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

/// A cell as RFC 4180 wants it; none begins a formula, for each that a person could choose begins with its namespace
/// or its path.
fn cell(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n', ' ']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// Whether `name` is a contact's namespace: the parse keeps the list above honest.
#[cfg(test)]
mod tests {
    use tessera_model::Namespace;

    use super::*;

    #[test]
    fn contact_namespaces_are_namespaces() {
        assert!(CONTACTS.iter().all(|name| Namespace::parse(name).is_ok()));
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(cell("a"), "a");
        assert_eq!(cell("a \"b\",c"), "\"a \"\"b\"\",c\"");
    }
}
