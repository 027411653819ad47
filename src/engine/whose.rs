//! Whose incident a failure is: its own root's, or that of something it depends on.
//!
//! Owns the question, asked once before an incident opens or goes on. Refuses to know how runs and looks are
//! judged (`looks`), and what travels along which edge (`diagnosis/`).

use super::dispatch::Dispatcher;
use crate::model::Opening;
use crate::store::Result;

/// Whose incident a failure is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of its own root.
    Own,
    /// The open one of this key, which tells of it.
    Of(String),
}

impl Dispatcher {
    /// Whose incident that is which is about to be opened.
    ///
    /// # Errors
    /// What decides can't be read.
    #[expect(clippy::unused_async, reason = "the graph of causes is read here")]
    pub(super) async fn whose(&self, failing: &Opening) -> Result<Whose> {
        // A credential, a client or a file that has an incident by its own name is told of there.
        match self.open.said(&failing.root) {
            Some(said) => Ok(Whose::Of(said.key.clone())),
            None => Ok(Whose::Own),
        }
    }
}
