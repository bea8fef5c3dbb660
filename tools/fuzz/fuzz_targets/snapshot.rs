//! [`skein_fuzz::snapshot`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::snapshot(data));
