//! The Canadian TC string: express and implied consent, section 5 of a GPP string.
//!
//! Reference: IAB Tech Lab, "GPP Extension: IAB TCF Canada", 1.0 and 1.1 (which added restrictions at the end).
//! Vendors are coded as in the European string: the published text names another coding, but the reference encoders
//! and the strings in use have this one.

use std::fmt;

use crate::bits::Bits;
use crate::error::IabError;
use crate::sets::{NumberSet, VendorSet};
use crate::tcf::{PublisherRestriction, publisher_restrictions};

const CORE: &str = "tcfcav1";

/// A Canadian TC string, decoded. Its `Debug` shows no answers: the string is personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct TcfCanada {
    /// When the string was first made, in milliseconds since 1970.
    pub created_at_millis: i64,
    /// When the answers were last changed, in milliseconds since 1970.
    pub updated_at_millis: i64,
    /// The consent management platform that wrote it.
    pub cmp_id: u16,
    /// ISO 639-1, two capital letters.
    pub consent_language: String,
    /// `TcfPolicyVersion`.
    pub policy_version: u8,
    /// Special features with express consent.
    pub special_features_express: NumberSet,
    /// Purposes with express consent.
    pub purposes_express: NumberSet,
    /// Purposes with implied consent.
    pub purposes_implied: NumberSet,
    /// Vendors with express consent.
    pub vendors_express: VendorSet,
    /// Vendors with implied consent.
    pub vendors_implied: VendorSet,
    /// The publisher's restrictions; here "consent" means express and "legitimate interest" means implied consent.
    pub publisher_restrictions: Vec<PublisherRestriction>,
    /// Vendors that were shown, if the string says.
    pub disclosed_vendors: Option<VendorSet>,
}

impl fmt::Debug for TcfCanada {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TcfCanada");
        shown.field("cmp_id", &self.cmp_id).field("policy_version", &self.policy_version);
        shown.finish_non_exhaustive()
    }
}

pub(crate) fn tcf_canada(text: &str) -> Result<TcfCanada, IabError> {
    let mut segments = text.split('.');
    let mut decoded = core(&mut Bits::new(CORE, segments.next().unwrap_or_default())?)?;
    for segment in segments {
        let mut bits = Bits::new("the disclosed vendors segment of tcfcav1", segment)?;
        if bits.small("SegmentType", 3)? != 1 {
            continue;
        }
        if decoded.disclosed_vendors.is_some() {
            return Err(IabError::Repeated { part: CORE, segment: 1 });
        }
        decoded.disclosed_vendors = Some(bits.vendors("DisclosedVendors")?);
    }
    Ok(decoded)
}

fn core(bits: &mut Bits<'_>) -> Result<TcfCanada, IabError> {
    let version = bits.small("Version", 6)?;
    if version != 1 {
        return Err(bits.bad("Version", u64::from(version), "a Canadian TC string has version 1"));
    }
    let created_at_millis = bits.instant_millis("Created")?;
    let updated_at_millis = bits.instant_millis("LastUpdated")?;
    let cmp_id = bits.word("CmpId", 12)?;
    bits.skip("CmpVersion", 12)?;
    bits.skip("ConsentScreen", 6)?;
    let consent_language = bits.letters("ConsentLanguage")?.iter().collect();
    bits.skip("VendorListVersion", 12)?;
    let policy_version = bits.small("TcfPolicyVersion", 6)?;
    bits.skip("UseNonStandardStacks", 1)?;
    Ok(TcfCanada {
        created_at_millis,
        updated_at_millis,
        cmp_id,
        consent_language,
        policy_version,
        special_features_express: bits.numbers("SpecialFeatureExpressConsent", 12)?,
        purposes_express: bits.numbers("PurposesExpressConsent", 24)?,
        purposes_implied: bits.numbers("PurposesImpliedConsent", 24)?,
        vendors_express: bits.vendors("VendorExpressConsent")?,
        vendors_implied: bits.vendors("VendorImpliedConsent")?,
        // Version 1.0 ends here, but for padding.
        publisher_restrictions: if bits.left() < 12 { Vec::new() } else { publisher_restrictions(bits)? },
        disclosed_vendors: None,
    })
}
