//! `countersignd explain-token`: what a token would get, and why.
//!
//! Unless keys are given, or `--online`, the signature is not looked at: the claims are shown as if it
//! were good, and that is said. Nothing of the token but its claims' results is printed.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use identity::{
    IssuerConfig, IssuerSet, MAX_TOKEN_LEN, Principal, PrincipalError, UnverifiedClaims, Verdict,
    VerificationError,
};
use moment::UnixSeconds;
use serde_json::{Value, json};
use server::bounded;
use signing::{Clock, SystemClock};
use wire::inert;
use x509::SubjectAlternativeName;

use crate::{
    cli::{ExplainArguments, OutputForm},
    data_dir::DataDir,
    deployment::Deployment,
    output,
    token::LastStart,
};

pub(crate) async fn run(
    arguments: ExplainArguments,
    configured: Option<Deployment>,
) -> anyhow::Result<ExitCode> {
    let (issuers, now) = issuers(&arguments, configured)?;
    let token = read_token(&arguments.token)?;
    // Not with the token's text as its context: it is a credential.
    let token = UnverifiedClaims::parse(token.trim()).context("cannot read the token")?;
    if arguments.issuer.as_deref().is_some_and(|issuer| issuer != token.issuer()) {
        bail!("the token is of the issuer {}", token.issuer());
    }
    let mut candidates = Vec::new();
    for verdict in issuers.explain(&token, now) {
        let signature = Signature::check(&arguments, verdict.issuer, &token).await?;
        candidates.push(Candidate { verdict, signature });
    }
    match arguments.output {
        OutputForm::Text => output::print_lines(&text(&token, &candidates)),
        OutputForm::Json => {
            let report = report(&token, &candidates);
            let json = serde_json::to_string(&report)?;
            output::print_lines(&(inert::escape_json(&json).into_owned() + "\n"));
        }
    }
    Ok(if granted(&candidates) == 1 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One issuer's configuration and what it makes of the token.
struct Candidate<'a> {
    verdict: Verdict<'a>,
    signature: Signature,
}

impl Candidate<'_> {
    fn is_granted(&self) -> bool {
        self.verdict.grants() && self.signature.may_count()
    }
}

/// What is known of the token's signature.
enum Signature {
    Unchecked,
    Valid,
    Invalid,
    /// Nobody could tell, and why.
    Unknown(String),
}

/// How long an issuer may take with its keys.
const ISSUER_TIMEOUT: Duration = Duration::from_secs(10);

impl Signature {
    async fn check(
        arguments: &ExplainArguments,
        issuer: &IssuerConfig,
        token: &UnverifiedClaims,
    ) -> anyhow::Result<Self> {
        let signed = if let Some(path) = &arguments.keys {
            ca::is_signed_by(&read_keys(path)?, token)
        } else if arguments.online {
            ca::is_signed_by_issuer(issuer, token, ISSUER_TIMEOUT).await
        } else {
            return Ok(Self::Unchecked);
        };
        Ok(match signed {
            Ok(true) => Self::Valid,
            Ok(false) => Self::Invalid,
            Err(error) => Self::Unknown(format!("{:#}", anyhow::Error::from(error))),
        })
    }

    fn may_count(&self) -> bool {
        matches!(self, Self::Unchecked | Self::Valid)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unchecked => "not checked",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unknown(_) => "unknown",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Unchecked => UNCHECKED.to_owned(),
            Self::Valid => "signature: valid".to_owned(),
            Self::Invalid => "refused: the signature is by none of the issuer's keys".to_owned(),
            Self::Unknown(why) => format!("refused: the signature could not be checked: {why}"),
        }
    }
}

/// Those of a CA of the configuration, or of the development stack, and the time of their clock.
fn issuers(
    arguments: &ExplainArguments,
    configured: Option<Deployment>,
) -> anyhow::Result<(IssuerSet, UnixSeconds)> {
    if let Some(deployment) = configured {
        let authority = deployment.chosen_authority(arguments.ca.as_deref())?;
        return Ok((IssuerSet::new(authority.settings.issuers.clone())?, SystemClock.now()));
    }
    let data_dir = DataDir::open(&arguments.data_dir)?;
    let last = LastStart::read(&data_dir)?;
    Ok((IssuerSet::new(oidc::issuers(&last.provider()?, None)?)?, last.now()))
}

/// Longest JWK Set of a file, in bytes: what an issuer's `keys_file` may have.
const MAX_KEYS_LEN: usize = 1 << 20;

/// A JWK Set that an option names.
fn read_keys(path: &Path) -> anyhow::Result<Vec<u8>> {
    bounded::read(path, MAX_KEYS_LEN).with_context(|| format!("cannot read {}", path.display()))
}

fn read_token(argument: &str) -> anyhow::Result<String> {
    // Somewhat more, so that a token that is too long is called that.
    let limit = u64::try_from(MAX_TOKEN_LEN)? + 1024;
    let mut text = String::new();
    match argument.strip_prefix('@') {
        Some(path) => {
            let file = fs::File::open(path).with_context(|| format!("cannot read {path}"))?;
            file.take(limit).read_to_string(&mut text).context("cannot read the token")?;
        }
        None if argument == "-" => {
            io::stdin().take(limit).read_to_string(&mut text).context("cannot read the token")?;
        }
        None => argument.clone_into(&mut text),
    }
    Ok(text)
}

const UNCHECKED: &str = "the signature was not checked: this is what its owner would get";

fn text(token: &UnverifiedClaims, candidates: &[Candidate<'_>]) -> String {
    let mut text = String::new();
    let mut line = |indent: usize, value: &str| {
        let _ = writeln!(text, "{:indent$}{}", "", inert::escape(value));
    };
    line(0, &format!("issuer: {}", token.issuer()));
    if candidates.is_empty() {
        line(0, "refused: no issuer of the configuration has this URL");
    }
    for Candidate { verdict, signature } in candidates {
        line(0, &format!("candidate of type {}:", verdict.issuer.kind().name()));
        line(2, &signature.text());
        for fault in &verdict.token {
            line(2, &format!("refused: {}", fault_text(token, verdict, fault)));
        }
        match &verdict.principal {
            Err(fault) => line(2, &format!("refused: {}", rule_text(verdict, fault))),
            Ok(principal) => {
                let granted = verdict.grants() && signature.may_count();
                line(2, if granted { "granted" } else { "if it counted" });
                describe(principal, &mut line);
            }
        }
    }
    if granted(candidates) > 1 {
        line(0, AMBIGUOUS);
    }
    text
}

const AMBIGUOUS: &str = "refused: more than one candidate grants, and they are one issuer";

fn granted(candidates: &[Candidate<'_>]) -> usize {
    candidates.iter().filter(|candidate| candidate.is_granted()).count()
}

fn describe(principal: &Principal, line: &mut impl FnMut(usize, &str)) {
    let kind = name_kind(&principal.san);
    line(4, &format!("name ({kind}): {}", principal.san));
    for (oid, name, value) in extensions(principal) {
        line(4, &format!("{oid} {name}: {value}"));
    }
    for challenge in &principal.challenges {
        line(4, &format!("proof of possession may sign: {challenge}"));
    }
}

/// An expired sample is explained all the same; of what use it is, is said.
fn fault_text(
    token: &UnverifiedClaims,
    verdict: &Verdict<'_>,
    fault: &VerificationError,
) -> String {
    match fault {
        VerificationError::Expired => format!("{fault}; as a sample it is explained all the same"),
        VerificationError::Audience => {
            ca::audience_refusal(&token.facts(), verdict.issuer.audiences())
        }
        other => other.to_string(),
    }
}

/// What the CA does not say: it is said to whoever has the configuration too.
fn rule_text(verdict: &Verdict<'_>, fault: &PrincipalError) -> String {
    match (fault, &verdict.rule) {
        (PrincipalError::Required(_), Some(rule)) => format!("by `required_claims`: {rule}"),
        _ => fault.to_string(),
    }
}

fn report(token: &UnverifiedClaims, candidates: &[Candidate<'_>]) -> Value {
    let of = |Candidate { verdict, signature }: &Candidate<'_>| {
        let faults = verdict.token.iter().map(|fault| fault_text(token, verdict, fault));
        let mut refusals: Vec<String> = faults.collect();
        refusals.extend(verdict.principal.as_ref().err().map(|fault| rule_text(verdict, fault)));
        json!({
            "type": verdict.issuer.kind().name(),
            "signature": signature.name(),
            "granted": verdict.grants() && signature.may_count(),
            "refusals": refusals,
            "certificate": verdict.principal.as_ref().ok().map(certificate),
        })
    };
    let granted = granted(candidates) == 1;
    let candidates: Vec<Value> = candidates.iter().map(of).collect();
    json!({"issuer": token.issuer(), "granted": granted, "candidates": candidates})
}

fn certificate(principal: &Principal) -> Value {
    let extensions: Vec<Value> = extensions(principal)
        .map(|(oid, name, value)| json!({"oid": oid, "name": name, "value": value}))
        .collect();
    json!({
        "name": {"kind": name_kind(&principal.san), "value": principal.san.as_str()},
        "extensions": extensions,
        "challenges": principal.challenges,
    })
}

const fn name_kind(name: &SubjectAlternativeName) -> &'static str {
    match name {
        SubjectAlternativeName::Email(_) => "email",
        SubjectAlternativeName::Uri(_) => "URI",
        SubjectAlternativeName::OtherName(_) => "otherName 1.3.6.1.4.1.57264.1.7",
    }
}

/// Every extension with its OID; the issuer has two.
fn extensions(principal: &Principal) -> impl Iterator<Item = (String, &'static str, &str)> {
    principal.extensions.entries().map(|(name, oid, value)| (oid.to_string(), name, value))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde::Deserialize;

    use super::*;

    const SHA: &str = "c291ea713801eb300054d353d279e7b02331f671";

    /// The sample of docs/ci-issuers.md.
    fn forgejo() -> IssuerSet {
        let page = include_str!("../../../../docs/ci-issuers.md");
        let mut samples =
            page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let sample = samples.find(|sample| sample.contains("ci-provider")).unwrap();
        let mut table: toml::Table = sample.parse().unwrap();
        let issuer = table["ca"]["default"]["issuer"].as_array_mut().unwrap().remove(0);
        IssuerSet::new(vec![IssuerConfig::deserialize(issuer).unwrap()]).unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "https://git.acme.example/api/actions", "aud": "https://sign.acme.example",
            "sub": "repo:acme/app:ref:refs/heads/main", "exp": 2_000, "iat": 1_000,
            "actor": "alice", "event_name": "push", "ref": "refs/heads/main", "ref_protected": "true",
            "ref_type": "branch", "repository": "acme/app", "repository_id": 7,
            "repository_owner": "acme", "repository_owner_id": 3, "run_attempt": "1", "run_id": "42",
            "run_number": "9", "sha": SHA, "workflow": "release.yml",
            "workflow_ref": "acme/app/.forgejo/workflows/release.yml@refs/heads/main"
        })
    }

    fn token(claims: &Value) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.{}",
            encode(r#"{"alg":"RS256"}"#),
            encode(&claims.to_string()),
            encode("sig")
        )
    }

    fn explained(claims: &Value, now: UnixSeconds) -> (String, Value) {
        let text_of_token = token(claims);
        let token = UnverifiedClaims::parse(&text_of_token).unwrap();
        let issuers = forgejo();
        let unchecked = |verdict| Candidate { verdict, signature: Signature::Unchecked };
        let candidates: Vec<_> = issuers.explain(&token, now).into_iter().map(unchecked).collect();
        let shown = (text(&token, &candidates), report(&token, &candidates));
        for part in text_of_token.split('.') {
            assert!(!shown.0.contains(part) && !shown.1.to_string().contains(part));
        }
        shown
    }

    #[test]
    fn a_forgejo_job_gets_what_the_page_says() {
        let (text, report) = explained(&claims(), UnixSeconds(1_500));
        let name =
            "https://git.acme.example/acme/app/.forgejo/workflows/release.yml@refs/heads/main";
        for line in [
            "  granted".to_owned(),
            format!("    name (URI): {name}"),
            format!("    1.3.6.1.4.1.57264.1.9 build_signer_uri: {name}"),
            format!("    1.3.6.1.4.1.57264.1.13 source_repository_digest: {SHA}"),
            "    1.3.6.1.4.1.57264.1.15 source_repository_identifier: 7".to_owned(),
            "    proof of possession may sign: repo:acme/app:ref:refs/heads/main".to_owned(),
            format!("  {UNCHECKED}"),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert_eq!(report["candidates"][0]["granted"], true);
        assert_eq!(report["candidates"][0]["certificate"]["name"]["value"], name);
    }

    #[test]
    fn an_expired_sample_is_explained_and_said_to_be() {
        let (text, report) = explained(&claims(), UnixSeconds(9_000));
        assert!(text.contains("refused: the token has expired; as a sample"), "{text}");
        assert!(text.contains("  if it counted") && !text.contains("granted"), "{text}");
        assert_eq!(report["candidates"][0]["granted"], false);
        assert!(report["candidates"][0]["certificate"].is_object());
    }

    #[test]
    fn the_rule_that_refuses_is_named() {
        for (claim, value, said) in [
            (
                "repository_owner",
                json!("evil"),
                "claim `repository_owner` is `\"evil\"`; it has to be `\"acme\"`",
            ),
            ("repository_owner", json!(null), "claim `repository_owner` is missing"),
            (
                "aud",
                json!("sigstore"),
                "another audience, `sigstore`: accepted from its issuer is `https://sign.acme.example`",
            ),
            ("sha", json!(null), "claim `sha` is missing, which the template"),
            ("ref", json!("main"), "template `source_repository_ref`"),
            ("iss", json!("https://git.acme.example"), "no issuer of the configuration"),
        ] {
            let mut claims = claims();
            claims[claim] = value;
            let (text, report) = explained(&claims, UnixSeconds(1_500));
            assert!(text.contains(said) && !text.contains("granted"), "{said}: {text}");
            let refusals = &report["candidates"][0]["refusals"];
            let told = |refusals: &Vec<Value>| {
                refusals.iter().any(|one| one.as_str().unwrap().contains(said))
            };
            assert!(refusals.as_array().is_none_or(told), "{said}: {report}");
        }
    }

    #[test]
    fn a_signature_that_is_not_the_issuers_grants_nothing() {
        let token = UnverifiedClaims::parse(&token(&claims())).unwrap();
        let issuers = forgejo();
        for (signature, name) in [
            (Signature::Valid, "valid"),
            (Signature::Invalid, "invalid"),
            (Signature::Unknown("away".to_owned()), "unknown"),
        ] {
            let is_valid = matches!(signature, Signature::Valid);
            let verdict = issuers.explain(&token, UnixSeconds(1_500)).remove(0);
            let report = report(&token, &[Candidate { verdict, signature }]);
            assert_eq!(report["candidates"][0]["signature"], name);
            assert_eq!(report["granted"], is_valid);
        }
    }

    #[test]
    fn two_candidates_that_grant_are_none() {
        let token = UnverifiedClaims::parse(&token(&claims())).unwrap();
        let issuers = forgejo();
        let candidate = || Candidate {
            verdict: issuers.explain(&token, UnixSeconds(1_500)).remove(0),
            signature: Signature::Valid,
        };
        let candidates = [candidate(), candidate()];
        assert!(text(&token, &candidates).contains(AMBIGUOUS));
        assert_eq!(report(&token, &candidates)["granted"], false);
    }

    #[test]
    fn text_of_a_token_is_inert() {
        let mut claims = claims();
        claims["iss"] = json!("https://git.acme.example\n  granted\u{1b}[2J\u{202e}");
        let (text, _) = explained(&claims, UnixSeconds(1_500));
        assert!(!text.lines().any(|line| line == "  granted"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }
}
