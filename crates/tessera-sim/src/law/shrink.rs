//! From a long history that shows a disagreement to a short one that still does.
//!
//! Greedy: whatever can go without the disagreement going, goes. Invariant: what comes out was run and disagrees.

use super::cases::{Case, Deed};
use super::history::{Event, Purpose};

/// The shortest history found from `case` for which `fails` still finds something, and what it finds.
pub(crate) fn shrink<F>(case: Case, found: F, fails: impl Fn(&Case) -> Option<F>) -> (Case, F) {
    let mut best = (case, found);
    loop {
        let smaller =
            candidates(&best.0).into_iter().find_map(|case| fails(&case).map(|found| (case, found)));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let count = case.steps.len();
    let mut len = count / 2;
    while len > 0 {
        for from in (0..count).step_by(len) {
            let mut smaller = case.clone();
            smaller.steps.drain(from..count.min(from + len));
            found.push(smaller);
        }
        len /= 2;
    }
    for index in 0..case.sources.len() {
        let mut smaller = case.clone();
        let gone = smaller.sources.remove(index);
        smaller.steps.retain(|step| !matches!(&step.deed, Deed::Send(event) if event.source == gone.name));
        found.push(smaller);
    }
    found.extend((0..case.purposes.len()).filter_map(|index| without_purpose(case, index)));
    found.extend(plainer_purposes(case));
    found.extend(plainer_sources(case));
    found.extend(plainer_events(case));
    found
}

fn without_purpose(case: &Case, index: usize) -> Option<Case> {
    let mut smaller = case.clone();
    let gone = smaller.purposes.remove(index).name;
    for source in &mut smaller.sources {
        source.purposes.retain(|name| *name != gone);
        for (_, purposes) in &mut source.events {
            purposes.retain(|name| *name != gone);
        }
        if source.purposes.is_empty() {
            return None;
        }
    }
    smaller.steps.retain(|step| match &step.deed {
        Deed::Declare(purpose) => purpose.name != gone,
        Deed::Remove(name) => *name != gone,
        Deed::Send(_)
        | Deed::Order(_)
        | Deed::Expire
        | Deed::Erase(_)
        | Deed::Lift
        | Deed::Deliver
        | Deed::Ask => true,
    });
    for step in &mut smaller.steps {
        if let Deed::Send(event) | Deed::Order(event) = &mut step.deed {
            event.statements.retain(|statement| statement.purpose.as_deref() != Some(gone.as_str()));
        }
    }
    smaller.steps.retain(|step| !matches!(&step.deed, Deed::Order(order) if order.statements.is_empty()));
    Some(smaller)
}

fn plainer_purposes(case: &Case) -> Vec<Case> {
    let plainer: [fn(&mut Purpose); 8] = [
        |purpose| purpose.valid_days = None,
        |purpose| purpose.is_explicit = false,
        |purpose| purpose.reconsent = None,
        |purpose| purpose.minimum_age = None,
        |purpose| purpose.is_marketing = false,
        |purpose| purpose.is_sale = false,
        |purpose| purpose.retention_days = None,
        |purpose| purpose.is_retired = false,
    ];
    let mut found = Vec::new();
    for change in plainer {
        for name in case.purposes.iter().map(|purpose| &purpose.name) {
            let mut smaller = case.clone();
            smaller.purposes.iter_mut().filter(|purpose| purpose.name == *name).for_each(change);
            for step in &mut smaller.steps {
                if let Deed::Declare(purpose) = &mut step.deed
                    && purpose.name == *name
                {
                    change(purpose);
                }
            }
            if smaller != *case {
                found.push(smaller);
            }
        }
    }
    found
}

fn plainer_sources(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut change = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        if smaller != *case {
            found.push(smaller);
        }
    };
    for (index, source) in case.sources.iter().enumerate() {
        let at = |case: &mut Case, change: &dyn Fn(&mut super::history::Source)| {
            case.sources.iter_mut().skip(index).take(1).for_each(change);
        };
        change(&|case| at(case, &|source| source.events.clear()));
        change(&|case| at(case, &|source| source.has_payload_purposes = false));
        for gone in source.purposes.iter().filter(|_| source.purposes.len() > 1) {
            change(&|case| {
                at(case, &|source| {
                    source.purposes.retain(|name| name != gone);
                    source.events.iter_mut().for_each(|(_, names)| names.retain(|name| name != gone));
                });
            });
        }
    }
    found
}

fn plainer_events(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let (Deed::Send(event) | Deed::Order(event)) = &step.deed else { continue };
        let is_order = matches!(step.deed, Deed::Order(_));
        for plainer in plainer_than(event, is_order) {
            let mut smaller = case.clone();
            // Sent twice, it is the same both times.
            for (other, step) in smaller.steps.iter_mut().enumerate() {
                if let Deed::Send(event) = &mut step.deed
                    && event.id == plainer.id
                {
                    *event = Event { received_at: event.received_at, ..plainer.clone() };
                } else if let Deed::Order(order) = &mut step.deed
                    && other == index
                {
                    *order = plainer.clone();
                }
            }
            found.push(smaller);
        }
    }
    found
}

fn plainer_than(event: &Event, is_order: bool) -> Vec<Event> {
    let mut found = Vec::new();
    let mut add = |plainer: Event| {
        if plainer != *event {
            found.push(plainer);
        }
    };
    let mut prompt = Event { at: event.received_at, ..event.clone() };
    prompt.statements.iter_mut().for_each(|statement| statement.at = event.received_at);
    add(prompt);
    add(Event { births: Vec::new(), ..event.clone() });
    add(Event { has_signal: false, ..event.clone() });
    add(Event { listed: None, ..event.clone() });
    for index in 0..event.identifiers.len() {
        let mut plainer = event.clone();
        plainer.identifiers.remove(index);
        if !plainer.identifiers.is_empty() {
            add(plainer);
        }
    }
    for index in 0..event.statements.len() {
        let mut without = event.clone();
        without.statements.remove(index);
        if !is_order {
            add(without);
        }
        let mut plainer = event.clone();
        for statement in plainer.statements.iter_mut().skip(index).take(1) {
            statement.version = None;
        }
        add(plainer.clone());
        for statement in plainer.statements.iter_mut().skip(index).take(1) {
            statement.is_explicit = true;
        }
        add(plainer);
    }
    found
}
