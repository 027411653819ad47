//! Tokens that a program prints.
//!
//! Owns nothing but the way from the program to the token. A failure is the source's: the token at hand
//! stays good until its own end.

use super::{World, printed, program};
use crate::credentials::declare::Exec;
use crate::credentials::evidence::Evidence;
use crate::credentials::mint::Minted;

/// Runs the program, and takes the token that it prints.
pub(super) async fn mint(exec: &Exec, world: &World) -> Result<Minted, Evidence> {
    let output = program::run(&exec.run, exec.timeout, world).await?;
    let what = exec.run.first().map_or("the program", String::as_str);
    printed::read(&String::from_utf8_lossy(&output), what, world.clock.now())
}
