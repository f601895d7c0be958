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
//! - `services`: one service each, and how they run and end together.
//! - `token`: tokens of that identity provider.
//! - `fsck`: verification of what is stored.
//! - `oidc`: the development identity provider.
//! - `data_dir`, `keys`, `certificates`, `endpoints`: what outlives a start.

mod certificates;
mod cli;
mod data_dir;
mod dev;
mod endpoints;
mod fsck;
mod keys;
mod log_lines;
mod logs;
mod oidc;
mod services;
mod token;

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use cli::{Cli, Command};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.log);
    let outcome =
        match cli.command {
            Command::Dev(arguments) => block_on(dev::run(arguments)),
            Command::Token(arguments) => token::run(&arguments).map(|()| ExitCode::SUCCESS),
            Command::Fsck(arguments) => block_on(fsck::run(arguments)),
            Command::Probe(arguments) => block_on(async move {
                services::probe(&arguments.url).await.map(|()| ExitCode::SUCCESS)
            }),
        };
    outcome.unwrap_or_else(|error| {
        // `{:#}` prints the causes on the same line.
        eprintln!("countersignd: {error:#}");
        ExitCode::FAILURE
    })
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
fn start_logging(filter: EnvFilter) {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log_lines::LogLines)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.location = place, "a thread panicked");
        print(panic);
    }));
}
