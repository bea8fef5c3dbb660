//! A small server of lines on two shards, and clients for it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use skein_base::ShardId;
use skein_runtime::{Class, Deadline, Lanes, Shards, ShardsConfig, Side, session_yield, spawn, spawn_detached, start};
use skein_transport::{
    BACKLOG, BoundSocket, Conn, ConnectionLimit, Door, Frozen, Listener, Place, StartTlsError, Stopper, Tls, TlsConfig,
    TlsFiles, bind,
};

/// Bytes a session reads at once.
const READ_BYTES: usize = 4096;

/// `ECHO x` answers `0 x` with the shard's number, `HOP` moves the connection to the other shard and answers nothing,
/// `TLS` starts TLS, `RUSH` starts it with no patience, `FLOOD` sends 64 MB with little patience, `INFO` says what TLS agreed on,
/// `BIND` what a login could be bound to, `ENDS` its two ends, `BIG` sends a megabyte, `DEFLATE` compresses from there on, `REST` gives back what that
/// holds, `QUIT` closes.
pub struct Server {
    pub addr: SocketAddr,
    pub limit: ConnectionLimit,
    /// Of its sockets, as another process would hold them.
    pub descriptors: Vec<OwnedFd>,
    stoppers: Vec<Stopper>,
    finishing: Arc<AtomicBool>,
    side: Side,
    shards: Shards<()>,
    folder: PathBuf,
    problems: Problems,
}

type Problems = Arc<Mutex<Vec<String>>>;

#[derive(Clone)]
struct Home {
    id: ShardId,
    lanes: Lanes<Frozen>,
    tls: Arc<TlsConfig>,
    problems: Problems,
}

impl Server {
    pub fn start(name: &str, implicit_tls: bool, connections_max: usize) -> Server {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        Server::start_on(sockets, name, implicit_tls, connections_max)
    }

    /// On sockets that are there, shared out over its two shards.
    pub fn start_on(sockets: Vec<BoundSocket>, name: &str, implicit_tls: bool, connections_max: usize) -> Server {
        let folder = std::env::temp_dir().join(format!("skein-loopback-{name}-{}", std::process::id()));
        let files = TlsFiles::self_signed(&folder, &["localhost".to_owned()]).unwrap();
        let tls = Tls::load(&files.into()).unwrap().config();
        let side = Side::start().unwrap();
        let Place::Ip(addr) = *sockets[0].place() else { panic!("an address") };
        let descriptors = sockets.iter().map(|socket| socket.descriptor().unwrap()).collect();
        let mut shares = [Vec::new(), Vec::new()];
        sockets.into_iter().enumerate().for_each(|(i, socket)| shares[i % 2].push(socket));
        let (lanes, inboxes) = Lanes::new(2, 10_000);
        let limit = ConnectionLimit::new(connections_max);
        let seeds = Mutex::new(shares.into_iter().zip(inboxes).map(Some).collect::<Vec<_>>());
        let (stoppers, problems) = (Arc::new(Mutex::new(Vec::new())), Problems::default());
        let (stops, troubles, places) = (stoppers.clone(), problems.clone(), limit.clone());
        let finishing = Arc::new(AtomicBool::new(false));
        let waits = finishing.clone();
        let shards = start(ShardsConfig::for_tests(2), &side, move |context| {
            let (sockets, inbox) = seeds.lock().unwrap()[usize::from(context.id.0)].take().unwrap();
            let home = Home { id: context.id, lanes: lanes.clone(), tls: tls.clone(), problems: troubles.clone() };
            let (stops, places, waits) = (stops.clone(), places.clone(), waits.clone());
            async move {
                let arriving = home.clone();
                spawn_detached(Class::Session, "arrivals", async move {
                    while let Some(frozen) = inbox.recv().await {
                        serve(arriving.clone(), frozen.thaw());
                    }
                });
                let mut accepting = Vec::new();
                for socket in sockets {
                    let listener = socket.listen(Arc::new(Door::plain("test")), BACKLOG).unwrap();
                    stops.lock().unwrap().push(listener.stopper());
                    let (home, places) = (home.clone(), places.clone());
                    accepting.push(spawn(Class::Session, "accept", accept(listener, home, places, implicit_tls)));
                }
                context.signal_ready();
                for task in accepting {
                    task.await.unwrap();
                }
                // Who was taken in is served.
                while waits.load(Relaxed) && places.open() > 0 {
                    session_yield().await;
                }
            }
        });
        let shards = shards.unwrap();
        assert!(shards.wait_ready());
        let stoppers = stoppers.lock().unwrap().clone();
        Server { addr, limit, descriptors, stoppers, finishing, side, shards, folder, problems }
    }

    /// What went wrong in sessions so far.
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap().clone()
    }

    /// Waits for something to go wrong: a client may see the end of its connection before it is written down.
    pub fn first_problem(&self) -> String {
        loop {
            match self.problems().into_iter().next() {
                Some(problem) => return problem,
                None => std::thread::yield_now(),
            }
        }
    }

    /// The same once those who were taken in have been served; they must leave by themselves.
    pub fn finish(self) {
        self.finishing.store(true, Relaxed);
        self.stop();
    }

    pub fn stop(self) {
        self.stoppers.iter().for_each(Stopper::stop);
        self.shards.join().into_iter().for_each(|result| result.unwrap());
        self.side.stop();
        std::fs::remove_dir_all(self.folder).unwrap();
    }
}

async fn accept(listener: Listener, home: Home, limit: ConnectionLimit, implicit_tls: bool) {
    let serve_new = move |mut conn: Conn| {
        let home = home.clone();
        spawn_detached(Class::Session, "new", async move {
            if implicit_tls && let Err(error) = start_tls(&home, &mut conn, 0).await {
                return home.problems.lock().unwrap().push(error.to_string());
            }
            serve(home, conn);
        });
    };
    listener.run(limit, b"* BYE too many\r\n", serve_new).await;
}

async fn start_tls(home: &Home, conn: &mut Conn, unread: usize) -> Result<(), StartTlsError> {
    conn.start_tls(&home.tls, unread, Deadline::after(Duration::from_secs(20))).await
}

fn serve(home: Home, conn: Conn) {
    let problems = home.problems.clone();
    spawn_detached(Class::Session, "lines", async move {
        if let Err(error) = lines(home, conn).await {
            problems.lock().unwrap().push(error.to_string());
        }
    });
}

async fn lines(home: Home, mut conn: Conn) -> Result<(), Box<dyn std::error::Error>> {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    loop {
        while let Some(end) = input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = input.drain(..=end).collect();
            match line.as_slice() {
                b"HOP\n" => {
                    conn.write_all(&output).await?;
                    let other = ShardId(1 - home.id.0);
                    return home.lanes.send(other, conn.freeze(input)).map_err(|error| error.to_string().into());
                }
                b"TLS\n" => {
                    conn.write_all(b"go\n").await?;
                    start_tls(&home, &mut conn, input.len()).await?;
                }
                b"DEFLATE\n" => {
                    conn.write_all(b"go\n").await?;
                    conn.start_deflate(&std::mem::take(&mut input));
                }
                b"REST\n" => {
                    conn.rest();
                    assert!(!conn.is_warm());
                }
                b"BIG\n" => conn.write_all(&vec![b'x'; 1 << 20]).await?,
                b"RUSH\n" => conn.start_tls(&home.tls, 0, Deadline::after(Duration::from_millis(20))).await?,
                b"FLOOD\n" => {
                    conn.set_write_timeout(Duration::from_millis(20));
                    conn.write_all(&vec![b'x'; 64 << 20]).await?;
                }
                b"INFO\n" => output.extend_from_slice(format!("{:?}\n", conn.tls_info()).as_bytes()),
                b"ENDS\n" => output.extend_from_slice(format!("{} {}\n", conn.peer(), conn.local()).as_bytes()),
                b"BIND\n" => output.extend_from_slice(format!("{:?}\n", conn.channel_bindings()).as_bytes()),
                b"QUIT\n" => {
                    conn.ends_as_asked();
                    conn.write_all(b"bye\n").await?;
                    conn.close().await;
                    return Ok(());
                }
                _ => {
                    output.extend_from_slice(format!("{} ", home.id).as_bytes());
                    output.extend_from_slice(line.strip_prefix(b"ECHO ").unwrap_or(b"?\n"));
                }
            }
        }
        conn.write_all(&output).await?;
        output.clear();
        conn.readable().await?;
        if conn.read_into(&mut input, READ_BYTES).await? == 0 {
            return Ok(conn.shutdown_write().await?);
        }
    }
}

/// Any stream, so that one test runs over both kinds.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

pub fn plain(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

pub fn secure(stream: TcpStream, config: &Arc<ClientConfig>) -> TlsStream {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), stream)
}

pub fn client(versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    client_of(rustls::crypto::ring::default_provider(), versions)
}

/// One that names the provider's ciphers in their order.
pub fn client_of(
    provider: rustls::crypto::CryptoProvider,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(versions).unwrap().dangerous();
    Arc::new(builder.with_custom_certificate_verifier(Arc::new(AnyCertificate)).with_no_client_auth())
}

/// Believes the self-signed certificate, as a test must.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
