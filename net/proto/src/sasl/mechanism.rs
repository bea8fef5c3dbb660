//! The mechanisms, their names, and when each may be used.

use super::Channel;
use skein_base::scram::ScramHash;

/// A mechanism.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// RFC 5802, RFC 7677.
    Scram {
        /// SHA-1 or SHA-256.
        hash: ScramHash,
        /// Bound to the TLS channel.
        plus: bool,
    },
    /// The client certificate says it (RFC 4422 appendix A).
    External,
    /// RFC 4616.
    Plain,
    /// The prompts that RFC 4616 replaced.
    Login,
}

impl Mechanism {
    /// All of them, the strongest first: the order in which they are offered.
    pub const ALL: [Mechanism; 7] = [
        Mechanism::Scram { hash: ScramHash::Sha256, plus: true },
        Mechanism::Scram { hash: ScramHash::Sha1, plus: true },
        Mechanism::Scram { hash: ScramHash::Sha256, plus: false },
        Mechanism::Scram { hash: ScramHash::Sha1, plus: false },
        Mechanism::External,
        Mechanism::Plain,
        Mechanism::Login,
    ];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Scram { hash: ScramHash::Sha256, plus: true } => "SCRAM-SHA-256-PLUS",
            Mechanism::Scram { hash: ScramHash::Sha256, plus: false } => "SCRAM-SHA-256",
            Mechanism::Scram { hash: ScramHash::Sha1, plus: true } => "SCRAM-SHA-1-PLUS",
            Mechanism::Scram { hash: ScramHash::Sha1, plus: false } => "SCRAM-SHA-1",
            Mechanism::External => "EXTERNAL",
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }

    /// By name, in any case.
    pub fn named(name: &[u8]) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Those of `enabled` that may be used on this channel, in the order of [`Mechanism::ALL`]. `plaintext`: passwords may
    /// travel without TLS.
    pub fn offered<'a>(
        enabled: &'a [Mechanism],
        channel: &'a Channel,
        plaintext: bool,
    ) -> impl Iterator<Item = Mechanism> + 'a {
        let fits = move |mechanism: &Mechanism| match mechanism {
            Mechanism::Scram { plus, .. } => !plus || channel.bindings.is_some(),
            Mechanism::External => channel.tls && channel.certified,
            Mechanism::Plain | Mechanism::Login => channel.tls || plaintext,
        };
        Mechanism::ALL.into_iter().filter(|mechanism| enabled.contains(mechanism)).filter(fits)
    }

    /// The password itself is sent.
    pub fn sends_password(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::Login)
    }
}
