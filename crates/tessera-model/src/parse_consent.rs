//! What an event says of consent and contact points, in the shapes that consent tools send.
//!
//! References: Segment's `context.consent.categoryPreferences` and `context.messaging_subscriptions`; mParticle's
//! `consent_state`; IAB TCF 2.3 and GPP strings in `context.consent.tcf` and `context.consent.gpp`; Global Privacy
//! Control (`Sec-GPC: 1`).

use serde_json::value::RawValue;

use crate::event::Identified;
use crate::parse::{Entries, Problem, json_problem, timestamp};
use crate::{
    ClaimOf, ConsentClaim, ConsentStatus, Expression, NAME_BYTES_MAX, ParseContext, PurposeId, RejectCode,
    SourceRules, SubscriptionClaim, SubscriptionState, TRAITS_MAX, Timestamp, pick, wire,
};

/// Longest reference to a form or a proof, in bytes.
const REFERENCE_BYTES_MAX: usize = NAME_BYTES_MAX;

/// The statements of one event.
pub(crate) struct Statements<'a> {
    context: &'a ParseContext<'a>,
    source: Option<&'a SourceRules>,
    at: Timestamp,
    pub(crate) claims: Vec<ConsentClaim>,
}

fn wrong(field: &str, reason: &str) -> Problem {
    Problem(RejectCode::WrongType, format!("{field}: {reason}"))
}

fn in_field(field: &str) -> impl Fn(serde_json::Error) -> Problem {
    move |error| {
        let Problem(code, reason) = json_problem(&error);
        Problem(code, format!("{field}: {reason}"))
    }
}

fn reference(field: &str, text: Option<&wire::Text<'_>>) -> Result<Option<Box<str>>, Problem> {
    let Some(text) = text.map(wire::Text::as_str).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.len() > REFERENCE_BYTES_MAX || text.chars().any(char::is_control) {
        let reason = format!("{field}: longer than {REFERENCE_BYTES_MAX} bytes, or with control characters");
        return Err(Problem(RejectCode::BadName, reason));
    }
    Ok(Some(text.into()))
}

impl<'a> Statements<'a> {
    pub(crate) fn new(context: &'a ParseContext<'a>, source: Option<&'a SourceRules>, at: Timestamp) -> Self {
        Self { context, source, at, claims: Vec::new() }
    }

    /// Reads every shape that the call carries.
    pub(crate) fn read(
        &mut self,
        call: &wire::Call<'_>,
        details: &wire::Context<'_>,
        name: &str,
    ) -> Result<(), Problem> {
        if let Some(consent) = details.consent {
            if let Some(preferences) = pick(consent, "categoryPreferences") {
                self.categories(preferences, "context.consent.categoryPreferences")?;
            }
            if let Some(text) = pick(consent, "tcf") {
                self.tcf(text)?;
            }
            if let Some(text) = pick(consent, "gpp") {
                self.gpp(text)?;
            }
        }
        for state in [call.consent_state, details.consent_state].into_iter().flatten() {
            self.consent_state(state)?;
        }
        if name == "consent" {
            match call.consents {
                Some(own) => self.categories(own, "consents")?,
                None if call.subscriptions.is_some() || call.preferences.is_some() => {}
                None if !self.claims.is_empty() => {}
                None => {
                    let reason = "a consent call needs `consents`, `subscriptions` or `preferences`";
                    return Err(Problem(RejectCode::MissingField, reason.to_owned()));
                }
            }
        }
        if self.context.gpc {
            self.opt_out("Sec-GPC");
        }
        Ok(())
    }

    fn of(&self, category: &str) -> ClaimOf {
        self.source.and_then(|source| source.purpose_of(category)).map_or(ClaimOf::Unknown, ClaimOf::Purpose)
    }

    fn claim(&mut self, of: ClaimOf, status: ConsentStatus, how: Option<&str>) {
        let claim = ConsentClaim {
            of,
            status,
            expression: Expression::Explicit,
            version: None,
            at: None,
            how: how.map(Into::into),
            evidence: None,
        };
        self.claims.push(claim);
    }

    /// An opt-out of every purpose that sells or shares data.
    fn opt_out(&mut self, how: &str) {
        for id in self.context.rules.sales.iter() {
            self.claim(ClaimOf::Purpose(id), ConsentStatus::Objected, Some(how));
        }
    }

    /// `{CATEGORY: true | "withdrawn" | {"status": ...}}`.
    fn categories(&mut self, raw: &RawValue, field: &str) -> Result<(), Problem> {
        let entries: Entries<'_> = serde_json::from_str(raw.get()).map_err(in_field(field))?;
        if entries.0.len() > TRAITS_MAX {
            return Err(Problem(RejectCode::TooMany, format!("{field} has more than {TRAITS_MAX} entries")));
        }
        for (category, value) in entries.0 {
            let of = self.of(category.as_str());
            if value.get().starts_with('{') {
                let said: wire::Said<'_> = serde_json::from_str(value.get()).map_err(in_field(field))?;
                self.claims.push(self.said(of, &said, field)?);
                continue;
            }
            let Some(status) = ConsentStatus::parse(value.get().trim_matches('"')) else {
                let known =
                    "a status is true, false, given, renewed, refused, withdrawn, expired, objected or ended";
                return Err(wrong(field, known));
            };
            self.claim(of, status, None);
        }
        Ok(())
    }

    fn said(&self, of: ClaimOf, said: &wire::Said<'_>, field: &str) -> Result<ConsentClaim, Problem> {
        let Some(status) = ConsentStatus::parse(said.status.as_str()) else {
            return Err(wrong(
                field,
                "`status` is given, renewed, refused, withdrawn, expired, objected or ended",
            ));
        };
        let at = match said.at.map(timestamp).transpose() {
            Ok(at) => at.flatten(),
            Err(reason) => return Err(Problem(RejectCode::BadTimestamp, format!("{field}: at {reason}"))),
        };
        Ok(ConsentClaim {
            of,
            status,
            expression: said.expression,
            version: said.version,
            // What lies ahead of the event cannot have been said yet.
            at: at.map(|at| at.min(self.at)),
            how: reference(field, said.how.as_ref())?,
            evidence: reference(field, said.evidence.as_ref())?,
        })
    }

    fn consent_state(&mut self, raw: &RawValue) -> Result<(), Problem> {
        const GDPR: &str = "consent_state.gdpr";
        if let Some(gdpr) = pick(raw, "gdpr").filter(|raw| raw.get() != "null") {
            let entries: Entries<'_> = serde_json::from_str(gdpr.get()).map_err(in_field(GDPR))?;
            if entries.0.len() > TRAITS_MAX {
                return Err(Problem(
                    RejectCode::TooMany,
                    format!("{GDPR} has more than {TRAITS_MAX} entries"),
                ));
            }
            for (purpose, value) in entries.0 {
                let state: wire::ConsentState<'_> =
                    serde_json::from_str(value.get()).map_err(in_field(GDPR))?;
                let claim = ConsentClaim {
                    of: self.of(purpose.as_str()),
                    status: if state.consented { ConsentStatus::Given } else { ConsentStatus::Refused },
                    expression: Expression::Explicit,
                    version: None,
                    at: state.timestamp_unixtime_ms.map(|at| Timestamp::from_millis(at).min(self.at)),
                    how: reference(GDPR, state.document.as_ref())?,
                    evidence: reference(GDPR, state.location.as_ref())?,
                };
                self.claims.push(claim);
            }
        }
        let opt_out = pick(raw, "ccpa").and_then(|ccpa| pick(ccpa, "data_sale_opt_out"));
        if let Some(opt_out) = opt_out.filter(|raw| raw.get() != "null") {
            const FIELD: &str = "consent_state.ccpa.data_sale_opt_out";
            let state: wire::ConsentState<'_> =
                serde_json::from_str(opt_out.get()).map_err(in_field(FIELD))?;
            // Here `consented` means that the person opted out; the contrary is no yes to anything.
            if state.consented {
                self.opt_out("mparticle ccpa");
            }
        }
        Ok(())
    }

    fn tcf(&mut self, raw: &RawValue) -> Result<(), Problem> {
        const FIELD: &str = "context.consent.tcf";
        let text: wire::Text<'_> = serde_json::from_str(raw.get()).map_err(in_field(FIELD))?;
        match tessera_iab::tcf(text.as_str()) {
            Ok(tcf) => self.tcf_claims(&tcf),
            Err(error) => return Err(wrong(FIELD, &error.to_string())),
        }
        Ok(())
    }

    /// A TCF purpose that we have consent for is a yes to the purpose it stands for, any other a no.
    fn tcf_claims(&mut self, tcf: &tessera_iab::Tcf) {
        let Some(source) = self.source else { return };
        if tcf.flaw().is_some() {
            // Not a string that anybody may rely on: it says neither yes nor no.
            self.claim(ClaimOf::Unknown, ConsentStatus::Given, None);
            return;
        }
        let vendor_agrees = source.tcf_vendor.is_none_or(|vendor| tcf.vendor_consents.contains(vendor));
        let said: Vec<(PurposeId, bool)> = source
            .tcf_purposes
            .iter()
            .map(|(number, id)| (*id, vendor_agrees && tcf.purposes_consent.contains(*number)))
            .collect();
        for (id, is_yes) in said {
            let status = if is_yes { ConsentStatus::Given } else { ConsentStatus::Refused };
            self.claim(ClaimOf::Purpose(id), status, Some("IAB TCF"));
        }
    }

    fn gpp(&mut self, raw: &RawValue) -> Result<(), Problem> {
        const FIELD: &str = "context.consent.gpp";
        let text: wire::Text<'_> = serde_json::from_str(raw.get()).map_err(in_field(FIELD))?;
        let gpp = tessera_iab::gpp(text.as_str()).map_err(|error| wrong(FIELD, &error.to_string()))?;
        if let Some(tcf) = gpp.tcf_eu() {
            self.tcf_claims(tcf);
        }
        let answers = [gpp.sale_opt_out(), gpp.sharing_opt_out(), gpp.targeted_advertising_opt_out()];
        let is_opted_out = answers.contains(&Some(tessera_iab::Answer::OptedOut)) || gpp.gpc() == Some(true);
        if is_opted_out {
            self.opt_out("IAB GPP");
        }
        Ok(())
    }

    /// The contact points; their identifiers join those of the event.
    pub(crate) fn subscriptions(
        &self,
        call: &wire::Call<'_>,
        details: &wire::Context<'_>,
        identifiers: &mut Vec<Identified>,
    ) -> Result<Vec<SubscriptionClaim>, Problem> {
        let mut claims = Vec::new();
        for (raw, field) in [
            (call.subscriptions, "subscriptions"),
            (details.messaging_subscriptions, "context.messaging_subscriptions"),
        ] {
            let Some(raw) = raw.filter(|raw| raw.get() != "null") else { continue };
            let given: Vec<wire::MessagingSubscription<'_>> =
                serde_json::from_str(raw.get()).map_err(in_field(field))?;
            if given.len() > TRAITS_MAX {
                return Err(Problem(
                    RejectCode::TooMany,
                    format!("{field} has more than {TRAITS_MAX} entries"),
                ));
            }
            for one in given {
                self.subscription(&one, field, identifiers, &mut claims)?;
            }
        }
        Ok(claims)
    }

    fn subscription(
        &self,
        given: &wire::MessagingSubscription<'_>,
        field: &str,
        identifiers: &mut Vec<Identified>,
        claims: &mut Vec<SubscriptionClaim>,
    ) -> Result<(), Problem> {
        let state = |text: &wire::Text<'_>| {
            SubscriptionState::parse(text.as_str())
                .ok_or_else(|| wrong(field, "a status is SUBSCRIBED, UNSUBSCRIBED or DID_NOT_SUBSCRIBE"))
        };
        let channel = given.kind.as_str().to_ascii_lowercase();
        let namespace = match channel.as_str() {
            "email" => "email",
            "sms" | "whatsapp" | "voice" => "phone",
            // A device token is what the sender calls it.
            other => other,
        };
        let namespaces = &self.context.rules.namespaces;
        let namespace = crate::Namespace::parse(namespace)?;
        let identified = match namespaces.get(&namespace) {
            Some(prepared) => {
                let region = self.source.and_then(|source| source.default_region);
                prepared.identify_in(self.context.key, given.key.as_str(), region)?
            }
            None => None,
        };
        let Some(contact) = identified else {
            return Err(wrong(field, "a contact point is no identifier of a declared namespace"));
        };
        let groups = given.groups.iter().map(|group| (group.name.as_str(), &group.status));
        for (topic, status) in [("", &given.status)].into_iter().chain(groups) {
            if topic.len() > NAME_BYTES_MAX || topic.chars().any(char::is_control) {
                return Err(wrong(field, "the name of a group is too long or has control characters"));
            }
            claims.push(SubscriptionClaim {
                contact: contact.clone(),
                channel: channel.as_str().into(),
                topic: topic.into(),
                state: state(status)?,
            });
        }
        identifiers.push(contact);
        Ok(())
    }
}
