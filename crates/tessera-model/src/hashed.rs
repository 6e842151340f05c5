//! Identifiers as advertising platforms send them: the SHA-256 of the normal form.
//!
//! Invariant: what is read here is told from every e-mail address and telephone number by its shape alone. Reference:
//! Google Ads "Format user-provided data", Meta Conversions API "Customer information parameters": trimmed, lower-cased,
//! telephone numbers in E.164, then SHA-256 in hexadecimal; some write it in base64. MD5 and SHA-1 are not read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// What a hashed namespace is called: `email_sha256` for `email`.
pub const HASHED_SUFFIX: &str = "_sha256";

/// The SHA-256 of a normal form.
pub(crate) fn digest(normal: &str) -> [u8; 32] {
    Sha256::digest(normal.as_bytes()).into()
}

/// The hash as 64 lower-case hexadecimal digits, if the text is one in hexadecimal of either case or in base64.
pub(crate) fn read(text: &str) -> Option<String> {
    match text.len() {
        64 if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Some(text.to_ascii_lowercase()),
        43 => STANDARD_NO_PAD.decode(text).ok().map(|bytes| hex(&bytes)),
        44 => STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 32).map(|bytes| hex(&bytes)),
        _ => None,
    }
}

/// The bytes of 64 hexadecimal digits.
pub(crate) fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let pairs = hex.as_bytes().chunks_exact(2);
    if hex.len() != 64 {
        return None;
    }
    for (to, pair) in out.iter_mut().zip(pairs) {
        *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Every way in which a clear value may stand hashed in a text: hexadecimal and base64, and of a telephone number also
/// the hash without `+`.
pub(crate) fn spellings(normal: &str) -> Vec<String> {
    let forms = [Some(normal), normal.strip_prefix('+')];
    let digests = forms.into_iter().flatten().map(digest);
    digests.flat_map(|digest| [hex(&digest), STANDARD.encode(digest)]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b";

    #[test]
    fn a_hash_is_read_in_hexadecimal_of_either_case_and_in_base64() {
        assert_eq!(hex(&digest("test@example.com")), HEX);
        let base64 = STANDARD.encode(digest("test@example.com"));
        for text in [HEX, HEX.to_uppercase().as_str(), &base64, base64.trim_end_matches('=')] {
            assert_eq!(read(text).as_deref(), Some(HEX));
        }
        assert_eq!(bytes(HEX), Some(digest("test@example.com")));
    }

    #[test]
    fn what_is_no_hash_is_not_read() {
        let long = format!("{HEX}0");
        for text in ["", "ada@example.com", "+4930123456", "55502f40dc8b7c769880b10874abc9d0", long.as_str()]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
