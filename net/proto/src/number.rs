//! Numbers as text.

/// Decimal digits. Message numbers and UIDs are written by the hundred thousand: those of up to eight digits take the way without a loop.
pub fn number(out: &mut Vec<u8>, n: u64) {
    match u32::try_from(n) {
        Ok(n) if n < 100_000_000 => short(out, n),
        _ => long(out, n),
    }
}

/// All eight digits at once, the first one lowest: each step splits every number in the word into its two halves, by a product that stands
/// for a division.
fn short(out: &mut Vec<u8>, n: u32) {
    let n = u64::from(n);
    let fours = (n / 10_000) | ((n % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let pairs = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((pairs * 103) >> 10) & 0x0f_000f_000f_000f;
    let digits = tens | ((pairs - 10 * tens) << 8);
    // The last digit is there even when it is 0.
    let leading = (digits | (1 << 56)).trailing_zeros() / 8;
    let text = (digits | u64::from_ne_bytes([b'0'; 8])) >> (8 * leading);
    let end = out.len() + 8 - leading as usize;
    out.extend_from_slice(&text.to_le_bytes());
    out.truncate(end);
}

fn long(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_as_they_are_displayed() {
        let powers = (0..20).map(|digits| 10u64.pow(digits)).flat_map(|n| [n - 1, n, n + 1, n - n / 3]);
        let many = (0..100_000_000).step_by(9973);
        for n in powers.chain(many).chain([u64::from(u32::MAX), u64::MAX]) {
            let mut out = b"a".to_vec();
            number(&mut out, n);
            assert_eq!(out, format!("a{n}").as_bytes());
        }
    }
}
