//! Keeps requests away from addresses that no receiver has but that give out secrets of the machine.
//!
//! Not a firewall: loopback and private networks are allowed, since receivers of one's own are there and only an
//! administrator can set a URL. Reference: RFC 3927 and RFC 4291 (link-local); OWASP, Server-Side Request Forgery
//! Prevention Cheat Sheet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Amazon's metadata service; the others are link-local.
const METADATA_V6: [Ipv6Addr; 1] = [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)];
/// The metadata services of Alibaba, Azure and Oracle; the others are link-local.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// Whether `ip` is link-local, a cloud's metadata service, or no single host.
pub(super) fn is_off_limits(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast() || METADATA_V6.contains(&v6),
    }
}

/// Every address of the host is off limits.
#[derive(Debug, thiserror::Error)]
#[error("the host has only link-local or cloud metadata addresses")]
pub(crate) struct OffLimits;

/// Looks a host up and leaves out the addresses that are off limits. It works on what the request then connects
/// to, so a name that changes its address between a check and the request gains nothing.
#[derive(Default)]
pub(crate) struct SafeResolver(DefaultResolver);

impl std::fmt::Debug for SafeResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SafeResolver")
    }
}

impl Resolver for SafeResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        keep_allowed(&self.0.resolve(uri, config, timeout)?, self.empty())
    }
}

fn keep_allowed(
    found: &[SocketAddr],
    mut kept: ResolvedSocketAddrs,
) -> Result<ResolvedSocketAddrs, ureq::Error> {
    for address in found.iter().filter(|address| !is_off_limits(address.ip())) {
        kept.push(*address);
    }
    if kept.is_empty() { Err(ureq::Error::Other(Box::new(OffLimits))) } else { Ok(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_link_local_addresses_are_off_limits_in_every_spelling() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(is_off_limits(text.parse().unwrap()), "{text}");
        }
        for text in ["127.0.0.1", "10.0.0.5", "192.168.1.1", "::1", "fd00::5", "93.184.216.34", "2001:db8::1"]
        {
            assert!(!is_off_limits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_host_keeps_only_its_allowed_addresses() {
        let addresses =
            |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let empty = || SafeResolver::default().empty();
        let found = addresses(&["169.254.169.254:80", "10.0.0.5:80", "[fe80::1]:80"]);
        let kept = keep_allowed(&found, empty()).unwrap();
        assert_eq!(kept.to_vec(), addresses(&["10.0.0.5:80"]));
        assert!(keep_allowed(&addresses(&["169.254.169.254:80"]), empty()).is_err());
    }
}
