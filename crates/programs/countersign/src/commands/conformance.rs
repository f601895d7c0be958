//! The protocol of the public conformance suite (sigstore-conformance, `docs/cli_protocol.md`).
//!
//! What is trusted, and where is signed, come from its options alone: no variable, pin or CI is
//! asked, so that a verdict is the same on every machine.

use std::path::Path;

use verify::{Conditions, ExpectedSigner, IdentityPolicy, Matcher};

use super::{
    attest_sign::{given_statement, subjects_of},
    block_on,
    sign::check_meaning,
    signer::PreparedSigner,
    subject_bundle::{read_bundle, verify_subject},
    verify::verified_file,
};
use crate::{
    Failure, Report, SignedFile, World,
    cli::{ConformanceCommand, ConformanceSignArgs, ConformanceVerifyArgs, PublicInstanceArgs},
    files::{Outputs, refuse_to_replace},
    keys,
    report::Evidence,
    signing::{Payload, SignedBundle},
    subjects::Subject,
    token::Token,
    trust::{LoadedTrust, PublicInstance, UrlOverrides},
};

/// `conformance sign-bundle|verify-bundle`.
pub(super) fn run(command: &ConformanceCommand, world: &World) -> Result<Report, Failure> {
    match command {
        ConformanceCommand::SignBundle(args) => {
            refuse_to_replace(&args.file, &args.bundle)?;
            if args.in_toto { sign_statement(args, world) } else { sign_artifact(args, world) }
        }
        ConformanceCommand::VerifyBundle(args) => verify_bundle(args, world),
    }
}

fn sign_artifact(args: &ConformanceSignArgs, world: &World) -> Result<Report, Failure> {
    let subject = Subject::of_file(&args.file)?;
    check_meaning(&subject)?;
    let artifact = subject.read(&args.file)?;
    let signed = sign(args, Payload::Artifact(&artifact), world)?;
    written(args, &[subject], &signed)
}

fn sign_statement(args: &ConformanceSignArgs, world: &World) -> Result<Report, Failure> {
    let given = given_statement(&args.file)?;
    let signed = sign(args, Payload::Given(&given), world)?;
    written(args, &subjects_of(&given), &signed)
}

fn sign(
    args: &ConformanceSignArgs,
    payload: Payload<'_>,
    world: &World,
) -> Result<SignedBundle, Failure> {
    let loaded = instance(&args.instance, args.signing_config.as_deref())?;
    let endpoints = loaded.endpoints(&UrlOverrides::default(), world.now())?;
    let token = Token::parse(&args.identity_token.0)?;
    block_on(async {
        let signer = PreparedSigner::keyless(token, (loaded.trust, endpoints))?;
        signer.sign(payload, world).await
    })
}

fn written(
    args: &ConformanceSignArgs,
    subjects: &[Subject],
    signed: &SignedBundle,
) -> Result<Report, Failure> {
    let mut outputs = Outputs::default();
    outputs.stage(&args.bundle, signed.json.as_bytes())?;
    let evidence = Evidence::of(&signed.verified);
    let signed = subjects.iter().map(|subject| SignedFile::new(subject, evidence.clone()));
    Ok(Report::of_signed(signed.collect(), outputs.publish()?))
}

/// Verifies what the suite defines: the bundle, its signer, and that it is about the artifact.
fn verify_bundle(args: &ConformanceVerifyArgs, world: &World) -> Result<Report, Failure> {
    let trust = instance(&args.instance, None)?.trust;
    let key = args.key.as_deref().map(keys::public_key).transpose()?;
    let exact = |text: &Option<String>| text.clone().map(Matcher::Exact);
    let identity = IdentityPolicy {
        subject: exact(&args.certificate_identity),
        issuer: exact(&args.certificate_oidc_issuer),
    };
    let expected = match &key {
        Some(key) => ExpectedSigner::Key { key, trust: Some(&trust) },
        None => ExpectedSigner::Keyless { trust: &trust, identity: &identity },
    };
    let subject = Subject::of_file_or_digest(&args.file_or_digest)?;
    let bundle = read_bundle(&args.bundle)?;
    let verified = verify_subject(&bundle, &subject, &expected, &Conditions::at(world.now()))?;
    Ok(Report::of_verified(vec![verified_file(&subject, &verified)]))
}

fn instance(
    args: &PublicInstanceArgs,
    signing_config: Option<&Path>,
) -> Result<LoadedTrust, Failure> {
    let instance = if args.staging { PublicInstance::Staging } else { PublicInstance::PublicGood };
    Ok(instance.load(args.trusted_root.as_deref(), signing_config)?)
}
