//! The pages over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use skein_admin::{Admin, Health, PageSocket, Verdict, start};
use skein_runtime::Side;
use skein_transport::BindError;

/// Two switches.
#[derive(Default)]
struct Switches {
    alive: AtomicBool,
    ready: AtomicBool,
}

impl Health for Switches {
    fn alive(&self) -> Verdict {
        if self.alive.load(Relaxed) { Ok(()) } else { Err("switched off".to_owned()) }
    }

    fn ready(&self) -> Verdict {
        if self.ready.load(Relaxed) { Ok(()) } else { Err("starting".to_owned()) }
    }
}

fn pages(side: &Side, addr: &str, health: &Arc<Switches>) -> Result<Admin, BindError> {
    Ok(start(side, PageSocket::bind(addr.parse().unwrap())?, health.clone()))
}

fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(addr: SocketAddr, path: &str) -> String {
    ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"))
}

#[test]
fn every_page_answers_and_stopping_is_graceful() {
    let (side, health) = (Side::start().unwrap(), Arc::new(Switches::default()));
    let admin = pages(&side, "127.0.0.1:0", &health).unwrap();
    let addr = admin.addr();
    let cases = [
        ("/", "HTTP/1.1 200", "/metrics"),
        ("/healthz", "HTTP/1.1 503", "not alive: switched off\n"),
        ("/readyz", "HTTP/1.1 503", "not ready: starting\n"),
        ("/metrics", "application/openmetrics-text", "# EOF\n"),
        ("/nothing", "HTTP/1.1 404", ""),
    ];
    for (path, head, body) in cases {
        let answer = get(addr, path);
        assert!(answer.contains(head) && answer.contains(body), "{path}: {answer}");
    }
    health.alive.store(true, Relaxed);
    assert!(get(addr, "/healthz").starts_with("HTTP/1.1 200"));
    health.ready.store(true, Relaxed);
    assert!(get(addr, "/readyz").starts_with("HTTP/1.1 200"));
    let long = format!("GET / HTTP/1.1\r\nHost: here\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert!(ask(addr, &long).starts_with("HTTP/1.1 431"));

    let error = pages(&side, &addr.to_string(), &health).err().unwrap();
    assert!(error.to_string().contains("is taken by another program"), "{error}");

    let mut idle = TcpStream::connect(addr).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    side.handle().block_on(admin.stop());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert!(TcpStream::connect(addr).is_err());
    side.stop();
}
