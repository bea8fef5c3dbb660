//! What the client reads from and writes to: a socket, perhaps with DEFLATE on it (RFC 4978).

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush};

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: TcpStream,
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
        Wire { socket, codec: None }
    }

    /// Everything is compressed from here on.
    pub(super) fn compress(&mut self) {
        let packer = CompressorOxide::new(create_comp_flags_from_zip_params(6, -15, 0));
        let unpacker = InflateState::new(DataFormat::Raw);
        self.codec = Some(Box::new(Codec { packer, unpacker, received: Vec::new() }));
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(codec) = &mut self.codec else { return self.socket.read(out) };
        loop {
            let result = inflate(&mut codec.unpacker, &codec.received, out, MZFlush::None);
            codec.received.drain(..result.bytes_consumed);
            match result.status {
                Ok(_) | Err(MZError::Buf) if result.bytes_written > 0 => return Ok(result.bytes_written),
                Ok(_) | Err(MZError::Buf) => {}
                Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, format!("{error:?}"))),
            }
            let mut piece = [0; 4096];
            match self.socket.read(&mut piece)? {
                0 => return Ok(0),
                count => codec.received.extend_from_slice(&piece[..count]),
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(codec) = &mut self.codec else { return self.socket.write(bytes) };
        let (mut packed, mut at) = (vec![0; 16 * 1024], 0);
        loop {
            let result = deflate(&mut codec.packer, &bytes[at..], &mut packed, MZFlush::Sync);
            at += result.bytes_consumed;
            self.socket.write_all(&packed[..result.bytes_written])?;
            if at == bytes.len() && result.bytes_written < packed.len() {
                return Ok(bytes.len());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
