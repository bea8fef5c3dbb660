//! Which users a request means, and their accounts one after the other, each on its shard.

use super::desk::Desk;
use super::names;
use super::route::Stop;
use super::rows::Rows;
use super::who;
use super::wire::{Code, Problem};
use skein_auth::SharedAuth;
use skein_base::{AccountId, Class, UserName};
use skein_serve::{Host, Kick, Operator};
use skein_store::{AccountError, StoreError};
use std::future::Future;
use std::sync::Arc;

/// `user list`
pub(crate) async fn list(desk: &Desk, users: &str, rows: &Rows) -> Result<(), Stop> {
    if is_pattern(users) {
        return names::list(desk, users, rows).await;
    }
    let (user, auth) = (named(users)?, desk.auth().clone());
    let found = desk.ask(desk.home(AccountId::of(&user)), async move |host| {
        let found = names::fitting(&host, &[AccountId::of(&user)], "*").await.pop();
        // Who has no account may be unknown, or have lost its tree.
        match found {
            Some((_, user)) => user.map(Some).map_err(Stop::Problem),
            None => Ok(one(&host, &user, &auth, Absent::Nothing).await?.map(|operator| operator.user().clone())),
        }
    });
    match found.await?? {
        Some(user) => Ok(rows.row([("user", user.as_str().into())]).await?),
        None => Ok(()),
    }
}

/// `user info`
pub(crate) async fn info(desk: &Desk, users: &str, rows: &Rows) -> Result<(), Stop> {
    let auth = desk.auth().clone();
    let looked = each(desk, users, Absent::Nothing, rows, move |operator, rows| {
        let auth = auth.clone();
        async move {
            let (mut messages, mut bytes) = (0, 0);
            let mailboxes = operator.mailboxes();
            for name in &mailboxes {
                let status = operator.status(name).await.map_err(problem)?;
                messages += u64::from(status.messages);
                bytes += status.bytes;
            }
            let user = operator.user();
            let row = [
                ("user", user.as_str().into()),
                ("account", AccountId::of(user).hex().into()),
                ("known", auth.state().users.know(user).into()),
                ("mailboxes", mailboxes.len().into()),
                ("messages", messages.into()),
                ("bytes", bytes.into()),
            ];
            Ok(rows.row(row).await?)
        }
    });
    if looked.await? == 0 && !is_pattern(users) {
        // He may log in, and has never come, nor has mail for him.
        let user = named(users)?;
        let row = [
            ("user", user.as_str().into()),
            ("account", AccountId::of(&user).hex().into()),
            ("known", true.into()),
            ("mailboxes", 0.into()),
            ("messages", 0.into()),
            ("bytes", 0.into()),
        ];
        rows.row(row).await?;
    }
    Ok(())
}

/// After a change in the files of users: they are read again, and with them goes what any shard remembers of passwords.
pub(crate) async fn changed(desk: &Desk, user: &str, gone: bool, rows: &Rows) -> Result<(), Stop> {
    let name = named(user)?;
    for (path, notice) in desk.refresh_users().await? {
        // Whoever changes one user need not hear of others' lines.
        tracing::warn!(path = %path.display(), %notice, "passwd-file");
    }
    let kicked = if gone { who::kick_all(desk, &Kick::User(name.clone())).await? } else { 0 };
    let known = desk.auth().state().users.know(&name);
    Ok(rows.row([("user", user.into()), ("known", known.into()), ("kicked", kicked.into())]).await?)
}

/// The end of a user's account, with all mail.
pub(crate) async fn end(desk: &Desk, user: &str, rows: &Rows) -> Result<(), Stop> {
    let name = named(user)?;
    let id = AccountId::of(&name);
    match desk.ask(desk.home(id), async move |host| host.end_account(id).await).await? {
        Err(StoreError::Account(AccountError::NoSuchAccount)) => {
            Err(Problem::new(Code::NoUser, format!("{name} has no mail here")).into())
        }
        Err(error) => Err(problem(error)),
        Ok(()) => Ok(rows.row([("user", user.into()), ("mail", "removed".into())]).await?),
    }
}

/// What happens for a user who may log in and has no account yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Absent {
    /// It begins, as by his first login.
    Begins,
    /// There is nothing to look at, and looking begins nothing.
    Nothing,
}

fn is_pattern(users: &str) -> bool {
    users.contains(['*', '?'])
}

fn named(user: &str) -> Result<UserName, Problem> {
    UserName::new(user).map_err(|error| Problem::new(Code::Usage, format!("user {user:?}: {error}")))
}

/// Does something with the account of each user meant; how many there were. What fails for one of many users is told, and the
/// next one follows.
pub(crate) async fn each<F>(
    desk: &Desk,
    users: &str,
    absent: Absent,
    rows: &Rows,
    work: impl Fn(Operator, Rows) -> F + Send + 'static,
) -> Result<usize, Stop>
where
    F: Future<Output = Result<(), Stop>> + 'static,
{
    let rows = rows.clone();
    if !is_pattern(users) {
        let user = named(users)?;
        let (shard, auth) = (desk.home(AccountId::of(&user)), desk.auth().clone());
        let one = desk.ask(shard, async move |host| match one(&host, &user, &auth, absent).await? {
            Some(operator) => work(operator, rows).await.map(|()| 1),
            None => Ok(0),
        });
        return one.await?;
    }
    let (pattern, work): (Arc<str>, _) = (users.to_lowercase().into(), Arc::new(std::sync::Mutex::new(work)));
    let mut all = 0;
    for shard in desk.shards() {
        let (pattern, rows, work) = (pattern.clone(), rows.clone(), work.clone());
        let begin =
            move |operator, rows| (work.lock().unwrap_or_else(std::sync::PoisonError::into_inner))(operator, rows);
        all += desk.ask(shard, async move |host| each_here(&host, &pattern, &rows, begin).await).await??;
    }
    Ok(all)
}

/// The same for those of one shard.
async fn each_here<F>(
    host: &Host,
    pattern: &str,
    rows: &Rows,
    work: impl Fn(Operator, Rows) -> F,
) -> Result<usize, Stop>
where
    F: Future<Output = Result<(), Stop>>,
{
    let mut here = 0;
    for some in host.accounts_here().await.map_err(problem)?.chunks(names::ACCOUNTS_PER_LOOK) {
        for (id, user) in names::fitting(host, some, pattern).await {
            let (whose, done) = match user {
                Err(problem) => (id.hex(), Err(problem.into())),
                Ok(user) => match Operator::open_known(host, id).await {
                    // Deleted since the list was made.
                    Err(StoreError::Account(AccountError::NoSuchAccount)) => continue,
                    Err(error) => (id.hex(), Err(problem(error))),
                    Ok(operator) => (user.to_string(), work(operator, rows.clone()).await),
                },
            };
            here += 1;
            match done {
                Ok(()) => {}
                Err(Stop::Gone) => return Err(Stop::Gone),
                Err(Stop::Problem(Problem { code, text })) => {
                    rows.problem(Problem::new(code, format!("{whose}: {text}"))).await?;
                }
            }
            skein_runtime::bulk_yield().await;
        }
        skein_runtime::bulk_yield().await;
    }
    Ok(here)
}

/// The account of a user: there, or of somebody who may log in.
async fn one(host: &Host, user: &UserName, auth: &SharedAuth, absent: Absent) -> Result<Option<Operator>, Stop> {
    match Operator::open_known(host, AccountId::of(user)).await {
        Err(StoreError::Account(AccountError::NoSuchAccount)) => {}
        opened => return opened.map(Some).map_err(problem),
    }
    if !auth.state().users.know(user) {
        return Err(Problem::new(Code::NoUser, format!("there is no user {user}")).into());
    }
    // One whose tree is lost is made again for who knows its name.
    let hurt = host.store().left_files(AccountId::of(user)).await.map_err(problem)?;
    match absent {
        Absent::Nothing if !hurt => Ok(None),
        Absent::Begins | Absent::Nothing => Operator::open(host, user).await.map(Some).map_err(problem),
    }
}

/// What the store refuses, as the operator is told it: with all facts.
pub(crate) fn problem(error: StoreError) -> Stop {
    told(&error).into()
}

pub(crate) fn told(error: &StoreError) -> Problem {
    let code = match (error, error.class()) {
        (StoreError::Account(AccountError::NoSuchAccount), _) => Code::NoUser,
        (StoreError::Account(AccountError::NoSuchMailbox), _) => Code::NoMailbox,
        (_, Class::Unavailable | Class::Full | Class::InUse) => Code::TryAgain,
        (_, Class::Denied | Class::Credentials) => Code::Denied,
        _ => Code::Data,
    };
    Problem::new(code, error.to_string())
}
