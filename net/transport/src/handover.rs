//! Messages with descriptors, from one process of this machine to another.
//!
//! ```text
//! u32 length, big-endian │ body        descriptors travel with the first byte
//! ```

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Bytes of a message.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Descriptors that travel with one message; the kernel takes 253.
pub const DESCRIPTORS_MAX: usize = 64;

/// Sends a message; the descriptors stay open here too.
///
/// # Errors
/// Of the socket, `TimedOut` or `WouldBlock` with a write timeout among them; `InvalidInput` for what is above the limits.
pub fn send(stream: &UnixStream, body: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if body.len() > MESSAGE_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let length = (body.len() as u32).to_be_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let whole = [IoSlice::new(&length), IoSlice::new(body)];
    let sent = retry_on_intr(|| sendmsg(stream, &whole, &mut ancillary, SendFlags::NOSIGNAL))?;
    let mut stream = stream;
    let rest = length.len() + body.len() - sent;
    let in_length = rest.saturating_sub(body.len());
    stream.write_all(&length[length.len() - in_length..])?;
    stream.write_all(&body[body.len() - rest.min(body.len())..])
}

/// The next message and what came with it; `None` at the end of the stream.
///
/// # Errors
/// Of the socket, `TimedOut` or `WouldBlock` with a read timeout among them; `UnexpectedEof` within a message; `InvalidData`
/// for what is above the limits.
pub fn receive(stream: &UnixStream) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let (mut length, mut descriptors) = ([0; 4], Vec::new());
    if !fill(stream, &mut length, &mut descriptors)? {
        return Ok(None);
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    match fill(stream, &mut body, &mut descriptors)? {
        true => Ok(Some((body, descriptors))),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Fills `out`; false when the stream ended before it.
fn fill(stream: &UnixStream, out: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<bool> {
    let mut filled = 0;
    while filled < out.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let part = &mut [IoSliceMut::new(&mut out[filled..])];
        let got = retry_on_intr(|| recvmsg(stream, part, &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        if got.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > DESCRIPTORS_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match got.bytes {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => filled += bytes,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::time::Duration;

    #[test]
    fn descriptors_arrive_with_their_message() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let many = vec![writer.as_fd(); DESCRIPTORS_MAX];
        send(&ours, b"first", &many).unwrap();
        send(&ours, b"", &[]).unwrap();
        send(&ours, b"second", &[writer.as_fd()]).unwrap();
        drop(ours);
        let (body, descriptors) = receive(&theirs).unwrap().unwrap();
        assert_eq!((body.as_slice(), descriptors.len()), (b"first".as_slice(), DESCRIPTORS_MAX));
        assert_eq!(receive(&theirs).unwrap().unwrap().0, b"");
        let (body, mut last) = receive(&theirs).unwrap().unwrap();
        assert_eq!((body.as_slice(), last.len()), (b"second".as_slice(), 1));
        assert!(receive(&theirs).unwrap().is_none());
        drop((writer, descriptors));
        let mut file = File::from(last.remove(0));
        file.write_all(b"works").unwrap();
        drop(file);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "works");
    }

    #[test]
    fn what_is_too_much_or_too_little_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let kind = |result: io::Result<_>| result.err().map(|error: io::Error| error.kind());
        assert_eq!(kind(send(&ours, &vec![0; MESSAGE_BYTES_MAX + 1], &[])), Some(io::ErrorKind::InvalidInput));
        let many = vec![ours.as_fd(); DESCRIPTORS_MAX + 1];
        assert_eq!(kind(send(&ours, b"", &many)), Some(io::ErrorKind::InvalidInput));
        theirs.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        (&ours).write_all(&(MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes()).unwrap();
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::InvalidData);
        (&ours).write_all(&[0, 0, 0, 9, 1]).unwrap();
        drop(ours);
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
