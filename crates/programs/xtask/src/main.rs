//! Repository tasks: demo, test, interop, bench.
//!
//! `cargo xtask demo [--keep]`, `cargo xtask test [faults|init|replicas|fuzz|levers] [--kills N] [--seconds S] [--entries N] [--rounds N] [--writes N]`,
//! `cargo xtask interop [--core|PART]`, `cargo xtask bench [log|ca|tsa|client] [--json FILE]`. Each sets up
//! what it needs by itself and says what is missing when it cannot.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to a terminal")]

mod advisories;
mod bench;
mod compose_page;
mod demo;
mod fuzz;
mod interop;
mod levers;
mod options;
mod paths;
mod postgres;
mod process;
mod stack;
mod test;
mod two_tenants;

use std::process::ExitCode;

use options::Options;

const USAGE: &str = "usage:
  cargo xtask demo [--keep]
  cargo xtask test [faults|init|replicas|fuzz|levers] [--kills N] [--seconds S] [--entries N] [--rounds N] [--writes N]
  cargo xtask test compose-page [--compose 1|2] [--only CASE,CASE]
  cargo xtask interop [--core|bundles|old-forms|images|commits|timestamps|clock|tenants|chains]
  cargo xtask interop identities [--only SCENE] [--write-docs]
  cargo xtask bench [log|ca|tsa|client] [--json FILE] [--seconds S] [--against COMMIT [--rounds N]]
  cargo xtask bench log --entries N [--seconds S] [--rounds N]
  cargo xtask bench idle [--seconds S]
  cargo xtask lint";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(task) = arguments.next() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let outcome = Options::parse(arguments).and_then(|options| match task.as_str() {
        "demo" => demo::run(&options),
        "test" => test::run(&options),
        "interop" => interop::run(&options),
        "bench" => bench::run(&options),
        "lint" => test::lint(),
        _ => anyhow::bail!("unknown task `{task}`\n{USAGE}"),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {task}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
