//! Rules between settings.

use crate::parse::Reader;

/// Adds what is wrong between settings that are each right by themselves.
pub(crate) fn check(reader: &mut Reader<'_>) {
    certificate_and_key(reader);
    somebody_can_log_in(reader);
    addresses_differ(reader);
}

fn certificate_and_key(reader: &mut Reader<'_>) {
    let tls = &reader.config.tls;
    let (given, lacking) = match (&tls.cert, &tls.key) {
        (Some(_), None) => ("tls.cert", "tls.key"),
        (None, Some(_)) => ("tls.key", "tls.cert"),
        _ => return,
    };
    let place = reader.place(given);
    reader.problem(
        place,
        given,
        format!("needs {lacking} beside it: write both, or neither for a self-signed certificate"),
    );
}

fn somebody_can_log_in(reader: &mut Reader<'_>) {
    if reader.config.auth.sources.is_empty() {
        let place = reader.place("auth.sources");
        let text = "nobody could log in: write sources = [{ driver = \"passwd-file\", path = \"users\" }] under [auth]";
        reader.problem(place, "auth.sources", text);
    }
}

/// Port 0 asks the kernel for any free one, so two of those are not the same.
fn addresses_differ(reader: &mut Reader<'_>) {
    let l = &reader.config.listeners;
    let lists = [
        ("listeners.imap", l.imap.clone()),
        ("listeners.imaps", l.imaps.clone()),
        ("listeners.lmtp", l.lmtp.clone()),
        ("listeners.http", l.http.clone()),
    ];
    let mut taken: Vec<(std::net::SocketAddr, &str)> = Vec::new();
    for (key, list) in lists {
        for address in list.into_iter().filter(|a| a.port() != 0) {
            match taken.iter().find(|(other, _)| *other == address) {
                Some(&(_, by)) => {
                    let place = reader.place(key);
                    reader.problem(place, key, format!("{address} is taken by {by}: write another port"));
                }
                None => taken.push((address, key)),
            }
        }
    }
}
