//! Asking everybody at once, by SQL over the lake, where people would else be asked page by page.
//!
//! Invariant: both ways see what the reader sees, and count the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tessera_audience::{Audience, Condition, Definitions, Number, Reason, Sample, TimeZoneName};
use tessera_model::{AudienceName, FragmentId, PurposeName};
use tessera_store::{Log, Store};

use super::looking::Looking;
use crate::api::query::refused;
use crate::error::ApiError;
use crate::queries::EverybodyAsked;
use crate::shared::blocking;

/// A condition that everybody is asked for.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    purpose: PurposeName,
    time_zone: TimeZoneName,
    when: Condition,
}

impl Wanted {
    /// Everybody whom a purpose permits to look at.
    fn everybody(purpose: &PurposeName) -> Self {
        let whole =
            Sample { seed: "all".into(), from: Number::from_integer(0), to: Number::from_integer(100) };
        Self { purpose: purpose.clone(), time_zone: TimeZoneName::default(), when: Condition::Sample(whole) }
    }

    /// A condition within an audience.
    fn within(audience: &Audience, when: &Condition) -> Self {
        let Audience { purpose, time_zone, .. } = audience;
        Self { purpose: purpose.clone(), time_zone: time_zone.clone(), when: when.clone() }
    }

    /// An audience's own.
    pub(super) fn of(audience: &Audience) -> Self {
        Self::within(audience, &audience.when)
    }

    /// It, under a name that no audience has: what is asked for may not be in force.
    fn named(self, definitions: &Definitions, number: usize) -> Result<Audience, ApiError> {
        let names = (0..).map(|more| format!("asked-{number}-{more}"));
        let mut names = names.filter_map(|name| AudienceName::parse(&name).ok());
        let name = names.find(|name| definitions.audience(name).is_none()).ok_or(ApiError::Internal)?;
        let Self { purpose, time_zone, when } = self;
        Ok(Audience { name, purpose, time_zone, description: String::new(), when })
    }
}

/// What everybody was found to be.
pub(super) struct Census {
    /// Whom each purpose of the audiences permits to look at.
    people: BTreeMap<PurposeName, BTreeSet<FragmentId>>,
    /// Of whom the conditions hold, in the order in which they were asked for.
    pub(super) found: Vec<BTreeSet<FragmentId>>,
}

impl<L: Log, S: Store> Looking<L, S> {
    /// Asks everybody at once for these conditions. `None`: they have to be asked page by page, because there is no lake or no SQL for
    /// one of them, or because nothing but profiles is looked at: to go through those once is all there is to do.
    pub(super) async fn census(
        self: &Arc<Self>,
        definitions: &Definitions,
        wanted: Vec<Wanted>,
    ) -> Result<Option<Census>, ApiError> {
        let Some(queries) = self.app.parts.queries.clone().filter(|_| self.looks_at_events()) else {
            return Ok(None);
        };
        let mut all = definitions.clone();
        let mut names = Vec::new();
        let purposes = wanted.iter().map(|one| &one.purpose).chain(&self.purposes);
        let purposes: BTreeSet<PurposeName> = purposes.cloned().collect();
        for (number, one) in purposes.iter().map(Wanted::everybody).chain(wanted).enumerate() {
            let audience = one.named(definitions, number)?;
            names.push(audience.name.clone());
            all.audiences.push(audience);
        }
        let asked = EverybodyAsked {
            definitions: Arc::new(all),
            audiences: names,
            rules: Arc::clone(&self.rules),
            labels: Arc::clone(&self.labels),
            hidden: self.viewer.hidden(),
            purposes: self.viewer.purposes.clone(),
            now: self.now,
        };
        let permit = self.app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
        let answer = queries.everybody(asked).await.map_err(refused)?;
        drop(permit);
        let Some(answer) = answer else { return Ok(None) };
        let mut answer = answer.into_iter();
        let people = purposes.into_iter().zip(answer.by_ref()).collect();
        let census = Census { people, found: answer.collect() };
        let (looking, count) = (Arc::clone(self), census.people_of(&self.purposes).len());
        blocking(move || looking.record("everybody for audiences", looking.asked.fields.clone(), count))
            .await?;
        Ok(Some(census))
    }

    fn looks_at_events(&self) -> bool {
        self.asked.any_event || !self.asked.events.is_empty()
    }
}

impl Census {
    /// The people whom any of the purposes permits to look at.
    pub(super) fn people_of(&self, purposes: &BTreeSet<PurposeName>) -> BTreeSet<FragmentId> {
        purposes.iter().filter_map(|purpose| self.people.get(purpose)).flatten().copied().collect()
    }

    pub(super) fn permits(&self, id: &FragmentId, purpose: &PurposeName) -> bool {
        self.people.get(purpose).is_some_and(|people| people.contains(id))
    }

    fn holds(&self, id: &FragmentId, number: usize) -> bool {
        self.found.get(number).is_some_and(|found| found.contains(id))
    }
}

/// A condition of which every part that is none of others is asked for by itself.
pub(super) enum Part {
    /// The number of the condition that was asked for.
    Asked(usize),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// Another audience: of those whom its purpose permits to look at.
    Audience(PurposeName, Box<Self>),
}

impl Part {
    /// The parts of an audience's condition; what has to be asked for goes into `wanted`.
    pub(super) fn of(audience: &Audience, definitions: &Definitions, wanted: &mut Vec<Wanted>) -> Self {
        Self::within((audience, &audience.when), definitions, wanted)
    }

    fn within(
        (audience, condition): (&Audience, &Condition),
        definitions: &Definitions,
        wanted: &mut Vec<Wanted>,
    ) -> Self {
        let mut below = |part| Self::within((audience, part), definitions, wanted);
        match condition {
            Condition::All(parts) => Self::All(parts.iter().map(below).collect()),
            Condition::Any(parts) => Self::Any(parts.iter().map(below).collect()),
            Condition::Not(part) => Self::Not(Box::new(below(part))),
            Condition::Audience(name) if let Some(other) = definitions.audience(name) => {
                Self::Audience(other.purpose.clone(), Box::new(Self::of(other, definitions, wanted)))
            }
            Condition::Audience(_)
            | Condition::Value(_)
            | Condition::Compare(_)
            | Condition::Date(_)
            | Condition::Anniversary(_)
            | Condition::Sequence(_)
            | Condition::Consent(_)
            | Condition::Subscription(_)
            | Condition::Sample(_) => {
                let one = Wanted::within(audience, condition);
                let known = wanted.iter().position(|known| *known == one);
                Self::Asked(known.unwrap_or_else(|| {
                    wanted.push(one);
                    wanted.len() - 1
                }))
            }
        }
    }

    /// Why it holds of somebody, or does not, without values and events.
    pub(super) fn reason(&self, census: &Census, id: &FragmentId) -> Reason {
        let below = |parts: &[Self]| parts.iter().map(|part| part.reason(census, id)).collect::<Vec<_>>();
        let (holds, parts) = match self {
            Self::Asked(number) => (census.holds(id, *number), Vec::new()),
            Self::All(parts) => {
                let parts = below(parts);
                (parts.iter().all(|part| part.holds), parts)
            }
            Self::Any(parts) => {
                let parts = below(parts);
                (parts.iter().any(|part| part.holds), parts)
            }
            Self::Not(part) => {
                let part = part.reason(census, id);
                (!part.holds, vec![part])
            }
            Self::Audience(purpose, part) => {
                let part = part.reason(census, id);
                (part.holds && census.permits(id, purpose), vec![part])
            }
        };
        Reason {
            holds,
            next_change_at: None,
            values: Vec::new(),
            against: Vec::new(),
            events: Vec::new(),
            parts,
        }
    }
}
