//! What the machine asks and what it is answered.

use super::{Address, Forwarded};
use skein_base::Class;

/// A question to the session. Each is answered once, by the [`Reply`] its last line names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// MAIL: a message begins; whatever was gathered for one before is over. Reply: `Accept` or `Refuse`.
    Sender {
        /// What the client called itself in LHLO, for the Received line.
        client: String,
        /// The envelope sender; `None` for `<>`, the sender of bounces (RFC 5321 §4.5.5).
        sender: Option<Address>,
        /// What SIZE said the message has, in bytes; 0 when it said nothing (RFC 1870).
        size: u64,
        /// What BODY said.
        body: Body,
        /// SMTPUTF8 was said: addresses and headers may be UTF-8 (RFC 6531).
        utf8: bool,
    },
    /// XCLIENT: the client is another one. The connection starts over. Reply: `Accept`.
    Forwarded(Box<Forwarded>),
    /// RCPT: can this address get the message? Reply: `Accept` or `Refuse`.
    Recipient {
        /// The address as it came, detail and all.
        address: Address,
        /// What a proxy in front knows of the user, as `name=value`.
        fields: Vec<String>,
    },
    /// More of the message, 1 to [`BODY_CHUNK_BYTES`](skein_base::limits::BODY_CHUNK_BYTES) bytes: dots taken out, every LF
    /// after a CR. Reply: `Accept`, or `Refuse`, which then is the outcome for every recipient and no `End` follows.
    Chunk(Vec<u8>),
    /// The message is complete and of this many bytes. Reply: `Outcomes`, one for each accepted recipient, in order.
    End {
        /// Bytes of all chunks.
        bytes: u64,
    },
    /// The message begun will not be completed: drop what was gathered. Reply: `Accept`.
    Abort,
}

/// The BODY parameter of MAIL (RFC 6152).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Body {
    /// `7BIT`, or nothing was said. Eight-bit text is taken all the same.
    #[default]
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Yes.
    Accept,
    /// No, and why.
    Refuse(Refusal),
    /// To `End`: what became of each accepted recipient, in their order.
    Outcomes(Vec<Outcome>),
}

/// What became of one recipient: durably stored, or why not.
pub type Outcome = Result<(), Refusal>;

/// Why not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What kind of failure: decides the reply codes, and with them whether the client tries again.
    pub class: Class,
    /// For people. Anything but printable ASCII is replaced, and the rest of a long text dropped.
    pub text: String,
}
