//! [`skein_fuzz::search`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::search(data));
