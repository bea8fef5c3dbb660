//! [`skein_fuzz::mbox`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::mbox(data));
