//! The table of commands: name, when it is allowed, what may follow it.

/// A command, `UID x` counting as its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Capability,
    Noop,
    Logout,
    Id,
    Language,
    StartTls,
    Authenticate,
    Login,
    Enable,
    Compress,
    Unauthenticate,
    Select,
    Examine,
    Create,
    Delete,
    Rename,
    Subscribe,
    Unsubscribe,
    List,
    Lsub,
    Xlist,
    Status,
    Namespace,
    Comparator,
    GetMetadata,
    SetMetadata,
    Notify,
    GenUrlAuth,
    ResetKey,
    UrlFetch,
    Append,
    Idle,
    MultiSearch,
    Check,
    Close,
    Unselect,
    Expunge,
    Search,
    Sort,
    Thread,
    CancelUpdate,
    UidBatches,
    Fetch,
    Store,
    Copy,
    Move,
    Replace,
    UidExpunge,
    UidSearch,
    UidSort,
    UidThread,
    UidFetch,
    UidStore,
    UidCopy,
    UidMove,
    UidReplace,
    Extension,
}

/// The states in which a command is allowed (RFC 3501 §3, §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    Any,
    BeforeLogin,
    AfterLogin,
    Selected,
}

/// What the session may tell between a command's own lines and its tagged line, when a mailbox is selected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// Nothing: the command changes what is selected, or has nothing to do with mail.
    None,
    /// All but EXPUNGE: the client is counting by sequence number (RFC 3501 §7.4.1).
    NoExpunge,
    /// All.
    All,
}

struct Row(Verb, &'static str, When, News);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row(Verb::Capability,   "CAPABILITY",   When::Any,         News::None),
    Row(Verb::Noop,         "NOOP",         When::Any,         News::All),
    Row(Verb::Logout,       "LOGOUT",       When::Any,         News::None),
    Row(Verb::Id,           "ID",           When::Any,         News::None),
    Row(Verb::Language,     "LANGUAGE",     When::Any,         News::None),
    Row(Verb::StartTls,     "STARTTLS",     When::BeforeLogin, News::None),
    Row(Verb::Authenticate, "AUTHENTICATE", When::BeforeLogin, News::None),
    Row(Verb::Login,        "LOGIN",        When::BeforeLogin, News::None),
    Row(Verb::Enable,       "ENABLE",       When::AfterLogin,  News::None),
    Row(Verb::Compress,     "COMPRESS",     When::AfterLogin,  News::None),
    Row(Verb::Unauthenticate, "UNAUTHENTICATE", When::AfterLogin, News::None),
    Row(Verb::Select,       "SELECT",       When::AfterLogin,  News::None),
    Row(Verb::Examine,      "EXAMINE",      When::AfterLogin,  News::None),
    Row(Verb::Create,       "CREATE",       When::AfterLogin,  News::All),
    Row(Verb::Delete,       "DELETE",       When::AfterLogin,  News::All),
    Row(Verb::Rename,       "RENAME",       When::AfterLogin,  News::All),
    Row(Verb::Subscribe,    "SUBSCRIBE",    When::AfterLogin,  News::All),
    Row(Verb::Unsubscribe,  "UNSUBSCRIBE",  When::AfterLogin,  News::All),
    Row(Verb::List,         "LIST",         When::AfterLogin,  News::All),
    Row(Verb::Lsub,         "LSUB",         When::AfterLogin,  News::All),
    Row(Verb::Xlist,        "XLIST",        When::AfterLogin,  News::All),
    Row(Verb::Status,       "STATUS",       When::AfterLogin,  News::All),
    Row(Verb::Namespace,    "NAMESPACE",    When::AfterLogin,  News::None),
    Row(Verb::Comparator,   "COMPARATOR",   When::AfterLogin,  News::None),
    Row(Verb::GetMetadata,  "GETMETADATA",  When::AfterLogin,  News::All),
    Row(Verb::SetMetadata,  "SETMETADATA",  When::AfterLogin,  News::All),
    Row(Verb::Notify,       "NOTIFY",       When::AfterLogin,  News::All),
    Row(Verb::GenUrlAuth,   "GENURLAUTH",   When::AfterLogin,  News::All),
    Row(Verb::ResetKey,     "RESETKEY",     When::AfterLogin,  News::All),
    Row(Verb::UrlFetch,     "URLFETCH",     When::AfterLogin,  News::All),
    Row(Verb::Append,       "APPEND",       When::AfterLogin,  News::All),
    Row(Verb::Idle,         "IDLE",         When::AfterLogin,  News::All),
    Row(Verb::MultiSearch,  "ESEARCH",      When::AfterLogin,  News::All),
    Row(Verb::Check,        "CHECK",        When::Selected,    News::None), // its own question is Sync
    Row(Verb::Close,        "CLOSE",        When::Selected,    News::None),
    Row(Verb::Unselect,     "UNSELECT",     When::Selected,    News::None),
    Row(Verb::Expunge,      "EXPUNGE",      When::Selected,    News::All),
    Row(Verb::Search,       "SEARCH",       When::Selected,    News::NoExpunge),
    Row(Verb::Sort,         "SORT",         When::Selected,    News::NoExpunge),
    Row(Verb::Thread,       "THREAD",       When::Selected,    News::NoExpunge),
    Row(Verb::CancelUpdate, "CANCELUPDATE", When::Selected,    News::All),
    Row(Verb::UidBatches,   "UIDBATCHES",   When::Selected,    News::All),
    Row(Verb::Fetch,        "FETCH",        When::Selected,    News::NoExpunge),
    Row(Verb::Store,        "STORE",        When::Selected,    News::NoExpunge),
    Row(Verb::Copy,         "COPY",         When::Selected,    News::All),
    Row(Verb::Move,         "MOVE",         When::Selected,    News::All),
    Row(Verb::Replace,      "REPLACE",      When::Selected,    News::All),
    Row(Verb::UidExpunge,   "UID EXPUNGE",  When::Selected,    News::All),
    Row(Verb::UidSearch,    "UID SEARCH",   When::Selected,    News::All),
    Row(Verb::UidSort,      "UID SORT",     When::Selected,    News::All),
    Row(Verb::UidThread,    "UID THREAD",   When::Selected,    News::All),
    Row(Verb::UidFetch,     "UID FETCH",    When::Selected,    News::All),
    Row(Verb::UidStore,     "UID STORE",    When::Selected,    News::All),
    Row(Verb::UidCopy,      "UID COPY",     When::Selected,    News::All),
    Row(Verb::UidMove,      "UID MOVE",     When::Selected,    News::All),
    Row(Verb::UidReplace,   "UID REPLACE",  When::Selected,    News::All),
    Row(Verb::Extension,    "",             When::AfterLogin,  News::All), // its name is the extension's
];

impl Verb {
    /// The command of this name, with `UID ` before it when `uid`; without regard to case.
    pub(crate) fn find(name: &[u8], uid: bool) -> Option<Verb> {
        if name.is_empty() {
            return None;
        }
        let is = |row: &&Row| match (uid, row.1.strip_prefix("UID ")) {
            (true, Some(tail)) => name.eq_ignore_ascii_case(tail.as_bytes()),
            (false, None) => name.eq_ignore_ascii_case(row.1.as_bytes()),
            _ => false,
        };
        ROWS.iter().find(is).map(|row| row.0)
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// As the client writes it, in capitals.
    pub(crate) fn name(self) -> &'static str {
        self.row().1
    }

    /// When it is allowed.
    pub(crate) fn when(self) -> When {
        self.row().2
    }

    /// What may be told before its tagged line.
    pub(crate) fn news(self) -> News {
        self.row().3
    }

    /// It brings messages, which come as literals within the command.
    pub(crate) fn appends(self) -> bool {
        matches!(self, Verb::Append | Verb::Replace | Verb::UidReplace)
    }

    /// It goes by message numbers, and has a `UID` command beside it.
    pub(crate) fn goes_by_number(self) -> bool {
        matches!(
            self,
            Verb::Search
                | Verb::Sort
                | Verb::Thread
                | Verb::Fetch
                | Verb::Store
                | Verb::Copy
                | Verb::Move
                | Verb::Replace
        )
    }

    /// It is one of the `UID` commands.
    pub(crate) fn is_uid(self) -> bool {
        self.name().starts_with("UID ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_verbs() {
        for (i, row) in ROWS.iter().enumerate() {
            assert_eq!(row.0 as usize, i, "{}", row.1);
        }
    }

    #[test]
    fn what_goes_by_number_can_go_by_uid() {
        for Row(verb, name, ..) in ROWS {
            let has_uid = name.strip_prefix("UID ").is_none() && Verb::find(name.as_bytes(), true).is_some();
            assert_eq!(verb.goes_by_number(), has_uid && *verb != Verb::Expunge, "{name}");
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Verb::find(b"fEtCh", false), Some(Verb::Fetch));
        assert_eq!(Verb::find(b"fEtCh", true), Some(Verb::UidFetch));
        assert_eq!(Verb::find(b"SELECT", true), None);
        assert_eq!(Verb::find(b"UID FETCH", false), None);
        assert_eq!(Verb::find(b"", false), None);
    }
}
