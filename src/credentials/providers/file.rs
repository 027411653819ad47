//! Tokens in files that somebody else renews, systemd credentials among them.
//!
//! Owns that a file which can't be read is a failing source: whoever writes it may be about to.

use super::{World, place, printed};
use crate::credentials::declare::TokenFile;
use crate::credentials::evidence::Evidence;
use crate::credentials::mint::Minted;
use crate::model::CredentialClass;

/// Reads the token from its file.
pub(super) async fn mint(file: &TokenFile, world: &World) -> Result<Minted, Evidence> {
    let text = place::read(&file.place, world)
        .await
        .map_err(|evidence| Evidence { class: CredentialClass::SourceFailing, ..evidence })?;
    printed::read(text.expose(), &file.place.words(), world.clock.now())
}
