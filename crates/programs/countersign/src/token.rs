use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Client, redirect::Policy};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    Failure, World,
    cli::{SignerArgs, TokenSource},
    files::{self, MAX_SMALL_FILE},
    services::{IdentityToken, PrivateUrl, ServiceUrl, ServiceUrlError, is_loopback},
};

/// Longest wait for the CI's token service, which is on the runner or close to it.
const TOKEN_SERVICE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer of it, in bytes.
const MAX_TOKEN_ANSWER: usize = 128 * 1024;

/// Tries; the service is asked by every job that starts, and sometimes is busy.
const TRIES: u32 = 3;

/// Wait before the second try; doubled before the third.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// A token for the CA, and what it says; unverified.
pub(crate) struct Token {
    pub(crate) identity: IdentityToken,
    claims: Map<String, Value>,
}

impl Token {
    /// Reads a token.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let identity = IdentityToken::parse(text)?;
        Ok(Self { identity, claims: claims_of(text).unwrap_or_default() })
    }

    /// The token's claims.
    pub(crate) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// URL of the forge whose CI the token is of.
    pub(crate) fn server_url(&self, world: &World) -> String {
        let issuer = self.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        match issuer.strip_suffix("/_services/token") {
            Some(enterprise) => enterprise.to_owned(),
            None => world.variable("GITHUB_SERVER_URL").unwrap_or("https://github.com").to_owned(),
        }
    }
}

impl fmt::Debug for Token {
    /// Shows nothing of it: whoever holds it can sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The payload of a JWT (RFC 7519 §3), which [`IdentityToken::parse`] has found to be one.
fn claims_of(text: &str) -> Option<Map<String, Value>> {
    let payload = text.trim().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    wire::json::from_slice(&payload).ok()
}

/// Gets a token: the one that was given, else the CI's, to the audience that `audience` gives where no
/// option does.
pub(crate) async fn obtain(
    args: &SignerArgs,
    audience: impl FnOnce() -> Result<String, Failure>,
    world: &World,
) -> Result<Token, Failure> {
    if let Some(source) = args.token_source() {
        return read(source, "identity token", world);
    }
    let audience = args.oidc_audience.clone().map_or_else(audience, Ok)?;
    from_github(&audience, world).await
}

/// Gets the token for the log, if an option or a variable says that there is one.
pub(crate) async fn obtain_for_log(
    args: &SignerArgs,
    world: &World,
) -> Result<Option<Token>, Failure> {
    let source = args.log_token_source();
    let both = [source.clone(), args.token_source()];
    if both.iter().all(|source| matches!(source, Some(TokenSource::StandardInput))) {
        return Err(
            Failure::usage("standard input cannot be both tokens").advise("give one as @FILE")
        );
    }
    Ok(match (source, &args.log_audience) {
        (Some(source), None) => Some(read(source, "token for the log", world)?),
        (_, Some(audience)) => Some(from_github(audience, world).await?),
        (None, None) => None,
    })
}

fn read(source: TokenSource, what: &'static str, world: &World) -> Result<Token, Failure> {
    match source {
        TokenSource::Token(text) => Token::parse(&text),
        TokenSource::File(path) => Token::parse(&files::read_text(&path, what)?),
        TokenSource::StandardInput => {
            let text = (world.stdin)(MAX_SMALL_FILE).map_err(|error| {
                Failure::usage(format!("standard input cannot be read: {error}"))
            })?;
            Token::parse(&String::from_utf8_lossy(&text))
        }
    }
}

async fn from_github(audience: &str, world: &World) -> Result<Token, Failure> {
    let url = world.variable("ACTIONS_ID_TOKEN_REQUEST_URL");
    let bearer = world.variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    let (Some(url), Some(bearer)) = (url, bearer) else {
        return Err(Failure::usage("there is no identity token to sign with").advise(
            "give --identity-token, set SIGSTORE_ID_TOKEN, or on GitHub Actions grant `id-token: write`",
        ));
    };
    let mut url = token_service_url(url).map_err(|error| {
        Failure::usage(format!("ACTIONS_ID_TOKEN_REQUEST_URL cannot be used: {error}"))
    })?;
    url.query_pairs_mut().append_pair("audience", audience);
    let client =
        client_for(&url).map_err(|error| Failure::usage(format!("cannot set up HTTP: {error}")))?;
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match ask(&client, &url, bearer).await {
            Err(failure) if failure.exit() == crate::Exit::Unavailable => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            outcome => return outcome,
        }
    }
    ask(&client, &url, bearer).await
}

/// The service is sent a token, and gives one.
fn token_service_url(text: &str) -> Result<Url, ServiceUrlError> {
    let url = PrivateUrl::try_from(ServiceUrl::parse(text)?)?;
    Ok(ServiceUrl::from(url).verbatim())
}

/// Redirects would carry the token elsewhere, and so would a proxy that is set for plain HTTP.
fn client_for(url: &Url) -> reqwest::Result<Client> {
    let builder = Client::builder().timeout(TOKEN_SERVICE_TIMEOUT).redirect(Policy::none());
    if is_loopback(url) { builder.no_proxy().build() } else { builder.build() }
}

/// One request. No error shows the URL, whose query belongs to the job alone.
async fn ask(client: &Client, url: &Url, bearer: &str) -> Result<Token, Failure> {
    #[derive(serde::Deserialize)]
    struct Answer {
        value: String,
    }
    let unavailable = |what: String| {
        Failure::unavailable(format!("GitHub's token service {what}")).advise("try again later")
    };
    let broken =
        |error: reqwest::Error| unavailable(format!("is not available: {}", error.without_url()));
    let mut response = client.get(url.clone()).bearer_auth(bearer).send().await.map_err(broken)?;
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(unavailable(format!("answered {}", status.as_u16())));
    }
    if !status.is_success() {
        let message = format!("GitHub's token service refused: it answered {}", status.as_u16());
        return Err(Failure::refused(message).advise("grant the job `id-token: write`"));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_TOKEN_ANSWER {
            return Err(unavailable("answered too much".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    let answer: Answer = wire::json::from_slice(&body)
        .map_err(|_| unavailable("answered something else than a token".to_owned()))?;
    Token::parse(&answer.value)
}

#[cfg(test)]
mod tests {
    use moment::UnixSeconds;
    use serde_json::json;

    use super::*;

    fn world(variables: &[(&str, &str)]) -> World {
        World {
            clock: || UnixSeconds(0),
            stdin: |_| Ok(Vec::new()),
            variables: variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            trust_directory: None,
            on_terminal: false,
        }
    }

    fn token(claims: &Value) -> Token {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        Token::parse(&format!("{}.{}.{}\n", part("{}"), part(&claims.to_string()), part("s")))
            .unwrap()
    }

    #[test]
    fn takes_the_forge_from_an_enterprise_issuer_and_else_from_the_environment() {
        let enterprise = token(&json!({"sub": "s", "iss": "https://ghes.example/_services/token"}));
        assert_eq!(enterprise.server_url(&world(&[])), "https://ghes.example");
        let public = token(&json!({"sub": "s", "iss": "http://localhost:3006/github"}));
        assert_eq!(public.server_url(&world(&[])), "https://github.com");
        let variables = world(&[("GITHUB_SERVER_URL", "https://forge.example")]);
        assert_eq!(public.server_url(&variables), "https://forge.example");
    }

    #[test]
    fn asks_for_a_token_by_tls_or_on_this_machine_only() {
        for url in ["https://token.example/x?api-version=2", "http://127.0.0.1:9/x"] {
            assert_eq!(token_service_url(url).unwrap().as_str(), url);
        }
        for url in ["http://token.example/x?secret", "http://u:secret@token.example", "token", ""] {
            let refused = token_service_url(url).unwrap_err();
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }

    #[test]
    fn shows_nothing_of_a_token() {
        assert_eq!(format!("{:?}", token(&json!({"sub": "visible"}))), "Token(..)");
    }
}
