use http::{Uri, uri::PathAndQuery};

/// Removes empty segments from the request's path: `//api//v2/x/` becomes `/api/v2/x`.
///
/// Go and JavaScript clients join a base URL that ends in a slash into
/// `//api/...`, others add a slash at the end. `None` when nothing changes. tower-http's
/// `NormalizePath` leaves empty segments within a path.
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn segments_and_query_stay_and_a_clean_path_is_left_alone(
            path in "(/[a-z%0-9.]{0,3}){1,8}", query in "[a-z/&=]{0,6}"
        ) {
            let uri: Uri = format!("{path}?{query}").parse().unwrap();
            let cleaned = without_empty_segments(&uri).unwrap_or_else(|| uri.clone());
            prop_assert_eq!(cleaned.query(), uri.query());
            let segments = |uri: &Uri| -> Vec<String> {
                uri.path().split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect()
            };
            prop_assert_eq!(segments(&cleaned), segments(&uri));
            prop_assert_eq!(without_empty_segments(&cleaned), None);
        }
    }
}
