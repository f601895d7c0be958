use super::{block_on, bundle_paths, signer::PreparedSigner};
use crate::{
    Failure, Report, SignedFile, World,
    cli::SignArgs,
    files::{self, Outputs},
    report::Evidence,
    signing::Payload,
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
    let paths = bundle_paths(&subjects, args.signer.bundle.as_deref())?;
    block_on(async {
        let signer = PreparedSigner::new(&args.signer, world).await?;
        let (mut reported, mut outputs) = (Vec::new(), Outputs::default());
        for ((subject, file), path) in subjects.iter().zip(&args.files).zip(&paths) {
            let artifact = files::read_artifact(file)?;
            let signed = signer.sign(Payload::Artifact(&artifact), world).await?;
            reported.push(SignedFile::new(subject, Evidence::of(&signed.verified)));
            outputs.stage(path, signed.json.as_bytes())?;
        }
        Ok(Report::of_signed(reported, outputs.publish()?))
    })
}
