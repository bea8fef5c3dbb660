//! [`skein_fuzz::account`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::account(data));
