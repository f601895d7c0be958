use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// What listens on a port of its own, in the order of `--port-base`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Ca,
    Ct,
    Rekor1,
    Rekor2,
    Tsa,
    Trust,
    Oidc,
    Metrics,
}

impl Face {
    pub(crate) const ALL: [Self; 8] = [
        Self::Ca,
        Self::Ct,
        Self::Rekor1,
        Self::Rekor2,
        Self::Tsa,
        Self::Trust,
        Self::Oidc,
        Self::Metrics,
    ];

    /// The port of `dev`, and of configurations that name no other.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Ca => 5555,
            Self::Ct => 6962,
            Self::Rekor1 => 3000,
            Self::Rekor2 => 3003,
            Self::Tsa => 3004,
            Self::Trust => 3005,
            Self::Oidc => 3006,
            Self::Metrics => 3007,
        }
    }
}

/// `--port-base`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortBase {
    /// The well-known ports of each service.
    Default,
    /// This port and those after it.
    At(u16),
    /// Free ports; those of the last start where they are free.
    Auto,
}

impl FromStr for PortBase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HIGHEST: u16 = u16::MAX - 7;
        match text {
            "auto" => return Ok(Self::Auto),
            "0" => return Ok(Self::Default),
            _ => {}
        }
        match text.parse() {
            Ok(base) if base <= HIGHEST => Ok(Self::At(base)),
            _ => Err(format!("not `auto` and not a number up to {HIGHEST}")),
        }
    }
}

/// The port of each [`Face`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports([u16; 8]);

impl Ports {
    /// Asks `port` for each face.
    pub(crate) fn new(port: impl FnMut(Face) -> u16) -> Self {
        Self(Face::ALL.map(port))
    }

    /// The port of `face`.
    pub(crate) fn of(&self, face: Face) -> u16 {
        *of_face(&self.0, face)
    }

    /// The base URL of `face`, as clients on this machine use it.
    pub(crate) fn url(&self, face: Face) -> String {
        format!("http://{HOST}:{}", self.of(face))
    }
}

/// What `all`, in the order of [`Face::ALL`], has for `face`.
fn of_face<T>(all: &[T; 8], face: Face) -> &T {
    let [ca, ct, rekor1, rekor2, tsa, trust, oidc, metrics] = all;
    match face {
        Face::Ca => ca,
        Face::Ct => ct,
        Face::Rekor1 => rekor1,
        Face::Rekor2 => rekor2,
        Face::Tsa => tsa,
        Face::Trust => trust,
        Face::Oidc => oidc,
        Face::Metrics => metrics,
    }
}

/// Host of every base URL of `dev`, and origin of its Rekor v2 log.
pub(crate) const HOST: &str = "localhost";

/// Where clients find each face: base URLs without a final slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrls([String; 8]);

impl BaseUrls {
    /// Asks `url` for each face.
    pub(crate) fn new(url: impl FnMut(Face) -> String) -> Self {
        Self(Face::ALL.map(url))
    }

    /// The base URL of `face`.
    pub(crate) fn of(&self, face: Face) -> &str {
        of_face::<String>(&self.0, face)
    }
}

impl From<&Ports> for BaseUrls {
    fn from(ports: &Ports) -> Self {
        Self::new(|face| ports.url(face))
    }
}

/// The listeners of one face.
pub(crate) struct Bound {
    pub(crate) port: u16,
    pub(crate) listeners: Vec<TcpListener>,
}

/// Binds every face, in the order of [`Face::ALL`].
///
/// On 127.0.0.1, on `::1` where the machine has it, and on `listen`.
pub(crate) async fn bind(
    base: PortBase,
    listen: Option<IpAddr>,
    last: Option<Ports>,
) -> anyhow::Result<(Ports, Vec<Bound>)> {
    let addresses = addresses(listen).await;
    let mut all = Vec::with_capacity(Face::ALL.len());
    for (offset, face) in (0..).zip(Face::ALL) {
        let bound = match base {
            PortBase::Default => bind_at(&addresses, face.default_port(), face).await?,
            PortBase::At(base) => bind_at(&addresses, base + offset, face).await?,
            PortBase::Auto => {
                let preferred = last.map(|ports| ports.of(face));
                bind_free(&addresses, preferred).await?
            }
        };
        all.push(bound);
    }
    let ports: Vec<u16> = all.iter().map(|bound| bound.port).collect();
    let Ok(ports) = <[u16; 8]>::try_from(ports) else { bail!("not eight listeners") };
    Ok((Ports(ports), all))
}

/// Binds one face. Loopback without `listen`, and in any case.
pub(crate) async fn bind_face(
    listen: Option<IpAddr>,
    face: Face,
    port: u16,
) -> anyhow::Result<Bound> {
    let listeners = try_bind(&addresses(listen).await, port)
        .await
        .with_context(|| format!("cannot listen on port {port} for {face:?}"))?;
    Ok(Bound { port, listeners })
}

/// The addresses to bind; a wildcard takes the place of the loopback address of its family.
async fn addresses(listen: Option<IpAddr>) -> Vec<IpAddr> {
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
    addresses
}

async fn bind_at(addresses: &[IpAddr], port: u16, face: Face) -> anyhow::Result<Bound> {
    let listeners = try_bind(addresses, port).await.with_context(|| {
        format!("cannot listen on port {port} for {face:?}; `--port-base auto` finds free ports")
    })?;
    Ok(Bound { port, listeners })
}

async fn bind_free(addresses: &[IpAddr], preferred: Option<u16>) -> anyhow::Result<Bound> {
    if let Some(port) = preferred
        && let Ok(listeners) = try_bind(addresses, port).await
    {
        return Ok(Bound { port, listeners });
    }
    for _ in 0..FREE_PORT_ATTEMPTS {
        let Some((first, others)) = addresses.split_first() else { break };
        let listener = TcpListener::bind((*first, 0)).await.context("cannot listen")?;
        let port = listener.local_addr()?.port();
        match try_bind(others, port).await {
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

async fn try_bind(addresses: &[IpAddr], port: u16) -> std::io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.push(TcpListener::bind(SocketAddr::new(*address, port)).await?);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_port_bases() {
        assert_eq!("auto".parse(), Ok(PortBase::Auto));
        assert_eq!("0".parse(), Ok(PortBase::Default));
        assert_eq!("1".parse(), Ok(PortBase::At(1)));
        assert_eq!("65528".parse(), Ok(PortBase::At(65528)));
        for wrong in ["65529", "65536", "-1", "", "x"] {
            assert!(wrong.parse::<PortBase>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn takes_the_ports_of_the_last_start_again_and_others_when_they_are_taken() {
        let (ports, bound) = bind(PortBase::Auto, None, None).await.unwrap();
        let (others, _) = bind(PortBase::Auto, None, Some(ports)).await.unwrap();
        assert!(Face::ALL.iter().all(|face| others.of(*face) != ports.of(*face)));
        drop(bound);
        let (again, _) = bind(PortBase::Auto, None, Some(ports)).await.unwrap();
        assert_eq!(again, ports);
        assert_eq!(ports.url(Face::Trust), format!("http://localhost:{}", ports.of(Face::Trust)));
    }

    #[tokio::test]
    async fn says_which_port_is_taken() {
        let (ports, _bound) = bind(PortBase::Auto, None, None).await.unwrap();
        let base = ports.of(Face::Ca).min(u16::MAX - 7);
        let Err(error) = bind(PortBase::At(base), None, None).await else { panic!("bound twice") };
        assert!(error.to_string().contains(&format!("port {base} for Ca")), "{error:#}");
    }

    #[tokio::test]
    async fn listens_on_loopback_unless_told_otherwise() {
        let loopback = addresses(None).await;
        assert!(loopback.iter().all(IpAddr::is_loopback) && !loopback.is_empty());
        let any = addresses(Some("0.0.0.0".parse().unwrap())).await;
        assert!(any.contains(&IpAddr::from(Ipv4Addr::UNSPECIFIED)));
        assert!(!any.contains(&IpAddr::from(Ipv4Addr::LOCALHOST)));
        let named = addresses(Some("127.0.0.1".parse().unwrap())).await;
        assert_eq!(named, loopback);
    }
}
