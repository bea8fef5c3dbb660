//! Many connections in one thread: a connection is a state machine that is fed what arrives and says what to send.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketType};
use std::os::fd::OwnedFd;

/// Events taken from the kernel at once.
const EVENTS: usize = 256;
/// Addresses that clients come from.
const SOURCES: usize = 50;
/// Nothing at all for so long is a stall.
const STALL: Duration = Duration::from_secs(60);

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
}

/// The connections: those that rest stay open as long as this lives.
pub struct Crowd<M> {
    epoll: OwnedFd,
    members: Vec<Member<M>>,
    last: Instant,
}

struct Member<M> {
    stream: TcpStream,
    machine: M,
    input: Vec<u8>,
    output: Vec<u8>,
    next: Next,
}

/// Opens a connection for each of `machines`, at most `opening_max` of them not yet resting or done, and runs until all are.
///
/// # Errors
/// The first failure of a connection or machine, and a stall.
pub fn run<M: Machine>(addr: SocketAddr, machines: Vec<M>, opening_max: usize) -> Result<Crowd<M>, String> {
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|e| e.to_string())?;
    let mut crowd = Crowd { epoll, members: Vec::with_capacity(machines.len()), last: Instant::now() };
    let mut waiting = machines.into_iter();
    let mut active = 0;
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        while active < opening_max {
            let Some(machine) = waiting.next() else { break };
            let member = join(&crowd.epoll, addr, machine, crowd.members.len());
            crowd.members.push(member.map_err(|e| format!("connect: {e}"))?);
            active += 1;
        }
        if active == 0 {
            return Ok(crowd);
        }
        crowd.wait(&mut events)?;
        for event in &events {
            let member = &mut crowd.members[event.data.u64() as usize];
            if member.next == Next::Go && member.turn()? != Next::Go {
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
            member.turn()?;
        }
        let mut events = Vec::with_capacity(EVENTS);
        while !is_over() {
            self.wait(&mut events)?;
            for event in &events {
                let member = &mut self.members[event.data.u64() as usize];
                if member.next == Next::Go {
                    member.turn()?;
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        events.clear();
        let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
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

fn join<M>(epoll: &OwnedFd, addr: SocketAddr, machine: M, index: usize) -> io::Result<Member<M>> {
    let stream = connect(addr, index)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    // Edge-triggered: a connection that waits to send needs no second registration.
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET | EventFlags::RDHUP;
    epoll::add(epoll, &stream, EventData::new_u64(index as u64), flags)?;
    Ok(Member { stream, machine, input: Vec::new(), output: Vec::new(), next: Next::Go })
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
    fn turn(&mut self) -> Result<Next, String> {
        let closed = self.read()?;
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let (Some(end), Next::Go) = (rest.iter().position(|&b| b == b'\n'), self.next) {
            let line = String::from_utf8_lossy(&rest[..end]);
            self.next = self.machine.line(line.trim_end(), &mut self.output)?;
            rest = &rest[end + 1..];
        }
        self.input = rest.to_vec();
        self.write()?;
        if self.next == Next::Done {
            let _closed_either_way = self.stream.shutdown(std::net::Shutdown::Both);
        } else if closed {
            return Err(format!("the server closed: {}", String::from_utf8_lossy(&self.input)));
        }
        Ok(self.next)
    }

    fn read(&mut self) -> Result<bool, String> {
        let mut block = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut block) {
                Ok(0) => return Ok(true),
                Ok(n) => self.input.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(format!("read: {e}")),
            }
        }
    }

    fn write(&mut self) -> Result<(), String> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("write: {e}")),
            }
        }
        Ok(())
    }
}
