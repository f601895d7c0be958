use std::{net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use store::LogKind;

use crate::{
    deployment::{Kind, METRICS_PORT, PROVIDER_PORT},
    endpoints::{Addresses, Bound, bind, bind_free},
};

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

/// The port of each service of `dev`: kept as a list, in the order of `--port-base`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u16>", into = "Vec<u16>")]
pub(crate) struct DevPorts {
    pub(crate) ca: u16,
    pub(crate) ct: u16,
    pub(crate) rekor1: u16,
    pub(crate) rekor2: u16,
    pub(crate) tsa: u16,
    pub(crate) trust: u16,
    pub(crate) oidc: u16,
    pub(crate) metrics: u16,
}

impl TryFrom<Vec<u16>> for DevPorts {
    type Error = &'static str;

    fn try_from(ports: Vec<u16>) -> Result<Self, Self::Error> {
        let [ca, ct, rekor1, rekor2, tsa, trust, oidc, metrics] = ports[..] else {
            return Err("not a port for each service");
        };
        Ok(Self { ca, ct, rekor1, rekor2, tsa, trust, oidc, metrics })
    }
}

impl From<DevPorts> for Vec<u16> {
    fn from(ports: DevPorts) -> Self {
        let DevPorts { ca, ct, rekor1, rekor2, tsa, trust, oidc, metrics } = ports;
        vec![ca, ct, rekor1, rekor2, tsa, trust, oidc, metrics]
    }
}

impl DevPorts {
    /// Those of design and documents.
    pub(super) const DEFAULT: Self = Self {
        ca: Kind::Ca.default_port(),
        ct: Kind::Log(LogKind::Ct).default_port(),
        rekor1: Kind::Log(LogKind::Rekor1).default_port(),
        rekor2: Kind::Log(LogKind::Rekor2).default_port(),
        tsa: Kind::Tsa.default_port(),
        trust: Kind::Trust.default_port(),
        oidc: PROVIDER_PORT,
        metrics: METRICS_PORT,
    };

    /// Who listens on them, in their order.
    const NAMES: &[&str] = &[
        "the CA",
        "the CT log",
        "the Rekor v1 log",
        "the Rekor v2 log",
        "the TSA",
        "the trust files",
        "the identity provider",
        "the metrics",
    ];

    /// Listens on all of them: before anything else, since they are in every URL.
    pub(super) async fn bind(
        base: PortBase,
        listen: Option<IpAddr>,
        last: Option<Self>,
    ) -> anyhow::Result<(Self, Vec<Bound>)> {
        let addresses = Addresses::new(listen).await;
        let (defaults, last) = (Vec::from(Self::DEFAULT), last.map(Vec::from).unwrap_or_default());
        let mut last = last.into_iter();
        let (mut ports, mut bound) = (Vec::new(), Vec::new());
        for (position, (default, name)) in (0_u16..).zip(defaults.into_iter().zip(Self::NAMES)) {
            let what = format!("{name}; `--port-base auto` finds free ports");
            let one = match base {
                PortBase::Default => bind(&addresses, default, &what)?,
                PortBase::At(base) => bind(&addresses, base + position, &what)?,
                PortBase::Auto => bind_free(&addresses, last.next())?,
            };
            ports.push(one.port);
            bound.push(one);
        }
        let ports = Self::try_from(ports).map_err(anyhow::Error::msg)?;
        Ok((ports, bound))
    }
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

    #[test]
    fn ports_are_kept_as_the_list_that_they_always_were() {
        let text = serde_json::to_string(&DevPorts::DEFAULT).unwrap();
        assert_eq!(text, "[5555,6962,3000,3003,3004,3005,3006,3007]");
        assert_eq!(serde_json::from_str::<DevPorts>(&text).unwrap(), DevPorts::DEFAULT);
    }

    #[tokio::test]
    async fn takes_the_ports_of_the_last_start_again_and_others_when_they_are_taken() {
        let (ports, bound) = DevPorts::bind(PortBase::Auto, None, None).await.unwrap();
        let (others, _) = DevPorts::bind(PortBase::Auto, None, Some(ports)).await.unwrap();
        let (all, taken) = (Vec::from(others), Vec::from(ports));
        assert!(all.iter().all(|port| !taken.contains(port)));
        drop(bound);
        let (again, _) = DevPorts::bind(PortBase::Auto, None, Some(ports)).await.unwrap();
        assert_eq!(again, ports);
    }

    #[tokio::test]
    async fn says_which_port_is_taken() {
        let (ports, _bound) = DevPorts::bind(PortBase::Auto, None, None).await.unwrap();
        let base = ports.ca.min(u16::MAX - 7);
        let Err(error) = DevPorts::bind(PortBase::At(base), None, None).await else {
            panic!("bound twice")
        };
        assert!(error.to_string().contains(&format!("port {base} for the CA")), "{error:#}");
    }
}
