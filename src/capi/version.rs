//! Versions.

use std::ffi::{c_char, c_int};
use std::sync::LazyLock;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The version of the library in use, e.g. "0.1.0"; never to be released. Compare with SHIFTMAP_VERSION, the header's.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn shiftmap_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// The same as a number: major * 10000 + minor * 100 + patch. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn shiftmap_version_number() -> c_int {
    let part = |text: &str| text.parse::<c_int>().unwrap_or(0);
    part(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 100
        + part(env!("CARGO_PKG_VERSION_PATCH"))
}

/// How the library was built and which GDAL it runs with, one line; never to be released. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn shiftmap_build_info() -> *const c_char {
    static TEXT: LazyLock<std::ffi::CString> = LazyLock::new(|| {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let text = format!(
            "shiftmap {} ({profile}, {}-{}), GDAL {}",
            crate::VERSION,
            std::env::consts::ARCH,
            std::env::consts::OS,
            crate::raster::gdal_version()
        );
        std::ffi::CString::new(text).unwrap_or_default()
    });
    super::guard::plain(c"".as_ptr(), || TEXT.as_ptr())
}
