//! What a source knows of one user.

use crate::hash::Hash;
use ipnet::IpNet;
use skein_base::UserName;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

/// Fields of one user: no file has needed more, and each costs memory for as long as the file is loaded.
const FIELDS_MAX: usize = 64;

/// A user as a source knows him.
#[derive(Clone, Debug)]
pub struct Entry {
    /// His stored password.
    pub hash: Arc<Hash>,
    /// What else is said of him; shared, as nearly nobody has anything.
    pub fields: Arc<Fields>,
}

/// Extra fields, in the words of Dovecot's passwd-file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fields {
    /// `user=`: the account that this name stands for.
    pub user: Option<UserName>,
    /// `allow_nets=`: where he may log in from; empty is anywhere.
    pub allow_nets: Vec<IpNet>,
    /// `allow_nets=` also names `local`: this machine's Unix sockets.
    pub allow_local: bool,
    /// `nologin`: he gets mail and can not log in.
    pub nologin: bool,
    /// `reason=`: what he is told then.
    pub reason: Option<String>,
    /// All others, such as `userdb_quota_rule=*:storage=1G`, in their order.
    pub others: Vec<(String, String)>,
}

/// The server that has a user's mail, when that is another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    /// `host=`: name or address; that of IPv6 in brackets.
    pub host: String,
    /// `port=`, when it is said.
    pub port: Option<u16>,
    /// `destuser=`: his name there; the same as here when it is not said.
    pub user: String,
}

impl Entry {
    /// A user of whom only the password is known.
    pub fn new(hash: Hash) -> Entry {
        Entry { hash: Arc::new(hash), fields: Fields::none() }
    }
}

impl Fields {
    /// Nothing said; one value for all of whom nothing is.
    pub fn none() -> Arc<Fields> {
        static NONE: LazyLock<Arc<Fields>> = LazyLock::new(Arc::default);
        NONE.clone()
    }

    /// Reads fields separated by blanks: `name=value`, or a bare `name`.
    ///
    /// # Errors
    /// What is wrong with one, in words. Whoever it is about must not be let in as if it were not there.
    pub fn parse(text: &str) -> Result<Fields, String> {
        let mut fields = Fields::default();
        for field in text.split_ascii_whitespace() {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            match name {
                "user" => fields.user = Some(UserName::new(value).map_err(|e| format!("user= is no name: {e}"))?),
                "allow_nets" => fields.allow(value)?,
                "nologin" => fields.nologin = !matches!(value, "n" | "no"),
                "reason" => fields.reason = Some(value.replace(['\r', '\n'], " ")),
                "host" if !is_host(value) => return Err(format!("host= is no name or address: {value}")),
                "port" if !matches!(value.parse::<u16>(), Ok(1..)) => return Err(format!("port= is none: {value}")),
                "destuser" if value.is_empty() => return Err("destuser= names nobody".to_owned()),
                _ if fields.others.len() == FIELDS_MAX => return Err(format!("more than {FIELDS_MAX} fields")),
                _ => fields.others.push((name.to_owned(), value.to_owned())),
            }
        }
        Ok(fields)
    }

    fn allow(&mut self, list: &str) -> Result<(), String> {
        for text in list.split(',') {
            match text {
                "local" => self.allow_local = true,
                _ => self.allow_nets.push(net(text).ok_or_else(|| format!("allow_nets names no network: {text}"))?),
            }
        }
        Ok(())
    }

    /// A field by name; for a `userdb_` field the name may stand without its prefix.
    pub fn other(&self, name: &str) -> Option<&str> {
        let fits = |field: &str| field == name || field.strip_prefix("userdb_") == Some(name);
        self.others.iter().find(|(field, _)| fits(field)).map(|(_, value)| &**value)
    }

    /// `admin`, `userdb_admin`: he may do what is for administrators.
    pub fn is_admin(&self) -> bool {
        self.other("admin").is_some_and(|value| !matches!(value, "n" | "no"))
    }

    /// The server that has his mail, by `host`, `port` and `destuser`. None with `proxy` or `proxy_maybe`: then clients are not to go there
    /// themselves.
    pub fn home(&self, user: &UserName) -> Option<Home> {
        let own = |name: &str| self.others.iter().find(|(field, _)| field == name).map(|(_, value)| &**value);
        let is_set = |name: &str| own(name).is_some_and(|value| !matches!(value, "n" | "no"));
        let host = own("host").filter(|_| !is_set("proxy") && !is_set("proxy_maybe"))?;
        let host = match host.parse::<std::net::Ipv6Addr>() {
            Ok(_) => format!("[{host}]"),
            Err(_) => host.to_owned(),
        };
        let port = own("port").and_then(|port| port.parse().ok());
        Some(Home { host, port, user: own("destuser").unwrap_or(user.as_str()).to_owned() })
    }

    /// Whether he may log in from there; `None` is a Unix socket.
    pub fn allows(&self, from: Option<IpAddr>) -> bool {
        if self.allow_nets.is_empty() && !self.allow_local {
            return true;
        }
        match from {
            Some(ip) => self.allow_nets.iter().any(|net| net.contains(&ip.to_canonical())),
            None => self.allow_local,
        }
    }
}

/// A host name, or an address.
fn is_host(text: &str) -> bool {
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    !text.is_empty() && is_name(text) || text.parse::<IpAddr>().is_ok()
}

/// `10.0.0.0/8` or a single address.
fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &str, from: &[(&str, bool)]) {
        let fields = Fields::parse(fields).unwrap();
        for (ip, expect) in from {
            let ip = (*ip != "unix").then(|| ip.parse().unwrap());
            assert_eq!(fields.allows(ip), *expect, "{ip:?}");
        }
    }

    #[test]
    fn where_from() {
        check("", &[("10.0.0.1", true), ("unix", true)]);
        check(
            "allow_nets=10.0.0.0/8,192.168.1.1,2001:db8::/32",
            &[
                ("10.9.9.9", true),
                ("::ffff:10.9.9.9", true),
                ("192.168.1.1", true),
                ("192.168.1.2", false),
                ("2001:db8::1", true),
                ("2001:db9::1", false),
                ("unix", false),
            ],
        );
        check("allow_nets=local", &[("unix", true), ("127.0.0.1", false)]);
    }

    #[test]
    fn another_server() {
        let home = |fields: &str| Fields::parse(fields).unwrap().home(&UserName::new("anna").unwrap());
        let at = |host: &str, port, user: &str| Some(Home { host: host.to_owned(), port, user: user.to_owned() });
        assert_eq!(home("nologin host=b.example.org"), at("b.example.org", None, "anna"));
        assert_eq!(home("host=10.0.0.1 port=1143 destuser=a@b"), at("10.0.0.1", Some(1143), "a@b"));
        assert_eq!(home("host=2001:db8::1 proxy=n"), at("[2001:db8::1]", None, "anna"));
        for none in ["", "userdb_host=x", "host=x proxy", "host=x proxy_maybe=y", "port=1 destuser=x"] {
            assert_eq!(home(none), None, "{none}");
        }
        for wrong in ["host=", "host=a]b", "host=a/b", "port=0", "port=70000", "port=x", "destuser="] {
            assert!(Fields::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fields_and_mistakes() {
        let fields = Fields::parse("nologin reason=Unpaid userdb_quota_rule=*:storage=1G user=Anna x").unwrap();
        assert!(fields.nologin && fields.other("quota_rule") == Some("*:storage=1G") && fields.other("x") == Some(""));
        assert_eq!((fields.user.unwrap().as_str(), fields.reason.as_deref()), ("anna", Some("Unpaid")));
        assert!(!Fields::parse("nologin=no").unwrap().nologin);
        for wrong in ["allow_nets=10.0.0.0/99", "allow_nets=", "user=a b".trim_end_matches(" b"), "user="] {
            assert_eq!(Fields::parse(wrong).is_err(), wrong != "user=a", "{wrong}");
        }
        assert!(Fields::parse(&"x ".repeat(65)).is_err());
    }
}
