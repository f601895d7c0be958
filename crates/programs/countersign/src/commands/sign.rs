use super::{block_on, bundle_paths, signer::PreparedSigner};
use crate::{
    Failure, Report, SignedFile, World,
    cli::SignArgs,
    files::Outputs,
    report::Evidence,
    signing::{Payload, SigningError},
    subjects::Subject,
};

/// `sign FILE...`: one bundle for each file, none written before all are signed.
pub(super) fn run(args: &SignArgs, world: &World) -> Result<Report, Failure> {
    if args.signer.bundle.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("one bundle cannot hold the signatures of several files")
            .advise("leave --bundle out, or use `attest`, which signs one statement of all"));
    }
    let subjects: Vec<Subject> =
        args.files.iter().map(|path| Subject::of_file(path)).collect::<Result<_, _>>()?;
    // Before a key is read or anybody asked for one.
    for subject in &subjects {
        check_meaning(subject)?;
    }
    let paths = bundle_paths(&subjects, args.signer.bundle.as_deref())?;
    block_on(async {
        let signer = PreparedSigner::new(&args.signer, world).await?;
        let (mut reported, mut outputs) = (Vec::new(), Outputs::default());
        for ((subject, file), path) in subjects.iter().zip(&args.files).zip(&paths) {
            let artifact = subject.read(file)?;
            let signed = signer.sign(Payload::Artifact(&artifact), world).await?;
            reported.push(SignedFile::new(subject, Evidence::of(&signed.verified)));
            outputs.stage(path, signed.json.as_bytes())?;
        }
        Ok(Report::of_signed(reported, outputs.publish()?))
    })
}

/// Refuses, by its first bytes alone, a file that signing would refuse as a whole.
pub(super) fn check_meaning(subject: &Subject) -> Result<(), Failure> {
    if wire::dsse::begins_like_pae(&subject.beginning) {
        let failure = Failure::from(SigningError::AttestationAsFile);
        return Err(failure.because_of(&format!("{} cannot be signed", subject.name)));
    }
    Ok(())
}
