//! The caller's arrays as images, and fields for the caller.

use super::guard::{Failure, Outcome};
use super::types::*;
use crate::grid::{Grid, Image, ImageFile, ImageReader, Window, usable};
use crate::raster::NoData;
use std::ffi::c_void;

/// Sides that every index of the library can hold.
const LARGEST: usize = i32::MAX as usize;

/// A checked `shiftmap_image`, valid as long as the call it was given to.
pub(super) struct ArrayImage {
    data: *const u8,
    mask: *const u8,
    size: (usize, usize),
    pixel_stride: isize,
    row_stride: isize,
    mask_stride: isize,
    pixel_type: i32,
    nodata: Option<f64>,
    name: &'static str,
}

// SAFETY: the pixels are only read, and the caller leaves them unchanged during the call.
unsafe impl Send for ArrayImage {}
// SAFETY: as above.
unsafe impl Sync for ArrayImage {}

impl ArrayImage {
    /// Checks what can be checked; `nodata` is what the options say.
    ///
    /// # Safety
    /// `image` is NULL or a `shiftmap_image` whose pointers cover what its sizes and strides say.
    pub(super) unsafe fn new(image: *const shiftmap_image, nodata: NoData, name: &'static str) -> Outcome<ArrayImage> {
        if image.is_null() {
            return Err(Failure::null(name));
        }
        let bad = |why: String| Failure::new(SHIFTMAP_ERR_ARGUMENT, format!("{name}: {why}"));
        // SAFETY: every version of the struct starts with its size.
        let struct_size = unsafe { (*image).struct_size };
        if struct_size < size_of::<shiftmap_image>() {
            return Err(bad(format!("struct_size is {struct_size}; set it to sizeof(shiftmap_image)")));
        }
        // SAFETY: it is as large as it has to be.
        let image = unsafe { *image };
        if image.data.is_null() {
            return Err(Failure::null(&format!("{name}: data")));
        }
        let bytes = pixel_bytes(image.pixel_type)
            .ok_or_else(|| bad(format!("pixel_type {} is none of SHIFTMAP_U8, ...", image.pixel_type)))?;
        let (width, height) = (image.width, image.height);
        if width == 0 || height == 0 || width > LARGEST || height > LARGEST {
            return Err(bad(format!("{width} x {height} pixels; each is 1 to {LARGEST}")));
        }
        let or = |stride: isize, packed: usize| if stride == 0 { packed as isize } else { stride };
        let pixel_stride = or(image.pixel_stride, bytes);
        let row_bytes = pixel_stride.checked_mul(width as isize).ok_or_else(|| bad("rows are too long".into()))?;
        let row_stride = or(image.row_stride, row_bytes.unsigned_abs());
        let mask_stride = or(image.mask_row_stride, width);
        if pixel_stride.unsigned_abs() < bytes {
            return Err(bad(format!("pixel_stride {pixel_stride} is less than a pixel of {bytes} bytes")));
        }
        let rows = |stride: isize| (height as isize).checked_mul(stride).is_some_and(|n| n.unsigned_abs() < 1 << 62);
        if !rows(row_stride) || !rows(mask_stride) {
            return Err(bad("the strides reach beyond the memory".into()));
        }
        let nodata = match nodata {
            NoData::Auto => (image.has_nodata != 0).then_some(image.nodata),
            NoData::None => None,
            NoData::Value(v) => Some(v),
        };
        // As files have it: compared in the pixels' own precision.
        let own = |v: f64| if image.pixel_type == SHIFTMAP_F32 { f64::from(v as f32) } else { v };
        let nodata = nodata.map(own);
        let data = image.data.cast();
        let (mask, pixel_type) = (image.mask, image.pixel_type);
        Ok(ArrayImage {
            data,
            mask,
            size: (width, height),
            pixel_stride,
            row_stride,
            mask_stride,
            pixel_type,
            nodata,
            name,
        })
    }

    /// Values and validity of `n` pixels of row `y` from column `x`.
    fn row(&self, x: usize, y: usize, values: &mut [f32], valid: &mut [bool]) {
        match self.pixel_type {
            SHIFTMAP_U8 => self.typed::<u8>(x, y, values, valid),
            SHIFTMAP_I8 => self.typed::<i8>(x, y, values, valid),
            SHIFTMAP_U16 => self.typed::<u16>(x, y, values, valid),
            SHIFTMAP_I16 => self.typed::<i16>(x, y, values, valid),
            SHIFTMAP_U32 => self.typed::<u32>(x, y, values, valid),
            SHIFTMAP_I32 => self.typed::<i32>(x, y, values, valid),
            SHIFTMAP_F32 => self.typed::<f32>(x, y, values, valid),
            _ => self.typed::<f64>(x, y, values, valid),
        }
        if !self.mask.is_null() {
            for (i, ok) in valid.iter_mut().enumerate() {
                // SAFETY: inside the mask, which covers the image.
                *ok &= unsafe { *self.mask.offset(y as isize * self.mask_stride + (x + i) as isize) } != 0;
            }
        }
        values.iter_mut().zip(valid).filter(|(_, ok)| !**ok).for_each(|(v, _)| *v = 0.0);
    }

    fn typed<T: Copy + Into<f64>>(&self, x: usize, y: usize, values: &mut [f32], valid: &mut [bool]) {
        // SAFETY: the row lies inside the array as its strides describe it.
        let row = unsafe { self.data.offset(y as isize * self.row_stride + x as isize * self.pixel_stride) };
        for (i, (value, ok)) in values.iter_mut().zip(valid).enumerate() {
            // SAFETY: as above; the pixel may be unaligned.
            let pixel = unsafe { row.offset(i as isize * self.pixel_stride).cast::<T>().read_unaligned() };
            let wide: f64 = pixel.into();
            *value = wide as f32;
            *ok = usable(*value) && self.nodata != Some(wide);
        }
    }
}

impl ImageFile for ArrayImage {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn open(&self) -> crate::Result<Box<dyn ImageReader + '_>> {
        Ok(Box::new(ArrayReader(self)))
    }

    fn name(&self) -> String {
        self.name.into()
    }
}

struct ArrayReader<'a>(&'a ArrayImage);

impl ImageReader for ArrayReader<'_> {
    fn read(&mut self, window: Window) -> crate::Result<Image> {
        let mut out = Image::invalid(window.width, window.height);
        let whole = Window::new(0, 0, self.0.size.0, self.0.size.1);
        if let Some(part) = window.intersect(&whole) {
            for y in part.y..part.bottom() {
                let to = (y - window.y) as usize * window.width + (part.x - window.x) as usize;
                let values = &mut out.values.data[to..to + part.width];
                self.0.row(part.x as usize, y as usize, values, &mut out.valid.data[to..to + part.width]);
            }
        }
        Ok(out)
    }
}

fn pixel_bytes(pixel_type: i32) -> Option<usize> {
    match pixel_type {
        SHIFTMAP_U8 | SHIFTMAP_I8 => Some(1),
        SHIFTMAP_U16 | SHIFTMAP_I16 => Some(2),
        SHIFTMAP_U32 | SHIFTMAP_I32 | SHIFTMAP_F32 => Some(4),
        SHIFTMAP_F64 => Some(8),
        _ => None,
    }
}

/// Where the cells of a field lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) size: (usize, usize),
    pub(super) first: (f64, f64),
    pub(super) step: (f64, f64),
}

/// Checks a field that is to be filled.
///
/// # Safety
/// `field` is NULL or a `shiftmap_field`.
pub(super) unsafe fn check_field<'a>(field: *mut shiftmap_field) -> Outcome<&'a mut shiftmap_field> {
    if field.is_null() {
        return Err(Failure::null("the field"));
    }
    // SAFETY: every version of the struct starts with its size.
    let struct_size = unsafe { (*field).struct_size };
    if struct_size < size_of::<shiftmap_field>() {
        let why = format!("field: struct_size is {struct_size}; set it to sizeof(shiftmap_field)");
        return Err(Failure::new(SHIFTMAP_ERR_ARGUMENT, why));
    }
    // SAFETY: it is as large as it has to be, and nobody else uses it during the call.
    Ok(unsafe { &mut *field })
}

fn planes(field: &shiftmap_field) -> [*mut f32; 6] {
    [field.east, field.north, field.quality, field.east_sigma, field.north_sigma, field.status]
}

/// Refuses planes that do not fit, before any work is done.
pub(super) fn check_planes(field: &shiftmap_field, shape: &Shape) -> Outcome<()> {
    let bad = |why: String| Err(Failure::new(SHIFTMAP_ERR_ARGUMENT, why));
    if planes(field).iter().all(|p| p.is_null()) {
        return match field.owned.is_null() {
            true => Ok(()),
            false => bad("field: it holds an earlier result; call shiftmap_field_free first".into()),
        };
    }
    if !field.owned.is_null() {
        return bad("field: its planes are the library's; call shiftmap_field_free first".into());
    }
    let (width, height) = shape.size;
    if (field.width, field.height) != (width, height) {
        let given = format!("{} x {}", field.width, field.height);
        return bad(format!("field: its planes have {given} cells, the result has {width} x {height}"));
    }
    if field.row_stride != 0 && field.row_stride < width {
        return bad(format!("field: row_stride {} is less than {width} cells", field.row_stride));
    }
    Ok(())
}

/// Writes the place of the cells.
pub(super) fn set_shape(field: &mut shiftmap_field, shape: &Shape) {
    (field.width, field.height) = shape.size;
    (field.first_x, field.first_y) = shape.first;
    (field.step_x, field.step_y) = shape.step;
}

/// Fills a checked field.
///
/// # Safety
/// The planes that are not NULL hold `height` rows of `width` cells, `row_stride` apart.
pub(super) unsafe fn fill(field: &mut shiftmap_field, shape: &Shape, bands: &[Grid<f32>]) -> Outcome<()> {
    let (width, height) = shape.size;
    if bands.len() != 6 || bands.iter().any(|b| (b.width, b.height) != shape.size) {
        return Err(Failure::new(SHIFTMAP_ERR_INTERNAL, "the result has another shape than announced"));
    }
    let mut targets = planes(field);
    if targets.iter().all(|p| p.is_null()) {
        let cells = width * height;
        // SAFETY: plain memory, checked below.
        let block = unsafe { libc::calloc(6 * cells, size_of::<f32>()) }.cast::<f32>();
        if block.is_null() {
            return Err(Failure::new(SHIFTMAP_ERR_INTERNAL, format!("no memory for {width} x {height} cells")));
        }
        // SAFETY: six planes of `cells` lie in the block.
        targets = std::array::from_fn(|i| unsafe { block.add(i * cells) });
        [field.east, field.north, field.quality, field.east_sigma, field.north_sigma, field.status] = targets;
        field.owned = block.cast::<c_void>();
        field.row_stride = width;
    }
    let stride = if field.row_stride == 0 { width } else { field.row_stride };
    for (band, target) in bands.iter().zip(targets).filter(|(_, t)| !t.is_null()) {
        for y in 0..height {
            // SAFETY: the row lies in the plane, and our arrays are not the caller's.
            unsafe { std::ptr::copy_nonoverlapping(band.row(y).as_ptr(), target.add(y * stride), width) };
        }
    }
    set_shape(field, shape);
    Ok(())
}

/// Releases the library's planes and forgets them.
pub(super) fn release(field: &mut shiftmap_field) {
    if field.owned.is_null() {
        return;
    }
    // SAFETY: `fill` allocated it, and it is forgotten here.
    unsafe { libc::free(field.owned) };
    let none = std::ptr::null_mut();
    [field.east, field.north, field.quality, field.east_sigma, field.north_sigma, field.status] = [none; 6];
    field.owned = std::ptr::null_mut();
    (field.width, field.height, field.row_stride) = (0, 0, 0);
}
