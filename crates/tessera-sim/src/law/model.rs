//! The law's rules, read naively: a list of all that ever happened, and loops over the whole of it for each question.
//!
//! Not the engine, and shares no line with it: written from the rules in words, so that two readings can be compared.
//! Slow, and on purpose without any index. Invariant: what a rule means stands in one place here, so that a rule can
//! be switched off. Reference: GDPR Art. 6, 7, 8, 17, 18 and 21; CCPA 1798.120 and 1798.135.

use super::history::{
    Basis, Call, DAY, Date, Event, Heard, Millis, Purpose, Reason, Rule, Source, Statement, Verdict, Word,
};

/// All that was declared and all that happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// As declared last.
    pub(crate) purposes: Vec<Purpose>,
    /// Every version of every purpose, and since when it is in force.
    versions: Vec<(String, u32, Millis)>,
    pub(crate) sources: Vec<Source>,
    /// Everything that arrived, but what was erased.
    pub(crate) heard: Vec<Heard>,
    pub(crate) tombstones: Vec<String>,
    /// Identifiers of who was erased but for what the law obliges to keep.
    pub(crate) spared: Vec<String>,
    off: Vec<Rule>,
}

impl World {
    /// A world in which nothing happened yet; `off` are rules that do not hold in it.
    pub(crate) fn new(sources: &[Source], off: &[Rule]) -> Self {
        Self { sources: sources.to_vec(), off: off.to_vec(), ..Self::default() }
    }

    fn holds(&self, rule: Rule) -> bool {
        !self.off.contains(&rule)
    }

    /// Declares a purpose, in place of the one of that name.
    pub(crate) fn declare(&mut self, purpose: Purpose, at: Millis) {
        self.versions.push((purpose.name.clone(), purpose.version, at));
        self.purposes.retain(|other| other.name != purpose.name);
        self.purposes.push(purpose);
    }

    pub(crate) fn purpose(&self, name: &str) -> Option<&Purpose> {
        self.purposes.iter().find(|purpose| purpose.name == name)
    }

    /// Which version of a purpose was in force; before the first one, that.
    fn version_at(&self, purpose: &str, at: Millis) -> Option<u32> {
        let mut in_force = None;
        for (name, version, since) in &self.versions {
            if name == purpose && (in_force.is_none() || *since <= at) {
                in_force = Some(*version);
            }
        }
        in_force
    }

    /// Everybody's identifiers that belong together with these.
    pub(crate) fn person(&self, identifiers: &[String]) -> Vec<String> {
        let mut found = identifiers.to_vec();
        loop {
            let before = found.len();
            for heard in &self.heard {
                let is_theirs = heard.event.identifiers.iter().any(|identifier| found.contains(identifier));
                // An event that was not kept joins nobody.
                if heard.is_kept && is_theirs {
                    for identifier in &heard.event.identifiers {
                        if !found.contains(identifier) {
                            found.push(identifier.clone());
                        }
                    }
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// Everybody who is known: whoever an event that was kept, or a word that was, names.
    pub(crate) fn people(&self) -> Vec<Vec<String>> {
        let mut people: Vec<Vec<String>> = Vec::new();
        for heard in &self.heard {
            for identifier in &heard.event.identifiers {
                let is_new = !people.iter().any(|person| person.contains(identifier));
                if is_new && (heard.is_kept || !heard.said.is_empty()) {
                    people.push(self.person(std::slice::from_ref(identifier)));
                }
            }
        }
        people
    }

    /// What an event says, versions filled in, signals included.
    fn said(&self, event: &Event) -> Vec<Statement> {
        let mut said = Vec::new();
        for statement in &event.statements {
            let named = statement.purpose.as_deref();
            // A word on a purpose that nobody declared is about nothing.
            if named.is_some_and(|name| self.purpose(name).is_none()) {
                continue;
            }
            let in_force = named.and_then(|name| self.version_at(name, statement.at));
            said.push(Statement { version: statement.version.or(in_force), ..statement.clone() });
        }
        if self.holds(Rule::Signal) && event.has_signal {
            for purpose in &self.purposes {
                if purpose.is_sale {
                    said.push(Statement {
                        word: Word::Objected,
                        purpose: Some(purpose.name.clone()),
                        version: self.version_at(&purpose.name, event.at),
                        is_explicit: true,
                        at: event.at,
                    });
                }
            }
        }
        said
    }

    /// What an event is for, before anybody was asked.
    pub(crate) fn purposes_of(&self, event: &Event) -> Vec<String> {
        let Some(source) = self.sources.iter().find(|source| source.name == event.source) else {
            return Vec::new();
        };
        let of = |wanted: &str| source.events.iter().find(|(name, _)| name == wanted).map(|(_, own)| own);
        let own = event.name.as_deref().and_then(of).or(of(event.call.as_str()));
        let mut purposes = own.unwrap_or(&source.purposes).clone();
        if let (true, Some(listed)) = (source.has_payload_purposes, &event.listed)
            && self.holds(Rule::PayloadPurposes)
        {
            purposes.retain(|purpose| listed.contains(purpose));
        }
        purposes
    }

    /// The gate in: what an event may be kept for at the moment it is received.
    pub(crate) fn may_keep(&self, event: &Event) -> Verdict {
        let purposes = self.purposes_of(event);
        if self.is_erased(event) {
            let denied = purposes.into_iter().map(|purpose| (purpose, Reason::Erased)).collect();
            return Verdict { is_erased: true, purposes: Vec::new(), denied };
        }
        // Decided as if the event were kept, since its own words count.
        let mut then = self.clone();
        let said = self.said(event);
        then.heard.push(Heard { event: event.clone(), is_kept: true, purposes: Vec::new(), said });
        let mut verdict = Verdict::default();
        for purpose in purposes {
            let mut reasons = then.objections(&purpose, &event.identifiers, event.received_at, Some(event));
            reasons.retain(|reason| *reason != Reason::Restricted);
            if self.is_too_old(event, &purpose, event.received_at) {
                reasons.push(Reason::TooOld);
            }
            match reasons.into_iter().min() {
                Some(reason) if self.holds(Rule::GateIn) => verdict.denied.push((purpose, reason)),
                Some(_) | None => verdict.purposes.push(purpose),
            }
        }
        verdict
    }

    /// An event arrives: it is kept, or it leaves nothing.
    /// Of what is sent again, only the first counts.
    pub(crate) fn hear(&mut self, event: &Event) -> Option<Verdict> {
        if self.heard.iter().any(|heard| heard.is_kept && heard.event.id == event.id) {
            return None;
        }
        let verdict = self.may_keep(event);
        if !verdict.is_erased {
            self.heard.push(Heard {
                event: event.clone(),
                is_kept: event.call == Call::Consent || !verdict.purposes.is_empty(),
                purposes: verdict.purposes.clone(),
                said: self.said(event),
            });
        }
        Some(verdict)
    }

    /// The controller puts words on record for the people of these identifiers, on all that is theirs.
    pub(crate) fn order(&mut self, order: &Event) {
        let known = self.people().concat();
        for identifier in order.identifiers.iter().filter(|identifier| known.contains(identifier)) {
            let event = Event { identifiers: vec![identifier.clone()], ..order.clone() };
            let said = self.said(&event);
            for own in self.person(&event.identifiers) {
                let event = Event { identifiers: vec![own], ..event.clone() };
                self.heard.push(Heard { event, is_kept: false, purposes: Vec::new(), said: said.clone() });
            }
        }
    }

    fn is_erased(&self, event: &Event) -> bool {
        self.holds(Rule::Erased)
            && event.identifiers.iter().any(|identifier| self.tombstones.contains(identifier))
    }

    /// Everything of a person is erased, and not kept again; but what the law obliges to keep stays, for that alone.
    pub(crate) fn erase(&mut self, identifier: &str, at: Millis) {
        let person = self.person(&[identifier.to_owned()]);
        if self.holds(Rule::Erased)
            && self.heard.iter().any(|heard| is_of(heard, &person) && self.is_owed(heard, at))
        {
            let owed: Vec<Vec<String>> = self
                .heard
                .iter()
                .map(|heard| {
                    let is_owed =
                        |name: &&String| self.is_obligation(name) && !self.is_too_old(&heard.event, name, at);
                    heard.purposes.iter().filter(is_owed).cloned().collect()
                })
                .collect();
            for (heard, owed) in self.heard.iter_mut().zip(owed) {
                if is_of(heard, &person) {
                    heard.purposes = owed;
                }
            }
            self.spared.extend(person);
            return;
        }
        self.forget(person);
    }

    fn is_obligation(&self, purpose: &str) -> bool {
        self.purpose(purpose).is_some_and(|own| own.basis == Basis::LegalObligation && !own.is_retired)
    }

    fn is_owed(&self, heard: &Heard, at: Millis) -> bool {
        heard.purposes.iter().any(|name| self.is_obligation(name) && !self.is_too_old(&heard.event, name, at))
    }

    fn forget(&mut self, person: Vec<String>) {
        for heard in &mut self.heard {
            heard.event.identifiers.retain(|other| !person.contains(other));
        }
        self.heard.retain(|heard| !heard.event.identifiers.is_empty());
        self.tombstones.extend(person);
    }

    /// A purpose is declared no more, unless a source has no other.
    pub(crate) fn remove(&mut self, purpose: &str) {
        if self.sources.iter().any(|source| source.purposes.iter().all(|name| name == purpose)) {
            return;
        }
        self.purposes.retain(|other| other.name != purpose);
        for source in &mut self.sources {
            source.purposes.retain(|name| name != purpose);
            source.events.iter_mut().for_each(|(_, names)| names.retain(|name| name != purpose));
        }
    }

    /// What no purpose covers any more is removed: a yes that is said later does not bring it back.
    pub(crate) fn expire(&mut self, at: Millis) {
        let covered: Vec<bool> = self.heard.iter().map(|heard| self.is_covered(heard, at)).collect();
        for (heard, is_covered) in self.heard.iter_mut().zip(covered) {
            if !is_covered {
                heard.purposes.clear();
            }
        }
        // What the law obliged to keep of somebody erased is over.
        for person in self.people() {
            let mut theirs = self.heard.iter().filter(|heard| is_of(heard, &person));
            let is_over = person.iter().all(|own| self.spared.contains(own))
                && theirs.all(|heard| heard.purposes.is_empty());
            if is_over {
                self.spared.retain(|own| !person.contains(own));
                self.forget(person);
            }
        }
    }

    fn is_covered(&self, data: &Heard, at: Millis) -> bool {
        data.purposes.iter().any(|purpose| {
            let mut reasons = self.objections(purpose, &data.event.identifiers, at, None);
            reasons.retain(|reason| *reason != Reason::Restricted);
            reasons.is_empty() && !self.is_too_old(&data.event, purpose, at)
        })
    }

    /// The gate out: whether kept data may be used for a purpose.
    pub(crate) fn may_leave(&self, data: &Heard, purpose: &str, at: Millis) -> Result<Basis, Reason> {
        let mut reasons = self.objections(purpose, &data.event.identifiers, at, None);
        if self.holds(Rule::GateOut) && !data.purposes.iter().any(|own| own == purpose) {
            reasons.push(Reason::NotItsPurpose);
        }
        if self.is_too_old(&data.event, purpose, at) {
            reasons.push(Reason::TooOld);
        }
        match (reasons.into_iter().min(), self.purpose(purpose)) {
            (Some(reason), _) => Err(reason),
            (None, Some(purpose)) => Ok(purpose.basis),
            // Reached only when unknown purposes are allowed.
            (None, None) => Ok(Basis::LegitimateInterests),
        }
    }

    /// Whether anything of a person may be used for a purpose.
    pub(crate) fn may_use(&self, identifier: &str, purpose: &str, at: Millis) -> Result<Basis, Reason> {
        let reasons = self.objections(purpose, &[identifier.to_owned()], at, None);
        match (reasons.into_iter().min(), self.purpose(purpose)) {
            (Some(reason), _) => Err(reason),
            (None, Some(purpose)) => Ok(purpose.basis),
            (None, None) => Ok(Basis::LegitimateInterests),
        }
    }

    /// Every yes of a person to a purpose that may count as proof: when, and to which version.
    pub(crate) fn yeses(&self, identifier: &str, purpose: &str) -> Vec<(Millis, u32)> {
        let Some(purpose) = self.purpose(purpose) else { return Vec::new() };
        let person = self.person(&[identifier.to_owned()]);
        let theirs = |heard: &&Heard| heard.event.identifiers.iter().any(|own| person.contains(own));
        let said = self.heard.iter().filter(theirs).flat_map(|heard| &heard.said);
        let yes = |statement: &&Statement| {
            is_about(statement, purpose)
                && self.is_word(statement, purpose)
                && matches!(statement.word, Word::Given | Word::Renewed)
        };
        said.filter(yes).filter_map(|statement| Some((statement.at, statement.version?))).collect()
    }

    fn is_too_old(&self, event: &Event, purpose: &str, at: Millis) -> bool {
        let days = self.purpose(purpose).and_then(|purpose| purpose.retention_days);
        self.holds(Rule::Retention) && days.is_some_and(|days| at > event.at + days * DAY)
    }

    /// All that speaks against a purpose for the person of these identifiers, the event that is decided included.
    fn objections(
        &self,
        purpose: &str,
        identifiers: &[String],
        now: Millis,
        arriving: Option<&Event>,
    ) -> Vec<Reason> {
        let Some(purpose) = self.purpose(purpose) else {
            return if self.holds(Rule::UnknownPurpose) { vec![Reason::UnknownPurpose] } else { Vec::new() };
        };
        let person = self.person(identifiers);
        let mut fragments: Vec<Vec<&Statement>> = Vec::new();
        for identifier in &person {
            let mut fragment = Vec::new();
            for heard in &self.heard {
                if heard.event.identifiers.contains(identifier) {
                    fragment.extend(&heard.said);
                }
            }
            fragments.push(fragment);
        }
        let mut reasons = Vec::new();
        if purpose.is_retired {
            reasons.push(Reason::Retired);
        }
        let is_erased = self.holds(Rule::Erased) && person.iter().any(|own| self.spared.contains(own));
        if is_erased && purpose.basis != Basis::LegalObligation {
            reasons.push(Reason::Erased);
        }
        self.restriction(purpose, &fragments, &mut reasons);
        self.objection(purpose, &fragments, &mut reasons);
        if purpose.basis == Basis::Consent {
            self.consent(purpose, &fragments, now, &mut reasons);
        }
        if purpose.basis == Basis::Contract {
            self.contract(purpose, &fragments, &mut reasons);
        }
        self.age(purpose, &person, now, arriving, &mut reasons);
        reasons
    }

    fn restriction(&self, purpose: &Purpose, fragments: &[Vec<&Statement>], reasons: &mut Vec<Reason>) {
        if !self.holds(Rule::Restriction)
            || matches!(purpose.basis, Basis::LegalObligation | Basis::VitalInterests)
        {
            return;
        }
        for fragment in fragments {
            let words =
                last(fragment, |statement| matches!(statement.word, Word::Restricted | Word::Unrestricted));
            if words.iter().any(|statement| statement.word == Word::Restricted) {
                reasons.push(Reason::Restricted);
            }
        }
    }

    fn objection(&self, purpose: &Purpose, fragments: &[Vec<&Statement>], reasons: &mut Vec<Reason>) {
        let is_needed =
            matches!(purpose.basis, Basis::Contract | Basis::LegalObligation | Basis::VitalInterests);
        if !self.holds(Rule::Objection) || (is_needed && !purpose.is_sale && !purpose.is_marketing) {
            return;
        }
        for fragment in fragments {
            let words = last(fragment, |statement| {
                is_about(statement, purpose)
                    && match statement.word {
                        Word::Objected => true,
                        Word::Overruled => !purpose.is_marketing && !purpose.is_sale,
                        Word::Given | Word::Renewed => statement.is_explicit,
                        Word::Refused | Word::Withdrawn | Word::Expired => false,
                        Word::Ended | Word::Restricted | Word::Unrestricted => false,
                    }
            });
            if words.iter().any(|statement| statement.word == Word::Objected) {
                reasons.push(Reason::Objected);
            }
        }
    }

    fn consent(
        &self,
        purpose: &Purpose,
        fragments: &[Vec<&Statement>],
        now: Millis,
        reasons: &mut Vec<Reason>,
    ) {
        if !self.holds(Rule::Consent) {
            return;
        }
        let together;
        let fragments = if self.holds(Rule::Stricter) {
            fragments
        } else {
            together = [fragments.concat()];
            &together
        };
        let mut has_yes = false;
        for fragment in fragments {
            let has_said_no = fragment.iter().any(|statement| {
                is_about(statement, purpose)
                    && matches!(statement.word, Word::Refused | Word::Withdrawn | Word::Objected)
            });
            let words = last(fragment, |statement| {
                let is_yes = matches!(statement.word, Word::Given | Word::Renewed);
                // Who has said no once says yes by an act, not by conduct.
                let is_conduct = is_yes && !statement.is_explicit && has_said_no;
                is_about(statement, purpose) && self.is_word(statement, purpose) && !is_conduct
            });
            let mut noes = Vec::new();
            for statement in &words {
                match statement.word {
                    Word::Refused => noes.push(Reason::Refused),
                    Word::Withdrawn => noes.push(Reason::Withdrawn),
                    Word::Expired => noes.push(Reason::Expired),
                    Word::Objected => noes.push(Reason::Objected),
                    Word::Given | Word::Renewed => noes.extend(self.fault(statement, purpose, now)),
                    Word::Overruled | Word::Ended | Word::Restricted | Word::Unrestricted => {}
                }
            }
            has_yes |= !words.is_empty() && noes.is_empty();
            reasons.extend(noes);
        }
        if !has_yes {
            reasons.push(Reason::NeverAsked);
        }
    }

    /// Whether a statement is a yes or no to consent that counts for the purpose.
    fn is_word(&self, statement: &Statement, purpose: &Purpose) -> bool {
        match statement.word {
            Word::Given | Word::Renewed => {
                statement.is_explicit || !purpose.is_explicit || !self.holds(Rule::Explicit)
            }
            Word::Refused | Word::Withdrawn | Word::Expired | Word::Objected => true,
            Word::Overruled | Word::Ended | Word::Restricted | Word::Unrestricted => false,
        }
    }

    /// What is wrong with a yes.
    fn fault(&self, yes: &Statement, purpose: &Purpose, now: Millis) -> Option<Reason> {
        if let Some(days) = purpose.valid_days
            && self.holds(Rule::Validity)
            && now - yes.at > days * DAY
        {
            return Some(Reason::Expired);
        }
        if let Some((version, cut_off)) = purpose.reconsent
            && self.holds(Rule::Reconsent)
            && yes.version.is_none_or(|own| own < version)
            && now >= cut_off
        {
            return Some(Reason::Reconsent);
        }
        None
    }

    fn contract(&self, purpose: &Purpose, fragments: &[Vec<&Statement>], reasons: &mut Vec<Reason>) {
        for fragment in fragments {
            let words = last(fragment, |statement| {
                is_about(statement, purpose)
                    && matches!(statement.word, Word::Ended | Word::Given | Word::Renewed)
            });
            if self.holds(Rule::ContractEnd) && words.iter().any(|statement| statement.word == Word::Ended) {
                reasons.push(Reason::Ended);
            }
        }
    }

    fn age(
        &self,
        purpose: &Purpose,
        person: &[String],
        now: Millis,
        arriving: Option<&Event>,
        reasons: &mut Vec<Reason>,
    ) {
        let (Some(years), true) = (purpose.minimum_age, self.holds(Rule::MinimumAge)) else { return };
        let mut youngest: Option<Date> = None;
        for heard in &self.heard {
            let is_known = heard.is_kept || arriving == Some(&heard.event);
            let is_theirs = heard.event.identifiers.iter().any(|identifier| person.contains(identifier));
            if heard.event.call == Call::Identify && is_known && is_theirs {
                for (name, value) in &heard.event.births {
                    let is_birth =
                        ["birthday", "birth_date", "birthdate", "date_of_birth"].contains(&name.as_str());
                    youngest = youngest.max(Date::parse(value).filter(|_| is_birth));
                }
            }
        }
        match youngest {
            None => reasons.push(Reason::AgeUnknown),
            Some(Date { year, month, day }) => {
                if (Date { year: year + years, month, day }) > Date::of(now) {
                    reasons.push(Reason::Underage);
                }
            }
        }
    }
}

fn is_about(statement: &Statement, purpose: &Purpose) -> bool {
    statement.purpose.as_deref() == Some(purpose.name.as_str())
}

/// Of the statements that count, those of the last instant. There may be several; each no among them counts.
fn last<'a>(said: &[&'a Statement], counts: impl Fn(&Statement) -> bool) -> Vec<&'a Statement> {
    let mut found: Vec<&Statement> = Vec::new();
    for statement in said.iter().filter(|statement| counts(statement)) {
        if found.first().is_some_and(|other| other.at < statement.at) {
            found.clear();
        }
        if found.first().is_none_or(|other| other.at == statement.at) {
            found.push(statement);
        }
    }
    found
}

/// Whether what was heard is about somebody with one of these identifiers.
fn is_of(heard: &Heard, person: &[String]) -> bool {
    heard.event.identifiers.iter().any(|own| person.contains(own))
}
