//! Where a request came from: the other end of its connection, or what a trusted proxy says of it.
//!
//! Reference: RFC 7239 section 8 on trusting forwarded addresses; `X-Forwarded-For` as proxies write it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection; put on every request by [`crate::serve`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The client's address; `None` when there is no connection, as for a call within the process.
pub(crate) fn client_address(request: &Request, trusted: &[IpAddr]) -> Option<IpAddr> {
    let Peer(peer) = request.extensions().get::<Peer>()?;
    let peer = peer.ip().to_canonical();
    Some(if trusted.contains(&peer) { forwarded(request.headers(), trusted).unwrap_or(peer) } else { peer })
}

/// Whether the client sits at this machine.
pub(crate) fn is_local(address: Option<IpAddr>) -> bool {
    address.is_none_or(|address| address.is_loopback())
}

/// The last address in the list that is no trusted proxy: what stands before it, the client may have made up.
fn forwarded(headers: &HeaderMap, trusted: &[IpAddr]) -> Option<IpAddr> {
    let lists: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for text in lists.join(",").rsplit(',') {
        let address = parse(text.trim())?.to_canonical();
        if !trusted.contains(&address) {
            return Some(address);
        }
    }
    None
}

/// With or without a port, IPv6 with or without brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())).or_else(bare)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 5000)));
        let trusted = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
        let found = client_address(&request, &trusted).unwrap();
        assert_eq!(found.to_string(), expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_came_from() {
        check("192.0.2.9", &[], "192.0.2.9");
        check("192.0.2.9", &["198.51.100.1"], "192.0.2.9");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["127.0.0.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["127.0.0.1", "198.51.100.1:4711"], "198.51.100.1");
        check("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1");
        check("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        for nothing in [&[][..], &[""], &["unknown"], &["127.0.0.1, who knows"], &["10.0.0.2"]] {
            check("10.0.0.1", nothing, "10.0.0.1");
        }
    }

    #[test]
    fn loopback_and_calls_within_the_process_are_local() {
        assert!(is_local(None));
        assert!(is_local(Some("127.0.0.1".parse().unwrap())));
        assert!(is_local(Some("::1".parse().unwrap())));
        assert!(!is_local(Some("192.0.2.1".parse().unwrap())));
        let request = Request::new(Body::empty());
        assert_eq!(client_address(&request, &[]), None);
    }
}
