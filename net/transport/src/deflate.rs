//! Raw DEFLATE (RFC 1951) both ways, for COMPRESS (RFC 4978).
//!
//! ```text
//! in    packed (as received) ─▶ Unpacker: window 32 KiB ─▶ so many bytes as are asked for
//! out   bytes ─▶ Packer, flushed at the end of each write ─▶ whole bytes
//! ```
//!
//! What is held while nothing happens ([`Deflate::rest`]): of the packer nothing, since a new one may go on at any whole byte
//! without looking back. Of the unpacker what the client may refer to, its last 32 KiB at most and no more than it has
//! sent, and a few words; most clients send little. In use, a packer costs some 310 KiB and an unpacker 43.

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, decompress_with_limit};
use miniz_oxide::{MZError, MZFlush};
use std::io;

/// How far back a reference may point (RFC 1951 §2).
const WINDOW_BYTES: usize = 32 * 1024;
/// Effort, of 0 to 10: mail packs little better above, and takes twice the time.
const LEVEL: i32 = 4;
/// Raw, without zlib's header and checksum (RFC 4978 §3), with the full window.
const RAW: i32 = -15;

/// Both directions of one connection.
#[derive(Default)]
pub(crate) struct Deflate {
    packer: Option<Box<CompressorOxide>>,
    unpacker: Unpacker,
    /// Something has gone over since the last rest.
    is_warm: bool,
}

impl Deflate {
    /// Packs the next bytes into `out`, which has room for some: how many bytes were taken and made. With `last` all that was
    /// taken is made to leave; call again until less than the room is used.
    pub(crate) fn pack(&mut self, bytes: &[u8], last: bool, out: &mut [u8]) -> io::Result<(usize, usize)> {
        self.is_warm = true;
        let packer = self
            .packer
            .get_or_insert_with(|| Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, RAW, 0))));
        let result = deflate(packer, bytes, out, if last { MZFlush::Sync } else { MZFlush::None });
        match result.status {
            // There was nothing to do.
            Ok(_) | Err(MZError::Buf) => Ok((result.bytes_consumed, result.bytes_written)),
            Err(error) => Err(io::Error::other(format!("{error:?}"))),
        }
    }

    /// Takes what was received.
    pub(crate) fn received(&mut self, packed: &[u8]) {
        self.is_warm = true;
        self.unpacker.packed.extend_from_slice(packed);
    }

    /// Bytes that have been received and not unpacked.
    pub(crate) fn received_bytes(&self) -> usize {
        self.unpacker.packed.len() - self.unpacker.at
    }

    /// There may be more to unpack before more is received.
    pub(crate) fn has_received(&self) -> bool {
        self.unpacker.has_more()
    }

    /// Appends what has been received, unpacked: at most `max` bytes, and so much only however small it was packed.
    pub(crate) fn unpack(&mut self, out: &mut Vec<u8>, max: usize) -> io::Result<()> {
        self.unpacker.unpack(out, max)
    }

    /// The connection is silent: holds no more than it must.
    pub(crate) fn rest(&mut self) {
        self.is_warm = false;
        self.packer = None;
        self.unpacker.rest();
    }

    /// There may be something to be given back.
    pub(crate) fn is_warm(&self) -> bool {
        self.is_warm
    }

    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        let window = match &self.unpacker.state {
            State::Warm { window, .. } => window.len() + size_of::<DecompressorOxide>(),
            State::Cold { history, .. } => history.capacity(),
        };
        size_of::<Deflate>() + window + self.unpacker.packed.capacity() + self.packer.as_ref().map_or(0, |_| 310 * 1024)
    }
}

#[derive(Default)]
struct Unpacker {
    state: State,
    /// Received and not unpacked, from `at` on.
    packed: Vec<u8>,
    at: usize,
    /// The decoder stopped before it wanted input: it may hold some.
    is_full: bool,
}

enum State {
    Warm {
        decoder: Box<DecompressorOxide>,
        /// The last bytes that were unpacked, in a ring; `next` is where it goes on.
        window: Box<[u8]>,
        next: usize,
        /// Bytes in the window, all of it at most.
        filled: usize,
    },
    /// Between two blocks, where the decoder knows no more than this.
    Cold {
        boundary: Option<BlockBoundaryState>,
        /// The last bytes that were unpacked.
        history: Vec<u8>,
    },
}

impl Default for State {
    fn default() -> State {
        State::Cold { boundary: None, history: Vec::new() }
    }
}

impl Unpacker {
    fn has_more(&self) -> bool {
        self.is_full || self.at < self.packed.len()
    }

    fn unpack(&mut self, out: &mut Vec<u8>, max: usize) -> io::Result<()> {
        self.warm_up();
        let State::Warm { decoder, window, next, filled } = &mut self.state else { return Ok(()) };
        let mut left = max;
        while left > 0 && (self.is_full || self.at < self.packed.len()) {
            let packed = &self.packed[self.at..];
            let (status, taken, made) =
                decompress_with_limit(decoder, packed, window, *next, left, TINFL_FLAG_HAS_MORE_INPUT);
            out.extend_from_slice(&window[*next..*next + made]);
            self.at += taken;
            left -= made;
            *next = (*next + made) % WINDOW_BYTES;
            *filled = (*filled + made).min(WINDOW_BYTES);
            self.is_full = status == TINFLStatus::HasMoreOutput;
            match status {
                TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => return Err(broken("the compressed stream has an end")),
                _ => return Err(broken("the compressed stream is no DEFLATE")),
            }
        }
        if self.at == self.packed.len() {
            (self.packed, self.at) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn warm_up(&mut self) {
        if let State::Cold { boundary, history } = &mut self.state {
            let decoder =
                boundary.take().map_or_else(Default::default, |b| DecompressorOxide::from_block_boundary_state(&b));
            let mut window = vec![0; WINDOW_BYTES].into_boxed_slice();
            window[..history.len()].copy_from_slice(history);
            let (next, filled) = (history.len() % WINDOW_BYTES, history.len());
            self.state = State::Warm { decoder: Box::new(decoder), window, next, filled };
        }
    }

    /// Between two blocks, as after each flush, the history is all there is to be kept.
    fn rest(&mut self) {
        if self.has_more() {
            return;
        }
        if let State::Warm { decoder, window, next, filled } = &mut self.state
            // All input was wanted, so that no whole byte waits in the decoder.
            && let Some(boundary) = decoder.block_boundary_state()
        {
            let start = (*next + WINDOW_BYTES - *filled) % WINDOW_BYTES;
            let mut history = Vec::with_capacity(*filled);
            let (late, early) = (&window[start..(start + *filled).min(WINDOW_BYTES)], *filled);
            history.extend_from_slice(late);
            history.extend_from_slice(&window[..early - late.len()]);
            self.state = State::Cold { boundary: Some(boundary), history };
        }
    }
}

fn broken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(deflate: &mut Deflate, bytes: &[u8], room: usize) -> Vec<u8> {
        let (mut out, mut at, mut buffer) = (Vec::new(), 0, vec![0; room]);
        loop {
            let (taken, made) = deflate.pack(&bytes[at..], true, &mut buffer).unwrap();
            out.extend_from_slice(&buffer[..made]);
            at += taken;
            if at == bytes.len() && made < room {
                return out;
            }
        }
    }

    fn unpacked(deflate: &mut Deflate, packed: &[u8], piece: usize, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in packed.chunks(piece) {
            deflate.received(piece);
            while deflate.has_received() {
                let before = out.len();
                deflate.unpack(&mut out, max).unwrap();
                assert!(out.len() - before <= max);
            }
        }
        out
    }

    #[test]
    fn what_rests_is_small_and_goes_on() {
        let (mut here, mut there) = (Deflate::default(), Deflate::default());
        let mut all = 0;
        for round in 0..2000 {
            let text = format!("a{round} UID FETCH {round}:* (FLAGS) and some words that come again\r\n");
            let packed = packed(&mut here, text.as_bytes(), 4096);
            assert_eq!(unpacked(&mut there, &packed, 5, 1000), text.as_bytes(), "round {round}");
            all += text.len();
            here.rest();
            there.rest();
            assert!(!here.is_warm() && !there.is_warm());
            assert!(here.held_bytes() <= size_of::<Deflate>());
            assert!(there.held_bytes() <= size_of::<Deflate>() + all.min(WINDOW_BYTES), "round {round}");
        }
    }

    /// A client keeps its packer: what it says after a rest refers to what it said before.
    #[test]
    fn references_reach_over_a_rest() {
        let (mut here, mut there) = (Deflate::default(), Deflate::default());
        let text: Vec<u8> = (0..WINDOW_BYTES - 300).map(|i| (i * i / 7 % 251) as u8).collect();
        let first = packed(&mut here, &text, 4096);
        assert_eq!(unpacked(&mut there, &first, 1000, 16384), text);
        there.rest();
        let again = packed(&mut here, &text[..200], 4096);
        assert!(again.len() < 30, "{} bytes for a reference", again.len());
        assert_eq!(unpacked(&mut there, &again, 1, 16384), &text[..200]);
    }

    /// Sixteen megabytes of nothing in sixteen kilobytes come only as fast as they are read.
    #[test]
    fn a_bomb_goes_off_slowly() {
        let (mut here, mut there) = (Deflate::default(), Deflate::default());
        let bomb = packed(&mut here, &vec![b'x'; 16 << 20], 1 << 16);
        assert!(bomb.len() < 32 << 10);
        there.received(&bomb);
        let (mut out, mut total) = (Vec::new(), 0);
        while there.has_received() {
            out.clear();
            there.unpack(&mut out, 1000).unwrap();
            assert!(out.len() <= 1000 && there.held_bytes() < 100 << 10);
            total += out.len();
        }
        assert_eq!(total, 16 << 20);
    }

    #[test]
    fn what_is_no_deflate_is_refused() {
        for wrong in [&b"a1 NOOP\r\na2 NOOP\r\n"[..], &[0xff; 20], b"\x03\x00"] {
            let mut deflate = Deflate::default();
            deflate.received(wrong);
            let outcome = deflate.unpack(&mut Vec::new(), 1000);
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::InvalidData, "{wrong:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn all_goes_over(
            writes in proptest::collection::vec((proptest::collection::vec(0u8..4, 0..3000), 1usize..20, any::<bool>(), any::<bool>()), 1..8),
            piece in 1usize..9000, room in 10usize..9000, max in 100usize..40_000,
        ) {
            let (mut here, mut there) = (Deflate::default(), Deflate::default());
            for (bytes, times, here_rests, there_rests) in writes {
                let bytes = bytes.repeat(times);
                let packed = packed(&mut here, &bytes, room);
                prop_assert!(unpacked(&mut there, &packed, piece, max) == bytes);
                if here_rests { here.rest(); }
                if there_rests { there.rest(); }
            }
        }
    }
}
