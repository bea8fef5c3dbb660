//! Commands by chance of what is around the mail: rights, quota, URLs; and what a second session of the user is told to do.
//!
//! `%user%` is the user, `%url%` the last URL that the server has authorized. What begins with [`SECOND`] is for the second session.

use skein_testkit::random::Random;

use super::search;

/// Before what the second session says.
pub const SECOND: &str = "@";

/// Rights of others, what is held, and URLs of messages.
pub fn command(random: &mut Random, name: &str) -> String {
    match random.below(12) {
        0..=3 => rights(random, name),
        4..=5 => quota(random, name),
        _ => url(random),
    }
}

/// RFC 4314. The owner keeps his own: at Dovecot he can take them from himself.
fn rights(random: &mut Random, name: &str) -> String {
    const OTHERS: [&str; 5] = ["bob", "-bob", "anna@example.org", "$group", "\"-$group\""];
    const RIGHTS: [&str; 11] = ["lr", "lrs", "+w", "-r", "i", "\"\"", "lrswipkxtea", "cd", "+d", "-c", "Z"];
    let other = random.word(&OTHERS);
    match random.below(8) {
        0..=2 => format!("SETACL {name} {other} {}", random.word(&RIGHTS)),
        3 => format!("DELETEACL {name} {other}"),
        4..=5 => format!("GETACL {name}"),
        6 => format!("MYRIGHTS {name}"),
        _ => format!("LISTRIGHTS {name} {other}"),
    }
}

/// RFC 9208.
fn quota(random: &mut Random, name: &str) -> String {
    match random.below(4) {
        0 => format!("GETQUOTA {}", random.word(&["\"User quota\"", "\"\"", "none"])),
        1 => format!("SETQUOTA \"User quota\" ({})", random.word(&["STORAGE 100", "MESSAGE 10", ""])),
        _ => format!("GETQUOTAROOT {name}"),
    }
}

/// RFC 4467 and RFC 5524.
fn url(random: &mut Random) -> String {
    const SECTIONS: [&str; 9] = [
        "",
        "",
        "/;section=1",
        "/;section=HEADER",
        "/;section=1.MIME",
        "/;section=TEXT",
        "/;section=2",
        "/;section=HEADER.FIELDS%20(SUBJECT%20TO)",
        "/;partial=3.10",
    ];
    const ITEMS: [&str; 5] =
        ["BODY", "BINARY", "BODYPARTSTRUCTURE", "BODYPARTSTRUCTURE BODY", "BINARY BODYPARTSTRUCTURE"];
    const WHOM: [&str; 6] = ["user+%user%", "user+%user%", "authuser", "anonymous", "user+bob", "submit+%user%"];
    match random.below(16) {
        0..=4 => {
            let owner = if random.chance(95) { "%user%" } else { "bob" };
            let mailbox = random.word(&["INBOX", "INBOX", "box", "box/sub", "missing"]);
            let (uid, section, whom) = (random.between(1, 14), random.word(&SECTIONS), random.word(&WHOM));
            let mechanism = if random.chance(95) { "INTERNAL" } else { "X-OTHER" };
            format!("GENURLAUTH \"imap://{owner}@localhost/{mailbox}/;uid={uid}{section};urlauth={whom}\" {mechanism}")
        }
        5..=9 => "URLFETCH \"%url%\"".into(),
        10..=13 => format!("URLFETCH (\"%url%\" {})", random.word(&ITEMS)),
        14 => format!(
            "RESETKEY{}",
            random.word(&[
                "",
                " INBOX",
                " box",
                " missing",
                " INBOX internal",
                " box X-OTHER",
                " INBOX INTERNAL X-OTHER"
            ])
        ),
        _ => {
            const WRONG: [&str; 6] = [
                "GENURLAUTH \"imap://%user%@localhost/INBOX/;uid=1;urlauth=authuser\"",
                "GENURLAUTH \"imap://%user%@localhost/INBOX/;uid=1\" INTERNAL",
                "GENURLAUTH \"/INBOX/;uid=1;urlauth=authuser\" INTERNAL",
                "GENURLAUTH \"%url%\" INTERNAL",
                "URLFETCH",
                "URLFETCH \"imap://%user%@localhost/INBOX/;uid=1\"",
            ];
            random.word(&WRONG).into()
        }
    }
}

/// How the second session begins.
pub fn opening(random: &mut Random) -> Vec<Vec<u8>> {
    // At Dovecot a NOTIFY that tells HIGHESTMODSEQ enables CONDSTORE.
    let enable = random.word(&["ENABLE CONDSTORE", "ENABLE QRESYNC"]);
    let mut all = vec![enable.to_owned(), format!("SELECT {}", random.word(&["INBOX", "INBOX", "box"]))];
    if random.chance(50) {
        all.push(updated_search(random));
    }
    if random.chance(60) {
        all.push(notify(random));
    }
    all.into_iter().map(|command| format!("{SECOND}{command}").into_bytes()).collect()
}

/// Now and then it does something itself.
pub fn second(random: &mut Random, count: usize) -> String {
    let command = match random.below(12) {
        0..=2 => format!("{} {}", random.word(&["SELECT", "EXAMINE"]), random.word(&["INBOX", "box", "box/sub"])),
        3..=4 => notify(random),
        5 => updated_search(random),
        6 => format!("CANCELUPDATE \"{}\"", random.word(&["t1", "t2", "t3"])),
        7 => format!("STORE {} +FLAGS ({})", search::set(random, count, false), random.word(&["\\Seen", "\\Deleted"])),
        8 => "CLOSE".into(),
        _ => format!("FETCH 1:* ({})", random.word(&["FLAGS", "UID FLAGS", "UID"])),
    };
    format!("{SECOND}{command}")
}

/// A result that is kept up (RFC 5267), of what both read alike.
fn updated_search(random: &mut Random) -> String {
    const KEYS: [&str; 6] = ["UNSEEN", "NOT DELETED", "OR FLAGGED ANSWERED", "KEYWORD word", "LARGER 300", "ALL"];
    let returned = random.word(&["UPDATE", "UPDATE ALL", "UPDATE COUNT", "UPDATE MIN MAX"]);
    format!("{}SEARCH RETURN ({returned}) {}", random.word(&["", "UID "]), random.word(&KEYS))
}

/// RFC 5465, always with the selected mailbox: without it Dovecot tells nothing of that, whatever the command. Of others it tells when its watch of files fires.
fn notify(random: &mut Random) -> String {
    const SETS: [&str; 17] = [
        "(SELECTED (MessageNew MessageExpunge))",
        "(SELECTED (MessageNew MessageExpunge FlagChange))",
        "(SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))",
        "(SELECTED-DELAYED (MessageNew (UID FLAGS) MessageExpunge FlagChange))",
        "(SELECTED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))",
        "(SELECTED (MessageNew (FLAGS RFC822.SIZE) MessageExpunge))",
        "STATUS (MAILBOXES INBOX (MessageNew MessageExpunge)) (SELECTED (MessageNew MessageExpunge FlagChange))",
        "STATUS (SELECTED (MessageNew MessageExpunge)) (MAILBOXES (INBOX box) (MessageNew MessageExpunge FlagChange))",
        "STATUS (SUBTREE box (MessageNew MessageExpunge)) (SELECTED (MessageNew MessageExpunge FlagChange))",
        "STATUS (SUBSCRIBED (MessageNew MessageExpunge)) (SELECTED-DELAYED (MessageNew MessageExpunge))",
        // Wrong in one way or another.
        "(SELECTED (MessageNew))",
        "(SELECTED (MessageExpunge))",
        "(SELECTED (MessageNew (NONSENSE) MessageExpunge))",
        "(SELECTED (MessageNew MessageExpunge)) (SELECTED-DELAYED (MessageNew MessageExpunge))",
        "(NOWHERE (MessageNew MessageExpunge))",
        "(INBOXES (AnnotationChange))",
        "(INBOXES (MessageNew (UID) MessageExpunge))",
    ];
    format!("NOTIFY SET {}", random.word(&SETS))
}
