//! Which hosts are this machine.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a host, as it stands in a URL in lower case, can only be this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
///
/// No other name counts, also where it leads to such an address today: not `localhost.`, not what is
/// below `localhost`, which resolvers differ about. Nor does an IPv4 address written as an IPv6 one.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match inside {
        Some(address) => address.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => host.parse(),
    };
    address.map_or_else(
        |_| host == "localhost",
        |address: IpAddr| address.is_loopback() && (address.is_ipv4() || inside.is_some()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_have_are_this_machine() {
        for host in ["localhost", "127.0.0.1", "127.8.7.6", "[::1]", "[0:0:0::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.",
            "LOCALHOST",
            "ca.localhost",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.1",
            "0.0.0.0",
            "10.0.0.1",
            "::1",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[127.0.0.1]",
            "[localhost]",
            "localhost:80",
            "user@localhost",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
