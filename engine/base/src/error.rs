//! What kind of failure something is; one table per protocol turns a class into a reply.

/// The class of an error. The operation's own enum carries the facts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The caller asked for what the protocol or the state forbids. `BAD` or `NO [CANNOT]`.
    Invalid,
    /// The named thing is not there. `NO [NONEXISTENT]`, `550 5.1.1`.
    Missing,
    /// The named thing is there already. `NO [ALREADYEXISTS]`.
    Exists,
    /// The named thing is in use by another session. `NO [INUSE]`.
    InUse,
    /// Not allowed to this user. `NO [NOPERM]`.
    Denied,
    /// Wrong credentials. `NO [AUTHENTICATIONFAILED]`, `535 5.7.8`.
    Credentials,
    /// A declared limit was reached. `NO [LIMIT]`, `452 4.5.3`.
    Limit,
    /// A message over the size limit. `NO [TOOBIG]`, `552 5.3.4`.
    TooBig,
    /// Over quota. `NO [OVERQUOTA]`, `452 4.2.2`.
    Quota,
    /// Cannot be done now, may work later: busy, stopping, disk failing. `NO [UNAVAILABLE]`, `451 4.3.0`.
    Unavailable,
    /// No room on the server's disk until somebody makes some. `NO [UNAVAILABLE]`, `452 4.3.1`.
    Full,
    /// Stored data failed its checksum. `NO [SERVERBUG]`-free text, `451 4.3.0`; the log tells all.
    Damaged,
}
