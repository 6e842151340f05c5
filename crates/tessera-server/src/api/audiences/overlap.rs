//! How many people audiences share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Serialize;
use tessera_audience::{Audience, Definitions, Outcome};
use tessera_model::PurposeName;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{in_force, named};
use super::everybody::{Census, Wanted};
use super::looking::{Looking, PAGE_MAX};
use super::tally::{Base, Estimate};
use crate::access::Viewer;
use crate::api::Params;
use crate::api::profiles::path;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

const ROUTE: &str = "GET /api/v1/audiences/{name}/overlap";
/// Most audiences that are compared: the number of ways to be in some of them doubles with each.
const AUDIENCES_MAX: usize = 8;

/// What audiences share.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overlap {
    /// How many people were looked at.
    looked_at: u64,
    /// Whether that was everybody.
    is_exact: bool,
    /// Each audience with its size.
    audiences: Vec<SizeOf>,
    /// Everybody who is in any, once: in these audiences and in no other of those compared. Largest first.
    sets: Vec<SharedBy>,
    /// Each two of them, with all that they share.
    pairs: Vec<SharedBy>,
}

/// An audience and its size.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SizeOf {
    /// The audience.
    name: String,
    /// How many members it has.
    members: Estimate,
}

/// Some audiences, and those who are in them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SharedBy {
    /// The audiences.
    audiences: Vec<String>,
    /// How many.
    members: Estimate,
}

/// How many people audiences share.
///
/// An estimate from a sample of people, with its margin, unless `exact=true`; counts alone. Made from what the account sees of
/// people for the purposes of the audiences.
#[utoipa::path(
    get, path = "/api/v1/audiences/{name}/overlap", tag = "audiences",
    params(
        ("name" = String, Path, description = "The audience"),
        ("with" = String, Query, description = "Other audiences, divided by commas: at most seven"),
        ("exact" = Option<bool>, Query, description = "Look at everybody"),
    ),
    responses(
        (status = 200, description = "What they share.", body = Overlap),
        (status = 403, description = "The account was not granted one of the purposes.", body = ErrorAnswer),
        (status = 404, description = "No such audience, or this server has no lake.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn overlap<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Overlap>, ApiError> {
    let name = path(name)?;
    let mut params = Params::of(&uri)?;
    let with = params.take("with").unwrap_or_default();
    let exact = params.take("exact");
    params.finish("with, exact")?;
    let rules = app.parts.rules.load_full();
    let definitions = in_force(&rules)?;
    let mut audiences: Vec<&Audience> = Vec::new();
    for name in [name.as_str()].into_iter().chain(with.split(',').filter(|name| !name.is_empty())) {
        let audience = named(&definitions, name)?;
        if !audiences.iter().any(|known| known.name == audience.name) {
            audiences.push(audience);
        }
    }
    if audiences.len() < 2 || audiences.len() > AUDIENCES_MAX {
        let what = "two to eight different audiences can be compared";
        return Err(ApiError::bad(what, "name the others in `with`, divided by commas"));
    }
    let looking = Looking::new((&app, &viewer, ROUTE), &rules, &definitions, &audiences)?;
    let is_exact = exact.as_deref() == Some("true");
    let shared = shared(&looking, &definitions, &audiences, is_exact).await?;
    let names: Vec<String> = audiences.iter().map(|one| one.name.to_string()).collect();
    let base = Base::new(shared.looked_at, shared.next.as_deref());
    Ok(Json(answer(&names, &shared.sets, &base, shared.next.is_none())))
}

/// Who is in which of some audiences: a bit for each audience, and how many people are in just these.
#[derive(Default)]
struct Shared {
    sets: BTreeMap<u32, u64>,
    looked_at: u64,
    /// Where the next page of people begins.
    next: Option<String>,
}

async fn shared<L: Log, S: Store>(
    looking: &Arc<Looking<L, S>>,
    definitions: &Definitions,
    audiences: &[&Audience],
    is_exact: bool,
) -> Result<Shared, ApiError> {
    let ordinals = audiences.iter().map(|one| looking.asked.ordinal(one)).collect::<Result<Vec<_>, _>>()?;
    let mut shared = Shared::default();
    loop {
        let is_first = shared.looked_at == 0;
        let page = looking.page(shared.next.take(), PAGE_MAX).await?;
        for person in &page.people {
            let answers = looking.asked.compiled.evaluate(person, looking.now, ordinals.iter().copied());
            let bits = answers.iter().filter(|answer| answer.outcome == Outcome::Member(true));
            let bits = bits.filter_map(|answer| ordinals.iter().position(|one| *one == answer.ordinal));
            shared.add(bits.fold(0_u32, |set, bit| set | 1 << bit));
        }
        shared.next = page.next;
        if shared.next.is_none() || !is_exact {
            return Ok(shared);
        }
        let wanted = audiences.iter().map(|one| Wanted::of(one)).collect();
        if is_first && let Some(census) = looking.census(definitions, wanted).await? {
            return Ok(Shared::of(&census, &looking.purposes));
        }
    }
}

impl Shared {
    fn of(census: &Census, purposes: &BTreeSet<PurposeName>) -> Self {
        let people = census.people_of(purposes);
        let mut shared = Self::default();
        for id in &people {
            let bits = census.found.iter().enumerate().filter(|(_, found)| found.contains(id));
            shared.add(bits.fold(0_u32, |set, (bit, _)| set | 1 << bit));
        }
        shared
    }

    /// Counts somebody who is in these.
    fn add(&mut self, set: u32) {
        self.looked_at += 1;
        if set != 0 {
            *self.sets.entry(set).or_default() += 1;
        }
    }
}

fn answer(names: &[String], sets: &BTreeMap<u32, u64>, base: &Base, is_exact: bool) -> Overlap {
    let within = |mask: u32| sets.iter().filter(|(set, _)| *set & mask == mask).map(|(_, count)| count).sum();
    let named = |set: u32| {
        let is_in = |bit: usize| set >> bit & 1 == 1;
        names.iter().enumerate().filter(|(bit, _)| is_in(*bit)).map(|(_, name)| name.clone()).collect()
    };
    let shared = |set: u32, count: u64| SharedBy { audiences: named(set), members: base.estimate(count) };
    let mut disjoint: Vec<(u32, u64)> = sets.iter().map(|(set, count)| (*set, *count)).collect();
    disjoint.sort_by_key(|(set, count)| (std::cmp::Reverse(*count), *set));
    let singles = names.iter().enumerate();
    let pairs = (0..names.len()).flat_map(|b| (0..b).map(move |a| (1_u32 << a) | (1 << b)));
    Overlap {
        looked_at: base.looked_at,
        is_exact,
        audiences: singles
            .map(|(bit, name)| SizeOf { name: name.clone(), members: base.estimate(within(1 << bit)) })
            .collect(),
        sets: disjoint.into_iter().map(|(set, count)| shared(set, count)).collect(),
        pairs: pairs.map(|mask| shared(mask, within(mask))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_counted_once_and_pairs_whole() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let sets = BTreeMap::from([(0b001, 5), (0b011, 2), (0b111, 1), (0b100, 7)]);
        let found = answer(&names, &sets, &Base { looked_at: 20, part: None }, true);
        let sizes: Vec<u64> = found.audiences.iter().map(|one| one.members.people).collect();
        assert_eq!(sizes, [8, 3, 8]);
        let line = |one: &SharedBy| (one.audiences.join("+"), one.members.people);
        let text = |pairs: &[(&str, u64)]| {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>()
        };
        assert_eq!(
            found.sets.iter().map(line).collect::<Vec<_>>(),
            text(&[("c", 7), ("a", 5), ("a+b", 2), ("a+b+c", 1)])
        );
        assert_eq!(
            found.pairs.iter().map(line).collect::<Vec<_>>(),
            text(&[("a+b", 3), ("a+c", 1), ("b+c", 1)])
        );
    }
}
