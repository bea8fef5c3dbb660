//! [`skein_fuzz::ops`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::ops(data));
