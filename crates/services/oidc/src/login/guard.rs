use axum::extract::Request;
use http::{HeaderMap, header, uri::Authority};
use thiserror::Error;
use wire::host::is_loopback;

/// Why a request is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refused {
    /// Another name than this machine's: a web site whose name was rebound to it, or a network.
    #[error("logging in is for this machine alone: use http://localhost or http://127.0.0.1")]
    Host,
    /// A page of somebody else.
    #[error("this request was made by a page of another site")]
    Origin,
    /// An image, a frame or a script: whoever is to log in would not see the page.
    #[error("this page is for people to open, and not a part of another page")]
    NotOpened,
}

/// Checks that the request names this machine by a name that nobody else can have.
pub(super) fn host(request: &Request) -> Result<Authority, Refused> {
    // HTTP/2 has it in the URI. Two that differ are nobody's.
    let mut named: Vec<Authority> = Vec::new();
    for value in request.headers().get_all(header::HOST) {
        named.push(Authority::try_from(value.as_bytes()).map_err(|_| Refused::Host)?);
    }
    named.extend(request.uri().authority().cloned());
    let first = named.first().ok_or(Refused::Host)?;
    let is_one = named.iter().all(|other| other == first);
    // An authority may have a user, which a `Host` has not.
    let is_bare = !first.as_str().contains('@');
    if is_one && is_bare && is_loopback(&first.host().to_ascii_lowercase()) {
        Ok(first.clone())
    } else {
        Err(Refused::Host)
    }
}

/// Checks that an order to this service, `host`, comes from a page of its own.
///
/// A form of another site is sent without asking anybody, and is told by its `Origin` (RFC 6454 §7),
/// which is `null` where the site hides it. A program has none, and needs the secret of a form.
pub(super) fn own_page(request: &Request, host: &Authority) -> Result<(), Refused> {
    let own = format!("http://{host}");
    let origins = request.headers().get_all(header::ORIGIN);
    let is_own = origins.iter().all(|origin| origin.as_bytes() == own.as_bytes());
    let site = fetch_site(request.headers());
    if is_own && matches!(site, None | Some("same-origin")) { Ok(()) } else { Err(Refused::Origin) }
}

/// Checks that the caller is a program and no page, of whatever site.
pub(super) fn program(request: &Request) -> Result<(), Refused> {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) || fetch_site(headers).is_some() {
        return Err(Refused::Origin);
    }
    Ok(())
}

/// Checks that a person opens the page: a browser says what else it wants it for (Fetch Metadata).
/// Programs say nothing.
pub(super) fn opened(request: &Request) -> Result<(), Refused> {
    let is_only = |name: &str, wanted: &str| {
        request.headers().get_all(name).iter().all(|value| value.as_bytes() == wanted.as_bytes())
    };
    let opened = is_only("sec-fetch-mode", "navigate") && is_only("sec-fetch-dest", "document");
    if opened { Ok(()) } else { Err(Refused::NotOpened) }
}

/// What a browser says of who made the request (Fetch Metadata).
fn fetch_site(headers: &HeaderMap) -> Option<&str> {
    headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("cross-site"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut builder = Request::get("/auth");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for sound in ["localhost:3006", "LOCALHOST", "127.0.0.1:1", "127.9.9.9", "[::1]:3006"] {
            assert!(host(&request(&[("host", sound)])).is_ok(), "{sound}");
        }
        for foreign in [
            "evil.example",
            "evil.example:3006",
            "localhost.evil.example",
            "localhost.",
            "10.0.0.1:3006",
            "0.0.0.0",
            "[::]",
            "localhost@evil.example",
            "evil.example@localhost",
            "",
        ] {
            assert_eq!(host(&request(&[("host", foreign)])), Err(Refused::Host), "{foreign}");
        }
        assert_eq!(host(&request(&[])), Err(Refused::Host));
        let two = request(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(host(&two), Err(Refused::Host));
        let absolute = Request::get("http://evil.example/auth").header("host", "localhost");
        assert_eq!(host(&absolute.body(Body::empty()).unwrap()), Err(Refused::Host));
    }

    #[test]
    fn orders_of_other_sites_are_refused() {
        let own = Authority::from_static("localhost:3006");
        let check = |headers: &[(&str, &str)]| own_page(&request(headers), &own);
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("origin", "http://localhost:3006")]), Ok(()));
        let both = [("origin", "http://localhost:3006"), ("sec-fetch-site", "same-origin")];
        assert_eq!(check(&both), Ok(()));
        for origin in [
            "null",
            "http://localhost:8080",
            "http://127.0.0.1:3006",
            "https://localhost:3006",
            "http://evil.example",
            "",
        ] {
            assert_eq!(check(&[("origin", origin)]), Err(Refused::Origin), "{origin}");
        }
        for site in ["cross-site", "same-site", "none", ""] {
            assert_eq!(check(&[("sec-fetch-site", site)]), Err(Refused::Origin), "{site}");
        }
        assert_eq!(program(&request(&[])), Ok(()));
        assert_eq!(program(&request(&[("origin", "http://localhost:3006")])), Err(Refused::Origin));
        assert_eq!(program(&request(&[("sec-fetch-site", "none")])), Err(Refused::Origin));
    }

    #[test]
    fn only_pages_that_a_person_opens_are_shown() {
        let check = |headers: &[(&str, &str)]| opened(&request(headers));
        assert_eq!(check(&[]), Ok(()), "a program");
        assert_eq!(
            check(&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]),
            Ok(())
        );
        for (name, value) in [
            ("sec-fetch-dest", "image"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-mode", ""),
        ] {
            assert_eq!(check(&[(name, value)]), Err(Refused::NotOpened), "{name}: {value}");
        }
    }
}
