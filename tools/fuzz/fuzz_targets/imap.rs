//! [`skein_fuzz::imap`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::imap(data));
