use std::path::Path;

use provenance::{
    BareNames, BuildLevel, CertificateClaims, Provenance, ProvenanceError, SourceDemand,
    SourcePolicy, SourceWords, Statement,
};
use verify::{Artifact, Cause, Check, Conditions, VerifyError};
use wire::bundle::BundleContent;

use super::{
    expected_signer::{Demand, refuse_idle_hint},
    subject_bundle::{bundle_json, bundle_of, parse_bundle, verify_subject},
};
use crate::{
    Failure, Report, VerifiedFile, World,
    cli::{AttestVerifyArgs, IdentityArgs, UNSIGNED_PROVENANCE},
    files,
    report::Evidence,
    subjects::{self, Subject},
};

/// `attest verify`.
pub(super) fn run(args: &AttestVerifyArgs, world: &World) -> Result<Report, Failure> {
    let source = SourceDemand::new(SourceWords {
        repository: args.verify_repo.as_deref(),
        organisation: args.verify_org.as_deref(),
        reference: args.verify_ref.as_deref(),
    })
    .map_err(|error| Failure::usage(error.to_string()))?;
    let demand =
        Demand::of_key_or_certificate(&args.expected_key, (&args.trust, &args.services), world)?;
    let demand = match demand {
        None if args.keyless => {
            Some(Demand::of_identity(&args.identity, (&args.trust, &args.services), world)?)
        }
        demand => demand,
    };
    refuse_idle_options(args, demand.as_ref())?;
    let source = resolved(source, demand.as_ref(), args.identity.issuer.as_deref())?;
    let subjects = subjects::parse(&args.subjects.subjects)?;
    match demand {
        Some(demand) => signed(args, &subjects, &demand, &source, world),
        None => unsigned(args, &subjects),
    }
}

/// The source with the forge that names without a host mean.
fn resolved(
    source: SourceDemand,
    demand: Option<&Demand>,
    issuer: Option<&str>,
) -> Result<SourcePolicy, Failure> {
    let forge = match demand.filter(|_| source.names_a_place()) {
        Some(demand) => demand.forge()?,
        None => None,
    };
    let names = BareNames { forge: forge.as_ref(), issuer };
    source.resolve(&names).map_err(|error| Failure::usage(error.to_string()))
}

/// Refuses options that would be passed over: who gives one believes that it was checked.
fn refuse_idle_options(args: &AttestVerifyArgs, demand: Option<&Demand>) -> Result<(), Failure> {
    let sources = [
        ("--verify-repo", &args.verify_repo),
        ("--verify-org", &args.verify_org),
        ("--verify-ref", &args.verify_ref),
    ];
    let keyless = matches!(demand, Some(Demand::Keyless { .. }));
    if let Some((option, _)) = sources.iter().find(|(_, value)| value.is_some() && !keyless) {
        return Err(Failure::usage(format!(
            "{option} asks what a certificate of a trusted CA says, and none is demanded"
        ))
        .advise("add --keyless"));
    }
    match demand {
        Some(_) => refuse_idle_hint(&args.evidence, demand),
        None if names_identity(&args.identity) => {
            Err(Failure::usage("an identity was demanded of what need not be signed")
                .advise("add --keyless"))
        }
        None if !(args.evidence.is_empty()
            && args.trust.is_empty()
            && args.services.is_empty()) =>
        {
            Err(Failure::usage("evidence or trust was demanded for what need not be signed")
                .advise("add --keyless, --key or --cert"))
        }
        None => Ok(()),
    }
}

fn signed(
    args: &AttestVerifyArgs,
    subjects: &[Subject],
    demand: &Demand,
    source: &SourcePolicy,
    world: &World,
) -> Result<Report, Failure> {
    let conditions = args.evidence.conditions(world.now());
    let mut reported = Vec::new();
    let mut known: Option<Known> = None;
    for subject in subjects {
        let json = bundle_json(subject, args.bundle.as_deref())?;
        // One bundle speaks of thousands of files: it is verified once.
        let known = match known.take().filter(|known| known.json == json) {
            Some(same) => {
                same.check_names(subject)?;
                known.insert(same)
            }
            None => known.insert(Known::of(args, subject, json, (demand, source), &conditions)?),
        };
        let (statement, level) = (&known.statement, known.level);
        reported.push(verified_file(subject, statement, level, known.evidence.clone()));
    }
    let report = Report::of_verified(reported);
    Ok(match demand.note(source.names_a_place()) {
        Some(note) => report.note(note),
        None => report,
    })
}

/// A bundle that was verified for one subject.
struct Known {
    json: Vec<u8>,
    statement: Statement,
    level: Option<BuildLevel>,
    evidence: Evidence,
}

impl Known {
    fn of(
        args: &AttestVerifyArgs,
        subject: &Subject,
        json: Vec<u8>,
        (demand, source): (&Demand, &SourcePolicy),
        conditions: &Conditions<'_>,
    ) -> Result<Self, Failure> {
        let bundle = parse_bundle(&subject.name, &json)?;
        let verified = verify_subject(&bundle, subject, &demand.expected_signer(), conditions)?;
        let failed = |error: VerifyError| Failure::check(&subject.name, &error);
        let mut evidence = Evidence::of(&verified);
        let statement = verified.statement.ok_or_else(|| {
            let reason = "the bundle signs the file itself, and states nothing of it";
            failed(Check::Statement.failed_by(Cause::OtherKind, reason))
                .advise("use `countersign verify`")
        })?;
        let keyless = matches!(demand, Demand::Keyless { .. });
        let claims = verified.claims.as_ref().filter(|_| keyless);
        let level = judge(args, &statement, claims, source).map_err(failed)?;
        if keyless {
            evidence.checks.push(Check::Source.name());
        }
        Ok(Self { json, statement, level, evidence })
    }

    /// Checks that the statement is about `subject` too.
    fn check_names(&self, subject: &Subject) -> Result<(), Failure> {
        if verify::states(&self.statement, &subject.artifact()) {
            return Ok(());
        }
        let bytes = subject.path.as_deref().map(|path| subject.read(path)).transpose()?;
        match bytes {
            Some(bytes) if verify::states(&self.statement, &Artifact::from_bytes(&bytes)) => Ok(()),
            _ => {
                let reason = "no subject of the statement is this artifact";
                let error = Check::Digest.failed_by(Cause::OtherArtifact, reason);
                Err(Failure::check(&subject.name, &error))
            }
        }
    }
}

/// Checks what the statement says: its kind, and its source beside the certificate's.
fn judge(
    args: &AttestVerifyArgs,
    statement: &Statement,
    claims: Option<&CertificateClaims>,
    source: &SourcePolicy,
) -> Result<Option<BuildLevel>, VerifyError> {
    let provenance = provenance_of(args, statement)?;
    if let Some(claims) = claims {
        source
            .check(claims, provenance.as_ref())
            .map_err(|violation| Check::Source.failed_by(Cause::OtherSigner, violation))?;
    }
    Ok(provenance.map(|provenance| BuildLevel::of(Some(&provenance), claims)))
}

/// The statement's build provenance; `None` when another kind of predicate was demanded.
fn provenance_of(
    args: &AttestVerifyArgs,
    statement: &Statement,
) -> Result<Option<Provenance>, VerifyError> {
    let demanded = &args.predicate_type.predicate_type.0;
    let found = statement.predicate_type();
    match Provenance::of(statement) {
        Ok(provenance) if demanded == provenance::PREDICATE_TYPE_SLSA_V1 => Ok(Some(provenance)),
        Err(ProvenanceError::PredicateType(_)) if found == demanded => Ok(None),
        Err(ProvenanceError::PredicateType(_)) | Ok(_) => Err(Check::Statement.failed_by(
            Cause::OtherKind,
            format!("predicate type {demanded} was demanded, the statement's is {found}"),
        )),
        Err(error) => Err(Check::Statement.failed_by(Cause::OtherKind, error)),
    }
}

/// Checks that provenance exists and names the subjects. Whoever wrote it, nobody signed it.
fn unsigned(args: &AttestVerifyArgs, subjects: &[Subject]) -> Result<Report, Failure> {
    let mut reported = Vec::new();
    for subject in subjects {
        let statement = unsigned_statement(args, subject)?;
        let failed = |error: VerifyError| Failure::check(&subject.name, &error);
        if statement.subject_of_sha256(&subject.sha256).is_none() {
            return Err(failed(
                Check::Digest.failed_by(
                    Cause::OtherArtifact,
                    "no subject of the statement is this artifact",
                ),
            ));
        }
        let provenance = provenance_of(args, &statement).map_err(failed)?;
        let level = provenance.map(|provenance| BuildLevel::of(Some(&provenance), None));
        let checks = vec![Check::Statement.name(), Check::Digest.name()];
        let evidence = Evidence { checks, ..Evidence::default() };
        reported.push(verified_file(subject, &statement, level, evidence));
    }
    Ok(Report::of_verified(reported)
        .note("no signature was demanded: anybody may have written this"))
}

/// The statement of the bundle beside the subject, else of the file of unsigned provenance.
fn unsigned_statement(args: &AttestVerifyArgs, subject: &Subject) -> Result<Statement, Failure> {
    let beside = subject.bundle_path().is_some_and(|path| path.exists());
    let failed = |error: provenance::StatementError| {
        Failure::check(&subject.name, &Check::Statement.failed_by(Cause::Unsupported, error))
    };
    if args.provenance.is_none() && (args.bundle.is_some() || beside) {
        let bundle = bundle_of(subject, args.bundle.as_deref())?;
        return match &bundle.as_wire().content {
            BundleContent::DsseEnvelope(envelope) => {
                Statement::parse(envelope.payload.as_slice()).map_err(failed)
            }
            BundleContent::MessageSignature(_) => {
                let reason = "the bundle signs the file itself, and states nothing of it";
                Err(Failure::check(
                    &subject.name,
                    &Check::Statement.failed_by(Cause::OtherKind, reason),
                ))
            }
        };
    }
    let default = Path::new(UNSIGNED_PROVENANCE);
    let path = args.provenance.as_deref().unwrap_or(default);
    if args.provenance.is_none() && !path.exists() {
        return Err(Failure::unsigned(&subject.name, path));
    }
    let json = files::read(path, provenance::MAX_STATEMENT_LEN, "provenance")?;
    Statement::parse(&json).map_err(failed)
}

fn verified_file(
    subject: &Subject,
    statement: &Statement,
    level: Option<BuildLevel>,
    evidence: Evidence,
) -> VerifiedFile {
    VerifiedFile {
        subject: subject.name.clone(),
        sha256: hex::encode(subject.sha256),
        level: level.map(|level| level.to_string()),
        predicate_type: Some(statement.predicate_type().to_owned()),
        evidence,
    }
}

fn names_identity(args: &IdentityArgs) -> bool {
    args.subject.is_some()
        || args.subject_regexp.is_some()
        || args.issuer.is_some()
        || args.issuer_regexp.is_some()
}
