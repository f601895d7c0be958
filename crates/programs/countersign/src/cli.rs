//! The command line. Names are contracts: people script against them.

mod conformance;
mod values;

use std::{fmt, path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand, ValueEnum};
use moment::UnixSeconds;
use url::Url;

use self::values::{ServiceUrlParser, path_or_nothing, sha256, text, token_source};

pub(crate) use conformance::{
    ConformanceCommand, ConformanceSignArgs, ConformanceVerifyArgs, PublicInstanceArgs,
};

/// Sign and attest files, and verify what was signed.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How to say what happened.
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

impl Cli {
    /// How to say what happened.
    #[must_use]
    pub fn output_format(&self) -> OutputFormat {
        self.output
    }
}

/// How a command says what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// One JSON object, for machines.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// State how artifacts were built, sign it, verify it
    #[command(subcommand)]
    Attest(AttestCommand),
    /// Sign files; writes FILE.sigstore.json beside each
    Sign(SignArgs),
    /// Verify signed files
    Verify(VerifyArgs),
    /// Whom to trust, pinned once for all commands
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Speak the protocol of the public Sigstore conformance suite
    #[command(subcommand)]
    Conformance(ConformanceCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Pin an instance by its TUF repository
    ///
    /// From then on commands need no option to trust it, and use no network to do so until the
    /// repository's metadata expires.
    Init(TrustInitArgs),
    /// Show what is pinned
    Show,
    /// Fetch what the pinned instance says now
    Update,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("anchor").required(true)))]
pub(crate) struct TrustInitArgs {
    /// The TUF repository
    #[arg(long, value_name = "URL", value_parser = ServiceUrlParser)]
    pub(crate) url: Url,
    /// Its root.json, which came by another way than from that URL
    #[arg(long, value_name = "FILE", group = "anchor")]
    pub(crate) root: Option<PathBuf>,
    /// SHA-256 of its root.json, which is then taken from that URL
    #[arg(long, value_name = "HEX", group = "anchor", value_parser = sha256)]
    pub(crate) root_checksum: Option<[u8; 32]>,
    /// Forget the instance that is pinned
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AttestCommand {
    /// Make build provenance of the subjects and sign it
    ///
    /// With neither --key nor --keyless the provenance is written unsigned (SLSA build L1).
    GenerateAndSign(GenerateAndSignArgs),
    /// Make build provenance of the subjects, unsigned
    Generate(GenerateArgs),
    /// Sign a predicate about the subjects, or a ready statement as it is
    Sign(AttestSignArgs),
    /// Verify attestations of the subjects
    ///
    /// With neither --key, --cert nor --keyless only digests are checked (SLSA build L1 at most).
    Verify(Box<AttestVerifyArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateAndSignArgs {
    #[command(flatten)]
    pub(crate) subjects: SubjectArgs,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    /// Where to write the provenance as JSON; unsigned: provenance.intoto.jsonl if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) output_prov: Option<PathBuf>,
    /// Where to write the signed envelope (DSSE), beside the bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) output_signed_prov: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) subjects: SubjectArgs,
    /// Where to write the provenance
    #[arg(long, value_name = "FILE", default_value = UNSIGNED_PROVENANCE)]
    pub(crate) output_prov: PathBuf,
}

/// Where unsigned provenance is, when nothing else is said.
pub(crate) const UNSIGNED_PROVENANCE: &str = "provenance.intoto.jsonl";

#[derive(Debug, Args)]
pub(crate) struct AttestSignArgs {
    #[command(flatten)]
    pub(crate) what: StatedArgs,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    /// Where to write the signed envelope (DSSE), beside the bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) output_signed_prov: Option<PathBuf>,
}

/// What `attest sign` states: a predicate about subjects, or what a ready statement says.
#[derive(Debug, Args)]
pub(crate) struct StatedArgs {
    /// Artifacts, as for `attest generate`. May be repeated
    #[arg(long, required_unless_present = "statement", value_name = "FILES",
        value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) subjects: Vec<String>,
    /// The predicate, JSON
    #[arg(long, required_unless_present = "statement", value_name = "FILE")]
    pub(crate) predicate: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) predicate_type: TypeArgs,
    /// A ready in-toto statement, signed byte for byte; its bundle is STATEMENT.sigstore.json
    /// unless --bundle is given
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subjects", "predicate", "predicate_type"])]
    pub(crate) statement: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AttestVerifyArgs {
    #[command(flatten)]
    pub(crate) subjects: SubjectArgs,
    /// Bundle of all subjects; if not given, SUBJECT.sigstore.json of each
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Unsigned provenance to check, when no signature is demanded
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "cert", "keyless", "bundle"])]
    pub(crate) provenance: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) expected_key: ExpectedKeyArgs,
    /// Demand a signature by an identity of a trusted CA
    #[arg(long, conflicts_with_all = ["key", "cert"])]
    pub(crate) keyless: bool,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// The source repository: its whole URL, or org/repo on the forge that the trust configuration
    /// names for such names, else on that of --certificate-oidc-issuer
    #[arg(long, value_name = "ORG/REPO", value_parser = text, requires = "keyless")]
    pub(crate) verify_repo: Option<String>,
    /// The branch (`main` is exactly refs/heads/main) or full ref (refs/tags/v1)
    #[arg(long, value_name = "REF", value_parser = text, requires = "keyless")]
    pub(crate) verify_ref: Option<String>,
    /// The owner of the source repository: its name or whole URL, as for --verify-repo
    #[arg(long, value_name = "ORG", value_parser = text, requires = "keyless")]
    pub(crate) verify_org: Option<String>,
    #[command(flatten)]
    pub(crate) predicate_type: TypeArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// Files to sign
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Files to verify, or sha256:HEX with --bundle
    #[arg(required = true, value_name = "FILE", value_parser = text)]
    pub(crate) files: Vec<String>,
    /// Bundle of the one file; if not given, FILE.sigstore.json
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Also accept an attestation that names the file, whatever it states
    #[arg(long)]
    pub(crate) attestation: bool,
    #[command(flatten)]
    pub(crate) expected_key: ExpectedKeyArgs,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// Artifacts: files separated by white space, @FILE with one on each line, or a checksum list
    /// in base64. May be repeated
    #[arg(long, required = true, value_name = "FILES", value_parser = text)]
    pub(crate) subjects: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TypeArgs {
    /// Predicate type: a URI, or slsaprovenance1, spdxjson, cyclonedx
    #[arg(long = "type", value_name = "TYPE", default_value = "slsaprovenance1")]
    pub(crate) predicate_type: PredicateType,
}

#[derive(Debug, Args)]
pub(crate) struct SignerArgs {
    /// Sign with this private key: PEM (PKCS#8) of an EC, RSA or Ed25519 key
    #[arg(long, value_name = "FILE", conflicts_with = "keyless")]
    pub(crate) key: Option<PathBuf>,
    /// Sign with a short-lived certificate for your identity
    #[arg(long)]
    pub(crate) keyless: bool,
    /// Identity token: the token, @FILE, or - for standard input. The variable `SIGSTORE_ID_TOKEN`
    /// has the one to use when none is given
    #[arg(long, value_name = "TOKEN|@FILE|-", value_parser = token_source)]
    identity_token: Option<TokenSource>,
    // An argument only so that clap reads the environment, and nothing else does.
    #[arg(long, env = "SIGSTORE_ID_TOKEN", hide = true, hide_env_values = true)]
    default_identity_token: Option<TokenSource>,
    /// Token for a log that takes entries of callers with one: the token, @FILE, or - for standard input. It is
    /// sent to that log alone. The variable `COUNTERSIGN_LOG_TOKEN` has the one to use when none is given
    #[arg(long, value_name = "TOKEN|@FILE|-", value_parser = token_source)]
    log_token: Option<TokenSource>,
    // An argument only so that clap reads the environment, and nothing else does.
    #[arg(long, env = "COUNTERSIGN_LOG_TOKEN", hide = true, hide_env_values = true)]
    default_log_token: Option<TokenSource>,
    /// Audience of a token for the log to ask the CI for, such as the log's URL; no token is asked for if not given
    #[arg(long, value_name = "AUDIENCE", value_parser = text, conflicts_with = "log_token")]
    pub(crate) log_audience: Option<String>,
    /// Audience to ask for when the CI gives the token; if not given, the one that the instance's
    /// countersign.json names, else sigstore
    #[arg(long, value_name = "AUDIENCE", value_parser = text)]
    pub(crate) oidc_audience: Option<String>,
    /// Whether a signature by --key is logged
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) tlog_upload: bool,
    /// Where to write the one bundle; if not given, SUBJECT.sigstore.json of each
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Signing config: where to sign
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,
}

impl SignerArgs {
    /// Where the token is.
    pub(crate) fn token_source(&self) -> Option<TokenSource> {
        given(self.identity_token.as_ref(), self.default_identity_token.as_ref())
    }

    /// Whether an option, and not the environment alone, says that the log is sent a token.
    pub(crate) const fn demands_log_token(&self) -> bool {
        self.log_token.is_some() || self.log_audience.is_some()
    }

    /// Where the token for the log is.
    pub(crate) fn log_token_source(&self) -> Option<TokenSource> {
        given(self.log_token.as_ref(), self.default_log_token.as_ref())
    }
}

/// An option, else its variable; an empty one is how scripts unset it.
fn given(option: Option<&TokenSource>, variable: Option<&TokenSource>) -> Option<TokenSource> {
    let is_set =
        |source: &&TokenSource| !matches!(source, TokenSource::Token(token) if token.is_empty());
    option.or(variable.filter(is_set)).cloned()
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// CA to use; in verification, the only one accepted. Creates no trust
    #[arg(long = "fulcio-server-url", visible_aliases = ["fulcio-url", "fulcio"], value_name = "URL", value_parser = ServiceUrlParser)]
    pub(crate) fulcio: Option<Url>,
    /// Log to use; in verification, the only one accepted. Creates no trust
    #[arg(long = "rekor-server-url", visible_aliases = ["rekor-url", "rekor"], value_name = "URL", value_parser = ServiceUrlParser)]
    pub(crate) rekor: Option<Url>,
    /// Timestamp authority to use; in verification, the only one accepted. Creates no trust
    #[arg(long = "timestamp-server-url", visible_alias = "timestamp-url", value_name = "URL", value_parser = ServiceUrlParser)]
    pub(crate) timestamp: Option<Url>,
}

impl ServiceArgs {
    /// Whether no URL is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.fulcio.is_none() && self.rekor.is_none() && self.timestamp.is_none()
    }
}

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Trusted root: whom to trust
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Client trust config: trusted root and signing config in one. The variable
    /// `COUNTERSIGN_TRUST_CONFIG` names the one to use when nothing else says whom to trust
    #[arg(long, value_name = "FILE")]
    pub(crate) trust_config: Option<PathBuf>,
    /// Take pinned trust as it is, also when it has expired
    #[arg(long)]
    pub(crate) offline: bool,
    // An argument only so that clap reads the environment, and nothing else does.
    #[arg(long, env = "COUNTERSIGN_TRUST_CONFIG", hide = true, value_parser = path_or_nothing)]
    default_trust_config: Option<PathBuf>,
}

impl TrustArgs {
    /// Whether an option says whom to trust.
    pub(crate) fn is_empty(&self) -> bool {
        self.trusted_root.is_none() && self.trust_config.is_none()
    }

    /// The default of the environment; an empty variable is how scripts unset one.
    pub(crate) fn default_config(&self) -> Option<PathBuf> {
        self.default_trust_config.clone().filter(|path| !path.as_os_str().is_empty())
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExpectedKeyArgs {
    /// Demand a signature by this public key, PEM
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Demand a signature by the key of this certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cert_chain")]
    pub(crate) cert: Option<PathBuf>,
    /// Chain of the certificate up to its trusted root, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) cert_chain: Option<PathBuf>,
}

/// How much evidence there must be.
#[derive(Debug, Args)]
pub(crate) struct EvidenceArgs {
    /// How many timestamp authorities must have stamped the signature; if not given, the
    /// time that a log signed will do
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) min_timestamps: Option<u8>,
    /// How many logs must have shown the signature; if not given, one for a certificate of a
    /// trusted CA
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) min_logs: Option<u8>,
    /// The name that the bundle gives the key of --key or --cert, where that is no digest of it
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) key_hint: Option<String>,
}

impl EvidenceArgs {
    /// Whether anything is demanded.
    pub(crate) fn is_empty(&self) -> bool {
        self.min_timestamps.is_none() && self.min_logs.is_none() && self.key_hint.is_none()
    }

    /// As the verifier wants them, at unix second `now`.
    pub(crate) fn conditions(&self, now: UnixSeconds) -> verify::Conditions<'_> {
        verify::Conditions {
            now,
            min_timestamps: self.min_timestamps.map(usize::from),
            min_logs: self.min_logs.map(usize::from),
            key_name: self.key_hint.as_deref(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// Identity that must have signed: email address or URI. Needs its issuer
    #[arg(long = "certificate-identity", value_name = "IDENTITY", value_parser = text, conflicts_with_all = ["subject_regexp", "key", "cert"])]
    pub(crate) subject: Option<String>,
    /// The same as a regular expression, found anywhere unless anchored by ^ and $
    #[arg(long = "certificate-identity-regexp", value_name = "REGEXP", value_parser = text, conflicts_with_all = ["key", "cert"])]
    pub(crate) subject_regexp: Option<String>,
    /// OIDC issuer that must have vouched for the identity
    #[arg(long = "certificate-oidc-issuer", value_name = "URL", value_parser = text, conflicts_with_all = ["issuer_regexp", "key", "cert"])]
    pub(crate) issuer: Option<String>,
    /// The same as a regular expression
    #[arg(long = "certificate-oidc-issuer-regexp", value_name = "REGEXP", value_parser = text, conflicts_with_all = ["key", "cert"])]
    pub(crate) issuer_regexp: Option<String>,
}

/// Where an identity token is. Never shown: it may be the token itself.
#[derive(Clone)]
pub(crate) enum TokenSource {
    Token(String),
    File(PathBuf),
    StandardInput,
}

impl FromStr for TokenSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix('@') {
            Some(path) => Self::File(path.into()),
            None if text == "-" => Self::StandardInput,
            None => Self::Token(text.to_owned()),
        })
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(..)")
    }
}

/// URI of a predicate type, also by cosign's short names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PredicateType(pub(crate) String);

impl FromStr for PredicateType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri = match text {
            "slsaprovenance1" => provenance::PREDICATE_TYPE_SLSA_V1,
            "spdxjson" => "https://spdx.dev/Document",
            "cyclonedx" => "https://cyclonedx.org/bom",
            uri if is_uri(uri) => uri,
            other => return Err(format!("`{other}` is neither a URI nor a known short name")),
        };
        Ok(Self(uri.to_owned()))
    }
}

fn is_uri(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_itself_without_contradiction() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    fn parses(arguments: &str) -> bool {
        Cli::try_parse_from(arguments.split(' ')).is_ok()
    }

    #[test]
    fn takes_the_commands_that_are_documented() {
        for arguments in [
            "countersign attest generate-and-sign --subjects dist/a",
            "countersign attest generate-and-sign --subjects a --key private-key.pem",
            "countersign attest generate-and-sign --subjects a --keyless --fulcio-server-url http://localhost:1 \
             --rekor-server-url http://localhost:2 --timestamp-server-url http://localhost:3/api/v1/timestamp",
            "countersign attest verify --subjects dist/artifact",
            "countersign attest verify --subjects dist/artifact --key public.pem",
            "countersign attest verify --subjects dist/artifact --cert cert.pem --cert-chain chain.pem",
            "countersign attest verify --subjects dist/artifact --keyless",
            "countersign attest verify --subjects a --keyless --rekor http://localhost:1 --fulcio http://localhost:2",
            "countersign attest verify --subjects a --keyless --verify-repo my-org/my-secure-repo --verify-ref main",
            "countersign attest sign --subjects a --predicate p.json --type spdxjson",
            "countersign sign a b --rekor-url http://localhost:1 --fulcio-url http://localhost:2",
            "countersign verify a --key public.pem --output json",
            "countersign sign a --key k.pem --tlog-upload=false",
            "countersign attest sign --statement s.json --key k.pem",
            "countersign conformance sign-bundle --staging --in-toto --identity-token e30.e30.AA \
             --bundle b --trusted-root r --signing-config c f",
            "countersign conformance verify-bundle --staging --bundle b --certificate-identity i \
             --certificate-oidc-issuer o --trusted-root r f",
            "countersign conformance verify-bundle --bundle b --key k sha256:00",
        ] {
            assert!(
                parses(&arguments.split_whitespace().collect::<Vec<_>>().join(" ")),
                "{arguments}"
            );
        }
    }

    #[test]
    fn rejects_what_cannot_be_meant() {
        for arguments in [
            "countersign",
            "countersign attest",
            "countersign trust init",
            "countersign attest generate-and-sign",
            "countersign attest generate-and-sign --subjects a --key k --keyless",
            "countersign attest generate-and-sign --subjects a --rekor-server-url not-a-url",
            "countersign attest generate-and-sign --subjects a --rekor-server-url file:///etc/passwd",
            "countersign attest verify --subjects a --key k --keyless",
            "countersign attest verify --subjects a --cert c",
            "countersign attest verify --subjects a --cert-chain c",
            "countersign attest verify --subjects a --verify-repo a/b",
            "countersign attest verify --subjects a --key k --certificate-identity a",
            "countersign attest sign --subjects a --predicate p --type nonsense",
            "countersign attest sign --subjects a",
            "countersign attest sign --predicate p",
            "countersign attest sign --statement s --subjects a",
            "countersign attest sign --statement s --predicate p",
            "countersign attest sign --statement s --type spdxjson",
            "countersign conformance sign-bundle --bundle b f",
            "countersign conformance sign-bundle --identity-token t f",
            "countersign conformance verify-bundle --bundle b f",
            "countersign conformance verify-bundle --bundle b --certificate-identity i f",
            "countersign conformance verify-bundle --bundle b --certificate-oidc-issuer o f",
            "countersign conformance verify-bundle --bundle b --key k --certificate-identity i \
             --certificate-oidc-issuer o f",
            "countersign conformance verify-bundle --key k f",
            "countersign conformance sign-bundle --identity-token= --bundle b f",
            "countersign conformance sign-bundle --identity-token t --bundle= f",
            "countersign attest sign --statement= --key k",
            "countersign attest sign --subjects= --predicate p",
            "countersign verify",
            "countersign sign",
            "countersign sign a --output yaml",
            "countersign attest sign --subjects a --predicate p --type ://",
        ] {
            let words = arguments.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(!parses(&words), "{arguments}");
        }
    }

    #[test]
    fn refuses_every_option_that_is_empty_and_names_it() {
        use clap::{CommandFactory, error::ErrorKind};
        let mut root = Cli::command();
        root.build();
        let mut tried = 0;
        let mut open = vec![(vec!["countersign".to_owned()], root)];
        while let Some((words, command)) = open.pop() {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let takes_value = argument.get_action().takes_values();
                let Some(long) = argument.get_long().filter(|_| takes_value) else { continue };
                let option = format!("--{long}");
                let given = words.iter().cloned().chain([format!("{option}=")]);
                let error = Cli::try_parse_from(given).unwrap_err();
                let kinds = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
                assert!(kinds.contains(&error.kind()), "{words:?} {option}: {error}");
                assert!(error.to_string().contains(&option), "{words:?}: {error}");
                tried += 1;
            }
            for below in command.get_subcommands().filter(|one| one.get_name() != "help") {
                let name = below.get_name().to_owned();
                open.push((words.iter().cloned().chain([name]).collect(), below.clone()));
            }
        }
        assert!(tried > 80, "{tried}");
    }

    #[test]
    fn shows_no_credentials_of_a_url_that_it_refuses() {
        for url in
            ["http://u:secret@ca.example", "ftp://u:secret@x", "http://u:secret@:x", "secret"]
        {
            let error = Cli::try_parse_from(["countersign", "sign", "a", "--fulcio", url]);
            let error = error.unwrap_err().to_string();
            assert!(error.contains("--fulcio-server-url") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn shows_no_token() {
        let cli =
            Cli::try_parse_from(["countersign", "sign", "a", "--identity-token", "secret-token"]);
        assert!(!format!("{:?}", cli.unwrap()).contains("secret-token"));
        let default = "--default-identity-token=secret-token";
        let cli = Cli::try_parse_from(["countersign", "sign", "a", default]);
        assert!(!format!("{:?}", cli.unwrap()).contains("secret-token"));
        let suite =
            "countersign conformance sign-bundle --identity-token secret-token --bundle b a";
        let cli = Cli::try_parse_from(suite.split(' '));
        assert!(!format!("{:?}", cli.unwrap()).contains("secret-token"));
    }
}
