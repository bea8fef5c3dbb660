//! Identifiers, each its own type so that a sequence number is never taken for a UID.

use crate::limits::MAILBOX_ID_MAX;
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!(stringify!($name), "({})"), self.0) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    };
}

number!(
    /// Unique identifier of a message in a mailbox (RFC 3501 §2.3.1.1). 0 is never given to a message.
    Uid(u32)
);
number!(
    /// Message sequence number in one session's view, from 1 (RFC 3501 §2.3.1.2).
    Seq(u32)
);
number!(
    /// Modification sequence (RFC 7162 §3.1), 63 bits on the wire. A mailbox starts at 1.
    ModSeq(u64)
);
number!(
    /// UIDVALIDITY of a mailbox (RFC 3501 §2.3.1.1): strictly ascending within an account.
    UidValidity(u32)
);
number!(
    /// A mailbox within its account; never reused. INBOX is 1.
    MailboxId(u32)
);
number!(
    /// One core of this machine, from 0.
    ShardId(u16)
);

impl MailboxId {
    /// The mailbox every account is born with.
    pub const INBOX: MailboxId = MailboxId(1);

    /// One that the disk names; `None` above [`MAILBOX_ID_MAX`], which no writer of ours passes.
    pub fn stored(number: u32) -> Option<MailboxId> {
        (number <= MAILBOX_ID_MAX).then_some(MailboxId(number))
    }
}

impl Uid {
    /// The next UID, or `None` when the 32 bits are used up.
    pub fn next(self) -> Option<Uid> {
        self.0.checked_add(1).map(Uid)
    }
}

impl ModSeq {
    /// The highest that can be told (RFC 7162 §3.1: 63 bits).
    pub const MAX: ModSeq = ModSeq(i64::MAX as u64);

    /// The next modification sequence. 63 bits last 292 000 years at a million changes a second.
    pub fn next(self) -> ModSeq {
        ModSeq(self.0 + 1)
    }
}

/// An account, wherever it lives: the first 16 bytes of BLAKE3 over the user name.
///
/// Fixed width in every record, and needs no table of numbers. The hash is collision resistant, so one user
/// can not choose a name that lands on another's mail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; 16]);

impl AccountId {
    /// The account of this user.
    pub fn of(user: &crate::UserName) -> AccountId {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(user.as_str().as_bytes()).as_bytes()[..16]);
        AccountId(id)
    }

    /// 64 well-mixed bits for placement.
    pub fn hash64(self) -> u64 {
        let mut half = [0; 8];
        half.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(half)
    }

    /// 32 lower-case hexadecimal digits, the account's folder name.
    pub fn hex(self) -> String {
        // Every read of a pack names its folder.
        let digit = |half: u8| char::from_digit(half.into(), 16).expect("it has four bits");
        let mut hex = String::with_capacity(2 * self.0.len());
        hex.extend(self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit));
        hex
    }

    /// Reads what [`AccountId::hex`] wrote.
    pub fn from_hex(text: &str) -> Option<AccountId> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut id = [0; 16];
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(AccountId(id))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// 128-bit identity of a message, kept by COPY and MOVE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Guid(pub [u8; 16]);

/// A place in one shard's log: the segment's number and the byte offset in it. Ordered as the log is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct LogPos {
    /// Number of the segment, ascending over the life of the data folder, never reused.
    pub segment: u64,
    /// Bytes from the start of the segment's file.
    pub offset: u64,
}

impl LogPos {
    /// Behind every place of a log.
    pub const END: LogPos = LogPos { segment: u64::MAX, offset: u64::MAX };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserName;

    #[test]
    fn account_ids_survive_hex() {
        let id = AccountId::of(&UserName::new("timo@example.org").unwrap());
        assert_eq!(AccountId::from_hex(&id.hex()), Some(id));
        assert_eq!(AccountId::from_hex("00"), None);
        assert_eq!(AccountId::from_hex(&"ß".repeat(16)), None);
    }

    #[test]
    fn log_positions_order_by_segment_first() {
        assert!(LogPos { segment: 1, offset: 900 } < LogPos { segment: 2, offset: 0 });
    }
}
