//! [`skein_fuzz::proxy`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::proxy(data));
