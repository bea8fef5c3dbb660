//! A line of the log: text or JSON, with the session it belongs to.
//!
//! ```text
//! 2026-11-25T04:30:01.123456Z  INFO login session=6744.0.1a service=imap user=anna peer=[::1]:4711
//! <6>login session=6744.0.1a service=imap user=anna          to the journal, which knows the time itself
//! {"time":"..","level":"INFO","message":"login","session":"6744.0.1a","service":"imap","user":"anna"}
//! ```

use serde_json::Value;
use skein_config::LogFormat;
use skein_serve::SessionId;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events as lines.
pub(crate) struct LogLine {
    /// Text or JSON.
    pub format: LogFormat,
    /// The journal reads it: the priority in front (sd-daemon(3)), no time.
    pub journal: bool,
}

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        let session = skein_serve::current_session();
        if self.journal {
            write!(to, "<{}>", priority(level))?;
        }
        // As the macros have it.
        let message_first = event.fields().next().is_some_and(|field| field.name() == "message");
        if self.format == LogFormat::Text && message_first {
            self.head(&mut to, level)?;
            let mut words = Words { to: &mut to, session, text: String::new(), written: Ok(()) };
            event.record(&mut words);
            words.written?;
            return writeln!(to);
        }
        let mut fields = Fields::default();
        fields.others.extend(session.map(|session| ("session", session.to_string().into())));
        event.record(&mut fields);
        match self.format {
            LogFormat::Json => self.json(&mut to, level, fields),
            LogFormat::Text => self.text(&mut to, level, &fields),
        }
    }
}

impl LogLine {
    fn json(&self, to: &mut Writer<'_>, level: Level, fields: Fields) -> fmt::Result {
        to.write_char('{')?;
        if !self.journal {
            let mut time = String::new();
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            write!(to, "\"time\":{},", Value::from(time))?;
        }
        write!(to, "\"level\":\"{level}\",\"message\":{}", Value::from(fields.message))?;
        for (name, value) in fields.others {
            write!(to, ",{}:{value}", Value::from(name))?;
        }
        to.write_str("}\n")
    }

    fn text(&self, to: &mut Writer<'_>, level: Level, fields: &Fields) -> fmt::Result {
        self.head(to, level)?;
        write_words(to, fields)?;
        writeln!(to)
    }

    fn head(&self, to: &mut Writer<'_>, level: Level) -> fmt::Result {
        if self.journal {
            return Ok(());
        }
        SystemTime.format_time(to)?;
        let (on, off) = if to.has_ansi_escapes() { (colour(level), "\x1b[0m") } else { ("", "") };
        write!(to, " {on}{level:>5}{off} ")
    }
}

/// What an event says, as in a line of text, without time and level.
pub(crate) fn words(event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut text = String::new();
    write_words(&mut Writer::new(&mut text), &fields).expect("a String takes every write");
    text
}

fn write_words(to: &mut Writer<'_>, fields: &Fields) -> fmt::Result {
    clean(to, &fields.message)?;
    for (name, value) in &fields.others {
        match value {
            Value::String(text) => write_text(to, name, text)?,
            other => write!(to, " {name}={other}")?,
        }
    }
    Ok(())
}

fn write_text(to: &mut Writer<'_>, name: &str, text: &str) -> fmt::Result {
    to.write_char(' ')?;
    to.write_str(name)?;
    to.write_char('=')?;
    match text.is_empty() || text.bytes().any(|byte| matches!(byte, b' ' | b'"' | b'=')) {
        // Whoever cuts the line at spaces gets whole values.
        true => write!(to, "{}", Value::from(text)),
        false => clean(to, text),
    }
}

/// Control characters, which foreign text may hold, are escaped: a line stays one line, a terminal stays itself.
fn clean(to: &mut Writer<'_>, text: &str) -> fmt::Result {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return to.write_str(text);
    }
    text.chars().try_for_each(|c| if c.is_control() { write!(to, "{}", c.escape_default()) } else { to.write_char(c) })
}

/// Of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

/// Writes what an event says as it says it, the message first: each delivery and each session has a line or two.
struct Words<'a, 'w> {
    to: &'a mut Writer<'w>,
    session: Option<SessionId>,
    /// What is no text becomes one here.
    text: String,
    written: fmt::Result,
}

impl Words<'_, '_> {
    fn take(&mut self, field: &Field, text: &str) -> fmt::Result {
        if field.name() != "message" {
            return write_text(self.to, field.name(), text);
        }
        clean(self.to, text)?;
        self.session.map_or(Ok(()), |session| write!(self.to, " session={session}"))
    }

    fn number(&mut self, field: &Field, number: impl fmt::Display) {
        if self.written.is_ok() {
            self.written = write!(self.to, " {}={number}", field.name());
        }
    }
}

impl Visit for Words<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        self.written = self.written.and_then(|()| write!(text, "{value:?}")).and_then(|()| self.take(field, &text));
        self.text = text;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.written = self.written.and_then(|()| self.take(field, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }
}

/// What an event says, in its order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }
}

impl Fields {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, journal: bool) -> String {
        let seen = || tracing::warn!(user = "anna b", peer = %"[::1]:5", n = 7, evil = "a\nb", "seen");
        logged_by(seen, format, journal)
    }

    fn logged_by(tell: impl FnOnce(), format: LogFormat, journal: bool) -> String {
        let page = Page::default();
        let writer = page.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(LogLine { format, journal });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), tell);
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        assert_eq!(logged(LogFormat::Text, true), "<4>seen user=\"anna b\" peer=[::1]:5 n=7 evil=a\\nb\n");
    }

    /// Also where it is all gathered first.
    #[test]
    fn lines_are_the_same_however_they_are_written() {
        let cases: [fn(); 4] = [
            || tracing::warn!(user = "anna b", peer = %"[::1]:5", n = 7, left = -1, is = true, part = 0.5, "seen {}", 1),
            || tracing::info!(empty = "", quoted = "a=b", debug = ?Some("x y"), none = None::<u64>, "a\x1bb \u{e9}"),
            || tracing::info!(evil = "a\nb", name = "käse", number = u64::MAX),
            || tracing::info!("alone"),
        ];
        for case in cases {
            let straight = logged_by(case, LogFormat::Text, true);
            let gathered = Page::default();
            let page = gathered.clone();
            tracing::subscriber::with_default(tracing_subscriber::registry().with(Gathering(page)), case);
            let gathered = String::from_utf8(gathered.0.lock().unwrap().clone()).unwrap();
            assert_eq!(straight.split_once('>').unwrap().1, format!("{gathered}\n"));
        }
    }

    /// Writes what [`words`] makes of events.
    struct Gathering(Page);

    impl<S: Subscriber> tracing_subscriber::Layer<S> for Gathering {
        fn on_event(&self, event: &Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            self.0.0.lock().unwrap().extend_from_slice(words(event).as_bytes());
        }
    }

    #[test]
    fn text_has_time_and_level() {
        let line = logged(LogFormat::Text, false);
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && rest.starts_with(" WARN seen "), "{line}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = logged(LogFormat::Json, false);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["level"], &value["message"], &value["n"]), (&"WARN".into(), &"seen".into(), &7.into()));
        assert_eq!((&value["evil"], line.lines().count()), (&"a\nb".into(), 1));
        assert!(value["time"].is_string());
    }
}
