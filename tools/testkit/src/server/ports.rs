//! Free ports on loopback.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use crate::random::Random;

/// Below the range that the kernel takes for outgoing connections (32768 and up), so that a test with thousands of
/// connections never sits on the port of the next server.
const FIRST: u16 = 10_000;
/// Ports in a block: more than one server needs.
const BLOCK_PORTS: u16 = 16;
const BLOCKS: u16 = (32_000 - FIRST) / BLOCK_PORTS;

/// Neighbouring ports that no other test on this machine can be given while this value lives.
///
/// Binding to see whether a port is free says nothing about the next moment; so each block is a locked file, too.
#[derive(Debug)]
pub(crate) struct Block {
    first: u16,
    _lock: File,
}

impl Block {
    /// Takes a block of which every port can be bound now.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn take() -> Block {
        let folder = std::env::temp_dir().join("skein-test-ports");
        fs::create_dir_all(&folder).expect("a folder for locks");
        let clock =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64);
        let start = Random::new(clock ^ u64::from(std::process::id()) << 32).below(usize::from(BLOCKS)) as u16;
        let mut blocks = (0..BLOCKS).map(|i| FIRST + (start + i) % BLOCKS * BLOCK_PORTS);
        let found = blocks.find_map(|first| {
            let lock = File::create(folder.join(first.to_string())).expect("a lock file");
            let block = lock.try_lock().is_ok().then_some(Block { first, _lock: lock })?;
            (0..BLOCK_PORTS).all(|i| TcpListener::bind(block.addr(i)).is_ok()).then_some(block)
        });
        found.expect("one of a thousand blocks of ports is free")
    }

    /// The address of port `index` of the block.
    pub(crate) fn addr(&self, index: u16) -> SocketAddr {
        assert!(index < BLOCK_PORTS, "a block has {BLOCK_PORTS} ports");
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.first + index))
    }
}

/// Where one server listens.
#[derive(Clone, Debug)]
pub struct Ports {
    /// IMAP, plain with STARTTLS.
    pub imap: SocketAddr,
    /// IMAP over TLS.
    pub imaps: SocketAddr,
    /// POP3, plain with STLS.
    pub pop3: SocketAddr,
    /// POP3 over TLS.
    pub pop3s: SocketAddr,
    /// LMTP.
    pub lmtp: SocketAddr,
    /// Metrics and health.
    pub http: SocketAddr,
    _block: Arc<Block>,
}

impl Ports {
    /// Ports that nobody listens on now.
    pub fn free() -> Ports {
        let block = Block::take();
        let [imap, imaps, lmtp, http, pop3, pop3s] = [0, 1, 2, 3, 4, 5].map(|i| block.addr(i));
        Ports { imap, imaps, pop3, pop3s, lmtp, http, _block: Arc::new(block) }
    }

    /// The ports that speak mail protocols.
    pub fn mail(&self) -> [SocketAddr; 5] {
        [self.imap, self.imaps, self.pop3, self.pop3s, self.lmtp]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ports drawn one by one were sometimes the same, and two tests at once sometimes drew the same port.
    #[test]
    fn no_port_is_given_twice() {
        let all: Vec<Ports> = (0..50).map(|_| Ports::free()).collect();
        let mut ports: Vec<u16> =
            all.iter().flat_map(|p| [p.imap, p.imaps, p.pop3, p.pop3s, p.lmtp, p.http]).map(|a| a.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 300);
    }
}
