//! The daemon: parses its arguments, runs, exits.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    jada::daemon::main(&jada::daemon::Args::parse())
}
