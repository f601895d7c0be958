//! Services that share a port, told apart by the host that a request is for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::any,
};
use http::{StatusCode, header, uri::Authority};
use tower::Service;

use crate::{Failure, Protocol, Readiness, harden, health_routes};

/// One router for services that share a port, each with its host: a name, or an address as URLs
/// have it, without a port.
///
/// A request finds its service by `:authority` or `Host`, in any case of letters, with or without a
/// final dot. A host that is nobody's, a missing one and one that is there twice get 421 in a form
/// that names no service; `/healthz` and `/readyz` answer there all the same, the latter by `readiness`.
pub fn by_host(
    services: impl IntoIterator<Item = (String, Router)>,
    readiness: Readiness,
) -> Router {
    let services: BTreeMap<String, Router> =
        services.into_iter().map(|(host, router)| (normal(&host), router)).collect();
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
fn host_of(request: &Request) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return plain_host(authority);
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    plain_host(&Authority::try_from(host.as_bytes()).ok()?)
}

/// A user name has no place in it, and would let two readers see two hosts.
fn plain_host(authority: &Authority) -> Option<String> {
    (!authority.as_str().contains('@')).then(|| normal(authority.host()))
}

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
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
        let services = ["a.example", "127.0.0.2", "[::1]"].map(|host| (host.to_owned(), host));
        by_host(services.map(|(host, name)| (host, service(name))), readiness)
    }

    async fn ask(request: http::request::Builder) -> (u16, String) {
        let request = request.body(Body::empty()).unwrap();
        let answer = router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_request_finds_its_service_by_its_host() {
        for (host, name) in [
            ("a.example", "a.example"),
            ("A.Example.:8080", "a.example"),
            ("127.0.0.2:1", "127.0.0.2"),
            ("[::1]:1", "[::1]"),
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
