//! What SQLite's build for guests wants from its host, by these names.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use crate::files;

/// What `sqlite-wasm-rs` takes for "all is well" and for "there is none".
const OK: c_int = 0;
const UNSUPPORTED: c_int = 1;

#[unsafe(no_mangle)]
extern "C" fn rust_sqlite_wasm_host_sleep(_: u64, _: u32) {}

#[unsafe(no_mangle)]
unsafe extern "C" fn rust_sqlite_wasm_host_random(buffer: *mut u8, length: usize) -> usize {
    // SAFETY: SQLite gives a buffer of this length, which it has to itself.
    files::random(unsafe { std::slice::from_raw_parts_mut(buffer, length) });
    length
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rust_sqlite_wasm_host_fill_entropy(buffer: *mut u8, length: usize) -> c_int {
    // SAFETY: as above.
    files::random(unsafe { std::slice::from_raw_parts_mut(buffer, length) });
    OK
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rust_sqlite_wasm_host_epoch_timestamp_in_ms(out: *mut i64) -> c_int {
    // SAFETY: SQLite gives a place for the number.
    unsafe { out.write(files::epoch_millis()) };
    OK
}

/// A guest knows no time zone; an error is better than a wrong time.
#[unsafe(no_mangle)]
extern "C" fn rust_sqlite_wasm_host_localtime(_: i64, _: *mut c_void) -> c_int {
    UNSUPPORTED
}
