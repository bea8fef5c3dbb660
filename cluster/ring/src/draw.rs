//! The arithmetic of a draw. Nothing here may ever change: it decides where mail is.

/// Bits after the point in [`weighted_distance`]. 40 steps leave 2^-23 of relative error in the last of them.
const FRACTION_BITS: u32 = 40;

/// 64 bits mixed so that each bit of the input sways each of the output (splitmix64's finalizer).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One member's lot for one key: uniform over 64 bits, independent between members.
pub(crate) fn draw(key: u64, member: u64) -> u64 {
    mix(key ^ mix(member))
}

/// `-log2(draw / 2^64)` in fixed point with [`FRACTION_BITS`]; never rises as the draw does.
///
/// Bit by bit: squaring a number in [1, 2) doubles its logarithm, and passing 2 is the next bit.
pub(crate) fn weighted_distance(draw: u64) -> u64 {
    let draw = draw.max(1);
    let zeros = draw.leading_zeros();
    let mut m = draw << zeros; // 1.63 fixed point, in [1, 2)
    let mut log = u64::from(63 - zeros);
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(m) * u128::from(m)) >> 63;
        let carry = (square >> 64) as u32; // 1 when the square reached 2
        m = (square >> carry) as u64;
        log = log << 1 | u64::from(carry);
    }
    (64 << FRACTION_BITS) - log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_the_logarithm() {
        let one = (1u64 << FRACTION_BITS) as f64;
        for draw in [1u64, 2, 3, 1 << 20, 0x1234_5678_9abc_def0, u64::MAX / 3, 1 << 63, u64::MAX - (1 << 50)] {
            let expect = 64.0 - (draw as f64).log2();
            let got = weighted_distance(draw) as f64 / one;
            assert!((got - expect).abs() < 1e-6 * expect + 1e-9, "{draw}: {got} not {expect}");
        }
    }

    #[test]
    fn distance_never_rises_with_the_draw() {
        let mut draw = 0u64;
        let mut last = weighted_distance(draw);
        for step in 0..200_000u64 {
            draw = draw.saturating_add(mix(step) >> 17);
            let next = weighted_distance(draw);
            assert!(next <= last);
            last = next;
        }
        assert!(weighted_distance(u64::MAX) <= last);
    }
}
