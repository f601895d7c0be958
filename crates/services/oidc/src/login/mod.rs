//! Logging in over HTTP as whoever one chooses: the authorisation code flow with PKCE (OpenID Connect
//! Core §3.1, RFC 7636) and the device flow (RFC 8628), for clients that ask people.
//!
//! Whoever reaches the page is anybody, so that it is for this machine alone: `dev` has it only while
//! it listens on loopback, `serve` only when told to. A page of the web that a developer visits reaches
//! the port too. It is kept out by what a browser says of it: the host must be a loopback one (a name
//! that was rebound is not), orders must come from a page of ours (`Origin`, and a form's one-time
//! secret), programs have no origin at all, and codes go to loopback addresses.
//!
//! Everything is in memory, bounded, short-lived and good once: a restart forgets it.

mod authorize;
mod choose;
mod device;
mod error;
mod form;
mod guard;
mod page;
mod pkce;
mod redirect;
mod store;
mod token;

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    routing::{get, post},
};
use serde_json::{Value, json};
use signing::{Clock, CpuPool};

pub(super) use self::form::MAX_BODY_LEN;
use self::{
    authorize::Authorization, device::Device, error::OAuthError, pkce::Challenge,
    redirect::RedirectUri, store::Bounded,
};
use super::Minter;

/// Time to fill in the page, and to type the code of a device: long enough to be called away.
const PATIENCE: Duration = Duration::from_mins(10);

/// From the redirect to the client's request: a moment, as nobody types it, or somebody does, once.
const CODE_LIFETIME: Duration = Duration::from_mins(2);

/// Pages, codes and devices that wait at a time, each kind; beyond, the oldest is forgotten. One person
/// has a few, and each takes at most some KiB.
const MAX_WAITING: usize = 256;

/// As long as `countersignd token` makes them.
const TOKEN_LIFETIME_S: i64 = 600;

/// What people log in to.
pub struct Login {
    base_url: String,
    /// The clients that there are, each of which is the audience of its tokens.
    clients: Vec<String>,
    minter: Arc<Minter>,
    cpu: CpuPool,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
}

/// Everything that waits for somebody.
struct Waiting {
    /// Pages that were shown, by the secret in their form.
    pages: Bounded<Asked>,
    /// By authorisation code.
    codes: Bounded<Grant>,
    /// By device code.
    devices: Bounded<Device>,
}

/// What a page was shown for.
enum Asked {
    /// A browser that came from a client.
    Authorization(Authorization),
    /// A device whose user code was typed.
    Device { user_code: String },
}

/// What an authorisation code stands for.
struct Grant {
    client: String,
    redirect: RedirectUri,
    challenge: Challenge,
    nonce: Option<String>,
    who: Who,
}

/// Who somebody says to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Email(String),
    Subject(String),
}

impl Login {
    /// A login at `base_url` for `clients`, whose tokens `minter` signs.
    #[must_use]
    pub fn new(
        base_url: &str,
        clients: Vec<String>,
        minter: Minter,
        (cpu, clock): (CpuPool, Arc<dyn Clock>),
    ) -> Self {
        let waiting = Waiting {
            pages: Bounded::new(MAX_WAITING, PATIENCE),
            codes: Bounded::new(MAX_WAITING, CODE_LIFETIME),
            // Remembered for longer than they are good, to say that they are not any more.
            devices: Bounded::new(MAX_WAITING, PATIENCE * 2),
        };
        let (base_url, minter) = (base_url.to_owned(), Arc::new(minter));
        Self { base_url, clients, minter, cpu, clock, waiting: Mutex::new(waiting) }
    }

    /// What the discovery document says of it (OpenID Connect Discovery §3, RFC 8414 §2).
    pub(super) fn discovery(&self) -> Value {
        let base = &self.base_url;
        json!({
            "authorization_endpoint": format!("{base}{AUTHORIZATION}"),
            "token_endpoint": format!("{base}{TOKEN}"),
            "device_authorization_endpoint": format!("{base}{DEVICE_AUTHORIZATION}"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", token::DEVICE_GRANT],
            "code_challenge_methods_supported": [pkce::METHOD],
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "client_secret_post"],
            "request_uri_parameter_supported": false,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds it can leave it half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_client(&self, id: &str) -> Result<String, OAuthError> {
        let known = self.clients.iter().find(|client| *client == id);
        known.cloned().ok_or(OAuthError::InvalidClient)
    }
}

/// The names that Dex has too, which clients without discovery are written for.
const AUTHORIZATION: &str = "/auth";
const TOKEN: &str = "/token";
const DEVICE_AUTHORIZATION: &str = "/device/code";
/// Where people type the code of a device.
const DEVICE: &str = "/device";
/// Where the page's forms go.
const CHOICE: &str = "/login";

/// The routes of `login`.
pub(super) fn router(login: Arc<Login>) -> Router {
    Router::new()
        .route(AUTHORIZATION, get(authorize::show))
        .route(CHOICE, post(choose::chosen))
        .route(DEVICE, get(device::show))
        .route(DEVICE_AUTHORIZATION, post(device::begin))
        .route(TOKEN, post(token::give))
        .with_state(login)
}
