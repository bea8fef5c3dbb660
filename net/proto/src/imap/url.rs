//! IMAP URLs, absolute and relative (RFC 5092), with what lets others read what they name (RFC 4467).
//!
//! ```text
//! imap://tim;AUTH=*@host:143/mail;UIDVALIDITY=1/;UID=20/;SECTION=1.2/;PARTIAL=0.1024;EXPIRE=2026-..;URLAUTH=submit+x:INTERNAL:91354a..
//!        └───── server ────┘ └─────────────── what ──────────────────────────────┘ └────────────────── auth ───────────────────────┘
//!                           /mail/;UID=20       from the root
//!                            ;UID=20/;SECTION=1 from the selected mailbox
//! ```
//! A `;` within a name is percent-encoded, so that each one that stands there begins a parameter.

use super::date::read_rfc3339;
use super::limits::URL_BYTES_MAX;
use super::parse::{fold_inbox, section_of_url};
use super::response::Names;
use super::{BodySection, Partial, SectionText};
use skein_base::limits::MAILBOX_NAME_BYTES_MAX;

/// The port that is meant when none is said (RFC 5092 §11).
const IMAP_PORT: u16 = 143;

/// What an IMAP URL names. Percent-encoding is undone everywhere but in [`ImapUrl::text`] and [`UrlAuth::rump`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImapUrl {
    /// As it came, at most [`URL_BYTES_MAX`] bytes of printable ASCII.
    pub text: String,
    /// Where; `None` for the server that it is told to.
    pub server: Option<UrlServer>,
    path: Path,
    /// UIDVALIDITY that the mailbox must have, not 0.
    pub validity: Option<u32>,
    /// UID of the message, not 0.
    pub uid: Option<u32>,
    /// What of the message. A partial without a length goes to the end.
    pub section: BodySection,
    /// Who may read it, and until when.
    pub auth: Option<UrlAuth>,
}

/// `iserver` (RFC 5092 §11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlServer {
    /// Whose mail, when it is said.
    pub user: Option<String>,
    /// How to log in; `*` for any mechanism.
    pub auth: Option<String>,
    /// Name or address; that of IPv6 in its brackets.
    pub host: String,
    /// 143 when it is not said.
    pub port: Option<u16>,
}

/// Authorization of RFC 4467 §3. It is only found in absolute URLs that name a user and a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlAuth {
    /// When it ends, seconds since 1970.
    pub expire: Option<i64>,
    /// Who may read it.
    pub access: UrlAccess,
    /// All that is before the mechanism: what the token vouches for.
    pub rump: String,
    /// How the token was made; `None` for a URL that has no token yet.
    pub mechanism: Option<String>,
    /// The token; with the mechanism and only with it.
    pub token: Option<Vec<u8>>,
}

/// `access` (RFC 4467 §2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UrlAccess {
    /// `submit+user`: the submission server, when that user submits.
    Submit(String),
    /// `user+user`: that user.
    User(String),
    /// `authuser`: any user.
    AuthUser,
    /// `anonymous`: everybody.
    Anonymous,
}

/// A text that is no URL of this kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadUrl {
    /// One sentence for people.
    pub why: &'static str,
}

/// The mailbox of a URL, before it is known which one is selected.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Path {
    /// How many levels above the selected mailbox it begins; `None` when it begins at the root.
    above: Option<usize>,
    name: String,
}

impl ImapUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// Too long, or it does not follow the grammar; searches (`?`) are not read either.
    pub fn parse(text: &str) -> Result<ImapUrl, BadUrl> {
        if text.len() > URL_BYTES_MAX {
            return bad("The URL is too long");
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return bad("The URL holds a character that must be percent-encoded");
        }
        if text.contains('?') {
            return bad("The URL is a search");
        }
        let (server, rest) = server(text)?;
        let mut pieces = rest.split(';');
        let path = pieces.next().unwrap_or_default();
        let mut url = ImapUrl {
            text: text.to_string(),
            path: Path::read(path, server.is_some())?,
            server,
            validity: None,
            uid: None,
            section: BodySection { path: Vec::new(), text: SectionText::All, partial: None, peek: true },
            auth: None,
        };
        url.parameters(path, pieces)?;
        Ok(url)
    }

    /// The mailbox that is meant while `selected` is; `None` when it names none. The URL has it in the client's form.
    pub fn mailbox(&self, selected: Option<&str>, names: Names) -> Option<String> {
        let mut name = match self.path.above {
            None => String::new(),
            Some(above) => {
                let selected = names.turned(selected?);
                let mut base = &*selected;
                for _ in 0..above {
                    base = base.rsplit_once('/').map_or("", |(parent, _)| parent);
                }
                base.to_string()
            }
        };
        if !name.is_empty() && !self.path.name.is_empty() {
            name.push('/');
        }
        name.push_str(&self.path.name);
        let mut name = names.turned(&name).into_owned();
        fold_inbox(&mut name);
        (!name.is_empty()).then_some(name)
    }

    fn parameters<'a>(&mut self, path: &str, pieces: impl Iterator<Item = &'a str>) -> Result<(), BadUrl> {
        let mut slash = path.ends_with('/') || (path.is_empty() && self.server.is_none());
        let (mut last, mut expire) = (None, None);
        for piece in pieces {
            let (name, value) = piece.split_once('=').ok_or(BadUrl { why: "A parameter of the URL has no value" })?;
            let parameter = Parameter::named(name)?;
            if last.replace(parameter).is_some_and(|last| last >= parameter) {
                return bad("The URL's parameters are not in their order");
            }
            if parameter.follows_slash() && !slash {
                return bad("A slash is missing in the URL");
            }
            let bare = value.strip_suffix('/').unwrap_or(value);
            slash = bare.len() < value.len();
            match parameter {
                Parameter::Validity => self.validity = Some(nonzero(bare)?),
                Parameter::Uid => self.uid = Some(nonzero(bare)?),
                Parameter::Section => self.section = section(bare)?,
                Parameter::Partial => self.section.partial = Some(partial(bare)?),
                Parameter::Expire => {
                    expire = Some(read_rfc3339(value.as_bytes()).ok_or(BadUrl { why: "The URL's date is none" })?);
                }
                Parameter::UrlAuth => self.auth = Some(self.authorization(value, expire)?),
            }
        }
        match expire.is_some() && self.auth.is_none() {
            true => bad("The URL ends at some time but says not for whom"),
            false => Ok(()),
        }
    }

    /// `access[:mechanism:token]`, which ends the URL.
    fn authorization(&self, value: &str, expire: Option<i64>) -> Result<UrlAuth, BadUrl> {
        if self.uid.is_none() || self.server.as_ref().is_none_or(|server| server.user.is_none()) {
            return bad("Only an absolute URL of a message of some user can be authorized");
        }
        let (access, verifier) = value.split_once(':').map_or((value, None), |(access, rest)| (access, Some(rest)));
        let rump = self.text[..self.text.len() - (value.len() - access.len())].to_string();
        let (mechanism, token) = match verifier.map(|v| v.split_once(':')) {
            None => (None, None),
            Some(Some((mechanism, token))) if is_mechanism(mechanism) => {
                (Some(mechanism.to_string()), Some(hex(token)?))
            }
            Some(_) => return bad("The URL's authorization is incomplete"),
        };
        Ok(UrlAuth { expire, access: UrlAccess::read(access)?, rump, mechanism, token })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Parameter {
    Validity,
    Uid,
    Section,
    Partial,
    Expire,
    UrlAuth,
}

impl Parameter {
    fn named(name: &str) -> Result<Parameter, BadUrl> {
        const NAMES: [(&str, Parameter); 6] = [
            ("UIDVALIDITY", Parameter::Validity),
            ("UID", Parameter::Uid),
            ("SECTION", Parameter::Section),
            ("PARTIAL", Parameter::Partial),
            ("EXPIRE", Parameter::Expire),
            ("URLAUTH", Parameter::UrlAuth),
        ];
        let found = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, parameter)| *parameter).ok_or(BadUrl { why: "The URL has a parameter that is not known" })
    }

    fn follows_slash(self) -> bool {
        matches!(self, Parameter::Uid | Parameter::Section | Parameter::Partial)
    }
}

impl Path {
    /// Reads what is before the first parameter. As Dovecot has it, the selected mailbox is what a relative name is below.
    fn read(text: &str, absolute: bool) -> Result<Path, BadUrl> {
        let (mut above, levels) = match text.strip_prefix('/') {
            Some(levels) => (None, levels),
            None if absolute => (None, text),
            None => (Some(0), text),
        };
        let mut names: Vec<String> = Vec::new();
        for level in levels.strip_suffix('/').unwrap_or(levels).split('/') {
            match level {
                "." => {}
                "" if levels.is_empty() || levels == "/" => {}
                ".." => {
                    if let (None, Some(above)) = (names.pop(), &mut above) {
                        *above += 1;
                    }
                }
                _ => names.push(decode(level, is_bchar)?),
            }
        }
        let name = names.join("/");
        match name.len() > MAILBOX_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            true => bad("The URL names a mailbox that can not be"),
            false => Ok(Path { above, name }),
        }
    }
}

impl UrlAccess {
    fn read(text: &str) -> Result<UrlAccess, BadUrl> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match text.split_once('+') {
            _ if is("authuser") => Ok(UrlAccess::AuthUser),
            _ if is("anonymous") => Ok(UrlAccess::Anonymous),
            Some((kind, user)) if kind.eq_ignore_ascii_case("submit") => Ok(UrlAccess::Submit(some(user, is_achar)?)),
            Some((kind, user)) if kind.eq_ignore_ascii_case("user") => Ok(UrlAccess::User(some(user, is_achar)?)),
            _ => bad("The URL is for somebody who is not known"),
        }
    }
}

/// The server, when one is named, and the rest. Other schemes than `imap` are not known.
fn server(text: &str) -> Result<(Option<UrlServer>, &str), BadUrl> {
    let rest = match text.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.eq_ignore_ascii_case("imap:") => rest,
        Some((scheme, _)) if scheme.ends_with(':') && !scheme.contains('/') => {
            return bad("The URL is not an imap: one");
        }
        _ => return Ok((None, text)),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
    let (user, auth) = match login.map(|login| login.split_once(';').map_or((login, None), |(u, a)| (u, Some(a)))) {
        None => (None, None),
        Some((user, None)) => (Some(some(user, is_achar)?), None),
        Some((user, Some(auth))) => {
            let named = auth.get(..5).filter(|name| name.eq_ignore_ascii_case("AUTH=")).map(|_| &auth[5..]);
            let auth = some(named.ok_or(BadUrl { why: "The URL's user has an unknown parameter" })?, is_achar)?;
            let user = if user.is_empty() { None } else { Some(decode(user, is_achar)?) };
            (user, Some(auth))
        }
    };
    let (host, port) = host_and_port(host)?;
    Ok((Some(UrlServer { user, auth, host, port }), path))
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), BadUrl> {
    let end = text.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match text[end..].find(':') {
        Some(colon) => (&text[..end + colon], Some(&text[end + colon + 1..])),
        None => (text, None),
    };
    let is_host = |b: u8| is_achar(b) || matches!(b, b'[' | b']' | b':');
    let host = some(host, is_host)?;
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => Some(port.parse().map_err(|_| BadUrl { why: "The URL's port is none" })?),
        None => None,
    };
    Ok((host, port))
}

fn section(text: &str) -> Result<BodySection, BadUrl> {
    let decoded = some(text, is_bchar)?;
    section_of_url(decoded.as_bytes()).ok_or(BadUrl { why: "The URL names a section that can not be" })
}

/// `number ["." nz-number]`
fn partial(text: &str) -> Result<Partial, BadUrl> {
    let (origin, bytes) = text.split_once('.').map_or((text, None), |(origin, bytes)| (origin, Some(bytes)));
    let origin = number(origin)?;
    let bytes = bytes.map_or(Ok(u64::MAX), number)?;
    match bytes {
        0 => bad("The URL's range is empty"),
        _ => Ok(Partial { origin, bytes }),
    }
}

fn number(text: &str) -> Result<u64, BadUrl> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(BadUrl { why: "The URL's number is none" })
}

fn nonzero(text: &str) -> Result<u32, BadUrl> {
    let n = u32::try_from(number(text)?).ok().filter(|n| *n > 0);
    n.ok_or(BadUrl { why: "The URL's number is none" })
}

/// `uauth-mechanism`
fn is_mechanism(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// `32*HEXDIG`
fn hex(text: &str) -> Result<Vec<u8>, BadUrl> {
    let token = text.as_bytes().chunks(2).map(|pair| match pair {
        [a, b] => Some(hex_digit(*a)? << 4 | hex_digit(*b)?),
        _ => None,
    });
    let token: Option<Vec<u8>> = token.collect();
    token.filter(|token| token.len() >= 16).ok_or(BadUrl { why: "The URL's token is none" })
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// What is left when percent-encoding is undone; not empty.
fn some(text: &str, fits: impl Fn(u8) -> bool) -> Result<String, BadUrl> {
    match decode(text, fits)? {
        empty if empty.is_empty() => bad("Something in the URL is empty"),
        decoded => Ok(decoded),
    }
}

fn decode(text: &str, fits: impl Fn(u8) -> bool) -> Result<String, BadUrl> {
    const WHY: BadUrl = BadUrl { why: "The URL is not encoded as it must be" };
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(hex_digit).ok_or(WHY);
                out.push(digit()? << 4 | digit()?);
            }
            byte if fits(byte) => out.push(byte),
            _ => return Err(WHY),
        }
    }
    String::from_utf8(out).map_err(|_| WHY)
}

/// `achar` of RFC 5092 §11, without percent-encoding.
fn is_achar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$'()*+,&=".contains(&byte)
}

/// `bchar`
fn is_bchar(byte: u8) -> bool {
    is_achar(byte) || b":@/".contains(&byte)
}

/// `imap://anna;AUTH=*@host:1143/`: a server as a referral names it. `AUTH=*`, since a URL without it asks for an anonymous login (RFC 2221 §3).
/// The host is a name or an address, that of IPv6 in brackets.
pub fn server_url(user: &str, host: &str, port: Option<u16>) -> String {
    let mut url = String::from("imap://");
    for byte in user.bytes() {
        match is_achar(byte) {
            true => url.push(char::from(byte)),
            false => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url.push_str(";AUTH=*@");
    url.push_str(host);
    if let Some(port) = port.filter(|port| *port != IMAP_PORT) {
        url.push_str(&format!(":{port}"));
    }
    url.push('/');
    url
}

fn bad<T>(why: &'static str) -> Result<T, BadUrl> {
    Err(BadUrl { why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read of a URL: server, mailbox with `Sel/ected` selected, numbers, section.
    fn check(text: &str, expect: &str) {
        let told = match ImapUrl::parse(text) {
            Err(bad) => format!("! {}", bad.why),
            Ok(url) => {
                let BodySection { path, text, partial, .. } = &url.section;
                let server = url.server.as_ref().map_or(String::new(), |s| {
                    let user = s.user.as_deref().unwrap_or("-");
                    format!("{user} {:?} {} {:?} ", s.auth.as_deref(), s.host, s.port)
                });
                let mailbox = url.mailbox(Some("Sel/ected"), Names::UTF7);
                let numbers = (url.validity.unwrap_or(0), url.uid.unwrap_or(0));
                let range = partial.map(|p| (p.origin, p.bytes));
                format!("{server}{mailbox:?} {numbers:?} {path:?} {text:?} {range:?}")
            }
        };
        assert_eq!(told, expect, "{text}");
    }

    #[test]
    fn examples_of_the_rfcs() {
        check(
            "imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024",
            "- None minbari.example.org None Some(\"gray-council\") (385759045, 20) [] All Some((0, 1024))",
        );
        check(
            "imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97",
            "- None psicorp.example.org None Some(\"~peter/日本語/台北\") (0, 0) [] All None",
        );
        check(
            "imap://;AUTH=GSSAPI@minbari.example.org/gray-council/;uid=20/;section=1.2",
            "- Some(\"GSSAPI\") minbari.example.org None Some(\"gray-council\") (0, 20) [1, 2] All None",
        );
        check("imap://;AUTH=*@minbari.example.org/gray%20council?SUBJECT%20shadows", "! The URL is a search");
        check("imap://michael@example.org/INBOX", "michael None example.org None Some(\"INBOX\") (0, 0) [] All None");
        // RFC 4469 §3
        check(
            "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER",
            "Some(\"Drafts\") (385759045, 20) [] Header None",
        );
    }

    #[test]
    fn urls_without_a_server() {
        check("/inbox/;UID=1", "Some(\"INBOX\") (0, 1) [] All None");
        check("/a/b/;UIDVALIDITY=7/;UID=1", "Some(\"a/b\") (7, 1) [] All None");
        check(";UID=1/;SECTION=2.MIME", "Some(\"Sel/ected\") (0, 1) [2] Mime None");
        check(";SECTION=TEXT", "Some(\"Sel/ected\") (0, 0) [] Text None");
        check("/a%3Bb%25/;UID=4294967295", "Some(\"a;b%\") (0, 4294967295) [] All None");
        check("/./a/../b/;UID=1", "Some(\"b\") (0, 1) [] All None");
        check("../Other/;UID=1", "Some(\"Sel/Other\") (0, 1) [] All None");
        check("../../../x/;UID=1", "Some(\"x\") (0, 1) [] All None");
        check("below/;UID=1", "Some(\"Sel/ected/below\") (0, 1) [] All None");
        check("/;UID=1", "None (0, 1) [] All None");
        check("/x/;UID=1/;PARTIAL=7", &format!("Some(\"x\") (0, 1) [] All Some((7, {}))", u64::MAX));
        let fields = "HeaderFields([\"DATE\", \"FROM\"])";
        check("/x/;UID=1/;SECTION=HEADER.FIELDS%20(DATE%20FROM)", &format!("Some(\"x\") (0, 1) [] {fields} None"));
        assert_eq!(ImapUrl::parse(";UID=1").unwrap().mailbox(None, Names::UTF7), None);
        let dots = Names { dots: true, ..Names::UTF7 };
        let of = |text: &str| ImapUrl::parse(text).unwrap().mailbox(Some("a/b"), dots);
        assert_eq!(of("/INBOX.v1%2F2/;UID=1").as_deref(), Some("INBOX/v1.2"));
        assert_eq!(of(";UID=1").as_deref(), Some("a/b"));
    }

    #[test]
    fn servers() {
        check("//user@[::1]:99/x", "user None [::1] Some(99) Some(\"x\") (0, 0) [] All None");
        check("imap://john;AUTH=*@host:/x/", "john Some(\"*\") host None Some(\"x\") (0, 0) [] All None");
        check("IMAP://u%40x@host", "u@x None host None None (0, 0) [] All None");
        check("imap://host:70000/", "! The URL's port is none");
        check("imap:///x", "! Something in the URL is empty");
        check("imap://a:b@host/x", "! The URL is not encoded as it must be");
        check("http://host/x", "! The URL is not an imap: one");
        check("imap://u;X=1@host/x", "! The URL's user has an unknown parameter");
    }

    #[test]
    fn servers_for_others() {
        for (user, host, port, expect) in [
            ("MIKE", "SERVER2", None, "imap://MIKE;AUTH=*@SERVER2/"),
            ("anna@example.org", "b", Some(1143), "imap://anna%40example.org;AUTH=*@b:1143/"),
            ("a;b]\r/%\u{fc}", "[2001:db8::1]", Some(143), "imap://a%3Bb%5D%0D%2F%25%C3%BC;AUTH=*@[2001:db8::1]/"),
        ] {
            let url = server_url(user, host, port);
            assert_eq!(url, expect);
            let server = ImapUrl::parse(&url).unwrap().server.unwrap();
            assert_eq!((server.user.as_deref(), server.auth.as_deref(), &*server.host), (Some(user), Some("*"), host));
        }
    }

    #[test]
    fn what_is_no_url() {
        for (text, why) in [
            ("/x/;UID=0", "The URL's number is none"),
            ("/x/;UID=+1", "The URL's number is none"),
            ("/x/;UID=4294967296", "The URL's number is none"),
            ("/x;UID=1", "A slash is missing in the URL"),
            ("/x/;UID=1;SECTION=1", "A slash is missing in the URL"),
            ("/x/;SECTION=1/;UID=1", "The URL's parameters are not in their order"),
            ("/x/;UID=1/;UID=1", "The URL's parameters are not in their order"),
            ("/x/;UID=1/;SECTION=0", "The URL names a section that can not be"),
            ("/x/;UID=1/;SECTION=HEADER]", "The URL is not encoded as it must be"),
            ("/x/;UID=1/;SECTION=", "Something in the URL is empty"),
            ("/x/;UID=1/;PARTIAL=1.0", "The URL's range is empty"),
            ("/x/;UID=1/;PARTIAL=.1", "The URL's number is none"),
            ("/x/;FOO=1", "The URL has a parameter that is not known"),
            ("/x/;UID", "A parameter of the URL has no value"),
            ("/x%4", "The URL is not encoded as it must be"),
            ("/x%ff", "The URL is not encoded as it must be"),
            ("/x%00", "The URL names a mailbox that can not be"),
            ("/x y", "The URL holds a character that must be percent-encoded"),
            ("/ü", "The URL holds a character that must be percent-encoded"),
            ("/x#y", "The URL holds a character that must be percent-encoded"),
        ] {
            check(text, &format!("! {why}"));
        }
        let long = |bytes: usize| format!("/{}/;UID=1", "x%41".repeat((bytes - 8) / 4));
        assert!(ImapUrl::parse(&"/".repeat(URL_BYTES_MAX)).is_err(), "no host");
        check(&long(URL_BYTES_MAX + 8), "! The URL is too long");
        check(&format!("/{}", "x".repeat(MAILBOX_NAME_BYTES_MAX + 1)), "! The URL names a mailbox that can not be");
    }

    #[test]
    fn authorizations() {
        let text = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:91354a473744909de610943775f92038";
        let auth = ImapUrl::parse(text).unwrap().auth.unwrap();
        assert_eq!(auth.access, UrlAccess::Submit("fred".to_string()));
        assert_eq!(auth.rump, text.split_once(":internal").unwrap().0);
        assert_eq!((auth.mechanism.as_deref(), auth.expire), (Some("internal"), None));
        assert_eq!(auth.token.unwrap()[..3], [0x91, 0x35, 0x4a]);
        let rump = "imap://joe@example.com/INBOX/;uid=20;expire=2006-05-05T00:00:00-08:00;urlauth=user+a%40b";
        let auth = ImapUrl::parse(rump).unwrap().auth.unwrap();
        assert_eq!(auth.rump, rump);
        assert_eq!((auth.access, auth.expire), (UrlAccess::User("a@b".to_string()), Some(1_146_816_000)));
        assert_eq!((auth.mechanism, auth.token), (None, None));
        let check_bad = |tail: &str, why: &str| check(&format!("imap://joe@host/x{tail}"), &format!("! {why}"));
        check_bad("/;uid=1;urlauth=friends", "The URL is for somebody who is not known");
        check_bad("/;uid=1;urlauth=submit+", "Something in the URL is empty");
        check_bad("/;uid=1;urlauth=anonymous:INTERNAL", "The URL's authorization is incomplete");
        check_bad("/;uid=1;urlauth=anonymous:INTERNAL:91354a", "The URL's token is none");
        check_bad("/;uid=1;expire=soon;urlauth=anonymous", "The URL's date is none");
        check_bad("/;uid=1;expire=2006-05-05T00:00:00Z", "The URL ends at some time but says not for whom");
        let unnamed = "Only an absolute URL of a message of some user can be authorized";
        check_bad(";urlauth=anonymous", unnamed);
        check("/x/;uid=1;urlauth=authuser", &format!("! {unnamed}"));
        check("imap://host/x/;uid=1;urlauth=authuser", &format!("! {unnamed}"));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_not(text in "(imap:)?(//)?[a-z@:/.;%=+0-9#?]{0,40}(/;(UID|SECTION|PARTIAL|EXPIRE|URLAUTH)=[0-9.A-Z:+%]{0,12}){0,3}") {
            if let Ok(url) = ImapUrl::parse(&text) {
                prop_assert_eq!(&url.text, &text);
                prop_assert!(url.uid != Some(0) && url.validity != Some(0));
                prop_assert!(url.mailbox(Some("a/b"), Names::UTF7).is_none_or(|name| !name.is_empty()));
            }
        }
    }
}
