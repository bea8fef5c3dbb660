//! `adm mailbox`

use super::Users;
use clap::Subcommand;
use skein_admin::adm::Request;

#[derive(Subcommand)]
pub enum Command {
    /// Names of mailboxes.
    List {
        #[command(flatten)]
        users: Users,
        /// Only subscribed names.
        #[arg(long, short)]
        subscribed: bool,
        /// USER (a name or a pattern), then patterns of mailboxes with * and ?; none is all.
        #[arg(value_name = "USER [PATTERN]")]
        words: Vec<String>,
    },
    /// Their numbers: messages, unseen, recent, UIDs, modseq, bytes.
    Status {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), then patterns of mailboxes with * and ?; none is all.
        #[arg(value_name = "USER [PATTERN]")]
        words: Vec<String>,
    },
    /// Make mailboxes.
    Create {
        #[command(flatten)]
        users: Users,
        /// Subscribe them too.
        #[arg(long, short)]
        subscribe: bool,
        /// USER (a name or a pattern), then names, / between levels.
        #[arg(value_name = "USER MAILBOX")]
        words: Vec<String>,
    },
    /// Remove mailboxes with their messages; those below stay.
    Delete {
        #[command(flatten)]
        users: Users,
        /// Unsubscribe them too.
        #[arg(long, short)]
        unsubscribe: bool,
        /// USER (a name or a pattern), then names.
        #[arg(value_name = "USER MAILBOX")]
        words: Vec<String>,
    },
    /// Give a mailbox and all below it another name. Of INBOX the messages go, and it stays.
    Rename {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), the old and the new name.
        #[arg(value_name = "USER FROM TO")]
        words: Vec<String>,
    },
    /// Put names into the subscriptions.
    Subscribe {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), then names.
        #[arg(value_name = "USER MAILBOX")]
        words: Vec<String>,
    },
    /// Take names out of the subscriptions.
    Unsubscribe {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), then names.
        #[arg(value_name = "USER MAILBOX")]
        words: Vec<String>,
    },
    /// Annotations of a mailbox, or with an empty name ("") of the account itself.
    #[command(subcommand)]
    Metadata(Metadata),
}

#[derive(Subcommand)]
pub enum Metadata {
    /// Annotations and their values.
    List {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), the mailbox, and how the names begin: /private, /shared/vendor.
        #[arg(value_name = "USER MAILBOX [PREFIX]")]
        words: Vec<String>,
    },
    /// One annotation.
    Get {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), the mailbox, and the name: /private/comment.
        #[arg(value_name = "USER MAILBOX ENTRY")]
        words: Vec<String>,
    },
    /// Set an annotation.
    Set {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), the mailbox, the name, and the value.
        #[arg(value_name = "USER MAILBOX ENTRY VALUE")]
        words: Vec<String>,
    },
    /// Remove an annotation.
    Unset {
        #[command(flatten)]
        users: Users,
        /// USER (a name or a pattern), the mailbox, and the name.
        #[arg(value_name = "USER MAILBOX ENTRY")]
        words: Vec<String>,
    },
}

impl Metadata {
    fn request(self) -> Result<Request, String> {
        let entry = "the name of the MAILBOX and of the ENTRY, please";
        Ok(match self {
            Metadata::List { users, words } => {
                let (users, mut words) = users.split_more(words, "the name of a MAILBOX")?;
                let prefix = if words.len() > 1 { words.pop() } else { None }.unwrap_or_default();
                let [mailbox] =
                    <[String; 1]>::try_from(words).map_err(|_| "give the MAILBOX, and one PREFIX at most")?;
                Request::MailboxMetadata { users, mailbox, entry: None, prefix }
            }
            Metadata::Get { users, words } => {
                let (users, words) = users.split(words)?;
                let [mailbox, name] = <[String; 2]>::try_from(words).map_err(|_| entry)?;
                Request::MailboxMetadata { users, mailbox, entry: Some(name), prefix: String::new() }
            }
            Metadata::Set { users, words } => {
                let (users, words) = users.split(words)?;
                let words = <[String; 3]>::try_from(words);
                let [mailbox, entry, value] = words.map_err(|_| "give the MAILBOX, the ENTRY and its VALUE")?;
                Request::MailboxAnnotate { users, mailbox, entry, value: Some(value) }
            }
            Metadata::Unset { users, words } => {
                let (users, words) = users.split(words)?;
                let [mailbox, entry] = <[String; 2]>::try_from(words).map_err(|_| entry)?;
                Request::MailboxAnnotate { users, mailbox, entry, value: None }
            }
        })
    }
}

impl Command {
    pub fn request(self) -> Result<Request, String> {
        let mailbox = "the name of a MAILBOX";
        Ok(match self {
            Command::List { users, subscribed, words } => {
                let (users, patterns) = users.split(words)?;
                Request::MailboxList { users, patterns, subscribed }
            }
            Command::Status { users, words } => {
                let (users, patterns) = users.split(words)?;
                Request::MailboxStatus { users, patterns }
            }
            Command::Create { users, subscribe, words } => {
                let (users, names) = users.split_more(words, mailbox)?;
                Request::MailboxCreate { users, names, subscribe }
            }
            Command::Delete { users, unsubscribe, words } => {
                let (users, names) = users.split_more(words, mailbox)?;
                Request::MailboxDelete { users, names, unsubscribe }
            }
            Command::Rename { users, words } => {
                let (users, names) = users.split(words)?;
                let [from, to] = <[String; 2]>::try_from(names).map_err(|_| "give the old and the new name")?;
                Request::MailboxRename { users, from, to }
            }
            Command::Metadata(metadata) => metadata.request()?,
            Command::Subscribe { users, words } => subscribe(&users, words, true)?,
            Command::Unsubscribe { users, words } => subscribe(&users, words, false)?,
        })
    }
}

fn subscribe(users: &Users, words: Vec<String>, on: bool) -> Result<Request, String> {
    let (users, names) = users.split_more(words, "the name of a MAILBOX")?;
    Ok(Request::MailboxSubscribe { users, names, on })
}
