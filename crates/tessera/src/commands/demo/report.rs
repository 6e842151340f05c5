//! What the demo came to, for people and for programs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::load::{Delivered, Listed, Sent, seconds};
use super::measure::Pairs;
use super::truth::{Owner, Truth};
use crate::commands::number;
use crate::output::{self, bytes, count};

/// Everything that is printed.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) sent: Sent,
    /// The answer of `/api/v1/totals`.
    pub(super) totals: Value,
    pub(super) delivered: Delivered,
    pub(super) unified: Unified,
    pub(super) read_seconds: f64,
}

/// How well identifiers were put together.
#[derive(Debug)]
pub(super) struct Unified {
    pub(super) pairs: Pairs,
    /// The same for somebody who makes no mistake but knows no more than the events say.
    pub(super) reachable: Pairs,
    /// Identifiers of one person alone: those that are measured.
    pub(super) measured: u64,
    /// Identifiers of several people: left out.
    pub(super) shared: u64,
    /// Identifiers that no listed profile has, for nobody may see them; each counts as a profile of its own.
    pub(super) unseen: u64,
    pub(super) people: u64,
    /// People who bought once, without a name.
    pub(super) passers_by: u64,
    /// Profiles that may be shown.
    pub(super) listed: u64,
}

impl Unified {
    pub(super) fn of(truth: &Truth, profiles: &[Listed], people: u32) -> Self {
        let mut profile_of = std::collections::BTreeMap::new();
        for (profile, listed) in profiles.iter().enumerate() {
            profile_of.extend(listed.identifiers.iter().map(|identifier| (identifier.as_str(), profile)));
        }
        let reachable = truth.reachable();
        let (mut found, mut best) = (Vec::new(), Vec::new());
        let (mut shared, mut unseen) = (0, 0);
        for (at, (identifier, owner)) in truth.owners().enumerate() {
            let Owner::One(person) = owner else {
                shared += 1;
                continue;
            };
            let profile = profile_of.get(identifier).copied().unwrap_or_else(|| {
                unseen += 1;
                profiles.len() + at
            });
            found.push((person, profile));
            best.push((person, reachable.get(identifier).copied().unwrap_or_default()));
        }
        let everybody: std::collections::BTreeSet<_> = found.iter().map(|(person, _)| *person).collect();
        let known = everybody.range(..people).count();
        Self {
            measured: as_u64(found.len()),
            people: as_u64(known),
            passers_by: as_u64(everybody.len() - known),
            listed: as_u64(profiles.len()),
            pairs: Pairs::count(found),
            reachable: Pairs::count(best),
            shared,
            unseen,
        }
    }
}

/// What to look at, found in the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sights {
    /// A person with several devices, a card, a telephone and a call: `email:...`.
    pub(super) person: Option<String>,
    /// Two customer numbers of one person, in two profiles.
    pub(super) twice: Option<(String, String)>,
    pub(super) rejects: u64,
}

impl Sights {
    pub(super) fn of(truth: &Truth, profiles: &[Listed], totals: &Value) -> Self {
        let best = profiles.iter().filter_map(|listed| Some((worth(truth, listed)?, listed)));
        // The least address breaks ties: profiles come in the order of their ids, which every installation hashes
        // differently.
        let best = best.min_by_key(|(worth, listed)| (std::cmp::Reverse(*worth), email(listed)));
        let twice = truth.twice.iter().find(|twice| {
            let of = |id: &str| profiles.iter().position(|listed| has(listed, &format!("user_id:{id}")));
            matches!((of(&twice.first), of(&twice.second)), (Some(one), Some(other)) if one != other)
        });
        Self {
            person: best.and_then(|(_, listed)| email(listed)).map(str::to_owned),
            twice: twice.map(|twice| (twice.first.clone(), twice.second.clone())),
            rejects: sum(totals, "rejected"),
        }
    }
}

/// How much there is to see; `None` unless there is something of everything, and all of it one person's.
fn worth(truth: &Truth, listed: &Listed) -> Option<(bool, bool, usize)> {
    let of = |namespace: &str| listed.identifiers.iter().filter(|one| one.starts_with(namespace)).count();
    let mut people = listed.identifiers.iter().map(|identifier| truth.owner(identifier));
    let first = people.next()??;
    let Owner::One(person) = first else { return None };
    let is_whole = people.all(|owner| owner == Some(first)) && truth.called.contains(&person);
    let (devices, has_all) = (of("anonymous_id:"), of("user_id:") * of("loyalty_card:") * of("phone:") > 0);
    let is_worth = is_whole && has_all && devices >= 2;
    is_worth.then_some((listed.is_in_account, listed.has_consent, devices.min(4)))
}

fn email(listed: &Listed) -> Option<&str> {
    listed.identifiers.iter().find(|one| one.starts_with("email:")).map(String::as_str)
}

fn has(listed: &Listed, identifier: &str) -> bool {
    listed.identifiers.iter().any(|one| one == identifier)
}

impl Figures {
    fn rate(&self) -> f64 {
        self.sent.events as f64 / seconds(self.sent.nanos).max(1e-9)
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let unified = &self.unified;
        json!({
            "sent": self.sent.events,
            "sent_bytes": self.sent.bytes,
            "malformed": self.sent.malformed,
            "batches": self.sent.batches,
            "seconds": seconds(self.sent.nanos),
            "events_per_s": self.rate(),
            "delivered": self.delivered.events,
            "denied_at_delivery": self.delivered.denied,
            "totals": self.totals,
            "people": unified.people,
            "passers_by": unified.passers_by,
            "precision": unified.pairs.precision(),
            "recall": unified.pairs.recall(),
            "f1": unified.pairs.f1(),
            "recall_reachable": unified.reachable.recall(),
            "identifiers_measured": unified.measured,
            "identifiers_shared": unified.shared,
            "identifiers_unseen": unified.unseen,
            "profiles_listed": unified.listed,
            "read_back_seconds": self.read_seconds,
        })
    }

    /// For people.
    pub(super) fn print(&self) {
        let (total, sent) = (|name: &str| number(&self.totals, name), &self.sent);
        let denied = self.totals.get("denied").and_then(Value::as_object).into_iter().flatten();
        let denied: Vec<String> = denied
            .map(|(reason, n)| format!("{} {}", reason.replace('_', " "), count(n.as_u64().unwrap_or(0))))
            .collect();
        let (profiles, accepted) = (total("profiles"), total("accepted"));
        let per = |bytes: u64, things: u64| count(bytes / things.max(1));
        heading("Events");
        row("sent", sent.events, &format!("{} in {} batches", bytes(sent.bytes), count(sent.batches)));
        row("accepted", accepted, "joined a profile");
        row("duplicates", total("duplicates"), "sent twice, counted once");
        row("denied", sum(&self.totals, "denied"), &format!("no basis, no use: {}", denied.join(", ")));
        let malformed =
            format!("{} were sent malformed; kept with the reason, to replay", count(sent.malformed));
        row("rejected", sum(&self.totals, "rejected"), &malformed);
        let withdrawn = format!("to the mailing tool; {} denied at sending", count(self.delivered.denied));
        row("delivered", self.delivered.events, &withdrawn);
        let rate = format!("{:.0}", self.rate()).parse().unwrap_or_default();
        let took = format!("{:.1} s, every batch on disk before its answer", seconds(sent.nanos));
        row("events/s", rate, &took);
        heading("Profiles");
        row("profiles", profiles, &format!("read back in {:.1} s", self.read_seconds));
        row("identifiers", total("identifiers"), "customer numbers, addresses, telephones, cards, devices");
        row("accounts", total("accounts"), "businesses");
        heading("On disk");
        let (log, store) = (total("log_bytes"), total("store_bytes"));
        disk("log", log, &format!("{} bytes an event", per(log, sent.events)));
        disk("store", store, &format!("{} bytes a profile", per(store, profiles)));
        self.unified.print();
    }
}

impl Unified {
    fn print(&self) {
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        let (people, passers_by) = (count(self.people), count(self.passers_by));
        heading(&format!("One profile per person? In truth {people} people, and {passers_by} passers-by"));
        let best = format!("the events themselves allow {} at most", percent(self.reachable.recall()));
        for (name, share, remark) in [
            ("precision", self.pairs.precision(), "of two identifiers in one profile, both are one person's"),
            ("recall", self.pairs.recall(), "of two identifiers of one person, both are in one profile"),
            ("", self.reachable.recall(), &best),
            ("F1", self.pairs.f1(), "of the two"),
        ] {
            let share = if name.is_empty() { String::new() } else { percent(share) };
            output::line(format_args!("  {name:<12} {share:>12}  {remark}"));
        }
        let unseen = match self.unseen {
            0 => String::new(),
            unseen => format!("; {} that nobody may see count as alone", count(unseen)),
        };
        output::line(format_args!(
            "  Over all pairs of {} identifiers; {} shared in truth (tablets, landlines) are left out{unseen}.",
            count(self.measured),
            count(self.shared)
        ));
        output::line(
            "  What no event links cannot be found: receipts without a card, browsers that never log in.",
        );
    }
}

/// Three things to try next.
pub(super) fn print_sights(sights: &Sights, program: &str, folder: &str, url: &str) {
    let shell = |text: &str| output::line(format_args!("       {text}"));
    heading("Three things to try");
    output::line("  1. A person in pieces: web, app, till, CRM and a call, and what links them.");
    let person = sights.person.as_deref().unwrap_or("user_id:C-100000");
    shell(&format!("{program} profile show {person} --include provenance,merges --data-dir {folder}"));
    output::line("");
    match &sights.twice {
        Some((first, second)) => {
            output::line(
                "  2. One person is a customer twice. Watch in one terminal, tell Tessera in another.",
            );
            shell(&format!("{program} live --kind merged --data-dir {folder}"));
            shell(&format!(
                "curl {url}/v1/alias -u demo-web-write-key: -d '{{\"userId\":\"{first}\",\"previousId\":\"{second}\"}}'"
            ));
        }
        None => {
            output::line("  2. Watch in one terminal, send an event in another.");
            shell(&format!("{program} live --data-dir {folder}"));
            shell(&format!(
                "curl {url}/v1/track -u demo-web-write-key: -d '{{\"anonymousId\":\"me\",\"event\":\"Demo Tried\"}}'"
            ));
        }
    }
    output::line("");
    output::line(format_args!(
        "  3. What could not be accepted: {} rejects with reason and payload.",
        count(sights.rejects)
    ));
    shell(&format!("{program} reject list --data-dir {folder}"));
}

fn heading(text: &str) {
    output::line(format_args!("\n{text}"));
}

fn row(name: &str, value: u64, remark: &str) {
    output::line(format_args!("  {name:<12} {:>12}  {remark}", count(value)));
}

fn disk(name: &str, value: u64, remark: &str) {
    output::line(format_args!("  {name:<12} {:>12}  {remark}", bytes(value)));
}

/// The sum of an object's numbers.
fn sum(totals: &Value, name: &str) -> u64 {
    let counts = totals.get(name).and_then(Value::as_object).into_iter().flatten();
    counts.filter_map(|(_, count)| count.as_u64()).sum()
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
