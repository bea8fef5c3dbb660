//! What a mailbox is for, as clients are told it (RFC 6154, RFC 8457).

/// Uses of a mailbox as bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct SpecialUse(pub u8);

impl SpecialUse {
    /// None.
    pub const NONE: SpecialUse = SpecialUse(0);
    /// `\Archive`
    pub const ARCHIVE: SpecialUse = SpecialUse(1);
    /// `\Drafts`
    pub const DRAFTS: SpecialUse = SpecialUse(2);
    /// `\Junk`
    pub const JUNK: SpecialUse = SpecialUse(4);
    /// `\Sent`
    pub const SENT: SpecialUse = SpecialUse(8);
    /// `\Trash`
    pub const TRASH: SpecialUse = SpecialUse(16);
    /// `\Important`
    pub const IMPORTANT: SpecialUse = SpecialUse(32);
    /// `\All`, of a virtual mailbox.
    pub const EVERYTHING: SpecialUse = SpecialUse(64);
    /// `\Flagged`, of a virtual mailbox.
    pub const FLAGGED: SpecialUse = SpecialUse(128);
    /// All bits that mean something of a mailbox that holds messages.
    pub const ALL: SpecialUse = SpecialUse(63);

    /// Wire names of what only virtual mailboxes are for: what no client can ask for, and what nothing keeps.
    pub const VIRTUAL_NAMES: [(SpecialUse, &'static str); 2] =
        [(SpecialUse::EVERYTHING, "\\All"), (SpecialUse::FLAGGED, "\\Flagged")];
    /// Wire names of the others.
    pub const NAMES: [(SpecialUse, &'static str); 6] = [
        (SpecialUse::ARCHIVE, "\\Archive"),
        (SpecialUse::DRAFTS, "\\Drafts"),
        (SpecialUse::JUNK, "\\Junk"),
        (SpecialUse::SENT, "\\Sent"),
        (SpecialUse::TRASH, "\\Trash"),
        (SpecialUse::IMPORTANT, "\\Important"),
    ];

    /// What a mailbox of this name is for when nobody has said anything: the names that clients and other servers use.
    pub fn by_name(name: &str) -> SpecialUse {
        match name {
            "Archive" => SpecialUse::ARCHIVE,
            "Drafts" => SpecialUse::DRAFTS,
            "Junk" => SpecialUse::JUNK,
            "Sent" => SpecialUse::SENT,
            "Trash" => SpecialUse::TRASH,
            _ => SpecialUse::NONE,
        }
    }

    /// Whether any use of `other` is among these.
    pub fn shares(self, other: SpecialUse) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for SpecialUse {
    type Output = SpecialUse;
    fn bitor(self, other: SpecialUse) -> SpecialUse {
        SpecialUse(self.0 | other.0)
    }
}
