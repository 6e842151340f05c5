//! What a request that is granted changes: the words to be recorded about the person, and the purposes whose data is
//! portable.
//!
//! Not the recording: the orders go through the log like any other. Invariant: a request never makes a use lawful
//! that was not, but for the restriction that the person asks to lift. Reference: GDPR Art. 18, 20(1), 21;
//! California Civil Code 1798.120, 1798.121; LGPD Art. 18(2), 19(3).

use std::collections::BTreeSet;

use tessera_model::{
    ConsentOrder, ConsentStatus, Expression, Label, LegalBasis, PurposeDocument, PurposeName, Timestamp,
    Workspace,
};

use crate::catalogue::Catalogue;
use crate::request::{Regime, Request, RequestType};

/// The words to record about the person at `at` when `request` is granted.
///
/// * restriction: `restricted` for the whole person; under CCPA a limit, that is `objected` for each purpose that may
///   use sensitive data;
/// * objection: `objected` for each purpose named; if none is named, for each against which there is a right to
///   object;
/// * opt-out of sale: `objected` for each purpose that sells or shares.
///
/// The others record nothing: they give out, correct or erase.
#[must_use]
pub fn consent_orders(request: &Request, workspace: &Workspace, at: Timestamp) -> Vec<ConsentOrder> {
    let opening = request.opening();
    let order = |purpose: Option<PurposeName>, status| ConsentOrder {
        purpose,
        status,
        expression: Expression::Explicit,
        version: None,
        at: Some(at),
        how: Some(format!("request/{}", opening.id)),
        evidence: None,
    };
    let is_limit = opening.regime == Regime::Ccpa && opening.request_type == RequestType::Restriction;
    let is_meant: fn(&PurposeDocument) -> bool = match opening.request_type {
        RequestType::Restriction if is_limit => is_sensitive,
        RequestType::Restriction => return vec![order(None, ConsentStatus::Restricted)],
        RequestType::LiftRestriction => return vec![order(None, ConsentStatus::Unrestricted)],
        RequestType::Objection if opening.purposes.is_empty() => is_objectable,
        RequestType::Objection => |_| true,
        RequestType::OptOutOfSale => |purpose| purpose.sells_or_shares,
        RequestType::Access
        | RequestType::Portability
        | RequestType::Rectification
        | RequestType::Erasure => return Vec::new(),
    };
    let is_named =
        |purpose: &&&PurposeDocument| opening.purposes.is_empty() || opening.purposes.contains(&purpose.name);
    let purposes = Catalogue::of(workspace).purposes;
    let meant = purposes.iter().filter(is_named).filter(|purpose| is_meant(purpose));
    meant.map(|purpose| order(Some(purpose.name.clone()), ConsentStatus::Objected)).collect()
}

/// The purposes whose data is portable: those on the basis of consent or contract (Art. 20(1)(a)).
#[must_use]
pub fn portable_purposes(workspace: &Workspace) -> BTreeSet<PurposeName> {
    let is_portable =
        |purpose: &&PurposeDocument| matches!(purpose.basis, LegalBasis::Consent | LegalBasis::Contract);
    let purposes = Catalogue::of(workspace).purposes;
    purposes.into_iter().filter(is_portable).map(|purpose| purpose.name.clone()).collect()
}

/// Whether the controller may show compelling grounds against an objection to `purpose`: not where it is direct
/// marketing (Art. 21(3)) or a sale, and only on the bases that Art. 21(1) names.
#[must_use]
pub const fn may_be_overruled(purpose: &PurposeDocument) -> bool {
    let is_balanced = matches!(purpose.basis, LegalBasis::PublicTask | LegalBasis::LegitimateInterests);
    is_balanced && !purpose.direct_marketing && !purpose.sells_or_shares
}

/// Whether there is a right to object: public task and legitimate interests, direct marketing and sale on any basis.
fn is_objectable(purpose: &PurposeDocument) -> bool {
    matches!(purpose.basis, LegalBasis::PublicTask | LegalBasis::LegitimateInterests)
        || purpose.direct_marketing
        || purpose.sells_or_shares
}

/// Whether it may use what California calls sensitive: precise location, special categories.
fn is_sensitive(purpose: &PurposeDocument) -> bool {
    purpose.labels.contains(&Label::Special) || purpose.labels.contains(&Label::S1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::workspace;
    use crate::request::tests::{at, opened};

    const PURPOSES: [&str; 6] = [
        r#"{"kind": "Purpose", "name": "ads", "basis": "consent", "sells_or_shares": true}"#,
        r#"{"kind": "Purpose", "name": "care", "basis": "consent", "explicit": true, "labels": ["special"]}"#,
        r#"{"kind": "Purpose", "name": "fraud", "basis": "legitimate_interests"}"#,
        r#"{"kind": "Purpose", "name": "mail", "basis": "legitimate_interests", "direct_marketing": true}"#,
        r#"{"kind": "Purpose", "name": "orders", "basis": "contract"}"#,
        r#"{"kind": "Purpose", "name": "tax", "basis": "legal_obligation"}"#,
    ];

    /// `request => word:purpose, ...`
    fn check(regime: Regime, request_type: RequestType, named: &[&str], expected: &str) {
        let mut opening = opened(regime, request_type, "2026-03-05").opening().clone();
        opening.purposes = named.iter().map(|name| PurposeName::parse(name).unwrap()).collect();
        let request = Request::open(opening).unwrap();
        let orders = consent_orders(&request, &workspace(&PURPOSES), at("2026-03-06"));
        let word = |order: &ConsentOrder| {
            assert_eq!((order.at, order.expression), (Some(at("2026-03-06")), Expression::Explicit));
            assert_eq!(order.how.as_deref(), Some("request/00000000-0000-4000-8000-000000000007"));
            let purpose = order.purpose.as_ref().map_or("*", PurposeName::as_str);
            format!("{}:{purpose}", order.status.as_str())
        };
        let got: Vec<String> = orders.iter().map(word).collect();
        assert_eq!(got.join(", "), expected, "{regime} {request_type}");
    }

    #[test]
    fn a_request_that_is_granted_records_what_the_person_said() {
        check(Regime::Gdpr, RequestType::Restriction, &[], "restricted:*");
        check(Regime::Gdpr, RequestType::LiftRestriction, &[], "unrestricted:*");
        check(Regime::Gdpr, RequestType::Objection, &[], "objected:ads, objected:fraud, objected:mail");
        check(Regime::Gdpr, RequestType::Objection, &["fraud", "orders"], "objected:fraud, objected:orders");
        check(Regime::Ccpa, RequestType::OptOutOfSale, &[], "objected:ads");
        check(Regime::Ccpa, RequestType::OptOutOfSale, &["fraud"], "");
        check(Regime::Ccpa, RequestType::Restriction, &[], "objected:care");
        for kind in
            [RequestType::Access, RequestType::Portability, RequestType::Rectification, RequestType::Erasure]
        {
            check(Regime::Lgpd, kind, &[], "");
        }
    }

    #[test]
    fn what_rests_on_consent_or_contract_is_portable() {
        let portable = portable_purposes(&workspace(&PURPOSES));
        let names: Vec<&str> = portable.iter().map(PurposeName::as_str).collect();
        assert_eq!(names, ["ads", "care", "orders"]);
    }

    #[test]
    fn only_a_balance_of_interests_can_be_overruled_and_never_for_marketing() {
        let workspace = workspace(&PURPOSES);
        let overruled: Vec<&str> = Catalogue::of(&workspace)
            .purposes
            .into_iter()
            .filter(|purpose| may_be_overruled(purpose))
            .map(|purpose| purpose.name.as_str())
            .collect();
        assert_eq!(overruled, ["fraud"]);
    }
}
