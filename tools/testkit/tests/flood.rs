//! Thousands of connections at once, most of which say nothing or a byte at a time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use skein_testkit::server::Kind;
use skein_testkit::{Server, process};

/// Connections: what one process may hold where the limit of open files is 20 000.
const CONNECTIONS: usize = 15_000;
/// Memory for one silent connection before login, generously.
const CONNECTION_BYTES_MAX: u64 = 6 * 1024;
/// Longest that one of the crowd may wait for its greeting.
const GREETED_WITHIN: Duration = Duration::from_secs(20);
/// Longest that a new client may wait for login and SELECT while all this goes on.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn fifteen_thousand_connections() {
    if process::raise_open_files() < CONNECTIONS as u64 + 500 {
        println!("skipped: the limit of open files is below {CONNECTIONS}");
        return;
    }
    let server = Server::start();
    let mut bystander = server.login(&Server::user(1));
    let before = process::memory(server.pid()).rss_bytes;
    let began = Instant::now();
    let mut crowd: Vec<TcpStream> = (0..CONNECTIONS).map(|n| connect(&server, n)).collect();
    println!("{CONNECTIONS} connected in {:?}", began.elapsed());
    for (number, stream) in crowd.iter_mut().enumerate() {
        assert!(greeting(stream).is_some(), "connection {number} of {CONNECTIONS} gets no greeting");
    }
    println!("all greeted after {:?}", began.elapsed());

    // A slow client in ten: one byte of a command now and then is no reason to keep others waiting.
    for (index, byte) in b"a1 NO".iter().enumerate() {
        for stream in crowd.iter_mut().skip(index % 10).step_by(10) {
            stream.write_all(&[*byte]).expect("an open connection");
        }
        served(&server, &mut bystander);
    }
    let grown = process::memory(server.pid()).rss_bytes.saturating_sub(before);
    println!("{} bytes per connection", grown / CONNECTIONS as u64);
    assert!(grown < CONNECTION_BYTES_MAX * CONNECTIONS as u64 || server.kind() != Kind::Skein, "grown by {grown}");
    drop(crowd);
    served(&server, &mut bystander);
}

#[track_caller]
fn served(server: &Server, bystander: &mut skein_testkit::imap::Client) {
    let began = Instant::now();
    bystander.command("NOOP").expect("NOOP").expect_ok();
    server.login(&Server::user(2)).command("SELECT INBOX").expect("SELECT").expect_ok();
    assert!(began.elapsed() < SERVED_WITHIN, "a new client waited {:?}", began.elapsed());
}

/// Two in three to IMAP, the rest to LMTP; all to IMAP at the peer, which takes a process for each LMTP client.
fn connect(server: &Server, number: usize) -> TcpStream {
    let ports = server.ports();
    let addr = if number % 3 == 2 && server.kind() == Kind::Skein { ports.lmtp } else { ports.imap };
    let stream = TcpStream::connect(addr).unwrap_or_else(|e| panic!("connection {number}: {e}"));
    stream.set_read_timeout(Some(GREETED_WITHIN)).expect("a timeout");
    stream
}

fn greeting(stream: &mut TcpStream) -> Option<()> {
    let mut block = [0; 512];
    let read = stream.read(&mut block).ok()?;
    (block[..read].starts_with(b"* OK") || block[..read].starts_with(b"220")).then_some(())
}
