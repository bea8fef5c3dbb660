//! What keeps commands over very many messages in bounds, against the running server: INPROGRESS (RFC 9585).

use skein_testkit::server::{Kind, set};
use skein_testkit::{Server, imap};

const MAIL: &[u8] = b"Subject: hello\r\n\r\nworld\r\n";

/// A server with this `[imap]`, and who is logged in with so many messages.
fn start(imap: &[(&str, &str)], messages: usize) -> Option<(Server, imap::Client)> {
    if Kind::from_env() != Kind::Skein {
        return None;
    }
    let server = Server::start_changed(|settings, _| {
        imap.iter().fold(settings, |settings, (key, value)| set(&settings, "imap", key, value))
    });
    let mut client = server.login(&Server::user(1));
    fill(&mut client, messages);
    check(&mut client, "SELECT INBOX", "* FLAGS");
    Some((server, client))
}

/// Appends messages, many at a time (RFC 3502).
fn fill(client: &mut imap::Client, messages: usize) {
    let one = [format!(" {{{}+}}\r\n", MAIL.len()).as_bytes(), MAIL].concat();
    for (i, count) in (0..messages).step_by(500).map(|from| 500.min(messages - from)).enumerate() {
        let tag = format!("fill{i}");
        client
            .write(&[format!("{tag} APPEND INBOX").as_bytes(), &one.repeat(count), b"\r\n"].concat())
            .expect("APPEND");
        client.finish(&tag).expect("APPEND").expect_ok();
    }
}

fn text(reply: &imap::Reply) -> String {
    let lines = reply.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    lines.chain([format!("{:?} {}", reply.status, reply.text)]).collect()
}

fn ask(client: &mut imap::Client, command: &str) -> String {
    text(&client.command(command).expect(command))
}

#[track_caller]
fn check(client: &mut imap::Client, command: &str, expect: &str) {
    let told = ask(client, command);
    assert!(told.starts_with(expect), "{command}: {told}");
}

/// Done and goal of each INPROGRESS line, for this tag.
fn progress(reply: &imap::Reply, tag: &str) -> Vec<(u32, Option<u32>)> {
    let head = format!("* OK [INPROGRESS (\"{tag}\" ");
    let lines = reply.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned());
    let states = lines.filter_map(|line| Some(line.strip_prefix(&head)?.split_once(')')?.0.to_owned()));
    let parts = states.map(|state| state.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two"));
    parts.map(|(done, goal)| (done.parse().expect("a number"), goal.parse().ok())).collect()
}

fn run(client: &mut imap::Client, command: &str) -> (imap::Reply, String) {
    let tag = client.send(command).expect(command);
    (client.finish(&tag).expect(command).expect_ok(), tag)
}

#[test]
fn long_commands_tell_how_far_they_are() {
    let Some((mut server, mut client)) = start(&[("progress_ms", "1")], 1000) else { return };
    assert!(ask(&mut client, "CAPABILITY").contains(" INPROGRESS"));
    for command in [
        "SEARCH TEXT nowhere",
        "SORT (SUBJECT DATE) UTF-8 TEXT world",
        "THREAD REFERENCES UTF-8 BODY world",
        "FETCH 1:* BODY.PEEK[]",
    ] {
        let (reply, tag) = run(&mut client, command);
        let told = progress(&reply, &tag);
        assert!(!told.is_empty(), "{command}: a thousand messages take more than a millisecond");
        assert!(told.is_sorted() && told.iter().all(|(done, goal)| *goal == Some(1000) && *done < 1000), "{told:?}");
        assert!(!reply.text.contains("INPROGRESS"), "{}", reply.text);
    }
    // A tag that the code could not hold is not told; how much an ESEARCH has to do is not known.
    client.write(b"a]b SEARCH BODY nowhere\r\n").expect("SEARCH");
    let reply = client.finish("a]b").expect("SEARCH").expect_ok();
    assert!(reply.untagged.iter().any(|line| line.starts_with(b"* OK [INPROGRESS (NIL ")), "{}", text(&reply));
    let (reply, tag) = run(&mut client, "ESEARCH IN (personal) BODY nowhere");
    assert!(progress(&reply, &tag).iter().all(|(_, goal)| goal.is_none()));
    drop(client);
    // By default it takes much longer until anything is told, and it can be turned off.
    server.stop();
    server.change_settings(|settings| set(&settings, "imap", "progress_ms", "0"));
    server.restart();
    let mut client = server.login(&Server::user(1));
    assert!(!ask(&mut client, "CAPABILITY").contains("INPROGRESS"));
    check(&mut client, "SELECT INBOX", "* FLAGS");
    let (reply, tag) = run(&mut client, "SEARCH TEXT nowhere");
    assert!(progress(&reply, &tag).is_empty());
}
