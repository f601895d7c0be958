//! Services that share a port, told apart by the host that a request is for.

use std::{collections::BTreeMap, fmt, net::Ipv6Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::any,
};
use http::{StatusCode, header, uri::Authority};
use tower::Service;

use crate::{Failure, Protocol, Readiness, harden, health_routes};

/// A host in the one form in which hosts are compared, whoever compares: a name in lower case and without a final
/// dot, or an address, of IPv6 in brackets and at its shortest. Without a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// Of a host as URLs, `Host` or people have it.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = inside.unwrap_or(host).parse::<Ipv6Addr>() {
            return Self(format!("[{address}]"));
        }
        Self(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
    }

    /// As URLs have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One router for services that share a port, each with its host.
///
/// A request finds its service by the [`Host`] in `:authority` or `Host`. A host that is nobody's, a missing one and one that is there twice get 421 in a form
/// that names no service; `/healthz` and `/readyz` answer there all the same, the latter by `readiness`.
pub fn by_host(services: impl IntoIterator<Item = (Host, Router)>, readiness: Readiness) -> Router {
    let services: BTreeMap<Host, Router> = services.into_iter().collect();
    let (services, nobody) = (Arc::new(services), nobody(readiness));
    Router::new().fallback(move |request: Request| {
        let found = host_of(&request).and_then(|host| services.get(&host));
        let mut chosen = found.unwrap_or(&nobody).clone();
        async move { chosen.call(request).await }
    })
}

/// What answers for hosts of nobody.
fn nobody(readiness: Readiness) -> Router {
    let refuse = async || {
        (StatusCode::MISDIRECTED_REQUEST, "no service has this host here\n").into_response()
    };
    let routes = Router::new()
        .route("/", any(refuse))
        .route("/{*path}", any(refuse))
        .merge(health_routes(readiness));
    harden(routes, PROTOCOL)
}

const PROTOCOL: Protocol = Protocol {
    name: "misdirected",
    // Nothing is read.
    body_limit: usize::MAX,
    timeout: Duration::from_secs(10),
    render: |failure: &Failure| -> Response {
        (failure.status(), format!("{failure}\n")).into_response()
    },
};

/// The host that a request is for. RFC 9112 §3.2.2: what the target says counts before `Host`, of which
/// there must be one.
fn host_of(request: &Request) -> Option<Host> {
    if let Some(authority) = request.uri().authority() {
        return plain_host(authority);
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    plain_host(&Authority::try_from(host.as_bytes()).ok()?)
}

/// A user name has no place in it, and would let two readers see two hosts.
fn plain_host(authority: &Authority) -> Option<Host> {
    (!authority.as_str().contains('@')).then(|| Host::new(authority.host()))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use http_body_util::BodyExt;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;

    fn router() -> Router {
        let service = |name: &'static str| {
            let routes = Router::new().route("/", get(async move || name));
            let own = Readiness::new(CancellationToken::new());
            harden(routes.merge(health_routes(own)), PROTOCOL)
        };
        let readiness = Readiness::new(CancellationToken::new());
        readiness.add("services", || std::future::ready(Err("not ready".to_owned())));
        let services = ["a.example", "127.0.0.2", "[::1]"];
        by_host(services.map(|name| (Host::new(name), service(name))), readiness)
    }

    async fn ask(request: http::request::Builder) -> (u16, String) {
        let request = request.body(Body::empty()).unwrap();
        let answer = router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn one_host_has_one_form() {
        for (host, form) in [
            ("A.Example", "a.example"),
            ("a.example.", "a.example"),
            ("127.0.0.2.", "127.0.0.2"),
            ("[0:0::1]", "[::1]"),
            ("::1", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(Host::new(host).as_str(), form, "{host}");
        }
        assert_ne!(Host::new("a.example.."), Host::new("a.example"), "no name has it");
    }

    #[tokio::test]
    async fn a_request_finds_its_service_by_its_host() {
        for (host, name) in [
            ("a.example", "a.example"),
            ("A.Example.:8080", "a.example"),
            ("127.0.0.2:1", "127.0.0.2"),
            ("[::1]:1", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ] {
            let answer = ask(Request::get("/").header("host", host)).await;
            assert_eq!(answer, (200, name.to_owned()), "{host}");
        }
        // As HTTP/2 has it, and proxies; it counts before the header.
        let target = Request::get("http://a.example:1/").header("host", "127.0.0.2");
        assert_eq!(ask(target).await.1, "a.example");
    }

    #[tokio::test]
    async fn a_host_of_nobody_is_misdirected_and_told_no_name() {
        let hosts =
            ["b.example", "", "a.example@b.example", "b@a.example", "a.example/", "a.example.."];
        for host in hosts {
            for path in ["/", "/api/v2/log/entries"] {
                let (status, body) = ask(Request::post(path).header("host", host)).await;
                assert_eq!(status, 421, "{host}");
                assert!(!body.contains("example"), "{body}");
            }
        }
        assert_eq!(ask(Request::get("/")).await.0, 421);
        let twice = Request::get("/").header("host", "a.example").header("host", "127.0.0.2");
        assert_eq!(ask(twice).await.0, 421);
    }

    #[tokio::test]
    async fn health_is_told_for_any_host() {
        for (host, ready) in [("a.example", 200), ("b.example", 503)] {
            assert_eq!(ask(Request::get("/healthz").header("host", host)).await.0, 200, "{host}");
            assert_eq!(ask(Request::get("/readyz").header("host", host)).await.0, ready, "{host}");
        }
    }
}
