//! Sockets: on which addresses services listen.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::{Context, bail};
use tokio::net::{TcpListener, TcpSocket};

/// Host of every base URL of `dev` and of the development provider, and origin of `dev`'s Rekor v2 log.
pub(crate) const HOST: &str = "localhost";

/// The sockets of one port.
pub(crate) struct Bound {
    pub(crate) port: u16,
    pub(crate) listeners: Vec<TcpListener>,
}

/// The addresses to listen on.
#[derive(Debug, Clone)]
pub(crate) struct Addresses(Vec<IpAddr>);

impl Addresses {
    /// 127.0.0.1, `::1` where the machine has it, and `listen`; a wildcard takes the place of the
    /// loopback address of its family.
    pub(crate) async fn new(listen: Option<IpAddr>) -> Self {
        let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
        let has_v6 = TcpListener::bind((v6, 0)).await.is_ok();
        let mut addresses: Vec<IpAddr> = if has_v6 { vec![v4, v6] } else { vec![v4] };
        match listen {
            None => {}
            // Takes connections of both families.
            Some(IpAddr::V6(any)) if any.is_unspecified() => addresses = vec![any.into()],
            Some(IpAddr::V4(any)) if any.is_unspecified() => {
                addresses.retain(IpAddr::is_ipv6);
                addresses.push(any.into());
            }
            Some(address) if addresses.contains(&address) => {}
            Some(address) => addresses.push(address),
        }
        Self(addresses)
    }

    /// These, and those of `hosts` that are loopback addresses: whoever is sent to 127.0.0.2 finds it.
    pub(crate) fn with_hosts<'a>(&self, hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let Self(mut addresses) = self.clone();
        let any = |address: &IpAddr| address.is_unspecified();
        let covered =
            addresses.iter().any(|one| any(one) && (one.is_ipv4() || addresses.len() == 1));
        let named = hosts.into_iter().filter_map(|host| host.parse::<Ipv4Addr>().ok());
        for address in named.filter(|address| address.is_loopback() && !covered) {
            if !addresses.contains(&address.into()) {
                addresses.push(address.into());
            }
        }
        Self(addresses)
    }
}

/// Listens on `port`, for `what`.
pub(crate) fn bind(addresses: &Addresses, port: u16, what: &str) -> anyhow::Result<Bound> {
    let listeners = try_bind(&addresses.0, port);
    let explain = || format!("cannot listen on port {port} for {what}");
    Ok(Bound { port, listeners: listeners.with_context(explain)? })
}

/// Listens on `preferred` where that is free, else on a port that is.
pub(crate) fn bind_free(addresses: &Addresses, preferred: Option<u16>) -> anyhow::Result<Bound> {
    let Addresses(addresses) = addresses;
    if let Some(port) = preferred
        && let Ok(listeners) = try_bind(addresses, port)
    {
        return Ok(Bound { port, listeners });
    }
    for _ in 0..FREE_PORT_ATTEMPTS {
        let Some((first, others)) = addresses.split_first() else { break };
        let listener = listen(SocketAddr::new(*first, 0)).context("cannot listen")?;
        let port = listener.local_addr()?.port();
        match try_bind(others, port) {
            Ok(mut listeners) => {
                listeners.push(listener);
                return Ok(Bound { port, listeners });
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).context("cannot listen"),
        }
    }
    bail!("found no port that is free on {addresses:?}")
}

/// A port that is free on one address may be taken on another.
const FREE_PORT_ATTEMPTS: usize = 32;

/// Connections that the system completes before we accept them: as many as Linux lets by default. With fewer, a burst of
/// others makes a new one wait for its second SYN, a second later.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As `TcpListener::bind` has it: a service that starts again need not wait for its old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn try_bind(addresses: &[IpAddr], port: u16) -> std::io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.push(listen(SocketAddr::new(*address, port))?);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listening_at(listen: Option<&str>, hosts: &[&str]) -> Vec<IpAddr> {
        let addresses = Addresses::new(listen.map(|address| address.parse().unwrap())).await;
        addresses.with_hosts(hosts.iter().copied()).0
    }

    #[tokio::test]
    async fn listens_on_loopback_unless_told_otherwise() {
        let loopback = listening_at(None, &[]).await;
        assert!(loopback.iter().all(IpAddr::is_loopback) && !loopback.is_empty());
        let any = listening_at(Some("0.0.0.0"), &[]).await;
        assert!(any.contains(&IpAddr::from(Ipv4Addr::UNSPECIFIED)));
        assert!(!any.contains(&IpAddr::from(Ipv4Addr::LOCALHOST)));
        assert_eq!(listening_at(Some("127.0.0.1"), &[]).await, loopback);
    }

    #[tokio::test]
    async fn listens_on_the_loopback_addresses_that_clients_are_sent_to() {
        let loopback = listening_at(None, &[]).await;
        let hosts = ["127.0.0.2", "localhost", "127.0.0.1", "192.0.2.1", "[::1]", "127.0.0.2"];
        let more = listening_at(None, &hosts).await;
        assert_eq!(more.len(), loopback.len() + 1);
        assert!(more.contains(&"127.0.0.2".parse().unwrap()));
        for any in ["0.0.0.0", "::"] {
            let covered = listening_at(Some(any), &["127.0.0.2"]).await;
            assert_eq!(covered, listening_at(Some(any), &[]).await, "{any}");
        }
    }

    #[tokio::test]
    async fn takes_the_port_of_the_last_start_again_and_another_when_it_is_taken() {
        let addresses = Addresses::new(None).await;
        let first = bind_free(&addresses, None).unwrap();
        let other = bind_free(&addresses, Some(first.port)).unwrap();
        assert_ne!(other.port, first.port);
        let port = first.port;
        let Err(error) = bind(&addresses, port, "the CA") else { panic!("bound twice") };
        assert!(error.to_string().contains(&format!("port {port} for the CA")), "{error:#}");
        drop(first);
        assert_eq!(bind_free(&addresses, Some(port)).unwrap().port, port);
    }
}
