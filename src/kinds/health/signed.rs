//! An `http` probe that shows a credential.
//!
//! Owns what follows from a refusal: the credential is refreshed once, and the request made once more.
//! Refuses to let a program or a template have it.

use super::http::{self, Ask};
use super::probe::{Cause, Found};
use crate::credentials::keeper::Refused;
use crate::kinds::wire::{Answer, Caller, NoLease, refusal};
use crate::model::FailureClass;

/// Why there is no answer.
enum Short {
    /// The credential was refused.
    Refused(Refused),
    /// Something else is found out already.
    Found(Found),
}

impl From<NoLease> for Short {
    fn from(none: NoLease) -> Self {
        match none {
            NoLease::Refused(refused) => Self::Refused(refused),
            NoLease::Never(words) => Self::Found(Found::unknown(words)),
        }
    }
}

/// Asks, and measures what is wanted. The refusal of the credential comes second, where there was one.
pub(super) async fn read(ask: &Ask<'_>, caller: &Caller<'_>) -> (Found, Option<Refused>) {
    match signed(ask, caller).await {
        Ok(answer) => (http::measure(answer, ask).await, None),
        Err(Short::Found(found)) => (found, None),
        Err(Short::Refused(refused)) => {
            let cause = Cause { class: FailureClass::Unauthorized, ..Cause::TRANSIENT };
            (Found::Unknown(refused.words.clone(), cause), Some(refused))
        }
    }
}

async fn signed(ask: &Ask<'_>, caller: &Caller<'_>) -> Result<Answer, Short> {
    let declared = caller.declared()?;
    let request = http::filled(ask.request).map_err(Short::Found)?;
    let steps = async |lease| {
        let answer = http::walked(&request, ask, (&*declared, lease)).await;
        answer.map_err(Short::Found)
    };
    let lease = caller.lease().await?;
    let mut answer = steps(&lease).await?;
    let Some(evidence) = refusal(&mut answer).await else { return Ok(answer) };
    let newer = caller.instead(&lease, evidence, false).await?;
    let mut answer = steps(&newer).await?;
    if let Some(evidence) = refusal(&mut answer).await {
        caller.instead(&newer, evidence, true).await?;
    }
    Ok(answer)
}
