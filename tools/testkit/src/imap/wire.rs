//! What the client reads from and writes to: a socket, perhaps with TLS on it, perhaps with DEFLATE on that (RFC 4978).

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush};
use rustls::ClientConnection;

use super::tls;

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    codec: Option<Box<Codec>>,
}

struct Codec {
    packer: CompressorOxide,
    unpacker: InflateState,
    received: Vec<u8>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Codec {{ received: {} bytes }}", self.received.len())
    }
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Wire {
        Wire { socket, tls: None, codec: None }
    }

    /// Everything is encrypted from here on.
    pub(super) fn encrypt(&mut self) {
        assert!(self.tls.is_none() && self.codec.is_none(), "TLS is the lowest layer");
        self.tls = Some(Box::new(tls::connection()));
    }

    /// Everything is compressed from here on.
    pub(super) fn compress(&mut self) {
        let packer = CompressorOxide::new(create_comp_flags_from_zip_params(6, -15, 0));
        let unpacker = InflateState::new(DataFormat::Raw);
        self.codec = Some(Box::new(Codec { packer, unpacker, received: Vec::new() }));
    }

    fn read_below(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).read(out),
            None => self.socket.read(out),
        }
    }

    fn write_below(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, &mut self.socket);
                stream.write_all(bytes)?;
                stream.flush()
            }
            None => self.socket.write_all(bytes),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(codec) = &mut self.codec else { return self.read_below(out) };
            let result = inflate(&mut codec.unpacker, &codec.received, out, MZFlush::None);
            codec.received.drain(..result.bytes_consumed);
            match result.status {
                Ok(_) | Err(MZError::Buf) if result.bytes_written > 0 => return Ok(result.bytes_written),
                Ok(_) | Err(MZError::Buf) => {}
                Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, format!("{error:?}"))),
            }
            let mut piece = [0; 4096];
            match self.read_below(&mut piece)? {
                0 => return Ok(0),
                count => self.codec.as_mut().expect("just seen").received.extend_from_slice(&piece[..count]),
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut packed, mut at) = (vec![0; 16 * 1024], 0);
        loop {
            let Some(codec) = &mut self.codec else {
                self.write_below(bytes)?;
                return Ok(bytes.len());
            };
            let result = deflate(&mut codec.packer, &bytes[at..], &mut packed, MZFlush::Sync);
            at += result.bytes_consumed;
            self.write_below(&packed[..result.bytes_written])?;
            if at == bytes.len() && result.bytes_written < packed.len() {
                return Ok(bytes.len());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
