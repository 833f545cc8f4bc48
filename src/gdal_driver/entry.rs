//! The functions that GDAL's C++ classes (driver.cpp) call, and the registration. Every one of them answers a panic
//! with a message.

use super::connection::{self, PREFIX};
use super::handle::Handle;
use super::{refusal, stamp};
use crate::capi::quiet;
use crate::raster::band_specs;
use crate::{Error, Result, options};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// `ShiftmapGrid`
#[repr(C)]
#[derive(Default)]
struct Grid {
    width: i32,
    height: i32,
    block_width: i32,
    block_height: i32,
    overviews: i32,
    has_transform: i32,
    transform: [f64; 6],
}

type Add = extern "C" fn(*mut c_void, *const c_char, *const c_char);

/// `ShiftmapTable`
#[repr(C)]
struct Table {
    open: extern "C" fn(*const c_char, *const c_char, *const *const c_char, *mut *mut c_void) -> *mut c_char,
    close: extern "C" fn(*mut c_void),
    grid: extern "C" fn(*const c_void, i32, *mut Grid),
    texts: extern "C" fn(*const c_void, i32, Add, *mut c_void),
    complete: extern "C" fn(*const c_void) -> i32,
    read_block: extern "C" fn(*mut c_void, i32, i32, i32, i32, *mut f32) -> *mut c_char,
    rows_at_once: extern "C" fn(*const c_void, i32, i32, i32, i32) -> i32,
    prefetch: extern "C" fn(*mut c_void, i32, i32, i32, i32, i32) -> *mut c_char,
    free_text: extern "C" fn(*mut c_char),
    option_list: *const c_char,
    version: *const c_char,
}

/// `ShiftmapCaller`
#[repr(C)]
struct Caller {
    path: [c_char; 1024],
    own: [c_char; 1024],
    release: [c_char; 64],
    error: *mut c_void,
}

unsafe extern "C" {
    fn shiftmap_driver_headers() -> i32;
    fn shiftmap_driver_caller(caller: *mut Caller);
    fn shiftmap_driver_refuse(caller: *const Caller, text: *const c_char);
    fn shiftmap_driver_known() -> i32;
    fn shiftmap_driver_register(functions: *const Table);
}

/// Adds the `SHIFTMAP` driver to the GDAL library of this process; GDAL calls it when it finds this library as
/// `gdal_SHIFTMAP.so` in `GDAL_DRIVER_PATH`, programs may call it themselves. It may be called again.
///
/// A GDAL library of another version than the one that this library was built for is refused with an error message.
#[unsafe(no_mangle)]
pub extern "C" fn GDALRegister_SHIFTMAP() {
    let _ = catch_unwind(|| {
        quiet::install();
        register();
    });
}

/// Adds the driver unless that is refused; says whether it is there afterwards.
pub fn register() -> bool {
    let mut caller = Caller { path: [0; 1024], own: [0; 1024], release: [0; 64], error: std::ptr::null_mut() };
    // SAFETY: fills the structure.
    unsafe { shiftmap_driver_caller(&mut caller) };
    let text = |field: &[c_char]| {
        // SAFETY: the fields are NUL-terminated.
        unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned()
    };
    let (path, own, release) = (text(&caller.path), text(&caller.own), text(&caller.release));
    // SAFETY: returns a number.
    let headers = unsafe { shiftmap_driver_headers() };
    let why = refusal::foreign(headers, &own, &path, &release).or_else(|| refusal::version(headers, running()));
    if let Some(why) = why {
        let why = c_text(&why);
        // SAFETY: a filled structure and a NUL-terminated string.
        unsafe { shiftmap_driver_refuse(&caller, why.as_ptr()) };
        return false;
    }
    static OPTIONS: OnceLock<CString> = OnceLock::new();
    static VERSION: OnceLock<CString> = OnceLock::new();
    let list = OPTIONS.get_or_init(|| {
        let list = options::list("displacement", options::Door::Virtual).unwrap_or_default();
        c_text(&options::xml("OpenOptionList", &list))
    });
    let table = Table {
        open,
        close,
        grid,
        texts,
        complete,
        read_block,
        rows_at_once,
        prefetch,
        free_text,
        option_list: list.as_ptr(),
        version: VERSION.get_or_init(|| c_text(crate::VERSION)).as_ptr(),
    };
    // SAFETY: the table is copied; its strings live as long as the process.
    unsafe { shiftmap_driver_register(&table) };
    // SAFETY: asks GDAL's list of drivers.
    unsafe { shiftmap_driver_known() != 0 }
}

/// `GDAL_VERSION_NUM` of the library in use.
fn running() -> i32 {
    // SAFETY: returns a static string.
    let text = unsafe { CStr::from_ptr(gdal_sys::GDALVersionInfo(c"VERSION_NUM".as_ptr())) };
    text.to_str().ok().and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// A message of the debug category `SHIFTMAP` (`CPL_DEBUG=SHIFTMAP`).
fn debug(text: &str) {
    let text = c_text(text);
    // SAFETY: the format takes one string.
    unsafe { gdal_sys::CPLDebug(c"SHIFTMAP".as_ptr(), c"%s".as_ptr(), text.as_ptr()) };
}

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// Runs `work`, with GDAL's own messages about it kept off standard error, and its error state as it was before:
/// what is reported is the returned message.
fn guarded(work: impl FnOnce() -> Result<()>) -> *mut c_char {
    // SAFETY: these read and write the error state of this thread; the last message is copied at once.
    let (number, kind, before) = unsafe {
        let last = CStr::from_ptr(gdal_sys::CPLGetLastErrorMsg()).to_owned();
        (gdal_sys::CPLGetLastErrorNo(), gdal_sys::CPLGetLastErrorType(), last)
    };
    let outcome = quiet::quietly(|| catch_unwind(AssertUnwindSafe(work)));
    // SAFETY: as above.
    unsafe { gdal_sys::CPLErrorSetState(kind, number, before.as_ptr()) };
    let error = match outcome {
        Ok(Ok(())) => return std::ptr::null_mut(),
        Ok(Err(e)) => e,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Error::Internal(text.unwrap_or_else(|| "a panic".into()))
        }
    };
    c_text(&error.to_string()).into_raw()
}

extern "C" fn free_text(text: *mut c_char) {
    // SAFETY: made by `guarded`, given back once.
    drop(unsafe { CString::from_raw(text) });
}

/// # Safety
/// NULL or a NUL-terminated string.
unsafe fn text_of<'a>(text: *const c_char, what: &str) -> Result<&'a str> {
    if text.is_null() {
        return Err(Error::Internal(format!("no {what}")));
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Error::Open { path: text.to_string_lossy().into(), why: "it is not UTF-8 text".into() })
}

extern "C" fn open(
    name: *const c_char,
    text: *const c_char,
    given: *const *const c_char,
    handle: *mut *mut c_void,
) -> *mut c_char {
    guarded(|| {
        // SAFETY: GDAL's name of the dataset.
        let name = unsafe { text_of(name, "name") }?;
        let mut options = Vec::new();
        let mut next = given;
        // SAFETY: NULL, or strings with a NULL after the last one.
        while !next.is_null() && unsafe { !(*next).is_null() } {
            // SAFETY: a string of the list.
            options.push(unsafe { text_of(*next, "option") }?);
            // SAFETY: there is at least the NULL after this element.
            next = unsafe { next.add(1) };
        }
        let request = match name.get(..PREFIX.len()) {
            Some(start) if start.eq_ignore_ascii_case(PREFIX) => connection::connection(name)?,
            // SAFETY: the file's text, with a NUL after it.
            _ => connection::job_file(name, unsafe { text_of(text, "job file") }?, &super::exists)?,
        };
        let request = request.overridden_by(open_options(&options)?);
        let opened = Box::new(Handle::open(&request, &stamp::of, debug)?);
        // SAFETY: a place for the handle.
        unsafe { *handle = Box::into_raw(opened).cast() };
        Ok(())
    })
}

/// Open options for us: GDAL handles some itself and passes them all the same.
fn open_options(given: &[&str]) -> Result<Vec<(String, String)>> {
    let mut options = options::pairs(given)?;
    options.retain(|(key, _)| !key.starts_with('@') && !key.eq_ignore_ascii_case("OVERVIEW_LEVEL"));
    Ok(options)
}

/// # Safety
/// A handle from `open` that is not closed yet.
unsafe fn of<'a>(handle: *const c_void) -> &'a Handle {
    // SAFETY: as the caller promises.
    unsafe { &*handle.cast::<Handle>() }
}

extern "C" fn close(handle: *mut c_void) {
    let closed = guarded(|| {
        // SAFETY: made by `open`, closed once.
        drop(unsafe { Box::from_raw(handle.cast::<Handle>()) });
        Ok(())
    });
    if !closed.is_null() {
        free_text(closed);
    }
}

extern "C" fn grid(handle: *const c_void, level: i32, out: *mut Grid) {
    // SAFETY: the dataset's handle; its levels come from here.
    let (handle, level) = (unsafe { of(handle) }, level as usize);
    let found = handle.grid(level);
    let int = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let grid = Grid {
        width: int(found.size.0),
        height: int(found.size.1),
        block_width: int(found.block.0),
        block_height: int(found.block.1),
        overviews: int(handle.overviews()),
        has_transform: i32::from(found.transform.is_some()),
        transform: found.transform.unwrap_or_default(),
    };
    // SAFETY: a place for the grid.
    unsafe { *out = grid };
}

extern "C" fn texts(handle: *const c_void, band: i32, add: Add, user: *mut c_void) {
    // SAFETY: the dataset's handle.
    let handle = unsafe { of(handle) };
    let put = |key: &str, value: &str| add(user, c_text(key).as_ptr(), c_text(value).as_ptr());
    match band {
        0 => handle.metadata().for_each(|(k, v)| put(k, v)),
        -1 => handle.usage().iter().for_each(|(k, v)| put(k, &v.to_string())),
        -2 => handle.wkt().into_iter().for_each(|wkt| put("WKT", wkt)),
        band => {
            let specs = band_specs(handle.unit(), false);
            let Some(spec) = usize::try_from(band - 1).ok().and_then(|i| specs.get(i)) else { return };
            put("description", &spec.description);
            put("unit", &spec.unit);
            spec.metadata.iter().for_each(|(k, v)| put(k, v));
        }
    }
}

extern "C" fn complete(handle: *const c_void) -> c_int {
    // SAFETY: the dataset's handle.
    c_int::from(unsafe { of(handle) }.complete())
}

extern "C" fn read_block(handle: *mut c_void, level: i32, band: i32, x: i32, y: i32, values: *mut f32) -> *mut c_char {
    guarded(|| {
        // SAFETY: the dataset's handle.
        let handle = unsafe { of(handle) };
        let at = |n: i32| usize::try_from(n).map_err(|_| Error::Internal(format!("a block at {n}")));
        let (level, band, x, y) = (at(level)?, at(band - 1)?, at(x)?, at(y)?);
        let block = handle.grid(level).block;
        // SAFETY: GDAL's block of floats, of the size that `grid` told it.
        let values = unsafe { std::slice::from_raw_parts_mut(values, block.0 * block.1) };
        handle.read_block(level, band, x, y, values)
    })
}

extern "C" fn rows_at_once(handle: *const c_void, level: i32, x: i32, y: i32, width: i32) -> i32 {
    // SAFETY: the dataset's handle.
    let handle = unsafe { of(handle) };
    let rows =
        catch_unwind(AssertUnwindSafe(|| handle.rows_at_once(level as usize, x as usize, y as usize, width as usize)));
    rows.ok().and_then(Result::ok).and_then(|n| i32::try_from(n).ok()).unwrap_or(1)
}

extern "C" fn prefetch(handle: *mut c_void, level: i32, x: i32, y: i32, width: i32, height: i32) -> *mut c_char {
    guarded(|| {
        // SAFETY: the dataset's handle.
        let handle = unsafe { of(handle) };
        handle.prefetch(level as usize, x as usize, y as usize, width as usize, height as usize)
    })
}
