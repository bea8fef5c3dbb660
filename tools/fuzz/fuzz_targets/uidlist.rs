//! [`skein_fuzz::uidlist`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::uidlist(data));
