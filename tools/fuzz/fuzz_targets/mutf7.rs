//! [`skein_fuzz::mutf7`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::mutf7(data));
