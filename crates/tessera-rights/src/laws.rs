//! Which article of which law each feature serves, and what Tessera does not do.
//!
//! Not legal advice, and not a claim of conformity: a table to check us by. Invariant: `docs/reference/laws.md` is
//! made from here. Reference: Regulation (EU) 2016/679 (GDPR); California Civil Code 1798.100-1798.199 and 11 CCR
//! 7000-7304 (CCPA/CPRA); Lei 13.709/2018 (LGPD).

use crate::basis::basis_names;
use crate::clock::{Term, deadlines};
use crate::request::{DenialReason, Regime, RequestType};

/// A feature and the articles it serves. An empty text: the law asks for nothing of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// Articles of the GDPR.
    pub gdpr: &'static str,
    /// Sections of the Civil Code and of 11 CCR.
    pub ccpa: &'static str,
    /// Articles of the LGPD.
    pub lgpd: &'static str,
}

const fn feature(name: &'static str, does: &'static str, [gdpr, ccpa, lgpd]: [&'static str; 3]) -> Feature {
    Feature { name, does, gdpr, ccpa, lgpd }
}

/// Every feature that serves a law.
pub const FEATURES: [Feature; 24] = [
    feature(
        "Purposes",
        "Data is kept and used only for declared, versioned purposes, each with one legal basis that is not swapped.",
        ["5(1)(b), 6(1), 13(1)(c)", "1798.100(c); 11 CCR 7002", "6(I), 7, 9(I)"],
    ),
    feature(
        "Gate in",
        "An event that no purpose covers leaves nothing but a count.",
        ["5(1)(a), 5(1)(c), 25(1)", "1798.100(c)", "6(III), 7"],
    ),
    feature(
        "Gate out",
        "Every door out - destinations, profile API, exports, live stream - asks again at the moment of use.",
        ["5(1)(b), 25(2)", "1798.100(c), 1798.120", "6(I), 6(II)"],
    ),
    feature(
        "Consent records",
        "Who said what about which version of a purpose, when and how, explicit or implied, with a reference to the proof.",
        ["4(11), 7(1), 7(2)", "1798.140(h); 11 CCR 7004, 7101", "8"],
    ),
    feature(
        "Withdrawal",
        "Takes effect at the next decision; data whose last purpose ended is removed on schedule.",
        ["7(3), 17(1)(b)", "1798.120, 1798.121", "8(5), 15(III)"],
    ),
    feature(
        "Validity and re-consent",
        "A consent runs out after a declared time, and after a changed notice from a cut-off date.",
        ["4(11), 7, 13(3)", "11 CCR 7012", "8(6), 9(2)"],
    ),
    feature(
        "Explicit consent and special categories",
        "A purpose that uses special categories must name the label; it may demand explicit consent.",
        ["9(1), 9(2)(a)", "1798.121, 1798.140(ae)", "5(II), 11"],
    ),
    feature(
        "Minimum age",
        "No known birth date, or too young: no.",
        ["8", "1798.120(c)-(d); 11 CCR 7070-7071", "14"],
    ),
    feature(
        "Objection",
        "Ends a purpose; final for direct marketing, else until the controller shows compelling grounds.",
        ["21(1)-(3)", "1798.120", "18(2)"],
    ),
    feature(
        "Opt-out of sale and sharing",
        "By request or by `Sec-GPC: 1` (exactly), for every purpose that sells or shares.",
        ["21(2)-(3), 21(5)", "1798.120, 1798.135; 11 CCR 7025, 7026", "18(2)"],
    ),
    feature("Restriction", "Data is kept and not used.", ["18, 4(3)", "1798.121; 11 CCR 7027", "18(IV)"]),
    feature(
        "Merging takes the stricter answer",
        "When profiles join, one no beats every yes.",
        ["5(1)(a), 25(1)", "", "6(VIII)"],
    ),
    feature(
        "Access",
        "What we hold, since when, from where, why, and who got it: as JSON and as a page.",
        ["15(1)-(3)", "1798.100(a), 1798.110, 1798.115, 1798.130; 11 CCR 7024", "18(I)-(II), 18(VII), 19"],
    ),
    feature(
        "Portability",
        "Machine-readable; only data on the basis of consent or contract.",
        ["20", "1798.130(a)(3)(B)(iii)", "18(V), 19(3)"],
    ),
    feature(
        "Rectification",
        "Corrected, and recipients told.",
        ["16, 19, 5(1)(d)", "1798.106; 11 CCR 7023", "18(III), 18(6)"],
    ),
    feature(
        "Erasure",
        "Log, profiles, graph, rejects, queues, dead letters; a tombstone stops re-import; `tessera erase --verify` scans.",
        ["17, 19, 5(1)(e)", "1798.105; 11 CCR 7022", "18(VI), 16, 18(6)"],
    ),
    feature(
        "Clocks of requests",
        "A deadline for each law and kind of request, with business days, extensions and pauses.",
        ["12(3)-(4), 12(6)", "1798.130(a)(2); 11 CCR 7021", "18(5), 19(II)"],
    ),
    feature(
        "Identity check",
        "Nothing is given out, changed or erased before the person has shown who they are.",
        ["12(2), 12(6), 5(1)(f)", "1798.140(ak); 11 CCR 7060-7062", "18(3)"],
    ),
    feature(
        "OpenDSR and Data Rights Protocol",
        "Requests arrive by machine, from controllers and from authorised agents.",
        ["12(2), 28(3)(e)", "11 CCR 7063", "18(3)"],
    ),
    feature(
        "Labels, policies and residency",
        "A destination is refused a field by label and use, and a region that the purpose does not name.",
        ["5(1)(c), 25, 44-46", "1798.100(d), 1798.121", "6(III), 33"],
    ),
    feature(
        "Evidence ledger",
        "Each field that left, with purpose, basis, consent record and version: hash-chained, signed, checkable by a stranger.",
        ["5(2), 15(1)(c), 24(1)", "1798.110(a)(4), 1798.115; 11 CCR 7101", "6(X), 18(VII)"],
    ),
    feature(
        "Consent receipts",
        "ISO/IEC TS 27560 as JSON and as a page in the person's language.",
        ["7(1), 12(1)", "", "8(2), 9"],
    ),
    feature(
        "Records of processing and policy report",
        "The register of Art. 30 from the workspace, and what is to be mended in it.",
        ["24, 30(1), 35(7)(a)", "11 CCR 7101, 7102", "37, 38"],
    ),
    feature(
        "Accounts, roles, audit log, breach look-up",
        "Who read what; who was touched by a destination, field and span of time.",
        ["5(1)(f), 32, 33(3), 34", "1798.100(e), 1798.150", "46-48, 6(VII)"],
    ),
];

/// What Tessera does not do, and who has to.
pub const NOT_DONE: [&str; 12] = [
    "It gives no legal advice, and using it makes nobody compliant. The articles say what a feature is for.",
    "It does not judge whether a basis, a balancing of interests or a compelling ground is good: people declare it and answer for it (GDPR Art. 6(1)(f), 21(1)).",
    "It does not collect consent: forms, banners and their wording are yours. It checks what they report, not how they asked (GDPR Art. 4(11), 7(2), 7(4)).",
    "It does not verify identities. It records that somebody did, and refuses to go on without (GDPR Art. 12(6); 11 CCR 7060-7062).",
    "It does not reach data that recipients copied. It tells them and records what they answered (GDPR Art. 19).",
    "It does not write impact assessments (GDPR Art. 35), transfer assessments (Art. 46) or contracts with processors (Art. 28); the records are a start.",
    "It does not notify authorities or people of a breach (GDPR Art. 33-34, LGPD Art. 48): it says who was touched.",
    "It does not decide about people by itself: automated decisions and their opt-out (GDPR Art. 22, LGPD Art. 20, 11 CCR 7200 ff.) are not modelled.",
    "It knows no public holidays: without a calendar, deadlines count weekends only. Extensions granted by an authority, and the doubled terms of small Brazilian agents (Resolução CD/ANPD 2/2022), are not counted.",
    "It does not parse who is a resident of where: the law of a request and the jurisdiction of a source are declared.",
    "Laws of other countries and states are not modelled. Purposes and requests may follow the nearest of the three.",
    "It does not keep to ePrivacy rules on storing and reading on a device (Directive 2002/58 Art. 5(3)); that is the client's part.",
];

/// The page `docs/reference/laws.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = "# Laws\n\nWhich article each feature serves, how long requests may take, on what ground they are denied, and \
                   what Tessera\ndoes not do. Not legal advice.\n<!-- Written by `cargo xtask codegen`. -->\n\n\
                   Articles without a code are of the law at the head of the column; four-digit sections from 1798 on \
                   are of the\nCalifornia Civil Code. In the LGPD's articles a Roman number is an item and an Arabic one a paragraph.\n\n## Features\n\n"
        .to_owned();
    row(&mut out, ["feature", "what it does", "GDPR Art.", "CCPA/CPRA", "LGPD Art."]);
    row(&mut out, ["---"; 5]);
    for Feature { name, does, gdpr, ccpa, lgpd } in FEATURES {
        row(&mut out, [name, does, gdpr, ccpa, lgpd]);
    }
    bases(&mut out);
    terms(&mut out);
    reasons(&mut out);
    out += "\n## What Tessera does not do\n\n";
    for text in NOT_DONE {
        out += &format!("* {text}\n");
    }
    out
}

fn bases(out: &mut String) {
    use tessera_model::LegalBasis::{
        Consent, Contract, LegalObligation, LegitimateInterests, PublicTask, VitalInterests,
    };
    *out += "\n## Legal bases\n\nLGPD has ten; the four without a counterpart (research, legal claims, health, credit, Art. 7(IV), (VI), (VIII),\n(X)) are declared as the nearest of the six.\n\n";
    row(out, ["basis", "GDPR", "LGPD", "CCPA/CPRA"]);
    row(out, ["---"; 4]);
    for basis in [Consent, Contract, LegalObligation, VitalInterests, PublicTask, LegitimateInterests] {
        let names = basis_names(basis);
        row(out, [names.title, names.gdpr, names.lgpd, names.ccpa]);
    }
}

fn terms(out: &mut String) {
    *out += "\n## How long requests may take\n\nThe day of arrival does not count. Under GDPR a last day on a weekend or holiday moves to the next working day, and\nthe time stands still while the person is asked who they are; elsewhere neither.\n\n";
    row(out, ["law", "request", "confirm within", "answer within", "extended, in all", "article"]);
    row(out, ["---"; 6]);
    let term = |term: Option<Term>| term.map_or("-".to_owned(), |term| term.to_string());
    for regime in Regime::ALL {
        for request_type in RequestType::ALL {
            let deadlines = deadlines(regime, request_type);
            let cells = [
                regime.title().to_owned(),
                request_type.as_str().to_owned(),
                term(deadlines.acknowledge),
                deadlines.answer.to_string(),
                term(deadlines.extended),
                deadlines.article.to_owned(),
            ];
            row(out, cells.each_ref().map(String::as_str));
        }
    }
}

fn reasons(out: &mut String) {
    *out += "\n## On what ground a request is denied, or a part left out\n\n";
    row(out, ["reason", "requests", "GDPR", "CCPA/CPRA", "LGPD"]);
    row(out, ["---"; 5]);
    for reason in DenialReason::ALL {
        let article =
            |regime| RequestType::ALL.iter().find_map(|kind| reason.article(regime, *kind)).unwrap_or("-");
        let is_against =
            |kind: &&RequestType| Regime::ALL.iter().any(|regime| reason.article(*regime, **kind).is_some());
        let against: Vec<&str> =
            RequestType::ALL.iter().filter(is_against).map(|kind| kind.as_str()).collect();
        let against =
            if against.len() == RequestType::ALL.len() { "all".to_owned() } else { against.join(", ") };
        let articles = Regime::ALL.map(article);
        let [gdpr, ccpa, lgpd] = articles;
        row(out, [reason.as_str(), &against, gdpr, ccpa, lgpd]);
    }
}

fn row<const N: usize>(out: &mut String, cells: [&str; N]) {
    out.push('|');
    for text in cells {
        *out += &format!(" {} |", if text.is_empty() { "-" } else { text });
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_the_cells_of_its_head() {
        let mut head = 0;
        for line in markdown().lines() {
            let cells = line.replace("\\|", "").matches('|').count();
            if cells > 0 && head > 0 {
                assert_eq!(cells, head, "{line}");
            }
            head = cells;
        }
    }

    #[test]
    fn every_feature_serves_the_gdpr_and_is_named_once() {
        for (at, feature) in FEATURES.iter().enumerate() {
            assert!(!feature.gdpr.is_empty() && !feature.does.is_empty(), "{}", feature.name);
            assert!(FEATURES.iter().skip(at + 1).all(|other| other.name != feature.name), "{}", feature.name);
        }
    }

    #[test]
    fn the_page_states_the_terms_that_the_clocks_count() {
        let page = markdown();
        for line in [
            "| GDPR | access | - | 1 month | 3 months | Art. 12(3) |",
            "| CCPA/CPRA | erasure | 10 business days | 45 days | 90 days | 11 CCR 7021 |",
            "| CCPA/CPRA | opt_out_of_sale | - | 15 business days | - | 11 CCR 7026(f) |",
            "| LGPD | access | - | 15 days | - | Art. 19(II) |",
            "| legal_obligation | erasure | Art. 17(3)(b) | Civ. Code 1798.105(d)(8) | Art. 16(I) |",
        ] {
            assert!(page.lines().any(|known| known == line), "{line}");
        }
    }
}
