//! The flows as their clients and attackers speak them, over the router.

use axum::{body::Body, extract::Request};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use crypto::{KeyType, LocalSigner, Signer};
use http::{HeaderMap, StatusCode, header, request::Builder};
use http_body_util::BodyExt;
use signing::{CpuPool, FixedClock};
use tower::ServiceExt;

use super::*;
use crate::{protocol, router as provider_router};

const BASE: &str = "http://localhost:3006";
const CALLBACK: &str = "http://localhost:40123/auth/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const NOW: u64 = 1_767_225_600;

struct Provider {
    app: Router,
    clock: Arc<FixedClock>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The error of a client that is refused.
    fn error(&self) -> String {
        assert!(!self.status.is_success(), "{}", self.body);
        self.json()["error"].as_str().unwrap().to_owned()
    }

    /// A member of the query that a browser is sent on with.
    fn sent_with(&self, name: &str) -> Option<String> {
        let location = self.headers.get(header::LOCATION)?.to_str().unwrap();
        let url = url::Url::parse(location).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The secret of the page's forms.
    fn page(&self) -> String {
        let rest = self.body.split_once("name=\"page\" value=\"").unwrap().1;
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Provider {
    fn new() -> Self {
        let key = LocalSigner::generate(KeyType::Rsa2048, "oidc").unwrap();
        let clock = Arc::new(FixedClock::at(NOW));
        let public_key = key.public_key().clone();
        let work = (CpuPool::new(1), Arc::clone(&clock) as Arc<dyn Clock>);
        let clients = vec!["sigstore".to_owned()];
        let login = Login::new(BASE, clients, Minter::new(key), work);
        let router = provider_router(BASE, &public_key, Some(login)).unwrap();
        Self { app: server::harden(router, protocol()), clock }
    }

    async fn send(&self, request: Builder, body: String) -> Answer {
        let answer =
            self.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header(header::HOST, "localhost:3006"), String::new()).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(posting(path), encoded(form)).await
    }

    /// From the page of a sound request with `more` to the code that the client is given.
    async fn code(&self, more: &str) -> String {
        let page = self.get(&authorization(more)).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let form = [("page", page.page()), ("email", "alice@example.com".to_owned())];
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let sent = self.post("/login", &form).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        sent.sent_with("code").unwrap()
    }

    async fn device(&self) -> Value {
        let form = [
            ("client_id", "sigstore"),
            ("scope", "openid email"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        self.post("/device/code", &form).await.json()
    }

    async fn poll(&self, device: &Value) -> Answer {
        let device_code = device["device_code"].as_str().unwrap();
        let form = [
            ("grant_type", token::DEVICE_GRANT),
            ("client_id", "sigstore"),
            ("device_code", device_code),
            ("code_verifier", VERIFIER),
        ];
        self.post("/token", &form).await
    }
}

fn posting(path: &str) -> Builder {
    Request::post(path)
        .header(header::HOST, "localhost:3006")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

fn encoded(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// As sigstore-python asks, with `more` behind.
fn authorization(more: &str) -> String {
    let form = [
        ("response_type", "code"),
        ("client_id", "sigstore"),
        ("client_secret", ""),
        ("scope", "openid email"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "s t&1"),
    ];
    format!("/auth?{}{more}", encoded(&form))
}

fn exchange(code: &str) -> [(&'static str, String); 5] {
    [
        ("grant_type", "authorization_code".to_owned()),
        ("client_id", "sigstore".to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", CALLBACK.to_owned()),
        ("code_verifier", VERIFIER.to_owned()),
    ]
}

async fn redeem(provider: &Provider, form: &[(&'static str, String)]) -> Answer {
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    provider.post("/token", &form).await
}

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn the_discovery_document_names_what_is_served() {
    let provider = Provider::new();
    let discovery = provider.get("/.well-known/openid-configuration").await;
    let discovery: Value = serde_json::from_str(&discovery.body).unwrap();
    for (name, path) in [
        ("authorization_endpoint", "/auth"),
        ("token_endpoint", "/token"),
        ("device_authorization_endpoint", "/device/code"),
    ] {
        assert_eq!(discovery[name], format!("{BASE}{path}"));
    }
    assert_eq!(discovery["response_types_supported"], json!(["code"]));
    assert_eq!(discovery["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(discovery["subject_types_supported"], json!(["public"]));
    let ci = provider.get("/github/.well-known/openid-configuration").await;
    assert!(!ci.body.contains("token_endpoint"), "jobs do not log in");
}

#[tokio::test]
async fn a_code_becomes_tokens_for_who_was_chosen() {
    let provider = Provider::new();
    let page = provider.get(&authorization("&nonce=n-1")).await;
    let form = [("page", page.page()), ("email", "alice@example.com".to_owned())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = provider.post("/login", &form).await;
    assert!(sent.headers[header::LOCATION].to_str().unwrap().starts_with(CALLBACK));
    assert_eq!(sent.sent_with("state").unwrap(), "s t&1");
    let tokens = redeem(&provider, &exchange(&sent.sent_with("code").unwrap())).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    let tokens = tokens.json();
    assert_eq!(tokens["token_type"], "Bearer");
    for token in ["access_token", "id_token"] {
        let claims = claims(&tokens[token]);
        assert_eq!(claims["iss"], BASE);
        assert_eq!(claims["aud"], "sigstore");
        assert_eq!(claims["email"], "alice@example.com");
        assert_eq!(claims["email_verified"], true);
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + 600)));
        assert_eq!(claims["nonce"] == "n-1", token == "id_token", "{claims}");
    }
}

#[tokio::test]
async fn a_subject_may_be_chosen_as_well() {
    let provider = Provider::new();
    let page = provider.get(&authorization("")).await.page();
    let subject = format!("{BASE}/team/builder");
    let sent = provider.post("/login", &[("page", &page), ("subject", &subject)]).await;
    let tokens = redeem(&provider, &exchange(&sent.sent_with("code").unwrap())).await.json();
    let claims = claims(&tokens["access_token"]);
    assert_eq!(claims["sub"], subject);
    assert!(claims.get("email").is_none(), "{claims}");
}

#[tokio::test]
async fn every_way_to_be_a_public_client_is_taken() {
    let provider = Provider::new();
    let form = exchange(&provider.code("").await);
    let without_client: Vec<_> = form.iter().filter(|(name, _)| *name != "client_id").collect();
    // `sigstore:`, as cosign and sigstore-python send it.
    let basic = posting("/token").header(header::AUTHORIZATION, "Basic c2lnc3RvcmU6");
    let body: Vec<_> = without_client.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(provider.send(basic, encoded(&body)).await.status, StatusCode::OK);
    let mut with_secret = exchange(&provider.code("").await).to_vec();
    with_secret.push(("client_secret", "anything".to_owned()));
    assert_eq!(redeem(&provider, &with_secret).await.status, StatusCode::OK);
    // Unknown, contradicting, malformed, none at all.
    for (authorization, named, error) in [
        (Some("Basic b3RoZXI6"), None, "invalid_client"),
        (Some("Basic c2lnc3RvcmU6"), Some("other"), "invalid_client"),
        (Some("Basic c2lnc3RvcmU="), None, "invalid_client"),
        (Some("Bearer c2lnc3RvcmU6"), None, "invalid_client"),
        (None, Some("other"), "invalid_client"),
        (None, None, "invalid_grant"),
    ] {
        let code = provider.code("").await;
        let mut request = posting("/token");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let mut form = exchange(&code).to_vec();
        form.retain(|(name, _)| *name != "client_id");
        form.extend(named.map(|name| ("client_id", name.to_owned())));
        let body: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = provider.send(request, encoded(&body)).await;
        assert_eq!(answer.error(), error, "{authorization:?} {named:?}");
    }
}

#[tokio::test]
async fn a_code_is_good_once_soon_and_for_its_client_redirect_and_verifier() {
    let provider = Provider::new();
    let form = exchange(&provider.code("").await);
    assert_eq!(redeem(&provider, &form).await.status, StatusCode::OK);
    assert_eq!(redeem(&provider, &form).await.error(), "invalid_grant");
    for (name, value) in [
        ("redirect_uri", "http://localhost:40123/auth/callback/"),
        ("redirect_uri", "http://127.0.0.1:40123/auth/callback"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx"),
        ("code_verifier", ""),
        ("code", "00"),
    ] {
        let mut form = exchange(&provider.code("").await);
        form.iter_mut().find(|(known, _)| *known == name).unwrap().1 = value.to_owned();
        assert_eq!(redeem(&provider, &form).await.error(), "invalid_grant", "{name}");
        if name != "code" {
            // The wrong try used it up.
            let again = exchange(&form.iter().find(|(known, _)| *known == "code").unwrap().1);
            assert_eq!(redeem(&provider, &again).await.error(), "invalid_grant");
        }
    }
    let late = exchange(&provider.code("").await);
    provider.clock.set(NOW + CODE_LIFETIME.as_secs());
    assert_eq!(redeem(&provider, &late).await.error(), "invalid_grant");
}

#[tokio::test]
async fn what_the_client_did_wrong_it_is_told_where_it_waits() {
    let provider = Provider::new();
    let sound = authorization("");
    for (from, to, error) in [
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("response_type=code", "response_type=code+id_token", "unsupported_response_type"),
        ("response_type=code", "x=y", "unsupported_response_type"),
        ("scope=openid+email", "scope=email", "invalid_scope"),
        ("code_challenge_method=S256", "code_challenge_method=plain", "invalid_request"),
        ("&code_challenge_method=S256", "", "invalid_request"),
        (&format!("&code_challenge={CHALLENGE}"), "", "invalid_request"),
        ("&state=", "&request=eyJ&state=", "request_not_supported"),
        ("&state=", "&prompt=none&state=", "login_required"),
        ("&state=", "&response_mode=fragment&state=", "unsupported_response_type"),
    ] {
        let answer = provider.get(&sound.replace(from, to)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{to}");
        assert_eq!(answer.sent_with("error").unwrap(), error, "{to}");
        assert_eq!(answer.sent_with("state").unwrap(), "s t&1");
        assert_eq!(answer.sent_with("code"), None);
    }
}

#[tokio::test]
async fn nobody_is_sent_to_strangers() {
    let provider = Provider::new();
    let callback = encoded(&[("redirect_uri", CALLBACK)]);
    for redirect in ["http://evil.example/", "https://localhost/", "javascript:alert(1)", ""] {
        let other = encoded(&[("redirect_uri", redirect)]);
        let answer = provider.get(&authorization("").replace(&callback, &other)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{redirect}");
        assert!(!answer.headers.contains_key(header::LOCATION));
        assert!(!answer.body.contains("name=\"page\""));
    }
    for (from, to) in
        [("client_id=sigstore", "client_id=other"), ("&state=", "&client_id=x&state=")]
    {
        let answer = provider.get(&authorization("").replace(from, to)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{to}");
        assert!(!answer.headers.contains_key(header::LOCATION));
    }
}

#[tokio::test]
async fn refusing_is_an_answer_too() {
    let provider = Provider::new();
    let page = provider.get(&authorization("")).await.page();
    let answer = provider.post("/login", &[("page", &page), ("refuse", "yes")]).await;
    assert_eq!(answer.sent_with("error").unwrap(), "access_denied");
    assert_eq!(answer.sent_with("code"), None);
}

#[tokio::test]
async fn a_page_of_another_site_can_neither_ask_nor_choose() {
    let provider = Provider::new();
    let foreign = [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:8080"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in foreign {
        let page = provider.get(&authorization("")).await.page();
        let form = encoded(&[("page", &page), ("email", "ceo@example.com")]);
        let answer = provider.send(posting("/login").header(name, value), form.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}: {value}");
        assert!(!answer.headers.contains_key(header::LOCATION));
        let own = posting("/login").header("origin", BASE).header("sec-fetch-site", "same-origin");
        assert_eq!(provider.send(own, form).await.status, StatusCode::SEE_OTHER);
        for path in ["/token", "/device/code"] {
            let answer = provider.send(posting(path).header(name, value), String::new()).await;
            assert_eq!(answer.error(), "invalid_request", "{path} {name}");
            assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        }
    }
    // Without the secret of a page that was shown, nothing is chosen.
    let answer = provider.post("/login", &[("page", "00"), ("email", "a@example.com")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_name_that_was_rebound_to_this_machine_is_not_answered() {
    let provider = Provider::new();
    for path in [authorization(""), "/device".to_owned()] {
        let request = Request::get(&path).header(header::HOST, "evil.example:3006");
        let answer = provider.send(request, String::new()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(!answer.body.contains("name=\"page\""));
    }
    for path in ["/token", "/device/code", "/login"] {
        let request = Request::post(path)
            .header(header::HOST, "evil.example:3006")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer =
            provider.send(request, encoded(&[("client_id", "sigstore"), ("scope", "openid")]));
        assert_eq!(answer.await.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn a_form_is_good_once_and_for_a_while() {
    let provider = Provider::new();
    let page = provider.get(&authorization("")).await.page();
    let form = [("page", page.as_str()), ("email", "a@example.com")];
    assert_eq!(provider.post("/login", &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(provider.post("/login", &form).await.status, StatusCode::BAD_REQUEST);
    let page = provider.get(&authorization("")).await.page();
    provider.clock.set(NOW + PATIENCE.as_secs());
    let form = [("page", page.as_str()), ("email", "a@example.com")];
    assert_eq!(provider.post("/login", &form).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_mistyped_name_does_not_use_the_form_up() {
    let provider = Provider::new();
    let page = provider.get(&authorization("")).await.page();
    for (email, subject) in [
        ("", ""),
        ("alice", ""),
        ("a@b@c", ""),
        ("a b@example.com", ""),
        ("a@example.com\u{202e}", ""),
        ("a@example.com\r\nx", ""),
        ("a@example.com", "http://localhost/x"),
        ("", "a\u{0}b"),
        (&format!("{}@example.com", "a".repeat(250)), ""),
    ] {
        let form = [("page", page.as_str()), ("email", email), ("subject", subject)];
        let answer = provider.post("/login", &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{email:?} {subject:?}");
    }
    let form = [("page", page.as_str()), ("email", "a@example.com")];
    assert_eq!(provider.post("/login", &form).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_pages_cannot_be_framed_scripted_or_written_into() {
    let provider = Provider::new();
    let hostile = "&login_hint=%22%3E%3Cscript%3Ealert(1)%3C/script%3E@x&nonce=%3Cb%3E";
    let answer = provider.get(&authorization(hostile)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(policy.ends_with("form-action 'self' http://localhost:40123"), "{policy}");
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers[header::X_FRAME_OPTIONS], "DENY");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers[header::REFERRER_POLICY], "same-origin");
    assert!(!answer.body.contains("<script") && !answer.body.contains("<b>"), "{}", answer.body);
    assert!(answer.body.contains("&lt;script&gt;"));
    let quoted = provider.get("/device?user_code=%3Cimg%3E").await;
    assert!(!quoted.body.contains("<img"), "{}", quoted.body);
}

#[tokio::test]
async fn a_person_can_carry_the_code() {
    let provider = Provider::new();
    let oob = "urn:ietf:wg:oauth:2.0:oob";
    let to = |redirect| encoded(&[("redirect_uri", redirect)]);
    let page = provider.get(&authorization("").replace(&to(CALLBACK), &to(oob))).await.page();
    let shown = provider.post("/login", &[("page", &page), ("email", "a@example.com")]).await;
    assert_eq!(shown.status, StatusCode::OK);
    let code = shown.body.split_once("id=\"code\">").unwrap().1.split('<').next().unwrap();
    let mut form = exchange(code);
    form[3].1 = oob.to_owned();
    assert_eq!(redeem(&provider, &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_device_waits_until_somebody_types_its_code() {
    let provider = Provider::new();
    let device = provider.device().await;
    let user_code = device["user_code"].as_str().unwrap();
    assert_eq!(device["verification_uri"], format!("{BASE}/device"));
    assert_eq!(provider.poll(&device).await.error(), "authorization_pending");
    let asked = provider.get("/device").await;
    assert!(asked.body.contains("name=\"user_code\""));
    let page = provider.get(&format!("/device?user_code={}", user_code.to_lowercase())).await;
    assert!(page.body.contains(user_code), "{}", page.body);
    let form = [("page", page.page()), ("email", "alice@example.com".to_owned())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(provider.post("/login", &form).await.status, StatusCode::OK);
    provider.clock.set(NOW + 2);
    let tokens = provider.poll(&device).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    assert_eq!(claims(&tokens.json()["id_token"])["email"], "alice@example.com");
    assert_eq!(provider.poll(&device).await.error(), "invalid_grant", "it is good once");
    let again = provider.get(&format!("/device?user_code={user_code}")).await;
    assert!(!again.body.contains("name=\"page\""), "nobody is asked twice");
}

#[tokio::test]
async fn a_device_is_told_to_wait_longer_and_that_it_waited_too_long() {
    let provider = Provider::new();
    let device = provider.device().await;
    assert_eq!(provider.poll(&device).await.error(), "authorization_pending");
    assert_eq!(provider.poll(&device).await.error(), "slow_down");
    provider.clock.set(NOW + 1);
    assert_eq!(provider.poll(&device).await.error(), "slow_down", "longer each time");
    provider.clock.set(NOW + 60);
    assert_eq!(provider.poll(&device).await.error(), "authorization_pending");
    provider.clock.set(NOW + PATIENCE.as_secs());
    assert_eq!(provider.poll(&device).await.error(), "expired_token");
    provider.clock.set(NOW + 2 * PATIENCE.as_secs());
    assert_eq!(provider.poll(&device).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_device_that_is_refused_or_stolen_gets_nothing() {
    let provider = Provider::new();
    let device = provider.device().await;
    let user_code = device["user_code"].as_str().unwrap();
    let page = provider.get(&format!("/device?user_code={user_code}")).await.page();
    provider.post("/login", &[("page", &page), ("refuse", "yes")]).await;
    let device_code = device["device_code"].as_str().unwrap();
    for (client, verifier) in [("sigstore", "a".repeat(43)), ("sigstore", String::new())] {
        let form = [
            ("grant_type", token::DEVICE_GRANT),
            ("client_id", client),
            ("device_code", device_code),
            ("code_verifier", verifier.as_str()),
        ];
        assert_eq!(provider.post("/token", &form).await.error(), "invalid_grant");
    }
    assert_eq!(provider.poll(&device).await.error(), "access_denied");
    assert_eq!(provider.poll(&device).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_flood_of_pages_and_devices_takes_no_more_than_their_number() {
    let provider = Provider::new();
    let first = provider.device().await;
    for _ in 0..MAX_WAITING {
        provider.device().await;
    }
    assert_eq!(provider.poll(&first).await.error(), "invalid_grant", "the oldest was forgotten");
    let long = format!("client_id=sigstore&scope=openid&x={}", "y".repeat(form::MAX_BODY_LEN));
    let answer = provider.send(posting("/device/code"), long).await;
    assert!(answer.status.is_client_error());
}

#[tokio::test]
async fn other_grants_and_forms_are_refused() {
    let provider = Provider::new();
    for grant in ["password", "client_credentials", "refresh_token", "implicit", ""] {
        let form = [("grant_type", grant), ("client_id", "sigstore")];
        assert_eq!(provider.post("/token", &form).await.error(), "unsupported_grant_type");
    }
    let json = Request::post("/token")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json");
    assert_eq!(provider.send(json, "{}".to_owned()).await.error(), "invalid_request");
    // Secrets in a query would stand in logs: they do not count.
    let query = format!("/token?{}", encoded(&[("grant_type", "authorization_code")]));
    assert_eq!(provider.post(&query, &[]).await.error(), "unsupported_grant_type");
    assert_eq!(provider.get("/token").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// Images of a hostile page: the page that somebody is filling in was pushed out by them.
#[tokio::test]
async fn parts_of_other_pages_push_nothing_out() {
    let provider = Provider::new();
    let page = provider.get(&authorization("")).await.page();
    for (name, value) in [("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors")] {
        for _ in 0..MAX_WAITING {
            let asked = Request::get(authorization(""))
                .header(header::HOST, "localhost:3006")
                .header("sec-fetch-site", "cross-site")
                .header(name, value);
            let answer = provider.send(asked, String::new()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        }
    }
    let form = [("page", page.as_str()), ("email", "alice@example.com")];
    let sent = provider.post("/login", &form).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
}
