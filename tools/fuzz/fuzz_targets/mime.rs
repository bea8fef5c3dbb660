//! [`skein_fuzz::mime`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::mime(data));
