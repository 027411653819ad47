//! Deterministic spreading: the hash behind `H` and jitter.
//!
//! Owns the function, which must never change: another value would move the slots of running jobs.
//! Refuses to know what is spread. Not for secrets.

/// A hash of a seed and a number, even over 64 bits: FNV-1a over the seed, then the finish of `SplitMix64`.
pub(super) fn hash(seed: &[u8], number: u64) -> u64 {
    let text = seed.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(text, number)
}

/// Mixes a number into a hash.
pub(super) fn mix(hash: u64, number: u64) -> u64 {
    let mut z = hash ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_what_it_is() {
        let values = (hash(b"", 0), hash(b"nightly-backup", 1), mix(7, 7));
        let want =
            (16_848_853_895_932_712_992, 1_338_630_039_748_975_897, 6_051_947_643_683_389_182);
        assert_eq!(values, want);
    }
}
