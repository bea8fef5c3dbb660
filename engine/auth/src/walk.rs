//! One question to the sources, in their order, and what their answers mean together.
//!
//! ```text
//! for each source:  skipped? ── deny list? ── match / mismatch / unavailable ──▶ rule
//!   return-ok, return-fail, return: the walk ends       continue-ok, continue-fail, continue: it goes on
//! ```
//! The rules and their names are Dovecot's, so that its settings carry over.

use crate::auth::Refusal;
use crate::entry::{Entry, Fields};
use crate::offload::Offload;
use crate::source::{Answer, Unavailable, Verified};
use crate::sources::{Ranked, Sources};
use skein_base::scram::ScramHash;
use skein_base::{Secret, UserName};
use skein_config::{Skip, Then};
use std::sync::Arc;

/// What is asked of each source.
#[derive(Clone, Copy)]
pub(crate) enum Claim<'a> {
    /// Is this the password?
    Password(&'a Secret),
    /// Is there something for SCRAM?
    Scram(ScramHash),
    /// Is there such a user?
    Known,
}

/// What a walk comes to.
pub(crate) struct Walked {
    pub end: End,
    /// A costly hash was checked, so nothing has to be imitated.
    pub costly: bool,
}

pub(crate) enum End {
    Passed(Entry),
    Failed,
    /// Some source could not be asked, and no other one passed.
    Unavailable,
}

/// What a source said on a walk, for who wants to know how that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It was passed over: a source before has, or has not, accepted.
    Skipped,
    /// It is the password; of a deny list: the user is on it.
    Match,
    /// It is not.
    Mismatch,
    /// There is no such user.
    Unknown,
    /// It could not be asked.
    Unavailable,
}

impl End {
    pub(crate) fn verdict(self) -> Result<Arc<Fields>, Refusal> {
        match self {
            End::Passed(entry) => Ok(entry.fields),
            End::Failed => Err(Refusal::Wrong),
            End::Unavailable => Err(Refusal::Unavailable),
        }
    }
}

/// What one source says.
enum Said {
    Match(Entry),
    Mismatch,
    Unknown,
    Unavailable,
}

impl Said {
    fn heard(&self) -> Heard {
        match self {
            Said::Match(_) => Heard::Match,
            Said::Mismatch => Heard::Mismatch,
            Said::Unknown => Heard::Unknown,
            Said::Unavailable => Heard::Unavailable,
        }
    }
}

/// Where the walk stands.
#[derive(Default)]
struct Standing {
    passed: Option<Entry>,
    failed: bool,
    unavailable: bool,
}

impl Standing {
    fn end(self) -> End {
        match self.passed {
            Some(entry) => End::Passed(entry),
            None if self.unavailable && !self.failed => End::Unavailable,
            None => End::Failed,
        }
    }
}

impl Sources {
    pub(crate) async fn walk(&self, user: &UserName, claim: Claim<'_>, offload: &impl Offload) -> Walked {
        self.walk_telling(user, claim, offload, |_, _| {}).await
    }

    /// The same, with a word at each source.
    pub(crate) async fn walk_telling(
        &self,
        user: &UserName,
        claim: Claim<'_>,
        offload: &impl Offload,
        mut tell: impl FnMut(&Ranked, Heard),
    ) -> Walked {
        let mut standing = Standing::default();
        let mut costly = false;
        for source in self.list() {
            match (source.rules.skip, &standing.passed) {
                (Skip::Authenticated, Some(_)) | (Skip::Unauthenticated, None) => {
                    tell(source, Heard::Skipped);
                    continue;
                }
                _ => {}
            }
            let said = match source.rules.deny {
                true => source.ask(user, Claim::Known, offload, &mut costly).await,
                false => source.ask(user, claim, offload, &mut costly).await,
            };
            source.answers.count(said.heard());
            tell(source, said.heard());
            if let Some(end) = standing.hears(source, said) {
                return Walked { end, costly };
            }
        }
        Walked { end: standing.end(), costly }
    }
}

impl Standing {
    /// Takes what a source says; the end, when its rule says so.
    fn hears(&mut self, source: &Ranked, said: Said) -> Option<End> {
        let heard = said.heard();
        self.unavailable |= heard == Heard::Unavailable && !source.rules.deny;
        let then = match (heard, source.follows(heard)) {
            (_, Some(then)) => then,
            (Heard::Match | Heard::Mismatch, None) => return Some(End::Failed),
            (Heard::Unavailable, None) => return Some(End::Unavailable),
            (Heard::Unknown | Heard::Skipped, None) => return None,
        };
        let entry = match said {
            Said::Match(entry) => Some(entry),
            Said::Mismatch | Said::Unknown | Said::Unavailable => None,
        };
        match then {
            Then::ReturnOk => match entry.or(self.passed.take()) {
                Some(entry) => Some(End::Passed(entry)),
                // Success without anybody: such a rule would let in who is nowhere.
                None => Some(End::Failed),
            },
            Then::ReturnFail if self.unavailable && entry.is_none() => Some(End::Unavailable),
            Then::ReturnFail => Some(End::Failed),
            Then::Return => Some(std::mem::take(self).end()),
            Then::ContinueOk => {
                self.passed = entry.or(self.passed.take());
                None
            }
            Then::ContinueFail => {
                self.passed = None;
                self.failed |= entry.is_some();
                None
            }
            Then::Continue => None,
        }
    }
}

impl Ranked {
    /// The rule for what it said; none when it was passed over, and for deny lists, which have rules of their own.
    pub(crate) fn follows(&self, heard: Heard) -> Option<Then> {
        match heard {
            Heard::Skipped => None,
            _ if self.rules.deny => None,
            Heard::Match => Some(self.rules.result_success),
            Heard::Mismatch | Heard::Unknown => Some(self.rules.result_failure),
            Heard::Unavailable => Some(self.rules.result_internalfail),
        }
    }

    async fn ask(&self, user: &UserName, claim: Claim<'_>, offload: &impl Offload, costly: &mut bool) -> Said {
        if let Claim::Password(password) = claim
            && let Some(answer) = self.passdb.verify(user, password)
        {
            return match settle(answer, offload).await {
                Ok(Verified::Match(entry)) => Said::Match(entry),
                Ok(Verified::Mismatch) => Said::Mismatch,
                Ok(Verified::Unknown) => Said::Unknown,
                Err(Unavailable) => Said::Unavailable,
            };
        }
        let entry = match settle(self.passdb.look_up(user), offload).await {
            Ok(Some(entry)) => entry,
            Ok(None) => return Said::Unknown,
            Err(Unavailable) => return Said::Unavailable,
        };
        let matches = match claim {
            Claim::Known => true,
            Claim::Scram(hash) => !matches!(entry.hash.scram(hash), crate::hash::Scram::None),
            Claim::Password(password) if entry.hash.is_costly() => {
                *costly = true;
                let (hash, password) = (entry.hash.clone(), password.clone());
                match offload.compute(move || hash.matches(password.expose())).await {
                    Some(matches) => matches,
                    None => return Said::Unavailable,
                }
            }
            Claim::Password(password) => entry.hash.matches(password.expose()),
        };
        if matches { Said::Match(entry) } else { Said::Mismatch }
    }
}

/// The answer, when it has come in time.
pub(crate) async fn settle<T: Send + 'static>(answer: Answer<T>, offload: &impl Offload) -> Result<T, Unavailable> {
    match answer {
        Answer::Now(result) => result,
        Answer::Later(future) => offload.wait(future).await.unwrap_or(Err(Unavailable)),
    }
}
