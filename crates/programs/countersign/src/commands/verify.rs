use verify::{Cause, Check, Verified};

use super::{
    expected_signer::{Demand, refuse_idle_hint},
    subject_bundle::{bundle_of, verify_subject},
};
use crate::{
    Failure, Report, VerifiedFile, World,
    cli::{IdentityArgs, VerifyArgs},
    report::Evidence,
    subjects::Subject,
};

/// `verify FILE...`.
pub(super) fn run(args: &VerifyArgs, world: &World) -> Result<Report, Failure> {
    if args.bundle.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("--bundle is the bundle of one file, and several were given")
            .advise("verify one file at a time"));
    }
    let demand =
        Demand::of_key_or_certificate(&args.expected_key, (&args.trust, &args.services), world)?;
    let demand = match demand {
        Some(demand) => demand,
        None if names_somebody(&args.identity) => {
            Demand::of_identity(&args.identity, (&args.trust, &args.services), world)?
        }
        None => {
            return Err(Failure::usage("nobody was demanded as the signer").advise(
                "give --certificate-identity or --certificate-identity-regexp with the issuer, \
                 --key or --cert",
            ));
        }
    };
    refuse_idle_hint(&args.evidence, Some(&demand))?;
    let conditions = args.evidence.conditions(world.now());
    let mut reported = Vec::new();
    for file in &args.files {
        let subject = Subject::of_file_or_digest(file)?;
        let bundle = bundle_of(&subject, args.bundle.as_deref())?;
        let verified = verify_subject(&bundle, &subject, &demand.expected_signer(), &conditions)?;
        if !args.attestation {
            check_is_of_the_file(&subject, &verified)?;
        }
        reported.push(verified_file(&subject, &verified));
    }
    let report = Report::of_verified(reported);
    Ok(match demand.note(false) {
        Some(note) => report.note(note),
        None => report,
    })
}

/// What is reported of a file; of an attestation that names it also what kind it is of.
pub(super) fn verified_file(subject: &Subject, verified: &Verified) -> VerifiedFile {
    let statement = verified.statement.as_ref();
    VerifiedFile {
        subject: subject.name.clone(),
        sha256: hex::encode(subject.sha256),
        level: None,
        predicate_type: statement.map(|statement| statement.predicate_type().to_owned()),
        evidence: Evidence::of(verified),
    }
}

/// Refuses what only mentions the file: a statement may well say that the file is bad.
fn check_is_of_the_file(subject: &Subject, verified: &Verified) -> Result<(), Failure> {
    let Some(statement) = &verified.statement else { return Ok(()) };
    let reason = format!(
        "the bundle is no signature over the file, but an attestation of predicate type `{}` that \
         names it",
        statement.predicate_type()
    );
    Err(Failure::check(&subject.name, &Check::Statement.failed_by(Cause::OtherKind, reason)).advise(
        "use `countersign attest verify`, or give --attestation if it is enough that a statement \
         names the file, whatever it says",
    ))
}

/// An issuer alone vouches for everybody it knows.
fn names_somebody(args: &IdentityArgs) -> bool {
    args.subject.is_some() || args.subject_regexp.is_some()
}
