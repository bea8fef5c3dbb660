//! `auth test`: a login tried without one.

use super::desk::Desk;
use super::route::Stop;
use super::rows::Rows;
use super::wire::{Code, Hidden, Problem};
use skein_auth::{Accepted, Heard, Identity, Refusal, Step};
use skein_base::{Secret, ShardId};
use skein_config::Then;
use std::net::IpAddr;

/// A row for each source that was asked, and one with what it comes to; a refusal is a problem too.
pub(crate) async fn test(
    desk: &Desk,
    (user, authzid, from): (String, Option<String>, Option<IpAddr>),
    Hidden(password): Hidden,
    rows: &Rows,
) -> Result<(), Stop> {
    let password = Secret::new(password.into_bytes());
    let name = user.clone();
    let tried = desk.ask(ShardId(0), async move |host| {
        let who = Identity { user: &name, authzid: authzid.as_deref(), from };
        host.try_login(who, &password).await
    });
    let (steps, outcome, waits_ms) = tried.await?;
    for step in &steps {
        rows.row([
            ("user", step.user.as_str().into()),
            ("list", if step.of_masters { "auth.masters" } else { "auth.sources" }.into()),
            ("source", step.source.as_str().into()),
            ("says", says(step).into()),
            ("rule", step.then.map(Then::word).into()),
        ])
        .await?;
    }
    let accepted = outcome.as_ref().ok();
    let account = |accepted: &Accepted| accepted.user.as_str().to_owned();
    let master = |accepted: &Accepted| Some(accepted.master.as_ref()?.as_str().to_owned());
    rows.row([
        ("result", if accepted.is_some() { "accepted" } else { "refused" }.into()),
        ("account", accepted.map(account).into()),
        ("master", accepted.and_then(master).into()),
        ("would_wait_ms", waits_ms.into()),
    ])
    .await?;
    match outcome {
        Ok(_) => Ok(()),
        Err(refusal) => Err(why(&user, refusal, &steps).into()),
    }
}

fn says(step: &Step) -> &'static str {
    match step.heard {
        Heard::Skipped => "not asked",
        Heard::Match if step.deny => "is on this deny list",
        Heard::Match => "right password",
        Heard::Mismatch => "wrong password",
        Heard::Unknown => "no such user",
        Heard::Unavailable => "does not answer",
    }
}

fn why(user: &str, refusal: Refusal, steps: &[Step]) -> Problem {
    let any = |heard| steps.iter().any(|step| step.heard == heard);
    let (code, text) = match refusal {
        Refusal::Wrong if steps.iter().any(|step| step.deny && step.heard == Heard::Match) => {
            (Code::Denied, "a deny list has the user".to_owned())
        }
        Refusal::Wrong if any(Heard::Match) => {
            (Code::Denied, "the password is right; the rules let nobody in".to_owned())
        }
        Refusal::Wrong if any(Heard::Mismatch) => (Code::Denied, "the password is wrong".to_owned()),
        Refusal::Wrong if steps.is_empty() => {
            (Code::Data, "no source was asked: such a name or password can be nobody's".to_owned())
        }
        Refusal::Wrong => (Code::NoUser, "no source knows the user".to_owned()),
        Refusal::Locked { reason: None } => {
            (Code::Denied, "the password is right; nologin locks the account".to_owned())
        }
        Refusal::Locked { reason: Some(reason) } => {
            (Code::Denied, format!("the password is right; nologin locks the account, and the user is told: {reason}"))
        }
        Refusal::Elsewhere { home, .. } => {
            (Code::Denied, format!("the password is right, and his mail is on {}", home.host))
        }
        Refusal::NotFromHere => {
            (Code::Denied, "the password is right; allow_nets does not name the client's address".to_owned())
        }
        Refusal::MayNotActAs => {
            (Code::Denied, "the password is right; no master user of that name, or nobody to act for".to_owned())
        }
        Refusal::Unavailable => (Code::TryAgain, "a source does not answer, and no other one lets in".to_owned()),
    };
    Problem::new(code, format!("{user}: {text}"))
}
