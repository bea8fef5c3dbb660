//! `adm search|fetch|expunge|flags|copy|move`

use super::Users;
use clap::Subcommand;
use skein_admin::adm::{FlagsHow, Request};

const QUERY_HELP: &str = "\
QUERY, in the language of doveadm search; all keys must hold, NOT, OR and ( ) join them:
  MAILBOX NAME (with * and ?)   ALL   UID SET   SET   GUID ID
  SEEN FLAGGED ANSWERED DELETED DRAFT RECENT, and UNSEEN...   NEW OLD   KEYWORD K   UNKEYWORD K
  FROM TO CC BCC SUBJECT TEXT BODY with a text   HEADER FIELD TEXT
  BEFORE ON SINCE, SAVEDBEFORE SAVEDON SAVEDSINCE, SENTBEFORE SENTON SENTSINCE
     with a day (2026-03-31, 31-Mar-2026; UTC), Unix seconds, or an age (30min, 3d, 2weeks)
  LARGER SMALLER with bytes (20000, 100K, 2M)
Each word is an argument of its own; a single argument with spaces is split, and may hold quotes.";

#[derive(clap::Args)]
#[command(after_long_help = QUERY_HELP, after_help = "--help lists the keys of a QUERY.")]
pub struct Search {
    #[command(flatten)]
    users: Users,
    /// USER (a name or a pattern), then the query.
    #[arg(value_name = "USER QUERY", allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<String>,
}

#[derive(clap::Args)]
#[command(after_long_help = QUERY_HELP, after_help = "--help lists the keys of a QUERY.")]
pub struct Fetch {
    #[command(flatten)]
    users: Users,
    /// USER (a name or a pattern), FIELDS as one argument, then the query. Fields: user mailbox seq uid guid flags modseq
    /// date.received date.saved date.sent size.virtual size.physical hdr hdr.NAME body text imap.envelope imap.body
    /// imap.bodystructure
    #[arg(value_name = "USER FIELDS QUERY", trailing_var_arg = true)]
    words: Vec<String>,
}

#[derive(clap::Args)]
#[command(after_long_help = QUERY_HELP, after_help = "--help lists the keys of a QUERY.")]
pub struct Copy {
    #[command(flatten)]
    users: Users,
    /// USER (a name or a pattern), the mailbox to copy or move to, then the query.
    #[arg(value_name = "USER TO QUERY", trailing_var_arg = true)]
    words: Vec<String>,
}

#[derive(clap::Args)]
#[command(after_long_help = QUERY_HELP, after_help = "--help lists the keys of a QUERY.")]
pub struct Change {
    #[command(flatten)]
    users: Users,
    /// USER (a name or a pattern), FLAGS as one argument ("\Seen $Junk"), then the query.
    #[arg(value_name = "USER FLAGS QUERY", trailing_var_arg = true)]
    words: Vec<String>,
}

#[derive(Subcommand)]
pub enum Flags {
    /// Set flags beside those that are set.
    Add(Change),
    /// Take flags away.
    Remove(Change),
    /// Set these flags and no others.
    Replace(Change),
}

impl Search {
    pub fn search(self) -> Result<Request, String> {
        let (users, query) = self.users.split_more(self.words, "the QUERY")?;
        Ok(Request::Search { users, query })
    }

    pub fn expunge(self) -> Result<Request, String> {
        let (users, query) = self.users.split_more(self.words, "the QUERY")?;
        Ok(Request::Expunge { users, query })
    }
}

impl Search {
    pub fn deduplicate(self) -> Result<Request, String> {
        let (users, query) = self.users.split_more(self.words, "the QUERY")?;
        Ok(Request::Deduplicate { users, query })
    }
}

impl Fetch {
    pub fn request(self) -> Result<Request, String> {
        let (users, fields, query) = three(&self.users, self.words, "FIELDS")?;
        Ok(Request::Fetch { users, fields: vec![fields], query })
    }
}

impl Copy {
    pub fn request(self, moving: bool) -> Result<Request, String> {
        let (users, to, query) = three(&self.users, self.words, "the mailbox TO which")?;
        Ok(Request::Copy { users, to, moving, query })
    }
}

impl Flags {
    pub fn request(self) -> Result<Request, String> {
        let (how, change) = match self {
            Flags::Add(change) => (FlagsHow::Add, change),
            Flags::Remove(change) => (FlagsHow::Remove, change),
            Flags::Replace(change) => (FlagsHow::Replace, change),
        };
        let (users, flags, query) = three(&change.users, change.words, "FLAGS")?;
        let flags = flags.split_whitespace().map(str::to_owned).collect();
        Ok(Request::Flags { users, how, flags, query })
    }
}

/// Users, one word, and the query.
fn three(users: &Users, words: Vec<String>, what: &str) -> Result<(String, String, Vec<String>), String> {
    let (users, mut words) = users.split_more(words, what)?;
    let second = words.remove(0);
    if words.is_empty() { Err("the QUERY is missing".to_owned()) } else { Ok((users, second, words)) }
}
