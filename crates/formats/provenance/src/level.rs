use std::fmt;

use crate::{CertificateClaims, Provenance};

/// Runner kinds that the platform hosts itself, so that no tenant administers the machine.
const HOSTED_RUNNERS: [&str; 3] = ["github-hosted", "gitlab-hosted", "buildkite-hosted"];

/// SLSA build level of what was verified. There is no L3: a signature made inside the job
/// can be had by every step of the job (SLSA 1.2, build track).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildLevel {
    /// No build provenance.
    L0,
    /// Provenance exists and names the artifact; whoever signed it, nobody hosted the build.
    L1,
    /// A hosted platform's identity signed it, and the provenance names that same platform.
    L2,
}

impl BuildLevel {
    /// The level that `provenance` reaches, signed by the holder of `signer`'s certificate.
    ///
    /// `None` is a signature by a bare key or none at all: a key says who holds it, never
    /// where the build ran, so L1 is the most.
    #[must_use]
    pub fn of(provenance: Option<&Provenance>, signer: Option<&CertificateClaims>) -> Self {
        let Some(provenance) = provenance else { return Self::L0 };
        let Some(signer) = signer else { return Self::L1 };
        let hosted = signer
            .runner_environment
            .as_deref()
            .is_some_and(|runner| HOSTED_RUNNERS.contains(&runner));
        let builder = Some(provenance.run_details.builder.id.as_str());
        let same_builder = signer.build_signer_uri.as_deref() == builder;
        if hosted && same_builder { Self::L2 } else { Self::L1 }
    }
}

impl fmt::Display for BuildLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L0 => "SLSA build L0",
            Self::L1 => "SLSA build L1",
            Self::L2 => "SLSA build L2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildEnvironment, LocalBuild};

    const SIGNER: &str = "https://github.com/o/r/.github/workflows/b.yml@refs/heads/main";

    fn provenance(builder: &str) -> Provenance {
        let mut provenance =
            BuildEnvironment::Local(LocalBuild { invocation: [0; 16] }).provenance();
        builder.clone_into(&mut provenance.run_details.builder.id);
        provenance
    }

    fn signer(runner: &str) -> CertificateClaims {
        CertificateClaims {
            build_signer_uri: Some(SIGNER.to_owned()),
            runner_environment: Some(runner.to_owned()),
            ..CertificateClaims::default()
        }
    }

    #[test]
    fn gives_l2_to_the_hosted_platform_that_names_itself() {
        let level = BuildLevel::of(Some(&provenance(SIGNER)), Some(&signer("github-hosted")));
        assert_eq!(level, BuildLevel::L2);
    }

    #[test]
    fn gives_l1_when_the_provenance_names_another_builder() {
        let level = BuildLevel::of(Some(&provenance("other")), Some(&signer("github-hosted")));
        assert_eq!(level, BuildLevel::L1);
    }

    #[test]
    fn gives_l1_to_a_runner_that_the_tenant_administers() {
        let level = BuildLevel::of(Some(&provenance(SIGNER)), Some(&signer("self-hosted")));
        assert_eq!(level, BuildLevel::L1);
    }

    #[test]
    fn gives_l1_to_a_key_and_to_no_signature() {
        assert_eq!(BuildLevel::of(Some(&provenance(SIGNER)), None), BuildLevel::L1);
        assert_eq!(BuildLevel::of(None, Some(&signer("github-hosted"))), BuildLevel::L0);
    }
}
