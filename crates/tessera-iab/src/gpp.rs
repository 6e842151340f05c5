//! The GPP string: a header that lists sections, and the sections, each of one law.
//!
//! Reference: IAB Tech Lab, "Global Privacy Platform String" 1.0, and "Section Information".

use crate::bits::Bits;
use crate::error::{IabError, check_length};
use crate::tcf::{Tcf, tcf};
use crate::tcf_canada::{TcfCanada, tcf_canada};
use crate::us::{Answer, LAYOUTS, UsPrivacy, UsSection, us_privacy, us_section};

const HEADER: &str = "the GPP header";

/// A GPP string, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpp {
    /// In the string's order, which is by ascending id.
    pub sections: Vec<Section>,
}

/// One section of a GPP string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The section's registered id.
    pub id: u16,
    /// The section's prefix in the client-side API, such as `usca`; `unknown` for an id that is not known here.
    pub name: &'static str,
    /// What the section says.
    pub content: Content,
}

/// What a section says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Section 2: the European framework.
    TcfEu(Box<Tcf>),
    /// Section 5: the Canadian framework.
    TcfCanada(Box<TcfCanada>),
    /// Section 6: the older US Privacy string.
    UsPrivacy(UsPrivacy),
    /// Sections 7 to 27: the United States, national or a state.
    Us(UsSection),
    /// Retired (the European framework's version 1) or not known here. What it says is lost on us.
    Unread,
}

/// Decodes a GPP string.
///
/// # Errors
/// If it is longer than [`crate::TEXT_BYTES_MAX`], if the header is damaged or does not fit what follows, or if *any*
/// known section is damaged or of a newer version: passing over it could lose an opt-out.
pub fn gpp(text: &str) -> Result<Gpp, IabError> {
    check_length(text)?;
    let mut parts = text.split('~');
    let header = parts.next().unwrap_or_default();
    let parts: Vec<&str> = parts.collect();
    let ids = section_ids(header, u64::try_from(parts.len()).unwrap_or(u64::MAX))?;
    let sections = ids.into_iter().zip(parts).map(|(id, text)| section(id, text));
    Ok(Gpp { sections: sections.collect::<Result<_, _>>()? })
}

fn section_ids(header: &str, found: u64) -> Result<Vec<u16>, IabError> {
    let mut bits = Bits::new(HEADER, header)?;
    let kind = bits.small("Type", 6)?;
    if kind != 3 {
        return Err(bits.bad("Type", u64::from(kind), "a GPP string begins with type 3 (`D`)"));
    }
    let version = bits.small("Version", 6)?;
    if version != 1 {
        return Err(bits.bad("Version", u64::from(version), "the GPP string has version 1"));
    }
    let ids = bits.fibonacci_range("Sections", found)?;
    let listed = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    if listed == found { Ok(ids) } else { Err(IabError::Count { part: HEADER, listed, found }) }
}

fn section(id: u16, text: &str) -> Result<Section, IabError> {
    let (name, content) = match id {
        1 => ("tcfeuv1", Content::Unread),
        2 => ("tcfeuv2", Content::TcfEu(Box::new(tcf(text)?))),
        5 => ("tcfcav1", Content::TcfCanada(Box::new(tcf_canada(text)?))),
        6 => ("uspv1", Content::UsPrivacy(us_privacy(text)?)),
        _ => match LAYOUTS.iter().find(|layout| layout.id == id) {
            Some(layout) => (layout.name, Content::Us(us_section(layout, text)?)),
            None => ("unknown", Content::Unread),
        },
    };
    Ok(Section { id, name, content })
}

impl Gpp {
    /// The European section, if there is one.
    #[must_use]
    pub fn tcf_eu(&self) -> Option<&Tcf> {
        self.sections.iter().find_map(|section| match &section.content {
            Content::TcfEu(tcf) => Some(tcf.as_ref()),
            Content::TcfCanada(_) | Content::UsPrivacy(_) | Content::Us(_) | Content::Unread => None,
        })
    }

    /// The strictest answer on the sale of data over all US sections; `None` if none speaks of it. Global Privacy
    /// Control is not counted in: see [`Self::gpc`].
    #[must_use]
    pub fn sale_opt_out(&self) -> Option<Answer> {
        let old = self.sections.iter().filter_map(|section| match &section.content {
            Content::UsPrivacy(answers) => Some(answers.sale_opt_out),
            Content::TcfEu(_) | Content::TcfCanada(_) | Content::Us(_) | Content::Unread => None,
        });
        self.us().filter_map(|section| section.sale_opt_out).chain(old).max()
    }

    /// The strictest answer on sharing for cross-context advertising, likewise.
    #[must_use]
    pub fn sharing_opt_out(&self) -> Option<Answer> {
        self.us().filter_map(|section| section.sharing_opt_out).max()
    }

    /// The strictest answer on targeted advertising, likewise.
    #[must_use]
    pub fn targeted_advertising_opt_out(&self) -> Option<Answer> {
        self.us().filter_map(|section| section.targeted_advertising_opt_out).max()
    }

    /// Whether any US section carries Global Privacy Control; `None` if none says.
    #[must_use]
    pub fn gpc(&self) -> Option<bool> {
        self.us().filter_map(|section| section.gpc).max()
    }

    /// The sections that were passed over: an id that is new, or a retired encoding.
    pub fn unread(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.content == Content::Unread)
    }

    fn us(&self) -> impl Iterator<Item = &UsSection> {
        self.sections.iter().filter_map(|section| match &section.content {
            Content::Us(us) => Some(us),
            Content::TcfEu(_) | Content::TcfCanada(_) | Content::UsPrivacy(_) | Content::Unread => None,
        })
    }
}
