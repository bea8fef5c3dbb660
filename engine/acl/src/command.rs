//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).

use crate::extension::{ANNOTATION, list_of};
use crate::list::{Change, Identifier, List};
use crate::own::take_out;
use skein_base::{Class, MailboxId, Rights};
use skein_hooks::{Call, Outcome};
use skein_proto::imap::response::Names;
use skein_proto::imap::{Arguments, Code, ExtensionCommand, Reply, response};
use skein_store::{AccountError, StoreError};

pub(crate) const COMMANDS: &[ExtensionCommand] = &[
    ExtensionCommand { name: "SETACL", needs_selected: false },
    ExtensionCommand { name: "DELETEACL", needs_selected: false },
    ExtensionCommand { name: "GETACL", needs_selected: false },
    ExtensionCommand { name: "LISTRIGHTS", needs_selected: false },
    ExtensionCommand { name: "MYRIGHTS", needs_selected: false },
];

/// Rights any of which lets somebody know what he may do (RFC 4314 §4).
const TELLS: Rights = Rights(
    Rights::LOOKUP.0
        | Rights::READ.0
        | Rights::INSERT.0
        | Rights::CREATE.0
        | Rights::DELETE_MAILBOX.0
        | Rights::ADMIN.0,
);

pub(crate) async fn run(call: &Call<'_>) -> Outcome {
    let mut words = Arguments::new(call.arguments);
    let done = match (target(call, &mut words), call.command) {
        (Err(reply), _) => Err(reply),
        (Ok(target), "SETACL") => set(call, &target, &mut words).await,
        (Ok(target), "DELETEACL") => delete(call, &target, &mut words).await,
        (Ok(target), "GETACL") => get(call, &target, &mut words),
        (Ok(target), "LISTRIGHTS") => list_rights(call, &target, &mut words),
        (Ok(target), _) => my_rights(call, &target, &mut words),
    };
    match done {
        Ok(lines) => Outcome { lines, reply: Reply::Done },
        Err(reply) => reply.into(),
    }
}

/// The mailbox that is meant, and what may be done with it.
struct Target {
    id: MailboxId,
    /// As the client knows it.
    name: String,
    rights: Rights,
}

fn target(call: &Call<'_>, words: &mut Arguments<'_>) -> Result<Target, Reply> {
    let name = words.mailbox(call.names)?;
    let found = call.account.read(|account| {
        let id = account.find(&name)?.id;
        Some((id, call.extensions.rights(call.actor, account, id)))
    });
    // Who may know nothing of it does not learn that it is there (RFC 4314 §6).
    let missing = || Reply::no(Class::Missing, AccountError::NoSuchMailbox.to_string());
    let (id, rights) = found.filter(|(_, rights)| rights.shares(TELLS)).ok_or_else(missing)?;
    Ok(Target { id, name: call.told(&name), rights })
}

impl Target {
    fn needs_admin(&self) -> Result<(), Reply> {
        match self.rights.contains(Rights::ADMIN) {
            true => Ok(()),
            false => Err(Reply::No { code: Some(Code::NoPerm), text: "You may not administer this mailbox".into() }),
        }
    }
}

/// `SETACL mailbox identifier modrights`
async fn set(call: &Call<'_>, target: &Target, words: &mut Arguments<'_>) -> Result<Vec<u8>, Reply> {
    let (who, rights) = (words.text()?, words.bytes()?);
    words.end()?;
    target.needs_admin()?;
    let change = Change::parse(rights).ok_or(Reply::bad("There is no such right"))?;
    change_list(call, target, who, change).await
}

/// `DELETEACL mailbox identifier`
async fn delete(call: &Call<'_>, target: &Target, words: &mut Arguments<'_>) -> Result<Vec<u8>, Reply> {
    let who = words.text()?;
    words.end()?;
    target.needs_admin()?;
    change_list(call, target, who, Change::To(Rights::NONE)).await
}

/// In one record with the change goes what those have of their own in the mailbox who may do nothing with it any more.
async fn change_list(call: &Call<'_>, target: &Target, who: &str, change: Change) -> Result<Vec<u8>, Reply> {
    if is_owner(call, who.strip_prefix('-').unwrap_or(who)) {
        return Err(Reply::No { code: Some(Code::Cannot), text: "The owner keeps all rights".into() });
    }
    let refuse = |error: StoreError| Reply::no(error.class(), error.client_text());
    call.store.load(call.account, target.id).await.map_err(refuse)?;
    let mut list = call.account.read(|account| list_of(account, target.id));
    list.change(who, change).map_err(|error| Reply::no(Class::Limit, error.to_string()))?;
    let ops = call.account.read(|account| -> Result<_, AccountError> {
        let value = list.encode().map(Into::into);
        let mut ops = account.set_metadata(Some(target.id), &[(ANNOTATION.into(), value)])?;
        ops.extend(take_out(account, target.id, |user| !list.rights_at_most(user).is_none())?);
        Ok(ops)
    });
    let done = ops.map_err(StoreError::from).and_then(|ops| call.store.commit_for(call.actor, call.account, &ops));
    done.map(|_| Vec::new()).map_err(refuse)
}

/// `* ACL mailbox identifier rights ..`, the owner first.
fn get(call: &Call<'_>, target: &Target, words: &mut Arguments<'_>) -> Result<Vec<u8>, Reply> {
    words.end()?;
    target.needs_admin()?;
    let list: List = call.account.read(|account| list_of(account, target.id));
    let mut out = b"* ACL ".to_vec();
    response::mailbox(&mut out, &target.name, call.names);
    let owner = (call.account.user().as_str().to_owned(), Rights::ALL);
    for (who, rights) in std::iter::once(owner).chain(list.entries()) {
        out.push(b' ');
        response::astring(&mut out, who.as_bytes());
        out.push(b' ');
        out.extend_from_slice(told(rights).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// `* LISTRIGHTS mailbox identifier required optional ..`: the owner has all always, everybody else may be given any.
fn list_rights(call: &Call<'_>, target: &Target, words: &mut Arguments<'_>) -> Result<Vec<u8>, Reply> {
    let who = words.text()?;
    words.end()?;
    target.needs_admin()?;
    let name = who.strip_prefix('-').unwrap_or(who);
    Identifier::parse(name).map_err(|error| Reply::No { code: Some(Code::Cannot), text: error.to_string().into() })?;
    let mut out = b"* LISTRIGHTS ".to_vec();
    response::mailbox(&mut out, &target.name, call.names);
    out.push(b' ');
    response::astring(&mut out, who.as_bytes());
    match is_owner(call, name) {
        true => out.extend_from_slice(format!(" {}", told(Rights::ALL)).as_bytes()),
        false => {
            out.extend_from_slice(b" \"\"");
            Rights::LETTERS.iter().for_each(|(_, letter)| out.extend_from_slice(&[b' ', *letter]));
            // What those letters of RFC 2086 stand for is tied to them.
            out.extend_from_slice(b" c d");
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// `* MYRIGHTS mailbox rights`
fn my_rights(call: &Call<'_>, target: &Target, words: &mut Arguments<'_>) -> Result<Vec<u8>, Reply> {
    words.end()?;
    let mut out = Vec::new();
    my_rights_line(&mut out, &target.name, target.rights, call.names);
    Ok(out)
}

/// Writes `* MYRIGHTS mailbox rights`, of a mailbox by the name that the client has for it.
pub fn my_rights_line(out: &mut Vec<u8>, mailbox: &str, rights: Rights, names: Names) {
    out.extend_from_slice(b"* MYRIGHTS ");
    response::mailbox(out, mailbox, names);
    out.extend_from_slice(format!(" {}\r\n", told(rights)).as_bytes());
}

/// Rights as clients read them, those of RFC 2086 with the letters they know (RFC 4314 §2.1.1).
pub(crate) fn told(rights: Rights) -> String {
    let create = if rights.shares(Rights::CREATE | Rights::DELETE_MAILBOX) { "c" } else { "" };
    let delete = if rights.shares(Rights::DELETE | Rights::EXPUNGE) { "d" } else { "" };
    format!("{rights}{create}{delete}")
}

fn is_owner(call: &Call<'_>, who: &str) -> bool {
    Identifier::parse(who).is_ok_and(|who| who == Identifier::User(call.account.user().clone()))
}
