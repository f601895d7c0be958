//! `jsonwebtoken` as a whole, asked about every attack on tokens that is known here: what it refuses is refused,
//! and what it lets through that is refused here is listed. Not asked about times: it knows the machine's clock alone.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::KeyType;
use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::Jwk};
use serde_json::{Value, json};

use crate::{
    jwk::TokenKey,
    stack::{NOW, Stack, Wishes},
};

/// What `jsonwebtoken` takes and a CA should not.
const STRICTER: &[&str] = &[
    // RFC 7515 §4.1.11: to be refused by who does not know the extension.
    "a critical extension",
    "an empty list of critical extensions",
    // Readers differ in which of them counts; of registered claims it refuses two as well.
    "`email` twice",
];

const SOUND: &[&str] = &["sound", "without a key id", "one audience of two"];

struct Attacks<'a> {
    stack: &'a Stack,
    found: Vec<(String, String)>,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Attacks<'_> {
    fn key(&self) -> &TokenKey {
        &self.stack.issuer.key
    }

    /// Older than what was fetched of the issuer, as a newer one could be of a key that was just replaced.
    fn claims(&self, mut changes: Value) -> Value {
        changes["iat"] = json!(NOW - 60);
        self.stack.claims(&changes)
    }

    fn add(&mut self, name: impl Into<String>, token: impl Into<String>) {
        self.found.push((name.into(), token.into()));
    }

    /// A token of these exact texts, signed by the issuer.
    fn add_signed(&mut self, name: impl Into<String>, header: &str, payload: &str) {
        let message = format!("{}.{}", encode(header), encode(payload));
        let signature = self.key().sign(message.as_bytes());
        self.add(name, format!("{message}.{}", encode(signature)));
    }

    fn header(&self) -> String {
        json!({"alg": self.key().algorithm(), "kid": "k1"}).to_string()
    }

    fn headers(&mut self) {
        let (algorithm, payload) = (self.key().algorithm(), self.claims(json!({})).to_string());
        self.add_signed("sound", &self.header(), &payload);
        self.add_signed("without a key id", &json!({"alg": algorithm}).to_string(), &payload);
        let all = [
            "", "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS256", "RS384",
            "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA",
            "Ed448", "rs256", " ES256", "RSA-OAEP", "dir",
        ];
        for other in all.into_iter().filter(|other| *other != algorithm) {
            let header = json!({"alg": other, "kid": "k1"}).to_string();
            self.add_signed(format!("signed, but `alg` is `{other}`"), &header, &payload);
            let unsigned = format!("{}.{}.", encode(header), encode(&payload));
            self.add(format!("unsigned, and `alg` is `{other}`"), unsigned);
        }
        let jwk = TokenKey::generate(KeyType::EcdsaP256).jwk("k1");
        for (name, header) in [
            ("a critical extension", json!({"alg": algorithm, "crit": ["b64"], "b64": false})),
            ("an empty list of critical extensions", json!({"alg": algorithm, "crit": []})),
            ("a key id of nobody", json!({"alg": 1, "kid": "k1"})),
            ("no algorithm", json!({"kid": "k1"})),
            ("no object as header", json!([algorithm])),
            ("an algorithm in a list", json!({"alg": [algorithm]})),
            ("a key of its own, unused", json!({"alg": "ES512", "jwk": jwk})),
        ] {
            self.add_signed(name, &header.to_string(), &payload);
        }
        let twice = format!(r#"{{"alg":"{algorithm}","alg":"{algorithm}","kid":"k1"}}"#);
        self.add_signed("`alg` twice", &twice, &payload);
    }

    fn claim_sets(&mut self) {
        let header = self.header();
        let url = self.stack.issuer.url.clone();
        for (name, changes) in [
            ("one audience of two", json!({"aud": ["other", "sigstore"]})),
            ("another audience", json!({"aud": "other"})),
            ("an audience that begins like ours", json!({"aud": "sigstore.evil.example"})),
            ("an audience in another case", json!({"aud": "Sigstore"})),
            ("no audience in the list", json!({"aud": []})),
            ("no audience", json!({"aud": null})),
            ("a number as audience", json!({"aud": 7})),
            ("another issuer", json!({"iss": "https://evil.example"})),
            ("an issuer with a slash", json!({"iss": format!("{url}/")})),
            ("an issuer that begins like it", json!({"iss": format!("{url}.evil.example")})),
            ("no issuer", json!({"iss": null})),
            ("a list of issuers", json!({"iss": [7]})),
            ("no end", json!({"exp": null})),
            ("an end in words", json!({"exp": "never"})),
        ] {
            let claims = self.claims(changes).to_string();
            self.add_signed(name, &header, &claims);
        }
        let claims = self.claims(json!({})).to_string();
        for (name, more) in [
            ("`email` twice", r#"{"email":"admin@example.com","#.to_owned()),
            ("`aud` twice, the first one ours", r#"{"aud":"sigstore","#.to_owned()),
            ("`iss` twice, the first one its own", format!(r#"{{"iss":"{url}","#)),
        ] {
            self.add_signed(name, &header, &claims.replacen('{', &more, 1));
        }
        for payload in
            ["", "null", "[]", "\"\"", "{}", "{", &format!("{claims}x"), &format!("[{claims}]")]
        {
            self.add_signed(format!("claims `{payload:.9}`"), &header, payload);
        }
    }

    fn signatures(&mut self) {
        let claims = self.claims(json!({}));
        let header = json!({"alg": self.key().algorithm(), "kid": "k1"});
        let sound = self.key().token(&header, &claims);
        let (message, signature) = sound.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let admin = encode(self.claims(json!({"email": "admin@example.com"})).to_string());
        let (head, payload) = message.split_once('.').unwrap();
        let mut changed =
            vec![("of other claims".to_owned(), format!("{head}.{admin}.{signature}"))];
        for position in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            bytes[position] ^= 1;
            changed.push((format!("byte {position}"), format!("{message}.{}", encode(bytes))));
        }
        for (name, bytes) in [
            ("empty", Vec::new()),
            ("of zeros", vec![0; bytes.len()]),
            ("of ones", vec![0xff; bytes.len()]),
            ("too short", bytes[1..].to_vec()),
            ("too long", [&bytes[..], &[0]].concat()),
            ("behind a zero", [&[0], &bytes[..]].concat()),
            ("twice", bytes.repeat(2)),
        ] {
            changed.push((name.to_owned(), format!("{message}.{}", encode(bytes))));
        }
        let other = TokenKey::generate(self.stack_key_type());
        changed.push(("of another key".to_owned(), other.token(&header, &claims)));
        let own = json!({"alg": other.algorithm(), "kid": "k1", "jwk": other.jwk("k1")});
        changed.push(("of a key that it brings".to_owned(), other.token(&own, &claims)));
        for (name, token) in changed {
            self.add(format!("a signature {name}"), token);
        }
        let public = self.key().jwk("k1").to_string();
        let secret = EncodingKey::from_secret(public.as_bytes());
        let hmac = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &secret).unwrap();
        self.add("an HMAC with the public key", hmac);
        for (name, token) in [
            ("two parts", message.to_owned()),
            ("four parts", format!("{sound}.{signature}")),
            ("a part more, empty", format!("{sound}.")),
            ("padding", format!("{head}=.{payload}.{signature}")),
            ("a space before", format!(" {sound}")),
            ("a line end", format!("{sound}\n")),
            ("a line end within", format!("{head}\n.{payload}.{signature}")),
            ("no header", format!(".{payload}.{signature}")),
            ("nothing but dots", "..".to_owned()),
        ] {
            self.add(name, token);
        }
    }

    fn stack_key_type(&self) -> KeyType {
        if self.key().algorithm() == "ES256" { KeyType::EcdsaP256 } else { KeyType::Rsa2048 }
    }
}

/// Whether `jsonwebtoken` takes `token` for one of the issuer, for us.
fn oracle(stack: &Stack, token: &str) -> bool {
    let jwk: Jwk = serde_json::from_value(stack.issuer.key.jwk("k1")).unwrap();
    let mut validation = Validation::new(stack.issuer.key.algorithm().parse().unwrap());
    validation.set_audience(&["sigstore"]);
    validation.set_issuer(&[&stack.issuer.url]);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).is_ok()
}

#[tokio::test]
async fn jsonwebtoken_agrees_about_every_attack_but_where_it_is_less_strict() {
    for token_key in [KeyType::EcdsaP256, KeyType::Rsa2048] {
        let stack = Stack::with(Wishes { token_key, ..Wishes::default() }).await;
        let mut attacks = Attacks { stack: &stack, found: Vec::new() };
        attacks.headers();
        attacks.claim_sets();
        attacks.signatures();
        let (mut taken, mut only_theirs) = (BTreeSet::new(), BTreeSet::new());
        for (name, token) in &attacks.found {
            let reply = stack.ask(token).await;
            let ours = reply.status == StatusCode::OK;
            assert!(ours || reply.status == StatusCode::BAD_REQUEST, "{name}: {}", reply.text());
            match (ours, oracle(&stack, token)) {
                (true, theirs) => {
                    assert!(theirs, "{token_key:?}: {name} is taken here alone");
                    taken.insert(name.as_str());
                }
                (false, true) => {
                    only_theirs.insert(name.as_str());
                }
                (false, false) => {}
            }
        }
        assert_eq!(taken, SOUND.iter().copied().collect(), "{token_key:?}");
        assert_eq!(only_theirs, STRICTER.iter().copied().collect(), "{token_key:?}");
    }
}
