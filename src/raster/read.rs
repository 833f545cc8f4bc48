//! Reading windows of a band as f32 with validity.

use super::detect::{self, Signal};
use super::open::{ComplexPart, RasterBand, Storage, ValueRule, open_dataset};
use super::reason;
use crate::grid::{Grid, Image, ImageReader, Window, usable};
use crate::{Error, Result};
use gdal::Dataset;
use gdal::errors::GdalError;

/// One thread's handle on a [`RasterBand`].
pub(super) struct BandReader<'a> {
    raster: &'a RasterBand,
    /// The stored values; for complex bands a virtual dataset that gives the amplitude as its band 1.
    values: Dataset,
    values_band: usize,
    /// The file itself, where `values` is not it.
    masks: Option<Dataset>,
    /// Real or imaginary part, where one of them is wanted.
    part: Option<Dataset>,
    /// Both, where amplitudes are wanted that are not aliased.
    signal: Option<[Dataset; 2]>,
}

impl<'a> BandReader<'a> {
    pub(super) fn new(raster: &'a RasterBand) -> Result<Self> {
        let mut reader = BandReader::plain(raster)?;
        if raster.storage == Storage::Complex && raster.part == ComplexPart::Amplitude {
            let part = |function| open_dataset(&complex_vrt(raster, function), &[]);
            reader.signal = Some([part("real")?, part("imag")?]);
        }
        Ok(reader)
    }

    /// Amplitudes of complex numbers as they are at the samples.
    fn plain(raster: &'a RasterBand) -> Result<Self> {
        let file = open_dataset(raster.path(), &raster.options().open_options)?;
        let band = raster.options().band;
        if raster.storage != Storage::Complex {
            return Ok(BandReader { raster, values: file, values_band: band, masks: None, part: None, signal: None });
        }
        let values = open_dataset(&complex_vrt(raster, "mod"), &[])?;
        let part = match raster.part {
            ComplexPart::Amplitude => None,
            ComplexPart::Real => Some(open_dataset(&complex_vrt(raster, "real"), &[])?),
            ComplexPart::Imaginary => Some(open_dataset(&complex_vrt(raster, "imag"), &[])?),
        };
        Ok(BandReader { raster, values, values_band: 1, masks: Some(file), part, signal: None })
    }

    /// Stored values and validity of a window inside the image.
    fn inside(&self, w: Window) -> std::result::Result<(Vec<f32>, Vec<bool>), GdalError> {
        let (at, size) = ((w.x as isize, w.y as isize), (w.width, w.height));
        let band = self.values.rasterband(self.values_band)?;
        let (scale, offset) = self.raster.scale;
        let plain = scale == 1.0 && offset == 0.0;
        let nodata = match self.raster.rule {
            ValueRule::Value(v) => Some(v),
            _ => None,
        };
        let finish = |v: f64| if plain { v as f32 } else { (v * scale + offset) as f32 };
        let (values, mut valid): (Vec<f32>, Vec<bool>) = match self.raster.storage {
            Storage::Narrow | Storage::Complex => {
                let raw = band.read_as::<f32>(at, size, size, None)?.into_shape_and_vec().1;
                let nodata = nodata.map(|v| v as f32);
                let valid = raw.iter().map(|&v| usable(finish(v.into())) && Some(v) != nodata).collect();
                (if plain { raw } else { raw.iter().map(|&v| finish(v.into())).collect() }, valid)
            }
            Storage::Wide => {
                let raw = band.read_as::<f64>(at, size, size, None)?.into_shape_and_vec().1;
                let valid = raw.iter().map(|&v| Some(v) != nodata && usable(finish(v))).collect();
                (raw.into_iter().map(finish).collect(), valid)
            }
            Storage::SignedByte => {
                let raw = band.read_as::<u8>(at, size, size, None)?.into_shape_and_vec().1;
                let signed = |v: u8| f64::from(v as i8);
                let valid = raw.iter().map(|&v| Some(signed(v)) != nodata).collect();
                (raw.into_iter().map(|v| finish(signed(v))).collect(), valid)
            }
        };
        let file = self.masks.as_ref().unwrap_or(&self.values);
        if self.raster.masked {
            let mask = file.rasterband(self.raster.options().band)?;
            let mask = mask.open_mask_band()?.read_as::<u8>(at, size, size, None)?;
            valid.iter_mut().zip(mask.data()).for_each(|(v, &m)| *v &= m != 0);
        }
        if let Some(alpha) = self.raster.alpha {
            let alpha = file.rasterband(alpha)?.read_as::<f32>(at, size, size, None)?;
            valid.iter_mut().zip(alpha.data()).for_each(|(v, &a)| *v &= a > 0.0);
        }
        let Some(part) = &self.part else { return Ok((values, valid)) };
        let part = band_values(part, w)?;
        Ok((part.into_iter().map(|v| v * scale as f32).collect(), valid))
    }

    /// [`BandReader::inside`] with amplitudes of the oversampled signal.
    fn detected(&self, w: Window, [re, im]: &[Dataset; 2]) -> std::result::Result<(Vec<f32>, Vec<bool>), GdalError> {
        let place = detect::region(w, (self.raster.width(), self.raster.height()));
        let grid = |values| Grid::from_vec(place.width, place.height, values);
        let valid = Grid::from_vec(place.width, place.height, self.inside(place)?.1);
        let signal = Signal { place, re: grid(band_values(re, place)?), im: grid(band_values(im, place)?), valid };
        let (scale, offset) = self.raster.scale;
        let amplitude = detect::amplitude(&signal, w);
        let values = amplitude.into_iter().map(|v| (f64::from(v) * scale + offset) as f32).collect();
        Ok((values, signal.valid.crop(Window { x: w.x - place.x, y: w.y - place.y, ..w }).data))
    }
}

impl ImageReader for BandReader<'_> {
    fn read(&mut self, window: Window) -> Result<Image> {
        let mut out = Image::invalid(window.width, window.height);
        let whole = Window::new(0, 0, self.raster.width(), self.raster.height());
        let Some(part) = window.intersect(&whole) else { return Ok(out) };
        let read = match &self.signal {
            Some(signal) => self.detected(part, signal),
            None => self.inside(part),
        };
        let (values, valid) = read.map_err(|e| Error::Read {
            path: self.raster.label(),
            why: format!("{}; {}", reason(e), damaged(self.raster.path())),
        })?;
        let (dx, dy) = ((part.x - window.x) as usize, (part.y - window.y) as usize);
        for y in 0..part.height {
            let row = y * part.width..(y + 1) * part.width;
            let to = (y + dy) * window.width + dx;
            let target = &mut out.values.data[to..to + part.width];
            for ((t, &v), &ok) in target.iter_mut().zip(&values[row.clone()]).zip(&valid[row.clone()]) {
                *t = if ok { v } else { 0.0 };
            }
            out.valid.data[to..to + part.width].copy_from_slice(&valid[row]);
        }
        Ok(out)
    }
}

/// The values of a window inside a dataset's first band.
fn band_values(dataset: &Dataset, w: Window) -> std::result::Result<Vec<f32>, GdalError> {
    let size = (w.width, w.height);
    let values = dataset.rasterband(1)?.read_as::<f32>((w.x as isize, w.y as isize), size, size, None)?;
    Ok(values.into_shape_and_vec().1)
}

/// Why pixels that were promised cannot be had.
fn damaged(path: &str) -> &'static str {
    match path.starts_with("/vsi") && !path.starts_with("/vsimem/") {
        true => {
            "the file may be truncated or damaged, or the connection failed: for a network, `--config GDAL_HTTP_MAX_RETRY 3` \
             tries again"
        }
        false => "the file may be truncated or damaged",
    }
}

/// Whether a corner of the image, 8 × 8 pixels, holds nothing but stored zeros.
pub(super) fn zero_corner(raster: &RasterBand) -> Result<bool> {
    const SIDE: usize = 8;
    let mut reader = BandReader::plain(raster)?;
    let (w, h) = (raster.width(), raster.height());
    if w < 2 * SIDE || h < 2 * SIDE {
        return Ok(false);
    }
    // The stored zero comes back as the offset.
    let zero = raster.scale.1 as f32;
    for (x, y) in [(0, 0), (w - SIDE, 0), (0, h - SIDE), (w - SIDE, h - SIDE)] {
        let corner = reader.read(Window::new(x as i64, y as i64, SIDE, SIDE))?;
        if corner.all_valid() && corner.values.data.iter().all(|&v| v == zero) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Real and imaginary part of a window that lies inside a complex band.
///
/// # Errors
/// [`Error::Read`]; [`Error::Data`] when the band is not complex.
pub fn read_complex(raster: &RasterBand, window: Window) -> Result<[Grid<f32>; 2]> {
    if raster.storage != Storage::Complex {
        let why = "is not complex: give a single-look complex image, e.g. of Sentinel-1 IW SLC";
        return Err(Error::Data(format!("{} {why}", raster.label())));
    }
    let part = |function: &str| {
        let dataset = open_dataset(&complex_vrt(raster, function), &[])?;
        let values = band_values(&dataset, window).map_err(|e| Error::Read { path: raster.label(), why: reason(e) })?;
        Ok(Grid::from_vec(window.width, window.height, values))
    };
    Ok([part("real")?, part("imag")?])
}

/// A virtual dataset whose only band is the amplitude (`mod`), the real or the imaginary part of a complex band: the gdal
/// crate cannot read complex numbers.
fn complex_vrt(raster: &RasterBand, function: &str) -> String {
    let xml = |s: &str| s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut open = String::new();
    for option in &raster.options().open_options {
        if let Some((key, value)) = option.split_once('=') {
            open += &format!("<OOI key=\"{}\">{}</OOI>", xml(key), xml(value));
        }
    }
    format!(
        "<VRTDataset rasterXSize=\"{}\" rasterYSize=\"{}\"><VRTRasterBand dataType=\"Float32\" band=\"1\" \
         subClass=\"VRTDerivedRasterBand\"><PixelFunctionType>{function}</PixelFunctionType>\
         <SourceTransferType>CFloat32</SourceTransferType><SimpleSource>\
         <SourceFilename relativeToVRT=\"0\">{}</SourceFilename><OpenOptions>{open}</OpenOptions>\
         <SourceBand>{}</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>",
        raster.width(),
        raster.height(),
        xml(raster.path()),
        raster.options().band
    )
}
