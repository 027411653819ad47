//! `auth revoke`: the end of a grant, on purpose.
//!
//! Owns the blast radius and the question. Refuses to forget a grant that its server has not ended, unless
//! told so.

use super::desk::{Desk, confirmed, failed, refused};
use super::item::Item;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::cli::print::note;
use crate::credentials::declare::Declaration;
use crate::credentials::login::revoke::{self, Revoked, also_ends};
use crate::credentials::operator;
use crate::credentials::record::Grant;
use crate::credentials::refresh::Why;
use crate::model::{CredentialName, JobName};

/// Ends a grant at its server and forgets it, after showing what else that ends.
///
/// At Google it ends everything that the account has granted to any client of the same project.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// Which
    name: String,
    /// Forget it here only; at its server it stays valid
    #[arg(long)]
    local_only: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn revoke(session: &mut Session, desk: &Desk, args: &RevokeArgs) -> Result<Exit> {
    let declaration = desk.find(&args.name)?;
    let name = &declaration.name;
    let grant = grant(desk, declaration)?;
    radius(desk, declaration, args.local_only);
    let question = if args.local_only { "forget its grant?" } else { "revoke it?" };
    if !confirmed(question, args.yes)? {
        session.print.note("nothing was done")?;
        return Ok(Exit::BadNews);
    }
    let how = if args.local_only {
        "forgotten here, and still valid at its server".to_owned()
    } else {
        match Box::pin(revoke::revoke(declaration, &grant, &desk.world)).await {
            Ok(Revoked::Proven) => "revoked: a refresh was tried, and refused".to_owned(),
            Ok(Revoked::Accepted) => "revoked, as its server says".to_owned(),
            Err(error) => {
                let hint = format!("jadactl auth revoke {name} --local-only forgets it here");
                return Err(refused(&error).hint(hint));
            }
        }
    };
    let nature = desk.nature(declaration);
    let forgotten = operator::forget(&desk.ask(&nature, Why::Forced)).await;
    forgotten.map_err(|evidence| failed(&evidence))?;
    if session.print.json {
        session.print.json(&Item::kept(desk, declaration))?;
    } else {
        session.print.line(&format!("{name} is {how}"))?;
    }
    Ok(Exit::Done)
}

fn grant(desk: &Desk, declaration: &Declaration) -> Result<Grant> {
    let name = &declaration.name;
    if !declaration.provider.spends_a_grant() {
        let key = declaration.provider.key();
        let error = Error::usage(format!("{name} is a `{key}`, which has no grant to revoke"));
        return Err(error.hint(format!(
            "end it where it was issued, then: jadactl auth rotate {name} --from FILE"
        )));
    }
    let record = desk.record(name).map_err(|evidence| failed(&evidence))?;
    record.and_then(|record| record.grant).ok_or_else(|| {
        let error = Error::new(Exit::BadNews, format!("nothing is kept of {name} to be revoked"));
        error.hint(format!("jadactl auth status {name} tells how it stands"))
    })
}

/// Says who will be without it.
fn radius(desk: &Desk, declaration: &Declaration, local_only: bool) {
    let jobs = |name: &CredentialName| {
        let jobs = desk.jobs(name);
        let jobs: Vec<&str> = jobs.iter().map(JobName::as_str).collect();
        if jobs.is_empty() { "no job".to_owned() } else { jobs.join(", ") }
    };
    let name = &declaration.name;
    note(&format!("{name} is used by: {}", jobs(name)));
    let others = if local_only { Vec::new() } else { also_ends(declaration, &desk.declarations) };
    for other in others {
        note(&format!("it may end {other} too, used by: {}", jobs(&other)));
    }
}
