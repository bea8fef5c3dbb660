//! How texts are compared: collations of the registry of RFC 4790.

/// A collation: what is equal, what is part of a text, what comes first.
///
/// `i;ascii-numeric` is none of them: it says of no text what is part of it (RFC 4790 §9.1.1), and IMAP takes only those that do
/// (RFC 5255 §4.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Collation {
    /// `i;unicode-casemap` (RFC 5051): letters without case, taken apart into letter and marks.
    #[default]
    UnicodeCasemap,
    /// `i;ascii-casemap` (RFC 4790 §9.2): ASCII letters without case.
    AsciiCasemap,
    /// `i;octet` (RFC 4790 §9.3): as it is.
    Octet,
}

impl Collation {
    /// All, the most widely useful first.
    pub const ALL: [Collation; 3] = [Collation::UnicodeCasemap, Collation::AsciiCasemap, Collation::Octet];

    /// Its identifier.
    pub fn name(self) -> &'static str {
        match self {
            Collation::UnicodeCasemap => "i;unicode-casemap",
            Collation::AsciiCasemap => "i;ascii-casemap",
            Collation::Octet => "i;octet",
        }
    }
}
