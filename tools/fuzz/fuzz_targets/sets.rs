//! [`skein_fuzz::sets`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::sets(data));
