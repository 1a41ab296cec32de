//! Who asks, behind proxies: which address a request comes from.
//!
//! Without trusted proxies it is the connection's. A trusted proxy is believed what it adds to `X-Forwarded-For`, and
//! nobody else: the list is read from its end, and the first address that is no trusted proxy's is the client. Whatever
//! stands before it was sent by the client and may be invented.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;
use ipnet::IpNet;

/// A proxy's address, or a network of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proxy(IpNet);

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = || {
            text.parse::<IpAddr>()
                .map(|one| IpNet::from(one.to_canonical()))
        };
        text.parse()
            .or_else(|_| one())
            .map(Self)
            .map_err(|_| "expected an address or a network, like 10.0.0.7 or 10.0.0.0/8".to_owned())
    }
}

/// The proxies that are believed.
#[derive(Debug, Default)]
pub(crate) struct Proxies(Vec<Proxy>);

impl Proxies {
    pub(crate) fn new(trusted: Vec<Proxy>) -> Self {
        Self(trusted)
    }

    /// The client's address, given the connection's.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        while self.trusts(client) {
            // What cannot be read is nobody's address: the proxy that passed it on stands for them.
            let Some(hop) = hops.next().and_then(address) else {
                break;
            };
            client = hop;
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|proxy| proxy.0.contains(&address))
    }
}

/// An entry of the list; some proxies add the port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().ok().map(|both| both.ip());
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The client behind `trusted` proxies, by the connection and the lines of `X-Forwarded-For`.
    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let proxies = Proxies::new(trusted.iter().map(|text| text.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        let said = client(&[], "203.0.113.9", &["198.51.100.1"]);
        assert_eq!(said, "203.0.113.9");
        let said = client(&["10.0.0.0/8"], "203.0.113.9", &["198.51.100.1"]);
        assert_eq!(said, "203.0.113.9", "this connection is not from a proxy");
    }

    #[test]
    fn the_last_address_that_no_proxy_has_is_the_client() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"];
        for (lines, expected) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            // Invented by the client, before what the proxies added.
            (&["1.1.1.1, 10.0.0.1,198.51.100.1"], "198.51.100.1"),
            (&["198.51.100.1, 10.0.0.2, 192.0.2.7"], "198.51.100.1"),
            (&["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["[2001:db9::1]:4711, 2001:db8::5"], "2001:db9::1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            // All are proxies: the first of them asks for itself.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&[], "10.0.0.1"),
            (&["198.51.100.1, unknown"], "10.0.0.1"),
            (&["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
        ] {
            assert_eq!(client(&trusted, "10.0.0.1", lines), expected, "{lines:?}");
        }
        let mapped = client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["198.51.100.1"]);
        assert_eq!(mapped, "198.51.100.1");
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        for good in ["10.0.0.7", "10.0.0.0/8", "::1", "2001:db8::/32"] {
            assert!(good.parse::<Proxy>().is_ok(), "{good}");
        }
        for bad in ["", "10.0.0.0/33", "proxy.test", "10.0.0.7:80"] {
            assert!(bad.parse::<Proxy>().is_err(), "{bad}");
        }
    }
}
