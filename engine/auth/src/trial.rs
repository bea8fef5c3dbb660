//! A login tried for an operator: nothing remembered, every source's word told.

use crate::auth::{Auth, Identity, Outcome};
use crate::cache::Realm;
use crate::offload::Offload;
use crate::sources::Ranked;
use crate::walk::Heard;
use skein_base::{Secret, UserName};
use skein_config::Then;
use std::cell::RefCell;

/// What one source said in a trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Whether it is one of the sources of master users.
    pub of_masters: bool,
    /// Who was asked for.
    pub user: UserName,
    /// The source.
    pub source: String,
    /// Whether it is a deny list.
    pub deny: bool,
    /// What it said.
    pub heard: Heard,
    /// The rule that followed; none at deny lists, and when it was passed over.
    pub then: Option<Then>,
}

/// Where steps are told to, when somebody wants to know.
pub(crate) type Told<'a> = Option<&'a RefCell<Vec<Step>>>;

impl Step {
    pub(crate) fn of(realm: Realm, user: &UserName, source: &Ranked, heard: Heard) -> Step {
        Step {
            of_masters: realm == Realm::Masters,
            user: user.clone(),
            source: source.name.clone(),
            deny: source.rules.deny,
            heard,
            then: source.follows(heard),
        }
    }
}

impl Auth {
    /// [`Auth::password`] with nothing remembered, neither before nor after: what each source says, and what it comes to.
    pub async fn trial(&self, who: Identity<'_>, password: &Secret, offload: &impl Offload) -> (Vec<Step>, Outcome) {
        let steps = RefCell::default();
        let outcome = self.password_telling(who, password, offload, Some(&steps)).await;
        (steps.into_inner(), outcome)
    }
}
