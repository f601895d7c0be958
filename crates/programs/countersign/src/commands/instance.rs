//! The trust of a command: what options and variables name, else what is pinned.
//!
//! Pinned trust is used as it is until its metadata expires; then it is brought up to date first,
//! or, when that fails, not used.

use std::path::Path;

use super::block_on;
use crate::{
    Failure, World,
    cli::TrustArgs,
    failure::Exit,
    services::HttpClient,
    trust::{LoadedTrust, PinError, TrustDirectory, TrustFileError, TrustFiles},
};

/// The trust to sign by; `None` where nothing says whom to trust.
pub(super) async fn to_sign(
    args: &TrustArgs,
    signing_config: Option<&Path>,
    world: &World,
) -> Result<Option<LoadedTrust>, Failure> {
    match at_hand(args, signing_config, world)? {
        AtHand::Trust(loaded) => Ok(Some(*loaded)),
        AtHand::Nothing => Ok(None),
        AtHand::Expired(directory) => {
            let loaded = renewed(&directory, world).await?;
            Ok(Some(loaded.with_signing_config(signing_config)?))
        }
    }
}

/// The trust to verify by; `None` where nothing says whom to trust.
pub(super) fn to_verify(args: &TrustArgs, world: &World) -> Result<Option<LoadedTrust>, Failure> {
    match at_hand(args, None, world)? {
        AtHand::Trust(loaded) => Ok(Some(*loaded)),
        AtHand::Nothing => Ok(None),
        AtHand::Expired(directory) => block_on(renewed(&directory, world)).map(Some),
    }
}

/// What can be had without the network.
enum AtHand {
    Trust(Box<LoadedTrust>),
    Expired(TrustDirectory),
    Nothing,
}

fn at_hand(
    args: &TrustArgs,
    signing_config: Option<&Path>,
    world: &World,
) -> Result<AtHand, Failure> {
    let files = TrustFiles {
        trusted_root: args.trusted_root.clone(),
        trust_config: args.trust_config.clone(),
        signing_config: signing_config.map(Path::to_owned),
        default_trust_config: args.default_config(),
    };
    match LoadedTrust::load(&files) {
        Ok(loaded) => return Ok(AtHand::Trust(Box::new(loaded))),
        Err(TrustFileError::NoTrust) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(path) = &world.trust_directory else { return Ok(AtHand::Nothing) };
    let directory = TrustDirectory::new(path.clone());
    match directory.pinned()? {
        None => Ok(AtHand::Nothing),
        Some(pinned) if !args.offline && pinned.expires() <= world.now() => {
            Ok(AtHand::Expired(directory))
        }
        Some(pinned) => {
            let loaded = pinned.load()?.with_signing_config(signing_config)?;
            Ok(AtHand::Trust(Box::new(loaded)))
        }
    }
}

async fn renewed(directory: &TrustDirectory, world: &World) -> Result<LoadedTrust, Failure> {
    let http = HttpClient::new()?;
    let pinned =
        directory.renewed(&http, world.now()).await.map_err(|error| cause(error.into()))?;
    Ok(pinned.load()?)
}

/// Says why the network was used at all.
fn cause(failure: Failure) -> Failure {
    if failure.exit() != Exit::Unavailable {
        return failure;
    }
    failure.because_of("the pinned trust has expired and cannot be renewed").advise(
        "run `countersign trust update` where the repository can be reached, or give --offline to \
         trust what is pinned as it is",
    )
}

impl From<PinError> for Failure {
    fn from(error: PinError) -> Self {
        Self::of_exit_code(error.exit_code(), &error)
    }
}
