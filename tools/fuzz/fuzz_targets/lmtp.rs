//! [`skein_fuzz::lmtp`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::lmtp(data));
