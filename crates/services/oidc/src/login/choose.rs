use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Redirect, Response},
};
use tracing::info;

use super::{
    Asked, Grant, Login, Who,
    authorize::{Authorization, answer_error},
    error::OAuthError,
    form::Form,
    guard, page,
};

/// Longest address or subject: that of an e-mail (RFC 5321 §4.5.3.1.3), and of what is below an issuer.
const MAX_NAME_LEN: usize = 254;

/// `POST /login`: what the form of a page of ours says.
pub(super) async fn chosen(State(login): State<Arc<Login>>, request: Request) -> Response {
    let checked = guard::host(&request).and_then(|host| guard::own_page(&request, &host));
    if let Err(refused) = checked {
        return page::refused(&refused);
    }
    let form = match Form::of_body(request).await {
        Ok(form) => form,
        Err(error) => return page::refused(&error),
    };
    let refuses = form.text("refuse").is_some();
    let who = if refuses { None } else { Who::of(&form) };
    if who.is_none() && !refuses {
        // Before the secret is used up: going back and writing it right is all that is needed.
        return page::refused(&OAuthError::InvalidRequest(
            "write an e-mail address or a subject, and not both",
        ));
    }
    let now = login.clock.now();
    let asked = login.waiting().pages.take(now, form.text("page").unwrap_or_default());
    match asked {
        None => page::refused(&OAuthError::InvalidRequest(
            "this page was used already, or waited for too long: begin again",
        )),
        Some(Asked::Authorization(asked)) => authorize(&login, asked, who),
        Some(Asked::Device { user_code }) => login.settle_device(&user_code, who),
    }
}

/// Sends the code to where it is waited for (RFC 6749 §4.1.2).
fn authorize(login: &Login, asked: Authorization, who: Option<Who>) -> Response {
    let Authorization { client, redirect, state, nonce, challenge } = asked;
    let Some(who) = who else {
        return answer_error(&redirect, state.as_deref(), OAuthError::AccessDenied);
    };
    info!(oidc.client_id = client, oidc.subject = who.text(), "somebody logged in");
    let grant = Grant { client, redirect: redirect.clone(), challenge, nonce, who };
    let code = login.waiting().codes.insert(login.clock.now(), grant);
    match redirect.with(&[("code", Some(code.as_str())), ("state", state.as_deref())]) {
        Some(location) => Redirect::to(&location).into_response(),
        None => page::code(&code),
    }
}

impl Who {
    /// Exactly one name, which holds nothing that is not seen.
    fn of(form: &Form) -> Option<Self> {
        let sound = |text: &str| {
            text.len() <= MAX_NAME_LEN
                && !text.contains(char::is_whitespace)
                && wire::name::check_text(text).is_ok()
        };
        let name = |parameter| form.text(parameter).map(str::trim).filter(|text| !text.is_empty());
        match (name("email"), name("subject")) {
            (Some(email), None) if sound(email) && is_address(email) => {
                Some(Self::Email(email.to_owned()))
            }
            (None, Some(subject)) if sound(subject) => Some(Self::Subject(subject.to_owned())),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Email(text) | Self::Subject(text) => text,
        }
    }
}

/// What the CA looks at is finer; this is for who mistypes.
fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
}
