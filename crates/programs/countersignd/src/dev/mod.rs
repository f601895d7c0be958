//! `countersignd dev`: everything in one process, ready to be signed with.

mod faces;
mod ready;

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::Context;
use crypto::Signer;
use service::{Clock, OffsetClock, SystemClock};
use store::LogKind;
use tracing::warn;
use trust::TrustFiles;

use self::ready::Ready;
use crate::{
    certificates::{ChainPlace, ca_chain, tsa_chain},
    cli::DevArguments,
    data_dir::{DataDir, make_private, read_json, remove_if_present, write_json},
    endpoints::{self, BaseUrls, Face, Ports},
    keys::Keys,
    logs::{LogIdentities, Logs, open_store},
    services::{
        self, Background, Material, Publisher, Running, Servers, Shared, Signals, deployment,
    },
    token::LastStart,
};

/// `countersignd dev`: runs until SIGTERM or SIGINT.
pub(crate) async fn run(arguments: DevArguments) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    // From here on a signal ends an unfinished start too.
    let mut signals = Signals::listen()?;
    if let Some(address) = arguments.listen.filter(|_| is_beyond_loopback(&arguments)) {
        warn!(
            %address,
            "listening beyond loopback: whoever reaches this address can use a stack whose \
             identity provider trusts everybody with the data directory; nobody logs in over HTTP"
        );
    }
    let data_dir = DataDir::create(&arguments.data_dir)?;
    let _lock = data_dir.lock()?;
    remove_if_present(&data_dir.ready_file())?;

    let started = signals.unless(Box::pin(start(&arguments, &data_dir))).await?;
    let Some((running, ready)) = started else { return Ok(ExitCode::SUCCESS) };
    ready.announce(&data_dir, begin.elapsed())?;
    let failure = running.until_signalled(&mut signals).await;
    // What waits for the file must not find it while we go.
    remove_if_present(&data_dir.ready_file())?;
    running.stop(failure).await
}

/// Whether there is a page to log in on, where whoever sees it can be anybody.
fn may_log_in(arguments: &DevArguments) -> bool {
    !arguments.no_login && !is_beyond_loopback(arguments)
}

/// Whether others than this machine reach the stack.
fn is_beyond_loopback(arguments: &DevArguments) -> bool {
    arguments.listen.is_some_and(|address| !address.is_loopback())
}

async fn start(arguments: &DevArguments, data_dir: &DataDir) -> anyhow::Result<(Running, Ready)> {
    let clock_offset_file = match &arguments.clock_offset_file {
        Some(file) => Some(std::path::absolute(file)?),
        None => None,
    };
    let clock: Arc<dyn Clock> = match &clock_offset_file {
        Some(file) => Arc::new(OffsetClock::new(file)),
        None => Arc::new(SystemClock),
    };
    let last: Option<LastStart> = read_json(&data_dir.last_start_file())?;
    let (ports, bound) =
        endpoints::bind(arguments.port_base, arguments.listen, last.map(|last| last.ports)).await?;
    let sqlite_file = data_dir.log_database();
    if arguments.database_url.is_none() {
        // It names users and repositories.
        make_private(&sqlite_file)?;
    }
    let (secrets, store) = tokio::join!(
        make_secrets(data_dir.clone(), clock.now().0),
        open_store(&sqlite_file, arguments.database_url.as_deref())
    );
    let (keys, material) = secrets?;
    let store = store.context("cannot open the log's database")?;
    let tree_id = rekor::tree_id(store.as_ref(), LogKind::Rekor1.as_str()).await?;
    write_json(&data_dir.tree_id_file(), &tree_id)?;
    // Before anybody can ask for a token of this start.
    write_json(&data_dir.last_start_file(), &LastStart { ports, clock_offset_file })?;

    let shared = Shared::new(clock);
    let logs = LogIdentities::of_dev(tree_id);
    let files = trust_files(data_dir, &ports, &logs, &material, shared.clock.now().0)?;
    let (signers, tuf_keys, face_keys) = faces::distribute(keys);
    let tuf_dir = data_dir.tuf_dir();
    let (trust, logs) = tokio::join!(
        services::open_trust(&shared, &tuf_dir, tuf_keys, files),
        Logs::start(data_dir, &logs, store, &signers, &shared)
    );
    let (trust, logs) = (trust?, logs?);
    trust.write_to(&data_dir.trust_dir())?;
    let (served, ca) = faces::build(
        &shared,
        &ports,
        (face_keys, may_log_in(arguments)),
        (&logs, &signers),
        (&material, &trust, data_dir.issuer_keys()),
    )?;
    let servers = Servers::start(
        served.into_iter().zip(bound).collect(),
        &service::TrustedProxies::default(),
    )?;
    let background = Background::default();
    background.spawn(|shutdown| trust.keep_fresh(shutdown));
    services::all_ready(&Face::ALL.map(|face| (face, ports.of(face)))).await?;
    services::keep_issuers(&background, ca, data_dir.admin_socket());
    let ready = Ready::new(&BaseUrls::from(&ports), data_dir);
    Ok((Running { servers, logs: Some(logs), background }, ready))
}

fn trust_files(
    data_dir: &DataDir,
    ports: &Ports,
    logs: &LogIdentities,
    material: &Material,
    now: u64,
) -> anyhow::Result<TrustFiles> {
    let deployment =
        deployment(Publisher::of_dev(data_dir), &BaseUrls::from(ports), logs, material)?;
    Ok(TrustFiles::build(&deployment, now)?)
}

/// Reads the keys and chains, and makes those that are missing.
async fn make_secrets(data_dir: DataDir, now: u64) -> anyhow::Result<(Keys, Material)> {
    let make = move || {
        let keys = Keys::load_or_make(&data_dir)?;
        let material = Material {
            ca_chain: ca_chain(&ChainPlace::of_dev(&data_dir, "ca"), &keys.ca, now)?,
            tsa_chain: tsa_chain(&ChainPlace::of_dev(&data_dir, "tsa"), &keys.tsa, now)?,
            ct: keys.ct.public_key().clone(),
            rekor1: keys.rekor1.public_key().clone(),
            rekor1_tiles: keys.rekor1_tiles.public_key().clone(),
            rekor2: keys.rekor2.public_key().clone(),
        };
        Ok((keys, material))
    };
    tokio::task::spawn_blocking(make).await.context("making keys panicked")?
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn people_log_in_only_where_nobody_else_reaches_the_stack() {
        let may = |options: &[&str]| {
            let words = [["countersignd", "dev"].as_slice(), options].concat();
            let Command::Dev(arguments) = Cli::try_parse_from(words).unwrap().command else {
                panic!("another command")
            };
            may_log_in(&arguments)
        };
        assert!(may(&[]));
        assert!(may(&["--listen", "127.0.0.2"]) && may(&["--listen", "::1"]));
        for address in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(!may(&["--listen", address]), "{address}");
        }
        assert!(!may(&["--no-login"]));
    }
}
