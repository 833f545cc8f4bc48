//! In which state input files are: path, size and time of change of every file that GDAL counts to them.

use gdal::GdalOpenFlags;
use std::ffi::{CStr, CString, c_char};
use std::fmt::Write;

/// A text that changes when one of the inputs does; `None` where that cannot be known (rasters in memory, subdatasets
/// of unknown files).
pub fn of(inputs: &[&str]) -> Option<String> {
    let mut text = String::new();
    for input in inputs {
        let mut files = files(input);
        if files.is_empty() {
            files.push((*input).to_string());
        }
        for file in files {
            let state = state(&file)?;
            writeln!(text, "{file} {state}").ok()?;
        }
    }
    Some(text)
}

/// The files of a dataset, e.g. the sources of a VRT and a mask beside it; none when GDAL cannot open it.
fn files(name: &str) -> Vec<String> {
    let Ok(name) = CString::new(name) else { return Vec::new() };
    let kinds = (GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VECTOR).bits();
    let (no_drivers, no_options) = (std::ptr::null(), std::ptr::null());
    // SAFETY: a NUL-terminated name; the lists may be NULL; no siblings are given, so GDAL looks itself.
    let dataset = unsafe { gdal_sys::GDALOpenEx(name.as_ptr(), kinds, no_drivers, no_options, std::ptr::null()) };
    if dataset.is_null() {
        return Vec::new();
    }
    // SAFETY: the dataset is open.
    let list = unsafe { gdal_sys::GDALGetFileList(dataset) };
    let mut files = Vec::new();
    let mut next: *mut *mut c_char = list;
    // SAFETY: NULL, or strings with a NULL after the last one.
    while !next.is_null() && unsafe { !(*next).is_null() } {
        // SAFETY: a NUL-terminated string of the list.
        files.push(unsafe { CStr::from_ptr(*next) }.to_string_lossy().into_owned());
        // SAFETY: there is at least the NULL after this element.
        next = unsafe { next.add(1) };
    }
    // SAFETY: both are ours, and not used any more.
    unsafe {
        gdal_sys::CSLDestroy(list);
        gdal_sys::GDALClose(dataset);
    }
    files
}

/// Size and time of change, of an absolute path.
fn state(path: &str) -> Option<String> {
    // Their times have whole seconds, which is too coarse for a file that a program makes again and again.
    if path.starts_with("/vsimem/") {
        return None;
    }
    if let (Ok(place), Ok(meta)) = (std::fs::canonicalize(path), std::fs::metadata(path)) {
        return Some(format!("{} {} {:?}", place.display(), meta.len(), meta.modified().ok()?));
    }
    super::virtual_stat(path).map(|(size, time)| format!("{size} {time}"))
}
