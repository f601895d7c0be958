//! The public instances that the conformance suite means when it names no files.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use verify::Trust;

use super::{
    LoadedTrust, TrustFileError, TrustFiles,
    names::{ForgeOfNames, Said},
};

/// An instance of the public Sigstore services, with what it said of itself when this was built.
///
/// Nobody refreshes these files: they change only with this program, and what the instance has
/// rotated since is not known here. So nothing but `countersign conformance` uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicInstance {
    /// The public-good instance: targets `trusted_root.json` and `signing_config.v0.2.json` of the
    /// TUF repository that sigstore/root-signing publishes, commit 60cf2ce8 of 2026-08-21.
    PublicGood,
    /// The staging instance: the same targets of sigstore/root-signing-staging, commit ed88d5dc of
    /// 2026-08-21.
    Staging,
}

impl PublicInstance {
    /// Its trust and services; files, where given, take the place of what is built in.
    ///
    /// # Errors
    /// [`TrustFileError`].
    pub fn load(
        self,
        trusted_root: Option<&Path>,
        signing_config: Option<&Path>,
    ) -> Result<LoadedTrust, TrustFileError> {
        let BuiltIn { trusted_root: root, signing_config: config } = self.built_in();
        let mut loaded = if let Some(path) = trusted_root {
            let trusted_root = Some(path.to_owned());
            LoadedTrust::load(&TrustFiles { trusted_root, ..TrustFiles::default() })?
        } else {
            let trust = Trust::from_root(built_in("trusted root", root)?)
                .map_err(|source| TrustFileError::Root { path: no_path(), source })?;
            LoadedTrust {
                trust,
                signing_config: None,
                names: ForgeOfNames::Pinned(Said::default()),
            }
        };
        loaded.signing_config = Some(built_in("signing config", config)?);
        loaded.with_signing_config(signing_config)
    }

    fn built_in(self) -> BuiltIn {
        match self {
            Self::PublicGood => BuiltIn {
                trusted_root: include_str!("../../instances/public-good.trusted_root.json"),
                signing_config: include_str!("../../instances/public-good.signing_config.json"),
            },
            Self::Staging => BuiltIn {
                trusted_root: include_str!("../../instances/staging.trusted_root.json"),
                signing_config: include_str!("../../instances/staging.signing_config.json"),
            },
        }
    }
}

/// The files of an instance, JSON.
struct BuiltIn {
    trusted_root: &'static str,
    signing_config: &'static str,
}

fn built_in<T: DeserializeOwned>(what: &'static str, json: &str) -> Result<T, TrustFileError> {
    wire::json::from_str(json).map_err(|source| TrustFileError::Json {
        what,
        path: no_path(),
        source,
    })
}

/// How messages name what is in no file.
fn no_path() -> PathBuf {
    PathBuf::from("what is built in")
}

#[cfg(test)]
mod tests {
    use moment::UnixSeconds;

    use super::*;
    use crate::{services::LogProtocol, trust::UrlOverrides};

    /// 2026-09-01, after the files were taken.
    const NOW: UnixSeconds = UnixSeconds(1_788_220_800);

    #[test]
    fn knows_whom_to_trust_and_where_to_sign() {
        for (instance, ca, protocol) in [
            (PublicInstance::PublicGood, "https://fulcio.sigstore.dev/", LogProtocol::RekorV1),
            (PublicInstance::Staging, "https://fulcio.sigstage.dev/", LogProtocol::RekorV2),
        ] {
            let loaded = instance.load(None, None).unwrap();
            let root = loaded.trust.root();
            assert!(root.tlogs.len() > 1 && root.certificate_authorities.len() > 1);
            let endpoints = loaded.endpoints(&UrlOverrides::default(), NOW).unwrap();
            let authority = endpoints.certificate_authority.unwrap().to_string();
            assert_eq!(authority.trim_end_matches('/'), ca.trim_end_matches('/'));
            assert_eq!(endpoints.transparency_log.unwrap().protocol, Some(protocol));
            assert_eq!(endpoints.timestamp_authorities.len(), 1);
        }
    }

    #[test]
    fn gives_way_to_the_files_that_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let (root, config) = (directory.path().join("root"), directory.path().join("config"));
        let staging = PublicInstance::Staging.built_in().signing_config;
        let empty = r#"{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
        std::fs::write(&root, empty).unwrap();
        std::fs::write(&config, staging).unwrap();
        let loaded = PublicInstance::PublicGood.load(Some(&root), Some(&config)).unwrap();
        assert!(loaded.trust.root().tlogs.is_empty());
        let config = loaded.signing_config.unwrap();
        assert_eq!(config.ca_urls[0].url, "https://fulcio.sigstage.dev");
        let missing = Path::new("/no/such/file");
        PublicInstance::PublicGood.load(Some(missing), None).unwrap_err();
        PublicInstance::PublicGood.load(None, Some(missing)).unwrap_err();
    }
}
