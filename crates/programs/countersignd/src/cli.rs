use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use oidc::{Ci, ClaimOverride};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::dev::PortBase;

/// A private software-signing stack: CA, transparency logs, timestamps, trust.
#[derive(Debug, Parser)]
#[command(name = "countersignd", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to log, as `level` or `target=level,...`; by default `info,sqlx=warn`
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER", value_parser = log_filter)]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every service and a development identity provider in this process
    Dev(DevArguments),
    /// Run services as a configuration file describes them
    Serve(ServeArguments),
    /// Make what a configuration's services need; never replaces what is there
    Init(InitArguments),
    /// Explain every problem of a configuration and of what it names
    Check(CheckArguments),
    /// Print a token of the development identity provider
    Token(TokenArguments),
    /// Verify what is stored; nothing else may have a SQLite log open
    Fsck(FsckArguments),
    /// Translate a Fulcio configuration (JSON or YAML) into ours, and say what could not be
    ImportFulcioConfig(ImportArguments),
    /// Show what a token would get from the CA, or which rule refuses it
    ExplainToken(ExplainArguments),
    /// Order a running CA to do something about its issuers
    #[command(subcommand)]
    Issuer(IssuerCommand),
    /// Change what a log is for
    #[command(subcommand)]
    Log(LogCommand),
    /// Ask an http URL and fail unless it answers 200; for health checks of containers
    Probe(ProbeArguments),
}

impl Command {
    /// The configuration that it works with.
    pub(crate) fn config(&self) -> Option<&Path> {
        let arguments = match self {
            Self::Serve(arguments) => &arguments.config,
            Self::Init(arguments) => &arguments.config,
            Self::Check(arguments) => &arguments.config,
            Self::Fsck(arguments) => return arguments.config.as_deref(),
            Self::ExplainToken(arguments) => return arguments.config.as_deref(),
            Self::Issuer(IssuerCommand::Refresh(arguments)) => return arguments.config.as_deref(),
            Self::Log(LogCommand::Freeze(arguments)) => return arguments.config.as_deref(),
            Self::Log(LogCommand::Restore(arguments)) => &arguments.config,
            Self::Log(LogCommand::BeginAnew(arguments)) => &arguments.config,
            Self::Dev(_) | Self::Token(_) | Self::Probe(_) | Self::ImportFulcioConfig(_) => {
                return None;
            }
        };
        Some(&arguments.config)
    }
}

#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Where keys, certificates, the log and the trust files are kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// First of eight ports in a row, or `auto` for free ones, or 0 for
    /// 5555 6962 3000 3003 3004 3005 3006 3007
    #[arg(long, value_name = "N|auto", default_value = "0")]
    pub(crate) port_base: PortBase,
    /// PostgreSQL for the logs, in place of SQLite in the data directory
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Listen on this address beside loopback: anybody who reaches it can get certificates
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<IpAddr>,
    /// Let nobody log in over HTTP, where every user of this machine can be anybody: tokens are made by
    /// `token` alone. So it is with `--listen` beyond loopback
    #[arg(long)]
    pub(crate) no_login: bool,
    /// File with seconds by which every clock of the process is moved; for tests
    #[arg(long, value_name = "FILE")]
    pub(crate) clock_offset_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Ask the CT log too, and demand that the issuer of `[oidc-dev]` answers as the others have to
    #[arg(long)]
    pub(crate) online: bool,
    /// Ask nobody: no issuer, no CT log
    #[arg(long, conflicts_with = "online")]
    pub(crate) offline: bool,
    /// Check the configuration and its issuers alone: no keys, databases or files of the services
    #[arg(long)]
    pub(crate) issuers: bool,
}

/// Whom `check` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Nobody,
    /// The issuers, as a CA would; the development provider need not run yet.
    Issuers,
    /// All issuers, and the CT log.
    All,
}

impl CheckArguments {
    /// Whom it asks by these.
    pub(crate) fn asks(&self) -> Asks {
        match (self.offline, self.online) {
            (true, _) => Asks::Nobody,
            (false, false) => Asks::Issuers,
            (false, true) => Asks::All,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum IssuerCommand {
    /// Fetch keys now, whatever the interval says, and tell what changed
    Refresh(RefreshArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Let a log take nothing more, for good; it stays readable. Says what to write into the configuration
    Freeze(FreezeArguments),
    /// Bring back what was signed and the database has not any more, from a copy that still has it
    Restore(RestoreArguments),
    /// End a log for ever that cannot be restored, and make the next one, which has another host and key
    BeginAnew(BeginAnewArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// Of the log's table: [log.NAME]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The copy: a file `log.db`, or a `postgres://` URL (password in ~/.pgpass). It is migrated
    #[arg(long, value_name = "FILE|URL", required_unless_present = "checkpoint")]
    pub(crate) from: Option<String>,
    /// The newest checkpoint of the log that anybody has, where no anchor has one
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

#[derive(Debug, Args)]
pub(crate) struct BeginAnewArguments {
    /// Of the table of the log that ends: [log.NAME]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Of the table of the log that begins: [log.NEXT], with another host
    #[arg(long, value_name = "NEXT")]
    pub(crate) next: String,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FreezeArguments {
    /// Of the log's table: [log.NAME]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Freeze it also where it is the last one to which clients are sent, or whose SCTs a CA needs
    #[arg(long)]
    pub(crate) last: bool,
    /// Configuration of `countersignd serve`
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", conflicts_with_all = ["data_dir", "database_url"])]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of `countersignd dev`
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// PostgreSQL of the logs of `dev`, when they are not in the data directory
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RefreshArguments {
    /// Configuration of `countersignd serve ca` or `serve all`
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", conflicts_with = "data_dir")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of `countersignd dev`
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// Only this CA of the configuration; by default all of them
    #[arg(long, value_name = "NAME", conflicts_with = "data_dir")]
    pub(crate) ca: Option<String>,
    /// Only the issuer with this `url` or `url_pattern`
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Drop the known keys first: tokens are refused until the issuer has answered
    #[arg(long)]
    pub(crate) forget: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Which services
    #[arg(value_enum)]
    pub(crate) part: Part,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Make only keys, certificates and the database's password; ask no database
    #[arg(long)]
    pub(crate) secrets_only: bool,
}

/// What one process of `serve` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The certificate authority
    Ca,
    /// The CT logs and the Rekor logs
    Log,
    /// The timestamp authority
    Tsa,
    /// The trust files and the TUF repository
    Trust,
    /// All of these
    All,
    /// The development identity provider; whoever can run `token` beside it is anybody
    OidcDev,
}

impl Part {
    pub(crate) const ALL: [Self; 6] =
        [Self::Ca, Self::Log, Self::Tsa, Self::Trust, Self::All, Self::OidcDev];

    /// Name on the command line, in configuration, and of its directory.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Log => "log",
            Self::Tsa => "tsa",
            Self::Trust => "trust",
            Self::All => "all",
            Self::OidcDev => "oidc-dev",
        }
    }

    /// Whether a process of this part runs `other`.
    pub(crate) fn includes(self, other: Self) -> bool {
        self == other || (self == Self::All && other != Self::OidcDev)
    }
}

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// Data directory of `countersignd dev`, or of `serve oidc-dev`
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_DATA_DIR", default_value = DEFAULT_DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// Claim `sub`; without it one that fits the other options
    #[arg(long, value_name = "S")]
    pub(crate) sub: Option<String>,
    /// Claim `email`, marked as verified; without it the subject is a URI
    #[arg(long, value_name = "E")]
    pub(crate) email: Option<String>,
    /// Claim `aud`; without it `sigstore`, or the one that the CI system always writes
    #[arg(long, value_name = "A")]
    pub(crate) aud: Option<String>,
    /// The claims of a job of that CI system, from an issuer of its own
    #[arg(long, value_name = CI_NAMES)]
    pub(crate) ci: Option<Ci>,
    /// Set one claim; members of objects as `object.member`; may be repeated
    #[arg(long = "claim", value_name = "K=V")]
    pub(crate) claims: Vec<ClaimOverride>,
    /// Lifetime in seconds; a negative one makes an expired token
    #[arg(long, value_name = "S", default_value_t = 600, allow_negative_numbers = true)]
    pub(crate) expires_in: i64,
}

#[derive(Debug, Args)]
pub(crate) struct FsckArguments {
    /// What to verify
    #[arg(value_enum, default_value_t = FsckTarget::All)]
    pub(crate) target: FsckTarget,
    /// Data directory of `countersignd dev`
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// Configuration of `countersignd serve`, whose data it is then
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_dir", "database_url"])]
    pub(crate) config: Option<PathBuf>,
    /// PostgreSQL of the logs, when they are not in the data directory
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The configuration of Fulcio
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Name of the CA in our configuration
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) ca: String,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// Configuration of `countersignd serve`, whose issuers are asked
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of `countersignd dev`
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub(crate) data_dir: PathBuf,
    /// The CA of the configuration, where it has several
    #[arg(long, value_name = "NAME", conflicts_with = "data_dir")]
    pub(crate) ca: Option<String>,
    /// Check the signature with the keys of this file, a JWK Set
    #[arg(long, value_name = "FILE", conflicts_with = "online")]
    pub(crate) keys: Option<PathBuf>,
    /// Check the signature with the keys that the issuer publishes now
    #[arg(long)]
    pub(crate) online: bool,
    /// Refuse to read a token of any other issuer
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t = OutputForm::Text)]
    pub(crate) output: OutputForm,
    /// The token, or @FILE, or - for standard input: a token on the command line is seen by others
    #[arg(value_name = "TOKEN|@FILE|-", default_value = "-")]
    pub(crate) token: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// Lines
    Text,
    /// One JSON object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArguments {
    /// What to ask; by default whether all services of the process are ready
    #[arg(default_value = "http://127.0.0.1:3007/readyz")]
    pub(crate) url: Url,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FsckTarget {
    /// Every leaf hash, tile, tree head and signed checkpoint
    Log,
    /// The CA's key and certificates
    Ca,
    /// The timestamp authority's key and certificates
    Tsa,
    /// The published trust files
    Trust,
    /// Everything
    All,
}

const CI_NAMES: &str = "github|gitlab|azure|jenkins|buildkite|circleci|bitbucket|kubernetes";

const DEFAULT_DATA_DIR: &str = ".countersign";

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
