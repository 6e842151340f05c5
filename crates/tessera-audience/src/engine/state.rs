//! What a fragment keeps of its events for audiences and computed traits: a commutative monoid.
//!
//! Not what a person is a member of: that follows from the states of all their fragments, and is never stored here. The
//! caller applies each message once, and keeps one state for each basis of a fragment, so that a purpose sees the states
//! of its own events alone. Invariants: slots stand in the order of their ids; after [`FragmentState::settle`] the state
//! follows from the set of events applied, whatever their order and batches.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tessera_model::{MessageKey, Timestamp};

use super::compile::{Compiled, Touched};
use super::event::EventView;
use super::extract::Found;
use super::feature::{Data, Feature, FeatureId};

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
    /// When the latest event arrived that it holds anything of, in milliseconds; windows at earlier times are not
    /// asked for.
    horizon: i64,
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
        if touched.is_empty() {
            return;
        }
        self.horizon = self.horizon.max(event.received_at.as_millis());
        for (number, found) in touched.iter() {
            if let Some(feature) = compiled.feature(number) {
                self.add_to(feature, event, found);
            }
        }
    }

    fn add_to(&mut self, feature: &Feature, event: &EventView<'_>, found: Option<&Found>) {
        let at = event.counts_at();
        if !feature.span.admits(at) {
            return;
        }
        let bucket = feature.span.bucket(at);
        match self.slots.binary_search_by_key(&feature.id, |slot| slot.id) {
            Ok(place) => {
                let Some(slot) = self.slots.get_mut(place) else { return };
                if slot.data.add(at, bucket, found) && is_later(&(at, event.message), &slot.mark) {
                    slot.mark = (at, event.message.clone());
                }
            }
            Err(place) => {
                let mut data = Data::new(&feature.kind);
                if data.add(at, bucket, found) {
                    self.slots
                        .insert(place, Slot { id: feature.id, mark: (at, event.message.clone()), data });
                }
            }
        }
    }

    /// Forgets what no window can need any more, and the features that nobody asks for. To be called before the state is
    /// stored; once for many events is enough.
    pub fn settle(&mut self, compiled: &Compiled) {
        let mut oldest = compiled.oldest(self.horizon);
        self.slots.retain_mut(|slot| {
            let Some((number, feature)) = compiled.feature_of(slot.id) else { return false };
            slot.data.settle(feature, oldest.of(number));
            !slot.data.is_empty()
        });
    }

    /// Settles as if an event had arrived at `now`: for those who sweep what stands idle.
    pub fn settle_at(&mut self, compiled: &Compiled, now: Timestamp) {
        self.horizon = self.horizon.max(now.as_millis());
        self.settle(compiled);
    }

    /// Adds all that another state holds, of other events.
    pub fn merge(&mut self, other: &Self) {
        self.horizon = self.horizon.max(other.horizon);
        for slot in &other.slots {
            match self.slots.binary_search_by_key(&slot.id, |known| known.id) {
                Ok(place) => {
                    let Some(known) = self.slots.get_mut(place) else { continue };
                    known.data.absorb(&slot.data);
                    if is_later(&(slot.mark.0, &slot.mark.1), &known.mark) {
                        known.mark = slot.mark.clone();
                    }
                }
                Err(place) => self.slots.insert(place, slot.clone()),
            }
        }
    }

    /// Takes a feature as another state has it: a back-fill replaces what was kept of it.
    pub fn replace(&mut self, id: FeatureId, other: &Self) {
        self.horizon = self.horizon.max(other.horizon);
        let place = self.slots.binary_search_by_key(&id, |slot| slot.id);
        match (place, other.slot(id)) {
            (Ok(place), Some(slot)) => {
                self.slots.get_mut(place).into_iter().for_each(|known| *known = slot.clone());
            }
            (Err(place), Some(slot)) => self.slots.insert(place, slot.clone()),
            (Ok(place), None) => drop(self.slots.remove(place)),
            (Err(_), None) => {}
        }
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

    /// When the latest event arrived that it was told of.
    #[must_use]
    pub fn horizon(&self) -> Timestamp {
        Timestamp::from_millis(self.horizon)
    }

    pub(crate) fn slot(&self, id: FeatureId) -> Option<&Slot> {
        let place = self.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.slots.get(place)
    }
}

fn is_later(new: &(i64, &MessageKey), known: &Mark) -> bool {
    *new > (known.0, &known.1)
}

/// As it is stored: the few events that many features hold are written once.
#[derive(Serialize, Deserialize)]
struct Stored<M, S> {
    horizon: i64,
    marks: M,
    slots: S,
}

impl Serialize for FragmentState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut marks: Vec<&Mark> = self.slots.iter().map(|slot| &slot.mark).collect();
        marks.sort_unstable();
        marks.dedup();
        let place = |slot: &Slot| marks.binary_search(&&slot.mark).unwrap_or_default();
        let slots: Vec<(FeatureId, usize, &Data)> =
            self.slots.iter().map(|slot| (slot.id, place(slot), &slot.data)).collect();
        let horizon = self.horizon;
        let marks: Vec<(i64, &MessageKey)> =
            marks.iter().map(|(at, message)| (horizon.wrapping_sub(*at), message)).collect();
        Stored { horizon, marks, slots }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FragmentState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::<Vec<Mark>, Vec<(FeatureId, usize, Data)>>::deserialize(deserializer)?;
        let Stored { horizon, marks, slots } = stored;
        let slots: Option<Vec<Slot>> = slots
            .into_iter()
            .map(|(id, place, data)| {
                let (before, message) = marks.get(place)?;
                Some(Slot { id, mark: (horizon.wrapping_sub(*before), message.clone()), data })
            })
            .collect();
        match slots {
            Some(slots) if slots.is_sorted_by(|a, b| a.id < b.id) => Ok(Self { horizon, slots }),
            Some(_) | None => Err(serde::de::Error::custom("features stand out of order")),
        }
    }
}
