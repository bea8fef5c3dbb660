//! Real sockets on loopback: many connections moving between shards, TLS by a real client, stopping, refusing.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, HandshakeKind};
use sha2::{Digest, Sha256};
use skein_transport::{BindError, BoundSocket, ChannelBindings, Place, bind};
use support::{Server, Stream, client, client_of, plain, secure};

/// Answers from before and after a hop: from different shards, whichever accepted.
fn expect_two_shards(stream: &mut dyn Stream, number: usize) {
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).unwrap();
    let possible = [(0, 1), (1, 0)].map(|(a, b)| format!("{a} a{number:04}\n{b} b{number:04}\n"));
    let answer = String::from_utf8_lossy(&answer);
    assert!(possible.contains(&answer.to_string()), "{answer}");
}

fn read_line(stream: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.last() != Some(&b'\n') {
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Everything up to the end, or to the reset that may follow what was refused.
fn read_rest(mut stream: impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    _ = stream.read_to_end(&mut rest);
    rest
}

fn move_a_thousand(name: &str, tls: bool) {
    const CONNECTIONS: usize = 1000;
    let (server, config) = (Server::start(name, tls, CONNECTIONS), client(&[&TLS13, &TLS12]));
    let mut open: Vec<Box<dyn Stream>> = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = plain(server.addr);
        open.push(if tls { Box::new(secure(stream, &config)) } else { Box::new(stream) });
    }
    for _ in 0..2 {
        // In one write and one TLS record: a line, the move, and a line behind it. All under way at once.
        for (number, stream) in open.iter_mut().enumerate() {
            stream.write_all(format!("ECHO a{number:04}\nHOP\nECHO b{number:04}\n").as_bytes()).unwrap();
        }
        for (number, stream) in open.iter_mut().enumerate() {
            expect_two_shards(stream, number);
        }
    }
    assert_eq!(server.limit.open(), CONNECTIONS);
    for stream in &mut open {
        stream.write_all(b"HOP\nHOP\nHOP\nQUIT\n").unwrap();
        assert_eq!(read_line(stream), "bye\n");
    }
    drop(open);
    assert_eq!(server.problems(), Vec::<String>::new());
    server.stop();
}

#[test]
fn a_thousand_plain_connections_move_with_their_pipelined_input() {
    move_a_thousand("move", false);
}

#[test]
fn a_thousand_tls_connections_move_with_their_pipelined_input() {
    move_a_thousand("move-tls", true);
}

#[test]
fn both_tls_versions_carry_large_answers_and_long_input() {
    let server = Server::start("big", true, 10);
    for (version, text) in [(&TLS12, "TLSv1_2"), (&TLS13, "TLSv1_3")] {
        let mut stream = secure(plain(server.addr), &client(&[version]));
        stream.write_all(b"INFO\nHOP\nBIG\n").unwrap();
        let info = read_line(&mut stream);
        assert!(info.contains(text) && info.contains("server_name: Some(\"localhost\")"), "{info}");
        let mut big = vec![0; 1 << 20];
        stream.read_exact(&mut big).unwrap();
        assert!(big.iter().all(|byte| *byte == b'x'));
        // Longer than a record, than a receive, than what rustls holds at once.
        let long = "y".repeat(300_000);
        stream.write_all(format!("ECHO {long}\n").as_bytes()).unwrap();
        assert_eq!(read_line(&mut stream)[2..].trim_end(), long);
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the server says close_notify too");
    }
    assert_eq!(server.problems(), Vec::<String>::new());
    server.stop();
}

/// The ticket comes with the first answer. Ciphers are taken in our order, but for who can not do AES well.
#[test]
fn sessions_are_resumed_and_ciphers_are_ours_to_choose() {
    let server = Server::start("resume", true, 10);
    let provider = rustls::crypto::ring::default_provider;
    let mut chacha_first = provider();
    chacha_first.cipher_suites.reverse();
    let (aes, chacha) = (CipherSuite::TLS13_AES_128_GCM_SHA256, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    for (provider, cipher) in [(provider(), aes), (chacha_first, chacha)] {
        let config = client_of(provider, &[&TLS13]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = secure(plain(server.addr), &config);
            stream.write_all(b"ECHO x\n").unwrap();
            assert!(read_line(&mut stream).ends_with(" x\n"));
            assert_eq!(stream.conn.handshake_kind(), Some(kind));
            assert_eq!(stream.conn.negotiated_cipher_suite().unwrap().suite(), cipher);
        }
    }
    server.stop();
}

/// TLS says in so many words that it is the end, and TCP does not break off because of what is sent behind the question for it.
#[test]
fn who_asks_for_the_end_reads_the_last_answer_and_the_end() {
    for (name, tls) in [("end", false), ("end-tls", true)] {
        let (server, config) = (Server::start(name, tls, 10), client(&[&TLS13]));
        for behind in [0, 100_000] {
            let stream = plain(server.addr);
            let mut stream: Box<dyn Stream> = if tls { Box::new(secure(stream, &config)) } else { Box::new(stream) };
            stream.write_all(&[b"QUIT\n", &vec![b'x'; behind][..]].concat()).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"bye\n");
        }
        assert_eq!(server.problems(), Vec::<String>::new());
        server.stop();
    }
}

/// A listener on one address knows our end; one on all of them has to ask.
#[test]
fn both_ends_are_known_wherever_a_client_comes_in() {
    for listener in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
        let server = Server::start_on(bind(listener.parse().unwrap(), 2).unwrap(), "ends", false, 10);
        let here = if listener.starts_with('[') { "::1" } else { "127.0.0.1" };
        let mut stream = plain(SocketAddr::new(here.parse().unwrap(), server.addr.port()));
        stream.write_all(b"ENDS\n").unwrap();
        let expect = format!("{} {}\n", stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        assert_eq!(read_line(&mut stream), expect);
        drop(stream);
        server.stop();
    }
}

#[test]
fn starttls_works_and_denies_what_came_before_it() {
    let server = Server::start("starttls", false, 10);
    let mut stream = plain(server.addr);
    stream.write_all(b"TLS\n").unwrap();
    assert_eq!(read_line(&mut stream), "go\n");
    let mut stream = secure(stream, &client(&[&TLS13]));
    stream.write_all(b"INFO\n").unwrap();
    assert!(read_line(&mut stream).starts_with("Some(TlsInfo"));

    let mut injected = plain(server.addr);
    injected.write_all(b"TLS\nECHO injected\n").unwrap();
    assert_eq!(read_rest(injected), b"go\n");
    assert_eq!(server.first_problem(), "14 bytes came in the clear behind STARTTLS");
    server.stop();
}

#[test]
fn garbage_instead_of_a_handshake_is_told_and_closed() {
    let server = Server::start("garbage", true, 10);
    let mut stream = plain(server.addr);
    stream.write_all(b"a1 LOGIN in the clear\r\n").unwrap();
    let answer = read_rest(stream);
    assert_eq!(answer.first(), Some(&21), "a TLS alert: {answer:?}");
    assert!(server.first_problem().starts_with("the TLS handshake failed"));
    let gone = plain(server.addr);
    gone.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_rest(gone), b"");
    server.stop();
}

#[test]
fn clients_that_do_not_move_are_given_up() {
    for (tls, command, problem) in
        [(false, "FLOOD\n", "timed out"), (true, "FLOOD\n", "timed out"), (false, "RUSH\n", "took too long")]
    {
        let server = Server::start("stuck", tls, 10);
        let stream = plain(server.addr);
        let mut stream: Box<dyn Stream> =
            if tls { Box::new(secure(stream, &client(&[&TLS13]))) } else { Box::new(stream) };
        stream.write_all(command.as_bytes()).unwrap();
        let first = server.first_problem();
        assert!(first.contains(problem), "{first}");
        server.stop();
    }
}

/// Both ends see the same channel, each from its side; the certificate is not told where the connection has moved to.
#[test]
fn bindings_are_those_of_the_client() {
    let server = Server::start("bindings", true, 10);
    for version in [&TLS13, &TLS12] {
        let mut stream = secure(plain(server.addr), &client(&[version]));
        stream.write_all(b"BIND\n").unwrap();
        let told = read_line(&mut stream);
        let exported = stream.conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
        let exporter = (version == &TLS13).then_some(exported);
        let end_point = Some(Sha256::digest(&stream.conn.peer_certificates().unwrap()[0]).to_vec());
        assert_eq!(told, format!("{:?}\n", Some(ChannelBindings { exporter, end_point })));
        stream.write_all(b"HOP\nBIND\n").unwrap();
        assert!(read_line(&mut stream).ends_with("end_point: None })\n"));
    }
    server.stop();
}

#[test]
fn half_closed_clients_still_get_their_answers() {
    let server = Server::start("half", false, 10);
    let mut stream = plain(server.addr);
    stream.write_all(b"ECHO last\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(read_rest(stream).ends_with(b" last\n"));
    server.stop();
}

#[test]
fn above_the_limit_a_client_is_told_and_places_come_back() {
    let server = Server::start("limit", false, 2);
    let mut open = [plain(server.addr), plain(server.addr)];
    for stream in &mut open {
        stream.write_all(b"ECHO here\n").unwrap();
        read_line(stream);
    }
    assert_eq!(read_rest(plain(server.addr)), b"* BYE too many\r\n");
    for mut stream in open {
        stream.write_all(b"QUIT\n").unwrap();
        assert_eq!(read_rest(&mut stream), b"bye\n");
    }
    while server.limit.open() > 0 {
        std::thread::yield_now();
    }
    let mut again = plain(server.addr);
    again.write_all(b"ECHO here\n").unwrap();
    assert!(read_line(&mut again).ends_with(" here\n"));
    server.stop();
}

#[test]
fn a_stopped_listener_takes_nobody_and_a_taken_port_is_named() {
    let server = Server::start("stop", false, 10);
    let addr = server.addr;
    server.stop();
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = bind(taken.local_addr().unwrap(), 2).err().unwrap();
    assert!(matches!(error, BindError::Taken { .. }), "{error}");
    let error = bind("192.0.2.1:0".parse().unwrap(), 1).err().unwrap();
    assert!(matches!(error, BindError::NotHere { .. }), "{error}");
}

/// A client that has sent its number and sends no more.
fn ask(addr: SocketAddr, number: usize) -> TcpStream {
    let mut stream = plain(addr);
    stream.write_all(format!("ECHO {number}\n").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream
}

#[test]
fn who_comes_while_one_server_gives_its_sockets_to_the_next_is_served() {
    let mut server = Server::start("giver", false, 1000);
    let (addr, mut clients) = (server.addr, Vec::new());
    for round in 0..3 {
        let descriptors = std::mem::take(&mut server.descriptors);
        // Some come while it stops, some when nobody accepts.
        let coming = std::thread::spawn(move || (0..60).map(|i| ask(addr, round * 100 + i)).collect::<Vec<_>>());
        server.finish();
        clients.extend(coming.join().unwrap());
        clients.extend((60..100).map(|i| ask(addr, round * 100 + i)));
        let inherited = |socket| BoundSocket::inherited(socket, Place::Ip(addr)).unwrap();
        let mut sockets: Vec<_> = descriptors.into_iter().map(inherited).collect();
        // A shard may accept on several sockets, and several on one.
        if round == 0 {
            sockets.push(sockets[0].share().unwrap());
        }
        server = Server::start_on(sockets, "taker", false, 1000);
    }
    let expected = (0..3).flat_map(|round| (0..100).map(move |i| format!("{}\n", round * 100 + i)));
    for (mut client, expected) in clients.into_iter().zip(expected) {
        assert!(read_line(&mut client).ends_with(&expected));
    }
    server.stop();
}
