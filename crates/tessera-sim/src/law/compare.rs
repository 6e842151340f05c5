//! One history, told to Tessera and to the naive model, question by question.
//!
//! Invariant: every answer of either is asked of the other; the first that differs ends the history.

use super::cases::{Case, Deed, Step, UNDECLARED};
use super::engine::{Answer, Engine, Fate, Shown};
use super::history::{Basis, Call, Event, Reason, Rule, Verdict};
use super::model::World;
use super::story::since;

/// What was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Decisions compared: an event or datum, a purpose, an instant.
    pub(crate) decisions: u64,
    /// How many of them were yes.
    pub(crate) permitted: u64,
}

impl Tally {
    fn count(&mut self, is_permitted: bool) {
        self.decisions += 1;
        self.permitted += u64::from(is_permitted);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.permitted += other.permitted;
    }
}

/// Where the two part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disagreement {
    /// Whether both say no, and only why differs.
    pub(crate) is_reason_only: bool,
    pub(crate) question: String,
    pub(crate) law: String,
    pub(crate) tessera: String,
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.question)?;
        writeln!(f, "  the law: {}", self.law)?;
        writeln!(f, "  Tessera: {}", self.tessera)
    }
}

/// Tells the history to both; `off` are rules that the model ignores.
///
/// # Errors
/// The first disagreement; that Tessera fails is one.
pub(crate) fn compare(case: &Case, off: &[Rule]) -> Result<Tally, Disagreement> {
    let mut world = World::new(&case.sources, off);
    for purpose in &case.purposes {
        world.declare(purpose.clone(), case.start);
    }
    let engine = Engine::start(case).map_err(failed)?;
    let mut both = Both { case, world, engine, queued: Vec::new(), tally: Tally::default() };
    for step in &case.steps {
        both.engine.wait_until(step.at);
        both.step(step)?;
    }
    Ok(both.tally)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: anyhow::Error) -> Disagreement {
    broken(format!("{error:#}"))
}

/// Tessera did not answer.
pub(crate) fn broken(tessera: String) -> Disagreement {
    let question = "does it work at all?".to_owned();
    Disagreement { is_reason_only: false, question, law: "yes".to_owned(), tessera }
}

struct Both<'a> {
    case: &'a Case,
    world: World,
    engine: Engine,
    /// Events that wait to be sent to destinations.
    queued: Vec<usize>,
    tally: Tally,
}

impl Both<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Disagreement> {
        match &step.deed {
            Deed::Send(event) => return self.send(event),
            Deed::Ask => return self.ask(step),
            Deed::Deliver => return self.deliver(step),
            Deed::Order(order) => {
                self.engine.order(order).map_err(failed)?;
                self.world.order(order);
            }
            Deed::Declare(purpose) => {
                self.world.declare(purpose.clone(), step.at);
                let (purposes, sources) = (&self.world.purposes, &self.world.sources);
                self.engine.declare(purposes, sources).map_err(failed)?;
            }
            Deed::Remove(name) => {
                self.world.remove(name);
                let (purposes, sources) = (&self.world.purposes, &self.world.sources);
                self.engine.declare(purposes, sources).map_err(failed)?;
            }
            Deed::Expire => {
                let known = self.world.people().concat();
                self.engine.expire(&known).map_err(failed)?;
                self.world.expire(step.at);
            }
            Deed::Erase(identifier) => {
                self.engine.erase(identifier).map_err(failed)?;
                self.world.erase(identifier, step.at);
            }
            Deed::Lift => {
                let mut lifted = std::mem::take(&mut self.world.tombstones);
                lifted.append(&mut self.world.spared);
                self.engine.lift(&lifted).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, event: &Event) -> Result<(), Disagreement> {
        let verdict = self.world.hear(event);
        let fate = self.engine.send(event).map_err(failed)?;
        let differ = |law: String, is_reason_only| {
            let question = format!("{}: is #{} kept?", since(self.case.start, event.received_at), event.id);
            Disagreement { is_reason_only, question, law, tessera: say(&fate) }
        };
        let Some(verdict) = verdict else {
            self.tally.count(false);
            let is_agreed = fate == Fate::Duplicate;
            return if is_agreed { Ok(()) } else { Err(differ("it is a repeat".to_owned(), false)) };
        };
        let Verdict { is_erased, purposes, denied } = &verdict;
        let is_kept = !*is_erased && (event.call == Call::Consent || !purposes.is_empty());
        let is_agreed = match &fate {
            Fate::Kept => is_kept,
            Fate::Duplicate => false,
            Fate::Denied(code) if *is_erased => code == "erased",
            // Of several purposes, each with its reason, any may be counted.
            Fate::Denied(code) if denied.is_empty() => !is_kept && code == "unknown_purpose",
            Fate::Denied(code) => {
                !is_kept && denied.iter().any(|(_, reason)| codes_of(*reason).contains(&code.as_str()))
            }
        };
        if !is_agreed {
            let is_reason_only = !is_kept && matches!(fate, Fate::Denied(_));
            return Err(differ(describe(&verdict), is_reason_only));
        }
        self.check_purposes(event, purposes)?;
        if is_kept {
            self.queued.push(event.id);
        }
        self.tally.decisions += u64::try_from((purposes.len() + denied.len()).max(1)).unwrap_or_default();
        self.tally.permitted += u64::try_from(purposes.len()).unwrap_or_default();
        Ok(())
    }

    /// What an event is kept for is told by where its data is said to come from, as soon as anything may be shown.
    fn check_purposes(&self, event: &Event, purposes: &[String]) -> Result<(), Disagreement> {
        let Some(identifier) = event.identifiers.first() else { return Ok(()) };
        let Answer::Shown(shown) = self.engine.profile(identifier, None).map_err(failed)? else {
            return Ok(());
        };
        let Some((_, kept_for)) = shown.data.into_iter().find(|(number, _)| *number == event.id) else {
            return Ok(());
        };
        let mut purposes = purposes.to_vec();
        purposes.sort();
        if kept_for == purposes {
            return Ok(());
        }
        let at = since(self.case.start, event.received_at);
        let question = format!("{at}: what is #{} kept for?", event.id);
        let (law, tessera) = (purposes.join(", "), kept_for.join(", "));
        Err(Disagreement { is_reason_only: false, question, law, tessera })
    }

    fn deliver(&mut self, step: &Step) -> Result<(), Disagreement> {
        let reached = self.engine.deliver().map_err(failed)?;
        let queued = std::mem::take(&mut self.queued);
        let at = since(self.case.start, step.at);
        for heard in self.world.heard.iter().filter(|heard| queued.contains(&heard.event.id)) {
            for purpose in &self.world.purposes {
                let law = self.world.may_leave(heard, &purpose.name, step.at);
                let number = heard.event.id;
                let is_sent = reached.contains(&(purpose.name.clone(), number));
                self.tally.count(law.is_ok());
                if law.is_ok() != is_sent {
                    return Err(Disagreement {
                        is_reason_only: false,
                        question: format!("{at}: may #{number} be sent for {}?", purpose.name),
                        law: law.map_or_else(
                            |reason| format!("no: {reason:?}"),
                            |basis| format!("yes: {basis:?}"),
                        ),
                        tessera: if is_sent { "it is sent" } else { "it is not sent" }.to_owned(),
                    });
                }
            }
        }
        let known = |number| self.world.heard.iter().any(|heard| heard.event.id == number);
        match reached.iter().find(|(_, number)| !queued.contains(number) || !known(*number)) {
            None => Ok(()),
            Some((purpose, number)) => Err(Disagreement {
                is_reason_only: false,
                question: format!("{at}: may #{number} be sent for {purpose}?"),
                law: "no: it is erased, or was sent before".to_owned(),
                tessera: "it is sent".to_owned(),
            }),
        }
    }

    fn ask(&mut self, step: &Step) -> Result<(), Disagreement> {
        let mut names: Vec<String> = self.world.purposes.iter().map(|purpose| purpose.name.clone()).collect();
        names.sort();
        names.push(UNDECLARED.to_owned());
        for person in self.world.people() {
            for name in &names {
                self.ask_about(&person, name, step)?;
            }
        }
        Ok(())
    }

    fn ask_about(&mut self, person: &[String], purpose: &str, step: &Step) -> Result<(), Disagreement> {
        let Some(identifier) = person.first() else { return Ok(()) };
        let law = self.world.may_use(identifier, purpose, step.at);
        let answer = self.engine.profile(identifier, Some(purpose)).map_err(failed)?;
        let at = since(self.case.start, step.at);
        let differ = |what: &str, law: Result<Basis, Reason>, answer: Result<(), &str>| Disagreement {
            is_reason_only: law.is_err() && answer.is_err(),
            question: format!("{at}: may {what} of {identifier} be used for {purpose}?"),
            law: law.map_or_else(|reason| format!("no: {reason:?}"), |basis| format!("yes: {basis:?}")),
            tessera: answer.map_or_else(|code| format!("no: {code}"), |()| "yes".to_owned()),
        };
        self.tally.count(law.is_ok());
        let is_any = self.world.heard.iter().any(|heard| {
            let is_theirs = heard.event.identifiers.iter().any(|own| person.contains(own));
            heard.is_kept && is_theirs && self.world.may_leave(heard, purpose, step.at).is_ok()
        });
        let shown = match (&law, &answer) {
            (Err(reason), Answer::Denied(code)) if codes_of(*reason).contains(&code.as_str()) => &[][..],
            // The purpose is permitted, and nothing of the person is kept for it. Whether what was said is shown all
            // the same, as proof, is not the law's question.
            (Ok(_), Answer::Denied(code)) if !is_any && code == "not_served" => &[][..],
            (Ok(basis), Answer::Shown(shown)) => {
                check_grounds(&self.world, identifier, purpose, *basis, shown).map_err(|answer| {
                    Disagreement { is_reason_only: false, ..differ("anything", law, Err(&answer)) }
                })?;
                shown.data.as_slice()
            }
            (Err(_), Answer::Shown(_)) => return Err(differ("anything", law, Ok(()))),
            (_, Answer::Denied(code)) => return Err(differ("anything", law, Err(code))),
            (_, Answer::Nobody) => return Err(differ("anything", law, Err("nobody is known"))),
        };
        for heard in &self.world.heard {
            let is_theirs = heard.event.identifiers.iter().any(|own| person.contains(own));
            if !heard.is_kept || !is_theirs || heard.event.call == Call::Track {
                continue;
            }
            let law = self.world.may_leave(heard, purpose, step.at);
            let number = heard.event.id;
            self.tally.count(law.is_ok());
            let is_seen = shown.iter().any(|(seen, _)| *seen == number);
            if law.is_ok() != is_seen {
                let answer = if is_seen { Ok(()) } else { Err("it is not shown") };
                return Err(differ(&format!("#{number}"), law, answer));
            }
        }
        Ok(())
    }
}

/// The basis is the purpose's, and a consent is shown by words that somebody said.
fn check_grounds(
    world: &World,
    identifier: &str,
    purpose: &str,
    basis: Basis,
    shown: &Shown,
) -> Result<(), String> {
    if shown.basis != basis {
        return Err(format!("yes: {:?}", shown.basis));
    }
    let is_proven = basis != Basis::Consent || {
        let yeses = world.yeses(identifier, purpose);
        shown.proof.is_some_and(|proof| yeses.contains(&proof))
    };
    if is_proven { Ok(()) } else { Err(format!("the proof is {:?}", shown.proof)) }
}

fn say(fate: &Fate) -> String {
    match fate {
        Fate::Kept => "it is kept".to_owned(),
        Fate::Duplicate => "it is a repeat".to_owned(),
        Fate::Denied(code) => format!("no: {code}"),
    }
}

fn describe(verdict: &Verdict) -> String {
    let denied: Vec<String> =
        verdict.denied.iter().map(|(purpose, reason)| format!("not for {purpose}: {reason:?}")).collect();
    match (verdict.purposes.is_empty(), denied.is_empty()) {
        (true, true) => "it has no purpose".to_owned(),
        (true, false) => denied.join(", "),
        (false, true) => format!("for {}", verdict.purposes.join(", ")),
        (false, false) => format!("for {}; {}", verdict.purposes.join(", "), denied.join(", ")),
    }
}

/// What Tessera calls it.
fn codes_of(reason: Reason) -> &'static [&'static str] {
    match reason {
        Reason::Erased => &["erased"],
        // Who asks for a purpose of no name that is known may also be told that nothing serves it.
        Reason::UnknownPurpose => &["unknown_purpose", "not_served"],
        Reason::Retired => &["retired"],
        Reason::Restricted => &["restricted"],
        Reason::Objected => &["objected"],
        Reason::Refused => &["refused"],
        Reason::Withdrawn => &["withdrawn"],
        Reason::Expired => &["expired"],
        Reason::Reconsent => &["outdated"],
        Reason::NeverAsked => &["never_asked"],
        Reason::Ended => &["ended"],
        Reason::AgeUnknown => &["age_unknown"],
        Reason::Underage => &["underage"],
        Reason::NotItsPurpose | Reason::TooOld => &["not_served"],
    }
}
