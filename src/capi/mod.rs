//! The C interface: `include/shiftmap.h`.
//!
//! | file | what |
//! |---|---|
//! | [`types`] | codes, images, fields, callbacks: what the header declares |
//! | [`displacement`], [`commands`], [`dislocation`], [`features`], [`context`], [`options`], [`version`] | the functions, in the header's order |
//! | `guard` | panics, wrong use and errors become codes |
//! | `host` | runs a command on a thread of its own while the caller's thread makes the callbacks |
//! | `memory.rs` | of the program, not of this library: the allocator that says when memory is refused (`src/main.rs`) |
//! | `array`, `dataset`, `text` | arrays, GDAL datasets and strings of the caller |
#![allow(non_camel_case_types)]

mod array;
pub mod commands;
pub mod context;
mod dataset;
pub mod dislocation;
pub mod displacement;
pub mod features;
mod guard;
mod host;
pub mod options;
#[cfg(any(test, feature = "test-hooks"))]
pub mod panic;
pub(crate) mod quiet;
mod text;
pub mod types;
pub mod version;

/// The file of this library, or of the program that it is linked into, where the system tells.
pub(crate) fn own_file() -> Option<std::path::PathBuf> {
    let name = dataset::module(version::shiftmap_version as *const std::ffi::c_void)?.1;
    let path = std::path::PathBuf::from(name);
    path.is_file().then_some(path)
}
