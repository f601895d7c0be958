//! Machines of people's identity providers: clients that log in as themselves (RFC 6749 §4.4).

use serde::Deserialize;
use url::Url;

use super::{IssuerConfigError, kind::check_base_url};

/// Longest list of clients.
const MAX_LISTED: usize = 4096;

/// Longest id of a client, in bytes: Keycloak's are texts of up to 255 characters.
pub(crate) const MAX_CLIENT_ID_LEN: usize = 255;

/// Whose tokens are told apart by what: a token that a person got *through* a client names the same
/// client, and every provider says otherwise which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineProvider {
    /// `client_id` (or `clientId`), and the user `service-account-<client>`.
    Keycloak,
    /// `idtyp` is `app`, an optional claim that the application must ask for.
    Entra,
    /// `gty` is `client-credentials`, and the subject `<client>@clients`.
    Auth0,
    /// `cid` is the subject, and there is no `uid`.
    Okta,
    /// RFC 9068: a token `at+jwt` whose subject is its `client_id`, without `auth_time`.
    Rfc9068,
}

/// The clients of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineClients {
    /// How machines are told from people.
    pub provider: MachineProvider,
    /// What names begin with: `<base_url>/clients/<id>`.
    pub base_url: String,
    /// When not empty, ids of which the client's must be one.
    pub clients: Vec<String>,
}

impl MachineClients {
    pub(super) fn check(&self) -> Result<(), IssuerConfigError> {
        check_base_url(&self.base_url)?;
        // Told from a pattern of issuers, of which each would have another.
        let one = !self.base_url.contains('*');
        let secure = one
            && Url::parse(&self.base_url).is_ok_and(|url| {
                url.scheme() == "https"
                    || (url.scheme() == "http"
                        && url.host_str().is_some_and(wire::host::is_loopback))
            });
        if !secure {
            return Err(IssuerConfigError::BaseUrl(self.base_url.clone()));
        }
        let wrong = |value: &str| IssuerConfigError::Setting {
            setting: "clients",
            value: value.to_owned(),
        };
        if self.clients.len() > MAX_LISTED {
            return Err(wrong("thousands"));
        }
        match self.clients.iter().find(|id| !(1..=MAX_CLIENT_ID_LEN).contains(&id.len())) {
            Some(odd) => Err(wrong(odd)),
            None => Ok(()),
        }
    }
}
