//! The six legal bases in the words of other laws and vocabularies.
//!
//! Reference: GDPR Art. 6(1); W3C Data Privacy Vocabulary 2, extension for the GDPR; LGPD Art. 7; California Civil
//! Code 1798.100-1798.140.

use tessera_model::LegalBasis;

/// A legal basis as others name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasisNames {
    /// For people.
    pub title: &'static str,
    /// Its article in the GDPR.
    pub gdpr: &'static str,
    /// Its identifier in the Data Privacy Vocabulary.
    pub dpv: &'static str,
    /// The nearest of LGPD's ten bases.
    pub lgpd: &'static str,
    /// What it means in California, where no basis is needed but notice is, and people may opt out.
    pub ccpa: &'static str,
}

const BUSINESS_PURPOSE: &str =
    "business purpose, with notice at collection (Civ. Code 1798.100, 1798.140(e))";

/// The names of a legal basis.
#[must_use]
pub const fn basis_names(basis: LegalBasis) -> BasisNames {
    match basis {
        LegalBasis::Consent => BasisNames {
            title: "consent",
            gdpr: "Art. 6(1)(a)",
            dpv: "https://w3id.org/dpv/legal/eu/gdpr#A6-1-a",
            lgpd: "Art. 7(I)",
            ccpa: "consent (Civ. Code 1798.140(h)); opt-in where 1798.120(c) or 1798.121 ask for it",
        },
        LegalBasis::Contract => BasisNames {
            title: "contract",
            gdpr: "Art. 6(1)(b)",
            dpv: "https://w3id.org/dpv/legal/eu/gdpr#A6-1-b",
            lgpd: "Art. 7(V)",
            ccpa: BUSINESS_PURPOSE,
        },
        LegalBasis::LegalObligation => BasisNames {
            title: "legal obligation",
            gdpr: "Art. 6(1)(c)",
            dpv: "https://w3id.org/dpv/legal/eu/gdpr#A6-1-c",
            lgpd: "Art. 7(II)",
            ccpa: "compliance with laws (Civ. Code 1798.145(a))",
        },
        LegalBasis::VitalInterests => BasisNames {
            title: "vital interests",
            gdpr: "Art. 6(1)(d)",
            dpv: "https://w3id.org/dpv/legal/eu/gdpr#A6-1-d",
            lgpd: "Art. 7(VII)",
            ccpa: "emergency (Civ. Code 1798.145(a))",
        },
        LegalBasis::PublicTask => BasisNames {
            title: "public task",
            gdpr: "Art. 6(1)(e)",
            dpv: "https://w3id.org/dpv/legal/eu/gdpr#A6-1-e",
            lgpd: "Art. 7(III)",
            ccpa: "not covered: public bodies are no businesses (Civ. Code 1798.140(d))",
        },
        LegalBasis::LegitimateInterests => BasisNames {
            title: "legitimate interests",
            gdpr: "Art. 6(1)(f)",
            dpv: "https://w3id.org/dpv/legal/eu/gdpr#A6-1-f",
            lgpd: "Art. 7(IX), 10",
            ccpa: BUSINESS_PURPOSE,
        },
    }
}
