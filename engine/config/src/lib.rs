//! Settings: one table, TOML in, every problem at once.
//!
//! ```text
//! table.rs   one row per setting: key, doc, unit, default, bounds, reloadable or not
//!    │
//!    ├──▶ Config            a typed struct, one field per row
//!    ├──▶ Config::parse     TOML -> Config, or every problem with line, column and what to write
//!    ├──▶ Config::shown     the values in force, secrets hidden, and where each comes from
//!    ├──▶ explain           what a key means
//!    └──▶ defaults_text     a whole file with every setting, its doc and its default
//! ```
//!
//! Never here: opening files (the text is an argument), the command line, what a setting does.

mod age;
mod check;
mod explain;
mod listener;
mod mailbox_rule;
mod modules;
mod outside;
mod parse;
mod problem;
mod quota_rule;
mod quota_warning;
mod row;
mod shown;
mod source;
mod stars;
mod table;
mod value;
mod virtual_mailbox;

pub use explain::{defaults_text, explain, nearest_setting};
pub use ipnet::IpNet;
pub use listener::{CertificateFiles, Listener, Place, TlsMode, TrustedProxies, UnixPlace};
pub use mailbox_rule::{MailboxAuto, MailboxRule};
pub use modules::module_levels;
pub use outside::{Fetch, OUTSIDE_BYTES_MAX, Outside};
pub use problem::Problem;
pub use quota_rule::{QuotaAmount, QuotaResource, QuotaRule};
pub use quota_warning::{QuotaWarning, Telling};
pub use row::{Kind, Reload, Row};
pub use shown::{Origin, Shown};
pub use source::{AuthSource, Skip, Source, SourceRules, TemplateError, Then, UserTemplate};
pub use table::{
    Auth, AuthMechanism, Autoexpunge, CertificateUser, Config, DeliveredTo, DetailMailbox, Imap, Limits, Listeners,
    Lmtp, Log, LogFormat, LogLevel, NamespaceList, PlaintextWithoutTls, Pop3, Pop3Delete, ROWS, ReturnPath, Safety,
    Separator, Store, Tcp, Tls, VersionMin,
};
pub use virtual_mailbox::VirtualMailbox;
