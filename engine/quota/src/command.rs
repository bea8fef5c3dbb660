//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 §4).

use crate::extension::Quota;
use crate::limits::{ANNOTATION, Ceiling};
use skein_base::Class;
use skein_hooks::{Call, Outcome, Resource, Root};
use skein_proto::imap::{Arguments, Code, ExtensionCommand, Reply, response};
use skein_store::StoreError;

pub(crate) const COMMANDS: &[ExtensionCommand] = &[
    ExtensionCommand { name: "GETQUOTA", needs_selected: false },
    ExtensionCommand { name: "GETQUOTAROOT", needs_selected: false },
    ExtensionCommand { name: "SETQUOTA", needs_selected: false },
];

/// Units of STORAGE on the wire, bytes (RFC 9208 §5.1).
const STORAGE_UNIT: u64 = 1024;

pub(crate) async fn run(quota: &Quota, call: Call<'_>) -> Outcome {
    let mut out = Vec::new();
    let done = match call.command {
        "GETQUOTA" => one_root(quota, &call, &mut out).await,
        "SETQUOTA" => set(quota, &call, &mut out).await,
        _ => roots_of(&call, &mut out).await,
    };
    match done {
        Ok(()) => Outcome { lines: out, reply: Reply::Done },
        Err(reply) => reply.into(),
    }
}

/// `GETQUOTA root`
async fn one_root(quota: &Quota, call: &Call<'_>, out: &mut Vec<u8>) -> Result<(), Reply> {
    let mut words = Arguments::new(call.arguments);
    let name = words.text()?;
    words.end()?;
    if name != quota.root_name() {
        return Err(Reply::no(Class::Missing, "There is no such quota root"));
    }
    measure(call).await?;
    let told = call.extensions.quota(call.account, None);
    told.iter().flat_map(|told| &told.roots).for_each(|root| quota_line(out, root));
    Ok(())
}

/// `GETQUOTAROOT mailbox`. The mailbox need not exist (RFC 9208 §4.1.3).
async fn roots_of(call: &Call<'_>, out: &mut Vec<u8>) -> Result<(), Reply> {
    let mut words = Arguments::new(call.arguments);
    let name = words.mailbox(call.names)?;
    words.end()?;
    measure(call).await?;
    let mailbox = call.account.read(|account| account.find(&name).map(|named| named.id));
    let roots = call.extensions.quota(call.account, mailbox).map(|told| told.roots).unwrap_or_default();
    out.extend_from_slice(b"* QUOTAROOT ");
    response::mailbox(out, &call.told(&name), call.names);
    for root in &roots {
        out.push(b' ');
        response::string(out, root.name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    roots.iter().for_each(|root| quota_line(out, root));
    Ok(())
}

/// `SETQUOTA root (resource limit ..)`: these limits in place of all that the user had, those that are not named among them (RFC 9208 §4.1.3).
async fn set(quota: &Quota, call: &Call<'_>, out: &mut Vec<u8>) -> Result<(), Reply> {
    let mut words = Arguments::new(call.arguments);
    let (name, list) = (words.text()?, words.list()?);
    words.end()?;
    if !call.is_admin {
        return Err(Reply::No { code: Some(Code::NoPerm), text: "Only administrators change quota".into() });
    }
    if name != quota.root_name() {
        return Err(Reply::no(Class::Missing, "There is no such quota root"));
    }
    let limits = ceiling(list)?;
    let changes = [(ANNOTATION.into(), Some(limits.encode().into_bytes().into()))];
    let ops = call.account.read(|account| account.set_metadata(None, &changes));
    let done = ops.map_err(StoreError::from).and_then(|ops| call.store.commit_for(call.actor, call.account, &ops));
    done.map_err(|error| Reply::no(error.class(), error.client_text()))?;
    tracing::info!(user = %call.account.user(), limits = limits.encode(), "an administrator has set quota");
    measure(call).await?;
    let told = call.extensions.quota(call.account, None);
    told.iter().flat_map(|told| &told.roots).for_each(|root| quota_line(out, root));
    Ok(())
}

/// `resource limit ..`, each resource once.
fn ceiling(mut list: Arguments<'_>) -> Result<Ceiling, Reply> {
    let cannot = |text: &'static str| Reply::No { code: Some(Code::Cannot), text: text.into() };
    let mut limits = Ceiling::default();
    while !list.is_empty() {
        let (name, limit) = (list.text()?, list.number()?);
        let (place, unit) = match name {
            name if name.eq_ignore_ascii_case(Resource::Storage.name()) => (&mut limits.storage, STORAGE_UNIT),
            name if name.eq_ignore_ascii_case(Resource::Message.name()) => (&mut limits.messages, 1),
            name if name.eq_ignore_ascii_case(Resource::Mailbox.name()) => (&mut limits.mailboxes, 1),
            _ => return Err(cannot("There is no such resource")),
        };
        if limit == 0 {
            return Err(cannot("A limit is 1 at least; without one the resource is left out"));
        }
        if std::mem::replace(place, limit.saturating_mul(unit)) > 0 {
            return Err(Reply::bad("A resource is named twice"));
        }
    }
    Ok(limits)
}

/// `* QUOTA "User quota" (STORAGE 10 512)`
fn quota_line(out: &mut Vec<u8>, root: &Root) {
    out.extend_from_slice(b"* QUOTA ");
    response::string(out, root.name.as_bytes());
    out.extend_from_slice(b" (");
    for (i, (resource, used, limit)) in root.resources.iter().enumerate() {
        let unit = if *resource == Resource::Storage { STORAGE_UNIT } else { 1 };
        let space = if i == 0 { "" } else { " " };
        let (used, limit) = (used.div_ceil(unit), limit / unit);
        out.extend_from_slice(format!("{space}{} {used} {limit}", resource.name()).as_bytes());
    }
    out.extend_from_slice(b")\r\n");
}

/// Makes known what every mailbox holds.
async fn measure(call: &Call<'_>) -> Result<(), Reply> {
    call.store.measure(call.account).await.map_err(|error| Reply::no(error.class(), error.client_text()))
}
