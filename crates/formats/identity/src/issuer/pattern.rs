use url::Url;
use wire::host::is_loopback;

use super::{check_issuer_url, glob};
use crate::IssuerConfigError;

/// Longest pattern, in bytes; the longest of a cloud's clusters has some 120.
const MAX_PATTERN_LEN: usize = 256;

/// Longest `iss` that is compared with patterns, in bytes. With [`MAX_PATTERN_LEN`] it bounds what
/// an unverified token costs: 128 Ki steps for each pattern whose beginning fits.
const MAX_MATCHED_LEN: usize = 512;

/// Labels at the end of the host that must be written out: a wildcard there would hand the choice
/// of the host, and so of the keys, to whoever can register a name.
const PINNED_LABELS: usize = 2;

/// The URLs of many issuers, such as all clusters of a cloud: Fulcio's meta-issuers.
///
/// `*` stands for one or more of `[-_a-zA-Z0-9]`, so for one label or segment or a part of one;
/// all else for itself. The whole `iss` must match (GHSA-59jp-pj84-45mr).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct UrlPattern(String);

impl UrlPattern {
    pub(super) fn parse(text: &str, allow_loopback_http: bool) -> Result<Self, IssuerConfigError> {
        let wrong = || IssuerConfigError::UrlPattern(text.to_owned());
        if text.len() > MAX_PATTERN_LEN || !text.contains(WILDCARD) {
            return Err(wrong());
        }
        // What a wildcard can become changes nothing of how a URL is read, unless it is the scheme,
        // the port or a number of an address.
        let sample = check_issuer_url(&text.replace(WILDCARD, "x"), allow_loopback_http)
            .map_err(|_| wrong())?;
        let authority = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let host = authority.split(':').next().unwrap_or_default();
        let pinned = host.rsplit('.').take(PINNED_LABELS).all(|label| !label.contains(WILDCARD));
        let named = sample.domain().is_some() || sample.host_str().is_some_and(is_loopback);
        let wide_host = host.contains(WILDCARD) && host.split('.').count() <= PINNED_LABELS;
        if !pinned
            || !named
            || wide_host
            || sample.host_str().is_some_and(is_loopback) && !allow_loopback_http
        {
            return Err(wrong());
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `iss` as a whole is one of the URLs.
    pub(super) fn matches(&self, iss: &str) -> bool {
        let literal = self.0.split(WILDCARD).next().unwrap_or_default();
        iss.len() <= MAX_MATCHED_LEN && iss.starts_with(literal) && glob::matches(&self.0, iss)
    }
}

const WILDCARD: char = '*';

/// A URL of the pattern's form, for checks that need one.
pub(super) fn sample_url(url: &str, allow_loopback_http: bool) -> Result<Url, IssuerConfigError> {
    check_issuer_url(&url.replace(WILDCARD, "x"), allow_loopback_http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> UrlPattern {
        UrlPattern::parse(text, false).unwrap()
    }

    /// The hits and misses of Fulcio's own tests (`pkg/config/config_test.go`, `TestMetaURLs`), and
    /// those of GHSA-59jp-pj84-45mr: a pattern that is not anchored fetched from where the token said.
    #[test]
    fn matches_what_fulcio_matches_and_nothing_else() {
        let eks = pattern("https://oidc.eks.*.amazonaws.com/id/*");
        let id = "B02C93B6A2D30341AD01E1B6D48164CB";
        assert!(eks.matches(&format!("https://oidc.eks.us-west-2.amazonaws.com/id/{id}")));
        for miss in [
            format!("https://oidc.eks.us.west.2.amazonaws.com/id/{id}"),
            "https://oidc.eks.us-west/2.amazonaws.com/id/B02C93B6A2D3/0341AD01E1B6D48164CB".into(),
            format!("http://localhost?x=https://oidc.eks.us-west-2.amazonaws.com/id/{id}"),
            format!("https://evil.example/https://oidc.eks.us-west-2.amazonaws.com/id/{id}"),
            format!("https://evil.example#https://oidc.eks.us-west-2.amazonaws.com/id/{id}"),
            format!("https://oidc.eks.us-west-2.amazonaws.com@evil.example/id/{id}"),
            format!("https://oidc.eks.evil.example/.amazonaws.com/id/{id}"),
            format!("https://oidc.eks.evil.example?.amazonaws.com/id/{id}"),
            format!("https://oidc.eks.evil.example#.amazonaws.com/id/{id}"),
            format!("https://oidc.eks.x:1@evil.example/.amazonaws.com/id/{id}"),
            format!("https://oidc.eks.us-west-2.amazonaws.com/id/{id}.evil.example"),
            format!("https://oidc.eks.us-west-2.amazonaws.com/id/{id}/"),
            format!("https://oidc.eks.us-west-2.amazonaws.com/id/{id}?x"),
            format!("https://oidc.eks.us-west-2.amazonaws.com/id/{id}\n"),
            format!(" https://oidc.eks.us-west-2.amazonaws.com/id/{id}"),
            format!("http://oidc.eks.us-west-2.amazonaws.com/id/{id}"),
            format!("HTTPS://oidc.eks.us-west-2.amazonaws.com/id/{id}"),
            format!("https://oidc.eks.us-west-2.amazonaws.com/id/{}", "a".repeat(512)),
            format!("https://oidc.eks.us%2ewest.amazonaws.com/id/{id}"),
            format!("https://oidc-eks.us-west-2.amazonaws.com/id/{id}"),
            "https://oidc.eks..amazonaws.com/id/x".to_owned(),
            "https://oidc.eks.us-west-2.amazonaws.com/id/".to_owned(),
            "https://oidc.eks.*.amazonaws.com/id/*".to_owned(),
        ] {
            assert!(!eks.matches(&miss), "{miss}");
        }
        let gke = pattern("https://container.googleapis.com/v1/projects/*/locations/*/clusters/*");
        let project = "https://container.googleapis.com/v1/projects/mattmoor-credit/locations";
        assert!(gke.matches(&format!("{project}/us-west1-b/clusters/tenant-cluster")));
        assert!(!gke.matches(&format!("{project}/us.west1.b/clusters/tenant-cluster")));
        let aks = pattern("https://*.oic.prod-aks.azure.com/*/*/");
        assert!(aks.matches("https://westeurope.oic.prod-aks.azure.com/6a8f1c1e-3b0d/0ca3ddd9/"));
        assert!(!aks.matches("https://westeurope.oic.prod-aks.azure.com/6a8f1c1e-3b0d/0ca3ddd9"));
    }

    #[test]
    fn a_wildcard_takes_as_much_as_the_rest_needs() {
        let text = pattern("https://k.example.com/a*b-*c");
        for hit in ["axb-yc", "abbb-b-cc", "axb-b-c", "acb-ccc"] {
            assert!(text.matches(&format!("https://k.example.com/{hit}")), "{hit}");
        }
        for miss in ["ab-yc", "axb-c", "axb-y", "axby-c", ""] {
            assert!(!text.matches(&format!("https://k.example.com/{miss}")), "{miss}");
        }
    }

    #[test]
    fn refuses_patterns_that_leave_the_host_to_the_token() {
        for wide in [
            "*",
            "https://*",
            "https://*/x",
            "https://*.com/x",
            "https://*.example/id",
            "https://a.*.com/x",
            "https://example.*/x",
            "https://evil*.example/x",
            "https://10.0.0.*/x",
            "https://10.0.0.1/*",
            "https://[::1]/*",
            "https://127.0.0.1/*",
            "https://localhost/*",
            "https://*.example.com:*/x",
            "https://*.example.com:8443*/x",
            "*://k.example.com/x",
            "http*://k.example.com/x",
            "http://k.example.com/*",
            "https://user@k.example.com/*",
            "https://*@k.example.com/",
            "https://k.example.com/?x=*",
            "https://k.example.com/#*",
            "https://k.example.com\\*",
            "https://k.example.com/ *",
            "https://k.example.com/",
            "k.example.com/*",
        ] {
            let error = UrlPattern::parse(wide, false).unwrap_err();
            assert_eq!(error, IssuerConfigError::UrlPattern(wide.to_owned()), "{wide}");
        }
        let long = format!("https://k.example.com/{}*", "a".repeat(MAX_PATTERN_LEN));
        assert!(UrlPattern::parse(&long, false).is_err());
        UrlPattern::parse("http://127.0.0.1:8080/realms/*", true).unwrap();
        assert!(UrlPattern::parse("http://k.example.com/*", true).is_err());
    }
}
