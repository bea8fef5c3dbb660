//! One connection, plain or TLS, compressed or not.
//!
//! ```text
//! socket ──recv──▶ scratch (one per shard) ──▶ rustls? ──▶ inflate? ──▶ input (only while unread) ──▶ read_into
//! write_all ──▶ deflate? ──▶ rustls? (at most 64 KiB sealed ahead) ──send──▶ socket
//! ```

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite, Future};
use glommio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::server::{AcceptedAlert, Acceptor};
use rustls::{ProtocolVersion, ServerConnection};
use skein_base::limits::OUTPUT_BYTES_WATERMARK;
use skein_runtime::{Deadline, Sleep, session_yield, sleep};

use crate::address::AddressSlot;
use crate::deflate::Deflate;
use crate::endpoint::{Door, Endpoint, ForwardedTls};
use crate::frozen::Frozen;
use crate::limit::ConnectionSlot;
use crate::tls::{Certificate, ChannelBindings, ClientNames, TlsConfig};

/// Bytes received in one system call.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Bytes taken from the socket before anyone asked for them, so that waiting connections stay small: a TLS record.
const EAGER_BYTES: usize = 16 * 1024;
/// Bytes that are compressed before they are sent, and before others have their turn: well below a millisecond's work.
const PACKED_BYTES: usize = 16 * 1024;
/// A client that takes nothing for this long is gone, unless the settings say otherwise.
const WRITE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How long, and how much of what a client still sends, a closed connection listens to: closing with unread input
/// makes TCP send a reset, which may overtake the last reply.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

thread_local! {
    /// Borrowed only inside one poll, so all connections of a shard share it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// A client's connection on this shard. Used by one task at a time, reading and writing in turn.
pub struct Conn {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    deflate: Option<Box<Deflate>>,
    /// Received and not read: bytes from `given` on.
    input: Vec<u8>,
    given: usize,
    bytes_in: u64,
    bytes_out: u64,
    ended: bool,
    /// The client has asked for the end.
    asked: bool,
    door: Arc<Door>,
    peer: Endpoint,
    local: Endpoint,
    forwarded_tls: Option<Box<ForwardedTls>>,
    write_timeout: Duration,
    slot: Option<ConnectionSlot>,
    /// Which certificate the client was shown; forgotten when the connection moves, as logins are over by then.
    shown: Option<Arc<Certificate>>,
    /// One of its address's connections.
    address_slot: Option<AddressSlot>,
    tap: Option<Box<dyn Tap>>,
}

/// Sees all that goes over a connection, TLS and compression taken off. It must not wait.
pub trait Tap {
    /// What the session reads.
    fn input(&mut self, bytes: &[u8]);
    /// What it writes, before it has left.
    fn output(&mut self, bytes: &[u8]);
}

impl Conn {
    pub(crate) fn accepted(
        stream: TcpStream,
        door: Arc<Door>,
        peer: Endpoint,
        local: Endpoint,
        slot: ConnectionSlot,
    ) -> Conn {
        Conn {
            stream,
            tls: None,
            deflate: None,
            input: Vec::new(),
            given: 0,
            bytes_in: 0,
            bytes_out: 0,
            ended: false,
            asked: false,
            door,
            peer,
            local,
            forwarded_tls: None,
            write_timeout: WRITE_TIMEOUT_DEFAULT,
            slot: Some(slot),
            shown: None,
            address_slot: None,
            tap: None,
        }
    }

    /// Bytes read from it so far, TLS and compression taken off, wherever it was.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Bytes written to it so far, before compression and TLS, wherever it was.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// The listener it came through.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// The client: its own address, also where a trusted proxy is between.
    pub fn peer(&self) -> Endpoint {
        self.peer
    }

    /// Where the client connected to, also where a trusted proxy is between.
    pub fn local(&self) -> Endpoint {
        self.local
    }

    /// TLS between the client and a trusted proxy; `None` where there is none.
    pub fn forwarded_tls(&self) -> Option<&ForwardedTls> {
        self.forwarded_tls.as_deref()
    }

    /// True when nobody between the client and this machine's own network can listen: TLS here, or at a trusted proxy.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some() || self.forwarded_tls.is_some()
    }

    /// Takes over the ends that a trusted proxy names.
    pub fn set_ends(&mut self, peer: Endpoint, local: Endpoint) {
        (self.peer, self.local) = (peer, local);
    }

    /// Takes over what a trusted proxy says of TLS.
    pub fn set_forwarded_tls(&mut self, tls: ForwardedTls) {
        self.forwarded_tls = Some(Box::new(tls));
    }

    /// What TLS agreed on; `None` on a plain connection.
    pub fn tls_info(&self) -> Option<TlsInfo<'_>> {
        let tls = self.tls.as_deref()?;
        Some(TlsInfo {
            version: tls.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown"),
            cipher: tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown"),
            server_name: tls.server_name(),
        })
    }

    /// What a login can be bound to; `None` on a plain connection. The certificate's part is known until the connection moves.
    pub fn channel_bindings(&self) -> Option<ChannelBindings> {
        self.tls.as_deref().map(|tls| ChannelBindings::of(tls, self.shown.as_deref()))
    }

    /// Whom the client's certificate names, when it has shown one that was accepted.
    pub fn client_names(&self) -> Option<ClientNames> {
        let chain = self.tls.as_deref()?.peer_certificates()?;
        chain.first().map(ClientNames::of)
    }

    /// Nothing sees what is read and written any more.
    pub fn clear_tap(&mut self) {
        self.tap = None;
    }

    /// Lets `tap` see what is read and written from now on, until the connection moves.
    pub fn set_tap(&mut self, tap: Box<dyn Tap>) {
        self.tap = Some(tap);
    }

    /// Counts the connection as one of its address's for as long as it lives.
    pub fn hold(&mut self, slot: AddressSlot) {
        self.address_slot = Some(slot);
    }

    /// A client that takes no byte of output for this long is given up. 60 s at first.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.write_timeout = timeout;
    }

    /// Waits until there is input, or its end, or an error for [`Conn::read_into`] to report. Holds no buffer while it
    /// waits. Cancel-safe: race it against events.
    ///
    /// # Errors
    /// When the connection broke or the TLS peer sent nonsense.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.fill(EAGER_BYTES).await
    }

    /// Waits for input and appends at most `max` bytes of it; 0 means the client will send no more. Cancel-safe.
    ///
    /// # Errors
    /// As [`Conn::readable`].
    pub async fn read_into(&mut self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        if max == 0 {
            return Ok(0);
        }
        self.fill(max.min(SCRATCH_BYTES)).await?;
        Ok(self.give(buffer, max))
    }

    /// Waits until something is unread, or nothing more will come; receives at most `want` bytes at once.
    async fn fill(&mut self, want: usize) -> io::Result<()> {
        while self.unread() == 0 {
            if let Some(deflate) = self.deflate.as_deref_mut().filter(|deflate| deflate.has_received()) {
                // No system call makes the client wait for its turn: a little, compressed, may be very much.
                session_yield().await;
                deflate.unpack(&mut self.input, want.min(EAGER_BYTES))?;
                continue;
            }
            if self.ended {
                return Ok(());
            }
            poll_fn(|context| self.poll_receive(context, want)).await?;
        }
        Ok(())
    }

    fn unread(&self) -> usize {
        self.input.len() - self.given
    }

    fn give(&mut self, buffer: &mut Vec<u8>, max: usize) -> usize {
        let count = self.unread().min(max);
        let unread = &self.input[self.given..][..count];
        if let Some(tap) = &mut self.tap {
            tap.input(unread);
        }
        if buffer.is_empty() && count == self.input.len() {
            // All of it, as nearly always: it goes as it is.
            *buffer = std::mem::take(&mut self.input);
        } else {
            buffer.extend_from_slice(unread);
        }
        self.given += count;
        self.bytes_in += count as u64;
        if self.given >= self.input.len() {
            (self.input, self.given) = (Vec::new(), 0);
        }
        count
    }

    /// One receive of at most `want` bytes. Only called with nothing unread.
    fn poll_receive(&mut self, context: &mut Context<'_>, want: usize) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let count = ready!(Pin::new(&mut self.stream).poll_read(context, &mut scratch[..want]))?;
            if count == 0 {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            let mut plain = Vec::new();
            let input = if self.deflate.is_some() { &mut plain } else { &mut self.input };
            match &mut self.tls {
                None => input.extend_from_slice(&scratch[..count]),
                Some(tls) => match decrypt(tls, &scratch[..count], input) {
                    Ok(ended) => self.ended |= ended,
                    Err(error) => {
                        self.send_alert(context);
                        return Poll::Ready(Err(invalid(error)));
                    }
                },
            }
            if let Some(deflate) = &mut self.deflate {
                deflate.received(&plain);
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Writes all of `bytes`. Collect answers and write them in one call: each call is at least one segment.
    ///
    /// # Errors
    /// `TimedOut` when the client takes nothing for the write timeout; the connection is of no use then.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(tap) = &mut self.tap {
            tap.output(bytes);
        }
        match self.deflate.is_some() {
            true => self.pack_all(bytes).await?,
            false => self.send_all(bytes).await?,
        }
        self.bytes_out += bytes.len() as u64;
        Ok(())
    }

    /// Sends `bytes` compressed, all of them: what a client waits for must not stay in a window.
    async fn pack_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut packed, mut filled, mut at) = (vec![0; PACKED_BYTES], 0, 0);
        while let Some(deflate) = self.deflate.as_deref_mut().filter(|_| !bytes.is_empty()) {
            let piece = &bytes[at..bytes.len().min(at + PACKED_BYTES)];
            let last = at + piece.len() == bytes.len();
            let room = packed.len() - filled;
            let (taken, made) = deflate.pack(piece, last, &mut packed[filled..])?;
            (at, filled) = (at + taken, filled + made);
            let is_done = at == bytes.len() && made < room;
            if is_done || filled > packed.len() / 2 {
                self.send_all(&packed[..filled]).await?;
                filled = 0;
            }
            if is_done {
                return Ok(());
            }
            session_yield().await;
        }
        Ok(())
    }

    async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = match &mut self.tls {
                None => self.send(rest).await?,
                Some(tls) => {
                    let count = tls.writer().write(rest)?;
                    // Compressed, one write is many.
                    if count == rest.len() && self.asked && self.deflate.is_none() {
                        tls.send_close_notify();
                    }
                    self.flush_tls().await?;
                    count
                }
            };
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut patience = Patience::new(self.write_timeout);
        poll_fn(|context| {
            let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
            patience.check(context, sent)
        })
        .await
    }

    /// Sends what rustls has sealed.
    async fn flush_tls(&mut self) -> io::Result<()> {
        loop {
            let mut patience = Patience::new(self.write_timeout);
            let sent = poll_fn(|context| {
                let sent = self.poll_seal(context);
                patience.check(context, sent)
            });
            if sent.await? == 0 {
                return Ok(());
            }
        }
    }

    /// One send of sealed bytes; 0 when there are none.
    fn poll_seal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(tls) = self.tls.as_deref_mut().filter(|tls| tls.wants_write()) else { return Poll::Ready(Ok(0)) };
        match tls.write_tls(&mut Sink { stream: &mut self.stream, context }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            sent => Poll::Ready(sent),
        }
    }

    /// The peer is told why, if it can be told at once.
    fn send_alert(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Ok(1..)) = self.poll_seal(context) {}
    }

    /// Speaks TLS from here on: at once on a TLS port, or after the reply to STARTTLS was written.
    ///
    /// `unread` is how many bytes the caller has read and not yet consumed as commands. Anything that came in the clear
    /// behind STARTTLS would later count as if it had come through TLS (CVE-2011-0411), so it ends the connection.
    ///
    /// # Errors
    /// The connection is of no use afterwards; the peer got an alert where there is one.
    ///
    /// # Panics
    /// When the connection speaks TLS already.
    pub async fn start_tls(
        &mut self,
        config: &TlsConfig,
        unread: usize,
        deadline: Deadline,
    ) -> Result<(), StartTlsError> {
        assert!(self.tls.is_none(), "TLS inside of TLS");
        let packed = self.deflate.as_ref().map_or(0, |deflate| deflate.received_bytes());
        let pipelined = unread + self.unread() + packed;
        if pipelined > 0 {
            return Err(StartTlsError::PipelinedPlaintext { bytes: pipelined });
        }
        let agreed = async {
            self.hear_hello(config).await?;
            self.handshake().await
        };
        deadline.limit(agreed).await.unwrap_or(Err(StartTlsError::TooSlow))
    }

    /// Reads the client's first words, of which depends what is spoken, and has the answer ready.
    async fn hear_hello(&mut self, config: &TlsConfig) -> Result<(), StartTlsError> {
        let mut acceptor = Acceptor::default();
        loop {
            let sealed = poll_fn(|context| self.poll_sealed(context)).await.map_err(StartTlsError::Broken)?;
            let mut rest = &sealed[..];
            if rest.is_empty() {
                return Err(StartTlsError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            while !rest.is_empty() {
                acceptor.read_tls(&mut rest).map_err(StartTlsError::Broken)?;
                let accepted = match acceptor.accept() {
                    Ok(Some(accepted)) => accepted,
                    Ok(None) => continue,
                    Err((error, alert)) => return Err(self.refuse_hello(error, alert).await),
                };
                let (settings, shown) = config.of_client(&accepted.client_hello());
                self.shown = Some(shown.clone());
                let mut tls = match accepted.into_connection(settings.clone()) {
                    Ok(tls) => Box::new(tls),
                    Err((error, alert)) => return Err(self.refuse_hello(error, alert).await),
                };
                tls.set_buffer_limit(Some(OUTPUT_BYTES_WATERMARK));
                let tls = self.tls.insert(tls);
                // Behind the hello, what comes early.
                let behind = decrypt(tls, rest, &mut self.input);
                self.ended |= behind.map_err(|error| StartTlsError::Broken(invalid(error)))?;
                return Ok(());
            }
        }
    }

    /// One receive of what the client sends before TLS is there; nothing at its end.
    fn poll_sealed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let count = ready!(Pin::new(&mut self.stream).poll_read(context, &mut scratch[..EAGER_BYTES]))?;
            Poll::Ready(Ok(scratch[..count].to_vec()))
        })
    }

    /// The peer is told why, if it can be told at once.
    async fn refuse_hello(&mut self, error: rustls::Error, mut alert: AcceptedAlert) -> StartTlsError {
        let mut bytes = Vec::new();
        // A Vec takes every write.
        _ = alert.write_all(&mut bytes);
        let told = poll_fn(|context| Poll::Ready(Pin::new(&mut self.stream).poll_write(context, &bytes).is_ready()));
        told.await;
        StartTlsError::Broken(invalid(error))
    }

    /// Speaks compressed from here on, after the reply to COMPRESS was written. `unread` is what the caller has read and not
    /// consumed: it came behind the command, so it is compressed already.
    ///
    /// # Panics
    /// When the connection is compressed already.
    pub fn start_deflate(&mut self, unread: &[u8]) {
        assert!(self.deflate.is_none(), "compressed twice");
        let mut deflate = Box::<Deflate>::default();
        deflate.received(unread);
        deflate.received(&self.input[self.given..]);
        self.bytes_in -= unread.len() as u64;
        (self.input, self.given) = (Vec::new(), 0);
        self.deflate = Some(deflate);
    }

    /// Compression holds memory that [`Conn::rest`] would give back.
    pub fn is_warm(&self) -> bool {
        self.deflate.as_ref().is_some_and(|deflate| deflate.is_warm())
    }

    /// The client is silent, and has been sent all: gives back what compression can do without.
    pub fn rest(&mut self) {
        if let Some(deflate) = &mut self.deflate {
            deflate.rest();
        }
    }

    async fn handshake(&mut self) -> Result<(), StartTlsError> {
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) && !self.ended {
            self.flush_tls().await.map_err(StartTlsError::Broken)?;
            // Early application data stays in `input`, for the session to read.
            let received = poll_fn(|context| self.poll_receive(context, EAGER_BYTES)).await;
            received.map_err(StartTlsError::Broken)?;
        }
        if self.ended && self.unread() == 0 {
            return Err(StartTlsError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        match self.tls.as_ref().and_then(|tls| tls.protocol_version()) {
            // Only the ticket is left, which leaves with the first answer: one segment less.
            Some(ProtocolVersion::TLSv1_3) => Ok(()),
            _ => self.flush_tls().await.map_err(StartTlsError::Broken),
        }
    }

    /// The client has asked for the end, and so sends no more. What is written next, in one [`Conn::write_all`], is the last: TLS says so in the
    /// same segment, and [`Conn::close`] does not wait to hear the client's end.
    pub fn ends_as_asked(&mut self) {
        self.asked = true;
    }

    /// Tells the client that no more output comes, by TLS close_notify too. Reading goes on.
    ///
    /// # Errors
    /// When the connection broke before.
    pub async fn shutdown_write(&mut self) -> io::Result<()> {
        self.say_goodbye().await?;
        self.stream.shutdown(Shutdown::Write).await?;
        Ok(())
    }

    /// Says it once, however often it is called.
    async fn say_goodbye(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        tls.send_close_notify();
        self.flush_tls().await
    }

    /// Ends the connection so that the last reply arrives: says goodbye, then listens for a moment to what the client
    /// still has to say. Simply dropping a `Conn` closes it at once.
    pub async fn close(mut self) {
        if self.asked && self.is_silent() {
            // What has not left yet the kernel still sends, and the end behind it.
            _ = self.say_goodbye().await;
            return;
        }
        // Whoever is gone already needs no goodbye.
        if self.shutdown_write().await.is_ok() {
            _ = Deadline::after(LINGER).limit(self.discard_input()).await;
        }
    }

    /// Nothing has come that was not read; the end of what the client sends does not count.
    fn is_silent(&self) -> bool {
        let is_read = self.unread() == 0 && self.deflate.as_ref().is_none_or(|deflate| !deflate.has_received());
        is_read
            && matches!(
                recv(self.socket(), &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT),
                Err(Errno::AGAIN) | Ok((_, 0))
            )
    }

    fn socket(&self) -> BorrowedFd<'_> {
        #[expect(unsafe_code, reason = "the stream only hands out a bare number")]
        // SAFETY: the stream is open for as long as `self`, which the borrow keeps alive.
        unsafe {
            BorrowedFd::borrow_raw(self.stream.as_raw_fd())
        }
    }

    async fn discard_input(&mut self) {
        let mut seen = 0;
        while !self.ended && seen < LINGER_BYTES && self.readable().await.is_ok() {
            seen += self.unread();
            (self.input, self.given) = (Vec::new(), 0);
        }
    }

    /// Takes the connection off this shard. `leftover` is what the caller has read and not consumed; it is read again
    /// first after [`Frozen::thaw`].
    pub fn freeze(self, mut leftover: Vec<u8>) -> Frozen {
        // It will be read, and counted, again.
        let bytes_in = self.bytes_in - leftover.len() as u64;
        leftover.extend_from_slice(&self.input[self.given..]);
        Frozen {
            bytes_in,
            bytes_out: self.bytes_out,
            descriptor: into_descriptor(self.stream),
            tls: self.tls,
            deflate: self.deflate,
            input: leftover,
            ended: self.ended,
            door: self.door,
            peer: self.peer,
            local: self.local,
            forwarded_tls: self.forwarded_tls,
            write_timeout: self.write_timeout,
            slot: self.slot,
            address_slot: self.address_slot,
        }
    }

    pub(crate) fn thaw(frozen: Frozen) -> Conn {
        Conn {
            stream: TcpStream::from(socket2::Socket::from(frozen.descriptor)),
            tls: frozen.tls,
            deflate: frozen.deflate,
            input: frozen.input,
            given: 0,
            bytes_in: frozen.bytes_in,
            bytes_out: frozen.bytes_out,
            ended: frozen.ended,
            asked: false,
            door: frozen.door,
            peer: frozen.peer,
            local: frozen.local,
            forwarded_tls: frozen.forwarded_tls,
            write_timeout: frozen.write_timeout,
            slot: frozen.slot,
            shown: None,
            address_slot: frozen.address_slot,
            tap: None,
        }
    }
}

/// What TLS agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsInfo<'a> {
    /// `TLSv1_3`.
    pub version: &'static str,
    /// `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The host the client asked for (SNI).
    pub server_name: Option<&'a str>,
}

/// Feeds received bytes to rustls and takes out what they say; whether the peer said goodbye.
///
/// rustls takes no more while it holds 16 KiB of plaintext, so the two alternate.
fn decrypt(tls: &mut ServerConnection, mut sealed: &[u8], plain: &mut Vec<u8>) -> Result<bool, rustls::Error> {
    let mut ended = false;
    while !sealed.is_empty() && !ended {
        tls.read_tls(&mut sealed).map_err(|error| rustls::Error::General(error.to_string()))?;
        let state = tls.process_new_packets()?;
        ended = state.peer_has_closed();
        let (old, count) = (plain.len(), state.plaintext_bytes_to_read());
        plain.resize(old + count, 0);
        let read = tls.reader().read_exact(&mut plain[old..]);
        read.expect("rustls holds as many bytes as it said");
    }
    Ok(ended)
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn into_descriptor(stream: TcpStream) -> OwnedFd {
    let raw = stream.into_raw_fd();
    #[expect(unsafe_code, reason = "glommio gives the descriptor away as a bare number")]
    // SAFETY: `into_raw_fd` gives up ownership of an open descriptor; nobody else knows the number.
    unsafe {
        OwnedFd::from_raw_fd(raw)
    }
}

/// A deadline that costs nothing until something has to wait.
struct Patience {
    limit: Duration,
    waiting: Option<Sleep>,
}

impl Patience {
    fn new(limit: Duration) -> Patience {
        Patience { limit, waiting: None }
    }

    fn check<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            return outcome;
        }
        let waiting = self.waiting.get_or_insert_with(|| sleep(self.limit));
        Pin::new(waiting).poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// What rustls writes to.
struct Sink<'a, 'b, 'c> {
    stream: &'a mut TcpStream,
    context: &'b mut Context<'c>,
}

impl Write for Sink<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.stream).poll_write(self.context, bytes))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.stream).poll_write_vectored(self.context, parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn or_would_block(outcome: Poll<io::Result<usize>>) -> io::Result<usize> {
    match outcome {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Why TLS did not start.
#[derive(Debug)]
pub enum StartTlsError {
    /// The client sent this much in the clear behind STARTTLS, before the reply.
    PipelinedPlaintext {
        /// Bytes that were pipelined.
        bytes: usize,
    },
    /// The handshake took too long.
    TooSlow,
    /// The connection broke or the client does not speak our TLS.
    Broken(io::Error),
}

impl std::fmt::Display for StartTlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartTlsError::PipelinedPlaintext { bytes } => write!(f, "{bytes} bytes came in the clear behind STARTTLS"),
            StartTlsError::TooSlow => f.write_str("the TLS handshake took too long"),
            StartTlsError::Broken(error) => write!(f, "the TLS handshake failed: {error}"),
        }
    }
}

impl std::error::Error for StartTlsError {}
