//! Codes, structs and callbacks of the header.

use std::ffi::{c_char, c_int, c_void};

/// First number of the version of this header.
pub const SHIFTMAP_VERSION_MAJOR: c_int = 0;
/// Second number of the version of this header.
pub const SHIFTMAP_VERSION_MINOR: c_int = 1;
/// Third number of the version of this header.
pub const SHIFTMAP_VERSION_PATCH: c_int = 0;

/// Done.
pub const SHIFTMAP_OK: c_int = 0;
/// A pointer that must not be NULL is NULL.
pub const SHIFTMAP_ERR_NULL: c_int = 100;
/// A size, type or stride that cannot be.
pub const SHIFTMAP_ERR_ARGUMENT: c_int = 101;
/// A text is not UTF-8.
pub const SHIFTMAP_ERR_UTF8: c_int = 102;
/// The context is in use, by another thread or by the call whose callback this is; last_error is unchanged.
pub const SHIFTMAP_ERR_BUSY: c_int = 103;
/// An option that does not exist, or a value it cannot have.
pub const SHIFTMAP_ERR_OPTION: c_int = 104;
/// A dataset handle of another GDAL library than the one in use.
pub const SHIFTMAP_ERR_GDAL: c_int = 105;
/// An input cannot be opened.
pub const SHIFTMAP_ERR_OPEN: c_int = 200;
/// An input cannot be read, e.g. because it is truncated.
pub const SHIFTMAP_ERR_READ: c_int = 201;
/// The output cannot be written.
pub const SHIFTMAP_ERR_WRITE: c_int = 202;
/// The output is there already: OVERWRITE=YES replaces it.
pub const SHIFTMAP_ERR_EXISTS: c_int = 203;
/// The images do not fit each other; the text names the remedy.
pub const SHIFTMAP_ERR_GRID: c_int = 204;
/// The data cannot give a result, e.g. because all of it is nodata.
pub const SHIFTMAP_ERR_DATA: c_int = 205;
/// The progress function returned 0.
pub const SHIFTMAP_ERR_CANCELLED: c_int = 300;
/// A defect of shiftmap.
pub const SHIFTMAP_ERR_INTERNAL: c_int = 900;
/// A defect of shiftmap that stopped the function half-way; nothing was written, the context can be used again.
pub const SHIFTMAP_ERR_PANIC: c_int = 901;

/// Log level: a message for the user, e.g. about an assumption that was made.
pub const SHIFTMAP_LOG_NOTE: c_int = 1;
/// Log level: text that the command line prints as its result.
pub const SHIFTMAP_LOG_TEXT: c_int = 2;

/// Pixel type: uint8_t.
pub const SHIFTMAP_U8: c_int = 1;
/// Pixel type: int8_t.
pub const SHIFTMAP_I8: c_int = 2;
/// Pixel type: uint16_t.
pub const SHIFTMAP_U16: c_int = 3;
/// Pixel type: int16_t.
pub const SHIFTMAP_I16: c_int = 4;
/// Pixel type: uint32_t.
pub const SHIFTMAP_U32: c_int = 5;
/// Pixel type: int32_t.
pub const SHIFTMAP_I32: c_int = 6;
/// Pixel type: float.
pub const SHIFTMAP_F32: c_int = 7;
/// Pixel type: double.
pub const SHIFTMAP_F64: c_int = 8;

/// Status plane: the cell has a value.
pub const SHIFTMAP_STATUS_VALID: c_int = 0;
/// Status plane: too few valid pixels in the window.
pub const SHIFTMAP_STATUS_NODATA: c_int = 1;
/// Status plane: nothing to match.
pub const SHIFTMAP_STATUS_LOW_TEXTURE: c_int = 2;
/// Status plane: the best match lies on the edge of the search.
pub const SHIFTMAP_STATUS_SEARCH_EDGE: c_int = 3;
/// Status plane: the windows do not match.
pub const SHIFTMAP_STATUS_NO_CONVERGENCE: c_int = 4;
/// Status plane: rejected by the outlier filter.
pub const SHIFTMAP_STATUS_OUTLIER: c_int = 5;
/// Status plane: forward and backward matching disagree.
pub const SHIFTMAP_STATUS_INCONSISTENT: c_int = 6;
/// Status plane: the match lies outside the search.
pub const SHIFTMAP_STATUS_OUTSIDE_SEARCH: c_int = 7;
/// Status plane of a filtered map: filled from its neighbours.
pub const SHIFTMAP_STATUS_FILLED: c_int = 8;
/// Status plane of a filtered map: removed by a threshold.
pub const SHIFTMAP_STATUS_THRESHOLD: c_int = 9;

/// Receives the fraction done (0 to 1; it starts again for commands of several steps) and what is being done, at
/// least ten times a second. Returns 0 to stop the run, anything else to go on; GDALTermProgress fits. Called only on
/// the thread that called the function, never after it returned. `message` is valid during the call. It must not
/// throw a C++ exception, and must not use the context.
///
/// Since 0.1.0.
pub type shiftmap_progress_fn =
    Option<unsafe extern "C" fn(fraction: f64, message: *const c_char, userdata: *mut c_void) -> c_int>;

/// Receives messages: `level` is SHIFTMAP_LOG_NOTE or SHIFTMAP_LOG_TEXT; ignore levels that you do not know. The same
/// rules as for the progress function hold.
///
/// Since 0.1.0.
pub type shiftmap_log_fn = Option<unsafe extern "C" fn(level: c_int, message: *const c_char, userdata: *mut c_void)>;

/// Carries the last error, the log function and the number of threads. It is used by one thread at a time; different
/// contexts are independent of each other.
pub struct shiftmap_context {
    pub(super) inner: super::guard::Context,
}

/// One band of an image in the caller's memory, which must stay unchanged during the call. Set the whole struct to
/// zero, then `struct_size` to `sizeof(shiftmap_image)`, then what is needed: zero means "none" for the rest.
///
/// x is the column, to the right; y is the row, downwards. NaN and infinite pixels are never valid.
///
/// Since 0.1.0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct shiftmap_image {
    /// sizeof(shiftmap_image)
    pub struct_size: usize,
    /// The first pixel of the first row.
    pub data: *const c_void,
    /// SHIFTMAP_U8, SHIFTMAP_U16, ...
    pub pixel_type: c_int,
    /// Whether `nodata` counts.
    pub has_nodata: c_int,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from a pixel to its right neighbour; 0: pixels are packed.
    pub pixel_stride: isize,
    /// Bytes from a row to the next; negative for images stored bottom-up; 0: rows are packed.
    pub row_stride: isize,
    /// One byte a pixel, 0 where it is invalid; NULL: all pixels count.
    pub mask: *const u8,
    /// Bytes from a row of the mask to the next; 0: rows are packed.
    pub mask_row_stride: isize,
    /// Pixels of this value are invalid, when `has_nodata` is not 0.
    pub nodata: f64,
}

/// Displacement of every cell: six planes with the meaning of the product's six bands, row by row. Set the whole
/// struct to zero and `struct_size` to `sizeof(shiftmap_field)`.
///
/// If all planes are NULL the library allocates them, and shiftmap_field_free releases them. Otherwise the planes that
/// are not NULL are the caller's: `width` and `height` must be those that shiftmap_field_shape gives and `row_stride`
/// cells (0: `width`) lie between the starts of two rows; planes that are NULL are not filled.
///
/// Cell (i, j) stands for the window around pixel (first_x + i * step_x, first_y + j * step_y) of the pre image; the
/// centre of its top-left pixel is (0, 0). A feature there has moved by `east` pixels to the right and by `north`
/// pixels UP: `north` is positive towards smaller rows, as in the product's bands. Cells without a value are NaN in
/// all planes but `status`.
///
/// Since 0.1.0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct shiftmap_field {
    /// sizeof(shiftmap_field)
    pub struct_size: usize,
    /// Cells along a row.
    pub width: usize,
    /// Rows of cells.
    pub height: usize,
    /// Cells from the start of a row of a plane to the start of the next; 0: `width`.
    pub row_stride: usize,
    /// Column of the centre of the first cell, in pre pixels.
    pub first_x: f64,
    /// Row of the centre of the first cell, in pre pixels.
    pub first_y: f64,
    /// Pre pixels from a cell to its right neighbour.
    pub step_x: f64,
    /// Pre pixels from a cell to the one below.
    pub step_y: f64,
    /// Displacement to the right, pixels.
    pub east: *mut f32,
    /// Displacement upwards, pixels.
    pub north: *mut f32,
    /// 0 to 1, how well the windows agree.
    pub quality: *mut f32,
    /// Standard deviation of `east`, pixels.
    pub east_sigma: *mut f32,
    /// Standard deviation of `north`, pixels.
    pub north_sigma: *mut f32,
    /// SHIFTMAP_STATUS_VALID, ... as a number.
    pub status: *mut f32,
    /// The library's: what shiftmap_field_free releases.
    pub owned: *mut c_void,
}
