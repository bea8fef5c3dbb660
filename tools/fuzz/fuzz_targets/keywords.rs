//! [`skein_fuzz::keywords`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::keywords(data));
