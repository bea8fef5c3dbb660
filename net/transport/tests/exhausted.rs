//! Descriptors run out and come back. Alone in its process: the limit is the process's.

mod support;

use std::io::{Read, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use skein_runtime::metrics;
use socket2::{Domain, Socket, Type};
use support::{Server, client, plain, secure};

#[test]
fn a_server_out_of_descriptors_waits_and_serves_on() {
    let server = Server::start("exhausted", false, 10);
    // The client's own descriptor exists before the last is gone.
    let waiting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..limit }).unwrap();
    waiting.connect(&server.addr.into()).unwrap();
    while !metrics::render().contains("skein_accept_exhausted_total") {
        std::thread::yield_now();
    }
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut waiting = std::net::TcpStream::from(waiting);
    waiting.write_all(b"ECHO still here\n").unwrap();
    let mut answer = [0; 13];
    waiting.read_exact(&mut answer).unwrap();
    assert!(answer.ends_with(b" still here\n"));

    let mut other = plain(server.addr);
    other.write_all(b"TLS\n").unwrap();
    other.read_exact(&mut [0; 3]).unwrap();
    let mut other = secure(other, &client(&[&rustls::version::TLS13]));
    other.write_all(b"QUIT\n").unwrap();
    other.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(server.problems(), Vec::<String>::new());
    server.stop();
}
