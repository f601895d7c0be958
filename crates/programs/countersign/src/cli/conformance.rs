//! The options of the public conformance suite, which are its and not ours to choose.

use std::{fmt, path::PathBuf, str::FromStr};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

#[derive(Debug, Subcommand)]
pub(crate) enum ConformanceCommand {
    /// Sign a file, or a statement with --in-toto, into a bundle
    SignBundle(ConformanceSignArgs),
    /// Verify a bundle; no policy over what a statement says
    VerifyBundle(ConformanceVerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConformanceSignArgs {
    #[command(flatten)]
    pub(crate) instance: PublicInstanceArgs,
    /// The file is an in-toto statement: sign its bytes in an envelope
    #[arg(long)]
    pub(crate) in_toto: bool,
    /// Identity token
    #[arg(long, value_name = "TOKEN")]
    pub(crate) identity_token: TokenText,
    /// Where to write the bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// Where to sign, in place of the instance's own signing config
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,
    /// The artifact, or with --in-toto the statement
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("signer").required(true)))]
pub(crate) struct ConformanceVerifyArgs {
    #[command(flatten)]
    pub(crate) instance: PublicInstanceArgs,
    /// The bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// Identity that must have signed
    #[arg(long, value_name = "IDENTITY", group = "signer", requires = "certificate_oidc_issuer",
        value_parser = NonEmptyStringValueParser::new())]
    pub(crate) certificate_identity: Option<String>,
    /// OIDC issuer that must have vouched for it
    #[arg(long, value_name = "URL", requires = "certificate_identity",
        value_parser = NonEmptyStringValueParser::new())]
    pub(crate) certificate_oidc_issuer: Option<String>,
    /// Public key that must have signed, PEM
    #[arg(long, value_name = "FILE", group = "signer")]
    pub(crate) key: Option<PathBuf>,
    /// The artifact or, unless such a file exists, its sha256:HEX
    #[arg(value_name = "FILE_OR_DIGEST", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) file_or_digest: String,
}

#[derive(Debug, Args)]
pub(crate) struct PublicInstanceArgs {
    /// The public staging instance in place of the public-good one
    #[arg(long)]
    pub(crate) staging: bool,
    /// Whom to trust, in place of the instance's own trusted root
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
}

/// An identity token, literally. Never shown.
#[derive(Clone)]
pub(crate) struct TokenText(pub(crate) String);

impl FromStr for TokenText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Err("there is no token") } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}
