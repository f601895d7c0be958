use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Redirect, Response},
};

use super::{
    Asked, Login,
    error::OAuthError,
    form::Form,
    guard,
    page::{self, Choice},
    pkce::Challenge,
    redirect::RedirectUri,
};

/// A sound authorisation request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).
pub(super) struct Authorization {
    pub(super) client: String,
    pub(super) redirect: RedirectUri,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Challenge,
}

/// `GET /auth`: the page to choose who one is.
pub(super) async fn show(State(login): State<Arc<Login>>, request: Request) -> Response {
    if let Err(refused) = guard::host(&request).and_then(|_| guard::opened(&request)) {
        return page::refused(&refused);
    }
    let form = match Form::of_query(&request) {
        Ok(form) => form,
        Err(error) => return page::refused(&error),
    };
    // Whose request it is and where its answer goes: until both are known, nobody is sent anywhere.
    let (client, redirect) = match addressee(&login, &form) {
        Ok(addressee) => addressee,
        Err(error) => return page::refused(&error),
    };
    let state = form.text("state").map(str::to_owned);
    let challenge = match sound(&form) {
        Ok(challenge) => challenge,
        Err(error) => return answer_error(&redirect, state.as_deref(), error),
    };
    let (to, action) = (redirect.to_string(), redirect.form_action());
    let choice = Choice {
        client: client.clone(),
        purpose: format!("It is told at {to}"),
        form_action: action,
        email: form.text("login_hint").filter(|hint| hint.contains('@')).map(str::to_owned),
        subject: format!("{}/developer", login.base_url),
    };
    let nonce = form.text("nonce").map(str::to_owned);
    let asked = Authorization { client, redirect, state, nonce, challenge };
    let secret = login.waiting().pages.insert(login.clock.now(), Asked::Authorization(asked));
    page::choose(&choice, &secret)
}

fn addressee(login: &Login, form: &Form) -> Result<(String, RedirectUri), OAuthError> {
    let client = login.known_client(form.text("client_id").unwrap_or_default())?;
    let redirect = form.text("redirect_uri").and_then(RedirectUri::parse);
    let redirect = redirect.ok_or(OAuthError::InvalidRequest(
        "redirect_uri must be http on localhost, 127.0.0.1 or [::1], or urn:ietf:wg:oauth:2.0:oob",
    ))?;
    Ok((client, redirect))
}

/// What the client may be told at its redirect URI.
fn sound(form: &Form) -> Result<Challenge, OAuthError> {
    if form.text("request").is_some() || form.text("request_uri").is_some() {
        return Err(OAuthError::RequestNotSupported);
    }
    let in_query = matches!(form.text("response_mode"), None | Some("query"));
    if form.text("response_type") != Some("code") || !in_query {
        return Err(OAuthError::UnsupportedResponseType);
    }
    let scope = form.text("scope").unwrap_or_default();
    if !scope.split(' ').any(|one| one == "openid") {
        return Err(OAuthError::InvalidScope);
    }
    if form.text("prompt").is_some_and(|prompt| prompt.split(' ').any(|one| one == "none")) {
        return Err(OAuthError::LoginRequired);
    }
    // Without it, whoever else is on this machine could catch the code (RFC 8252 §8.1).
    Challenge::of(form)?.ok_or(OAuthError::InvalidRequest("code_challenge is missing: PKCE, S256"))
}

/// RFC 6749 §4.1.2.1.
pub(super) fn answer_error(
    redirect: &RedirectUri,
    state: Option<&str>,
    error: OAuthError,
) -> Response {
    let description = error.to_string();
    let parameters = [
        ("error", Some(error.code())),
        ("error_description", Some(description.as_str())),
        ("state", state),
    ];
    match redirect.with(&parameters) {
        Some(location) => Redirect::to(&location).into_response(),
        None => page::refused(&error),
    }
}
