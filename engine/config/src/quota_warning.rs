//! Warnings of quota as Dovecot's users write them: `storage=95% /usr/local/bin/quota-warning 95 %{user}`.

use crate::quota_rule::QuotaResource;
use std::path::Path;

/// Warnings of one server; each change of an account may look through all.
pub(crate) const WARNINGS_MAX: usize = 16;
/// Words of a command.
const WORDS_MAX: usize = 32;
/// A line beyond this share of the limit is never crossed.
const PERCENT_MAX: u32 = 1000;

/// Somebody is told when what a user holds crosses a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaWarning {
    /// What is measured.
    pub resource: QuotaResource,
    /// The line, in percent of the user's limit.
    pub percent: u32,
    /// Told when it is more than before and reaches the line; otherwise when it falls below.
    pub over: bool,
    /// How.
    pub telling: Telling,
}

/// How somebody is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Telling {
    /// A program is run: its path and its arguments, in which `%{user}` and the like are still to be filled in.
    Run(Vec<String>),
    /// A JSON object is posted to this `http://` or `https://` address.
    Post(String),
}

impl QuotaWarning {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<QuotaWarning, String> {
        let mut words = text.split_ascii_whitespace().map(str::to_owned);
        let line = words.next().unwrap_or_default();
        let example = "write storage=95% and a program or an http:// or https:// address behind it";
        let (over, limit) = line.strip_prefix('-').map_or((true, &*line), |limit| (false, limit));
        let (name, percent) = limit.split_once('=').ok_or_else(|| format!("\"{line}\" is no line: {example}"))?;
        let resource = match name {
            "storage" => QuotaResource::Storage,
            "messages" => QuotaResource::Messages,
            "mailboxes" => QuotaResource::Mailboxes,
            other => return Err(format!("\"{other}\" is not measured: write storage, messages or mailboxes")),
        };
        let percent = percent.strip_suffix('%').and_then(|digits| digits.parse().ok());
        let percent = percent.filter(|percent| (1..=PERCENT_MAX).contains(percent));
        let percent =
            percent.ok_or_else(|| format!("\"{line}\" has no share of the limit: write 1% to {PERCENT_MAX}%"))?;
        let words: Vec<String> = words.collect();
        let first = words.first().ok_or_else(|| format!("\"{line}\" tells nobody: {example}"))?;
        let telling = match first.split_once("://") {
            Some(("http" | "https", rest)) if words.len() == 1 && !rest.starts_with('/') && rest.len() > 1 => {
                Telling::Post(first.clone())
            }
            Some(_) => {
                return Err(format!(
                    "\"{first}\" is no address: write http://host:port/path or https://host/path and nothing behind it"
                ));
            }
            None if !Path::new(first).is_absolute() => {
                return Err(format!("\"{first}\" is no whole path: write it from the root on"));
            }
            None if words.len() > WORDS_MAX => return Err(format!("has more than {WORDS_MAX} words")),
            None => Telling::Run(words),
        };
        Ok(QuotaWarning { resource, percent, over, telling })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_who_is_told() {
        let warning = QuotaWarning::parse("storage=95% /bin/warn  95 %{user}").unwrap();
        let words = ["/bin/warn", "95", "%{user}"].map(str::to_owned).into();
        let (resource, over) = (QuotaResource::Storage, true);
        assert_eq!(warning, QuotaWarning { resource, percent: 95, over, telling: Telling::Run(words) });
        let warning = QuotaWarning::parse("-messages=100% http://[::1]:80/quota?a").unwrap();
        assert_eq!((warning.over, warning.resource), (false, QuotaResource::Messages));
        assert_eq!(warning.telling, Telling::Post("http://[::1]:80/quota?a".to_owned()));
        let warning = QuotaWarning::parse("mailboxes=9% https://host/").unwrap();
        assert_eq!(warning.telling, Telling::Post("https://host/".to_owned()));
        for wrong in [
            "",
            "95%",
            "storage=95%",
            "storage=95 /bin/warn",
            "storage=0% /bin/warn",
            "storage=1001% /bin/warn",
            "bytes=5% /bin/warn",
            "storage=95% warn",
            "storage=95% https://",
            "storage=95% http:///",
            "storage=95% http://host/ more",
            "storage=95% ftp://host/",
            &format!("storage=95% /bin/warn {}", "a ".repeat(32)),
        ] {
            assert!(QuotaWarning::parse(wrong).is_err(), "{wrong}");
        }
    }
}
