//! Where the keys of an issuer come from.

use std::path::{Path, PathBuf};

use url::Url;

use super::check_transport;
use crate::IssuerConfigError;

/// Most hosts on which one issuer's discovery may place its keys.
const MAX_JWKS_HOSTS: usize = 16;

/// Where the keys of an issuer come from, beside its own discovery document.
///
/// Two entries of one issuer are told apart by it: whose key signed a token decides whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyLocation {
    pub(super) discovery_url: Option<Url>,
    pub(super) jwks_uri: Option<Url>,
    pub(super) jwks_hosts: Vec<String>,
    pub(super) keys_file: Option<PathBuf>,
    pub(super) tls_roots_file: Option<PathBuf>,
    pub(super) bearer_token_file: Option<PathBuf>,
}

impl KeyLocation {
    /// Where the discovery document is, when it is not below the issuer's URL. Its `issuer` is
    /// that URL all the same.
    #[must_use]
    pub fn discovery_url(&self) -> Option<&Url> {
        self.discovery_url.as_ref()
    }

    /// Where the JWK Set is, when discovery is not to be asked.
    #[must_use]
    pub fn jwks_uri(&self) -> Option<&Url> {
        self.jwks_uri.as_ref()
    }

    /// Whether discovery may place the keys at `url`, which is not of the document's own origin:
    /// an `https` URL on a host that is listed, with the port that is listed (443 without one).
    #[must_use]
    pub fn lists_host_of(&self, url: &Url) -> bool {
        let listed =
            |host: &String| parse_host(host).is_some_and(|listed| listed.origin() == url.origin());
        url.scheme() == "https" && self.jwks_hosts.iter().any(listed)
    }

    /// Holds the keys; nobody is asked then.
    #[must_use]
    pub fn keys_file(&self) -> Option<&Path> {
        self.keys_file.as_deref()
    }

    /// Holds the only roots of TLS that count for this issuer, PEM.
    #[must_use]
    pub fn tls_roots_file(&self) -> Option<&Path> {
        self.tls_roots_file.as_deref()
    }

    /// Holds what is sent as `Authorization: Bearer` with each question.
    #[must_use]
    pub fn bearer_token_file(&self) -> Option<&Path> {
        self.bearer_token_file.as_deref()
    }

    /// Whether one set of keys serves whatever the issuer's URL is.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.jwks_uri.is_some() || self.keys_file.is_some()
    }

    pub(super) fn check(
        &self,
        is_pattern: bool,
        allow_loopback_http: bool,
    ) -> Result<(), IssuerConfigError> {
        for url in [&self.discovery_url, &self.jwks_uri].into_iter().flatten() {
            check_transport(url, allow_loopback_http)?;
        }
        self.refuse_contradictions()?;
        if is_pattern && self.discovery_url.is_some() {
            return Err(setting("discovery_url", "one document, with `url_pattern`"));
        }
        // Whoever can have an issuer of that form would be told the token.
        if is_pattern && self.bearer_token_file.is_some() && self.jwks_uri.is_none() {
            return Err(setting("bearer_token_file", "sent to every host of `url_pattern`"));
        }
        let hosts = &self.jwks_hosts;
        let odd = hosts.iter().find(|host| parse_host(host).is_none());
        if let Some(host) = odd.or(hosts.get(MAX_JWKS_HOSTS)) {
            return Err(setting("jwks_hosts", host));
        }
        for (name, file) in [
            ("keys_file", &self.keys_file),
            ("tls_roots_file", &self.tls_roots_file),
            ("bearer_token_file", &self.bearer_token_file),
        ] {
            // Services start in directories of their own.
            if let Some(path) = file.as_deref().filter(|path| !path.is_absolute()) {
                return Err(setting(name, &path.display().to_string()));
            }
        }
        Ok(())
    }

    /// Settings of which one would have no effect beside the other.
    fn refuse_contradictions(&self) -> Result<(), IssuerConfigError> {
        let asks = [
            ("jwks_uri", self.jwks_uri.is_some()),
            ("discovery_url", self.discovery_url.is_some()),
            ("jwks_hosts", !self.jwks_hosts.is_empty()),
            ("tls_roots_file", self.tls_roots_file.is_some()),
            ("bearer_token_file", self.bearer_token_file.is_some()),
        ];
        let (beside, asks) = match (&self.keys_file, &self.jwks_uri) {
            (Some(_), _) => ("keys_file", asks.as_slice()),
            (None, Some(_)) => ("jwks_uri", &asks[1..3]),
            (None, None) => return Ok(()),
        };
        match asks.iter().find(|(_, present)| *present) {
            None => Ok(()),
            Some((unused, _)) => Err(IssuerConfigError::NoEffect { setting: unused, beside }),
        }
    }
}

/// `https` and what is listed; `None` unless that is a host, and perhaps a port.
fn parse_host(host: &str) -> Option<Url> {
    let sound = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte));
    let url = Url::parse(&format!("https://{host}/")).ok()?;
    (sound && url.has_host()).then_some(url)
}

fn setting(setting: &'static str, value: &str) -> IssuerConfigError {
    IssuerConfigError::Setting { setting, value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::IssuerConfig;

    fn issuer(changes: &serde_json::Value) -> Result<IssuerConfig, String> {
        let mut settings = json!({"audiences": ["sigstore"], "type": "kubernetes"});
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(settings).map_err(|error| error.to_string())
    }

    const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

    #[test]
    fn a_default_cluster_can_be_described() {
        let cluster = issuer(&json!({
            "url": CLUSTER, "discovery_url": "https://10.0.0.7:6443/.well-known/openid-configuration",
            "jwks_hosts": ["172.18.0.2:6443", "[fd00::2]:6443", "www.googleapis.com"],
            "tls_roots_file": "/etc/k/ca.crt", "bearer_token_file": "/etc/k/token"
        }))
        .unwrap();
        let listed = |url: &str| cluster.keys().lists_host_of(&url.parse().unwrap());
        for url in [
            "https://172.18.0.2:6443/openid/v1/jwks",
            "https://[fd00::2]:6443/openid/v1/jwks",
            "https://www.googleapis.com/oauth2/v3/certs",
        ] {
            assert!(listed(url), "{url}");
        }
        for url in [
            "https://172.18.0.2/openid/v1/jwks",
            "http://172.18.0.2:6443/openid/v1/jwks",
            "https://www.googleapis.com:444/",
            "https://www.googleapis.com.evil.example/",
            "https://evil.example/www.googleapis.com",
        ] {
            assert!(!listed(url), "{url}");
        }
    }

    #[test]
    fn refuses_settings_without_effect_and_values_that_cannot_be() {
        for (changes, what) in [
            (json!({"keys_file": "/k", "jwks_uri": "https://k.corp/"}), "has no effect beside"),
            (json!({"keys_file": "/k", "discovery_url": "https://k.corp/"}), "no effect"),
            (json!({"keys_file": "/k", "jwks_hosts": ["k.corp"]}), "no effect"),
            (json!({"keys_file": "/k", "tls_roots_file": "/r"}), "no effect"),
            (json!({"keys_file": "/k", "bearer_token_file": "/b"}), "no effect"),
            (json!({"jwks_uri": "https://k/", "discovery_url": "https://k/"}), "no effect"),
            (json!({"jwks_uri": "https://k/", "jwks_hosts": ["k.corp"]}), "no effect"),
            (json!({"keys_file": "k"}), "keys_file"),
            (json!({"tls_roots_file": "../k"}), "tls_roots_file"),
            (json!({"bearer_token_file": "k"}), "bearer_token_file"),
            (json!({"discovery_url": "http://k.corp/"}), "http only on a loopback host"),
            (json!({"discovery_url": "https://u:p@k.corp/"}), "without user"),
            (json!({"jwks_hosts": ["https://k.corp"]}), "jwks_hosts"),
            (json!({"jwks_hosts": ["k.corp/x"]}), "jwks_hosts"),
            (json!({"jwks_hosts": ["u@k.corp"]}), "jwks_hosts"),
            (json!({"jwks_hosts": ["*.corp"]}), "jwks_hosts"),
            (json!({"jwks_hosts": [""]}), "jwks_hosts"),
            (json!({"jwks_hosts": vec!["k.corp"; 17]}), "jwks_hosts"),
        ] {
            let mut with_url = json!({"url": CLUSTER});
            with_url.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            let error = issuer(&with_url).unwrap_err();
            assert!(error.contains(what), "{changes}: {error}");
        }
    }

    #[test]
    fn patterns_take_the_place_of_the_url_and_never_leak_a_token() {
        let eks = "https://oidc.eks.*.amazonaws.com/id/*";
        let pattern = |mut settings: serde_json::Value| {
            settings["url_pattern"] = eks.into();
            settings["open_to_all"] = true.into();
            settings
        };
        let found = issuer(&pattern(json!({"tls_roots_file": "/r"}))).unwrap();
        assert!(found.is_pattern() && found.url() == eks);
        assert!(
            found.is_of("https://oidc.eks.eu-central-1.amazonaws.com/id/AB") && !found.is_of(eks)
        );
        for (changes, what) in [
            (json!({}), "`url` or `url_pattern`"),
            (json!({"url": CLUSTER, "url_pattern": eks}), "`url` or `url_pattern`"),
            (pattern(json!({"discovery_url": "https://k.corp/"})), "discovery_url"),
            (pattern(json!({"bearer_token_file": "/b"})), "bearer_token_file"),
            (pattern(json!({"cluster": "prod"})), "no use for `cluster`"),
            (
                json!({
                    "url_pattern": "https://gitlab.*.acme.example", "type": "gitlab-pipeline",
                    "open_to_all": true
                }),
                "base URL",
            ),
            (
                json!({
                    "url_pattern": "https://*.acme.example/oidc", "type": "jenkins-job",
                    "open_to_all": true
                }),
                "base URL",
            ),
        ] {
            let error = issuer(&changes).unwrap_err();
            assert!(error.contains(what), "{changes}: {error}");
        }
        let error = issuer(&json!({"url": "https://k.corp/*"})).unwrap_err();
        assert!(error.contains("`url_pattern`"), "{error}");
    }
}
