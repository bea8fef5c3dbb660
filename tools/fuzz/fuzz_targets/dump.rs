//! [`skein_fuzz::dump`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::dump(data));
