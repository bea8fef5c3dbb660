//! [`skein_fuzz::sasl`]
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::sasl(data));
