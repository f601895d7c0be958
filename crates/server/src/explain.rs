//! `countersignd explain-token`: what a token would get, and why.
//!
//! The signature is not looked at: the claims are shown as if it were good, and that is said. Nothing
//! of the token but its claims' results is printed.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    process::ExitCode,
};

use anyhow::{Context, bail};
use identity::{
    IssuerConfig, IssuerSet, MAX_TOKEN_LEN, Principal, UnverifiedClaims, Verdict, VerificationError,
};
use serde_json::{Value, json};
use service::{Clock, SystemClock};
use wire::inert;
use x509::SubjectAlternativeName;

use crate::{
    cli::{ExplainArguments, OutputForm},
    config::Config,
    data_dir::{DataDir, read_json},
    endpoints::Face,
    oidc, output,
    token::LastStart,
};

pub(crate) fn run(
    arguments: &ExplainArguments,
    config: Option<Config>,
) -> anyhow::Result<ExitCode> {
    let issuers = issuers(arguments, config)?;
    let token = read_token(&arguments.token)?;
    // Not with the token's text as its context: it is a credential.
    let token = UnverifiedClaims::parse(token.trim()).context("cannot read the token")?;
    if arguments.issuer.as_deref().is_some_and(|issuer| issuer != token.issuer()) {
        bail!("the token is of the issuer {}", token.issuer());
    }
    let now = SystemClock.now();
    let verdicts = issuers.explain(&token, now);
    let granted = verdicts.iter().any(Verdict::grants);
    match arguments.output {
        OutputForm::Text => output::print_lines(&text(&token, &verdicts)),
        OutputForm::Json => {
            let report = report(&token, &verdicts);
            let json = serde_json::to_string_pretty(&report)?;
            output::print_lines(&(inert::escape_json(&json).into_owned() + "\n"));
        }
    }
    Ok(if granted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Those of the configuration, or of the development stack.
fn issuers(arguments: &ExplainArguments, config: Option<Config>) -> anyhow::Result<IssuerSet> {
    let issuers: Vec<IssuerConfig> = match config {
        Some(config) => config.ca.settings.issuers,
        None => {
            let data_dir = DataDir::open(&arguments.data_dir)?;
            let last: LastStart = read_json(&data_dir.last_start_file())?
                .context("`countersignd dev` has not been started on this data directory")?;
            oidc::issuers(&last.ports.url(Face::Oidc))?
        }
    };
    Ok(IssuerSet::new(issuers)?)
}

fn read_token(argument: &str) -> anyhow::Result<String> {
    // One byte more, so that a token that is too long is called that.
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

fn text(token: &UnverifiedClaims, verdicts: &[Verdict<'_>]) -> String {
    let mut text = String::new();
    let mut line = |indent: usize, value: &str| {
        let _ = writeln!(text, "{:indent$}{}", "", inert::escape(value));
    };
    line(0, &format!("issuer: {}", token.issuer()));
    line(0, UNCHECKED);
    if verdicts.is_empty() {
        line(0, "refused: no issuer of the configuration has this URL");
    }
    for verdict in verdicts {
        line(0, &format!("candidate of type {}:", verdict.issuer.kind().name()));
        for fault in &verdict.token {
            line(2, &format!("refused: {}", fault_text(fault)));
        }
        match &verdict.principal {
            Err(fault) => line(2, &format!("refused: {fault}")),
            Ok(principal) => {
                line(2, if verdict.grants() { "granted" } else { "if it counted" });
                describe(principal, &mut line);
            }
        }
    }
    text
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
fn fault_text(fault: &VerificationError) -> String {
    match fault {
        VerificationError::Expired => format!("{fault}; as a sample it is explained all the same"),
        other => other.to_string(),
    }
}

fn report(token: &UnverifiedClaims, verdicts: &[Verdict<'_>]) -> Value {
    let candidates: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let mut refusals: Vec<String> = verdict.token.iter().map(ToString::to_string).collect();
            refusals.extend(verdict.principal.as_ref().err().map(ToString::to_string));
            json!({
                "type": verdict.issuer.kind().name(),
                "granted": verdict.grants(),
                "refusals": refusals,
                "certificate": verdict.principal.as_ref().ok().map(certificate),
            })
        })
        .collect();
    json!({"issuer": token.issuer(), "signature": "not checked", "candidates": candidates})
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
    principal.extensions.named_with_oids().map(|(oid, name, value)| (oid.to_string(), name, value))
}
