//! What a server says when it is ready.

use crate::words;
use skein_server::Started;
use std::fmt::Write;
use std::path::Path;

/// Where everything is, on standard output. A server serves also when that takes nothing.
pub(crate) fn print(started: &Started, demo: bool, data: &Path) {
    words::mention(text(started, demo, data).trim_end());
}

fn text(started: &Started, demo: bool, data: &Path) -> String {
    let mut out = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(out, "{words}").expect("a String takes every write");
    line(format_args!("Skein is ready: {} shards, data in {}", started.shards, data.display()));
    for (service, addr) in &started.listeners {
        line(format_args!("  {service:<6} {addr}"));
    }
    line(format_args!("  certificate {}", started.certificate.display()));
    if demo {
        line(format_args!(""));
        line(format_args!("THIS IS THE DEMO: users demo/demo and test1/pass to test200/pass, which anyone can guess."));
        line(format_args!("Write a settings file (`skein config defaults`) and use --config for anything real."));
        if let Some((_, addr)) = started.listeners.iter().find(|(service, _)| *service == "imap") {
            line(format_args!(
                "Try:  curl --url imap://{addr}/INBOX --user demo:demo --request 'STATUS INBOX (MESSAGES)'"
            ));
        }
    }
    out
}
