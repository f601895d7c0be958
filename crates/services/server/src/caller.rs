use std::{net::IpAddr, str::FromStr};

use http::HeaderMap;
use thiserror::Error;

/// Most hops that are looked at: a balancer, a gateway, an ingress and as many again.
const MAX_HOPS: usize = 16;

/// Most networks whose proxies are believed.
const MAX_NETWORKS: usize = 64;

/// Where a request came from, in its extensions: the peer of the connection, or who a trusted proxy
/// says was its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerAddress(pub IpAddr);

/// The networks whose hosts are believed when they say for whom they ask. None by default: whoever can
/// reach the port can write these headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Believes hosts of these networks, `10.0.0.0/8` or a bare address each.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn parse<S: AsRef<str>>(networks: &[S]) -> Result<Self, NetworkError> {
        if networks.len() > MAX_NETWORKS {
            return Err(NetworkError::TooMany);
        }
        networks.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Who called: `peer`, or the last hop before it that is not one of ours.
    ///
    /// Each proxy appends the address that it was called from, so the list is read from its end, and only
    /// as far as those who wrote it are trusted: what stands before was the caller's to invent.
    /// RFC 7239 §4 and `X-Forwarded-For`; where a request has both and they differ, one of them was
    /// passed through, nobody knows which, and neither is believed.
    #[must_use]
    pub fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> CallerAddress {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return CallerAddress(peer);
        }
        let standard =
            headers.contains_key("forwarded").then(|| self.before(peer, forwarded(headers)));
        let usual = headers
            .contains_key("x-forwarded-for")
            .then(|| self.before(peer, listed(headers, "x-forwarded-for").map(address)));
        CallerAddress(match (standard, usual) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(address), _) | (None, Some(address)) => address,
            (None, None) => peer,
        })
    }

    /// Walks from the nearest hop away; a hop that names nobody ends the walk at who said so.
    fn before(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut caller = peer;
        for hop in hops.take(MAX_HOPS) {
            let Some(address) = hop else { return caller };
            caller = address;
            if !self.trusts(address) {
                return caller;
            }
        }
        caller
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// The elements of all lines of a header, last one first.
fn listed<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim)
}

/// The `for` parameters, last one first. A comma within quotes, which no address has, splits an element
/// into two that are none.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    listed(headers, "forwarded").map(|element| {
        let mut fors = element.split(';').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
        });
        let (Some(value), None) = (fors.next(), fors.next()) else { return None };
        address(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
    })
}

/// An address, with or without a port and the brackets that one needs; not `unknown` or a name.
fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match text.split_once(':') {
            // One colon is before a port, more are within an address.
            Some((host, port)) if !port.contains(':') => host,
            _ => text,
        },
    };
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Addresses with a common beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix_len: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let same = |ours: u128, theirs: u128, bits: u32| {
            (ours ^ theirs).checked_shr(bits - self.prefix_len).is_none_or(|rest| rest == 0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same(u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError::Form(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix.map_or(Ok(bits), str::parse).map_err(|_| wrong())?;
        if prefix_len == 0 {
            return Err(NetworkError::Everybody(text.to_owned()));
        }
        let network = Self { address, prefix_len };
        // A peer of such an address is seen as the IPv4 one, and would never be in the network.
        if prefix_len > bits || address != address.to_canonical() {
            return Err(wrong());
        }
        Ok(network)
    }
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Neither an address nor an address with the length of its prefix.
    #[error("`{0}` is not a network such as 10.0.0.0/8 or fd00::/8, nor an address")]
    Form(String),
    /// Then the caller's own word would count.
    #[error("`{0}` is everybody: name the networks that the proxies call from")]
    Everybody(String),
    /// More than a deployment has.
    #[error("more than {MAX_NETWORKS} networks")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.7";

    fn caller(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8", "fd00::/8"]).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        trusted.caller(peer.parse().unwrap(), &map).0.to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_a_trusted_proxy() {
        let said = [("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4")];
        assert_eq!(caller("192.0.2.1", &said), "192.0.2.1");
        let nobody = TrustedProxies::default();
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-forwarded-for"),
            "1.2.3.4".parse().unwrap(),
        )]);
        assert_eq!(nobody.caller("::1".parse().unwrap(), &headers).0.to_string(), "::1");
    }

    #[test]
    fn the_last_hop_that_is_not_ours_is_the_caller() {
        for (headers, expected) in [
            (vec![], PROXY),
            (vec![("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
            // The caller wrote the first one itself.
            (vec![("x-forwarded-for", "9.9.9.9, 1.2.3.4")], "1.2.3.4"),
            (vec![("x-forwarded-for", "9.9.9.9, 1.2.3.4, 10.1.1.1")], "1.2.3.4"),
            (vec![("x-forwarded-for", "9.9.9.9"), ("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
            (vec![("x-forwarded-for", "1.2.3.4:5678")], "1.2.3.4"),
            (vec![("x-forwarded-for", "10.2.2.2")], "10.2.2.2"),
            (vec![("forwarded", "for=9.9.9.9, for=1.2.3.4;proto=https;by=10.0.0.7")], "1.2.3.4"),
            (vec![("forwarded", "proto=http; For=\"[2001:db8::17]:4711\"")], "2001:db8::17"),
            (vec![("forwarded", "for=\"[::ffff:1.2.3.4]\"")], "1.2.3.4"),
            (vec![("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
        ] {
            assert_eq!(caller(PROXY, &headers), expected, "{headers:?}");
        }
        assert_eq!(caller("fd00::1", &[("x-forwarded-for", "2001:db8::1")]), "2001:db8::1");
        assert_eq!(caller("::ffff:10.0.0.7", &[("x-forwarded-for", "1.2.3.4")]), "1.2.3.4");
    }

    #[test]
    fn what_names_nobody_or_two_is_not_believed() {
        for headers in [
            vec![("x-forwarded-for", "1.2.3.4, unknown")],
            vec![("x-forwarded-for", "1.2.3.4, evil.example")],
            vec![("x-forwarded-for", "1.2.3.4,")],
            vec![("forwarded", "for=1.2.3.4, for=_hidden")],
            vec![("forwarded", "for=1.2.3.4, proto=https")],
            vec![("forwarded", "for=1.2.3.4;for=9.9.9.9")],
            vec![("forwarded", "for=\"1.2.3.4, x\"")],
            // A proxy writes one of them and lets the other pass.
            vec![("forwarded", "for=9.9.9.9"), ("x-forwarded-for", "1.2.3.4")],
        ] {
            assert_eq!(caller(PROXY, &headers), PROXY, "{headers:?}");
        }
        let many = vec!["10.0.0.1"; 10_000].join(",");
        assert_eq!(caller(PROXY, &[("x-forwarded-for", &many)]), "10.0.0.1");
    }

    #[test]
    fn networks_are_addresses_with_a_prefix() {
        let has = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1/128", "::1", "::2"),
            ("128.0.0.0/1", "255.1.1.1", "::1"),
        ] {
            assert!(has(network, inside) && !has(network, outside), "{network}");
        }
        for everybody in ["0.0.0.0/0", "::/0"] {
            let refused = everybody.parse::<Network>();
            assert_eq!(refused, Err(NetworkError::Everybody(everybody.to_owned())));
        }
        for text in
            ["", "10.0.0.0/33", "10.0.0/8", "::1/129", "a/8", "10.0.0.0/-1", "::ffff:1.2.3.4/100"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let refused = TrustedProxies::parse(&["10.0.0.0/8", "home"]).unwrap_err().to_string();
        assert!(refused.contains("`home`"), "{refused}");
    }

    proptest! {
        #[test]
        fn any_header_gives_an_address(
            one in "[ -~]{0,60}", other in "(for=|[0-9.:,;=\"\\[\\]a-f ]){0,20}"
        ) {
            let _ = caller(PROXY, &[("x-forwarded-for", &one), ("forwarded", &other)]);
        }
    }
}
