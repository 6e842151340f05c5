//! Tokens and passwords: made, hashed, compared. The only place that sees one in clear.
//!
//! A token has 256 random bits, so a plain hash keeps it: there is nothing to guess. A password has few, so it is
//! kept by Argon2id. Reference: RFC 9106; OWASP Password Storage Cheat Sheet (Argon2id, 19 MiB, 2 passes, 1 lane);
//! NIST SP 800-63B section 5.1.1.2.

use std::fmt::Write as _;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use tessera_model::Secret;

/// What the tokens of accounts begin with, so that scanners for leaked secrets can find them.
pub(crate) const TOKEN_PREFIX: &str = "tsr_";
/// What the tokens of sessions begin with.
pub(crate) const SESSION_PREFIX: &str = "tss_";
/// What the stored hash of a token begins with.
const TOKEN_HASH: &str = "blake3:";
/// Shortest password, in characters.
pub(crate) const PASSWORD_CHARS_MIN: usize = 12;
/// Longest password, in bytes: hashing must not be a way to keep the server busy.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A new token of 256 random bits.
pub(crate) fn new_token(prefix: &str) -> Secret {
    let mut text = prefix.to_owned();
    push_hex(&mut text, &rand::random::<[u8; 32]>());
    Secret::new(text)
}

/// The hash by which a token is known.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

/// The hash of a token as it is stored.
pub(crate) fn stored_token_hash(token: &str) -> String {
    let mut text = TOKEN_HASH.to_owned();
    push_hex(&mut text, &token_hash(token));
    text
}

/// Reads what [`stored_token_hash`] wrote.
pub(crate) fn parse_token_hash(stored: &str) -> Option<[u8; 32]> {
    let hex = stored.strip_prefix(TOKEN_HASH)?;
    blake3::Hash::from_hex(hex).ok().map(|hash| *hash.as_bytes())
}

/// Whether two secrets are equal. The time taken tells their lengths at most.
pub(crate) fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// What is wrong with a new password.
pub(crate) fn check_password(password: &str, name: &str) -> Result<(), &'static str> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err("the password is shorter than 12 characters");
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err("the password is longer than 1024 bytes");
    }
    let lower = password.to_lowercase();
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 5 || (lower.contains(name) && lower.chars().count() < name.len() + 8) {
        return Err("the password is too easy to guess");
    }
    Ok(())
}

/// The hash of a password as it is stored, with its salt and costs. Takes tens of milliseconds and 19 MiB.
///
/// `None`: there is no memory for it.
pub(crate) fn password_hash(password: &str) -> Option<String> {
    let salt = rand::random::<[u8; 16]>();
    hasher()?.hash_password_with_salt(password.as_bytes(), &salt).ok().map(|hash| hash.to_string())
}

/// Whether `password` is the one of `stored`. Takes as long whether or not there is a `stored`, so that the time
/// does not tell which accounts exist.
pub(crate) fn is_password(password: &str, stored: Option<&str>) -> bool {
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    match (stored, hasher()) {
        (Some(stored), Some(hasher)) => hasher.verify_password(password.as_bytes(), stored).is_ok(),
        (None, Some(hasher)) => {
            drop(hasher.hash_password_with_salt(password.as_bytes(), &[0; 16]));
            false
        }
        (_, None) => false,
    }
}

fn hasher() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_known_by_their_hash_alone() {
        let (one, other) = (new_token(TOKEN_PREFIX), new_token(TOKEN_PREFIX));
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 4 + 64);
        let stored = stored_token_hash(one.reveal());
        assert!(!stored.contains(one.reveal().trim_start_matches(TOKEN_PREFIX)));
        assert_eq!(parse_token_hash(&stored), Some(token_hash(one.reveal())));
        assert_ne!(parse_token_hash(&stored), Some(token_hash(other.reveal())));
        for bad in ["", "blake3:", "blake3:12", "md5:00", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA"] {
            assert_eq!(parse_token_hash(bad), None, "{bad}");
        }
    }

    #[test]
    fn passwords_are_kept_by_argon2id_with_the_costs_that_owasp_asks_for() {
        let stored = password_hash("correct horse battery").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, password_hash("correct horse battery").unwrap(), "each has its own salt");
        assert!(is_password("correct horse battery", Some(&stored)));
        assert!(!is_password("correct horse batterx", Some(&stored)));
        assert!(!is_password("", Some(&stored)));
        assert!(!is_password("correct horse battery", None));
        assert!(!is_password("correct horse battery", Some("not a hash")));
        assert!(!is_password(&"x".repeat(PASSWORD_BYTES_MAX + 1), Some(&stored)));
    }

    #[test]
    fn passwords_that_are_short_or_easy_are_refused() {
        for bad in ["", "short", "elevenchars", "aaaaaaaaaaaaaaaa", "121212121212", "ada-lovelace1"] {
            assert!(check_password(bad, "ada-lovelace").is_err(), "{bad}");
        }
        assert!(check_password(&"ab1c2".repeat(300), "ada").is_err());
        for good in ["twelve chars", "пароль из слов", "correct horse battery staple"] {
            assert_eq!(check_password(good, "ada"), Ok(()), "{good}");
        }
    }
}
