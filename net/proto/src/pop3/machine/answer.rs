//! Answers into lines, and what the session gives behind them.

use super::{About, Giving, Phase, Pop3, Why};
use crate::number::number;
use crate::pop3::body::Body;
use crate::pop3::reply::Reply;

impl Pop3 {
    /// The answer to the open question. After [`Pop3::bye`] it is passed over.
    ///
    /// # Panics
    /// When nothing was asked, or the reply does not fit the request: that is a mistake of the session.
    pub fn answer(&mut self, reply: Reply) {
        if matches!(self.phase, Phase::Close(_)) {
            return;
        }
        let Phase::Asked(about) = std::mem::replace(&mut self.phase, Phase::Command) else {
            panic!("{reply:?} to no question");
        };
        assert!(self.ask.is_none(), "{reply:?} before the question was taken");
        match (about, reply) {
            (_, Reply::Refuse { code, text }) => {
                self.sasl = None;
                self.refuse(code, &text);
            }
            (About::Keys, reply) => self.sasl_keys(reply),
            (About::Login, Reply::Totals { messages, bytes }) => {
                self.logged_in = true;
                self.totals("Logged in: ", messages, bytes);
            }
            (About::Stat, Reply::Totals { messages, bytes }) => self.pair(u64::from(messages), bytes),
            (About::Rset, Reply::Totals { messages, bytes }) => self.totals("", messages, bytes),
            (About::List, Reply::Totals { messages, bytes }) => {
                self.totals("", messages, bytes);
                self.phase = Phase::Giving(Giving::Lines);
            }
            (About::Uidl, Reply::Done) => {
                self.say("Unique ids follow");
                self.phase = Phase::Giving(Giving::Lines);
            }
            (About::ListOne(message), Reply::Scan { bytes }) => self.pair(u64::from(message), bytes),
            (About::UidlOne(message), Reply::UniqueId { id }) => {
                self.out.extend_from_slice(b"+OK ");
                self.write_unique_id(message, &id);
            }
            (About::Retr, Reply::Message { bytes }) => self.message(bytes, Body::whole()),
            (About::Top { lines }, Reply::Message { bytes }) => self.message(bytes, Body::top(lines)),
            (About::Last, Reply::Last { number: last }) => {
                self.out.extend_from_slice(b"+OK ");
                number(&mut self.out, u64::from(last));
                self.out.extend_from_slice(b"\r\n");
            }
            (About::Dele(message), Reply::Done) => {
                self.out.extend_from_slice(b"+OK Message ");
                number(&mut self.out, u64::from(message));
                self.out.extend_from_slice(b" is marked deleted\r\n");
            }
            (About::Quit, Reply::Done) => self.say("Logging out."),
            (about, reply) => panic!("{about:?} answered with {reply:?}"),
        }
        if about == About::Quit {
            // Whether the update went well or not (RFC 1939 §6).
            self.close(Why::Quit);
        }
    }

    /// A line of LIST.
    ///
    /// # Panics
    /// When no listing is under way, as all of these.
    pub fn scan(&mut self, message: u32, bytes: u64) {
        assert!(matches!(self.phase, Phase::Giving(Giving::Lines)), "no listing is under way");
        number(&mut self.out, u64::from(message));
        self.out.push(b' ');
        number(&mut self.out, bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A line of UIDL.
    pub fn unique_id(&mut self, message: u32, id: &[u8]) {
        assert!(matches!(self.phase, Phase::Giving(Giving::Lines)), "no listing is under way");
        self.write_unique_id(message, id);
    }

    /// The next bytes of a message; false when TOP has enough.
    pub fn body(&mut self, bytes: &[u8]) -> bool {
        let Phase::Giving(Giving::Message(body)) = &mut self.phase else { panic!("no message is under way") };
        body.push(bytes, &mut self.out);
        body.wants_more()
    }

    /// The listing or the message is complete.
    pub fn end(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Giving(Giving::Lines) => self.out.extend_from_slice(b".\r\n"),
            Phase::Giving(Giving::Message(body)) => body.end(&mut self.out),
            other => panic!("nothing to end while {other:?}"),
        }
    }

    fn message(&mut self, bytes: u64, body: Body) {
        self.out.extend_from_slice(b"+OK ");
        number(&mut self.out, bytes);
        self.out.extend_from_slice(b" octets\r\n");
        self.phase = Phase::Giving(Giving::Message(body));
    }

    /// `+OK 2 320`
    fn pair(&mut self, first: u64, second: u64) {
        self.out.extend_from_slice(b"+OK ");
        number(&mut self.out, first);
        self.out.push(b' ');
        number(&mut self.out, second);
        self.out.extend_from_slice(b"\r\n");
    }

    /// `+OK 2 messages (320 octets)`
    fn totals(&mut self, word: &str, messages: u32, bytes: u64) {
        self.out.extend_from_slice(b"+OK ");
        self.out.extend_from_slice(word.as_bytes());
        number(&mut self.out, u64::from(messages));
        self.out.extend_from_slice(if messages == 1 { b" message (" } else { b" messages (" });
        number(&mut self.out, bytes);
        self.out.extend_from_slice(b" octets)\r\n");
    }

    fn write_unique_id(&mut self, message: u32, id: &[u8]) {
        debug_assert!(matches!(id.len(), 1..=70) && id.iter().all(u8::is_ascii_graphic), "RFC 1939 §7");
        number(&mut self.out, u64::from(message));
        self.out.push(b' ');
        self.out.extend_from_slice(id);
        self.out.extend_from_slice(b"\r\n");
    }
}
