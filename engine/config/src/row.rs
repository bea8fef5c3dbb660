//! What a row of the table is, and the macro that makes the struct and the rows from one text.

use crate::listener::{CertificateFiles, Listener, TlsMode};
use crate::mailbox_rule::MailboxRule;
use crate::source::AuthSource;
use crate::table::Config;
use crate::virtual_mailbox::VirtualMailbox;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One setting.
pub struct Row {
    /// Where it stands in the file: `section.name`, or `name` at the top.
    pub key: &'static str,
    /// What it means, for the operator; sentences, one a line.
    pub doc: &'static str,
    /// What may be written.
    pub kind: Kind,
    /// The default as TOML.
    pub default: &'static str,
    /// Whether a running server takes a new value.
    pub reload: Reload,
    pub(crate) set: fn(&mut Config, Value),
}

/// What may be written as a value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A file or folder; a relative one starts at the settings file's folder. Empty text where the default is empty.
    Path,
    /// A list of folders, at most 64; relative ones as for a path.
    Paths,
    /// Free text of up to `bytes_max` bytes.
    Text {
        /// Longest text.
        bytes_max: usize,
    },
    /// A list of texts, at most `max`, each of up to 1000 bytes.
    Texts {
        /// Most of them.
        max: usize,
    },
    /// A whole number.
    Integer {
        /// Lowest.
        min: u64,
        /// Highest.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of `"address:port"`, at most 64.
    Addresses,
    /// A list of `"address:port"` and [`Listener`] tables, at most 64; TLS as this mode says where a TCP one does not.
    Listeners(TlsMode),
    /// A list of tables, each with `cert` and `key`, at most 1000.
    Certificates,
    /// A list of these words, each at most once.
    Words(&'static [&'static str]),
    /// A list of `"network/bits"` or addresses, at most 64.
    Networks,
    /// A list of tables, each with a `driver`; see [`AuthSource`].
    Sources,
    /// A table of tables by mailbox name; see [`MailboxRule`].
    Mailboxes,
    /// A table of tables by mailbox name; see [`VirtualMailbox`].
    Virtuals,
}

/// Whether a running server takes a new value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// At once, on reload.
    Live,
    /// At the next start.
    Restart,
}

/// A value that has passed its row's bounds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Path(PathBuf),
    Paths(Vec<PathBuf>),
    Text(String),
    Texts(Vec<String>),
    Integer(u64),
    Bool(bool),
    /// Index in the choice's words.
    Choice(usize),
    Addresses(Vec<SocketAddr>),
    Listeners(Vec<Listener>),
    Certificates(Vec<CertificateFiles>),
    /// Indices in the row's words.
    Words(Vec<usize>),
    Networks(Vec<IpNet>),
    Sources(Vec<AuthSource>),
    Mailboxes(Vec<MailboxRule>),
    Virtuals(Vec<VirtualMailbox>),
}

/// A field's type takes the value its row's kind gives; a mismatch is an error in the table, found by the test that reads
/// every default.
pub(crate) trait Take {
    fn take(value: Value) -> Self;
}

macro_rules! take {
    ($($type:ty: $variant:ident($value:ident) => $made:expr;)*) => {$(
        impl Take for $type {
            fn take(value: Value) -> $type {
                match value {
                    Value::$variant($value) => $made,
                    other => panic!("a row of kind {} holds {other:?}", stringify!($variant)),
                }
            }
        }
    )*};
}

take! {
    PathBuf: Path(path) => path;
    Option<PathBuf>: Path(path) => (!path.as_os_str().is_empty()).then_some(path);
    Vec<PathBuf>: Paths(list) => list;
    String: Text(text) => text;
    Vec<String>: Texts(list) => list;
    bool: Bool(truth) => truth;
    u16: Integer(n) => u16::try_from(n).expect("bounds of the row fit the field");
    u32: Integer(n) => u32::try_from(n).expect("bounds of the row fit the field");
    u64: Integer(n) => n;
    usize: Integer(n) => usize::try_from(n).expect("bounds of the row fit the field");
    Vec<SocketAddr>: Addresses(list) => list;
    Vec<Listener>: Listeners(list) => list;
    Vec<CertificateFiles>: Certificates(list) => list;
    Vec<IpNet>: Networks(list) => list;
    Vec<AuthSource>: Sources(list) => list;
    Vec<MailboxRule>: Mailboxes(list) => list;
    Vec<VirtualMailbox>: Virtuals(list) => list;
}

/// An enum whose variants are words in the file.
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub enum $name {
            #[default]
            $($(#[doc = $vdoc])+ $variant,)+
        }
        impl $name {
            /// The words of the file, in the order of the variants.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word of the file.
            pub const fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }
        impl $name {
            #[allow(dead_code, reason = "not every choice is also a word in a list or a table")]
            pub(crate) const VARIANTS: &[$name] = &[$($name::$variant),+];
        }
        impl $crate::row::Take for Vec<$name> {
            fn take(value: $crate::row::Value) -> Vec<$name> {
                match value {
                    $crate::row::Value::Words(list) => list.into_iter().map(|index| $name::VARIANTS[index]).collect(),
                    other => panic!("a row of kind Words holds {other:?}"),
                }
            }
        }
        impl $crate::row::Take for $name {
            fn take(value: $crate::row::Value) -> $name {
                match value {
                    $crate::row::Value::Choice(index) => $name::VARIANTS[index],
                    other => panic!("a row of kind Choice holds {other:?}"),
                }
            }
        }
    };
}
pub(crate) use choice;

/// Struct fields and rows from one text: `/// doc`, `field: Type = Kind, default, Live | Restart;`.
macro_rules! settings {
    (
        { $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $kind:expr, $default:expr, $reload:ident;)* }
        $($(#[doc = $section_doc:literal])+ $section:ident: $Section:ident {
            $($(#[doc = $sdoc:literal])+ $sname:ident: $stype:ty = $skind:expr, $sdefault:expr, $sreload:ident;)*
        })*
    ) => {
        /// Every setting, checked.
        #[derive(Clone, Default, Debug)]
        pub struct Config {
            /// True when there is no file and the demo users exist. Not a setting: no file can ask for it.
            pub demo: bool,
            /// The file it was read from; `None` for the demo.
            pub file: Option<std::path::PathBuf>,
            /// Every file and folder that is named in it, but the data folder.
            pub paths: Vec<std::path::PathBuf>,
            /// What was written for each row of the table.
            pub(crate) values: Vec<$crate::shown::Shown>,
            $($(#[doc = $doc])+ pub $name: $type,)*
            $($(#[doc = $section_doc])+ pub $section: $Section,)*
        }
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Default, Debug)]
            pub struct $Section {
                $($(#[doc = $sdoc])+ pub $sname: $stype,)*
            }
        )*
        /// The table: every setting, in the order of the reference.
        pub const ROWS: &[Row] = &[
            $(Row {
                key: stringify!($name),
                doc: concat!($($doc, "\n"),+),
                kind: $kind,
                default: $default,
                reload: Reload::$reload,
                set: |config, value| config.$name = Take::take(value),
            },)*
            $($(Row {
                key: concat!(stringify!($section), ".", stringify!($sname)),
                doc: concat!($($sdoc, "\n"),+),
                kind: $skind,
                default: $sdefault,
                reload: Reload::$sreload,
                set: |config, value| config.$section.$sname = Take::take(value),
            },)*)*
        ];
    };
}
pub(crate) use settings;
