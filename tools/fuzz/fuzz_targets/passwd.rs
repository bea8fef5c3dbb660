//! [`skein_fuzz::passwd`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::passwd(data));
