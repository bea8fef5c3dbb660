use super::*;

/// Reads `input` whole, and cut at each place; what was read and how many bytes of it were the header's.
fn read(input: &[u8]) -> Result<(usize, Option<Header>), HeaderError> {
    let whole = Reader::new().feed(input);
    for cut in 0..=input.len() {
        let mut reader = Reader::new();
        let first = reader.feed(&input[..cut]);
        let both = match first {
            Ok((used, None)) => {
                assert_eq!(used, cut, "all of an unfinished header is taken");
                reader.feed(&input[cut..]).map(|(more, header)| (used + more, header))
            }
            done => done,
        };
        assert_eq!(both, whole, "cut at {cut}");
    }
    // As the pump reads: never more than is wanted, so never beyond the header.
    let (mut reader, mut at) = (Reader::new(), 0);
    while let Ok((_, Some(_))) = whole
        && at < input.len()
    {
        let end = input.len().min(at + reader.want());
        match reader.feed(&input[at..end]).expect("as above") {
            (used, Some(header)) => {
                assert_eq!((at + used, Some(header)), whole.clone().expect("as above"));
                assert_eq!(at + used, end, "nothing behind the header is read");
                break;
            }
            (used, None) => at += used,
        }
    }
    whole
}

fn header(input: &[u8]) -> Header {
    let (used, header) = read(input).expect("a header");
    assert_eq!(used, input.len());
    header.expect("a whole header")
}

fn ends(from: &str, to: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((from.parse().expect("an address"), to.parse().expect("an address")))
}

fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend_from_slice(&[command, family]);
    bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

const ENDS4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x30, 0x39, 0, 143];

#[test]
fn lines() {
    assert_eq!(
        header(b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 143\r\n").addresses,
        ends("192.0.2.1:12345", "10.0.0.1:143")
    );
    assert_eq!(header(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n").addresses, ends("[2001:db8::1]:1", "[::1]:65535"));
    assert_eq!(header(b"PROXY UNKNOWN\r\n"), Header::default());
    assert_eq!(header(b"PROXY UNKNOWN ffff::1 x y z\r\n"), Header::default());
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(TEXT_BYTES_MAX - 16));
    assert_eq!(longest.len(), TEXT_BYTES_MAX);
    assert_eq!(header(longest.as_bytes()), Header::default());
}

#[test]
fn what_follows_is_the_clients() {
    let (used, header) = read(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\na LOGIN x y\r\n").expect("a header");
    assert!(used == 32 && header.is_some());
    let mut bytes = binary(0x21, 0x11, &ENDS4);
    let length = bytes.len();
    bytes.extend_from_slice(b"\x16\x03\x01");
    assert_eq!(read(&bytes).expect("a header").0, length);
}

#[test]
fn no_headers() {
    for input in
        [&b"a LOGIN x y\r\n"[..], b"PROXX", b"\r\n\r\n\0\r\nQUIX", b"\x16\x03\x01\0\xff", b"PROXY\r\n", b"LHLO x\r\n"]
    {
        assert_eq!(read(input), Err(HeaderError::NoHeader), "{}", input.escape_ascii());
    }
    for input in [&b""[..], b"PROXY TCP4 1.2.3.4", b"\r\n\r\n\0\r\nQUIT\n\x21"] {
        assert_eq!(read(input), Ok((input.len(), None)), "{}", input.escape_ascii());
    }
}

#[test]
fn bad_lines() {
    let malformed = [
        "PROXY TCP4 192.0.2.1 10.0.0.1 12345\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 12345 143 \r\n",
        "PROXY TCP4  192.0.2.1 10.0.0.1 12345 143\r\n",
        "PROXY TCP4 ::1 ::1 1 1\r\n",
        "PROXY TCP6 192.0.2.1 10.0.0.1 1 1\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 65536 1\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 01 1\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 +1 1\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 1 \r\n",
        "PROXY TCP4 192.0.2.01 10.0.0.1 1 1\r\n",
    ];
    for line in malformed {
        assert_eq!(read(line.as_bytes()), Err(HeaderError::Malformed), "{line}");
    }
    assert_eq!(read(b"PROXY UDP4 192.0.2.1 10.0.0.1 1 1\r\n"), Err(HeaderError::Unknown));
    assert_eq!(read(&[b"PROXY ", &[b'x'; 200][..]].concat()), Err(HeaderError::TooLong));
    assert_eq!(read(b"PROXY \xff\xff\xff\xff\xff\xff\r\n"), Err(HeaderError::Malformed));
}

#[test]
fn binary_addresses() {
    assert_eq!(header(&binary(0x21, 0x11, &ENDS4)).addresses, ends("192.0.2.1:12345", "10.0.0.1:143"));
    let six = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[1], &[0, 7, 0, 143]].concat();
    assert_eq!(header(&binary(0x21, 0x21, &six)).addresses, ends("[2001:db8::1]:7", "[::1]:143"));
    let unix = header(&binary(0x21, 0x31, &[0; 216]));
    assert!(unix.unix && unix.addresses.is_none());
    assert_eq!(header(&binary(0x21, 0x00, b"")), Header::default());
    // A health check: addresses and anything else are to be skipped.
    assert_eq!(header(&binary(0x20, 0x11, &ENDS4)), Header::default());
    assert_eq!(header(&binary(0x20, 0xff, b"whatever")), Header::default());
}

#[test]
fn bad_binaries() {
    assert_eq!(read(&binary(0x11, 0x11, &ENDS4)), Err(HeaderError::Unknown));
    assert_eq!(read(&binary(0x22, 0x11, &ENDS4)), Err(HeaderError::Unknown));
    assert_eq!(read(&binary(0x21, 0x12, &ENDS4)), Err(HeaderError::Unknown));
    assert_eq!(read(&binary(0x21, 0x11, &ENDS4[..11])), Err(HeaderError::Malformed));
    assert_eq!(read(&binary(0x21, 0x21, &ENDS4)), Err(HeaderError::Malformed));
    assert_eq!(read(&binary(0x21, 0x31, &[0; 215])), Err(HeaderError::Malformed));
    assert_eq!(read(&binary(0x21, 0x11, &[&ENDS4[..], &[4, 0]].concat())), Err(HeaderError::Malformed));
    assert_eq!(read(&binary(0x21, 0x11, &[&ENDS4[..], &[4, 0, 2, 0]].concat())), Err(HeaderError::Malformed));
    let most = BINARY_BYTES_MAX - FIXED_BYTES;
    let mut body = [&ENDS4[..], &tlv(4, &vec![0; most - 15])].concat();
    assert_eq!(body.len(), most);
    assert_eq!(Reader::new().feed(&binary(0x21, 0x11, &body)).map(|(used, _)| used), Ok(BINARY_BYTES_MAX));
    body.push(0);
    assert_eq!(Reader::new().feed(&binary(0x21, 0x11, &body)), Err(HeaderError::TooLong));
}

#[test]
fn what_the_proxy_adds() {
    let ssl = |client: u8, verify: u32| {
        let inner = [tlv(0x21, b"TLSv1.3"), tlv(0x22, b"Alice"), tlv(0x23, b"TLS_AES_256_GCM_SHA384"), tlv(0x24, b"x")];
        tlv(0x20, &[&[client], &verify.to_be_bytes()[..], &inner.concat()].concat())
    };
    let body = |ssl: Vec<u8>| {
        let more = [tlv(1, b"imap"), tlv(2, b"mail.example.org"), ssl, tlv(0xee, b"?"), tlv(4, b"")].concat();
        binary(0x21, 0x11, &[&ENDS4[..], &more].concat())
    };
    let read = header(&body(ssl(0x07, 0)));
    assert_eq!((read.alpn.as_deref(), read.authority.as_deref()), (Some("imap"), Some("mail.example.org")));
    let tls = read.tls.expect("TLS");
    assert_eq!(
        (&*tls.version, &*tls.cipher, tls.common_name.as_deref()),
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", Some("Alice"))
    );
    // A name nobody verified is nobody's.
    assert_eq!(header(&body(ssl(0x07, 1))).tls.expect("TLS").common_name, None);
    assert_eq!(header(&body(ssl(0x01, 0))).tls.expect("TLS").common_name, None);
    assert_eq!(header(&body(ssl(0x00, 0))).tls, None);
    let with = |more: Vec<u8>| super::Reader::new().feed(&binary(0x21, 0x11, &[&ENDS4[..], &more].concat()));
    assert_eq!(with(tlv(0x20, b"\x01")), Err(HeaderError::Malformed));
    assert_eq!(with(tlv(0x20, b"\x01\0\0\0\0\x21\0\x09x")), Err(HeaderError::Malformed));
    for text in [&b"a\nb"[..], b"\xff", b"", &[b'x'; 256]] {
        assert_eq!(with(tlv(2, text)).expect("a header").1.expect("whole").authority, None);
    }
}

#[test]
fn checksums() {
    let mut bytes = binary(0x21, 0x11, &[&ENDS4[..], &tlv(2, b"x"), &tlv(3, &[0; 4]), &tlv(4, b"y")].concat());
    let at = bytes.len() - 8;
    let sum = crc32c::crc32c(&bytes).to_be_bytes();
    bytes[at..at + 4].copy_from_slice(&sum);
    assert_eq!(header(&bytes).authority.as_deref(), Some("x"));
    bytes[17] ^= 1;
    assert_eq!(read(&bytes), Err(HeaderError::Checksum));
    assert_eq!(read(&binary(0x21, 0x11, &[&ENDS4[..], &tlv(3, b"abc")].concat())), Err(HeaderError::Malformed));
}

/// A start that gets past the first checks, then anything.
fn nearly_a_header() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    let start = prop_oneof![
        Just(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2".to_vec()),
        Just(b"PROXY ".to_vec()),
        (
            prop_oneof![Just(0x20u8), Just(0x21), any::<u8>()],
            prop_oneof![Just(0u8), Just(0x11), Just(0x21), any::<u8>()],
            0u8..80
        )
            .prop_map(|(command, family, length)| [&SIGNATURE[..], &[command, family, 0, length]].concat()),
    ];
    (start, prop::collection::vec(any::<u8>(), 0..120)).prop_map(|(start, rest)| [start, rest].concat())
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    /// Whatever comes: the same at every cut, and never a panic.
    #[test]
    fn anything(input in nearly_a_header()) {
        if let Ok((used, Some(_))) = read(&input) {
            proptest::prop_assert!(used <= input.len());
        }
    }
}
