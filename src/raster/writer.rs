//! Streaming writer of georeferenced rasters.

use std::collections::BTreeMap;

use super::check::{Probe, sparse, verify_blocks};
use super::georef::GeoReference;
use super::memory::MemoryProduct;
use super::output::Output;
use super::reason;
use super::{copy, template};
use crate::{Error, Result};
use gdal::raster::{Buffer, GdalType};
use gdal::{Dataset, Driver, DriverManager, DriverType, Metadata};

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelType {
    U8,
    U16,
    I16,
    F32,
}

impl PixelType {
    pub(super) fn gdal_name(self) -> &'static str {
        match self {
            PixelType::U8 => "Byte",
            PixelType::U16 => "UInt16",
            PixelType::I16 => "Int16",
            PixelType::F32 => "Float32",
        }
    }
}

/// What a band is called and means.
#[derive(Debug, Clone, Default)]
pub struct BandSpec {
    pub description: String,
    /// Unit type, e.g. `m`; empty for none.
    pub unit: String,
    pub nodata: Option<f64>,
    pub metadata: Vec<(String, String)>,
}

/// A raster to be written.
#[derive(Debug, Clone)]
pub struct RasterSpec {
    pub size: (usize, usize),
    pub pixel: PixelType,
    pub bands: Vec<BandSpec>,
    pub georef: GeoReference,
    /// Wish for the block size: the size of the pieces that will be written.
    pub block: (usize, usize),
    /// Domain, key, value.
    pub metadata: Vec<(String, String, String)>,
}

/// `--of`, `--co`, `--overwrite`
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteOptions {
    /// GDAL driver name; `None`: by the file name's extension.
    pub format: Option<String>,
    /// `KEY=VALUE`
    pub creation: Vec<String>,
    pub overwrite: bool,
    /// Keep a product here instead of writing it.
    pub memory: Option<MemoryProduct>,
}

/// Writes a raster in pieces, in any order, block by block. The file gets its name in [`RasterWriter::finish`]; a
/// writer dropped before leaves nothing behind. Blocks are written once and as soon as they are full, so that the
/// bytes of the file depend on the order of the pieces only.
pub struct RasterWriter {
    dataset: Dataset,
    /// Tells GDAL's last message, see [`Probe`].
    probe: Probe,
    output: Output,
    spec: RasterSpec,
    options: WriteOptions,
    driver: Driver,
    /// Whether the file written in pieces is the final one.
    direct: bool,
    block: (usize, usize),
    /// Blocks not yet full: values of all bands one after the other, and how many pixels are there.
    pending: BTreeMap<(usize, usize), (Vec<f32>, usize)>,
}

impl RasterWriter {
    /// Checks format, options, place and name, and creates the file under its temporary name.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Write`], or [`Error::Option`] for a format or creation option GDAL lacks.
    pub fn create(path: &str, spec: RasterSpec, options: &WriteOptions) -> Result<RasterWriter> {
        let driver = driver_for(path, options)?;
        check_creation_options(&driver, &options.creation)?;
        let output = Output::new(path, options.overwrite)?;
        let fail = |why: String| output.check_place().err().unwrap_or(Error::Write { path: path.into(), why });
        let probe = Probe::new().map_err(|e| fail(reason(e)))?;
        // Options beyond layout and codec only count when GDAL makes the file in one go.
        let direct = driver.short_name() == "GTiff" && template::understands(&options.creation);
        let creation: &[String] = if direct { &options.creation } else { &[] };
        let name = if direct { output.path() } else { output.scratch() };
        let options = WriteOptions { creation: copy::creation_options(&driver, &options.creation), ..options.clone() };
        if !direct {
            copy::rehearse(&output, &driver, &spec, &options.creation)?;
        }
        template::create(&name, &spec, creation).map_err(|e| fail(reason(e)))?;
        let mut dataset = copy::update(&name).map_err(|e| fail(reason(e)))?;
        for (domain, key, value) in &spec.metadata {
            dataset.set_metadata_item(key, value, domain).map_err(|e| fail(reason(e)))?;
        }
        let block = dataset.rasterband(1).map_err(|e| fail(reason(e)))?.block_size();
        Ok(RasterWriter { dataset, probe, output, spec, options, driver, direct, block, pending: BTreeMap::new() })
    }

    /// Writes `width × height` pixels with the top-left one at (`x`, `y`); `bands` are row-major arrays, one for each
    /// band. Pixels must not be written twice. NaN becomes the band's nodata value.
    pub fn write(&mut self, x: usize, y: usize, width: usize, height: usize, bands: &[&[f32]]) -> Result<()> {
        let inside = x + width <= self.spec.size.0 && y + height <= self.spec.size.1;
        if !inside || bands.len() != self.spec.bands.len() || bands.iter().any(|b| b.len() != width * height) {
            return Err(Error::Internal(format!(
                "piece {x},{y} {width}x{height} does not fit {}",
                self.output.target()
            )));
        }
        if width == 0 || height == 0 {
            return Ok(());
        }
        let (bw, bh) = self.block;
        for by in y / bh..=(y + height - 1) / bh {
            for bx in x / bw..=(x + width - 1) / bw {
                let (x0, x1) = (x.max(bx * bw), (x + width).min((bx + 1) * bw));
                let (y0, y1) = (y.max(by * bh), (y + height).min((by + 1) * bh));
                let (mut data, mut filled) =
                    self.pending.remove(&(bx, by)).unwrap_or_else(|| (vec![f32::NAN; bw * bh * bands.len()], 0));
                for (b, band) in bands.iter().enumerate() {
                    for row in y0..y1 {
                        let from = (row - y) * width + x0 - x;
                        let to = b * bw * bh + (row - by * bh) * bw + x0 - bx * bw;
                        data[to..to + x1 - x0].copy_from_slice(&band[from..from + x1 - x0]);
                    }
                }
                filled += (x1 - x0) * (y1 - y0);
                let whole = bw.min(self.spec.size.0 - bx * bw) * bh.min(self.spec.size.1 - by * bh);
                if filled < whole {
                    self.pending.insert((bx, by), (data, filled));
                } else {
                    self.flush_block((bx, by), data)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a metadata item, e.g. one that is known only at the end.
    pub fn set_metadata(&mut self, domain: &str, key: &str, value: &str) -> Result<()> {
        self.dataset.set_metadata_item(key, value, domain).map_err(|e| self.failed(reason(e)))?;
        self.spec.metadata.push((domain.into(), key.into(), value.into()));
        Ok(())
    }

    /// Declares what a band's stored numbers mean: value = number × scale + offset.
    pub fn set_scale(&mut self, band: usize, (scale, offset): (f64, f64)) -> Result<()> {
        if (scale, offset) == (1.0, 0.0) {
            return Ok(());
        }
        let set = || -> gdal::errors::Result<()> {
            let mut band = self.dataset.rasterband(band + 1)?;
            band.set_scale(scale)?;
            band.set_offset(offset)
        };
        set().map_err(|e| self.failed(reason(e)))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Write`] when anything could not be written, e.g. because the disk is full.
    pub fn finish(mut self) -> Result<()> {
        while let Some((at, (data, _))) = self.pending.pop_first() {
            self.flush_block(at, data)?;
        }
        self.probe.clear();
        let RasterWriter { mut dataset, probe, output, spec, options, driver, direct, .. } = self;
        output.check_place()?;
        let fail = |why: String| write_error(output.target(), why);
        dataset.flush_cache().map_err(|e| fail(reason(e)))?;
        let early = probe.message();
        dataset.close().map_err(|e| fail(reason(e)))?;
        let late = probe.message();
        let hint = if early.is_empty() { late } else { early };
        let written = if direct { output.path() } else { output.scratch() };
        verify_blocks(&written, sparse(&options.creation))
            .map_err(|why| fail(if hint.is_empty() { why } else { hint }))?;
        if !direct {
            copy::finish(&written, &output, &driver, &spec, &options.creation, &probe)?;
        }
        output.commit()
    }

    fn flush_block(&mut self, at: (usize, usize), data: Vec<f32>) -> Result<()> {
        let (n, shape) = (self.block.0 * self.block.1, self.block);
        for (i, values) in data.chunks_exact(n).enumerate() {
            let nodata = self.spec.bands[i].nodata.unwrap_or(0.0) as f32;
            let whole = |v: f32, low: f32, high: f32| if v.is_nan() { nodata } else { v.round().clamp(low, high) };
            let done = match self.spec.pixel {
                PixelType::F32 => {
                    let nodata = self.spec.bands[i].nodata.map_or(f32::NAN, |v| v as f32);
                    self.put(i, at, shape, values.iter().map(|&v| if v.is_nan() { nodata } else { v }).collect())
                }
                PixelType::U8 => self.put(i, at, shape, values.iter().map(|&v| whole(v, 0.0, 255.0) as u8).collect()),
                PixelType::U16 => {
                    self.put(i, at, shape, values.iter().map(|&v| whole(v, 0.0, 65535.0) as u16).collect())
                }
                PixelType::I16 => {
                    self.put(i, at, shape, values.iter().map(|&v| whole(v, -32768.0, 32767.0) as i16).collect())
                }
            };
            done.map_err(|e| self.failed(reason(e)))?;
        }
        Ok(())
    }

    fn put<T: GdalType + Copy>(
        &self,
        band: usize,
        at: (usize, usize),
        shape: (usize, usize),
        data: Vec<T>,
    ) -> gdal::errors::Result<()> {
        self.dataset.rasterband(band + 1)?.write_block(at, &mut Buffer::new(shape, data))
    }

    fn failed(&self, why: String) -> Error {
        self.output.check_place().err().unwrap_or_else(|| write_error(self.output.target(), why))
    }
}

/// A failed write, with the usual cause where GDAL's text looks like it.
pub(super) fn write_error(path: &str, why: String) -> Error {
    let low = why.to_ascii_lowercase();
    let full = ["write", "written", "i/o", "space", "cut short", "missing", "flush", "createfeature", "transaction"]
        .iter()
        .any(|w| low.contains(w));
    Error::Write { path: path.into(), why: if full { format!("{why}; is the disk full?") } else { why } }
}

/// The driver `--of` or the extension asks for, checked to be able to write rasters.
fn driver_for(path: &str, options: &WriteOptions) -> Result<Driver> {
    let writes =
        |d: &Driver| d.metadata_item("DCAP_RASTER", "").is_some() && d.metadata_item("DCAP_CREATECOPY", "").is_some();
    match &options.format {
        Some(name) => match DriverManager::get_driver_by_name(name) {
            Ok(driver) if writes(&driver) => Ok(driver),
            Ok(_) => Err(Error::option(
                "--of",
                name,
                "GDAL cannot write rasters in this format; `gdalinfo --formats` lists those with w",
            )),
            Err(_) => Err(Error::option("--of", name, "GDAL has no such format; `gdalinfo --formats` lists them")),
        },
        None => {
            let name = path.rsplit('/').next().unwrap_or(path);
            if !name.contains('.') {
                return DriverManager::get_driver_by_name("GTiff").map_err(|e| Error::Internal(reason(e)));
            }
            DriverManager::get_output_driver_for_dataset_name(path, DriverType::Raster).filter(writes).ok_or_else(
                || Error::Write {
                    path: path.into(),
                    why: "no raster format goes with this extension; use .tif or add --of".into(),
                },
            )
        }
    }
}

fn check_creation_options(driver: &Driver, options: &[String]) -> Result<()> {
    let known = driver.metadata_item("DMD_CREATIONOPTIONLIST", "").unwrap_or_default();
    for option in options {
        let Some((key, _)) = option.split_once('=') else {
            return Err(Error::option("--co", option, "a creation option has the form KEY=VALUE"));
        };
        let named = |quote: char| known.contains(&format!("name={quote}{}{quote}", key.to_ascii_uppercase()));
        if !known.is_empty() && !named('\'') && !named('"') {
            let format = driver.short_name();
            let why = format!("{format} has no creation option {key}; `gdalinfo --format {format}` lists them");
            return Err(Error::option("--co", option, why));
        }
    }
    Ok(())
}
