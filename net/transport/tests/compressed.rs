//! Compressed connections on loopback: inside of TLS and without, moving between shards, resting in between.

mod support;

use std::io::{self, Read, Write};

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush};
use rustls::version::TLS13;
use support::{Server, Stream, client, plain, secure};

struct Packed<S> {
    inner: S,
    packer: CompressorOxide,
    unpacker: Box<InflateState>,
    received: Vec<u8>,
}

impl<S: Stream> Packed<S> {
    fn new(inner: S) -> Packed<S> {
        let packer = CompressorOxide::new(create_comp_flags_from_zip_params(6, -15, 0));
        Packed { inner, packer, unpacker: InflateState::new_boxed(DataFormat::Raw), received: Vec::new() }
    }

    fn say(&mut self, bytes: &[u8]) {
        let mut packed = vec![0; bytes.len() + 1000];
        let result = deflate(&mut self.packer, bytes, &mut packed, MZFlush::Sync);
        assert_eq!(result.bytes_consumed, bytes.len());
        self.inner.write_all(&packed[..result.bytes_written]).unwrap();
    }

    fn hear(&mut self, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        self.read_exact(&mut out).unwrap();
        out
    }
}

impl<S: Read> Read for Packed<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = inflate(&mut self.unpacker, &self.received, out, MZFlush::None);
            self.received.drain(..result.bytes_consumed);
            assert!(matches!(result.status, Ok(_) | Err(MZError::Buf)), "{result:?}");
            if result.bytes_written > 0 {
                return Ok(result.bytes_written);
            }
            let mut piece = [0; 1000];
            let count = self.inner.read(&mut piece)?;
            assert!(count > 0, "the server closed");
            self.received.extend_from_slice(&piece[..count]);
        }
    }
}

fn talk(mut stream: impl Stream) {
    stream.write_all(b"DEFLATE\n").unwrap();
    let mut go = [0; 3];
    stream.read_exact(&mut go).unwrap();
    let mut packed = Packed::new(stream);
    for round in 0..40 {
        // The client goes on referring to what it said before the server rested, and moved.
        packed.say(format!("ECHO the same words again {:02}\nREST\nHOP\n", round % 7).as_bytes());
        let heard = String::from_utf8(packed.hear("0 the same words again 00\n".len())).unwrap();
        assert!(heard.ends_with(&format!(" the same words again {:02}\n", round % 7)), "{heard}");
    }
    packed.say(b"BIG\n");
    assert!(packed.hear(1 << 20).iter().all(|byte| *byte == b'x'));
    // Two megabytes in a few kilobytes.
    packed.say(&b"\n".repeat(2 << 20));
    let answers = packed.hear((2 << 20) * 4);
    assert!(answers.chunks(4).all(|answer| answer[1..] == *b" ?\n"));
    packed.say(b"QUIT\n");
    assert_eq!(packed.hear(4), b"bye\n");
}

#[test]
fn compression_moves_and_rests() {
    let server = Server::start("packed", false, 10);
    talk(plain(server.addr));
    assert_eq!(server.problems(), Vec::<String>::new());
    server.stop();
}

#[test]
fn compression_is_inside_of_tls() {
    let server = Server::start("packed-tls", true, 10);
    talk(secure(plain(server.addr), &client(&[&TLS13])));
    assert_eq!(server.problems(), Vec::<String>::new());
    server.stop();
}

#[test]
fn plain_text_behind_the_command_ends_the_connection() {
    let server = Server::start("packed-plain", false, 10);
    let mut stream = plain(server.addr);
    stream.write_all(b"DEFLATE\nECHO plain text that is none of ours\n").unwrap();
    let mut rest = Vec::new();
    _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"go\n");
    assert_eq!(server.first_problem(), "the compressed stream is no DEFLATE");
    server.stop();
}
