use x509::SubjectAlternativeName;

use super::PrincipalError;
use crate::{
    ClaimError, MachineClients, MachineProvider, VerifiedClaims, issuer::MAX_CLIENT_ID_LEN,
};

/// `<base>/clients/<id>`, when the token is the client's own.
///
/// The attack: a person logs in through client X, whose token then says `azp = X`, and asks for the
/// certificate of machine X. So each provider's mark of a client's own token must be there, and no
/// mark of a person's.
pub(super) fn name(
    verified: &VerifiedClaims,
    machines: &MachineClients,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let token = Token(verified);
    let id = match machines.provider {
        MachineProvider::Keycloak => keycloak(&token)?,
        MachineProvider::Entra => entra(&token)?,
        MachineProvider::Auth0 => auth0(&token)?,
        MachineProvider::Okta => okta(&token)?,
        MachineProvider::Rfc9068 => rfc9068(&token)?,
    };
    if id.len() > MAX_CLIENT_ID_LEN {
        return Err(PrincipalError::TooLong("client id"));
    }
    if !machines.clients.is_empty() && !machines.clients.contains(&id) {
        return Err(PrincipalError::Client);
    }
    Ok(SubjectAlternativeName::Uri(format!("{}/clients/{}", machines.base_url, segment(&id))))
}

/// The notes `client_id` (`clientId` before 23) and the user's reserved name are made at the client's
/// own login. A client without a service account leaves that name to whoever registers it; a person
/// then has a session, and the client's login by default none.
fn keycloak(token: &Token<'_>) -> Result<String, PrincipalError> {
    token.demand("typ", "Bearer")?;
    let id = token.text("azp")?;
    match (token.optional("client_id")?, token.optional("clientId")?) {
        (Some(noted), _) | (None, Some(noted)) if noted == id => {}
        _ => return Err(PrincipalError::NotAMachine("client_id")),
    }
    token.demand("preferred_username", &format!("service-account-{}", id.to_lowercase()))?;
    token.refuse(&["sid", "session_state", "auth_time", "nonce"])?;
    Ok(id)
}

/// An application's own token has its service principal as subject, and no delegated scopes.
/// A public client (`azpacr` 0) has no secret, so that anybody can be it.
fn entra(token: &Token<'_>) -> Result<String, PrincipalError> {
    token.demand("idtyp", "app")?;
    token.demand("sub", &token.text("oid")?)?;
    token.refuse(&["scp", "upn", "preferred_username", "unique_name"])?;
    let id = match token.optional("azp")? {
        Some(id) => id,
        None => token.text("appid")?,
    };
    let authenticated = token.optional("azpacr")?.or(token.optional("appidacr")?);
    if authenticated.is_none_or(|how| how == "0") {
        return Err(PrincipalError::NotAMachine("azpacr"));
    }
    Ok(id)
}

/// Ids of users have a bar, and claims of rules and actions a namespace, but for reserved names.
fn auth0(token: &Token<'_>) -> Result<String, PrincipalError> {
    token.demand("gty", "client-credentials")?;
    let id = token.text("azp")?;
    token.demand("sub", &format!("{id}@clients"))?;
    token.refuse(&["email", "nonce", "auth_time"])?;
    Ok(id)
}

/// A person's token has the login name as subject, and always `uid`.
fn okta(token: &Token<'_>) -> Result<String, PrincipalError> {
    let id = token.text("cid")?;
    token.demand("sub", &id)?;
    token.refuse(&["uid", "auth_time"])?;
    Ok(id)
}

/// RFC 9068 §2.2 and §5; §2.2.1 names the claims that tell of a person's login.
fn rfc9068(token: &Token<'_>) -> Result<String, PrincipalError> {
    let kind = token.0.token_type().map(str::to_ascii_lowercase);
    if !matches!(kind.as_deref(), Some("at+jwt" | "application/at+jwt")) {
        return Err(PrincipalError::NotAMachine("typ"));
    }
    let id = token.text("client_id")?;
    token.demand("sub", &id)?;
    token.refuse(&["auth_time", "acr", "amr", "email", "nonce"])?;
    // Marks of a session, of a person's profile, and of somebody who acts for another (RFC 8693 §4.1).
    token.refuse(&["sid", "session_state", "preferred_username", "act"])?;
    Ok(id)
}

/// The claims, with refusals that say what a client's own token would have.
struct Token<'v>(&'v VerifiedClaims);

impl Token<'_> {
    fn text(&self, name: &'static str) -> Result<String, PrincipalError> {
        self.optional(name)?.ok_or(ClaimError::Missing(name).into())
    }

    fn optional(&self, name: &'static str) -> Result<Option<String>, PrincipalError> {
        Ok(self.0.claims().text(name)?)
    }

    fn demand(&self, name: &'static str, value: &str) -> Result<(), PrincipalError> {
        if self.text(name)? == value { Ok(()) } else { Err(PrincipalError::NotAMachine(name)) }
    }

    /// Refuses claims that only people's tokens have, of whatever type.
    fn refuse(&self, names: &[&'static str]) -> Result<(), PrincipalError> {
        match names.iter().find(|name| self.0.claims().raw(name).is_some()) {
            Some(name) => Err(PrincipalError::NotAMachine(name)),
            None => Ok(()),
        }
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3): one id, one segment.
fn segment(id: &str) -> String {
    let mut segment = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push('%');
            segment.extend([byte >> 4, byte & 15].map(super::uri::hexadecimal_digit));
        }
    }
    segment
}
