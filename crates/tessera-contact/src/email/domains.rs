//! What is known of mail providers: which spellings lead to one mailbox, and whose addresses are thrown away.
//!
//! References, each the provider's own help page: Gmail "Dots don't matter in Gmail addresses" and "Send emails from a
//! different address or alias"; Outlook "Plus addressing in Exchange Online"; iCloud, Fastmail, Proton, Yandex, Zoho
//! on "plus addressing" or "sub-addressing"; Yahoo "disposable addresses" (a hyphen). RFC 2142 for role addresses.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::Email;

/// Which spellings are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MailboxRules {
    /// Tags are taken off, at providers known to have them: `ada+shop@gmail.com` is `ada@gmail.com`.
    pub strip_tags: bool,
    /// Dots are taken out, at providers known to ignore them: `a.da@gmail.com` is `ada@gmail.com`.
    pub strip_dots: bool,
}

impl MailboxRules {
    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.strip_tags && !self.strip_dots
    }
}

/// What one provider does.
struct Provider {
    /// Its domains; the first is the one that the others are written as, where they are one.
    domains: &'static [&'static str],
    /// What begins a tag.
    tag: char,
    /// Whether it ignores dots.
    ignores_dots: bool,
    /// Whether all its domains lead to one mailbox.
    is_one_domain: bool,
}

const fn provider(domains: &'static [&'static str]) -> Provider {
    Provider { domains, tag: '+', ignores_dots: false, is_one_domain: false }
}

const PROVIDERS: [Provider; 8] = [
    Provider { ignores_dots: true, is_one_domain: true, ..provider(&["gmail.com", "googlemail.com"]) },
    provider(&[
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "hotmail.co.uk",
        "outlook.de",
        "hotmail.fr",
    ]),
    provider(&["icloud.com", "me.com", "mac.com"]),
    provider(&["fastmail.com", "fastmail.fm"]),
    Provider { is_one_domain: true, ..provider(&["proton.me", "protonmail.com", "pm.me"]) },
    Provider {
        is_one_domain: true,
        ..provider(&["yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz"])
    },
    provider(&["zoho.com", "zohomail.com", "mailbox.org", "posteo.de", "runbox.com"]),
    Provider {
        tag: '-',
        ..provider(&["yahoo.com", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "yahoo.it", "yahoo.es", "ymail.com"])
    },
];

pub(super) fn mailbox<'a>(email: &'a Email<'_>, rules: MailboxRules) -> Cow<'a, str> {
    let (local, domain) = (email.local(), email.domain());
    let known = PROVIDERS.iter().find(|provider| provider.domains.contains(&domain));
    let Some(provider) = known.filter(|_| !rules.is_none() && !local.starts_with('"')) else {
        return Cow::Borrowed(email.normalised());
    };
    let bare = match local.split_once(provider.tag) {
        Some((bare, _)) if rules.strip_tags && !bare.is_empty() => bare,
        _ => local,
    };
    let bare = match rules.strip_dots && provider.ignores_dots {
        true => Cow::Owned(bare.replace('.', "")),
        false => Cow::Borrowed(bare),
    };
    let domain = match provider.domains.first() {
        Some(first) if provider.is_one_domain => first,
        _ => domain,
    };
    Cow::Owned(format!("{bare}@{domain}"))
}

static DISPOSABLE: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let list = include_str!("../../data/disposable_domains.txt");
    list.lines().filter(|line| !line.starts_with('#')).collect()
});

static PUBLIC: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("../../data/public_mail_domains.txt").lines().collect());

pub(super) fn is_disposable(domain: &str) -> bool {
    is_at_or_below(domain, &DISPOSABLE)
}

pub(super) fn is_public(domain: &str) -> bool {
    is_at_or_below(domain, &PUBLIC)
        || PROVIDERS.iter().any(|provider| provider.domains.contains(&domain))
        || is_disposable(domain)
}

/// Whether the domain, or one above it, is in the sorted list.
fn is_at_or_below(domain: &str, sorted: &[&str]) -> bool {
    let mut rest = domain;
    loop {
        if sorted.binary_search(&rest).is_ok() {
            return true;
        }
        match rest.split_once('.') {
            Some((_, above)) => rest = above,
            None => return false,
        }
    }
}

/// Sorted. RFC 2142's, and what businesses add in some languages. Short on purpose: `chef@` or `paris@` may be a person.
const ROLES: &[&str] = &[
    "abuse",
    "accounting",
    "accounts",
    "admin",
    "administrator",
    "anfrage",
    "billing",
    "booking",
    "bookings",
    "buchhaltung",
    "careers",
    "clientes",
    "comercial",
    "compliance",
    "compras",
    "contact",
    "contacto",
    "contato",
    "customercare",
    "customerservice",
    "datenschutz",
    "devnull",
    "dns",
    "dpo",
    "donotreply",
    "einkauf",
    "enquiries",
    "enquiry",
    "facturacion",
    "feedback",
    "finance",
    "ftp",
    "gdpr",
    "hello",
    "help",
    "helpdesk",
    "hostmaster",
    "hr",
    "info",
    "informacion",
    "information",
    "informazioni",
    "inquiries",
    "invoices",
    "it",
    "jobs",
    "kontakt",
    "kundenservice",
    "legal",
    "list",
    "list-request",
    "mailer-daemon",
    "mailerdaemon",
    "maintenance",
    "marketing",
    "media",
    "news",
    "newsletter",
    "noc",
    "office",
    "orders",
    "payments",
    "personal",
    "postmaster",
    "presse",
    "press",
    "privacy",
    "rechnung",
    "reception",
    "recruiting",
    "reservations",
    "returns",
    "root",
    "sales",
    "security",
    "service",
    "shop",
    "soporte",
    "spam",
    "store",
    "subscribe",
    "suporte",
    "support",
    "sysadmin",
    "team",
    "tech",
    "technik",
    "unsubscribe",
    "usenet",
    "uucp",
    "vendas",
    "ventas",
    "verkauf",
    "vertrieb",
    "webmaster",
    "www",
];

pub(super) fn is_role(local: &str) -> bool {
    let bare = local.split_once('+').map_or(local, |(bare, _)| bare);
    if ROLES.contains(&bare) {
        return true;
    }
    let letters: String = bare.chars().filter(|c| c.is_alphanumeric()).collect();
    letters.starts_with("noreply") || letters.starts_with("donotreply") || letters.ends_with("noreply")
}
