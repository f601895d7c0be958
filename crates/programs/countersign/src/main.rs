//! The binary `countersign`: arguments, environment and exit code around the library.

use std::{
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use countersign::{World, output, run};
use moment::UnixSeconds;

fn main() -> ExitCode {
    output::report_panics();
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match output::parse(&arguments) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    let format = cli.output_format();
    let world = World {
        clock: now,
        variables: ci_variables(),
        stdin: read_stdin,
        trust_directory: trust_directory(),
        on_terminal: output::is_watched(),
    };
    match run(cli, &world) {
        Ok(report) => ExitCode::from(output::succeed(&report, format)),
        Err(failure) => {
            output::fail(&failure, format);
            ExitCode::from(failure.exit().code())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where this program reads its clock")]
fn now() -> UnixSeconds {
    UnixSeconds::from_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn read_stdin(limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    io::stdin().lock().take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// The variables by which a CI describes itself, and no others.
fn ci_variables() -> std::collections::BTreeMap<String, String> {
    const PREFIXES: [&str; 3] = ["GITHUB_", "RUNNER_", "ACTIONS_ID_TOKEN_"];
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

/// Where pinned trust is: what the variable says, else the user's data directory (XDG).
fn trust_directory() -> Option<PathBuf> {
    let of = |name| {
        std::env::var_os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
    };
    of("COUNTERSIGN_TRUST_DIR").or_else(|| {
        // A relative one is to be ignored (XDG Base Directory Specification).
        let data = of("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let data = data.or_else(|| Some(of("HOME")?.join(".local/share")))?;
        Some(data.join("countersign/trust"))
    })
}
