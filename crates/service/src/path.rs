use http::{Uri, uri::PathAndQuery};

/// Removes empty segments from the request's path: `//api//v2/x/` becomes `/api/v2/x`.
///
/// Go and JavaScript clients join a base URL that ends in a slash into
/// `//api/...`, others add a slash at the end. `None` when nothing changes.
pub(crate) fn without_empty_segments(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (path.len() <= 1 || !path.ends_with('/')) {
        return None;
    }
    let mut clean = String::with_capacity(uri.path_and_query()?.as_str().len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() {
        clean.push('/');
    }
    if let Some(query) = uri.query() {
        clean.push('?');
        clean.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(clean).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(uri: &str) -> Option<String> {
        without_empty_segments(&uri.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn leaves_clean_paths_alone() {
        for uri in ["/", "/a", "/a/b?x=//", "*", "http://host/a/b"] {
            assert_eq!(clean(uri), None, "{uri}");
        }
    }

    #[test]
    fn removes_double_and_trailing_slashes_and_keeps_the_query() {
        for (uri, expected) in [
            ("//", "/"),
            ("/a/", "/a"),
            ("//api/v2//x//", "/api/v2/x"),
            ("//api/v2/x/?a=b//&c", "/api/v2/x?a=b//&c"),
            ("http://host:1//a/?q", "http://host:1/a?q"),
            ("/a/%2F/", "/a/%2F"),
        ] {
            assert_eq!(clean(uri).as_deref(), Some(expected), "{uri}");
        }
    }
}
