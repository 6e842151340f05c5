//! RFC 5321's `Mailbox`, with RFC 6531's characters, brought to one form.
//!
//! Ordinary addresses - ASCII, nothing quoted, nothing in brackets - are read in one pass over their bytes and
//! borrowed when they are in lower case already.

use std::borrow::Cow;

use core::net::{Ipv4Addr, Ipv6Addr};

use super::EmailFault;
use crate::unicode::{is_invisible, nfc};

const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;
const DOMAIN_BYTES_MAX: usize = 253;
/// RFC 5321, 4.5.3.1.3: a path has 256 bytes, of which two are its angle brackets.
const ADDRESS_BYTES_MAX: usize = 254;
/// What is looked at: a domain can shrink when it becomes ASCII, but not from more than this.
const TEXT_BYTES_MAX: usize = 1024;

/// A text in its one form, and where its `@` stands.
pub(super) struct Parsed<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) at: usize,
}

pub(super) fn parse(text: &str) -> Result<Parsed<'_>, EmailFault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(EmailFault::TooLong);
    }
    let at = if text.starts_with('"') { quoted_end(text)? } else { unquoted_end(text)? };
    let (local, domain) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
    if local.len() > LOCAL_BYTES_MAX {
        return Err(EmailFault::LocalTooLong);
    }
    if domain.is_empty() {
        return Err(EmailFault::NoDomain);
    }
    let is_plain = check_domain(domain)? && text.is_ascii() && !local.starts_with('"');
    let parsed = if is_plain {
        let has_upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        let text = if has_upper { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) };
        Parsed { text, at }
    } else {
        let local = one_local(local);
        let at = local.len();
        Parsed { text: Cow::Owned(local + "@" + &one_domain(domain)?), at }
    };
    if parsed.at > LOCAL_BYTES_MAX {
        return Err(EmailFault::LocalTooLong);
    }
    if parsed.text.len() > ADDRESS_BYTES_MAX {
        return Err(EmailFault::TooLong);
    }
    Ok(parsed)
}

/// RFC 5322's `atext`.
const fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        )
}

/// Where the `@` stands behind a part that is not quoted.
fn unquoted_end(text: &str) -> Result<usize, EmailFault> {
    let (mut after_dot, mut is_ascii) = (true, true);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'@' if i == 0 => return Err(EmailFault::NoLocalPart),
            b'@' if after_dot => return Err(EmailFault::LocalDot),
            b'@' => {
                let local = text.get(..i).unwrap_or_default();
                let is_clean = is_ascii || !local.chars().any(is_invisible);
                return is_clean.then_some(i).ok_or(EmailFault::LocalCharacter);
            }
            b'.' if after_dot => return Err(EmailFault::LocalDot),
            b'.' => after_dot = true,
            0x80.. => (after_dot, is_ascii) = (false, false),
            _ if is_atext(byte) => after_dot = false,
            _ => return Err(EmailFault::LocalCharacter),
        }
    }
    Err(EmailFault::NoAtSign)
}

/// Where the `@` stands behind a quoted part.
fn quoted_end(text: &str) -> Result<usize, EmailFault> {
    let mut is_escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            ' '..='~' if is_escaped => is_escaped = false,
            '"' => {
                return match text.as_bytes().get(i + 1) {
                    Some(b'@') => Ok(i + 1),
                    Some(_) => Err(EmailFault::LocalQuote),
                    None => Err(EmailFault::NoAtSign),
                };
            }
            '\\' => is_escaped = true,
            ' '..='~' => {}
            _ if is_escaped || c.is_ascii() || is_invisible(c) => return Err(EmailFault::LocalQuote),
            _ => {}
        }
    }
    Err(EmailFault::LocalQuote)
}

/// Whether the domain is one of letters, digits and hyphens; otherwise it is in brackets or international.
fn check_domain(domain: &str) -> Result<bool, EmailFault> {
    if domain.starts_with('[') || !domain.is_ascii() {
        return Ok(false);
    }
    if domain.len() > DOMAIN_BYTES_MAX {
        return Err(EmailFault::DomainTooLong);
    }
    let (mut label_bytes, mut before) = (0, b'.');
    for byte in domain.bytes() {
        match byte {
            b'.' if label_bytes == 0 => return Err(EmailFault::DomainDot),
            b'.' if before == b'-' => return Err(EmailFault::DomainHyphen),
            b'.' => label_bytes = 0,
            b'-' if label_bytes == 0 => return Err(EmailFault::DomainHyphen),
            _ if byte.is_ascii_alphanumeric() || byte == b'-' => label_bytes += 1,
            _ => return Err(EmailFault::DomainCharacter),
        }
        if label_bytes > LABEL_BYTES_MAX {
            return Err(EmailFault::DomainTooLong);
        }
        before = byte;
    }
    match before {
        b'.' => Err(EmailFault::DomainDot),
        b'-' => Err(EmailFault::DomainHyphen),
        _ => Ok(true),
    }
}

/// The one form of what stands before the `@`: quotes only where they are needed, lower case, composed.
fn one_local(local: &str) -> String {
    let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return nfc(local).to_lowercase();
    };
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    let text = nfc(&text).to_lowercase();
    let is_dot_atom = text.split('.').all(|atom| {
        !atom.is_empty() && atom.chars().all(|c| !c.is_ascii() || u8::try_from(c).is_ok_and(is_atext))
    });
    if is_dot_atom {
        return text;
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn one_domain(domain: &str) -> Result<Cow<'_, str>, EmailFault> {
    if domain.starts_with('[') {
        return literal(domain).map(Cow::Owned).ok_or(EmailFault::DomainLiteral);
    }
    if domain.is_ascii() {
        return Ok(Cow::Owned(domain.to_ascii_lowercase()));
    }
    let ascii = idna::uts46::Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            idna::AsciiDenyList::STD3,
            idna::uts46::Hyphens::CheckFirstLast,
            idna::uts46::DnsLength::Verify,
        )
        .map_err(|_| EmailFault::DomainIdn)?;
    Ok(Cow::Owned(ascii.into_owned()))
}

/// `[192.0.2.1]` and `[IPv6:2001:db8::1]`.
fn literal(domain: &str) -> Option<String> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    let Some((tag, address)) = inner.split_once(':') else {
        return inner.parse::<Ipv4Addr>().ok().map(|address| format!("[{address}]"));
    };
    let address: Ipv6Addr = tag.eq_ignore_ascii_case("ipv6").then(|| address.parse().ok()).flatten()?;
    // RFC 5321, 4.1.3: `::` stands for two groups or more, so at most six stand beside it.
    let groups = inner.split(':').skip(1).filter(|group| !group.is_empty());
    let groups: usize = groups.map(|group| if group.contains('.') { 2 } else { 1 }).sum();
    (groups <= 6 || !inner.contains("::")).then(|| format!("[ipv6:{address}]"))
}
