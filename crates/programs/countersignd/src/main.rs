//! `countersignd`: every Countersign service in one program.
//!
//! The only crate that sees all services. It loads keys, opens databases, binds
//! listeners and wires the services' routers behind the shared layers; what a
//! service does is in its own crate.
//!
//! It refuses to: listen beyond loopback unless told to, start twice on one data
//! directory, replace a key that it cannot read, and go on after a task of it
//! has panicked.
//!
//! - `cli`: the command line.
//! - `dev`: all services and a development identity provider in one process.
//! - `deployment`: an installation as a value, any number of each.
//! - `config`, `deployment_dirs`: that value from a file, and where `serve` keeps what it names.
//! - `serve`: making what a deployment needs, checking it, starting it.
//! - `services`: one service each, and how they run and end together.
//! - `logs`, `known_logs`, `log_orders`: the logs of a deployment, those that the database has, and the end of one.
//! - `anchors`, `restore_orders`: what a restore does not reach, and the ways out of one.
//! - `token`: tokens of that identity provider.
//! - `fsck`: verification of what is stored.
//! - `import`: a Fulcio configuration in our words. `explain`: what a token would get, and why.
//! - `admin`: orders to a running process.
//! - `output`, `event_lines`, `audit_file`: what is said and logged, in which text of others is inert.
//! - `data_dir`, `keys`, `certificates`, `endpoints`: what outlives a start. `ours`: whose a file is.

mod admin;
mod anchors;
mod audit_file;
mod certificates;
mod cli;
mod config;
mod data_dir;
mod deployment;
mod deployment_dirs;
mod dev;
mod endpoints;
mod event_lines;
mod explain;
mod fsck;
mod import;
mod keys;
mod known_logs;
mod locked;
mod log_orders;
mod logs;
mod ours;
mod output;
mod restore_orders;
mod room;
mod serve;
mod services;
mod token;

use std::process::ExitCode;

use anyhow::Context;
use audit_file::AuditFile;
use cli::{Cli, Command, IssuerCommand, LogCommand};
use deployment::Telemetry;
use mimalloc::MiMalloc;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

/// Requests are short-lived pieces of many sizes on many threads (docs/adr/0033-an-allocator-of-its-own.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let Cli { log, command } = match output::parse(&arguments) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    output::finish(run(log.as_deref(), command).unwrap_or_else(|error| {
        output::fail(&error);
        ExitCode::FAILURE
    }))
}

fn run(log: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    let config = command.config().map(config::load).transpose()?;
    let telemetry = config.as_ref().map(|deployment| &deployment.telemetry);
    let part = match &command {
        Command::Serve(arguments) => Some(arguments.part.name()),
        // It signs the first TUF metadata.
        Command::Init(_) => Some("init"),
        _ => None,
    };
    let audit = match (part, telemetry.and_then(|telemetry| telemetry.audit_dir.as_deref())) {
        (Some(part), Some(directory)) => Some(AuditFile::open(directory, part)?),
        _ => None,
    };
    let filter = start_logging(log, telemetry, audit);
    match (command, config) {
        (Command::Dev(arguments), _) => block_on(dev::run(arguments)),
        (Command::Token(arguments), _) => token::run(&arguments).map(|()| ExitCode::SUCCESS),
        (Command::Fsck(arguments), config) => block_on(fsck::run(arguments, config)),
        (Command::ImportFulcioConfig(arguments), _) => import::run(&arguments),
        (Command::ExplainToken(arguments), config) => block_on(explain::run(arguments, config)),
        (Command::Probe(arguments), _) => {
            block_on(
                async move { services::probe(&arguments.url).await.map(|()| ExitCode::SUCCESS) },
            )
        }
        (Command::Serve(arguments), Some(config)) => {
            let source = serve::Source { file: arguments.config.config, filter };
            block_on(serve::run(arguments.part, config, source))
        }
        (Command::Init(arguments), Some(config)) => {
            block_on(serve::init(arguments.secrets_only, config))
        }
        (Command::Check(arguments), Some(config)) => block_on(serve::check(config, arguments)),
        (Command::Issuer(IssuerCommand::Refresh(arguments)), config) => {
            block_on(admin::issuer_refresh(arguments, config))
        }
        (Command::Log(LogCommand::Freeze(arguments)), config) => {
            block_on(log_orders::freeze(arguments, config))
        }
        (Command::Log(LogCommand::Restore(arguments)), Some(config)) => {
            block_on(restore_orders::restore(arguments, config))
        }
        (Command::Log(LogCommand::BeginAnew(arguments)), Some(config)) => {
            block_on(restore_orders::begin_anew(arguments, config))
        }
        (Command::Log(_), None) => anyhow::bail!("a configuration is needed"),
        (Command::Serve(_) | Command::Init(_) | Command::Check(_), None) => {
            anyhow::bail!("a configuration is needed")
        }
    }
}

/// Signing and verifying have their own threads, so two workers carry the sockets of many cores.
const RUNTIME_WORKERS: usize = 2;

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_WORKERS)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(command);
    // A blocked disk must not hold up the exit; what was acknowledged is durable.
    runtime.shutdown_background();
    outcome
}

/// Logs go to standard error: standard output belongs to what a command was asked for.
///
/// The command line and `RUST_LOG` count before the configuration.
fn start_logging(
    filter: Option<&str>,
    telemetry: Option<&Telemetry>,
    audit: Option<AuditFile>,
) -> LogFilter {
    let configured = telemetry.and_then(|telemetry| telemetry.log.as_deref());
    let is_configured = filter.is_none();
    let (filter, handle) = reload::Layer::new(filter_of(filter.or(configured)));
    let changeable = LogFilter(is_configured.then_some(handle));
    // A line that nobody can read any more is lost. The formatter would say so by `eprintln!`, which
    // panics where standard error is a closed pipe: at the signature whose trail it was to write.
    let lines = fmt::layer().log_internal_errors(false);
    let lines = if telemetry.is_some_and(|telemetry| telemetry.json) {
        lines.json().with_writer(event_lines::EventLines::Json).with_filter(filter).boxed()
    } else {
        // No colours: an escape sequence in the log would be a caller's.
        lines
            .with_ansi(false)
            .with_writer(event_lines::EventLines::Text)
            .with_filter(filter)
            .boxed()
    };
    // Whatever the filter of the log: who asks for fewer lines there did not ask for a trail with holes.
    let audit = audit.map(|file| {
        let only = Targets::new().with_target(event_lines::AUDIT, LevelFilter::INFO);
        fmt::layer().log_internal_errors(false).json().with_writer(file).with_filter(only)
    });
    tracing_subscriber::registry().with(lines).with(audit).init();
    output::report_panics();
    changeable
}

fn filter_of(words: Option<&str>) -> EnvFilter {
    EnvFilter::new(event_lines::with_audit(words.unwrap_or("info,sqlx=warn")))
}

/// The filter of the log, where the configuration has a say in it.
pub(crate) struct LogFilter(Option<reload::Handle<EnvFilter, Registry>>);

impl LogFilter {
    /// Takes over what the configuration says now.
    pub(crate) fn follow(&self, telemetry: &Telemetry) {
        let Some(handle) = &self.0 else { return };
        // It fails when there is no log any more, to which it could be said.
        let _ = handle.reload(filter_of(telemetry.log.as_deref()));
    }
}
