//! Gives the shared library its name for the dynamic linker, which carries the major version, and compiles the C++
//! classes that GDAL wants of a driver.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    if os == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libshiftmap.so.{major}");
    }
    gdal_driver();
}

fn gdal_driver() {
    println!("cargo:rerun-if-changed=src/gdal_driver/driver.cpp");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").file("src/gdal_driver/driver.cpp").flag_if_supported("-fvisibility=hidden");
    // GDAL's headers have warnings of their own.
    for folder in gdal_headers() {
        match build.get_compiler().is_like_msvc() {
            true => build.include(folder),
            false => build.flag("-isystem").flag(folder),
        };
    }
    build.compile("shiftmap_gdal_driver");
}

/// Where GDAL's headers are: the places that gdal-sys is told or finds.
fn gdal_headers() -> Vec<PathBuf> {
    for variable in ["GDAL_INCLUDE_DIR", "GDAL_HOME"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    if let Some(folder) = std::env::var_os("GDAL_INCLUDE_DIR") {
        return vec![folder.into()];
    }
    if let Some(home) = std::env::var_os("GDAL_HOME") {
        return vec![PathBuf::from(home).join("include")];
    }
    match pkg_config::Config::new().cargo_metadata(false).probe("gdal") {
        Ok(library) => library.include_paths,
        Err(e) => {
            // A compiler that finds them by itself is as good.
            println!("cargo:warning=pkg-config does not know GDAL ({e}); its headers must be in the compiler's path");
            Vec::new()
        }
    }
}
