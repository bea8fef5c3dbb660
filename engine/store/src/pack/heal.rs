//! A checksum tells not only that a byte is not what was written: where it is alone, also which one, and what it was.
//!
//! A byte that is wrong by `e` makes a difference of `TABLE[e]` to a CRC, and each byte after it shifts that on. So the difference is shifted
//! back, byte by byte from the end, until it is one that a single byte makes; where that is so at two places nothing is done. In 64 KiB there are
//! 2^24 such differences, so damage of another kind looks like one of them once in 256 times: what comes of it has to pass another check.

const POLYNOMIAL: u32 = 0x82f6_3b78;
const TABLE: [u32; 256] = table();
/// By the highest byte of an entry of [`TABLE`], which entry: no two have the same.
const BY_HIGHEST: [u8; 256] = by_highest();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

const fn by_highest() -> [u8; 256] {
    let mut places = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        places[(TABLE[byte] >> 24) as usize] = byte as u8;
        byte += 1;
    }
    places
}

/// Puts one byte right when that makes the CRC32C what was written; false, and nothing changed, when no single byte or more than one does.
pub(super) fn heal(bytes: &mut [u8], found: u32, written: u32) -> bool {
    let (mut difference, mut place) = (found ^ written, None);
    for at in (0..bytes.len()).rev() {
        let error = BY_HIGHEST[(difference >> 24) as usize];
        if error != 0 && TABLE[usize::from(error)] == difference && place.replace((at, error)).is_some() {
            return false;
        }
        difference = (difference ^ TABLE[usize::from(error)]) << 8 | u32::from(error);
    }
    let Some((at, error)) = place else { return false };
    bytes[at] ^= error;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_byte_is_put_right() {
        let written: Vec<u8> = (0..1500_u32).map(|n| (n * n % 251) as u8).collect();
        let crc = crc32c::crc32c(&written);
        for at in (0..written.len()).step_by(7).chain([0, 1498, 1499]) {
            for error in [1, 0x80, 0xff, at as u8 | 1] {
                let mut hurt = written.clone();
                hurt[at] ^= error;
                let found = crc32c::crc32c(&hurt);
                assert!(heal(&mut hurt, found, crc), "{at} {error}");
                assert_eq!(hurt, written);
            }
        }
    }

    #[test]
    fn what_is_no_single_byte_is_left_alone() {
        let written: Vec<u8> = (0..200).collect();
        let crc = crc32c::crc32c(&written);
        assert!(!heal(&mut written.clone(), crc, crc), "nothing is wrong");
        for at in 0..180 {
            let mut hurt = written.clone();
            hurt[at] ^= 1;
            hurt[at + 11] ^= 2;
            let found = crc32c::crc32c(&hurt);
            let before = hurt.clone();
            assert!(!heal(&mut hurt, found, crc) && hurt == before, "{at}");
        }
        assert!(!heal(&mut [], 1, 2));
    }
}
