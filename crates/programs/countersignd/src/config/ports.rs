//! URLs of this machine whose port nobody listens on.

use super::{BaseUrl, Config, section::Section};

/// Warns of services that clients are sent to at another port of this machine than they listen on: most
/// likely one of the two was changed alone. Something in between, as containers have, can be meant.
pub(super) fn check(section: &Section<'_>, config: &Config) {
    let mut services: Vec<(&str, &BaseUrl, u16)> = vec![
        ("[ca.<name>]", &config.ca.url, config.ca.port),
        ("[log.<name>] of kind `ct`", &config.ct.url, config.ct.port),
        ("[log.<name>] of kind `rekor1`", &config.rekor1.url, config.rekor1.port),
        ("[log.<name>] of kind `rekor2`", &config.rekor2.url, config.rekor2.port),
        ("[tsa.<name>]", &config.tsa.url, config.tsa.port),
        ("[trust.<name>]", &config.trust.url, config.trust.port),
    ];
    services.extend(config.oidc_dev.as_ref().map(|oidc| ("[oidc-dev]", &oidc.url, oidc.port)));
    for (table, url, port) in services {
        if url.plain_port().is_some_and(|of_url| of_url != port) {
            section.warn_at(
                table,
                format!(
                    "`url` is `{url}`, and it listens on port {port}: set `port`, or the URL's"
                ),
            );
        }
    }
}
