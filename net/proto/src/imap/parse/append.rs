//! APPEND and REPLACE, line by line: messages and parts of messages come as literals in the middle of the command, and are not
//! gathered with it.
//!
//! ```text
//! APPEND box (\Seen) "date" {n}▮ (flags) CATENATE (URL "/x/;UID=1" TEXT {n}▮ URL {n}▯..)      ▮ bytes of a message
//!        └ head ┘ └── message ──┘                 └──────── parts ─────────┘                  ▯ a word, read again with its line
//! ```
//! RFC 3501 §6.3.11, MULTIAPPEND 3502, CATENATE 4469, literal8 4466, UTF8 6855 §4, REPLACE 8508.

use super::cursor::Cursor;
use super::literal::{self, Literal};
use super::message::{flag_list, set_number};
use super::{Enabling, Wrong, utf8_lossy};
use crate::imap::limits::APPEND_MESSAGES_MAX;
use crate::imap::verb::Verb;
use crate::imap::{AppendTo, Code, FlagList, ImapUrl, Replaced, Request, SeqSet, date};

/// What comes next in the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum AppendAt {
    /// What it replaces, and the mailbox.
    #[default]
    Head,
    /// A message, or the end.
    Message,
    /// The first part of a message.
    FirstPart,
    /// Another part, or the parenthesis that ends them.
    Part,
    /// The parenthesis after a literal in `UTF8 (~{n}`.
    Utf8,
    /// The same after one that is a part.
    Utf8Part,
}

/// A line of the command.
#[derive(Debug)]
pub(crate) struct AppendLine {
    /// What is to be asked, in order.
    pub(crate) ask: Vec<Request>,
    /// How the line ends.
    pub(crate) then: AppendThen,
}

/// How a line ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AppendThen {
    /// With a literal that is a word: the line is read again from here on when that has come.
    Word {
        /// Where in the line.
        from: usize,
        /// What comes there.
        at: AppendAt,
    },
    /// With a literal that is a message, or a part of one.
    Message {
        /// What comes after it.
        at: AppendAt,
    },
    /// The command is complete.
    End,
}

/// How far the command was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendSoFar {
    pub(crate) verb: Verb,
    pub(crate) at: AppendAt,
    /// Messages that have begun.
    pub(crate) messages: usize,
    /// What the client has enabled.
    pub(crate) enabled: Enabling,
}

/// Reads a line without its line break; `literal` is what it ends with.
pub(crate) fn append_line(text: &[u8], so_far: AppendSoFar, literal: Option<Literal>) -> Result<AppendLine, Wrong> {
    let AppendSoFar { verb, mut at, messages, enabled } = so_far;
    let mut line = Line { c: Cursor::new(text, enabled), verb, messages, literal, ask: Vec::new() };
    loop {
        let from = text.len() - line.c.rest().len();
        let next = match at {
            AppendAt::Head => line.head()?,
            AppendAt::Message => line.message()?,
            AppendAt::FirstPart => line.part()?,
            AppendAt::Part if line.c.eat(b')') => Next::At(AppendAt::Message),
            AppendAt::Part => {
                line.c.need(b' ', "Expected a space or a closing parenthesis")?;
                line.part()?
            }
            AppendAt::Utf8 | AppendAt::Utf8Part => {
                line.c.need(b')', "Expected a closing parenthesis after the literal")?;
                Next::At(if at == AppendAt::Utf8 { AppendAt::Message } else { AppendAt::Part })
            }
        };
        let then = match next {
            Next::At(next) => {
                at = next;
                continue;
            }
            Next::Word => AppendThen::Word { from, at },
            Next::Literal(at) => AppendThen::Message { at },
            Next::End => AppendThen::End,
        };
        return Ok(AppendLine { ask: line.ask, then });
    }
}

struct Line<'a> {
    c: Cursor<'a>,
    verb: Verb,
    messages: usize,
    literal: Option<Literal>,
    ask: Vec<Request>,
}

enum Next {
    At(AppendAt),
    /// The word that was begun is the literal.
    Word,
    /// The literal is a message or a part; what comes after it.
    Literal(AppendAt),
    End,
}

impl Line<'_> {
    /// `SP [seq-number SP] mailbox`
    fn head(&mut self) -> Result<Next, Wrong> {
        self.c.space()?;
        let mut replaces = None;
        if self.verb != Verb::Append {
            let number = set_number(&mut self.c)?;
            let mut set = SeqSet::default();
            set.push(number, number).expect("one is not too many");
            replaces = Some(Replaced { set, uid: self.verb.is_uid() });
            self.c.space()?;
        }
        if self.announced().is_some() {
            return Ok(Next::Word);
        }
        let mailbox = self.c.mailbox()?;
        self.ask.push(Request::AppendBegin(AppendTo { mailbox, replaces }));
        Ok(Next::At(AppendAt::Message))
    }

    /// `[SP flag-list] [SP date-time] SP append-data`, or the end
    fn message(&mut self) -> Result<Next, Wrong> {
        if self.c.rest().iter().all(|&b| b == b' ') {
            return match self.messages {
                0 => Err(Wrong::Bad("A mailbox and a message are needed")),
                _ => Ok(Next::End),
            };
        }
        if self.messages > 0 && self.c.peek() != Some(b' ') {
            return Err(Wrong::Bad("Unexpected argument after the message"));
        }
        self.c.space()?;
        match self.messages {
            0 => {}
            _ if self.verb != Verb::Append => return Err(Wrong::Bad("One message replaces one")),
            APPEND_MESSAGES_MAX => return Err(Wrong::No(Code::Limit, "Too many messages in one command")),
            _ => {}
        }
        self.messages += 1;
        let (flags, internal_date) = self.options()?;
        self.ask.push(Request::AppendMessage { flags, internal_date });
        if matches!(self.c.peek(), Some(b'{' | b'~')) {
            // One without a byte is refused by the session, which knows first whether there is such a mailbox (RFC 3501 §6.3.11).
            self.message_literal()?;
            return Ok(Next::Literal(AppendAt::Message));
        }
        match self.c.keyword().as_str() {
            "UTF8" => self.utf8(AppendAt::Utf8),
            "CATENATE" => {
                self.c.space()?;
                self.c.need(b'(', "Expected the parts in parentheses")?;
                Ok(Next::At(AppendAt::FirstPart))
            }
            _ => Err(Wrong::Bad("Expected the message as a literal")),
        }
    }

    fn options(&mut self) -> Result<(FlagList, Option<i64>), Wrong> {
        let (mut flags, mut internal_date) = (FlagList::default(), None);
        if self.c.peek() == Some(b'(') {
            flags = flag_list(&mut self.c)?;
            self.c.space()?;
        }
        if self.c.peek() == Some(b'"') {
            let text = self.c.string()?;
            internal_date = Some(date::read_date_time(&text).ok_or(Wrong::Bad("Invalid date"))?);
            self.c.space()?;
        }
        Ok((flags, internal_date))
    }

    /// `"URL" SP astring`, `"TEXT" SP literal`, `"UTF8" SP "(" literal8 ")"`
    fn part(&mut self) -> Result<Next, Wrong> {
        match self.c.keyword().as_str() {
            "URL" => self.url(),
            "TEXT" => {
                self.c.space()?;
                self.message_literal()?;
                Ok(Next::Literal(AppendAt::Part))
            }
            "UTF8" => self.utf8(AppendAt::Utf8Part),
            _ => Err(Wrong::Bad("Expected URL or TEXT")),
        }
    }

    fn url(&mut self) -> Result<Next, Wrong> {
        self.c.space()?;
        if self.announced().is_some() {
            return Ok(Next::Word);
        }
        let text = utf8_lossy(self.c.astring()?);
        match ImapUrl::parse(&text) {
            Ok(url) => self.ask.push(Request::AppendUrl(Box::new(url))),
            Err(bad) => return Err(Wrong::No(Code::BadUrl(text), bad.why)),
        }
        Ok(Next::At(AppendAt::Part))
    }

    /// `SP "(" literal8`, and the parenthesis after it
    fn utf8(&mut self, after: AppendAt) -> Result<Next, Wrong> {
        self.c.space()?;
        self.c.need(b'(', "Expected the literal in parentheses")?;
        match self.c.peek() {
            Some(b'~') => self.message_literal().map(|_| Next::Literal(after)),
            _ => Err(Wrong::Bad("Expected a literal that begins with ~")),
        }
    }

    /// `literal / literal8`, all that is left of the line
    fn message_literal(&mut self) -> Result<Literal, Wrong> {
        let binary = self.c.eat(b'~');
        let literal = self.announced().ok_or(Wrong::Bad("Expected the message as a literal"))?;
        self.ask.push(Request::AppendLiteral { size: literal.bytes, binary });
        Ok(literal)
    }

    /// The literal, when nothing is left of the line but its header.
    fn announced(&self) -> Option<Literal> {
        let rest = self.c.rest();
        let alone = rest.first() == Some(&b'{') && memchr::memrchr2(b'{', b'\n', rest) == Some(0);
        self.literal.filter(|literal| alone && literal::header(rest) == Some(*literal))
    }
}
