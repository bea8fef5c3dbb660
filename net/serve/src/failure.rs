//! One table from the store's failures to what a client reads; the log gets the facts.

use skein_base::Class;
use skein_proto::imap::{Code, Reply};
use skein_store::{AccountError, AccountHandle, StoreError};

/// The refusal for a failed request. Failures that are the operator's business are logged here, where they end.
pub(crate) fn refuse(error: &StoreError) -> Reply {
    log(error);
    if let StoreError::Account(AccountError::SpecialUseTaken) = error {
        return Reply::No { code: Some(Code::UseAttr), text: error.client_text().into() };
    }
    let code = match error {
        StoreError::Account(AccountError::MetadataTooBig { max }) => Some(Code::MetadataMaxSize(*max as u64)),
        StoreError::Account(AccountError::TooManyMetadata) => Some(Code::MetadataTooMany),
        _ => Code::of(error.class()),
    };
    Reply::No { code, text: error.client_text().into() }
}

/// The same for a target mailbox: when it is missing, the client may create it and try again (RFC 3501 §7.1).
pub(crate) fn refuse_target(error: &StoreError) -> Reply {
    match error.class() {
        // What REPLACE was to replace; no creating brings it back.
        _ if matches!(error, StoreError::Account(AccountError::NoSuchMessage)) => refuse(error),
        Class::Missing => Reply::No { code: Some(Code::TryCreate), text: error.client_text().into() },
        _ => refuse(error),
    }
}

/// Whether a change that a reader did not ask for (`\Recent`, `\Seen`) may be left out: the store takes none at the
/// moment, but what it shows is true, and reading goes on.
pub(crate) fn can_do_without(error: &StoreError, account: &AccountHandle) -> bool {
    matches!(error.class(), Class::Full | Class::Unavailable) && account.lost().is_none()
}

/// Tells the operator what the client is not told.
pub(crate) fn log(error: &StoreError) {
    match error.class() {
        Class::Damaged => tracing::error!(%error, "stored data is damaged"),
        Class::Full => tracing::warn!(%error, "the store refuses"),
        Class::Unavailable => tracing::error!(%error, "the store refuses"),
        _ => {}
    }
}
