//! Whose mail an address is.

use skein_base::UserName;
use skein_proto::lmtp::Address;

/// How addresses become users, from the settings of `[lmtp]`.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where no user has the full address as name, the part before the `@` is tried.
    pub strip_domain: bool,
    /// Characters that end the user's part: `+` makes `anna+lists@x` anna's. Empty: none does.
    pub delimiters: String,
}

/// Who gets the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient {
    /// The user.
    pub user: UserName,
    /// What stood behind the delimiter, as it was written: Sieve and the choice of a folder may ask for it.
    pub detail: Option<String>,
}

/// The users that an address may name; it is the first of them that there is.
///
/// ```text
/// anna+lists@x   the address as it stands
/// anna@x         without the detail
/// anna+lists     without the domain, when the rules strip it or the address has none
/// anna           without both
/// ```
pub fn candidates(address: &Address, rules: &Rules) -> Vec<Recipient> {
    let (base, detail) = address.split_detail(&rules.delimiters);
    let whole = (address.local.as_str(), None);
    let cut = detail.map(|detail| (base, Some(detail)));
    let domains = [address.domain.as_deref(), None];
    let domains = if rules.strip_domain && address.domain.is_some() { &domains[..] } else { &domains[..1] };
    let forms =
        domains.iter().flat_map(|domain| [Some(whole), cut].into_iter().flatten().map(move |form| (form, *domain)));
    let recipient = |((local, detail), domain): ((&str, Option<&str>), Option<&str>)| {
        Some(Recipient { user: user(local, domain)?, detail: detail.map(str::to_owned) })
    };
    forms.filter_map(recipient).collect()
}

/// `local@domain` as a user name, when it can be one.
fn user(local: &str, domain: Option<&str>) -> Option<UserName> {
    match domain {
        Some(domain) => UserName::new(&format!("{local}@{domain}")).ok(),
        None => UserName::new(local).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] =
        ["jürgen@bücher.example", "test1", "anna@example.org", "anna", "odd+name@example.org", "+plus"];

    fn check(address: &str, strip_domain: bool, expect: Option<(&str, Option<&str>)>) {
        let rules = Rules { strip_domain, delimiters: "+".into() };
        let address = Address::parse(address.as_bytes()).unwrap();
        let got = candidates(&address, &rules).into_iter().find(|r| KNOWN.contains(&r.user.as_str()));
        let got = got.as_ref().map(|r| (r.user.as_str(), r.detail.as_deref()));
        assert_eq!(got, expect, "{address} {strip_domain}");
    }

    #[test]
    fn whose_mail_it_is() {
        check("test1", false, Some(("test1", None)));
        check("test1@anything", true, Some(("test1", None)));
        check("test1@anything", false, None);
        check("Test1+Box@Anything", true, Some(("test1", Some("Box"))));
        check("test1+", false, Some(("test1", Some(""))));
        check("Anna@Example.ORG", true, Some(("anna@example.org", None)));
        check("anna+lists@example.org", false, Some(("anna@example.org", Some("lists"))));
        check("anna+lists@example.net", true, Some(("anna", Some("lists"))));
        check("odd+name@example.org", true, Some(("odd+name@example.org", None)));
        check("+plus@x", true, Some(("+plus", None)));
        check("nobody@example.org", true, None);
        check("\"test1\"@x", true, Some(("test1", None)));
        check("\"te st\"@x", true, None);
        check("\"\"@x", true, None);
        check("JÜRGEN+x@bücher.example", false, Some(("jürgen@bücher.example", Some("x"))));
        check("ju\u{308}rgen@bu\u{308}cher.example", false, Some(("jürgen@bücher.example", None)));
    }

    #[test]
    fn without_delimiters_there_is_no_detail() {
        let rules = Rules { strip_domain: true, delimiters: String::new() };
        let address = Address::parse(b"anna+lists@example.org").unwrap();
        assert!(!candidates(&address, &rules).iter().any(|r| r.user.as_str().starts_with("anna@")));
    }
}
