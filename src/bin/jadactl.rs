//! `jadactl`: asks a JADA daemon, and reads job files without one.

use std::process::ExitCode;

fn main() -> ExitCode {
    jada::cli::main(std::env::args_os())
}
