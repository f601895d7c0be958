//! One command each: from arguments to a report.

mod attest_sign;
mod attest_verify;
mod conformance;
mod expected_signer;
mod instance;
mod sign;
mod signer;
mod subject_bundle;
mod trust;
mod verify;

use std::path::{Path, PathBuf};

use crate::{
    Failure, Report, World,
    cli::{AttestCommand, Cli, Command},
    files::refuse_to_replace,
    subjects::Subject,
};

/// Carries out one command.
///
/// # Errors
/// [`Failure`], whose [`Exit`](crate::Exit) is the process's exit code.
pub fn run(cli: Cli, world: &World) -> Result<Report, Failure> {
    match cli.command {
        Command::Attest(AttestCommand::GenerateAndSign(args)) => {
            attest_sign::generate_and_sign(&args, world)
        }
        Command::Attest(AttestCommand::Generate(args)) => attest_sign::generate(&args, world),
        Command::Attest(AttestCommand::Sign(args)) => attest_sign::sign(&args, world),
        Command::Attest(AttestCommand::Verify(args)) => attest_verify::run(&args, world),
        Command::Sign(args) => sign::run(&args, world),
        Command::Verify(args) => verify::run(&args, world),
        Command::Trust(command) => trust::run(&command, world),
        Command::Conformance(command) => conformance::run(&command, world),
    }
}

/// Runs what talks to services. Verification starts no runtime, but to renew pinned trust that
/// expired.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("no runtime could be started: {error}")))?
        .block_on(work)
}

/// Where the bundles go: one for all, or one beside each subject.
fn bundle_paths(subjects: &[Subject], one: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    if let Some(path) = one {
        for input in subjects.iter().filter_map(|subject| subject.path.as_deref()) {
            refuse_to_replace(input, path)?;
        }
        return Ok(vec![path.to_owned()]);
    }
    let beside = |subject: &Subject| {
        subject.bundle_path().ok_or_else(|| {
            let message = format!("subject `{}` is no file to put a bundle beside", subject.name);
            Failure::usage(message).advise("give --bundle")
        })
    };
    subjects.iter().map(beside).collect()
}
