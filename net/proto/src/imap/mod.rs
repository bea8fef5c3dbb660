//! IMAP4rev1 as a machine (RFC 3501): requests out, replies in.
//!
//! ```text
//! machine    Imap: feed, next, answer, out
//! request    what is asked of the session     reply   what it answers, response codes
//! set        sequence sets with their *            returns  what SEARCH is to tell, what it found
//! parse      one complete command             verb    the table of commands
//! response   writers for the lines that the session renders itself
//! mutf7      mailbox names on the wire        date    INTERNALDATE and search dates
//! config     what the operator decides        limits  bounds
//! url        IMAP URLs                        comparator  what texts are compared by
//! language   languages of texts for people
//! ```
//!
//! Its extensions: net/docs/imap.md.
//!
//! The pump:
//! ```text
//! loop {
//!     input.consume(imap.feed(&input));
//!     match imap.next() {
//!         Step::Ask(request) => imap.answer(session.ask(request, imap.out()).await),
//!         Step::StartTls     => { send(imap.out()); input.clear(); handshake(); imap.tls_started() }
//!         Step::StartDeflate => { send(imap.out()); deflate_from_here(); imap.deflate_started() }
//!         Step::Close(_)     => { send(imap.out()); break }
//!         Step::More         => if input.is_empty() { send(imap.out()); imap.rest(); read(&mut input) }
//!     }
//! }
//! ```
//! Output is sent before the pump waits for the socket, and whenever it passes the watermark.

mod argument;
mod comparator;
mod config;
mod date;
mod language;
pub mod limits;
mod machine;
pub mod mutf7;
mod parse;
mod reply;
mod request;
pub mod response;
mod returns;
mod set;
mod url;
mod verb;

pub use argument::{Argument, Arguments};
pub use comparator::Comparator;
pub use config::{ExtensionCommand, ImapConfig};
pub use machine::{Imap, Step, Why};
pub use parse::MailboxFilter;
pub use reply::{Code, Reply, SelectedInfo, StatusInfo};
pub use request::{
    AppendTo, BinarySection, BodySection, Day, Depth, FetchItem, FetchItems, FlagList, ListOptions, Mode, NotifyEvents,
    NotifySelected, NotifySet, Partial, PreviewForm, Replaced, Request, Resync, SearchKey, SectionText, SortBy,
    SortKey, StatusItems, StoreMode, ThreadBy, UrlItems,
};
pub use returns::{ResultRange, Results, Returns, Update};
pub use set::SeqSet;
pub use url::{BadUrl, ImapUrl, UrlAccess, UrlAuth, UrlServer, server_url};
