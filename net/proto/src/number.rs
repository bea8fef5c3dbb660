//! Numbers as text.

/// Decimal digits. Message numbers and UIDs are written by the hundred thousand: those of up to eight digits take the way without a loop.
pub fn number(out: &mut Vec<u8>, n: u64) {
    match u32::try_from(n) {
        Ok(n) if n < 100_000_000 => short(out, n),
        _ => long(out, n),
    }
}

fn short(out: &mut Vec<u8>, n: u32) {
    let pairs = [n / 1_000_000, n / 10_000 % 100, n / 100 % 100, n % 100];
    let mut digits = [0; 8];
    for (pair, digits) in pairs.iter().zip(digits.chunks_exact_mut(2)) {
        digits.copy_from_slice(&[(pair / 10) as u8, (pair % 10) as u8]);
    }
    let digits = u64::from_be_bytes(digits);
    // The last digit is there even when it is 0.
    let leading = (digits | 1).leading_zeros() / 8;
    let text = (digits << (8 * leading)) | u64::from_be_bytes([b'0'; 8]);
    let end = out.len() + 8 - leading as usize;
    out.extend_from_slice(&text.to_be_bytes());
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
        for n in powers.chain([u64::from(u32::MAX), u64::MAX, 90_000_001, 10_203_040]) {
            let mut out = b"a".to_vec();
            number(&mut out, n);
            assert_eq!(out, format!("a{n}").as_bytes());
        }
    }
}
