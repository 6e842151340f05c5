//! From definitions to plans: names become numbers, and what is taken of events becomes features.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;
use tessera_model::PurposeName;

use super::check::Check;
use super::compile::{Body, CompileError, Definition, DefinitionName};
use super::extract::Paths;
use super::feature::{Feature, FeatureId, Kind};
use super::plan::{Chain, FromTrait, Grid, Link, Node, Source, Taking};
use super::span::{Span, Zone};
use crate::{
    Aggregate, Audience, ComputedTrait, Condition, Events, MICROS, Operand, Path, Rfm, Scalar, Sequence,
    Take, Test, TimeZoneName, ValueTest, Window,
};

/// Above this a count is kept exactly, not up to where more change nothing.
const ENOUGH_MAX: u64 = 4_096;

/// What a definition itself asks for.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    pub(crate) definitions: BTreeSet<usize>,
    pub(crate) features: BTreeSet<usize>,
    pub(crate) traits: BTreeSet<SmolStr>,
    pub(crate) accounts: BTreeSet<SmolStr>,
    pub(crate) consents: BTreeSet<PurposeName>,
    pub(crate) subscriptions: bool,
}

/// All definitions, lowered.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) definitions: Vec<Definition>,
    pub(crate) features: Vec<Feature>,
    pub(crate) uses: Vec<Uses>,
}

/// Lowers all definitions: computed traits first, then audiences.
pub(crate) fn lower(audiences: &[Audience], traits: &[ComputedTrait]) -> Result<Lowered, CompileError> {
    let names: Vec<DefinitionName> = traits
        .iter()
        .map(|computed| DefinitionName::ComputedTrait(computed.name.clone()))
        .chain(audiences.iter().map(|audience| DefinitionName::Audience(audience.name.clone())))
        .collect();
    let mut lowering = Lowering {
        numbers: names.iter().cloned().zip(0..).collect(),
        features: Vec::new(),
        by_id: BTreeMap::new(),
        zone: TimeZoneName::default(),
        uses: Uses::default(),
    };
    let (mut definitions, mut uses) = (Vec::new(), Vec::new());
    let mut names = names.into_iter();
    for computed in traits {
        lowering.zone = computed.time_zone.clone();
        let body = Body::Trait(lowering.source(&computed.value)?);
        let zone = Zone::of(&computed.time_zone);
        let purpose = computed.purpose.clone();
        definitions.extend(names.next().map(|name| Definition { name, purpose, zone, body }));
        uses.push(std::mem::take(&mut lowering.uses));
    }
    for audience in audiences {
        lowering.zone = audience.time_zone.clone();
        let body = Body::Audience(lowering.node(&audience.when)?);
        let zone = Zone::of(&audience.time_zone);
        let purpose = audience.purpose.clone();
        definitions.extend(names.next().map(|name| Definition { name, purpose, zone, body }));
        uses.push(std::mem::take(&mut lowering.uses));
    }
    refuse_cycles(&definitions, &uses)?;
    Ok(Lowered { definitions, features: lowering.features, uses })
}

/// A definition whose uses are all in order is in order; what is left over when none more can be found is a cycle.
fn refuse_cycles(definitions: &[Definition], uses: &[Uses]) -> Result<(), CompileError> {
    let mut left: BTreeSet<usize> = (0..definitions.len()).collect();
    loop {
        let free: Vec<usize> = left
            .iter()
            .copied()
            .filter(|one| uses.get(*one).is_none_or(|uses| uses.definitions.is_disjoint(&left)))
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|one| !free.contains(one));
    }
    let cycle: Vec<DefinitionName> =
        left.iter().filter_map(|one| Some(definitions.get(*one)?.name.clone())).collect();
    if cycle.is_empty() { Ok(()) } else { Err(CompileError::Cycle(cycle)) }
}

struct Lowering {
    numbers: BTreeMap<DefinitionName, usize>,
    features: Vec<Feature>,
    by_id: BTreeMap<FeatureId, usize>,
    zone: TimeZoneName,
    uses: Uses,
}

impl Lowering {
    fn nodes(&mut self, conditions: &[Condition]) -> Result<Vec<Node>, CompileError> {
        conditions.iter().map(|condition| self.node(condition)).collect()
    }

    fn node(&mut self, condition: &Condition) -> Result<Node, CompileError> {
        Ok(match condition {
            Condition::All(all) => Node::All(self.nodes(all)?),
            Condition::Any(any) => Node::Any(self.nodes(any)?),
            Condition::Not(one) => Node::Not(Box::new(self.node(one)?)),
            Condition::Value(test) => self.value(test)?,
            Condition::Compare(compare) => Node::Compare {
                left: self.source(&compare.left)?,
                comparator: compare.comparator,
                right: self.source(&compare.right)?,
            },
            Condition::Date(date) => Node::Date { of: self.source(&date.of)?, is: date.is },
            Condition::Anniversary(anniversary) => {
                Node::Anniversary { of: self.of_trait(&anniversary.of), within_days: anniversary.within_days }
            }
            Condition::Sequence(sequence) => Node::Sequence(self.chain(sequence)?),
            Condition::Audience(name) => {
                let number = self.numbers.get(&DefinitionName::Audience(name.clone())).copied();
                let number = number.ok_or_else(|| CompileError::UnknownAudience(name.clone()))?;
                self.uses.definitions.insert(number);
                Node::Audience(number)
            }
            Condition::Consent(test) => {
                self.uses.consents.insert(test.purpose.clone());
                Node::Consent { purpose: test.purpose.clone(), is: test.is }
            }
            Condition::Subscription(test) => {
                self.uses.subscriptions = true;
                Node::Subscription(test.clone())
            }
            Condition::Sample(sample) => {
                Node::Sample { seed: sample.seed.clone(), from: sample.from, to: sample.to }
            }
        })
    }

    fn value(&mut self, ValueTest { of, test }: &ValueTest) -> Result<Node, CompileError> {
        let check = Check::of(test);
        // How many more there are than the test can tell apart does not matter.
        if let Operand::Aggregate(aggregate) = of
            && aggregate.take == Take::Count
        {
            let feature = self.count(&aggregate.of, &aggregate.window, enough(test))?;
            return Ok(Node::Value { of: Source::Taken { feature, take: Taking::Count }, check });
        }
        Ok(Node::Value { of: self.source(of)?, check })
    }

    fn source(&mut self, operand: &Operand) -> Result<Source, CompileError> {
        Ok(match operand {
            Operand::Literal(literal) => Source::Literal(literal.clone()),
            Operand::Trait(path) => Source::Trait(self.of_trait(path)),
            Operand::Account(path) => {
                self.uses.accounts.insert(path.first().into());
                Source::Account(from_trait(path, None))
            }
            Operand::Aggregate(aggregate) => self.taken(aggregate)?,
            Operand::Arithmetic(arithmetic) => Source::Arithmetic(Box::new((
                self.source(&arithmetic.left)?,
                arithmetic.operator,
                self.source(&arithmetic.right)?,
            ))),
            Operand::Age(path) => Source::Age(self.of_trait(path)),
            Operand::Rfm(rfm) => Source::Rfm(Box::new(self.grid(rfm)?)),
            Operand::Whether(condition) => Source::Whether(Box::new(self.node(condition)?)),
        })
    }

    fn taken(&mut self, Aggregate { take, of, window }: &Aggregate) -> Result<Source, CompileError> {
        let (kind, taking) = match take {
            Take::Count => (Kind::Count { enough: None }, Taking::Count),
            Take::Sum(path) => (Kind::Tally(path.clone()), Taking::Sum),
            Take::Average(path) => (Kind::Tally(path.clone()), Taking::Average),
            Take::Min(path) => (Kind::Least(path.clone()), Taking::Least),
            Take::Max(path) => (Kind::Greatest(path.clone()), Taking::Greatest),
            Take::Distinct(path) => (Kind::Distinct(path.clone()), Taking::Distinct),
            Take::UniqueList(path) => (Kind::Distinct(path.clone()), Taking::UniqueList),
            Take::MostFrequent(path) => (Kind::Frequent(path.clone()), Taking::MostFrequent),
            Take::First(path) => (Kind::First(path.clone()), Taking::First),
            Take::Last(path) => (Kind::Last(path.clone()), Taking::Last),
            Take::FirstAt => (Kind::FirstAt, Taking::First),
            Take::LastAt => (Kind::LastAt, Taking::Last),
        };
        Ok(Source::Taken { feature: self.feature(kind, of, window)?, take: taking })
    }

    fn count(
        &mut self,
        events: &Events,
        window: &Window,
        enough: Option<u64>,
    ) -> Result<usize, CompileError> {
        let span = Span::of(window, &self.zone);
        // What stands still is one number, however large.
        let shrinks = span.ends_now() && !matches!(span, Span::Still { .. });
        let enough = enough.filter(|enough| shrinks && *enough <= ENOUGH_MAX);
        self.feature(Kind::Count { enough }, events, window)
    }

    fn feature(&mut self, kind: Kind, events: &Events, window: &Window) -> Result<usize, CompileError> {
        let feature = Feature::new(kind, events, window, &self.zone);
        let number = match self.by_id.get(&feature.id) {
            Some(number) => {
                let known = self.features.get(*number);
                let is_same = known.is_some_and(|known| {
                    known.kind == feature.kind && known.events == feature.events && known.span == feature.span
                });
                if !is_same {
                    return Err(CompileError::Collision);
                }
                *number
            }
            None => {
                self.by_id.insert(feature.id, self.features.len());
                self.features.push(feature);
                self.features.len() - 1
            }
        };
        self.uses.features.insert(number);
        Ok(number)
    }

    fn grid(&mut self, rfm: &Rfm) -> Result<Grid, CompileError> {
        let most = rfm.frequency.iter().max().copied().unwrap_or_default();
        Ok(Grid {
            latest: self.feature(Kind::LastAt, &rfm.of, &rfm.window)?,
            count: self.count(&rfm.of, &rfm.window, Some(round_up(u64::from(most))))?,
            sum: self.feature(Kind::Tally(rfm.amount.clone()), &rfm.of, &rfm.window)?,
            recency: rfm.recency.clone(),
            frequency: rfm.frequency.clone(),
            monetary: rfm.monetary.clone(),
        })
    }

    fn chain(&mut self, sequence: &Sequence) -> Result<Chain, CompileError> {
        let mut times = |events: &Events| self.feature(Kind::Times, events, &sequence.window);
        let steps = sequence.steps.iter().map(|step| {
            Ok(Link {
                event: times(&step.event)?,
                within: step.within.map(crate::Duration::millis),
                without: step.without.iter().map(&mut times).collect::<Result<_, _>>()?,
            })
        });
        let steps = steps.collect::<Result<_, _>>()?;
        let then_no = match &sequence.then_no {
            None => None,
            Some(absence) => {
                let events = absence.events.iter().map(&mut times).collect::<Result<_, _>>()?;
                Some((events, absence.within.millis()))
            }
        };
        Ok(Chain { steps, within: sequence.within.map(crate::Duration::millis), then_no })
    }

    fn of_trait(&mut self, path: &Path) -> FromTrait {
        let name = tessera_model::TraitName::parse(path.first()).ok();
        let computed = name.and_then(|name| self.numbers.get(&DefinitionName::ComputedTrait(name)).copied());
        match computed {
            Some(number) => drop(self.uses.definitions.insert(number)),
            None => drop(self.uses.traits.insert(path.first().into())),
        }
        from_trait(path, computed)
    }
}

fn from_trait(path: &Path, computed: Option<usize>) -> FromTrait {
    let mut rest = Paths::default();
    rest.ask(path.names().iter().skip(1).map(|name| name.as_str()), 0);
    FromTrait { name: path.first().into(), computed, rest }
}

/// The count from which on a test says the same of every count, rounded up so that features are shared. `None`: too large
/// to tell.
fn enough(test: &Test) -> Option<u64> {
    let (literals, is_reached) = match test {
        Test::AtLeast(literal) | Test::Less(literal) => (std::slice::from_ref(literal), true),
        Test::Equals(literal) | Test::NotEquals(literal) | Test::AtMost(literal) | Test::Greater(literal) => {
            (std::slice::from_ref(literal), false)
        }
        Test::In(literals) | Test::NotIn(literals) => (literals.as_slice(), false),
        Test::Contains(_)
        | Test::StartsWith(_)
        | Test::EndsWith(_)
        | Test::Matches(_)
        | Test::Before(_)
        | Test::Since(_)
        | Test::Exists => ([].as_slice(), false),
    };
    let first = |literal: &Scalar| match literal {
        Scalar::Number(number) if is_reached => Some((number.micros().max(0) + MICROS - 1) / MICROS),
        Scalar::Number(number) => Some(number.micros().max(0) / MICROS + 1),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    };
    let most = literals.iter().filter_map(first).max().unwrap_or_default();
    u64::try_from(most).ok().map(round_up)
}

/// 1, 2, 4, 8 and so on.
fn round_up(count: u64) -> u64 {
    count.max(1).checked_next_power_of_two().unwrap_or(u64::MAX)
}
