//! The TC string: what a person in Europe answered to a consent management platform (CMP).
//!
//! Reference: IAB Tech Lab, "Transparency and Consent String with Global Vendor & CMP List Formats", "TC String
//! Format". Framework versions 2.0 to 2.3 share one encoding, whose own version is 2.

use std::fmt;

use crate::bits::Bits;
use crate::error::{IabError, check_length};
use crate::sets::{NumberSet, VendorSet};

const CORE: &str = "the core segment";
/// 2023-10-01T00:00:00Z: since then a string under a policy before [`POLICY_2_2`] is invalid.
const POLICY_2_2_FROM_MILLIS: i64 = 1_696_118_400_000;
/// 2026-03-01T00:00:00Z: since then a string without disclosed vendors is invalid; older ones stay valid. Reference:
/// IAB Europe, "All you need to know about the transition to TCF v2.3".
const DISCLOSED_VENDORS_FROM_MILLIS: i64 = 1_772_323_200_000;
/// The policy that came with version 2.2 of the framework. Version 2.3 has 5, but 5 also came with 2.2.
const POLICY_2_2: u8 = 4;
const POLICY_2_1: u8 = 3;

/// Which version of the framework a string was made under, as far as the string tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcfVersion {
    /// Policy version 2 or lower.
    V2_0,
    /// Policy version 3.
    V2_1,
    /// Policy version 4 or higher, without disclosed vendors.
    V2_2,
    /// For one site or group of sites, with disclosed vendors; before, only global strings had them. Framework 2.4
    /// makes the same strings.
    V2_3,
}

/// Why the specification calls a string invalid although it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Made after 30 September 2023 under a policy version below 4.
    PolicyOutdated,
    /// Policy version 4 or higher, and `IsServiceSpecific` is 0: the global scope is abolished.
    NotServiceSpecific,
    /// Made after 28 February 2026 without the disclosed vendors that version 2.3 demands.
    VendorsNotDisclosed,
}

/// What a publisher asks of some vendors for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestrictionKind {
    /// The vendors may not process for the purpose at all.
    NotAllowed,
    /// Only with consent, also where a vendor would claim legitimate interest.
    RequireConsent,
    /// Only by legitimate interest, also where a vendor would ask for consent.
    RequireLegitimateInterest,
    /// Not defined by the specification; the stricter reading is that it forbids.
    Undefined,
}

/// A publisher's restriction of one purpose for some vendors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherRestriction {
    /// The purpose, 0 to 63; the framework defines 1 to 11.
    pub purpose: u8,
    /// What is asked.
    pub kind: RestrictionKind,
    /// Of whom. May name vendors that no longer exist.
    pub vendors: VendorSet,
}

/// The publisher's own purposes: the segment "Publisher TC". The standard purposes as the site itself uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublisherConsent {
    /// Purposes with consent.
    pub purposes_consent: NumberSet,
    /// Purposes whose legitimate interest was shown and not objected to.
    pub purposes_legitimate_interest: NumberSet,
    /// How many purposes of its own the publisher has, 0 to 63. Their answers are not read: nothing names them.
    pub custom_purposes: u8,
}

/// A TC string, decoded. Its `Debug` shows no answers: the string is personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Tcf {
    /// When the string was first made. Milliseconds since 1970; whole days since version 2.2.
    pub created_at_millis: i64,
    /// When the answers were last changed, likewise.
    pub updated_at_millis: i64,
    /// The consent management platform that wrote it.
    pub cmp_id: u16,
    /// ISO 639-1, two capital letters: the language of the dialogue.
    pub consent_language: String,
    /// The global vendor list that was shown.
    pub vendor_list_version: u16,
    /// `TcfPolicyVersion`.
    pub policy_version: u8,
    /// What the policy version and the segments tell of the framework's version.
    pub tcf_version_as_used: TcfVersion,
    /// Whether it is for one site or group of sites. Always true since version 2.2.
    pub is_service_specific: bool,
    /// Special features opted in to: 1 is precise location, 2 is scanning the device.
    pub special_feature_opt_ins: NumberSet,
    /// Purposes with consent.
    pub purposes_consent: NumberSet,
    /// Purposes whose legitimate interest was shown and not objected to.
    pub purposes_legitimate_interest: NumberSet,
    /// Whether purpose 1 (storing on the device) was never shown, because the publisher's country asks no consent.
    pub purpose_one_not_disclosed: bool,
    /// ISO 3166-1, two capital letters: the country whose law the publisher is under; `AA` if unknown.
    pub publisher_country: String,
    /// Vendors with consent.
    pub vendor_consents: VendorSet,
    /// Vendors whose legitimate interest was shown and not objected to.
    pub vendor_legitimate_interests: VendorSet,
    /// The publisher's restrictions, in the string's order.
    pub publisher_restrictions: Vec<PublisherRestriction>,
    /// Vendors that were shown. `None` without the segment, which version 2.3 makes mandatory.
    pub disclosed_vendors: Option<VendorSet>,
    /// Vendors that may claim consent from elsewhere; only in strings before version 2.2.
    pub allowed_vendors: Option<VendorSet>,
    /// The publisher's own purposes, if the string has them.
    pub publisher_consent: Option<PublisherConsent>,
}

impl Tcf {
    /// Why the specification calls this string invalid, by the string's own dates; `None` if it does not.
    #[must_use]
    pub fn flaw(&self) -> Option<Flaw> {
        if self.policy_version < POLICY_2_2 {
            return (self.updated_at_millis >= POLICY_2_2_FROM_MILLIS).then_some(Flaw::PolicyOutdated);
        }
        if !self.is_service_specific {
            return Some(Flaw::NotServiceSpecific);
        }
        let mandatory = self.updated_at_millis >= DISCLOSED_VENDORS_FROM_MILLIS;
        (mandatory && self.disclosed_vendors.is_none()).then_some(Flaw::VendorsNotDisclosed)
    }
}

impl fmt::Debug for Tcf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Tcf");
        shown.field("cmp_id", &self.cmp_id).field("policy_version", &self.policy_version);
        shown.finish_non_exhaustive()
    }
}

/// Decodes a TC string (version 2 of the encoding), with any of its segments.
///
/// # Errors
/// If it is longer than [`crate::TEXT_BYTES_MAX`], or if any segment that the specification defines is damaged.
pub fn tcf(text: &str) -> Result<Tcf, IabError> {
    check_length(text)?;
    let mut segments = text.split('.');
    let mut tcf = core(&mut Bits::new(CORE, segments.next().unwrap_or_default())?)?;
    for segment in segments {
        add_segment(&mut tcf, segment)?;
    }
    if tcf.is_service_specific && tcf.disclosed_vendors.is_some() {
        tcf.tcf_version_as_used = TcfVersion::V2_3;
    }
    Ok(tcf)
}

fn core(bits: &mut Bits<'_>) -> Result<Tcf, IabError> {
    let version = bits.small("Version", 6)?;
    if version != 2 {
        return Err(bits.bad("Version", u64::from(version), "a TC string has version 2"));
    }
    let created_at_millis = bits.instant_millis("Created")?;
    let updated_at_millis = bits.instant_millis("LastUpdated")?;
    let cmp_id = bits.word("CmpId", 12)?;
    bits.skip("CmpVersion", 12)?;
    bits.skip("ConsentScreen", 6)?;
    let consent_language = bits.letters("ConsentLanguage")?.iter().collect();
    let vendor_list_version = bits.word("VendorListVersion", 12)?;
    let policy_version = bits.small("TcfPolicyVersion", 6)?;
    let is_service_specific = bits.flag("IsServiceSpecific")?;
    bits.skip("UseNonStandardTexts", 1)?;
    Ok(Tcf {
        created_at_millis,
        updated_at_millis,
        cmp_id,
        consent_language,
        vendor_list_version,
        policy_version,
        tcf_version_as_used: match policy_version {
            POLICY_2_1 => TcfVersion::V2_1,
            POLICY_2_2.. => TcfVersion::V2_2,
            _ => TcfVersion::V2_0,
        },
        is_service_specific,
        special_feature_opt_ins: bits.numbers("SpecialFeatureOptIns", 12)?,
        purposes_consent: bits.numbers("PurposesConsent", 24)?,
        purposes_legitimate_interest: bits.numbers("PurposesLITransparency", 24)?,
        purpose_one_not_disclosed: bits.flag("PurposeOneTreatment")?,
        publisher_country: bits.letters("PublisherCC")?.iter().collect(),
        vendor_consents: bits.vendors("VendorConsents")?,
        vendor_legitimate_interests: bits.vendors("VendorLegitimateInterests")?,
        publisher_restrictions: publisher_restrictions(bits)?,
        disclosed_vendors: None,
        allowed_vendors: None,
        publisher_consent: None,
    })
}

pub(crate) fn publisher_restrictions(bits: &mut Bits<'_>) -> Result<Vec<PublisherRestriction>, IabError> {
    const FIELD: &str = "PubRestrictions";
    let count = bits.word(FIELD, 12)?;
    let mut restrictions = Vec::new();
    for _ in 0..count {
        let purpose = bits.small(FIELD, 6)?;
        let kind = match bits.small(FIELD, 2)? {
            0 => RestrictionKind::NotAllowed,
            1 => RestrictionKind::RequireConsent,
            2 => RestrictionKind::RequireLegitimateInterest,
            _ => RestrictionKind::Undefined,
        };
        let vendors = bits.vendor_ranges(FIELD, u16::MAX)?;
        restrictions.push(PublisherRestriction { purpose, kind, vendors });
    }
    Ok(restrictions)
}

fn add_segment(tcf: &mut Tcf, text: &str) -> Result<(), IabError> {
    let kind = Bits::new("a segment", text)?.small("SegmentType", 3)?;
    let (part, taken) = match kind {
        1 => ("the disclosed vendors segment", tcf.disclosed_vendors.is_some()),
        2 => ("the allowed vendors segment", tcf.allowed_vendors.is_some()),
        3 => ("the publisher segment", tcf.publisher_consent.is_some()),
        // Nothing is defined for the others; the reference decoders pass over them too.
        _ => return Ok(()),
    };
    if taken {
        return Err(IabError::Repeated { part: "the TC string", segment: kind });
    }
    let mut bits = Bits::new(part, text)?;
    bits.skip("SegmentType", 3)?;
    match kind {
        1 => tcf.disclosed_vendors = Some(bits.vendors("DisclosedVendors")?),
        2 => tcf.allowed_vendors = Some(bits.vendors("AllowedVendors")?),
        _ => tcf.publisher_consent = Some(publisher_consent(&mut bits)?),
    }
    Ok(())
}

fn publisher_consent(bits: &mut Bits<'_>) -> Result<PublisherConsent, IabError> {
    let purposes_consent = bits.numbers("PubPurposesConsent", 24)?;
    let purposes_legitimate_interest = bits.numbers("PubPurposesLITransparency", 24)?;
    let custom_purposes = bits.small("NumCustomPurposes", 6)?;
    bits.skip("CustomPurposesConsent", usize::from(custom_purposes))?;
    bits.skip("CustomPurposesLITransparency", usize::from(custom_purposes))?;
    Ok(PublisherConsent { purposes_consent, purposes_legitimate_interest, custom_purposes })
}
