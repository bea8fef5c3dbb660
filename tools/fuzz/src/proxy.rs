//! What a proxy in front says.

use skein_proto::proxy::{BINARY_BYTES_MAX, Header, HeaderError, Reader};

/// A header read whole, byte by byte, and in the pieces the reader wants: the same each time, bounded, and nothing behind
/// it taken.
pub fn proxy(data: &[u8]) {
    let whole = Reader::new().feed(data);
    assert_eq!(in_pieces(data, |_| 1), whole);
    assert_eq!(in_pieces(data, Reader::want), whole);
    let Ok((used, header)) = whole else { return };
    assert!(used <= BINARY_BYTES_MAX);
    if header.is_some() {
        assert_eq!(Reader::new().feed(&data[..used]), Ok((used, header)), "what follows does not count");
        assert!(matches!(Reader::new().feed(&data[..used - 1]), Ok((_, None))), "it was not whole before");
    }
}

fn in_pieces(data: &[u8], size: impl Fn(&Reader) -> usize) -> Result<(usize, Option<Header>), HeaderError> {
    let (mut reader, mut at) = (Reader::new(), 0);
    while at < data.len() {
        let end = data.len().min(at + size(&reader));
        match reader.feed(&data[at..end])? {
            (used, Some(header)) => return Ok((at + used, Some(header))),
            (used, None) => at += used,
        }
    }
    Ok((at, None))
}
