use std::path::{Path, PathBuf};

use provenance::{GivenStatement, Statement};
use serde_json::Value;
use wire::bundle::BundleContent;

use super::{
    block_on, bundle_paths,
    signer::{PreparedSigner, environment_of},
};
use crate::{
    Failure, Report, SignedFile, World,
    cli::{
        AttestSignArgs, GenerateAndSignArgs, GenerateArgs, SignerArgs, StatedArgs,
        UNSIGNED_PROVENANCE,
    },
    failure::in_one_line,
    files::{self, Outputs},
    report::Evidence,
    signing::{Payload, SignedBundle},
    subjects::{self, Subject},
};

/// Longest predicate read, in bytes: a large SBOM, below the longest statement.
const MAX_PREDICATE_LEN: usize = 12 * 1024 * 1024;

/// `attest generate`.
pub(super) fn generate(args: &GenerateArgs, world: &World) -> Result<Report, Failure> {
    let subjects = subjects::parse(&args.subjects.subjects)?;
    write_unsigned(&subjects, &args.output_prov, world)
}

/// `attest generate-and-sign`.
pub(super) fn generate_and_sign(
    args: &GenerateAndSignArgs,
    world: &World,
) -> Result<Report, Failure> {
    let subjects = subjects::parse(&args.subjects.subjects)?;
    if args.signer.key.is_none() && !args.signer.keyless {
        let path = args.output_prov.as_deref().unwrap_or(Path::new(UNSIGNED_PROVENANCE));
        return write_unsigned(&subjects, path, world);
    }
    let outputs = AttestOutputs {
        bundles: bundle_paths(&subjects, args.signer.bundle.as_deref())?,
        statement: args.output_prov.clone(),
        envelope: args.output_signed_prov.clone(),
    };
    let signed = block_on(async {
        let signer = PreparedSigner::new(&args.signer, world).await?;
        let statement = signer
            .build_environment(world)?
            .provenance()
            .statement(descriptors(&subjects))
            .map_err(|error| Failure::usage(error.to_string()))?;
        signer.sign(Payload::Statement(&statement), world).await
    })?;
    outputs.write(&subjects, &signed)
}

/// `attest sign`.
pub(super) fn sign(args: &AttestSignArgs, world: &World) -> Result<Report, Failure> {
    if let Some(path) = &args.what.statement {
        return sign_given(path, &args.signer, args.output_signed_prov.as_deref(), world);
    }
    let subjects = subjects::parse(&args.what.subjects)?;
    let statement = stated(&args.what, &subjects)?;
    let outputs = AttestOutputs {
        bundles: bundle_paths(&subjects, args.signer.bundle.as_deref())?,
        statement: None,
        envelope: args.output_signed_prov.clone(),
    };
    let signed = block_on(async {
        let signer = PreparedSigner::new(&args.signer, world).await?;
        signer.sign(Payload::Statement(&statement), world).await
    })?;
    outputs.write(&subjects, &signed)
}

/// The statement that the options make.
fn stated(args: &StatedArgs, subjects: &[Subject]) -> Result<Statement, Failure> {
    // Invariant: demanded by the command line.
    let path = args.predicate.as_deref().ok_or_else(|| Failure::usage("no predicate was given"))?;
    let predicate = files::read(path, MAX_PREDICATE_LEN, "predicate")?;
    let predicate: Value = wire::json::from_slice(&predicate).map_err(|error| {
        Failure::usage(format!("predicate {} is not JSON: {error}", path.display()))
    })?;
    let predicate_type = &args.predicate_type.predicate_type.0;
    Statement::new(descriptors(subjects), predicate_type, predicate)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// `attest sign --statement`: what the statement names is hashed by whoever wrote it.
fn sign_given(
    path: &Path,
    signer: &SignerArgs,
    envelope: Option<&Path>,
    world: &World,
) -> Result<Report, Failure> {
    let given = given_statement(path)?;
    let subjects = subjects_of(&given);
    let bundle = signer.bundle.clone().unwrap_or_else(|| beside(path));
    files::refuse_to_replace(path, &bundle)?;
    let outputs = AttestOutputs {
        bundles: vec![bundle],
        statement: None,
        envelope: envelope.map(Path::to_owned),
    };
    let signed = block_on(async {
        let signer = PreparedSigner::new(signer, world).await?;
        signer.sign(Payload::Given(&given), world).await
    })?;
    outputs.write(&subjects, &signed)
}

/// Reads a statement that is to be signed as it is.
pub(super) fn given_statement(path: &Path) -> Result<GivenStatement, Failure> {
    let json = files::read(path, provenance::MAX_STATEMENT_LEN, "statement")?;
    GivenStatement::parse(json).map_err(|error| {
        let reason = in_one_line(&error);
        Failure::usage(format!("statement {} cannot be signed: {reason}", path.display()))
    })
}

/// The subjects that a statement names by SHA-256, for the report.
pub(super) fn subjects_of(given: &GivenStatement) -> Vec<Subject> {
    let subjects = given.statement().subject().iter();
    subjects
        .filter_map(|subject| {
            let sha256 = hex::decode(subject.digest.get("sha256")?).ok()?.try_into().ok()?;
            Some(Subject::of_digest(&subject.name, sha256))
        })
        .collect()
}

/// Where the bundle of a statement is, when nothing else is said.
fn beside(statement: &Path) -> PathBuf {
    let mut path = statement.as_os_str().to_owned();
    path.push(".sigstore.json");
    path.into()
}

/// Where an attestation is written to.
struct AttestOutputs {
    bundles: Vec<PathBuf>,
    statement: Option<PathBuf>,
    envelope: Option<PathBuf>,
}

impl AttestOutputs {
    /// Writes all of it, or nothing.
    fn write(&self, subjects: &[Subject], signed: &SignedBundle) -> Result<Report, Failure> {
        let mut staged = Outputs::default();
        if let BundleContent::DsseEnvelope(envelope) = &signed.bundle.content {
            if let Some(path) = &self.statement {
                staged.stage(path, &lined(envelope.payload.0.clone()))?;
            }
            if let Some(path) = &self.envelope {
                // Invariant: texts only, which always have a JSON form.
                staged.stage(path, &lined(serde_json::to_vec(envelope).unwrap_or_default()))?;
            }
        }
        for path in &self.bundles {
            staged.stage(path, signed.json.as_bytes())?;
        }
        let evidence = Evidence::of(&signed.verified);
        let signed = subjects.iter().map(|subject| SignedFile::new(subject, evidence.clone()));
        Ok(Report::of_signed(signed.collect(), staged.publish()?))
    }
}

fn write_unsigned(subjects: &[Subject], path: &Path, world: &World) -> Result<Report, Failure> {
    let statement = environment_of(world)?
        .provenance()
        .statement(descriptors(subjects))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let json = statement.to_json().map_err(|error| Failure::usage(error.to_string()))?;
    let mut outputs = Outputs::default();
    outputs.stage(path, &lined(json))?;
    Ok(Report::of_signed(Vec::new(), outputs.publish()?).note("unsigned, SLSA build L1"))
}

fn descriptors(subjects: &[Subject]) -> Vec<provenance::ResourceDescriptor> {
    subjects.iter().map(Subject::descriptor).collect()
}

/// A JSON line.
fn lined(mut json: Vec<u8>) -> Vec<u8> {
    json.push(b'\n');
    json
}
