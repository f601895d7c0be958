//! The pages: one document each, with nothing from elsewhere and no script, that say the same without
//! their style.

use std::{fmt, sync::LazyLock};

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use wire::{Base64, inert};

use super::{CHOICE, DEVICE};

const STYLE: &str = include_str!("style.css");

/// What is to be chosen, and for whom. All of it is text of others.
pub(super) struct Choice {
    pub(super) client: String,
    /// A sentence without its full stop.
    pub(super) purpose: String,
    /// Where the form may lead to beside here.
    pub(super) form_action: String,
    pub(super) email: Option<String>,
    pub(super) subject: String,
}

/// The forms; `secret` is what they send back.
pub(super) fn choose(choice: &Choice, secret: &str) -> Response {
    let Choice { client, purpose, form_action, email, subject } = choice;
    let (client, purpose, subject) = (text(client), text(purpose), text(subject));
    let email = text(email.as_deref().unwrap_or_default());
    let hidden = format!("<input type=\"hidden\" name=\"page\" value=\"{}\">", text(secret));
    let form = |inner: String| {
        format!("<form method=\"post\" action=\"{CHOICE}\">\n{hidden}\n{inner}\n</form>\n")
    };
    let body = [
        format!(
            "<p><code>{client}</code> asks who you are. {purpose}.</p>\n<p>This is the development \
             identity provider: it believes what you write.</p>\n"
        ),
        form(format!(
            "<label for=\"email\">E-mail address</label>\n<input id=\"email\" name=\"email\" \
             type=\"email\" required maxlength=\"254\" autocomplete=\"email\" value=\"{email}\">\n\
             <button>Be this person</button>"
        )),
        form(format!(
            "<label for=\"subject\">Subject</label>\n<input id=\"subject\" name=\"subject\" \
             required maxlength=\"254\" value=\"{subject}\">\n<button>Be this subject</button>"
        )),
        form("<button name=\"refuse\" value=\"yes\">Refuse</button>".to_owned()),
    ];
    document(StatusCode::OK, "Who are you?", &body.concat(), form_action)
}

/// Asks for the code that a device shows.
pub(super) fn ask_user_code(trouble: Option<&str>) -> Response {
    let trouble = trouble.map(|trouble| format!("<p>{}</p>\n", text(trouble))).unwrap_or_default();
    let body = format!(
        "{trouble}<form method=\"get\" action=\"{DEVICE}\">\n<label for=\"user_code\">Code that your \
         program shows</label>\n<input id=\"user_code\" name=\"user_code\" required maxlength=\"16\" \
         autocomplete=\"off\" autocapitalize=\"characters\">\n<button>Go on</button>\n</form>\n"
    );
    document(StatusCode::OK, "Log in a program", &body, "")
}

/// Shows an authorisation code to who must type it.
pub(super) fn code(code: &str) -> Response {
    let body = format!(
        "<p>Give this code to the program that asked, once and soon:</p>\n<p><code \
         id=\"code\">{}</code></p>\n",
        text(code)
    );
    document(StatusCode::OK, "Your code", &body, "")
}

pub(super) fn done(what: &str) -> Response {
    document(StatusCode::OK, "Done", &format!("<p>{}</p>\n", text(what)), "")
}

/// Says why not. Nobody is sent anywhere.
pub(super) fn refused(why: &impl fmt::Display) -> Response {
    let body = format!("<p>{}.</p>\n", text(&why.to_string()));
    document(StatusCode::BAD_REQUEST, "This does not work", &body, "")
}

fn document(status: StatusCode, title: &str, body: &str, form_action: &str) -> Response {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width\">\n<title>{title} – Countersign \
         development</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         {body}</main>\n</body>\n</html>\n"
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    let policy = format!("{}; form-action 'self' {form_action}", *POLICY);
    // Invariant: an origin is visible ASCII. Without a policy there is no page.
    let Ok(policy) = HeaderValue::from_str(policy.trim_end()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.extend(GUARDS);
    response
}

/// For browsers that know no `frame-ancestors`, and for what a policy does not say. The referrer stays
/// among our own pages: without any, a browser would call their origin `null`.
const GUARDS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = Base64(crypto::sha256(STYLE.as_bytes()).to_vec()).encode();
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// Text of others: as what it is, and never as HTML.
fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in inert::escape(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
