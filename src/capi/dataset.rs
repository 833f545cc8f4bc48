//! GDAL datasets of the caller as paths that every thread can open for itself.

use super::guard::{Failure, Outcome};
use super::types::SHIFTMAP_ERR_GDAL;
use gdal_sys as sys;
use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// A path with the pixels of a dataset; a copy in GDAL's memory disappears with it.
pub(super) struct Source {
    pub(super) path: String,
    copy: bool,
}

impl Source {
    /// The dataset's own path where opening it gives the same raster, otherwise a copy in GDAL's memory.
    ///
    /// # Safety
    /// `handle` is NULL or an open `GDALDatasetH`, used by nobody else during the call.
    pub(super) unsafe fn new(handle: *mut c_void, what: &str) -> Outcome<Source> {
        if handle.is_null() {
            return Err(Failure::null(what));
        }
        // SAFETY: as the caller promises.
        unsafe { same_gdal(handle, what)? };
        // SAFETY: an open dataset of this GDAL.
        unsafe {
            sys::GDALFlushCache(handle);
            let path = CStr::from_ptr(sys::GDALGetDescription(handle));
            if let Ok(text) = path.to_str()
                && !text.is_empty()
                && !driver(handle).starts_with("MEM")
                && reopens(handle, path)
            {
                return Ok(Source { path: text.into(), copy: false });
            }
            copy(handle, what)
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let Ok(path) = CString::new(self.path.as_str()) else { return };
        if self.copy {
            // SAFETY: a file of ours that nobody has open any more; its driver removes side files too.
            unsafe {
                sys::GDALDeleteDataset(sys::GDALIdentifyDriver(path.as_ptr(), std::ptr::null_mut()), path.as_ptr())
            };
        }
    }
}

/// Refuses objects of another GDAL library in this process: their memory is laid out differently.
///
/// # Safety
/// `handle` points to an object with a virtual table.
unsafe fn same_gdal(handle: *mut c_void, what: &str) -> Outcome<()> {
    let refuse = |why: String| Err(Failure::new(SHIFTMAP_ERR_GDAL, format!("{what}: {why}")));
    if !(handle as usize).is_multiple_of(align_of::<*const c_void>()) {
        return refuse("not a GDALDatasetH".into());
    }
    // SAFETY: every GDALDataset starts with the pointer to its virtual table.
    let table = unsafe { *handle.cast::<*const c_void>() };
    let ours = module(sys::GDALOpenEx as *const c_void);
    match module(table) {
        None => refuse("not a GDALDatasetH".into()),
        Some(theirs) if ours.as_ref().is_some_and(|o| o.0 == theirs.0) => Ok(()),
        // Drivers in files of their own have their tables there.
        Some((_, name)) if !name.rsplit('/').next().unwrap_or_default().starts_with("libgdal") => Ok(()),
        Some((_, name)) => {
            let ours = ours.map_or_else(|| "another library".into(), |o| o.1);
            refuse(format!("a dataset of {name}, but shiftmap uses {ours}; pass file names instead"))
        }
    }
}

/// Address and file name of the library that holds an address.
pub(super) fn module(address: *const c_void) -> Option<(usize, String)> {
    // SAFETY: plain data; dladdr only looks the address up.
    let (found, info) = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address, &mut info) != 0, info)
    };
    if !found || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a string of the dynamic linker.
    let name = unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned();
    Some((info.dli_fbase as usize, name))
}

/// # Safety
/// An open dataset.
unsafe fn driver(handle: *mut c_void) -> String {
    // SAFETY: as the caller promises; a dataset without driver gives NULL.
    unsafe {
        let driver = sys::GDALGetDatasetDriver(handle);
        if driver.is_null() {
            return "MEM".into();
        }
        CStr::from_ptr(sys::GDALGetDriverShortName(driver)).to_string_lossy().into_owned()
    }
}

/// Whether the path opens and is the same raster: size, bands, georeference, nodata.
///
/// # Safety
/// An open dataset.
unsafe fn reopens(handle: *mut c_void, path: &CStr) -> bool {
    let none = std::ptr::null;
    // SAFETY: handles are open here; the second one is closed before the end.
    unsafe {
        let flags = gdal::GdalOpenFlags::GDAL_OF_RASTER.bits();
        let other = sys::GDALOpenEx(path.as_ptr(), flags, none(), none(), none());
        if other.is_null() {
            return false;
        }
        let same = describe(handle) == describe(other);
        sys::GDALClose(other);
        same
    }
}

/// Everything about a dataset that its user may have changed without writing it.
///
/// # Safety
/// An open dataset.
unsafe fn describe(handle: *mut c_void) -> String {
    // SAFETY: as the caller promises.
    unsafe {
        let mut transform = [0.0f64; 6];
        sys::GDALGetGeoTransform(handle, transform.as_mut_ptr());
        let crs = sys::GDALGetProjectionRef(handle);
        let crs = if crs.is_null() { "".into() } else { CStr::from_ptr(crs).to_string_lossy() };
        let bands = sys::GDALGetRasterCount(handle);
        let size = (sys::GDALGetRasterXSize(handle), sys::GDALGetRasterYSize(handle));
        let mut text = format!("{size:?} {bands} {transform:?} {crs}");
        for b in 1..=bands {
            let band = sys::GDALGetRasterBand(handle, b);
            let mut declared = 0;
            let nodata = sys::GDALGetRasterNoDataValue(band, &mut declared);
            text += &format!(
                " {} {declared} {}",
                sys::GDALGetRasterDataType(band),
                if declared != 0 { nodata } else { 0.0 }
            );
        }
        text
    }
}

/// # Safety
/// An open dataset.
unsafe fn copy(handle: *mut c_void, what: &str) -> Outcome<Source> {
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let path = format!("/vsimem/shiftmap-dataset-{number}.tif");
    let c_path = CString::new(path.as_str()).unwrap_or_default();
    let fail = |text: String| Failure::new(super::types::SHIFTMAP_ERR_OPEN, format!("{what}: {text}"));
    // SAFETY: an open dataset, and a copy of it that is closed at once.
    unsafe {
        sys::GDALAllRegister();
        let tiff = sys::GDALGetDriverByName(c"GTiff".as_ptr());
        if tiff.is_null() {
            return Err(fail("GDAL has no GTiff driver".into()));
        }
        let mut options = [c"BIGTIFF=IF_SAFER".as_ptr().cast_mut(), std::ptr::null_mut()];
        let made =
            sys::GDALCreateCopy(tiff, c_path.as_ptr(), handle, 0, options.as_mut_ptr(), None, std::ptr::null_mut());
        if made.is_null() {
            let why = CStr::from_ptr(sys::CPLGetLastErrorMsg()).to_string_lossy().into_owned();
            return Err(fail(format!("cannot be copied: {why}")));
        }
        sys::GDALClose(made);
    }
    Ok(Source { path, copy: true })
}
