use super::{
    authority::Demand,
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
        Demand::of_key_or_certificate(&args.authority, (&args.trust, &args.services), world)?;
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
    let conditions = args.witnesses.conditions(world.now());
    let mut reported = Vec::new();
    for file in &args.files {
        let subject = Subject::of_argument(file)?;
        let bundle = bundle_of(&subject, args.bundle.as_deref())?;
        let verified = verify_subject(&bundle, &subject, &demand.authority(), &conditions)?;
        reported.push(VerifiedFile {
            sha256: hex::encode(subject.sha256),
            subject: subject.name,
            level: None,
            predicate_type: verified
                .statement
                .as_ref()
                .map(|statement| statement.predicate_type().to_owned()),
            evidence: Evidence::of(&verified),
        });
    }
    let report = Report::of_verified(reported);
    Ok(match demand.note(false) {
        Some(note) => report.note(note),
        None => report,
    })
}

/// An issuer alone vouches for everybody it knows.
fn names_somebody(args: &IdentityArgs) -> bool {
    args.subject.is_some() || args.subject_regexp.is_some()
}
