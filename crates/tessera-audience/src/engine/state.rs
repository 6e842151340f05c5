//! What a fragment keeps of its events for audiences and computed traits: a commutative monoid.
//!
//! Not what a person is a member of: that follows from the states of all their fragments, and is never stored here. The
//! caller applies each message once, and keeps one state for each basis of a fragment, so that a purpose sees the states
//! of its own events alone. Invariants: slots stand in the order of their ids; the state follows from the set of events
//! applied, whatever their order. How far back anything is kept follows from the latest event: `now` is never before it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tessera_model::{MessageKey, Timestamp};

use super::compile::{Compiled, Touched};
use super::event::EventView;
use super::extract::Found;
use super::feature::{Data, Feature, FeatureId};
use super::span::floor;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The latest event that a feature holds anything of.
pub(crate) type Mark = (i64, MessageKey);

/// One feature of one fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) id: FeatureId,
    pub(crate) mark: Mark,
    pub(crate) data: Data,
}

/// What a fragment keeps of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FragmentState {
    slots: Vec<Slot>,
}

impl FragmentState {
    /// Adds an event. The caller has made sure that its message is new. Returns what it touched.
    pub fn apply(&mut self, compiled: &Compiled, event: &EventView<'_>) -> Touched {
        let touched = compiled.touched(event);
        self.add(compiled, event, &touched);
        touched
    }

    /// Adds an event whose [`Compiled::touched`] is known.
    pub fn add(&mut self, compiled: &Compiled, event: &EventView<'_>, touched: &Touched) {
        let day = self.latest_day();
        for (number, found) in touched.iter() {
            if let Some(feature) = compiled.feature(number) {
                self.add_to(feature, event, found, day);
            }
        }
        self.sweep_from(compiled, day);
    }

    /// The UTC day of the latest event that it holds anything of.
    fn latest_day(&self) -> i64 {
        self.slots.iter().map(|slot| slot.mark.0).max().map_or(i64::MIN, |at| floor(at, DAY))
    }

    /// Sweeps when a day has begun since `day`: all features of a person forget together, once for each day of events.
    fn sweep_from(&mut self, compiled: &Compiled, day: i64) {
        let latest = self.latest_day();
        if latest > day {
            self.sweep(compiled, Timestamp::from_millis(latest));
        }
    }

    fn add_to(&mut self, feature: &Feature, event: &EventView<'_>, found: Option<&Found>, day: i64) {
        let (at, span) = (event.counts_at(), &feature.span);
        if !span.admits(at) {
            return;
        }
        let bucket = span.bucket(at);
        let place = self.slots.binary_search_by_key(&feature.id, |slot| slot.id);
        if let Some(slot) = place.ok().and_then(|place| self.slots.get_mut(place)) {
            let oldest = span.oldest(at.max(slot.mark.0).max(day));
            if bucket >= oldest && slot.data.add(at, bucket, found) {
                if is_later(&(at, event.message), &slot.mark) {
                    slot.mark = (at, event.message.clone());
                }
                slot.data.settle(feature, oldest);
            }
            return;
        }
        let mut data = Data::new(&feature.kind);
        let is_late = at < day && bucket < span.oldest(day);
        if let (Err(place), true) = (place, !is_late && data.add(at, bucket, found)) {
            data.settle(feature, bucket);
            self.slots.insert(place, Slot { id: feature.id, mark: (at, event.message.clone()), data });
        }
    }

    /// Keeps these features alone.
    pub fn retain(&mut self, is_kept: impl Fn(FeatureId) -> bool) {
        self.slots.retain(|slot| is_kept(slot.id));
    }

    /// The time at which the latest event counts that it holds anything of.
    #[must_use]
    pub fn latest_at(&self) -> Option<Timestamp> {
        self.slots.iter().map(|slot| slot.mark.0).max().map(Timestamp::from_millis)
    }

    /// Forgets the features that nobody asks for any more.
    pub fn forget_unasked(&mut self, compiled: &Compiled) {
        self.slots.retain(|slot| compiled.feature_of(slot.id).is_some());
    }

    /// Forgets what no window at `now` or later can need: for those who sweep what stands idle. The first event of a day
    /// forgets as much.
    pub fn sweep(&mut self, compiled: &Compiled, now: Timestamp) {
        self.slots.retain_mut(|slot| {
            let Some((_, feature)) = compiled.feature_of(slot.id) else { return false };
            slot.data.settle(feature, feature.span.oldest(now.as_millis().max(slot.mark.0)));
            !slot.data.is_empty()
        });
    }

    /// Adds all that another state holds, of other events.
    pub fn merge(&mut self, compiled: &Compiled, other: &Self) {
        for slot in &other.slots {
            let place = self.slots.binary_search_by_key(&slot.id, |known| known.id);
            let Some(known) = place.ok().and_then(|place| self.slots.get_mut(place)) else {
                self.slots.insert(place.unwrap_or_else(|place| place), slot.clone());
                continue;
            };
            known.data.absorb(&slot.data);
            if is_later(&(slot.mark.0, &slot.mark.1), &known.mark) {
                known.mark = slot.mark.clone();
            }
            if let Some((_, feature)) = compiled.feature_of(slot.id) {
                known.data.settle(feature, feature.span.oldest(known.mark.0));
            }
        }
        self.sweep_from(compiled, i64::MIN);
    }

    /// Takes a feature as another state has it: a back-fill replaces what was kept of it.
    pub fn replace(&mut self, compiled: &Compiled, id: FeatureId, other: &Self) {
        let place = self.slots.binary_search_by_key(&id, |slot| slot.id);
        match (place, other.slot(id)) {
            (Ok(place), Some(slot)) => {
                self.slots.get_mut(place).into_iter().for_each(|known| *known = slot.clone());
            }
            (Err(place), Some(slot)) => self.slots.insert(place, slot.clone()),
            (Ok(place), None) => drop(self.slots.remove(place)),
            (Err(_), None) => {}
        }
        self.sweep_from(compiled, i64::MIN);
    }

    /// The features of which it holds anything.
    pub fn features(&self) -> impl Iterator<Item = FeatureId> {
        self.slots.iter().map(|slot| slot.id)
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn slot(&self, id: FeatureId) -> Option<&Slot> {
        let place = self.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.slots.get(place)
    }
}

fn is_later(new: &(i64, &MessageKey), known: &Mark) -> bool {
    *new > (known.0, &known.1)
}

/// As it is stored: the few events that many features hold are written once, and their times as differences.
type Stored<D> = (Vec<Mark>, Vec<(FeatureId, usize, D)>);

impl Serialize for FragmentState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut known: Vec<&Mark> = self.slots.iter().map(|slot| &slot.mark).collect();
        known.sort_unstable();
        known.dedup();
        let place = |slot: &Slot| known.binary_search(&&slot.mark).unwrap_or_default();
        let slots = self.slots.iter().map(|slot| (slot.id, place(slot), &slot.data)).collect();
        let mut last = 0_i64;
        let marks = known.iter().map(|(at, message)| {
            let difference = at.wrapping_sub(last);
            last = *at;
            (difference, message.clone())
        });
        let stored: Stored<&Data> = (marks.collect(), slots);
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FragmentState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut marks, slots) = Stored::<Data>::deserialize(deserializer)?;
        let mut last = 0_i64;
        for (at, _) in &mut marks {
            last = last.wrapping_add(*at);
            *at = last;
        }
        let slots: Option<Vec<Slot>> = slots
            .into_iter()
            .map(|(id, place, data)| Some(Slot { id, mark: marks.get(place)?.clone(), data }))
            .collect();
        match slots {
            Some(slots) if slots.is_sorted_by(|a, b| a.id < b.id) => Ok(Self { slots }),
            Some(_) | None => Err(serde::de::Error::custom("features stand out of order")),
        }
    }
}
