use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};
use moment::{UnixMillis, UnixSeconds};
use serde_json::{Value, json};
use tracing::info;

use super::{
    Asked, DEVICE, Login, PATIENCE, Who,
    error::OAuthError,
    form::Form,
    guard,
    page::{self, Choice},
    pkce::Challenge,
    token,
};

/// The time between two questions of a device (RFC 8628 §3.2).
const INTERVAL: Duration = Duration::from_secs(2);

/// How much longer a device has to wait that asks too soon (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// No vowels, so that no words come out (RFC 8628 §6.1): 20^8 codes of eight letters.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A device that waits for somebody to type its code.
pub(super) struct Device {
    client: String,
    challenge: Option<Challenge>,
    user_code: String,
    until: UnixSeconds,
    interval: Duration,
    /// Not before.
    next_question: UnixMillis,
    outcome: Outcome,
}

enum Outcome {
    Pending,
    Refused,
    Granted(Who),
}

/// `POST /device/code`, RFC 8628 §3.1.
pub(super) async fn begin(State(login): State<Arc<Login>>, request: Request) -> Response {
    match login.begin(request).await {
        Ok(answer) => (NO_STORE, Json(answer)).into_response(),
        Err(error) => error.into_response(),
    }
}

const NO_STORE: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// `GET /device`: asks for the code, then who one is.
pub(super) async fn show(State(login): State<Arc<Login>>, request: Request) -> Response {
    if let Err(refused) = guard::host(&request).and_then(|_| guard::opened(&request)) {
        return page::refused(&refused);
    }
    let typed = match Form::of_query(&request) {
        Ok(form) => form.text("user_code").map(canonical),
        Err(error) => return page::refused(&error),
    };
    let Some(typed) = typed else { return page::ask_user_code(None) };
    let now = login.clock.now();
    let mut waiting = login.waiting();
    let mut devices = waiting.devices.values(now);
    let device = devices.find(|device| device.user_code == typed && device.is_pending(now));
    let Some(client) = device.map(|device| device.client.clone()) else {
        return page::ask_user_code(Some("No device waits with this code, or not any more."));
    };
    drop(devices);
    let choice = Choice {
        client,
        purpose: format!("Go on only if your program shows the code {typed}"),
        form_action: String::new(),
        email: None,
        subject: format!("{}/developer", login.base_url),
    };
    let secret = waiting.pages.insert(now, Asked::Device { user_code: typed });
    page::choose(&choice, &secret)
}

impl Login {
    async fn begin(&self, request: Request) -> Result<Value, OAuthError> {
        token::check_program(&request)?;
        let headers = request.headers().clone();
        let form = Form::of_body(request).await?;
        let client = self.client(&headers, &form)?.ok_or(OAuthError::InvalidClient)?;
        let scope = form.text("scope").unwrap_or_default();
        if !scope.split(' ').any(|one| one == "openid") {
            return Err(OAuthError::InvalidScope);
        }
        let challenge = Challenge::of(&form)?;
        let (now, user_code) = (self.clock.now(), user_code());
        let device = Device {
            client,
            challenge,
            user_code: user_code.clone(),
            until: now.saturating_add(PATIENCE),
            interval: INTERVAL,
            next_question: UnixMillis(0),
            outcome: Outcome::Pending,
        };
        let device_code = self.waiting().devices.insert(now, device);
        let page = format!("{}{DEVICE}", self.base_url);
        Ok(json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": PATIENCE.as_secs(),
            "interval": INTERVAL.as_secs(),
        }))
    }

    /// What somebody said of the device with this code.
    pub(super) fn settle_device(&self, user_code: &str, who: Option<Who>) -> Response {
        let now = self.clock.now();
        let mut waiting = self.waiting();
        let mut devices = waiting.devices.values(now);
        let device = devices.find(|device| device.user_code == user_code && device.is_pending(now));
        let Some(device) = device else {
            return page::refused(&OAuthError::ExpiredToken);
        };
        match who {
            None => {
                device.outcome = Outcome::Refused;
                page::done("Refused. Your program is told so.")
            }
            Some(who) => {
                info!(
                    oidc.client_id = device.client,
                    oidc.subject = who.text(),
                    "somebody logged in"
                );
                device.outcome = Outcome::Granted(who);
                page::done("Logged in. Your program goes on in a moment; close this page.")
            }
        }
    }

    /// RFC 8628 §3.4 and §3.5: the client and who was chosen, once.
    pub(super) fn poll(
        &self,
        client: Option<&str>,
        form: &Form,
    ) -> Result<(String, Who), OAuthError> {
        const UNKNOWN: OAuthError = OAuthError::InvalidGrant("no such device code, or it was used");
        let device_code = form.text("device_code").unwrap_or_default();
        let (now, now_ms) = (self.clock.now(), self.clock.now_ms());
        let mut waiting = self.waiting();
        let device = waiting.devices.find(now, device_code).ok_or(UNKNOWN)?;
        let is_clients = client == Some(&device.client);
        let is_its = device.challenge.as_ref().is_none_or(|challenge| challenge.is_met_by(form));
        if !is_clients || !is_its {
            return Err(OAuthError::InvalidGrant(
                "the device code is of another client or verifier",
            ));
        }
        if now >= device.until {
            return Err(OAuthError::ExpiredToken);
        }
        let too_soon = now_ms < device.next_question;
        device.interval += if too_soon { SLOW_DOWN } else { Duration::ZERO };
        // Half of it: a network makes two questions come closer together than they were sent.
        device.next_question = now_ms.saturating_add(device.interval / 2);
        match device.outcome {
            _ if too_soon => Err(OAuthError::SlowDown),
            Outcome::Pending => Err(OAuthError::AuthorizationPending),
            Outcome::Refused | Outcome::Granted(_) => {
                let device = waiting.devices.take(now, device_code).ok_or(UNKNOWN)?;
                match device.outcome {
                    Outcome::Granted(who) => Ok((device.client, who)),
                    _ => Err(OAuthError::AccessDenied),
                }
            }
        }
    }
}

impl Device {
    fn is_pending(&self, now: UnixSeconds) -> bool {
        now < self.until && matches!(self.outcome, Outcome::Pending)
    }
}

/// Eight letters with a dash in the middle; a byte above the last whole round of the alphabet is thrown
/// away, so that every letter is as likely.
fn user_code() -> String {
    const UNBIASED: u8 = 240;
    let random = std::iter::repeat_with(crypto::random_bytes::<1>).flatten();
    let letters = random.filter(|byte| *byte < UNBIASED).filter_map(|byte| {
        LETTERS.get(usize::from(byte) % LETTERS.len()).map(|letter| char::from(*letter))
    });
    let code: String = letters.take(8).collect();
    canonical(&code)
}

/// As it is shown, however it was typed.
fn canonical(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphanumeric).take(16);
    let letters: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    match letters.split_at_checked(4) {
        Some((first, second)) if !second.is_empty() => format!("{first}-{second}"),
        _ => letters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_however_they_are_typed() {
        let code = user_code();
        assert_eq!(code.len(), 9);
        assert!(code.bytes().all(|byte| byte == b'-' || LETTERS.contains(&byte)), "{code}");
        for typed in [code.to_lowercase(), code.replace('-', ""), format!(" {code} ")] {
            assert_eq!(canonical(&typed), code);
        }
        assert_ne!(user_code(), code);
    }
}
