//! Who asks for events of one name, and what of them: each filter is asked once, and the properties are read once.

use super::check::Check;
use super::compile::Touched;
use super::event::EventView;
use super::extract::{Found, Paths};
use super::feature::Feature;
use crate::{Events, Filter, Path};

/// A condition on what was found in an event.
#[derive(Clone, Debug)]
enum Sieve {
    All(Vec<Sieve>),
    Any(Vec<Sieve>),
    Not(Box<Sieve>),
    Passes { slot: usize, check: Check },
}

impl Sieve {
    fn lets_through(&self, found: &[Found]) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.lets_through(found)),
            Self::Any(any) => any.iter().any(|one| one.lets_through(found)),
            Self::Not(one) => !one.lets_through(found),
            Self::Passes { slot, check } => found.get(*slot).is_some_and(|found| check.passes(found)),
        }
    }
}

#[derive(Clone, Debug)]
struct Selector {
    sieve: Option<Sieve>,
    features: Vec<(usize, Option<usize>)>,
}

/// All that is asked of events of one name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The paths of the slots.
    slots: Vec<Path>,
    in_properties: Paths,
    in_traits: Paths,
    selectors: Vec<Selector>,
}

impl Asked {
    /// Adds features of the same events.
    pub(crate) fn add(&mut self, events: &Events, numbers: &[usize], features: &[Feature]) {
        let sieve = events.filter.as_ref().map(|filter| self.sieve(filter));
        let features = numbers.iter().map(|number| {
            let path = features.get(*number).and_then(|feature| feature.kind.path());
            (*number, path.map(|path| self.slot(path)))
        });
        let features = features.collect();
        self.selectors.push(Selector { sieve, features });
    }

    fn sieve(&mut self, filter: &Filter) -> Sieve {
        match filter {
            Filter::All(all) => Sieve::All(all.iter().map(|one| self.sieve(one)).collect()),
            Filter::Any(any) => Sieve::Any(any.iter().map(|one| self.sieve(one)).collect()),
            Filter::Not(one) => Sieve::Not(Box::new(self.sieve(one))),
            Filter::Property(test) => {
                Sieve::Passes { slot: self.slot(&test.path), check: Check::of(&test.test) }
            }
        }
    }

    fn slot(&mut self, path: &Path) -> usize {
        if let Some(slot) = self.slots.iter().position(|known| known == path) {
            return slot;
        }
        let slot = self.slots.len();
        self.slots.push(path.clone());
        let names = path.names().iter().map(|name| name.as_str());
        let is_own = path.first() != "context";
        // `properties` is what the call itself says, whatever its name for that.
        let names = names.skip(usize::from(path.first() == "properties"));
        let in_part = |part| is_own.then_some(part).into_iter().chain(names.clone());
        self.in_properties.ask(in_part("properties"), slot);
        self.in_traits.ask(in_part("traits"), slot);
        slot
    }

    /// The features that the event touches.
    pub(crate) fn touched(&self, event: &EventView<'_>) -> Touched {
        if self.selectors.is_empty() {
            return Touched::default();
        }
        let paths = if event.in_traits { &self.in_traits } else { &self.in_properties };
        let found = paths.read(event.json, self.slots.len());
        let mut features = Vec::new();
        for selector in &self.selectors {
            if selector.sieve.as_ref().is_none_or(|sieve| sieve.lets_through(&found)) {
                features.extend_from_slice(&selector.features);
            }
        }
        Touched { found, features }
    }
}
