//! The US sections of a GPP string, and the older US Privacy string.
//!
//! Only what a person opted out of is read (sale, sharing, targeted advertising, Global Privacy Control); notices,
//! sensitive data, children and the contract fields (MSPA) are counted but not interpreted. References: IAB Tech
//! Lab, "Global Privacy Platform", "Sections" (US-National, US-States); "U.S. Privacy String" 1.0.

use crate::bits::Bits;
use crate::error::IabError;

const US_PRIVACY: &str = "uspv1";
/// `SegmentType` of Global Privacy Control, and its subsection's id.
const GPC: u8 = 1;

/// What a section says about one way of using data. The greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The business does not do this, or gave no notice of it, so that nobody was asked.
    NotApplicable,
    /// The person had the choice and did not opt out.
    DidNotOptOut,
    /// The person opted out.
    OptedOut,
}

/// A national or state section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsSection {
    /// The section's version.
    pub version: u8,
    /// Of the sale of data. `None` if the section has no such field; every one so far has it.
    pub sale_opt_out: Option<Answer>,
    /// Of sharing for cross-context advertising: California and national only.
    pub sharing_opt_out: Option<Answer>,
    /// Of targeted advertising: all but California.
    pub targeted_advertising_opt_out: Option<Answer>,
    /// Whether the browser sent Global Privacy Control; `None` if the section does not say.
    pub gpc: Option<bool>,
}

/// A US Privacy string, such as `1YNN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsPrivacy {
    /// Whether notice and the choice to opt out were given; `None` if unknown or if the law does not apply.
    pub notice: Option<bool>,
    /// Of the sale of data. [`Answer::NotApplicable`] says that the law does not apply.
    pub sale_opt_out: Answer,
    /// Whether the transaction is under the Limited Service Provider Agreement; `None` if unknown.
    pub is_lspa_covered: Option<bool>,
}

/// Decodes a US Privacy string: a version and three answers of `Y`, `N` or `-`.
///
/// # Errors
/// If it has another length, version or character.
pub(crate) fn us_privacy(text: &str) -> Result<UsPrivacy, IabError> {
    let mut characters = text.chars().enumerate();
    let mut next = |field| characters.next().ok_or(IabError::Short { part: US_PRIVACY, field });
    let wrong = |(at, found), expected| IabError::Character { part: US_PRIVACY, at: at + 1, found, expected };
    let version = next("Version")?;
    if version.1 != '1' {
        return Err(wrong(version, "the version is `1`"));
    }
    let mut answers = [None; 3];
    for (answer, field) in answers.iter_mut().zip(["Notice", "OptOutSale", "LspaCovered"]) {
        let character = next(field)?;
        *answer = match character.1 {
            'Y' | 'y' => Some(true),
            'N' | 'n' => Some(false),
            '-' => None,
            _ => return Err(wrong(character, "an answer is `Y`, `N` or `-`")),
        };
    }
    if let Some(extra) = characters.next() {
        return Err(wrong(extra, "the string has four characters"));
    }
    let [notice, opted_out, is_lspa_covered] = answers;
    let sale_opt_out = match opted_out {
        None => Answer::NotApplicable,
        Some(false) => Answer::DidNotOptOut,
        Some(true) => Answer::OptedOut,
    };
    Ok(UsPrivacy { notice, sale_opt_out, is_lspa_covered })
}

/// Where a section keeps its answers. Its core is a version of six bits, then fields of two bits each.
pub(crate) struct Layout {
    pub(crate) id: u16,
    pub(crate) name: &'static str,
    /// How many two-bit fields version 1 has, version 2, and so on: a core that ends sooner is damaged.
    fields: &'static [u8],
    /// The place of each answer among the fields, from 0.
    sale: u8,
    sharing: Option<u8>,
    targeted: Option<u8>,
    /// Whether a header with the subsections' ids may come before the core, as in the sections of 2025.
    has_header: bool,
}

const fn layout(id: u16, name: &'static str, fields: &'static [u8], sale: u8) -> Layout {
    Layout { id, name, fields, sale, sharing: None, targeted: Some(sale + 1), has_header: false }
}

const fn layout_with_header(id: u16, name: &'static str, fields: &'static [u8]) -> Layout {
    Layout { id, name, fields, sale: 5, sharing: None, targeted: Some(6), has_header: true }
}

/// The sections of the United States, by id.
pub(crate) const LAYOUTS: [Layout; 21] = [
    // Reference encoders wrote version 2's fields as version 1 for a while; only their number differs.
    Layout {
        id: 7,
        name: "usnat",
        fields: &[27, 32],
        sale: 6,
        sharing: Some(7),
        targeted: Some(8),
        has_header: false,
    },
    Layout {
        id: 8,
        name: "usca",
        fields: &[20],
        sale: 3,
        sharing: Some(4),
        targeted: None,
        has_header: false,
    },
    layout(9, "usva", &[17], 3),
    layout(10, "usco", &[16], 3),
    layout(11, "usut", &[18], 4),
    layout(12, "usct", &[19], 3),
    layout(13, "usfl", &[20], 3),
    layout(14, "usmt", &[20], 3),
    layout(15, "usor", &[23], 3),
    layout(16, "ustx", &[18], 3),
    layout(17, "usde", &[23], 3),
    layout(18, "usia", &[18], 4),
    layout(19, "usne", &[18], 3),
    layout(20, "usnh", &[20], 3),
    layout(21, "usnj", &[24], 3),
    layout(22, "ustn", &[18], 3),
    layout(23, "usmn", &[18], 3),
    layout_with_header(24, "usmd", &[8]),
    layout_with_header(25, "usin", &[9]),
    layout_with_header(26, "usky", &[9]),
    layout_with_header(27, "usri", &[9]),
];

pub(crate) fn us_section(layout: &Layout, text: &str) -> Result<UsSection, IabError> {
    let (header, rest) = text.split_once('.').unwrap_or((text, ""));
    let mut bits = Bits::new(layout.name, header)?;
    // Before the header was specified, encoders began with the core; its first field is 1, never the section's id.
    if layout.has_header && u16::from(bits.small("SectionID", 6)?) == layout.id {
        return with_header(layout, bits, rest);
    }
    let mut segments = text.split('.');
    let mut bits = Bits::new(layout.name, segments.next().unwrap_or_default())?;
    let version = bits.small("Version", 6)?;
    let mut section = answers(layout, version, bits)?;
    for segment in segments {
        let mut bits = Bits::new(layout.name, segment)?;
        if bits.small("SegmentType", 2)? != GPC {
            continue;
        }
        if section.gpc.is_some() {
            return Err(IabError::Repeated { part: layout.name, segment: GPC });
        }
        section.gpc = Some(bits.flag("Gpc")?);
    }
    Ok(section)
}

fn with_header(layout: &Layout, mut header: Bits<'_>, rest: &str) -> Result<UsSection, IabError> {
    let version = header.small("Version", 6)?;
    let segments: Vec<&str> = rest.split('.').collect();
    let (core, subsections) = segments.split_first().map_or(("", &[][..]), |(core, rest)| (*core, rest));
    let found = u64::try_from(subsections.len()).unwrap_or(u64::MAX);
    let ids = header.fibonacci_range("SubSections", found)?;
    if ids.len() != subsections.len() {
        let listed = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        return Err(IabError::Count { part: layout.name, listed, found });
    }
    let mut core = Bits::new(layout.name, core)?;
    core.skip("MspaVersion", 6)?;
    let mut section = answers(layout, version, core)?;
    for (id, subsection) in ids.into_iter().zip(subsections) {
        let mut bits = Bits::new(layout.name, subsection)?;
        // Only Maryland has Global Privacy Control; subsection 1 of the others is sensitive data.
        if layout.name == "usmd" && id == u16::from(GPC) {
            bits.skip("SubsectionType", 2)?;
            section.gpc = Some(bits.flag("Gpc")?);
        }
    }
    Ok(section)
}

/// Reads the core's fields, of which the version or what stands in its place is already read.
fn answers(layout: &Layout, version: u8, mut bits: Bits<'_>) -> Result<UsSection, IabError> {
    let known = usize::from(version).checked_sub(1).and_then(|at| layout.fields.get(at));
    let Some(count) = known else {
        return Err(bits.bad("Version", u64::from(version), "a newer version of the section is not known"));
    };
    let mut section = UsSection {
        version,
        sale_opt_out: None,
        sharing_opt_out: None,
        targeted_advertising_opt_out: None,
        gpc: None,
    };
    for field in 0..*count {
        if field == layout.sale {
            section.sale_opt_out = Some(answer(&mut bits, "SaleOptOut")?);
        } else if Some(field) == layout.sharing {
            section.sharing_opt_out = Some(answer(&mut bits, "SharingOptOut")?);
        } else if Some(field) == layout.targeted {
            section.targeted_advertising_opt_out = Some(answer(&mut bits, "TargetedAdvertisingOptOut")?);
        } else {
            bits.skip("the core", 2)?;
        }
    }
    Ok(section)
}

fn answer(bits: &mut Bits<'_>, field: &'static str) -> Result<Answer, IabError> {
    match bits.small(field, 2)? {
        0 => Ok(Answer::NotApplicable),
        1 => Ok(Answer::OptedOut),
        2 => Ok(Answer::DidNotOptOut),
        other => Err(bits.bad(field, u64::from(other), "an answer is 0, 1 or 2")),
    }
}
