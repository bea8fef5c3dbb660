//! Many connections in one thread: a connection is a state machine that is fed what arrives and says what to send.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketType};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Events taken from the kernel at once.
const EVENTS: usize = 256;
/// Addresses that clients come from.
const SOURCES: usize = 50;
/// Nothing at all for so long is a stall.
const STALL: Duration = Duration::from_secs(60);
/// The longest wait for an event.
const TICK: Duration = Duration::from_secs(1);
/// Bytes read at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// Where connections go.
#[derive(Clone, Debug)]
pub struct Door {
    /// The address.
    pub addr: SocketAddr,
    /// TLS from the first byte, and what the clients remember of it.
    pub tls: Option<Arc<ClientConfig>>,
}

impl From<SocketAddr> for Door {
    fn from(addr: SocketAddr) -> Door {
        Door { addr, tls: None }
    }
}

/// What a connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Waits for more, or sends what is in `out`.
    Go,
    /// Is where it should be and stays open.
    Rest,
    /// Is through; the connection is closed.
    Done,
}

/// One connection's machine.
pub trait Machine {
    /// Takes one line without its line end; appends to `out` what to send.
    ///
    /// # Errors
    /// What the server did wrong; it ends the run.
    fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<Next, String>;

    /// Takes what is whole of `input` and leaves the rest. One that is sent a lot does better than line by line.
    ///
    /// # Errors
    /// As [`Machine::line`].
    fn feed(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Next, String> {
        let (mut at, mut next) = (0, Next::Go);
        while let (Some(end), Next::Go) = (memchr::memchr(b'\n', &input[at..]), next) {
            let line = String::from_utf8_lossy(&input[at..at + end]);
            next = self.line(line.trim_end(), out)?;
            at += end + 1;
        }
        input.drain(..at);
        Ok(next)
    }

    /// Its connection is on its way.
    fn connected(&mut self) {}

    /// When it wants to be woken if nothing comes before.
    fn alarm(&self) -> Option<Instant> {
        None
    }

    /// It rested and goes on, or its alarm rang.
    fn woken(&mut self, out: &mut Vec<u8>) {
        _ = out;
    }
}

/// The connections: those that rest stay open as long as this lives.
pub struct Crowd<M> {
    epoll: OwnedFd,
    members: Vec<Member<M>>,
    last: Instant,
    block: Box<[u8]>,
}

struct Member<M> {
    /// `None` when it is through: thousands of sessions after each other do not keep their descriptors.
    stream: Option<Stream>,
    machine: M,
    input: Vec<u8>,
    output: Vec<u8>,
    next: Next,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Opens a connection for each of `machines`, at most `opening_max` of them not yet resting or done, and runs until all are.
///
/// # Errors
/// The first failure of a connection or machine, and a stall.
pub fn run<M: Machine>(door: impl Into<Door>, machines: Vec<M>, opening_max: usize) -> Result<Crowd<M>, String> {
    let door = door.into();
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|e| e.to_string())?;
    let block = vec![0; BLOCK_BYTES].into_boxed_slice();
    let mut crowd = Crowd { epoll, members: Vec::with_capacity(machines.len()), last: Instant::now(), block };
    let mut waiting = machines.into_iter();
    let mut active = 0;
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        while active < opening_max {
            let Some(machine) = waiting.next() else { break };
            let member = join(&crowd.epoll, &door, machine, crowd.members.len());
            crowd.members.push(member.map_err(|e| format!("connect: {e}"))?);
            active += 1;
        }
        if active == 0 {
            return Ok(crowd);
        }
        crowd.wait(&mut events)?;
        for event in &events {
            let member = &mut crowd.members[event.data.u64() as usize];
            if member.next == Next::Go && member.turn(&mut crowd.block)? != Next::Go {
                active -= 1;
            }
        }
    }
}

impl<M: Machine> Crowd<M> {
    /// Wakes those that rest, and feeds them what comes until `is_over`, which is asked at least once a second.
    ///
    /// # Errors
    /// As of [`run`].
    pub fn listen(&mut self, is_over: impl Fn() -> bool) -> Result<(), String> {
        self.last = Instant::now();
        // What came while they rested has had its event.
        for member in self.members.iter_mut().filter(|member| member.next == Next::Rest) {
            member.next = Next::Go;
            member.machine.woken(&mut member.output);
            member.turn(&mut self.block)?;
        }
        let mut events = Vec::with_capacity(EVENTS);
        while !is_over() {
            self.wait(&mut events)?;
            for event in &events {
                let member = &mut self.members[event.data.u64() as usize];
                if member.next == Next::Go {
                    member.turn(&mut self.block)?;
                }
            }
            let now = Instant::now();
            for member in self.members.iter_mut().filter(|member| member.machine.alarm().is_some_and(|at| at <= now)) {
                member.machine.woken(&mut member.output);
                member.turn(&mut self.block)?;
            }
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        events.clear();
        let first = self.members.iter().filter_map(|member| member.machine.alarm()).min();
        let until = first.map_or(TICK, |at| at.saturating_duration_since(Instant::now()).min(TICK));
        let tick = Timespec { tv_sec: until.as_secs() as i64, tv_nsec: i64::from(until.subsec_nanos()) };
        epoll::wait(&self.epoll, spare_capacity(events), Some(&tick)).map_err(|e| format!("epoll: {e}"))?;
        if !events.is_empty() {
            self.last = Instant::now();
        } else if self.last.elapsed() > STALL {
            let active = self.members.iter().filter(|member| member.next == Next::Go).count();
            return Err(format!("{active} connections heard nothing for {STALL:?}"));
        }
        Ok(())
    }
}

fn join<M: Machine>(epoll: &OwnedFd, door: &Door, mut machine: M, index: usize) -> io::Result<Member<M>> {
    machine.connected();
    let socket = connect(door.addr, index)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    // Edge-triggered: a connection that waits to send needs no second registration.
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET | EventFlags::RDHUP;
    epoll::add(epoll, &socket, EventData::new_u64(index as u64), flags)?;
    let stream = match &door.tls {
        None => Stream::Plain(socket),
        Some(config) => {
            let name = ServerName::try_from("localhost").expect("a name");
            let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
            Stream::Tls(Box::new(StreamOwned::new(tls, socket)))
        }
    };
    Ok(Member { stream: Some(stream), machine, input: Vec::new(), output: Vec::new(), next: Next::Go })
}

/// From one of several addresses of this machine, in turn: those of one alone have 28 000 ports, which rest for a minute after
/// each connection.
fn connect(addr: SocketAddr, index: usize) -> io::Result<TcpStream> {
    if !addr.ip().is_loopback() || addr.is_ipv6() {
        return TcpStream::connect(addr);
    }
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let from = Ipv4Addr::new(127, 0, 1, 1 + (index % SOURCES) as u8);
    rustix::net::bind(&socket, &SocketAddrV4::new(from, 0))?;
    rustix::net::connect(&socket, &addr)?;
    Ok(socket.into())
}

impl<M: Machine> Member<M> {
    /// Reads all there is, feeds the machine, sends what it says.
    fn turn(&mut self, block: &mut [u8]) -> Result<Next, String> {
        let Some(stream) = &mut self.stream else { return Ok(Next::Done) };
        let mut closed = false;
        if !self.input.is_empty() {
            self.next = self.machine.feed(&mut self.input, &mut self.output)?;
        }
        while self.next == Next::Go {
            match stream.read(block) {
                Ok(0) => closed = true,
                Ok(n) => self.input.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // Without a goodbye of TLS.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => closed = true,
                Err(e) => return Err(format!("read: {e}")),
            }
            if closed {
                break;
            }
            self.next = self.machine.feed(&mut self.input, &mut self.output)?;
        }
        stream.send(&mut self.output).map_err(|e| format!("write: {e}"))?;
        if self.next == Next::Done {
            self.stream = None;
        } else if closed {
            return Err(format!("the server closed: {}", String::from_utf8_lossy(&self.input)));
        }
        Ok(self.next)
    }
}

impl Stream {
    /// Sends of `output` what the socket takes now, and what TLS has to say.
    fn send(&mut self, output: &mut Vec<u8>) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            match if sent == output.len() { self.flush().map(|()| 0) } else { self.write(&output[sent..]) } {
                Ok(0) => break Ok(()),
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(e) => break Err(e),
            }
        };
        output.drain(..sent);
        result
    }
}

impl Read for Stream {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(block),
            Stream::Tls(tls) => tls.read(block),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}
