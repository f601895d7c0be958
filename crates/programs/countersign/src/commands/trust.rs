use super::block_on;
use crate::{
    Failure, Report, World,
    cli::{TrustCommand, TrustInitArgs},
    files,
    report::PinnedInstance,
    services::HttpClient,
    trust::{Anchor, PinError, Pinned, TrustDirectory},
};

/// `trust init|show|update`.
pub(super) fn run(command: &TrustCommand, world: &World) -> Result<Report, Failure> {
    let directory = world.trust_directory()?;
    let pinned = match command {
        TrustCommand::Init(args) => init(args, &directory)?,
        TrustCommand::Show => directory.pinned()?.ok_or(PinError::Nothing)?,
        TrustCommand::Update => {
            block_on(async { Ok(directory.update(&HttpClient::new()?).await?) })?
        }
    };
    let report = report(&pinned, &directory)?;
    Ok(if pinned.expires() <= world.now() {
        report.note("its metadata has expired: the next command that needs it renews it first")
    } else {
        report
    })
}

fn init(args: &TrustInitArgs, directory: &TrustDirectory) -> Result<Pinned, Failure> {
    let anchor = match (&args.root, args.root_checksum) {
        (Some(path), _) => Anchor::Root(files::read(path, files::MAX_SMALL_FILE, "root")?),
        (None, Some(sha256)) => Anchor::Checksum(sha256),
        (None, None) => return Err(Failure::usage("give --root or --root-checksum")),
    };
    block_on(async {
        let http = HttpClient::new()?;
        Ok(directory.init(&http, args.url.as_str(), &anchor, args.replace).await?)
    })
}

fn report(pinned: &Pinned, directory: &TrustDirectory) -> Result<Report, Failure> {
    let loaded = pinned.load()?;
    let root = loaded.trust.root();
    let logs = root.tlogs.iter().map(|log| log.base_url.clone());
    let authorities = root.certificate_authorities.iter().map(|ca| ca.uri.clone());
    let stamps = root.timestamp_authorities.iter().map(|tsa| tsa.uri.clone());
    Ok(Report::of_trust(PinnedInstance {
        url: pinned.url.clone(),
        directory: directory.path().display().to_string(),
        root_version: pinned.root_version,
        root_sha256: pinned.root_sha256(),
        expires: verify::rfc3339(pinned.expires()),
        logs: logs.collect(),
        certificate_authorities: authorities.collect(),
        timestamp_authorities: stamps.collect(),
        unusable: loaded.trust.unusable().iter().map(ToString::to_string).collect(),
    }))
}
